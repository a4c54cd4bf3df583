//! The table `trusted_networks`.

use super::hash;
use crate::database::{Database, Error, MAINTENANCE_BATCH, Transaction};
use crate::domain::{UnixSeconds, UserId};

/// Per account. A phone alone uses many.
const MAX_PER_ACCOUNT: i64 = 20;

/// Whether the user's account trusts the network. An unknown user costs the same query.
pub(in crate::accounts) async fn is_trusted(
    database: &Database,
    user_id: Option<&UserId>,
    network: &str,
) -> Result<bool, Error> {
    let unknown = UserId::new(String::new());
    let user_id = user_id.unwrap_or(&unknown);
    let row: Option<(i64,)> =
        sqlx::query_as("SELECT last_used_at FROM trusted_networks WHERE hash = $1 AND user_id = $2")
            .bind(hash(user_id, network))
            .bind(user_id)
            .fetch_optional(database.reader())
            .await?;
    Ok(row.is_some())
}

/// The times of the last use of the user's trusted networks, latest first.
pub(in crate::accounts) async fn last_used(database: &Database, user_id: &UserId) -> Result<Vec<UnixSeconds>, Error> {
    sqlx::query_scalar("SELECT last_used_at FROM trusted_networks WHERE user_id = $1 ORDER BY last_used_at DESC, hash")
        .bind(user_id)
        .fetch_all(database.reader())
        .await
}

pub(in crate::accounts) async fn trust(
    transaction: &mut Transaction,
    user_id: &UserId,
    network: &str,
    now: UnixSeconds,
) -> Result<(), Error> {
    sqlx::query(
        "INSERT INTO trusted_networks (hash, user_id, last_used_at) VALUES ($1, $2, $3)
         ON CONFLICT (hash, user_id) DO UPDATE SET last_used_at = excluded.last_used_at",
    )
    .bind(hash(user_id, network))
    .bind(user_id)
    .bind(now)
    .execute(&mut *transaction)
    .await?;
    sqlx::query(
        "DELETE FROM trusted_networks WHERE user_id = $1 AND hash NOT IN (
             SELECT hash FROM trusted_networks WHERE user_id = $2 ORDER BY last_used_at DESC, hash LIMIT $3)",
    )
    .bind(user_id)
    .bind(user_id)
    .bind(MAX_PER_ACCOUNT)
    .execute(&mut *transaction)
    .await
    .map(drop)
}

pub(in crate::accounts) async fn delete_all(transaction: &mut Transaction, user_id: &UserId) -> Result<(), Error> {
    sqlx::query("DELETE FROM trusted_networks WHERE user_id = $1")
        .bind(user_id)
        .execute(&mut *transaction)
        .await
        .map(drop)
}

/// Maintenance: deletes a batch of networks that were not used since; returns how many.
pub(in crate::accounts) async fn delete_unused(database: &Database, unused_since: UnixSeconds) -> Result<u64, Error> {
    let deleted = sqlx::query(
        "DELETE FROM trusted_networks
         WHERE hash IN (SELECT hash FROM trusted_networks WHERE last_used_at <= $1 ORDER BY last_used_at LIMIT $2)",
    )
    .bind(unused_since)
    .bind(MAINTENANCE_BATCH)
    .execute(database.writer())
    .await?;
    Ok(deleted.rows_affected())
}
