//! Stored requests.

use super::IdempotencyKey;
use crate::database::{Database, Error, Transaction};
use crate::domain::UnixSeconds;
use crate::orders::order::OrderNumber;

/// What an earlier request with the same key asked for.
pub async fn find_request(
    transaction: &mut Transaction,
    user_id: &str,
    key: &IdempotencyKey,
) -> Result<Option<String>, Error> {
    sqlx::query_scalar("SELECT request FROM idempotency_keys WHERE user_id = $1 AND key = $2")
        .bind(user_id)
        .bind(key.as_str())
        .fetch_optional(&mut *transaction)
        .await
}

/// Stores a request. The number of the order that it led to is for servers of an earlier version.
pub async fn store_request(
    transaction: &mut Transaction,
    user_id: &str,
    key: &IdempotencyKey,
    request: &str,
    number: &OrderNumber,
    now: UnixSeconds,
) -> Result<(), Error> {
    sqlx::query("INSERT INTO idempotency_keys (user_id, key, request, answer, created_at) VALUES ($1, $2, $3, $4, $5)")
        .bind(user_id)
        .bind(key.as_str())
        .bind(request)
        .bind(number.as_str())
        .bind(now)
        .execute(&mut *transaction)
        .await
        .map(drop)
}

/// When the n-th latest of the user's requests since `since` that begin with `prefix` was made; `None` when there are fewer.
pub async fn nth_latest(
    transaction: &mut Transaction,
    user_id: &str,
    prefix: &str,
    n: i64,
    since: UnixSeconds,
) -> Result<Option<UnixSeconds>, Error> {
    sqlx::query_scalar(
        "SELECT created_at FROM idempotency_keys WHERE user_id = $1 AND request LIKE $2 AND created_at > $3
         ORDER BY created_at DESC, key LIMIT 1 OFFSET $4",
    )
    .bind(user_id)
    .bind(format!("{prefix}%"))
    .bind(since)
    .bind(n - 1)
    .fetch_optional(&mut *transaction)
    .await
}

/// Deletes one batch of keys from before `before`; returns their number.
pub async fn delete_expired(database: &Database, before: UnixSeconds) -> Result<u64, Error> {
    database.delete_expired("idempotency_keys", "key", "created_at", before).await
}
