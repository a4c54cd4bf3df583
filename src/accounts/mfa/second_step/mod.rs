//! The second step of a login: after the password a code, of the app or a recovery code.
//!
//! Between them stands a row, not a session: named by a cookie, valid for five minutes, bound to the user and the verified password. It ends
//! with the login, after five wrong codes, with a new password, and when the account is disabled or TOTP is turned off. Wrong codes are also
//! counted across rows and API, so a new password login gives no new attempts.

mod cookie;
pub(super) mod page;
mod store;

use std::time::Duration;

use actix_web::HttpResponse;

use crate::accounts::Accounts;
use crate::accounts::metrics::LoginOutcome;
use crate::accounts::session_start::{LoggedIn, LoginContext, VerifiedLogin, code_counters, store_upgraded_hash};
use crate::database;
use crate::domain::UserId;
use crate::rate_limit;
use crate::sessions::Expiry;
use crate::web::{Error, NextPath, see_other};
use cookie::LoginToken;

pub(super) use store::{delete_expired, remove_all};

const LIFETIME: Duration = Duration::from_mins(5);
const MAX_WRONG_CODES: i64 = 5;

/// A login whose password is verified.
struct PendingLogin {
    user_id: UserId,
    /// The hash that the password was verified against.
    password_hash: String,
    expiry: Expiry,
    next: Option<NextPath>,
}

impl Accounts {
    /// Remembers a login whose password is verified, and redirects to the page that takes the code.
    pub(in crate::accounts) async fn begin_second_step(
        &self,
        login: &VerifiedLogin,
        expiry: Expiry,
        next: Option<&NextPath>,
    ) -> Result<HttpResponse, Error> {
        let token = LoginToken::generate()?;
        let (hash, expires_at) = (token.hash(), self.clock.now() + LIFETIME);
        let stored = self.database.write_together(async |transaction| {
            let account = &login.account;
            let password_hash = store_upgraded_hash(transaction, account, login.upgraded_hash.as_deref()).await?;
            let pending = PendingLogin {
                user_id: account.id.clone(),
                password_hash: password_hash.to_owned(),
                expiry,
                next: next.cloned(),
            };
            store::insert(transaction, &hash, &pending, expires_at).await
        });
        stored.await?;
        let mut response = see_other("/login/code");
        token.set_cookie(&mut response)?;
        Ok(response)
    }

    /// Completes a login with a code. `pending` is the hash of its row, if it has one. `None` for a wrong code; it is counted and recorded.
    ///
    /// # Errors
    /// [`Error::RateLimited`], or the database's.
    pub(in crate::accounts) async fn log_in_by_code(
        &self,
        mut login: VerifiedLogin,
        code: &str,
        context: &LoginContext<'_>,
        pending: Option<&[u8]>,
    ) -> Result<Option<LoggedIn>, Error> {
        let counters = code_counters(&login.account.email, context, login.trust);
        rate_limit::count(&self.database, &self.clock, &counters).await.inspect_err(LoginOutcome::count_error)?;
        login.counters.extend(counters);
        if let Some(matched) = self.match_code(&login.account.id, code).await? {
            let logged_in = self.start_session(&login, context, async |transaction| {
                if !self.consume_code(transaction, &login.account, &matched, context.client).await? {
                    return Ok(false);
                }
                match pending {
                    Some(hash) => store::consume(transaction, hash, self.clock.now()).await,
                    None => Ok(true),
                }
            });
            if let Some(logged_in) = logged_in.await? {
                return Ok(Some(logged_in));
            }
        }
        LoginOutcome::SecondStepWrong.count();
        let recorded = self.database.write_together(async |transaction| {
            if let Some(hash) = pending {
                let now = self.clock.now();
                match store::count_wrong(transaction, hash, now).await? {
                    // The login has expired, or another request of it was faster.
                    None => return Ok(()),
                    Some(wrong) if wrong >= MAX_WRONG_CODES => {
                        store::consume(transaction, hash, now).await?;
                    }
                    Some(_) => {}
                }
            }
            self.record_wrong_code(transaction, &login.account, context.client).await
        });
        recorded.await.map(|()| None).map_err(|error: database::Error| error.into())
    }
}
