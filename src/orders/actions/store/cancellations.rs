//! The statements of cancellation requests. Each condition and its change are one statement.

use crate::database::{Database, Error, Transaction};
use crate::domain::{Money, UnixSeconds};
use crate::orders::cancellation::{Reason, Verdict};
use crate::orders::order::OrderId;
use crate::orders::store::currency;

/// Stores the customer's request; returns whether the order can still be cancelled and had no request yet.
pub(in crate::orders::actions) async fn request_cancellation(
    transaction: &mut Transaction,
    user_id: &str,
    order_id: &OrderId,
    reason: &Reason,
    now: UnixSeconds,
) -> Result<bool, Error> {
    let updated = sqlx::query(
        "UPDATE orders SET cancellation_asked_at = $1, cancellation_reason = $2
         WHERE id = $3 AND user_id = $4 AND cancellation_asked_at IS NULL AND status IN ('placed', 'processing')",
    )
    .bind(now)
    .bind(reason.as_str())
    .bind(order_id.as_str())
    .bind(user_id)
    .execute(&mut *transaction)
    .await?;
    Ok(updated.rows_affected() == 1)
}

/// Removes the customer's request; returns whether there was one without an answer that no import has settled.
pub(in crate::orders::actions) async fn withdraw_cancellation(
    transaction: &mut Transaction,
    user_id: &str,
    order_id: &OrderId,
) -> Result<bool, Error> {
    let updated = sqlx::query(
        "UPDATE orders SET cancellation_asked_at = NULL, cancellation_reason = NULL
         WHERE id = $1 AND user_id = $2 AND cancellation_asked_at IS NOT NULL AND cancellation_answer IS NULL
           AND status IN ('placed', 'processing')",
    )
    .bind(order_id.as_str())
    .bind(user_id)
    .execute(&mut *transaction)
    .await?;
    Ok(updated.rows_affected() == 1)
}

/// Stores the shop's answer; returns whether there was a request without an answer that no import has settled.
pub(in crate::orders::actions) async fn answer_cancellation(
    transaction: &mut Transaction,
    order_id: &str,
    verdict: Verdict,
    now: UnixSeconds,
) -> Result<bool, Error> {
    let updated = sqlx::query(
        "UPDATE orders SET cancellation_answer = $1, cancellation_answered_at = $2
         WHERE id = $3 AND cancellation_asked_at IS NOT NULL AND cancellation_answer IS NULL
           AND status IN ('placed', 'processing')",
    )
    .bind(verdict.as_str())
    .bind(now)
    .bind(order_id)
    .execute(&mut *transaction)
    .await?;
    Ok(updated.rows_affected() == 1)
}

/// The owner of an order, and the owner's address if it is confirmed.
pub(in crate::orders::actions) async fn find_owner(
    transaction: &mut Transaction,
    order_id: &str,
) -> Result<Option<(String, Option<String>)>, Error> {
    sqlx::query_as(
        "SELECT u.id, CASE WHEN u.verified_at IS NOT NULL AND u.disabled_at IS NULL THEN u.email END
         FROM orders o JOIN users u ON u.id = o.user_id WHERE o.id = $1",
    )
    .bind(order_id)
    .fetch_optional(&mut *transaction)
    .await
}

/// A cancellation request that the shop has to answer.
pub struct PendingCancellation {
    pub name: String,
    /// The email of the order or of its owner.
    pub email: String,
    pub requested_at: UnixSeconds,
    pub total: Money,
    pub status: String,
    pub reason: String,
}

type PendingRow = (String, String, UnixSeconds, i64, String, String, String);

/// Orders with an unanswered request that are neither sent nor cancelled, the oldest request first.
pub async fn pending_cancellations(database: &Database) -> Result<Vec<PendingCancellation>, Error> {
    let rows: Vec<PendingRow> = sqlx::query_as(
        "SELECT o.name, COALESCE(o.email, u.email, ''), o.cancellation_asked_at, o.total, o.currency, o.status,
             COALESCE(o.cancellation_reason, '')
         FROM orders o LEFT JOIN users u ON u.id = o.user_id
         WHERE o.cancellation_asked_at IS NOT NULL AND o.cancellation_answer IS NULL AND o.status IN ('placed', 'processing')
         ORDER BY o.cancellation_asked_at, o.id",
    )
    .fetch_all(database.reader())
    .await?;
    let request = |(name, email, requested_at, total, code, status, reason): PendingRow| {
        let total = Money::new(total, currency(&code)?);
        Ok(PendingCancellation { name, email, requested_at, total, status, reason })
    };
    rows.into_iter().map(request).collect()
}
