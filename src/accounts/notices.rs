//! Mail that anybody can cause, and mail that nobody may stop.
//!
//! A confirmation of a sign-up or a change goes wherever somebody says, so an address gets few of them, whichever accounts ask. A
//! security notice is never limited, or else an attacker would use up the limit first; it goes to confirmed addresses alone, so that
//! nobody can have it sent to others, and equal ones within ten minutes are merged.

use super::activity::Event;
use super::throttle::{self, Counter};
use super::{Accounts, store};
use crate::database::{self, Transaction};
use crate::mail::{self, Email, Message, recoveries};
use crate::web::{Client, Error};

/// What makes two notices to one address equal.
pub(super) struct Notice<'a> {
    pub event: Event,
    /// The new address, where the event has one.
    pub new_email: Option<&'a str>,
    pub client: &'a Client,
    pub message: &'a Message,
}

impl Accounts {
    /// Counts a confirmation to an address.
    ///
    /// # Errors
    /// [`Error::Throttled`] when the address has had as many as it may, or the database's.
    pub(super) async fn count_confirmation(&self, to: &Email) -> Result<(), Error> {
        throttle::count(&self.database, &self.clock, &[confirmation(to)]).await
    }

    /// Queues a security notice to the account's address, if that was confirmed. What it tells of can be undone from then on, also where
    /// the notice is merged with the one before: the address is kept in any case, and that one's link is valid and does more. It does not go
    /// with the account: whoever deletes that at once would keep the owner of the former address from hearing of it.
    pub(super) async fn notify(
        &self,
        transaction: &mut Transaction,
        account: &store::Account,
        notice: Notice<'_>,
    ) -> Result<(), database::Error> {
        if account.verified_at.is_none() {
            return Ok(());
        }
        let address = notice.client.address.to_string();
        let device = notice.client.device();
        let of = [notice.event.code(), notice.new_email.unwrap_or_default(), &address, &device];
        let counter = throttle::of_notice(account.email.as_str(), &of);
        let is_merged = !store::throttles::count_once(transaction, &counter, self.clock.now()).await?;
        let mail_id = match is_merged {
            true => self.clock.new_id(),
            false => mail::post(transaction, &self.clock, &account.email, None, notice.message).await?,
        };
        if notice.message.has_recovery_link() {
            let now = self.clock.now();
            recoveries::insert(transaction, &mail_id, &account.id, &account.email, now).await?;
        }
        Ok(())
    }
}

/// The counter of confirmations to an address. It outlives the accounts that caused them.
pub(super) fn confirmation(to: &Email) -> Counter {
    Counter::new(throttle::CONFIRMATION, &[to.as_str()])
}
