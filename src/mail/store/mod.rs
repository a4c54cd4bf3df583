//! The rows of mail that waits and of the links that were sent.

pub mod operator;
#[cfg(test)]
mod plans;
pub mod recoveries;

use super::links::{Link, Purpose};
use super::{Email, Message};
use crate::clock::{Clock, UnixSeconds};
use crate::database::{Database, Error, Transaction, UPKEEP_BATCH};

/// Puts a message into the queue, as part of what it tells of; returns its id. `user_id` is the account that it goes with.
///
/// # Errors
/// The database's.
pub async fn post(
    transaction: &mut Transaction,
    clock: &Clock,
    recipient: &Email,
    user_id: Option<&str>,
    message: &Message,
) -> Result<String, Error> {
    let (id, now) = (clock.new_id(), clock.now().get());
    let json = serde_json::to_string(message).map_err(|error| Error::Encode(error.into()))?;
    sqlx::query(
        "INSERT INTO mail_queue (id, user_id, recipient, purpose, message, created_at, due_at, attempts)
         VALUES ($1, $2, $3, $4, $5, $6, $7, 0)",
    )
    .bind(&id)
    .bind(user_id)
    .bind(recipient.as_str())
    .bind(message.purpose().map(Purpose::as_str))
    .bind(json)
    .bind(now)
    .bind(now)
    .execute(&mut *transaction)
    .await?;
    Ok(id)
}

/// A message that is claimed for delivery.
pub(super) struct Due {
    pub id: String,
    pub user_id: Option<String>,
    pub recipient: String,
    pub message: String,
    /// When it was queued, or last retried by the operator.
    pub since: UnixSeconds,
    /// This one included.
    pub attempts: i64,
}

/// Claims the message that is due longest, until `lease_ends`; another node claims another one.
pub(super) async fn claim_due(
    database: &Database,
    now: UnixSeconds,
    lease_ends: UnixSeconds,
    longest_wait: i64,
) -> Result<Option<Due>, Error> {
    let latest = now.plus(longest_wait).get();
    let row: Option<(String, Option<String>, String, String, i64, i64)> = sqlx::query_as(CLAIM)
        .bind(lease_ends.get())
        .bind(now.get())
        .bind(latest)
        .bind(now.get())
        .bind(latest)
        .fetch_optional(database.writer())
        .await?;
    Ok(row.map(|(id, user_id, recipient, message, since, attempts)| Due {
        id,
        user_id,
        recipient,
        message,
        since: UnixSeconds::new(since),
        attempts,
    }))
}

/// No message waits longer than the longest wait, so a time beyond it was written by a clock that ran ahead and counts as due.
/// Each half of the choice reads one entry of the index.
const CLAIM: &str = "UPDATE mail_queue SET due_at = $1, attempts = attempts + 1
     WHERE failed_at IS NULL AND (due_at <= $2 OR due_at > $3) AND id = COALESCE(
         (SELECT id FROM mail_queue WHERE failed_at IS NULL AND due_at <= $4 ORDER BY due_at, id LIMIT 1),
         (SELECT id FROM mail_queue WHERE failed_at IS NULL AND due_at > $5 ORDER BY due_at, id LIMIT 1))
     RETURNING id, user_id, recipient, message, COALESCE(retried_at, created_at), attempts";

/// Makes the message wait until `due_at`, after an attempt that failed because of `reason`.
pub(super) async fn defer(database: &Database, id: &str, due_at: UnixSeconds, reason: &str) -> Result<(), Error> {
    sqlx::query("UPDATE mail_queue SET due_at = $1, failure = $2 WHERE id = $3")
        .bind(due_at.get())
        .bind(reason)
        .bind(id)
        .execute(database.writer())
        .await
        .map(drop)
}

/// The same without counting the attempt: it was none of the message's own.
pub(super) async fn defer_uncounted(
    database: &Database,
    id: &str,
    due_at: UnixSeconds,
    reason: &str,
) -> Result<(), Error> {
    sqlx::query("UPDATE mail_queue SET due_at = $1, failure = $2, attempts = attempts - 1 WHERE id = $3")
        .bind(due_at.get())
        .bind(reason)
        .bind(id)
        .execute(database.writer())
        .await
        .map(drop)
}

