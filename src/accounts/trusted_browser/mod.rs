//! Trusted browsers: a cookie marks a browser in which an account has logged in. It does not authenticate; it only exempts its owner from
//! waits that attackers cause (OWASP, "Slow Down Online Guessing Attacks with Device Cookies").

pub(super) mod store;

use std::convert::Infallible;
use std::future::{Ready, ready};

use actix_web::cookie::{Cookie, SameSite, time::Duration};
use actix_web::dev::Payload;
use actix_web::{FromRequest, HttpRequest, HttpResponse};
use sha2::{Digest, Sha256};

use super::Accounts;
use crate::hex;
use crate::web::{Error, cookie_value};

const NAME: &str = "__Host-browser";
const BYTES: usize = 32;
/// The longest that browsers keep a cookie. The server deletes a browser earlier: [`UNUSED_RETENTION`](super::UNUSED_RETENTION).
const COOKIE_LIFETIME: Duration = Duration::days(400);

/// The cookie's value: 256 random bits in hex. The database has only its SHA-256.
#[derive(Clone)]
pub struct TrustedBrowser(String);

impl TrustedBrowser {
    pub(super) fn generate() -> Result<Self, Error> {
        hex::random::<BYTES>().map(Self).map_err(|error| Error::Internal(error.to_string().into()))
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

    pub(super) fn set_cookie(&self, response: &mut HttpResponse) -> Result<(), Error> {
        let cookie = Cookie::build(NAME, self.0.clone())
            .path("/")
            .secure(true)
            .http_only(true)
            .same_site(SameSite::Strict)
            .max_age(COOKIE_LIFETIME)
            .finish();
        response.add_cookie(&cookie).map_err(|error| Error::Internal(error.into()))
    }
}

/// The well-formed browser cookie of a request. The database decides which accounts trust it.
pub struct ClaimedBrowser(pub Option<TrustedBrowser>);

impl FromRequest for ClaimedBrowser {
    type Error = Infallible;
    type Future = Ready<Result<Self, Infallible>>;

    fn from_request(request: &HttpRequest, _: &mut Payload) -> Self::Future {
        ready(Ok(Self(cookie_value(request, NAME).and_then(|value| TrustedBrowser::parse(&value)))))
    }
}

impl Accounts {
    /// The browser to trust from now on: the claimed one if an account trusts it, otherwise a new one.
    pub(super) async fn browser_to_trust(&self, claimed: Option<&TrustedBrowser>) -> Result<TrustedBrowser, Error> {
        if let Some(browser) = claimed
            && store::exists(&self.database, &browser.hash()).await?
        {
            return Ok(browser.clone());
        }
        TrustedBrowser::generate()
    }
}
