//! The tables `passkeys` and `used_passkey_challenges`, and the columns of `users` about passkeys.

use sqlx::{Any, Executor};
use uuid::Uuid;
use webauthn_rs::prelude::Passkey;

use super::name::PasskeyName;
use crate::database::{Database, Error, Transaction};
use crate::domain::{UnixSeconds, UserId};

/// A passkey as its owner sees it.
#[derive(sqlx::FromRow)]
pub(in crate::accounts) struct PasskeyLine {
    pub id: String,
    pub credential_id: Vec<u8>,
    pub name: String,
    pub created_at: UnixSeconds,
    pub last_used_at: Option<UnixSeconds>,
}

/// A passkey with what verifies its assertions.
pub(super) struct StoredPasskey {
    pub id: String,
    pub user_id: UserId,
    /// The user handle of its account.
    pub handle: Option<Uuid>,
    pub passkey: Passkey,
    /// The passkey as it is stored, to detect a concurrent use.
    json: String,
}

/// The user's passkeys, in the order in which they were added.
pub(in crate::accounts) async fn list<'e>(
    executor: impl Executor<'e, Database = Any>,
    user_id: &UserId,
) -> Result<Vec<PasskeyLine>, Error> {
    sqlx::query_as(
        "SELECT id, credential_id, name, created_at, last_used_at FROM passkeys
         WHERE user_id = $1 ORDER BY created_at, id",
    )
    .bind(user_id)
    .fetch_all(executor)
    .await
}

pub(super) async fn find_by_credential_id(
    database: &Database,
    credential_id: &[u8],
) -> Result<Option<StoredPasskey>, Error> {
    let row: Option<(String, UserId, Option<String>, String)> = sqlx::query_as(
        "SELECT p.id, p.user_id, u.passkey_handle, p.credential
         FROM passkeys p JOIN users u ON u.id = p.user_id WHERE p.credential_id = $1",
    )
    .bind(credential_id)
    .fetch_optional(database.reader())
    .await?;
    let Some((id, user_id, handle, json)) = row else { return Ok(None) };
    // Not an unknown passkey, which the browser would delete: a later version may have written it.
    let passkey = serde_json::from_str(&json).map_err(|error| Error::Decode(error.into()))?;
    let handle = handle.as_deref().and_then(parse_handle);
    Ok(Some(StoredPasskey { id, user_id, handle, passkey, json }))
}

fn parse_handle(text: &str) -> Option<Uuid> {
    Uuid::parse_str(text).ok()
}

/// The user handle of the account's passkeys, if it ever had one.
pub(super) async fn find_handle<'e>(
    executor: impl Executor<'e, Database = Any>,
    user_id: &UserId,
) -> Result<Option<Uuid>, Error> {
    let row: Option<(Option<String>,)> =
        sqlx::query_as("SELECT passkey_handle FROM users WHERE id = $1").bind(user_id).fetch_optional(executor).await?;
    Ok(row.and_then(|(handle,)| handle).as_deref().and_then(parse_handle))
}

/// Sets the user handle of a confirmed account, unless it has another one; returns whether it has this one now.
pub(super) async fn set_handle(transaction: &mut Transaction, user_id: &UserId, handle: Uuid) -> Result<bool, Error> {
    let handle = handle.to_string();
    let set = sqlx::query(
        "UPDATE users SET passkey_handle = $1
         WHERE id = $2 AND verified_at IS NOT NULL AND disabled_at IS NULL AND COALESCE(passkey_handle, $3) = $4",
    )
    .bind(&handle)
    .bind(user_id)
    .bind(&handle)
    .bind(&handle)
    .execute(&mut *transaction)
    .await?;
    Ok(set.rows_affected() == 1)
}

/// A passkey to be stored.
pub(super) struct NewPasskey<'a> {
    pub id: &'a str,
    pub user_id: &'a UserId,
    pub passkey: &'a Passkey,
    /// The passkey as JSON.
    pub json: &'a str,
    pub name: &'a PasskeyName,
    pub at: UnixSeconds,
}

/// Inserts a passkey, unless its credential is stored already or the account has `limit` passkeys; returns whether it did.
pub(super) async fn insert(transaction: &mut Transaction, new: &NewPasskey<'_>, limit: i64) -> Result<bool, Error> {
    let inserted = sqlx::query(
        "INSERT INTO passkeys (id, user_id, credential_id, credential, name, created_at)
         SELECT CAST($1 AS TEXT), CAST($2 AS TEXT), $3, CAST($4 AS TEXT), CAST($5 AS TEXT), CAST($6 AS BIGINT)
         WHERE (SELECT COUNT(*) FROM passkeys WHERE user_id = $7) < $8
         ON CONFLICT (credential_id) DO NOTHING",
    )
    .bind(new.id)
    .bind(new.user_id)
    .bind(new.passkey.cred_id().as_slice())
    .bind(new.json)
    .bind(new.name.as_str())
    .bind(new.at)
    .bind(new.user_id)
    .bind(limit)
    .execute(&mut *transaction)
    .await?;
    Ok(inserted.rows_affected() == 1)
}

