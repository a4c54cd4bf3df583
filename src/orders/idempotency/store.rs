//! Stored responses.

use super::IdempotencyKey;
use crate::database::{Database, Error, Transaction};
use crate::domain::UnixSeconds;
use crate::orders::order::OrderNumber;

/// The response to an earlier request with the same key.
pub struct StoredResponse {
    /// What the earlier request asked for.
    pub request: String,
    /// The order that the response led to; `None` when the stored number cannot be parsed.
    pub number: Option<OrderNumber>,
}

pub async fn find_response(
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

pub async fn store_response(
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

/// Deletes one batch of keys from before `before`; returns their number.
pub async fn delete_expired(database: &Database, before: UnixSeconds) -> Result<u64, Error> {
    database.delete_expired("idempotency_keys", "key", "created_at", before).await
}
