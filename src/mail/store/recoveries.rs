//! Recovery links: what the owner of an address can undo for seven days after the account had a new password or another address.
//!
//! A recovery stands from the event on; its link is made when the mail about the event leaves. It is bound to the address that the
//! account had until then and that was confirmed. Which of them wins is decided by their order: to use one revokes it and all later
//! ones of the account and no earlier one. After A was changed to B and B to C, the link that went to B gives C back to B and leaves the
//! one that went to A valid; the link that went to A ends all of it, and nobody who has B or C can undo that.

use crate::clock::UnixSeconds;
use crate::database::{Database, Error, Transaction, UPKEEP_BATCH};
use crate::mail::Email;
use crate::mail::links::Token;

/// How long an event can be undone and its address is kept for its owner, in seconds: 7 days.
const VALID_FOR: i64 = 7 * 86_400;

/// An event that can be undone.
pub struct Recovery {
    /// The event's.
    pub id: String,
    /// Whose account.
    pub user_id: String,
    /// The account's address until the event.
    pub email: Email,
}

/// Lets an event be undone, as part of it. `id` is that of the mail about it.
///
/// # Errors
/// The database's.
pub async fn insert(
    transaction: &mut Transaction,
    id: &str,
    user_id: &str,
    email: &Email,
    now: UnixSeconds,
) -> Result<(), Error> {
    sqlx::query("INSERT INTO recoveries (id, user_id, email, created_at, expires_at) VALUES ($1, $2, $3, $4, $5)")
        .bind(id)
        .bind(user_id)
        .bind(email.as_str())
        .bind(now.get())
        .bind(now.plus(VALID_FOR).get())
        .execute(&mut *transaction)
        .await
        .map(drop)
}

/// Stores the hash of the link in the mail with that id, if what it tells of can still be undone; tells whether it did.
pub(in crate::mail) async fn insert_token(
    database: &Database,
    mail_id: &str,
    hash: &[u8],
    now: UnixSeconds,
) -> Result<bool, Error> {
    let done = sqlx::query(
        "INSERT INTO recovery_tokens (hash, recovery_id) SELECT $1, id FROM recoveries WHERE id = $2 AND expires_at > $3",
    )
    .bind(hash)
    .bind(mail_id)
    .bind(now.get())
    .execute(database.writer())
    .await?;
    Ok(done.rows_affected() == 1)
}

type RecoveryRow = (String, String, String);

const FIND: &str = "SELECT r.id, r.user_id, r.email
     FROM recovery_tokens t JOIN recoveries r ON r.id = t.recovery_id JOIN users u ON u.id = r.user_id
     WHERE t.hash = $1 AND r.expires_at > $2 AND u.disabled_at IS NULL";

fn recovery((id, user_id, email): RecoveryRow) -> Option<Recovery> {
    Some(Recovery { id, user_id, email: Email::parse(&email).ok()? })
}

/// What a link undoes, if it is valid at this moment; changes nothing.
///
/// # Errors
/// The database's.
pub async fn find(database: &Database, token: &Token, now: UnixSeconds) -> Result<Option<Recovery>, Error> {
    let row: Option<RecoveryRow> =
        sqlx::query_as(FIND).bind(token.hash()).bind(now.get()).fetch_optional(database.reader()).await?;
    Ok(row.and_then(recovery))
}

/// The same, as it stands in this transaction.
///
/// # Errors
/// The database's.
pub async fn find_in(
    transaction: &mut Transaction,
    token: &Token,
    now: UnixSeconds,
) -> Result<Option<Recovery>, Error> {
    let row: Option<RecoveryRow> =
        sqlx::query_as(FIND).bind(token.hash()).bind(now.get()).fetch_optional(&mut *transaction).await?;
    Ok(row.and_then(recovery))
}

/// Revokes the recovery and all later ones of its account; returns the addresses that these were bound to.
///
/// # Errors
/// The database's.
pub async fn consume(transaction: &mut Transaction, recovery: &Recovery) -> Result<Vec<String>, Error> {
    let rows: Vec<(String,)> = sqlx::query_as("DELETE FROM recoveries WHERE user_id = $1 AND id >= $2 RETURNING email")
        .bind(&recovery.user_id)
        .bind(&recovery.id)
        .fetch_all(&mut *transaction)
        .await?;
    Ok(rows.into_iter().map(|(email,)| email).collect())
}

/// Addresses that are kept for the user, each with the time until which.
///
/// # Errors
/// The database's.
pub async fn list(database: &Database, user_id: &str, now: UnixSeconds) -> Result<Vec<(String, UnixSeconds)>, Error> {
    let rows: Vec<(String, i64)> =
        sqlx::query_as("SELECT email, expires_at FROM recoveries WHERE user_id = $1 AND expires_at > $2 ORDER BY id")
            .bind(user_id)
            .bind(now.get())
            .fetch_all(database.reader())
            .await?;
    Ok(rows.into_iter().map(|(email, until)| (email, UnixSeconds::new(until))).collect())
}

/// Maintenance: deletes some that have expired, with their links; returns how many.
///
/// # Errors
/// The database's.
pub async fn delete_expired(database: &Database, now: UnixSeconds) -> Result<u64, Error> {
    let done = sqlx::query(
        "DELETE FROM recoveries
         WHERE id IN (SELECT id FROM recoveries WHERE expires_at <= $1 ORDER BY expires_at LIMIT $2)",
    )
    .bind(now.get())
    .bind(UPKEEP_BATCH)
    .execute(database.writer())
    .await?;
    Ok(done.rows_affected())
}
