//! The operator's view of the queue: `order-portal mail …`.

use crate::clock::UnixSeconds;
use crate::database::{Database, Error};
use crate::mail::Message;

/// A message in the queue.
pub struct QueuedMail {
    /// Names it in `retry` and `drop`.
    pub id: String,
    /// Where it goes.
    pub recipient: String,
    /// What it is about.
    pub kind: String,
    /// When it was queued.
    pub created_at: UnixSeconds,
    /// When it is tried next; for one that a node is delivering now, when that node's lease ends.
    pub due_at: UnixSeconds,
    /// How often it was tried.
    pub attempts: i64,
    /// Whether it is delivered no more.
    pub has_failed: bool,
    /// Why the last attempt failed.
    pub failure: Option<String>,
}

type Row = (String, String, String, i64, i64, i64, Option<i64>, Option<String>);

/// The whole queue, the oldest message first.
///
/// # Errors
/// The database's.
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
        kind: Message::kind_of(&message),
        created_at: UnixSeconds::new(created_at),
        due_at: UnixSeconds::new(due_at),
        attempts,
        has_failed: failed_at.is_some(),
        failure,
    };
    Ok(rows.into_iter().map(mail).collect())
}

/// What became of a message that the operator wants to be delivered again.
#[derive(Debug, PartialEq, Eq)]
pub enum Retried {
    /// It is due now.
    Queued,
    /// It has not failed: it is delivered anyway.
    NotFailed,
    /// No message has that id.
    Unknown,
}

/// Makes a failed message due now, with two days to be delivered.
///
/// # Errors
/// The database's.
pub async fn retry(database: &Database, id: &str, now: UnixSeconds) -> Result<Retried, Error> {
    let retried = sqlx::query(
        "UPDATE mail_queue SET failed_at = NULL, failure = NULL, attempts = 0, due_at = $1, retried_at = $2
         WHERE id = $3 AND failed_at IS NOT NULL",
    )
    .bind(now.get())
    .bind(now.get())
    .bind(id)
    .execute(database.writer())
    .await?;
    if retried.rows_affected() == 1 {
        return Ok(Retried::Queued);
    }
    let found: Option<(String,)> =
        sqlx::query_as("SELECT id FROM mail_queue WHERE id = $1").bind(id).fetch_optional(database.reader()).await?;
    Ok(if found.is_some() { Retried::NotFailed } else { Retried::Unknown })
}

/// Does the same for all failed messages; returns how many.
///
/// # Errors
/// The database's.
pub async fn retry_all_failed(database: &Database, now: UnixSeconds) -> Result<u64, Error> {
    let retried = sqlx::query(
        "UPDATE mail_queue SET failed_at = NULL, failure = NULL, attempts = 0, due_at = $1, retried_at = $2
         WHERE failed_at IS NOT NULL",
    )
    .bind(now.get())
    .bind(now.get())
    .execute(database.writer())
    .await?;
    Ok(retried.rows_affected())
}

/// Removes a message, failed or not; tells whether there was one.
///
/// # Errors
/// The database's.
pub async fn drop(database: &Database, id: &str) -> Result<bool, Error> {
    let dropped = sqlx::query("DELETE FROM mail_queue WHERE id = $1").bind(id).execute(database.writer()).await?;
    Ok(dropped.rows_affected() == 1)
}
