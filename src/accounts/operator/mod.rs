//! Commands of the operator: `order-portal user …`.

mod store;

pub use store::{UserDetail, UserLine, list, show};

use super::audit::{self, Event, NewAuditEvent};
use super::mfa;
use super::store as users;
use crate::clock::Clock;
use crate::database::{Database, Error, Transaction};
use crate::domain::{Email, UnixSeconds, UserId};
use crate::mail::tokens::{self, Purpose};
use crate::mail::{self, AboutFactors, FactorChange, Message, RequestOrigin, recoveries};
use crate::orders::{self, OperatorOrder};
use crate::sessions;

/// Does what the mailed link does: confirms the address, and the orders placed with it become the account's. Returns how many; `None` if
/// there is no such account.
pub async fn verify(database: &Database, clock: &Clock, email: &Email) -> Result<Option<u64>, Error> {
    let now = clock.now();
    database
        .write(async |transaction| {
            let Some(user) = store::find(transaction, email).await? else {
                return Ok(None);
            };
            users::set_verified(transaction, &user.id, email, now).await?;
            let claimed = orders::claim(transaction, &user.id, email.as_str()).await?;
            tokens::remove_queued(transaction, &user.id, Purpose::Verify).await?;
            if user.verified_at.is_none() {
                record(transaction, clock, &user.id, Event::EmailVerified, now).await?;
            }
            Ok(Some(claimed))
        })
        .await
}

/// Disables an account and revokes its sessions; returns whether the account exists.
pub async fn disable(database: &Database, clock: &Clock, email: &Email) -> Result<bool, Error> {
    let now = clock.now();
    database
        .write(async |transaction| {
            let Some(user) = store::find(transaction, email).await? else {
                return Ok(false);
            };
            if user.disabled_at.is_none() {
                store::set_disabled_at(transaction, &user.id, Some(now)).await?;
                record(transaction, clock, &user.id, Event::AccountDisabled, now).await?;
            }
            sessions::revoke_others(transaction, &user.id, None, now).await?;
            Ok(true)
        })
        .await
}

/// Removes all factors of an account, ends every session, and tells the owner by mail; returns whether the account exists.
pub async fn reset_mfa(database: &Database, clock: &Clock, email: &Email) -> Result<bool, Error> {
    let now = clock.now();
    database
        .write(async |transaction| {
            let Some(user) = store::find(transaction, email).await? else {
                return Ok(false);
            };
            mfa::remove_all(transaction, &user.id).await?;
            sessions::revoke_others(transaction, &user.id, None, now).await?;
            record(transaction, clock, &user.id, Event::FactorsReset, now).await?;
            if user.verified_at.is_some() {
                let about = AboutFactors { origin: RequestOrigin::operator(now), change: FactorChange::Reset };
                let message = Message::AboutFactors(about);
                let mail_id = mail::enqueue(transaction, clock, email, None, &message).await?;
                recoveries::insert(transaction, &mail_id, &user.id, email, now).await?;
            }
            Ok(true)
        })
        .await
}

/// Gives an order to an account; returns whether the account exists.
pub async fn link_order(
    database: &Database,
    clock: &Clock,
    email: &Email,
    order: &OperatorOrder,
) -> Result<bool, Error> {
    let now = clock.now();
    database
        .write(async |transaction| {
            let Some(user) = store::find(transaction, email).await? else {
                return Ok(false);
            };
            if order.user_id.as_deref() != Some(user.id.as_str()) {
                orders::link(transaction, &user.id, order).await?;
                record(transaction, clock, &user.id, Event::OrderLinked, now).await?;
            }
            Ok(true)
        })
        .await
}

/// Enables a disabled account; returns whether the account exists.
pub async fn enable(database: &Database, clock: &Clock, email: &Email) -> Result<bool, Error> {
    let now = clock.now();
    database
        .write(async |transaction| {
            let Some(user) = store::find(transaction, email).await? else {
                return Ok(false);
            };
            if user.disabled_at.is_some() {
                store::set_disabled_at(transaction, &user.id, None).await?;
                record(transaction, clock, &user.id, Event::AccountEnabled, now).await?;
            }
            Ok(true)
        })
        .await
}

/// Deletes an account, as its owner can on the account page; returns whether it existed. A confirmed address gets a mail about it.
pub async fn delete(database: &Database, clock: &Clock, email: &Email) -> Result<bool, Error> {
    let deleted = database
        .write(async |transaction| {
            let Some(user) = store::find(transaction, email).await? else {
                return Ok::<_, Error>(None);
            };
            orders::remove_samples(transaction, &user.id).await?;
            users::delete(transaction, &user.id).await?;
            if user.verified_at.is_some() {
                let message = Message::AccountDeleted(RequestOrigin::operator(clock.now()));
                mail::enqueue(transaction, clock, email, None, &message).await?;
            }
            Ok(Some(user.id))
        })
        .await?;
    // Only logged: the account's audit events are deleted with it.
    if let Some(user_id) = &deleted {
        tracing::info!(user = %user_id, by = "operator", "account deleted");
    }
    Ok(deleted.is_some())
}

async fn record(
    transaction: &mut Transaction,
    clock: &Clock,
    user_id: &UserId,
    event: Event,
    at: UnixSeconds,
) -> Result<(), Error> {
    let client = audit::operator();
    audit::record(transaction, user_id, &NewAuditEvent { id: clock.new_id(), event, client: &client, at }).await
}
