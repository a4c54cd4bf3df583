//! `/login/passkey/start` and `/login/passkey/finish`: a login without address and password. The passkey names its account, and proves
//! possession and, by user verification, a second factor; so no code is required.

use actix_web::http::StatusCode;
use actix_web::http::header;
use actix_web::{HttpResponse, web};
use serde::Deserialize;
use serde_json::json;

use super::assertion::Assertion;
use super::store::{self, StoredPasskey};
use super::{error_response, json_response, rate_limited};
use crate::accounts::audit::Event;
use crate::accounts::metrics::LoginOutcome;
use crate::accounts::session_start::{VerifiedLogin, passkey_counters};
use crate::accounts::{Accounts, ClaimedBrowser, LoggedIn, LoginContext, rate_limits, store as users};
use crate::rate_limit;
use crate::sessions::{Expiry, MaybeAuthenticated};
use crate::web::body::{IgnoredBody, Json};
use crate::web::{Client, Error, NextPath};

/// The same for every failure.
const FAILED: &str = "Login with a passkey failed. Try again, or log in with your password.";
const PURPOSE: [&str; 1] = ["login"];

pub async fn start(accounts: web::Data<Accounts>, _: IgnoredBody) -> Result<HttpResponse, Error> {
    Ok(json_response(&accounts.passkeys.start_assertion(&PURPOSE, &[], accounts.clock.now())?))
}

/// What the script sends: the assertion, and the other fields of the login form.
#[derive(Deserialize)]
pub struct LoginAnswer {
    #[serde(flatten)]
    assertion: Assertion,
    /// "Keep me logged in".
    #[serde(default)]
    remember: bool,
    #[serde(default)]
    next: String,
    /// The browser's time zone.
    #[serde(default)]
    zone: String,
}

enum PasskeyLogin {
    LoggedIn(LoggedIn),
    Failed,
    /// No account has this passkey: it was removed.
    Unknown,
}

pub async fn finish(
    client: Client,
    browser: ClaimedBrowser,
    accounts: web::Data<Accounts>,
    MaybeAuthenticated { user, body: Json(answer), .. }: MaybeAuthenticated<Json<LoginAnswer>>,
) -> Result<HttpResponse, Error> {
    if user.is_some() {
        return Ok(json_response(&json!({ "next": "/orders" })));
    }
    let next = NextPath::parse(&answer.next);
    let expiry = if answer.remember { Expiry::Fixed } else { Expiry::Idle };
    let context = LoginContext::of_page(expiry, &client, browser, &answer.zone);
    match accounts.log_in_with_passkey(&answer.assertion, &context).await {
        Ok(PasskeyLogin::LoggedIn(logged_in)) => {
            let next = next.as_ref().map_or("/orders", NextPath::as_str);
            let mut response = json_response(&json!({ "next": next }));
            logged_in.set_cookies(&mut response)?;
            Ok(response)
        }
        Ok(PasskeyLogin::Failed) => Ok(error_response(StatusCode::UNAUTHORIZED, FAILED)),
        Ok(PasskeyLogin::Unknown) => {
            // The script tells the browser, which then offers the passkey no longer.
            let body = json!({ "error": FAILED, "unknown": accounts.passkeys.relying_party_id()? });
            Ok(HttpResponse::Unauthorized().insert_header((header::CACHE_CONTROL, "no-store")).json(body))
        }
        Err(Error::RateLimited { retry_after }) => Ok(rate_limited(retry_after)),
        Err(error) => Err(error),
    }
}

impl Accounts {
    /// Logs in with a passkey.
    ///
    /// # Errors
    /// [`Error::RateLimited`], or the database's.
    async fn log_in_with_passkey(
        &self,
        assertion: &Assertion,
        context: &LoginContext<'_>,
    ) -> Result<PasskeyLogin, Error> {
        let Some((stored, login)) = self.find_passkey_login(assertion, context).await? else {
            return Ok(PasskeyLogin::Unknown);
        };
        let user_id = stored.user_id.clone();
        let verified = match assertion.names_owner_of(&stored) {
            Some(true) => self.verify_assertion(&PURPOSE, assertion, stored, context.client).await?,
            _ => None,
        };
        let Some(verified) = verified else {
            LoginOutcome::WrongPasskey.count();
            self.record_login_failure(&login.account.email, context).await?;
            return Ok(PasskeyLogin::Failed);
        };
        let now = self.clock.now();
        let started =
            self.start_session(&login, context, async |transaction| verified.record_use(transaction, now).await);
        match started.await? {
            Some(logged_in) => Ok(PasskeyLogin::LoggedIn(logged_in)),
            None => {
                // The account is disabled or was changed meanwhile, or the answer was sent before.
                LoginOutcome::Disabled.count();
                Event::LoginFailed.log(Some(&user_id), context.client);
                Ok(PasskeyLogin::Failed)
            }
        }
    }

    /// The passkey of the assertion and its account, after the attempt was counted. `None` for an unknown passkey.
    async fn find_passkey_login(
        &self,
        assertion: &Assertion,
        context: &LoginContext<'_>,
    ) -> Result<Option<(StoredPasskey, VerifiedLogin)>, Error> {
        let stored = store::find_by_credential_id(&self.database, assertion.credential_id()).await?;
        let account = match &stored {
            Some(stored) => users::find_by_id(self.database.reader(), &stored.user_id).await?,
            None => None,
        };
        let Some((stored, account)) = stored.zip(account) else {
            let counters = rate_limits::unknown_passkey(context.client.address);
            rate_limit::count(&self.database, &self.clock, &counters).await.inspect_err(LoginOutcome::count_error)?;
            LoginOutcome::WrongPasskey.count();
            Event::LoginFailed.log(None, context.client);
            return Ok(None);
        };
        let trust = self.find_trust(Some(&account), context).await?;
        let counters = passkey_counters(&account.email, context, trust);
        rate_limit::count(&self.database, &self.clock, &counters).await.inspect_err(LoginOutcome::count_error)?;
        let event = Event::LoggedInWithPasskey;
        Ok(Some((stored, VerifiedLogin { account, upgraded_hash: None, counters, trust, event })))
    }
}
