//! The offer to add a passkey, on the page that follows a login with a password: once in 30 days, to the owner of a confirmed account that
//! has none.

use std::time::Duration;

use actix_web::HttpResponse;

use super::store;
use crate::accounts::store::Account;
use crate::accounts::{AccountNotice, Accounts};
use crate::domain::{UnixSeconds, days};
use crate::web::{Notice, PasskeySupport};

const INTERVAL: Duration = days(30);

/// Whether an offer can be due, by the account's row. Spares most logins the statement.
fn may_be_due(account: &Account, now: UnixSeconds) -> bool {
    let is_recent = account.passkey_offered_at.is_some_and(|at| at > now - INTERVAL);
    account.verified_at.is_some() && !account.has_passkeys() && !is_recent
}

impl Accounts {
    /// Offers a passkey on the next page, if that is due. A login does not fail because of it.
    pub(in crate::accounts) async fn offer_passkey(
        &self,
        account: &Account,
        passkeys: &PasskeySupport,
        response: &mut HttpResponse,
    ) {
        let now = self.clock.now();
        if !passkeys.is_supported() || !may_be_due(account, now) {
            return;
        }
        match store::record_offer(&self.database, &account.id, now, now - INTERVAL).await {
            Ok(true) => AccountNotice::PasskeyOffered.show_next(response),
            Ok(false) => {}
            Err(error) => tracing::warn!(%error, "passkey not offered"),
        }
    }
}
