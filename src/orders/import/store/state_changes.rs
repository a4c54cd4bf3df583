//! The table `order_state_changes`: what the running import changed, until its end queues the mail about it.

use super::lease::Lease;
use super::tuples;
use super::write::Upsert;
use crate::clock::Clock;
use crate::database::{Database, Error, Transaction, batches};
use crate::domain::{Email, UserId};
use crate::mail::{self, Message};
use crate::orders::order::{OrderName, OrderNumber};
use crate::orders::status::OrderStatus;
use crate::orders::store::unreadable;

use sqlx::AssertSqlSafe;

/// Customers whose mail one transaction queues.
pub(in crate::orders::import) const CUSTOMERS: i64 = 50;
/// The states that customers get mail about.
const MAILED: [OrderStatus; 3] = [OrderStatus::Sent, OrderStatus::Cancelled, OrderStatus::Refunded];

/// An order whose state changed.
pub(in crate::orders::import) struct StateChange {
    pub name: OrderName,
    pub number: OrderNumber,
    pub status: OrderStatus,
}

/// Stores which orders of customers come into another state, in the transaction that writes them. New orders have no state before.
pub(in crate::orders::import) async fn record(
    transaction: &mut Transaction,
    upserts: &[Upsert<'_>],
) -> Result<(), Error> {
    let changes: Vec<(&str, &str, OrderStatus)> = upserts.iter().filter_map(change).collect();
    for batch in batches(&changes) {
        let sql = format!(
            "INSERT INTO order_state_changes (order_id, user_id, status) VALUES {}
             ON CONFLICT (order_id) DO UPDATE SET user_id = excluded.user_id, status = excluded.status",
            tuples(transaction.engine(), batch.len(), 3)
        );
        let mut query = sqlx::query(AssertSqlSafe(sql));
        for (order_id, user_id, status) in batch {
            query = query.bind(*order_id).bind(*user_id).bind(status.as_str());
        }
        query.execute(&mut *transaction).await?;
    }
    Ok(())
}

fn change<'u>(upsert: &'u Upsert<'_>) -> Option<(&'u str, &'u str, OrderStatus)> {
    let (owner, before) = upsert.former.as_ref()?;
    let status = upsert.status();
    let is_change = before.status != status && MAILED.contains(&status) && upsert.owner.as_ref() == Some(owner);
    is_change.then_some((upsert.id.as_str(), owner.as_str(), status))
}

/// Removes all changes.
pub(in crate::orders::import) async fn delete_all(database: &Database) -> Result<(), Error> {
    sqlx::query("DELETE FROM order_state_changes").execute(database.writer()).await.map(drop)
}

/// Queues one mail for each of some customers, and removes their changes; returns the number of these customers. `message` makes the mail of
/// one customer. None while another import has the lease. Customers without a confirmed address, disabled ones and those who turned such mail off get none.
pub(in crate::orders::import) async fn enqueue_some(
    database: &Database,
    clock: &Clock,
    lease: &Lease,
    message: impl Fn(&[StateChange]) -> Message,
) -> Result<usize, Error> {
    let users: Vec<UserId> =
        sqlx::query_scalar("SELECT DISTINCT user_id FROM order_state_changes ORDER BY user_id LIMIT $1")
            .bind(CUSTOMERS)
            .fetch_all(database.reader())
            .await?;
    if users.is_empty() {
        return Ok(0);
    }
    let is_ours = database
        .write(async |transaction| {
            if !lease.renew(transaction, clock).await? {
                return Ok(false);
            }
            for user_id in &users {
                let changes = find_changes(transaction, user_id).await?;
                let recipient = find_recipient(transaction, user_id).await?;
                if let Some(email) = recipient.filter(|_| !changes.is_empty()) {
                    mail::enqueue(transaction, clock, &email, Some(user_id.as_str()), &message(&changes)).await?;
                }
                sqlx::query("DELETE FROM order_state_changes WHERE user_id = $1")
                    .bind(user_id)
                    .execute(&mut *transaction)
                    .await?;
            }
            Ok::<_, Error>(true)
        })
        .await?;
    Ok(if is_ours { users.len() } else { 0 })
}

/// The customer's changes that are still true, the latest order first.
async fn find_changes(transaction: &mut Transaction, user_id: &UserId) -> Result<Vec<StateChange>, Error> {
    let rows: Vec<(String, String, String)> = sqlx::query_as(
        "SELECT o.name, o.number, o.status FROM order_state_changes c
         JOIN orders o ON o.id = c.order_id AND o.user_id = c.user_id AND o.status = c.status
         WHERE c.user_id = $1 ORDER BY o.placed_at DESC, o.id DESC",
    )
    .bind(user_id)
    .fetch_all(&mut *transaction)
    .await?;
    let change = |(name, number, status): (String, String, String)| {
        Ok(StateChange {
            name: OrderName::parse(&name).ok_or_else(|| unreadable("name"))?,
            number: OrderNumber::parse(&number).ok_or_else(|| unreadable("number"))?,
            status: status.parse().map_err(|_| unreadable("status"))?,
        })
    };
    rows.into_iter().map(change).collect()
}

async fn find_recipient(transaction: &mut Transaction, user_id: &UserId) -> Result<Option<Email>, Error> {
    let email: Option<String> = sqlx::query_scalar(
        "SELECT email FROM users
         WHERE id = $1 AND verified_at IS NOT NULL AND disabled_at IS NULL AND order_mails_off_at IS NULL",
    )
    .bind(user_id)
    .fetch_optional(&mut *transaction)
    .await?;
    Ok(email.and_then(|email| Email::parse(&email).ok()))
}
