//! The offer to add a passkey, on the page that follows a login with a password: once in 30 days, to the owner of a confirmed account that
//! has none.

use std::time::Duration;

use super::store;
use crate::accounts::store::Account;
use crate::database::{Error, Transaction};
use crate::domain::{UnixSeconds, UserId, days};

const INTERVAL: Duration = days(30);

/// Whether an offer can be due, by the account's row. Spares most logins the statement.
pub(in crate::accounts) fn may_offer(account: &Account, now: UnixSeconds) -> bool {
    let is_recent = account.passkey_offered_at.is_some_and(|at| at > now - INTERVAL);
    account.verified_at.is_some() && !account.has_passkeys() && !is_recent
}

/// Whether to offer a passkey now. It is one statement, so that parallel logins offer it once.
pub(in crate::accounts) async fn is_due(
    transaction: &mut Transaction,
    user_id: &UserId,
    now: UnixSeconds,
) -> Result<bool, Error> {
    store::record_offer(transaction, user_id, now, now - INTERVAL).await
}