/// Keeps the message as failed: it is not delivered again until the operator retries it.
pub(super) async fn fail(database: &Database, id: &str, now: UnixSeconds, reason: &str) -> Result<(), Error> {
    sqlx::query("UPDATE mail_queue SET failed_at = $1, failure = $2, due_at = $3 WHERE id = $4")
        .bind(now.get())
        .bind(reason)
        .bind(UnixSeconds::new(i64::MAX).get())
        .bind(id)
        .execute(database.writer())
        .await
        .map(drop)
}

/// Removes the message from the queue.
pub(super) async fn remove(database: &Database, id: &str) -> Result<(), Error> {
    sqlx::query("DELETE FROM mail_queue WHERE id = $1").bind(id).execute(database.writer()).await.map(drop)
}

/// Revokes one link, whichever kind it is of.
pub(super) async fn delete_token(database: &Database, hash: &[u8]) -> Result<(), Error> {
    for sql in ["DELETE FROM mailed_tokens WHERE hash = $1", "DELETE FROM recovery_tokens WHERE hash = $1"] {
        sqlx::query(sql).bind(hash).execute(database.writer()).await?;
    }
    Ok(())
}

/// Stores a link's hash, if there is still someone to send it to and the message still waits; tells whether it did.
pub(super) async fn insert_token(
    database: &Database,
    due: &Due,
    purpose: Purpose,
    hash: &[u8],
    now: UnixSeconds,
) -> Result<bool, Error> {
    let whose = match purpose {
        Purpose::Verify => "u.email = $6 AND u.verified_at IS NULL AND u.id = $7",
        Purpose::Reset => "u.email = $6 AND CAST($7 AS TEXT) IS NULL",
        Purpose::ChangeEmail => {
            "u.id = $7 AND NOT EXISTS (SELECT 1 FROM users o WHERE o.email = $6)
                AND NOT EXISTS (SELECT 1 FROM recoveries r WHERE r.email = $6 AND r.user_id <> u.id AND r.expires_at > $4)"
        }
    };
    let sql = format!(
        "INSERT INTO mailed_tokens (hash, user_id, purpose, email, created_at, expires_at)
         SELECT $1, u.id, CAST($2 AS TEXT), CAST($3 AS TEXT), CAST($4 AS BIGINT), CAST($5 AS BIGINT)
         FROM users u
         WHERE u.disabled_at IS NULL AND {whose} AND EXISTS (SELECT 1 FROM mail_queue q WHERE q.id = $8)"
    );
    let done = sqlx::query(sqlx::AssertSqlSafe(sql))
        .bind(hash)
        .bind(purpose.as_str())
        .bind(&due.recipient)
        .bind(now.get())
        .bind(now.plus(purpose.lifetime()).get())
        .bind(&due.recipient)
        .bind(&due.user_id)
        .bind(&due.id)
        .execute(database.writer())
        .await?;
    Ok(done.rows_affected() > 0)
}

/// The link behind a hash. Whatever else happened meanwhile, it counts only while its address is the account's, or is to become so.
/// One to an address that is confirmed by now is done.
pub(super) async fn find_token(database: &Database, hash: &[u8], now: UnixSeconds) -> Result<Option<Link>, Error> {
    let row: Option<(String, String, String, i64)> = sqlx::query_as(
        "SELECT t.user_id, t.purpose, t.email,
                CASE WHEN t.purpose = 'verify' AND u.verified_at IS NOT NULL THEN 1 ELSE 0 END
         FROM mailed_tokens t JOIN users u ON u.id = t.user_id
         WHERE t.hash = $1 AND t.expires_at > $2 AND u.disabled_at IS NULL
           AND (t.email = u.email OR t.purpose = 'change-email')",
    )
    .bind(hash)
    .bind(now.get())
    .fetch_optional(database.reader())
    .await?;
    Ok(row.and_then(|(user_id, purpose, email, is_done)| link(user_id, &purpose, email, is_done == 1)))
}

