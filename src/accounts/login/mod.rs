//! Login, logout, sign-up, and extending a session.

pub(super) mod extend_session;
pub(super) mod known_address;
pub(super) mod log_in;
pub(super) mod log_out;
pub(super) mod metrics;
mod rejected_cookie;
pub(super) mod sign_up;

use actix_web::HttpResponse;

use super::{Accounts, ClaimedBrowser, TrustedBrowser};
use crate::domain::Zone;
use crate::sessions::{Audience, Expiry, Issued, cookie};
use crate::web::{Client, Error};

pub use sign_up::{SignUp, SignUpErrors};

/// The circumstances of a login or sign-up.
pub struct LoginContext<'a> {
    pub audience: Audience,
    pub expiry: Expiry,
    pub client: &'a Client,
    /// The browser cookie of the request.
    pub browser: Option<TrustedBrowser>,
    /// The time zone that the browser reports.
    pub zone: Option<Zone>,
}

impl<'a> LoginContext<'a> {
    pub(super) fn of_page(expiry: Expiry, client: &'a Client, browser: ClaimedBrowser, zone: &str) -> Self {
        Self { audience: Audience::Web, expiry, client, browser: browser.0, zone: Zone::parse(zone) }
    }
}

/// The result of a successful login or sign-up.
pub struct LoggedIn {
    pub issued: Issued,
    browser: Option<TrustedBrowser>,
}

impl LoggedIn {
    fn set_cookies(&self, response: &mut HttpResponse) -> Result<(), Error> {
        cookie::set(response, &self.issued)?;
        match &self.browser {
            Some(browser) => browser.set_cookie(response),
            None => Ok(()),
        }
    }
}

impl Accounts {
    /// The browser to trust after this login; `None` for the API.
    async fn browser_of(&self, context: &LoginContext<'_>) -> Result<Option<TrustedBrowser>, Error> {
        match context.audience {
            Audience::Api => Ok(None),
            Audience::Web => self.browser_to_trust(context.browser.as_ref()).await.map(Some),
        }
    }
}