/// Stores the use of a passkey, with its new signature counter; returns whether it was still as it was read.
pub(super) async fn record_use(
    transaction: &mut Transaction,
    stored: &StoredPasskey,
    updated_json: &str,
    now: UnixSeconds,
) -> Result<bool, Error> {
    let updated =
        sqlx::query("UPDATE passkeys SET credential = $1, last_used_at = $2 WHERE id = $3 AND credential = $4")
            .bind(updated_json)
            .bind(now)
            .bind(&stored.id)
            .bind(&stored.json)
            .execute(&mut *transaction)
            .await?;
    Ok(updated.rows_affected() == 1)
}

/// Gives one of the user's passkeys another name; returns whether it exists.
pub(super) async fn rename(
    transaction: &mut Transaction,
    user_id: &UserId,
    id: &str,
    name: &PasskeyName,
) -> Result<bool, Error> {
    let renamed = sqlx::query("UPDATE passkeys SET name = $1 WHERE id = $2 AND user_id = $3")
        .bind(name.as_str())
        .bind(id)
        .bind(user_id)
        .execute(&mut *transaction)
        .await?;
    Ok(renamed.rows_affected() == 1)
}

/// Removes one of the user's passkeys; returns whether it existed.
pub(super) async fn remove(transaction: &mut Transaction, user_id: &UserId, id: &str) -> Result<bool, Error> {
    let removed = sqlx::query("DELETE FROM passkeys WHERE id = $1 AND user_id = $2")
        .bind(id)
        .bind(user_id)
        .execute(&mut *transaction)
        .await?;
    Ok(removed.rows_affected() == 1)
}

/// Removes all passkeys of the user; returns how many.
pub(in crate::accounts) async fn remove_all(transaction: &mut Transaction, user_id: &UserId) -> Result<u64, Error> {
    let removed =
        sqlx::query("DELETE FROM passkeys WHERE user_id = $1").bind(user_id).execute(&mut *transaction).await?;
    Ok(removed.rows_affected())
}

/// Removes the passkeys that were added at that time or later; returns how many.
pub(in crate::accounts) async fn remove_added_since(
    transaction: &mut Transaction,
    user_id: &UserId,
    since: UnixSeconds,
) -> Result<u64, Error> {
    let removed = sqlx::query("DELETE FROM passkeys WHERE user_id = $1 AND created_at >= $2")
        .bind(user_id)
        .bind(since)
        .execute(&mut *transaction)
        .await?;
    Ok(removed.rows_affected())
}

/// Stores that a challenge was answered; returns whether it is the first time.
pub(super) async fn use_challenge(
    transaction: &mut Transaction,
    challenge_id: &[u8],
    expires_at: UnixSeconds,
) -> Result<bool, Error> {
    let inserted = sqlx::query(
        "INSERT INTO used_passkey_challenges (challenge_id, expires_at) VALUES ($1, $2)
         ON CONFLICT (challenge_id) DO NOTHING",
    )
    .bind(challenge_id)
    .bind(expires_at)
    .execute(&mut *transaction)
    .await?;
    Ok(inserted.rows_affected() == 1)
}

/// Stores that a passkey is offered to the owner of a confirmed account, if it has none and none was offered since; returns whether it did. One statement, so that parallel logins offer it once.
pub(super) async fn record_offer(
    database: &Database,
    user_id: &UserId,
    now: UnixSeconds,
    not_since: UnixSeconds,
) -> Result<bool, Error> {
    let updated = sqlx::query(
        "UPDATE users SET passkey_offered_at = $1
         WHERE id = $2 AND verified_at IS NOT NULL AND COALESCE(passkey_offered_at, 0) <= $3
           AND NOT EXISTS (SELECT 1 FROM passkeys p WHERE p.user_id = users.id)",
    )
    .bind(now)
    .bind(user_id)
    .bind(not_since)
    .execute(database.writer())
    .await?;
    Ok(updated.rows_affected() == 1)
}

/// Maintenance: deletes a batch of challenges that have expired; returns how many.
pub(in crate::accounts) async fn delete_expired_challenges(
    database: &Database,
    now: UnixSeconds,
) -> Result<u64, Error> {
    database.delete_expired("used_passkey_challenges", "challenge_id", "expires_at", now).await
}
