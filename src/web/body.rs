//! Request bodies: forms and JSON, with a size limit, a timeout and clear errors.

use std::future::Future;
use std::pin::Pin;
use std::time::Duration;

use actix_web::dev::Payload;
use actix_web::error::{JsonPayloadError, UrlencodedError};
use actix_web::{FromRequest, HttpRequest, web};
use futures_util::StreamExt;
use serde::de::DeserializeOwned;

use super::error::Error;

/// The largest body, in bytes: several times the largest form.
pub const MAX_BYTES: usize = 16 * 1024;
/// Timeout for the whole body.
const BODY_TIMEOUT: Duration = Duration::from_secs(10);

/// The fields of a posted form (`application/x-www-form-urlencoded`).
pub struct Form<T>(pub T);

impl<T: DeserializeOwned + 'static> FromRequest for Form<T> {
    type Error = Error;
    type Future = Pin<Box<dyn Future<Output = Result<Self, Error>>>>;

    fn from_request(request: &HttpRequest, payload: &mut Payload) -> Self::Future {
        let body = web::Form::<T>::from_request(request, payload);
        Box::pin(async move {
            let form = tokio::time::timeout(BODY_TIMEOUT, body).await.map_err(|_| Error::RequestTimeout)?;
            form.map(|form| Self(form.into_inner())).map_err(|error| form_error(&error))
        })
    }
}

fn form_error(error: &actix_web::Error) -> Error {
    match error.as_error::<UrlencodedError>() {
        Some(UrlencodedError::Overflow { .. }) => Error::PayloadTooLarge,
        Some(UrlencodedError::ContentType) => {
            Error::UnsupportedMediaType("the form as application/x-www-form-urlencoded")
        }
        _ => Error::BadRequest("the form lacks a field or cannot be read".to_owned()),
    }
}

/// A body that is read and ignored.
pub struct IgnoredBody;

impl FromRequest for IgnoredBody {
    type Error = Error;
    type Future = Pin<Box<dyn Future<Output = Result<Self, Error>>>>;

    fn from_request(_: &HttpRequest, payload: &mut Payload) -> Self::Future {
        let mut payload = payload.take();
        Box::pin(async move {
            let read = async {
                let mut length = 0;
                while let Some(chunk) = payload.next().await {
                    length += chunk.map_err(|_| Error::BadRequest("the body cannot be read".to_owned()))?.len();
                    if length > MAX_BYTES {
                        return Err(Error::PayloadTooLarge);
                    }
                }
                Ok(Self)
            };
            tokio::time::timeout(BODY_TIMEOUT, read).await.map_err(|_| Error::RequestTimeout)?
        })
    }
}

/// A JSON body (`application/json`).
pub struct Json<T>(pub T);

impl<T: DeserializeOwned + 'static> FromRequest for Json<T> {
    type Error = Error;
    type Future = Pin<Box<dyn Future<Output = Result<Self, Error>>>>;

    fn from_request(request: &HttpRequest, payload: &mut Payload) -> Self::Future {
        let body = web::Json::<T>::from_request(request, payload);
        Box::pin(async move {
            let json = tokio::time::timeout(BODY_TIMEOUT, body).await.map_err(|_| Error::RequestTimeout)?;
            json.map(|json| Self(json.into_inner())).map_err(|error| json_error(&error))
        })
    }
}

fn json_error(error: &actix_web::Error) -> Error {
    match error.as_error::<JsonPayloadError>() {
        Some(JsonPayloadError::Overflow { .. } | JsonPayloadError::OverflowKnownLength { .. }) => {
            Error::PayloadTooLarge
        }
        Some(JsonPayloadError::ContentType) => Error::UnsupportedMediaType("the body as application/json"),
        // serde's own message quotes the value, which may be a password.
        Some(JsonPayloadError::Deserialize(error)) => Error::BadRequest(format!(
            "the body is not the JSON object that this address takes (line {}, column {})",
            error.line(),
            error.column()
        )),
        _ => Error::BadRequest("the body cannot be read".to_owned()),
    }
}
