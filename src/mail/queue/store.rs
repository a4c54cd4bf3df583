//! The table `mail_queue`.

pub mod operator;
#[cfg(test)]
mod query_plans;

use std::time::Duration;

use crate::clock::Clock;
use crate::database::{Database, Error, Transaction};
use crate::domain::{Email, UnixSeconds, UserId, days};
use crate::mail::Message;
use crate::mail::tokens::Purpose;

/// Failed messages are kept this long for the operator.
const FAILED_RETENTION: Duration = days(30);

/// Adds a message to the queue, in the transaction of the change that it reports; returns its id. If `user_id` is given, the message is
/// deleted together with that account.
pub async fn enqueue(
    transaction: &mut Transaction,
    clock: &Clock,
    recipient: &Email,
    user_id: Option<&str>,
    message: &Message,
) -> Result<String, Error> {
    let (id, now) = (clock.new_id(), clock.now());
    let json = serde_json::to_string(message).map_err(|error| Error::Encode(error.into()))?;
    sqlx::query(
        "INSERT INTO mail_queue (id, user_id, recipient, purpose, message, created_at, due_at, attempts)
         VALUES ($1, $2, $3, $4, $5, $6, $7, 0)",
    )
    .bind(&id)
    .bind(user_id)
    .bind(recipient.as_str())
    .bind(message.purpose().map(Purpose::code))
    .bind(json)
    .bind(now)
    .bind(now)
    .execute(&mut *transaction)
    .await?;
    Ok(id)
}

/// A message that this node has claimed for delivery.
#[derive(sqlx::FromRow)]
pub(super) struct ClaimedMail {
    pub id: String,
    pub user_id: Option<UserId>,
    pub recipient: String,
    /// JSON.
    pub message: String,
    /// When it was queued, or last retried by the operator.
    pub queued_at: UnixSeconds,
    /// Includes the current one.
    pub attempts: i64,
    /// The time zone of the recipient's account.
    pub time_zone: Option<String>,
}

/// Claims the message that is due longest, until `lease_ends`. Other nodes claim other messages.
pub(super) async fn claim_due(
    database: &Database,
    now: UnixSeconds,
    lease_ends: UnixSeconds,
    max_wait: Duration,
) -> Result<Option<ClaimedMail>, Error> {
    let latest = now + max_wait;
    sqlx::query_as(CLAIM)
        .bind(lease_ends)
        .bind(now)
        .bind(latest)
        .bind(now)
        .bind(latest)
        .fetch_optional(database.writer())
        .await
}

/// A due time further ahead than the longest wait was written by a node with a wrong clock, so the message counts as due. Each subquery
/// reads one entry of the index. A message that is being delivered has no reason of an earlier attempt: that is how the operator's commands
/// tell it from a deferred one.
const CLAIM: &str = "UPDATE mail_queue SET due_at = $1, attempts = attempts + 1, failure = NULL
     WHERE failed_at IS NULL AND (due_at <= $2 OR due_at > $3) AND id = COALESCE(
         (SELECT id FROM mail_queue WHERE failed_at IS NULL AND due_at <= $4 ORDER BY due_at, id LIMIT 1),
         (SELECT id FROM mail_queue WHERE failed_at IS NULL AND due_at > $5 ORDER BY due_at, id LIMIT 1))
     RETURNING id, user_id, recipient, message, COALESCE(retried_at, created_at) AS queued_at, attempts,
         COALESCE((SELECT time_zone FROM users WHERE users.id = mail_queue.user_id),
             (SELECT time_zone FROM users WHERE users.email = mail_queue.recipient)) AS time_zone";

/// Schedules the next attempt. `attempts` is the number of those that count.
pub(super) async fn defer(
    database: &Database,
    id: &str,
    attempts: i64,
    due_at: UnixSeconds,
    reason: &str,
) -> Result<(), Error> {
    sqlx::query("UPDATE mail_queue SET due_at = $1, failure = $2, attempts = $3 WHERE id = $4")
        .bind(due_at)
        .bind(reason)
        .bind(attempts)
        .bind(id)
        .execute(database.writer())
        .await
        .map(drop)
}

/// Marks the message as failed: it is not delivered unless the operator retries it.
pub(super) async fn fail(database: &Database, id: &str, now: UnixSeconds, reason: &str) -> Result<(), Error> {
    sqlx::query("UPDATE mail_queue SET failed_at = $1, failure = $2, due_at = $3 WHERE id = $4")
        .bind(now)
        .bind(reason)
        .bind(UnixSeconds::new(i64::MAX))
        .bind(id)
        .execute(database.writer())
        .await
        .map(drop)
}

/// Deletes the message from the queue.
pub(super) async fn delete(database: &Database, id: &str) -> Result<(), Error> {
    sqlx::query("DELETE FROM mail_queue WHERE id = $1").bind(id).execute(database.writer()).await.map(drop)
}

/// Maintenance: deletes a batch of messages that failed long ago; returns how many.
pub async fn delete_old_failures(database: &Database, now: UnixSeconds) -> Result<u64, Error> {
    database.delete_expired("mail_queue", "id", "failed_at", now - FAILED_RETENTION).await
}
