//! The cookie that tells a browser in which an account signed in before. It signs nobody in; it only spares its owner the waits that
//! strangers bring about (OWASP, "Slow Down Online Guessing Attacks with Device Cookies").

use std::convert::Infallible;
use std::future::{Ready, ready};

use actix_web::cookie::{Cookie, SameSite, time::Duration};
use actix_web::dev::Payload;
use actix_web::{FromRequest, HttpRequest};
use sha2::{Digest, Sha256};

use crate::hex;
use crate::web::cookie_value;

const NAME: &str = "__Host-browser";
const BYTES: usize = 32;
/// As long as browsers keep any cookie; an account that the browser was not used for in [`KEPT_DAYS`](super::KEPT_DAYS) forgets it.
const COOKIE_DAYS: i64 = 400;

/// What the cookie holds: 256 random bits in hex, kept here as a SHA-256 alone.
#[derive(Clone)]
pub struct KnownBrowser(String);

impl KnownBrowser {
    pub(super) fn new() -> Result<Self, getrandom::Error> {
        hex::random::<BYTES>().map(Self)
    }

    fn parse(text: &str) -> Option<Self> {
        let is_hex = text.bytes().all(|byte| matches!(byte, b'0'..=b'9' | b'a'..=b'f'));
        (text.len() == 2 * BYTES && is_hex).then(|| Self(text.to_owned()))
    }

    pub(super) fn hash(&self) -> Vec<u8> {
        Sha256::digest(self.0.as_bytes()).to_vec()
    }

    pub(super) fn as_str(&self) -> &str {
        &self.0
    }

    pub(super) fn cookie(&self) -> Cookie<'static> {
        Cookie::build(NAME, self.0.clone())
            .path("/")
            .secure(true)
            .http_only(true)
            .same_site(SameSite::Strict)
            .max_age(Duration::days(COOKIE_DAYS))
            .finish()
    }
}

/// The browser that a request claims to come from; whether an account knows it is another question.
pub struct ClaimedBrowser(pub Option<KnownBrowser>);

impl FromRequest for ClaimedBrowser {
    type Error = Infallible;
    type Future = Ready<Result<Self, Infallible>>;

    fn from_request(request: &HttpRequest, _: &mut Payload) -> Self::Future {
        ready(Ok(Self(cookie_value(request, NAME).and_then(|value| KnownBrowser::parse(&value)))))
    }
}
