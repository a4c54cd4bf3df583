//! The offer to add a passkey, on the page that follows a login with a password: once in 30 days, to the owner of a confirmed account that
//! has none.

use std::time::Duration;

use super::store;
use crate::database::{Error, Transaction};
use crate::domain::{UnixSeconds, UserId, days};

const INTERVAL: Duration = days(30);

/// Whether to offer a passkey now. It is one statement, so that parallel logins offer it once.
pub(in crate::accounts) async fn is_due(
    transaction: &mut Transaction,
    user_id: &UserId,
    now: UnixSeconds,
) -> Result<bool, Error> {
    store::record_offer(transaction, user_id, now, now - INTERVAL).await
}
