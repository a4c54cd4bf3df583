//! Reauthentication: a sensitive change (password, address, data export, deletion) takes the password in the same form, always
//! (ASVS 5.0 V7.5.1). Whoever has no more than a stolen cookie changes nothing, however lately its owner logged in.
//!
//! Attempts are counted for the account. After the right password the session goes on under another id (V7.2.4), so that a copy of the
//! cookie is dead.

use actix_web::{HttpResponse, ResponseError};

use super::activity::Event;
use super::throttle::{self, Counter};
use super::{Accounts, Password, has_ended, set_session, store};
use crate::sessions::{CurrentUser, Issued};
use crate::web::{Client, Error};

/// A session in which the password was just given.
pub(super) struct Reauthenticated {
    /// The session's id from now on.
    pub session_id: String,
    issued: Issued,
}

impl Reauthenticated {
    /// Puts the session's new cookie into the answer, also where the change failed after all: the old id is dead, and without the new one
    /// the customer would be logged out.
    pub(super) fn set_cookie(
        &self,
        answer: Result<HttpResponse, Error>,
        accounts: &Accounts,
    ) -> Result<HttpResponse, Error> {
        let mut response = answer.unwrap_or_else(|error| error.error_response());
        set_session(&mut response, &self.issued, accounts.clock.now())?;
        Ok(response)
    }
}

impl Accounts {
    /// Lets the customer go on who gives the account's password, or says what is wrong with it.
    pub(super) async fn reauthenticate(
        &self,
        user: &CurrentUser,
        account: &store::Account,
        password: &str,
        client: &Client,
    ) -> Result<Result<Reauthenticated, String>, Error> {
        if password.is_empty() {
            return Ok(Err("Enter your password.".to_owned()));
        }
        if !self.is_password_of(account, password, client).await? {
            return Ok(Err("That is not your password. Try again.".to_owned()));
        }
        self.rotate_session(user).await.map(Ok)
    }

    /// Gives the session in which the password was given another id.
    pub(super) async fn rotate_session(&self, user: &CurrentUser) -> Result<Reauthenticated, Error> {
        let (session_id, issued) = self.sessions.rotate_id(user).await?.ok_or_else(has_ended)?;
        Ok(Reauthenticated { session_id, issued })
    }

    /// Whether the password is the account's; attempts are counted and wrong ones recorded.
    pub(super) async fn is_password_of(
        &self,
        account: &store::Account,
        password: &str,
        client: &Client,
    ) -> Result<bool, Error> {
        let counters = [Counter::new(throttle::CONFIRM, &[&account.id])];
        throttle::count(&self.database, &self.clock, &counters).await?;
        if !self.hasher.verify(Password::offered(password), Some(&account.password_hash)).await? {
            self.record(&account.id, Event::ConfirmFailed, client).await?;
            return Ok(false);
        }
        self.database
            .write_together(async |transaction| store::throttles::give_back(transaction, &counters).await)
            .await?;
        Ok(true)
    }
}
