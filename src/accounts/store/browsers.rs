//! The rows of browsers that accounts know.

use crate::accounts::Email;
use crate::clock::UnixSeconds;
use crate::database::{Database, Error, Transaction, UPKEEP_BATCH};

/// Browsers that an account knows: a program that keeps no cookies makes one with each login.
const MOST_KNOWN: i64 = 20;

/// Whether the account with that address knows the browser.
pub(in crate::accounts) async fn is_known(database: &Database, email: &Email, hash: &[u8]) -> Result<bool, Error> {
    let row: Option<(i64,)> = sqlx::query_as(
        "SELECT b.last_used_at FROM known_browsers b JOIN users u ON u.id = b.user_id WHERE b.hash = $1 AND u.email = $2",
    )
    .bind(hash)
    .bind(email.as_str())
    .fetch_optional(database.reader())
    .await?;
    Ok(row.is_some())
}

/// Whether any account knows the browser: then the cookie is one of ours.
pub(in crate::accounts) async fn is_ours(database: &Database, hash: &[u8]) -> Result<bool, Error> {
    let row: Option<(i64,)> = sqlx::query_as("SELECT last_used_at FROM known_browsers WHERE hash = $1 LIMIT 1")
        .bind(hash)
        .fetch_optional(database.reader())
        .await?;
    Ok(row.is_some())
}

/// When the browsers that the user's account knows were last used, the latest first.
pub(in crate::accounts) async fn last_used(database: &Database, user_id: &str) -> Result<Vec<UnixSeconds>, Error> {
    let rows: Vec<(i64,)> =
        sqlx::query_as("SELECT last_used_at FROM known_browsers WHERE user_id = $1 ORDER BY last_used_at DESC, hash")
            .bind(user_id)
            .fetch_all(database.reader())
            .await?;
    Ok(rows.into_iter().map(|(at,)| UnixSeconds::new(at)).collect())
}

/// Has the account know the browser.
pub(in crate::accounts) async fn remember(
    transaction: &mut Transaction,
    user_id: &str,
    hash: &[u8],
    now: UnixSeconds,
) -> Result<(), Error> {
    sqlx::query(
        "INSERT INTO known_browsers (hash, user_id, last_used_at) VALUES ($1, $2, $3)
         ON CONFLICT (hash, user_id) DO UPDATE SET last_used_at = excluded.last_used_at",
    )
    .bind(hash)
    .bind(user_id)
    .bind(now.get())
    .execute(&mut *transaction)
    .await?;
    sqlx::query(
        "DELETE FROM known_browsers WHERE user_id = $1 AND hash NOT IN (
             SELECT hash FROM known_browsers WHERE user_id = $2 ORDER BY last_used_at DESC, hash LIMIT $3)",
    )
    .bind(user_id)
    .bind(user_id)
    .bind(MOST_KNOWN)
    .execute(&mut *transaction)
    .await
    .map(drop)
}

/// Has the account forget every browser.
pub(in crate::accounts) async fn forget_all(transaction: &mut Transaction, user_id: &str) -> Result<(), Error> {
    sqlx::query("DELETE FROM known_browsers WHERE user_id = $1")
        .bind(user_id)
        .execute(&mut *transaction)
        .await
        .map(drop)
}

/// Upkeep: removes some that were not used since; tells how many.
pub(in crate::accounts) async fn clean(database: &Database, unused_since: UnixSeconds) -> Result<u64, Error> {
    let done = sqlx::query(
        "DELETE FROM known_browsers
         WHERE hash IN (SELECT hash FROM known_browsers WHERE last_used_at <= $1 ORDER BY last_used_at LIMIT $2)
           AND last_used_at <= $3",
    )
    .bind(unused_since.get())
    .bind(UPKEEP_BATCH)
    .bind(unused_since.get())
    .execute(database.writer())
    .await?;
    Ok(done.rows_affected())
}
