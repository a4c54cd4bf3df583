//! Stored responses.

use sqlx::AssertSqlSafe;

use super::IdempotencyKey;
use crate::database::{Database, Error, MAINTENANCE_BATCH, Transaction};
use crate::domain::UnixSeconds;
use crate::orders::order::OrderNumber;

/// The response to an earlier request with the same key.
pub(in crate::orders) struct StoredResponse {
    /// What the earlier request asked for.
    pub request: String,
    /// The order that the response led to; `None` when the stored number cannot be parsed.
    pub number: Option<OrderNumber>,
}

pub(in crate::orders) async fn find_response(
    transaction: &mut Transaction,
    user_id: &str,
    key: &IdempotencyKey,
) -> Result<Option<StoredResponse>, Error> {
    let row: Option<(String, String)> =
        sqlx::query_as("SELECT request, answer FROM idempotency_keys WHERE user_id = $1 AND key = $2")
            .bind(user_id)
            .bind(key.as_str())
            .fetch_optional(&mut *transaction)
            .await?;
    Ok(row.map(|(request, number)| StoredResponse { request, number: OrderNumber::parse(&number) }))
}

pub(in crate::orders) async fn store_response(
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
        .bind(now.get())
        .execute(&mut *transaction)
        .await
        .map(drop)
}

/// Deletes one batch of keys from before `before`; returns their number.
pub(in crate::orders) async fn delete_expired(database: &Database, before: UnixSeconds) -> Result<u64, Error> {
    let sql = format!(
        "DELETE FROM idempotency_keys WHERE created_at <= $1 AND key IN (
             SELECT key FROM idempotency_keys WHERE created_at <= $2 ORDER BY created_at LIMIT {MAINTENANCE_BATCH})"
    );
    let deleted =
        sqlx::query(AssertSqlSafe(sql)).bind(before.get()).bind(before.get()).execute(database.writer()).await?;
    Ok(deleted.rows_affected())
}
