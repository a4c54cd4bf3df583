//! Reauthentication: a sensitive change (password, address, data export, deletion, factors) always requires all factors in the same form
//! (ASVS 5.0 V7.5.1): the password, and with TOTP on also a code; or a passkey. A stolen cookie alone changes nothing, however recently its owner logged in.
//!
//! Attempts are counted for each account. After a success the session gets a new id (V7.2.4), so that a copy of the cookie becomes invalid.

use actix_web::{HttpResponse, ResponseError};
use serde::Deserialize;

use super::audit::Event;
use super::mfa::{MatchedCode, VerifiedPasskey};
use super::{Accounts, Password, rate_limits, session_ended, store};
use crate::domain::SessionId;
use crate::rate_limit;
use crate::sessions::{CurrentUser, Issued, cookie};
use crate::web::{Client, Error};

/// The part of a form that reauthenticates. A form that sets a new password names the present one `current_password`.
#[derive(Deserialize)]
pub struct ReauthForm {
    #[serde(default)]
    password: String,
    #[serde(default)]
    current_password: String,
    /// Of the app, or a recovery code; required when TOTP is on.
    #[serde(default)]
    code: String,
    /// An assertion of a passkey as JSON, in place of password and code.
    #[serde(default)]
    passkey: String,
}

impl ReauthForm {
    pub fn password(&self) -> &str {
        if self.current_password.is_empty() { &self.password } else { &self.current_password }
    }
}

/// The messages for the fields of the form.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct ReauthErrors {
    pub password: Option<&'static str>,
    pub code: Option<&'static str>,
}

impl ReauthErrors {
    pub fn is_empty(self) -> bool {
        self == Self::default()
    }

    fn password(message: &'static str) -> Self {
        Self { password: Some(message), code: None }
    }

    fn code(message: &'static str) -> Self {
        Self { password: None, code: Some(message) }
    }
}

const NO_PASSWORD: &str = "Enter your password.";
const WRONG_PASSWORD: &str = "Password is incorrect. Try again.";
const WRONG_PASSKEY: &str = "The passkey was not accepted. Try again, or enter your password.";
const NO_CODE: &str = "Enter the code from your authenticator app, or a recovery code.";
const WRONG_CODE: &str = "The code is incorrect or was used before. Wait for the next code in the app.";

/// Factors that were right, with the code or the passkey's challenge, which is not used up yet.
pub(super) struct CheckedFactors {
    code: Option<MatchedCode>,
    passkey: Option<VerifiedPasskey>,
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
    /// Verifies all factors and gives the session a new id.
    pub(super) async fn reauthenticate(
        &self,
        user: &CurrentUser,
        account: &store::Account,
        form: &ReauthForm,
        client: &Client,
    ) -> Result<Result<RotatedSession, ReauthErrors>, Error> {
        let factors = match self.check_factors(account, form, client).await? {
            Ok(factors) => factors,
            Err(errors) => return Ok(Err(errors)),
        };
        if let Err(errors) = self.use_factors(account, &factors, client).await? {
            return Ok(Err(errors));
        }
        self.rotate_session(user).await.map(Ok)
    }

    /// Verifies all factors and leaves the code usable, for a form whose other fields are still to be checked.
    pub(super) async fn check_factors(
        &self,
        account: &store::Account,
        form: &ReauthForm,
        client: &Client,
    ) -> Result<Result<CheckedFactors, ReauthErrors>, Error> {
        if !form.passkey.is_empty() {
            let verified = self.verify_passkey(account, &form.passkey, client).await?;
            let factors = verified.map(|passkey| CheckedFactors { code: None, passkey: Some(passkey) });
            return Ok(factors.ok_or(ReauthErrors::password(WRONG_PASSKEY)));
        }
        let is_code_missing = account.has_totp() && form.code.trim().is_empty();
        if form.password().is_empty() || is_code_missing {
            let password = form.password().is_empty().then_some(NO_PASSWORD);
            return Ok(Err(ReauthErrors { password, code: is_code_missing.then_some(NO_CODE) }));
        }
        if !self.is_password_of(account, form.password(), client).await? {
            return Ok(Err(ReauthErrors::password(WRONG_PASSWORD)));
        }
        if !account.has_totp() {
            return Ok(Ok(CheckedFactors { code: None, passkey: None }));
        }
        let counters = [rate_limits::reauthentication_code(&account.id)];
        rate_limit::count(&self.database, &self.clock, &counters).await?;
        let Some(code) = self.match_code(&account.id, &form.code).await? else {
            return self.reject_code(account, client).await.map(Err);
        };
        self.database.write_together(async |transaction| rate_limit::refund(transaction, &counters).await).await?;
        Ok(Ok(CheckedFactors { code: Some(code), passkey: None }))
    }

    /// Uses the code or the passkey's challenge up. The errors say that another request was faster.
    pub(super) async fn use_factors(
        &self,
        account: &store::Account,
        factors: &CheckedFactors,
        client: &Client,
    ) -> Result<Result<(), ReauthErrors>, Error> {
        if let Some(passkey) = &factors.passkey {
            let now = self.clock.now();
            let used = self.database.write_together(async |transaction| passkey.record_use(transaction, now).await);
            if used.await? {
                return Ok(Ok(()));
            }
            self.record(&account.id, Event::ReauthenticationFailed, client).await?;
            return Ok(Err(ReauthErrors::password(WRONG_PASSKEY)));
        }
        let Some(code) = &factors.code else {
            return Ok(Ok(()));
        };
        let used = self
            .database
            .write_together(async |transaction| self.consume_code(transaction, account, code, client).await);
        if used.await? { Ok(Ok(())) } else { self.reject_code(account, client).await.map(Err) }
    }

    async fn reject_code(&self, account: &store::Account, client: &Client) -> Result<ReauthErrors, Error> {
        let recorded = self
            .database
            .write_together(async |transaction| self.record_wrong_code(transaction, account, client).await);
        recorded.await?;
        Ok(ReauthErrors::code(WRONG_CODE))
    }

    pub(super) async fn rotate_session(&self, user: &CurrentUser) -> Result<RotatedSession, Error> {
        let (session_id, issued) = self.sessions.rotate_id(user).await?.ok_or_else(session_ended)?;
        Ok(RotatedSession { session_id, issued })
    }

    /// Whether the password is the account's. Counts the attempt and records a wrong password.
    async fn is_password_of(&self, account: &store::Account, password: &str, client: &Client) -> Result<bool, Error> {
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