/// The same unless it is done, and it never counts again.
pub(super) async fn take_token(
    transaction: &mut Transaction,
    hash: &[u8],
    now: UnixSeconds,
) -> Result<Option<Link>, Error> {
    let row: Option<(String, String, String)> = sqlx::query_as(
        "DELETE FROM mailed_tokens
         WHERE hash = $1 AND expires_at > $2 AND EXISTS (
             SELECT 1 FROM users u
             WHERE u.id = mailed_tokens.user_id AND u.disabled_at IS NULL
               AND (u.email = mailed_tokens.email OR mailed_tokens.purpose = 'change-email')
               AND (u.verified_at IS NULL OR mailed_tokens.purpose <> 'verify'))
         RETURNING user_id, purpose, email",
    )
    .bind(hash)
    .bind(now.get())
    .fetch_optional(&mut *transaction)
    .await?;
    Ok(row.and_then(|(user_id, purpose, email)| link(user_id, &purpose, email, false)))
}

fn link(user_id: String, purpose: &str, email: String, is_done: bool) -> Option<Link> {
    Purpose::parse(purpose).map(|purpose| Link { user_id, purpose, email, is_done })
}

/// How long a link that has confirmed an address still says so, in seconds: 30 days.
const DONE_KEPT: i64 = 30 * 86_400;

/// Stores a link to an address that is the account's and confirmed by now.
pub(super) async fn insert_done_token(
    transaction: &mut Transaction,
    hash: &[u8],
    link: &Link,
    now: UnixSeconds,
) -> Result<(), Error> {
    sqlx::query(
        "INSERT INTO mailed_tokens (hash, user_id, purpose, email, created_at, expires_at)
         VALUES ($1, $2, $3, $4, $5, $6)",
    )
    .bind(hash)
    .bind(&link.user_id)
    .bind(Purpose::Verify.as_str())
    .bind(&link.email)
    .bind(now.get())
    .bind(now.plus(DONE_KEPT).get())
    .execute(&mut *transaction)
    .await
    .map(drop)
}

/// Removes the user's links for `purpose`, those still in the queue included.
pub(super) async fn void_tokens(transaction: &mut Transaction, user_id: &str, purpose: Purpose) -> Result<(), Error> {
    sqlx::query("DELETE FROM mailed_tokens WHERE user_id = $1 AND purpose = $2")
        .bind(user_id)
        .bind(purpose.as_str())
        .execute(&mut *transaction)
        .await?;
    unqueue_tokens(transaction, user_id, purpose).await
}

/// Removes from the queue the user's links for `purpose`.
pub(super) async fn unqueue_tokens(
    transaction: &mut Transaction,
    user_id: &str,
    purpose: Purpose,
) -> Result<(), Error> {
    sqlx::query(
        "DELETE FROM mail_queue
         WHERE purpose = $1 AND (user_id = $2 OR recipient IN (SELECT email FROM users WHERE id = $3))",
    )
    .bind(purpose.as_str())
    .bind(user_id)
    .bind(user_id)
    .execute(&mut *transaction)
    .await
    .map(drop)
}

/// Upkeep: removes some links that hold no more; tells how many.
///
/// # Errors
/// The database's.
pub async fn clean_tokens(database: &Database, now: UnixSeconds) -> Result<u64, Error> {
    let done = sqlx::query(
        "DELETE FROM mailed_tokens
         WHERE hash IN (SELECT hash FROM mailed_tokens WHERE expires_at <= $1 ORDER BY expires_at LIMIT $2)",
    )
    .bind(now.get())
    .bind(UPKEEP_BATCH)
    .execute(database.writer())
    .await?;
    Ok(done.rows_affected())
}

/// How long a failed message is kept for the operator, in seconds: 30 days.
const FAILED_KEPT: i64 = 30 * 86_400;

/// Maintenance: deletes some messages that failed long ago; returns how many.
///
/// # Errors
/// The database's.
pub async fn delete_old_failures(database: &Database, now: UnixSeconds) -> Result<u64, Error> {
    let done = sqlx::query(
        "DELETE FROM mail_queue
         WHERE id IN (SELECT id FROM mail_queue WHERE failed_at <= $1 ORDER BY failed_at LIMIT $2)",
    )
    .bind(now.plus(-FAILED_KEPT).get())
    .bind(UPKEEP_BATCH)
    .execute(database.writer())
    .await?;
    Ok(done.rows_affected())
}
