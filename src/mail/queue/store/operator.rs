//! Statements of `order-portal mail …`.

use sqlx::AssertSqlSafe;

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
    /// The reason of the last failed attempt; `None` while a node delivers the message.
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

/// Messages that the operator may retry.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Undelivered {
    Failed,
    Deferred,
}

impl Undelivered {
    /// A node clears the reason of the last attempt while it delivers a message, so that one is not delivered twice at once.
    const fn condition(self) -> &'static str {
        match self {
            Self::Failed => "failed_at IS NOT NULL",
            Self::Deferred => "failed_at IS NULL AND failure IS NOT NULL",
        }
    }
}

/// Makes a message due now, or with `None` all of them, with two days to be delivered; returns how many.
pub async fn retry(database: &Database, which: Undelivered, id: Option<&str>, now: UnixSeconds) -> Result<u64, Error> {
    let sql = format!(
        "UPDATE mail_queue SET failed_at = NULL, failure = NULL, attempts = 0, due_at = $1, retried_at = $2
         WHERE {} AND (CAST($3 AS TEXT) IS NULL OR id = $4)",
        which.condition()
    );
    let retried = sqlx::query(AssertSqlSafe(sql)).bind(now).bind(now).bind(id).bind(id);
    Ok(retried.execute(database.writer()).await?.rows_affected())
}

/// Whether the queue has a message with this id.
pub async fn is_queued(database: &Database, id: &str) -> Result<bool, Error> {
    let found: Option<(String,)> =
        sqlx::query_as("SELECT id FROM mail_queue WHERE id = $1").bind(id).fetch_optional(database.reader()).await?;
    Ok(found.is_some())
}

/// Deletes a message, failed or not; returns whether it existed.
pub async fn drop(database: &Database, id: &str) -> Result<bool, Error> {
    let dropped = sqlx::query("DELETE FROM mail_queue WHERE id = $1").bind(id).execute(database.writer()).await?;
    Ok(dropped.rows_affected() == 1)
}
