//! Statements of `order-portal mail …`.

use crate::database::{Database, Error};
use crate::domain::UnixSeconds;
use crate::mail::Message;

/// A message in the queue.
pub struct QueuedMail {
    pub id: String,
    pub recipient: String,
    /// A short name of what the mail is about.
    pub kind: String,
    pub created_at: UnixSeconds,
    /// The time of the next attempt, or the end of the lease while a node delivers it.
    pub due_at: UnixSeconds,
    pub attempts: i64,
    pub has_failed: bool,
    /// The reason of the last failed attempt.
    pub failure: Option<String>,
}

type Row = (String, String, String, UnixSeconds, UnixSeconds, i64, Option<UnixSeconds>, Option<String>);

/// The whole queue, oldest message first.
pub async fn list(database: &Database) -> Result<Vec<QueuedMail>, Error> {
    let rows: Vec<Row> = sqlx::query_as(
        "SELECT id, recipient, message, created_at, due_at, attempts, failed_at, failure
         FROM mail_queue ORDER BY created_at, id",
    )
    .fetch_all(database.reader())
    .await?;
    let mail = |(id, recipient, message, created_at, due_at, attempts, failed_at, failure): Row| QueuedMail {
        id,
        recipient,
        kind: Message::kind_of_json(&message),
        created_at,
        due_at,
        attempts,
        has_failed: failed_at.is_some(),
        failure,
    };
    Ok(rows.into_iter().map(mail).collect())
}

/// The result of [`retry`].
#[derive(Debug, PartialEq, Eq)]
pub enum Retry {
    Queued,
    /// The message has not failed: the worker delivers it anyway.
    NotFailed,
    UnknownId,
}

/// Makes a failed message due now, or with `None` all of them, with two days to be delivered; returns how many.
pub async fn retry_failed(database: &Database, id: Option<&str>, now: UnixSeconds) -> Result<u64, Error> {
    let retried = sqlx::query(
        "UPDATE mail_queue SET failed_at = NULL, failure = NULL, attempts = 0, due_at = $1, retried_at = $2
         WHERE failed_at IS NOT NULL AND (CAST($3 AS TEXT) IS NULL OR id = $4)",
    )
    .bind(now)
    .bind(now)
    .bind(id)
    .bind(id)
    .execute(database.writer())
    .await?;
    Ok(retried.rows_affected())
}

/// Retries one message.
pub async fn retry(database: &Database, id: &str, now: UnixSeconds) -> Result<Retry, Error> {
    if retry_failed(database, Some(id), now).await? == 1 {
        return Ok(Retry::Queued);
    }
    let found: Option<(String,)> =
        sqlx::query_as("SELECT id FROM mail_queue WHERE id = $1").bind(id).fetch_optional(database.reader()).await?;
    Ok(if found.is_some() { Retry::NotFailed } else { Retry::UnknownId })
}

/// Deletes a message, failed or not; returns whether it existed.
pub async fn drop(database: &Database, id: &str) -> Result<bool, Error> {
    let dropped = sqlx::query("DELETE FROM mail_queue WHERE id = $1").bind(id).execute(database.writer()).await?;
    Ok(dropped.rows_affected() == 1)
}
