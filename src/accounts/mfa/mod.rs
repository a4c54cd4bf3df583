//! Factors of a login besides the password.
//!
//! | module | purpose | routes |
//! |---|---|---|
//! | `second_step/` | the code after the password | `/login/code` |
//! | `passkeys/` | passkeys, in place of password and code | `/login/passkey/…`, `/account/passkeys/…`, `/.well-known/passkey-endpoints` |
//! | `overview.rs` | which factors are on | `/account/mfa` |
//! | `totp/` | codes of an authenticator app | `/account/mfa/start`, `/account/mfa/confirm`, `/account/mfa/disable` |
//! | `recovery_codes/` | one-time codes for a lost device | `/account/mfa/recovery-codes` |
//! | `code.rs` | a code as it is typed: of the app, or a recovery code | |
//! | `sealing.rs` | encrypts the secrets in the database | |
//!
//! The rest of the program meets factors at these places: a login calls `begin_second_step` or `log_in_by_code`, reauthentication and
//! `/verify` call `match_code` and `consume_code`, [`remove_all`] and [`remove_added_since`] belong to recovery and to the operator's command.
//! Sessions know nothing of factors.
//!
//! Invariants:
//! - A factor is added only while the address is confirmed: a stranger who signs up with somebody's address must not keep a way in.
//! - A code works once, also for two requests at the same time.
//! - Each change is reauthenticated, recorded, and mailed to the owner with a link that undoes it.

mod code;
mod overview;
mod passkeys;
mod recovery_codes;
mod sealing;
mod second_step;
mod store;
mod totp;

use actix_web::web;

pub(super) use code::MatchedCode;
pub(super) use passkeys::{PasskeyLine, VerifiedPasskey, list_passkeys};
pub use passkeys::{Passkeys, endpoints as passkey_endpoints};
pub use sealing::SealingKeys;
pub(super) use store::FactorState;

use super::audit::{self, Event};
use super::security_notice::SecurityNotice;
use super::{Accounts, section, store as users};
use crate::database::{self, Database, Transaction};
use crate::domain::{UnixSeconds, UserId};
use crate::mail::{AboutFactors, FactorChange, Message, RequestOrigin};
use crate::web::{Client, Error};

/// Public routes.
pub(super) fn configure(routes: &mut web::ServiceConfig) {
    use second_step::page;
    routes.service(web::resource("/login/code").get(page::form).post(page::submit)).configure(passkeys::configure);
}

/// Guarded routes below `/account`.
pub(super) fn configure_account(routes: &mut web::ServiceConfig) {
    use totp::pages;
    let back = || section("/account/mfa");
    routes
        .service(web::resource("/mfa").get(overview::show))
        .service(web::resource("/mfa/start").get(back()).post(pages::start))
        .service(web::resource("/mfa/confirm").get(back()).post(pages::confirm))
        .service(web::resource("/mfa/disable").get(back()).post(pages::disable))
        .service(web::resource("/mfa/recovery-codes").get(back()).post(recovery_codes::page::replace))
        .configure(passkeys::configure_account);
}

/// Removes all factors of the user, and ends logins that wait for a code; returns whether there was one.
pub(super) async fn remove_all(transaction: &mut Transaction, user_id: &UserId) -> Result<bool, database::Error> {
    second_step::remove_all(transaction, user_id).await?;
    let codes = recovery_codes::remove_all(transaction, user_id).await?;
    let passkeys = passkeys::remove_all(transaction, user_id).await?;
    Ok(totp::remove_all(transaction, user_id).await? || codes > 0 || passkeys > 0)
}

/// Removes the factors that were added at that time or later, and ends logins that wait for a code; returns whether there was one.
pub(super) async fn remove_added_since(
    transaction: &mut Transaction,
    user_id: &UserId,
    at: UnixSeconds,
) -> Result<bool, database::Error> {
    second_step::remove_all(transaction, user_id).await?;
    let codes = recovery_codes::remove_added_since(transaction, user_id, at).await?;
    let is_totp_removed = totp::remove_added_since(transaction, user_id, at).await?;
    let passkeys = passkeys::remove_added_since(transaction, user_id, at).await?;
    Ok(is_totp_removed || codes > 0 || passkeys > 0)
}

/// Maintenance: deletes a batch of expired logins between password and code; returns how many.
pub(super) async fn delete_expired_logins(database: &Database, now: UnixSeconds) -> Result<u64, database::Error> {
    second_step::delete_expired(database, now).await
}

/// Maintenance: deletes a batch of setups that were not finished in time; returns how many.
pub(super) async fn delete_expired_setups(database: &Database, now: UnixSeconds) -> Result<u64, database::Error> {
    totp::delete_expired_setups(database, now).await
}

/// Maintenance: deletes a batch of answered challenges of passkeys that have expired; returns how many.
pub(super) async fn delete_used_challenges(database: &Database, now: UnixSeconds) -> Result<u64, database::Error> {
    passkeys::delete_expired_challenges(database, now).await
}

/// The audit event of a change.
fn event_of(change: &FactorChange) -> Event {
    match change {
        FactorChange::TotpAdded => Event::TotpAdded,
        FactorChange::TotpRemoved => Event::TotpRemoved,
        FactorChange::RecoveryCodesReplaced => Event::RecoveryCodesReplaced,
        FactorChange::RecoveryCodeUsed { .. } => Event::RecoveryCodeUsed,
        FactorChange::WrongCode => Event::WrongCode,
        FactorChange::PasskeyAdded { .. } => Event::PasskeyAdded,
        FactorChange::PasskeyRenamed { .. } => Event::PasskeyRenamed,
        FactorChange::PasskeyRemoved { .. } => Event::PasskeyRemoved,
        FactorChange::Reset => Event::FactorsReset,
    }
}

fn randomness_failed() -> Error {
    Error::Internal("the operating system gives no random bytes".into())
}

impl Accounts {
    /// Records a change and tells the owner by mail.
    async fn record_factor_change(
        &self,
        transaction: &mut Transaction,
        account: &users::Account,
        change: FactorChange,
        (client, at): (&Client, UnixSeconds),
    ) -> Result<(), database::Error> {
        let event = event_of(&change);
        audit::record(transaction, &account.id, &self.audit_event(event, client)).await?;
        self.notify_about_factors(transaction, account, change, (client, at)).await
    }

    async fn notify_about_factors(
        &self,
        transaction: &mut Transaction,
        account: &users::Account,
        change: FactorChange,
        (client, at): (&Client, UnixSeconds),
    ) -> Result<(), database::Error> {
        let origin = RequestOrigin::new(at, client);
        let event = event_of(&change);
        let message = Message::AboutFactors(AboutFactors { origin, change });
        let notice = SecurityNotice { event, new_email: None, at, client, message: &message };
        self.notify(transaction, account, notice).await
    }

    /// Maintenance: encrypts a batch of secrets again that a previous key encrypted; returns how many.
    pub(super) async fn reseal_factors(&self) -> Result<u64, database::Error> {
        let mut done = 0;
        for key_id in self.sealing_keys.previous_ids() {
            for (user_id, sealed) in totp::list_of_key(&self.database, key_id).await? {
                let resealed = self.sealing_keys.reseal(user_id.as_str(), sealed, key_id);
                let Some(resealed) = resealed else {
                    tracing::error!(user = user_id.as_str(), "the secret of a factor is damaged");
                    continue;
                };
                let replaced = self.database.write_together(async |transaction| {
                    totp::replace_sealed(transaction, &user_id, key_id, &resealed).await
                });
                done += u64::from(replaced.await?);
            }
        }
        Ok(done)
    }
}
