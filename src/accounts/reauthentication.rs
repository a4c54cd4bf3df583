//! Reauthentication: a sensitive change (password, address, data export, deletion) always requires the password in the same form (ASVS 5.0
//! V7.5.1). A stolen cookie alone changes nothing, however recently its owner logged in.
//!
//! Attempts are counted for each account. After a correct password the session gets a new id (V7.2.4), so that a copy of the cookie
//! becomes invalid.

use actix_web::{HttpResponse, ResponseError};

use super::audit::Event;
use super::{Accounts, Password, rate_limits, session_ended, store};
use crate::domain::SessionId;
use crate::rate_limit;
use crate::sessions::{CurrentUser, Issued, cookie};
use crate::web::{Client, Error};

pub(super) enum Reauthentication {
    Succeeded(RotatedSession),
    /// The message for the form.
    Failed(&'static str),
}

/// A session with a new id.
pub(super) struct RotatedSession {
    pub session_id: SessionId,
    issued: Issued,
}

impl RotatedSession {
    /// Sets the new cookie on the response, also if the change has failed: the old id is invalid, so without the new cookie the customer
    /// would be logged out.
    pub(super) fn set_cookie(&self, response: Result<HttpResponse, Error>) -> Result<HttpResponse, Error> {
        let mut response = response.unwrap_or_else(|error| error.error_response());
        cookie::set(&mut response, &self.issued)?;
        Ok(response)
    }
}

impl Accounts {
    /// Verifies the password and gives the session a new id.
    pub(super) async fn reauthenticate(
        &self,
        user: &CurrentUser,
        account: &store::Account,
        password: &str,
        client: &Client,
    ) -> Result<Reauthentication, Error> {
        if password.is_empty() {
            return Ok(Reauthentication::Failed("Enter your password."));
        }
        if !self.is_password_of(account, password, client).await? {
            return Ok(Reauthentication::Failed("Password is incorrect. Try again."));
        }
        self.rotate_session(user).await.map(Reauthentication::Succeeded)
    }

    pub(super) async fn rotate_session(&self, user: &CurrentUser) -> Result<RotatedSession, Error> {
        let (session_id, issued) = self.sessions.rotate_id(user).await?.ok_or_else(session_ended)?;
        Ok(RotatedSession { session_id, issued })
    }

    /// Whether the password is the account's. Counts the attempt and records a wrong password.
    pub(super) async fn is_password_of(
        &self,
        account: &store::Account,
        password: &str,
        client: &Client,
    ) -> Result<bool, Error> {
        let counters = [rate_limits::reauthentication(&account.id)];
        rate_limit::count(&self.database, &self.clock, &counters).await?;
        if !self.hasher.verify(Password::unchecked(password), Some(&account.password_hash)).await? {
            self.record(&account.id, Event::ReauthenticationFailed, client).await?;
            return Ok(false);
        }
        self.database.write_together(async |transaction| rate_limit::refund(transaction, &counters).await).await?;
        Ok(true)
    }
}
