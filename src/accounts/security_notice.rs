//! Security notices, and the limit of confirmation mail.
//!
//! Anybody can cause confirmation mail to any address, so an address gets few of them, from all accounts together. A security notice is
//! never rate limited, because an attacker would use up the limit first. It is sent only to confirmed addresses, so an attacker cannot
//! have it sent to others, and equal ones within ten minutes are merged.

use super::audit::Event;
use super::{Accounts, rate_limits, store};
use crate::database::{self, Transaction};
use crate::domain::{Email, UnixSeconds};
use crate::mail::{self, Message, recoveries};
use crate::rate_limit;
use crate::web::{Client, Error};

pub(super) struct SecurityNotice<'a> {
    pub event: Event,
    /// The new address, if the event has one.
    pub new_email: Option<&'a Email>,
    /// The time of the event: the recovery undoes what has happened since.
    pub at: UnixSeconds,
    pub client: &'a Client,
    pub message: &'a Message,
}

impl Accounts {
    /// Counts a confirmation mail to an address.
    pub(super) async fn count_confirmation(&self, to: &Email) -> Result<(), Error> {
        rate_limit::count(&self.database, &self.clock, &[rate_limits::confirmation_mail(to)]).await
    }

    /// Queues a security notice to the account's address, if it is confirmed, and stores the recovery. A merged notice gets a recovery,
    /// too: the address must be reserved, and the earlier notice's link is valid and undoes more. The mail is not deleted with the
    /// account: otherwise an attacker could delete the account at once, and the owner of the former address would not be notified.
    pub(super) async fn notify(
        &self,
        transaction: &mut Transaction,
        account: &store::Account,
        notice: SecurityNotice<'_>,
    ) -> Result<(), database::Error> {
        if account.verified_at.is_none() {
            return Ok(());
        }
        let is_merged = !self.count_notice(transaction, account, &notice).await?;
        // Nothing is to be undone but the login, which the link of the earlier notice ends, too.
        if is_merged && notice.event == Event::LoggedIn {
            return Ok(());
        }
        let mail_id = match is_merged {
            true => self.clock.new_id(),
            false => mail::enqueue(transaction, &self.clock, &account.email, None, notice.message).await?,
        };
        if notice.message.has_recovery_link() {
            recoveries::insert(transaction, &mail_id, &account.id, &account.email, notice.at).await?;
        }
        Ok(())
    }

    /// Counts a notice; returns whether it is the first of equal ones within ten minutes.
    pub(super) async fn count_notice(
        &self,
        transaction: &mut Transaction,
        account: &store::Account,
        notice: &SecurityNotice<'_>,
    ) -> Result<bool, database::Error> {
        let address = notice.client.address.to_string();
        let device = notice.client.device();
        let detail = notice.new_email.map_or(notice.message.detail(), Email::as_str);
        let parts = [account.id.as_str(), notice.event.code(), detail, &address, &device];
        let counter = rate_limits::security_notice(&account.email, &parts);
        rate_limit::count_single(transaction, &counter, self.clock.now()).await
    }
}
