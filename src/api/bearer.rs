//! The bearer token of a request (RFC 6750 section 2.1): 401 without a token, 403 with an invalid one. The token is checked after the body
//! has arrived, because it can be revoked meanwhile.

use std::future::Future;
use std::pin::Pin;

use actix_web::dev::Payload;
use actix_web::http::header;
use actix_web::{FromRequest, HttpRequest, web};

use crate::sessions::{Audience, CurrentUser, Sessions};
use crate::web::body::IgnoredBody;
use crate::web::{Error, Viewer};

/// The user of the token in `Authorization: Bearer …`.
pub struct BearerUser {
    pub user: CurrentUser,
    pub viewer: Viewer,
}

impl FromRequest for BearerUser {
    type Error = Error;
    type Future = Pin<Box<dyn Future<Output = Result<Self, Error>>>>;

    fn from_request(request: &HttpRequest, payload: &mut Payload) -> Self::Future {
        let token = bearer_token(request);
        let body = IgnoredBody::from_request(request, payload);
        let sessions = request.app_data::<web::Data<Sessions>>().cloned();
        Box::pin(async move {
            let sessions = sessions.ok_or_else(|| Error::Internal("the app was built without sessions".into()))?;
            let token = token?;
            body.await?;
            let resumed = sessions.resume(&token, Audience::Api).await?.ok_or(Error::InvalidToken)?;
            Ok(Self { user: resumed.user, viewer: resumed.viewer })
        })
    }
}

fn bearer_token(request: &HttpRequest) -> Result<String, Error> {
    let mut lines = request.headers().get_all(header::AUTHORIZATION);
    let missing = || Error::Unauthorized("send an access token: Authorization: Bearer <token>".to_owned());
    let line = lines.next().ok_or_else(missing)?;
    if lines.next().is_some() {
        return Err(Error::InvalidToken);
    }
    let line = line.to_str().map_err(|_| Error::InvalidToken)?.trim();
    let (scheme, token) = line.split_once(' ').unwrap_or((line, ""));
    if !scheme.eq_ignore_ascii_case("bearer") || token.trim().is_empty() {
        return Err(missing());
    }
    Ok(token.trim().to_owned())
}
