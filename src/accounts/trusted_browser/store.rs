//! The table `trusted_browsers`.

use crate::database::{Database, Error, MAINTENANCE_BATCH, Transaction};
use crate::domain::{Email, UnixSeconds, UserId};

/// Per account. A program without cookies adds one with each login.
const MAX_PER_ACCOUNT: i64 = 20;

/// Whether the account with that address trusts the browser.
pub(in crate::accounts) async fn is_trusted(database: &Database, email: &Email, hash: &[u8]) -> Result<bool, Error> {
    let row: Option<(i64,)> = sqlx::query_as(
        "SELECT b.last_used_at FROM trusted_browsers b JOIN users u ON u.id = b.user_id WHERE b.hash = $1 AND u.email = $2",
    )
    .bind(hash)
    .bind(email.as_str())
    .fetch_optional(database.reader())
    .await?;
    Ok(row.is_some())
}

/// Whether any account trusts the browser.
pub(in crate::accounts) async fn exists(database: &Database, hash: &[u8]) -> Result<bool, Error> {
    let row: Option<(i64,)> = sqlx::query_as("SELECT last_used_at FROM trusted_browsers WHERE hash = $1 LIMIT 1")
        .bind(hash)
        .fetch_optional(database.reader())
        .await?;
    Ok(row.is_some())
}

/// The times of the last use of the user's trusted browsers, latest first.
pub(in crate::accounts) async fn last_used(database: &Database, user_id: &UserId) -> Result<Vec<UnixSeconds>, Error> {
    sqlx::query_scalar("SELECT last_used_at FROM trusted_browsers WHERE user_id = $1 ORDER BY last_used_at DESC, hash")
        .bind(user_id)
        .fetch_all(database.reader())
        .await
}

pub(in crate::accounts) async fn trust(
    transaction: &mut Transaction,
    user_id: &UserId,
    hash: &[u8],
    now: UnixSeconds,
) -> Result<(), Error> {
    sqlx::query(
        "INSERT INTO trusted_browsers (hash, user_id, last_used_at) VALUES ($1, $2, $3)
         ON CONFLICT (hash, user_id) DO UPDATE SET last_used_at = excluded.last_used_at",
    )
    .bind(hash)
    .bind(user_id)
    .bind(now)
    .execute(&mut *transaction)
    .await?;
    sqlx::query(
        "DELETE FROM trusted_browsers WHERE user_id = $1 AND hash NOT IN (
             SELECT hash FROM trusted_browsers WHERE user_id = $2 ORDER BY last_used_at DESC, hash LIMIT $3)",
    )
    .bind(user_id)
    .bind(user_id)
    .bind(MAX_PER_ACCOUNT)
    .execute(&mut *transaction)
    .await
    .map(drop)
}

pub(in crate::accounts) async fn delete_all(transaction: &mut Transaction, user_id: &UserId) -> Result<(), Error> {
    sqlx::query("DELETE FROM trusted_browsers WHERE user_id = $1")
        .bind(user_id)
        .execute(&mut *transaction)
        .await
        .map(drop)
}

/// Maintenance: deletes a batch of browsers that were not used since; returns how many.
pub(in crate::accounts) async fn delete_unused(database: &Database, unused_since: UnixSeconds) -> Result<u64, Error> {
    let deleted = sqlx::query(
        "DELETE FROM trusted_browsers
         WHERE hash IN (SELECT hash FROM trusted_browsers WHERE last_used_at <= $1 ORDER BY last_used_at LIMIT $2)
           AND last_used_at <= $3",
    )
    .bind(unused_since)
    .bind(MAINTENANCE_BATCH)
    .bind(unused_since)
    .execute(database.writer())
    .await?;
    Ok(deleted.rows_affected())
}
