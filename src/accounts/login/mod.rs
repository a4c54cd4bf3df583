//! Login, logout, sign-up, and extending a session.

mod breached_password;
pub(super) mod extend_session;
pub(super) mod known_address;
pub(super) mod log_in;
pub(super) mod log_out;
mod rejected_cookie;
pub(super) mod sign_up;

use super::{Accounts, LoginContext, TrustedBrowser};
use crate::sessions::Audience;
use crate::web::Error;

pub use log_in::LogIn;
pub use sign_up::{SignUp, SignUpErrors};

impl Accounts {
    /// The browser to trust after this login; `None` for the API.
    async fn browser_of(&self, context: &LoginContext<'_>) -> Result<Option<TrustedBrowser>, Error> {
        match context.audience {
            Audience::Api => Ok(None),
            Audience::Web => self.browser_to_trust(context.browser.as_ref()).await.map(Some),
        }
    }
}
