//! What submitted forms share: the idempotency key, the limit of requests, mail to the customer and to the shop.

use super::store;
use crate::clock::Clock;
use crate::config::ShopContact;
use crate::database::{self, Database, Transaction};
use crate::domain::{Email, UnixSeconds};
use crate::mail::{self, AboutOrder, Message, RequestOrigin, ToShop};
use crate::orders::idempotency::{self, IdempotencyKey};
use crate::orders::order::Order;
use crate::orders::url::order_url;
use crate::sessions::CurrentUser;
use crate::web::{Error, Layout};

/// Requests of one kind by one customer in a day: more than anyone needs, too few to flood the shop's mailbox.
pub(super) const MAX_PER_DAY: i64 = 50;
pub(super) const DAY: i64 = 86_400;

/// The result of a submitted form.
pub(super) enum Outcome {
    Done,
    /// A request with the same key did it before.
    Repeated,
    /// The order is not in a state that allows it.
    NotPossible,
    /// The key came with another request before.
    KeyReused,
    /// The limit is reached; another request is possible after so many seconds.
    TooMany {
        retry_after: i64,
    },
}

/// A submitted form with all that it needs.
pub(super) struct Submission<'a> {
    pub database: &'a Database,
    pub clock: &'a Clock,
    pub user: &'a CurrentUser,
    pub layout: &'a Layout,
    pub order: &'a Order,
    pub origin: RequestOrigin,
}

pub(super) fn parse_key(text: &str) -> Result<IdempotencyKey, Error> {
    let invalid = || Error::BadRequest("the form's key is missing or was altered; load the page again".to_owned());
    IdempotencyKey::parse(text).ok_or_else(invalid)
}

pub(super) fn new_key() -> Result<String, Error> {
    let key = IdempotencyKey::generate().map_err(|error| Error::Internal(error.to_string().into()))?;
    Ok(key.as_str().to_owned())
}

pub(super) fn key_reused() -> Error {
    Error::BadRequest("the form was sent before with something else in it; load the page again".to_owned())
}

/// The outcome when the n-th latest request was at `nth_latest`.
pub(super) fn limit(nth_latest: Option<UnixSeconds>, now: UnixSeconds) -> Option<Outcome> {
    nth_latest.map(|at| Outcome::TooMany { retry_after: at.plus(DAY).since(now).clamp(1, DAY) })
}

impl Submission<'_> {
    /// The outcome of an earlier request with the same key.
    pub(super) async fn stored_outcome(
        &self,
        transaction: &mut Transaction,
        key: &IdempotencyKey,
        request: &str,
    ) -> Result<Option<Outcome>, database::Error> {
        let stored = idempotency::store::find_request(transaction, &self.user.user_id, key).await?;
        Ok(stored.map(|stored| if stored == request { Outcome::Repeated } else { Outcome::KeyReused }))
    }

    pub(super) async fn store_outcome(
        &self,
        transaction: &mut Transaction,
        key: &IdempotencyKey,
        request: &str,
    ) -> Result<(), database::Error> {
        let (user_id, now) = (&self.user.user_id, self.clock.now());
        idempotency::store::store_request(transaction, user_id, key, request, &self.order.number, now).await
    }

    /// Mail to the customer, if the address is confirmed.
    pub(super) async fn mail_customer(
        &self,
        transaction: &mut Transaction,
        message: AboutOrder,
    ) -> Result<(), database::Error> {
        let Some(email) = self.confirmed_email() else { return Ok(()) };
        let (user_id, message) = (Some(self.user.user_id.as_str()), Message::AboutOrder(message));
        mail::enqueue(transaction, self.clock, &email, user_id, &message).await.map(drop)
    }

    /// Mail to the shop about a customer with a confirmed address, if `SHOP_CONTACT` is an address. It is not deleted with the customer's
    /// account.
    pub(super) async fn mail_shop(
        &self,
        transaction: &mut Transaction,
        message: ToShop,
    ) -> Result<(), database::Error> {
        let contact = self.layout.shop.contact.as_ref().filter(|_| self.confirmed_email().is_some());
        let Some(email) = contact.and_then(ShopContact::email) else { return Ok(()) };
        mail::enqueue(transaction, self.clock, &email, None, &Message::ToShop(message)).await.map(drop)
    }

    fn confirmed_email(&self) -> Option<Email> {
        let viewer = self.layout.viewer.as_ref().filter(|viewer| viewer.is_verified)?;
        Email::parse(&viewer.email).ok()
    }

    /// The customer's address, for the shop.
    pub(super) fn customer(&self) -> String {
        self.layout.viewer.as_ref().map(|viewer| viewer.email.clone()).unwrap_or_default()
    }

    /// The order's name, for mail.
    pub(super) fn name(&self) -> String {
        self.order.name.to_string()
    }

    /// The order's name for the shop: `#1`, or `#1 (Id 4567, Tea & Co)` when several orders have that number.
    pub(super) async fn name_for_shop(&self, transaction: &mut Transaction) -> Result<String, database::Error> {
        let distinction = store::find_distinction(transaction, self.order).await?;
        Ok(distinction.map_or_else(|| self.name(), |distinction| format!("{} ({distinction})", self.name())))
    }

    pub(super) fn path(&self) -> String {
        order_url(&self.order.number)
    }
}
