//! The rows of networks that accounts know.

use sha2::{Digest, Sha256};

use crate::clock::UnixSeconds;
use crate::database::{Database, Error, Transaction, UPKEEP_BATCH};

/// Networks that an account knows; a phone alone brings many.
const MOST_KNOWN: i64 = 20;

/// The user's id is part of it, so that one network looks different in each account.
fn hash(user_id: &str, network: &str) -> Vec<u8> {
    Sha256::new().chain_update(user_id).chain_update([0]).chain_update(network).finalize().to_vec()
}

/// Whether the user's account knows the network. An unknown user costs the same query.
pub(in crate::accounts) async fn is_known(
    database: &Database,
    user_id: Option<&str>,
    network: &str,
) -> Result<bool, Error> {
    let user_id = user_id.unwrap_or_default();
    let row: Option<(i64,)> =
        sqlx::query_as("SELECT last_used_at FROM known_networks WHERE hash = $1 AND user_id = $2")
            .bind(hash(user_id, network))
            .bind(user_id)
            .fetch_optional(database.reader())
            .await?;
    Ok(row.is_some())
}

/// When the networks that the user's account knows were last used, the latest first.
pub(in crate::accounts) async fn last_used(database: &Database, user_id: &str) -> Result<Vec<UnixSeconds>, Error> {
    let rows: Vec<(i64,)> =
        sqlx::query_as("SELECT last_used_at FROM known_networks WHERE user_id = $1 ORDER BY last_used_at DESC, hash")
            .bind(user_id)
            .fetch_all(database.reader())
            .await?;
    Ok(rows.into_iter().map(|(at,)| UnixSeconds::new(at)).collect())
}

/// Has the account know the network.
pub(in crate::accounts) async fn remember(
    transaction: &mut Transaction,
    user_id: &str,
    network: &str,
    now: UnixSeconds,
) -> Result<(), Error> {
    sqlx::query(
        "INSERT INTO known_networks (hash, user_id, last_used_at) VALUES ($1, $2, $3)
         ON CONFLICT (hash, user_id) DO UPDATE SET last_used_at = excluded.last_used_at",
    )
    .bind(hash(user_id, network))
    .bind(user_id)
    .bind(now.get())
    .execute(&mut *transaction)
    .await?;
    sqlx::query(
        "DELETE FROM known_networks WHERE user_id = $1 AND hash NOT IN (
             SELECT hash FROM known_networks WHERE user_id = $2 ORDER BY last_used_at DESC, hash LIMIT $3)",
    )
    .bind(user_id)
    .bind(user_id)
    .bind(MOST_KNOWN)
    .execute(&mut *transaction)
    .await
    .map(drop)
}

/// Has the account forget every network.
pub(in crate::accounts) async fn forget_all(transaction: &mut Transaction, user_id: &str) -> Result<(), Error> {
    sqlx::query("DELETE FROM known_networks WHERE user_id = $1")
        .bind(user_id)
        .execute(&mut *transaction)
        .await
        .map(drop)
}

/// Maintenance: deletes some that were not used since; returns how many.
pub(in crate::accounts) async fn delete_unused(database: &Database, unused_since: UnixSeconds) -> Result<u64, Error> {
    let done = sqlx::query(
        "DELETE FROM known_networks
         WHERE hash IN (SELECT hash FROM known_networks WHERE last_used_at <= $1 ORDER BY last_used_at LIMIT $2)",
    )
    .bind(unused_since.get())
    .bind(UPKEEP_BATCH)
    .execute(database.writer())
    .await?;
    Ok(done.rows_affected())
}
