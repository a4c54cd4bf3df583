//! The cookie that names a login between the password and the code. It gives no access: only `/login/code` reads it.

use actix_web::cookie::{Cookie, SameSite, time::Duration};
use actix_web::{HttpRequest, HttpResponse};
use sha2::{Digest, Sha256};

use super::LIFETIME;
use crate::hex;
use crate::web::{Error, cookie_value};

const NAME: &str = "__Host-login";
const BYTES: usize = 32;

/// The cookie's value: 256 random bits in hex. The database has only its SHA-256.
pub(super) struct LoginToken(String);

impl LoginToken {
    pub fn generate() -> Result<Self, Error> {
        hex::random::<BYTES>().map(Self).map_err(|error| Error::Internal(error.to_string().into()))
    }

    /// The well-formed token of the request's cookie.
    pub fn of(request: &HttpRequest) -> Option<Self> {
        let text = cookie_value(request, NAME)?;
        let is_hex = text.bytes().all(|byte| matches!(byte, b'0'..=b'9' | b'a'..=b'f'));
        (text.len() == 2 * BYTES && is_hex).then_some(Self(text))
    }

    pub fn hash(&self) -> Vec<u8> {
        Sha256::digest(self.0.as_bytes()).to_vec()
    }

    pub fn set_cookie(self, response: &mut HttpResponse) -> Result<(), Error> {
        add(response, self.0, Duration::seconds(LIFETIME.as_secs().cast_signed()))
    }
}

/// Removes the cookie.
pub(super) fn clear(response: &mut HttpResponse) -> Result<(), Error> {
    add(response, String::new(), Duration::ZERO)
}

fn add(response: &mut HttpResponse, value: String, lifetime: Duration) -> Result<(), Error> {
    let cookie = Cookie::build(NAME, value)
        .path("/")
        .secure(true)
        .http_only(true)
        .same_site(SameSite::Strict)
        .max_age(lifetime)
        .finish();
    response.add_cookie(&cookie).map_err(|error| Error::Internal(error.into()))
}
