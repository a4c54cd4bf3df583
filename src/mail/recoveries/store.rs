//! The tables `recoveries` and `recovery_tokens`.

use std::time::Duration;

use sqlx::{Any, Executor};

use super::Recovery;
use crate::database::{Database, Error, Transaction};
use crate::domain::{Email, UnixSeconds, UserId, days};
use crate::mail::tokens::Token;

/// How long a change can be undone and its address is reserved for the account.
const LIFETIME: Duration = days(7);

/// Stores that a change can be undone, in the transaction of the change. `id` is the id of the mail about it.
pub async fn insert(
    transaction: &mut Transaction,
    id: &str,
    user_id: &UserId,
    email: &Email,
    now: UnixSeconds,
) -> Result<(), Error> {
    sqlx::query("INSERT INTO recoveries (id, user_id, email, created_at, expires_at) VALUES ($1, $2, $3, $4, $5)")
        .bind(id)
        .bind(user_id)
        .bind(email.as_str())
        .bind(now)
        .bind(now + LIFETIME)
        .execute(&mut *transaction)
        .await
        .map(drop)
}

/// Stores the hash of the token in the mail `mail_id`, if the change can still be undone; returns whether it did.
pub async fn insert_token(database: &Database, mail_id: &str, token: &Token, now: UnixSeconds) -> Result<bool, Error> {
    let inserted = sqlx::query(
        "INSERT INTO recovery_tokens (hash, recovery_id) SELECT $1, id FROM recoveries WHERE id = $2 AND expires_at > $3",
    )
    .bind(token.hash())
    .bind(mail_id)
    .bind(now)
    .execute(database.writer())
    .await?;
    Ok(inserted.rows_affected() == 1)
}

/// The recovery of a token, if it is valid now. Changes nothing.
pub async fn find<'e>(
    executor: impl Executor<'e, Database = Any>,
    token: &Token,
    now: UnixSeconds,
) -> Result<Option<Recovery>, Error> {
    let row: Option<(String, UserId, String, UnixSeconds)> = sqlx::query_as(
        "SELECT r.id, r.user_id, r.email, r.created_at
         FROM recovery_tokens t JOIN recoveries r ON r.id = t.recovery_id JOIN users u ON u.id = r.user_id
         WHERE t.hash = $1 AND r.expires_at > $2 AND u.disabled_at IS NULL",
    )
    .bind(token.hash())
    .bind(now)
    .fetch_optional(executor)
    .await?;
    Ok(row.and_then(|(id, user_id, email, created_at)| {
        Some(Recovery { id, user_id, email: Email::parse(&email).ok()?, created_at })
    }))
}

/// Deletes the recovery and all later ones of its account; returns their addresses.
pub async fn consume(transaction: &mut Transaction, recovery: &Recovery) -> Result<Vec<String>, Error> {
    let rows: Vec<(String,)> = sqlx::query_as("DELETE FROM recoveries WHERE user_id = $1 AND id >= $2 RETURNING email")
        .bind(&recovery.user_id)
        .bind(&recovery.id)
        .fetch_all(&mut *transaction)
        .await?;
    Ok(rows.into_iter().map(|(email,)| email).collect())
}

/// The addresses that are reserved for the user, each with its expiry.
pub async fn list(
    database: &Database,
    user_id: &UserId,
    now: UnixSeconds,
) -> Result<Vec<(String, UnixSeconds)>, Error> {
    sqlx::query_as("SELECT email, expires_at FROM recoveries WHERE user_id = $1 AND expires_at > $2 ORDER BY id")
        .bind(user_id)
        .bind(now)
        .fetch_all(database.reader())
        .await
}

/// Maintenance: deletes a batch of expired recoveries with their tokens; returns how many.
pub async fn delete_expired(database: &Database, now: UnixSeconds) -> Result<u64, Error> {
    database.delete_expired("recoveries", "id", "expires_at", now).await
}
