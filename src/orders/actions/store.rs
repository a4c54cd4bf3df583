//! The writes of a customer's actions, and the operator's lists of pending requests.

use crate::database::{Database, Error, Transaction};
use crate::domain::{Money, UnixSeconds};
use crate::orders::monthly_totals::OrderAmounts;
use crate::orders::order::{OrderId, OrderNumber};
use crate::orders::search;
use crate::orders::store::{counted, currency};

/// The shop may use numbers of the same form; so many in a row are tried for a reorder.
const MAX_NUMBER_ATTEMPTS: u32 = 100;

/// Stores the customer's request to cancel; returns whether the order can still be cancelled and had no request yet.
pub(super) async fn request_cancellation(
    transaction: &mut Transaction,
    user_id: &str,
    order_id: &OrderId,
    now: UnixSeconds,
) -> Result<bool, Error> {
    let updated = sqlx::query(
        "UPDATE orders SET cancellation_asked_at = $1
         WHERE id = $2 AND user_id = $3 AND cancellation_asked_at IS NULL AND status IN ('placed', 'processing')",
    )
    .bind(now)
    .bind(order_id.as_str())
    .bind(user_id)
    .execute(&mut *transaction)
    .await?;
    Ok(updated.rows_affected() == 1)
}

/// When the n-th latest of the user's reorders since `since` was placed; `None` when there are fewer.
pub(super) async fn nth_latest_placed_at(
    transaction: &mut Transaction,
    user_id: &str,
    n: i64,
    since: UnixSeconds,
) -> Result<Option<UnixSeconds>, Error> {
    sqlx::query_scalar(
        "SELECT placed_at FROM orders WHERE user_id = $1 AND placed_at > $2 AND reordered_from IS NOT NULL
         ORDER BY placed_at DESC, id DESC LIMIT 1 OFFSET $3",
    )
    .bind(user_id)
    .bind(since)
    .bind(n - 1)
    .fetch_optional(&mut *transaction)
    .await
}

/// A number for a reorder that no order of the shop has: the next value of a counter. Numbers of failed reorders are skipped. `None`
/// when the shop uses all numbers that were tried.
pub(super) async fn next_reorder_number(database: &Database) -> Result<Option<OrderNumber>, Error> {
    for _ in 0..MAX_NUMBER_ATTEMPTS {
        let counter: i64 =
            sqlx::query_scalar("UPDATE counters SET value = value + 1 WHERE name = 'reorders' RETURNING value")
                .fetch_one(database.writer())
                .await?;
        let Some(number) = OrderNumber::parse(&format!("W{counter}")) else { break };
        let used: i64 = sqlx::query_scalar("SELECT COUNT(*) FROM orders WHERE source = 'shop' AND shop_number = $1")
            .bind(number.as_str())
            .fetch_one(database.reader())
            .await?;
        if used == 0 {
            return Ok(Some(number));
        }
    }
    Ok(None)
}

/// Copies an order of the user with its lines and prices into a new order that is placed now; returns what it counts in the totals, or `None` if the order does not exist. When an
/// export later has an order of the new number, the import updates the copy.
pub(super) async fn copy_order(
    transaction: &mut Transaction,
    user_id: &str,
    order_id: &OrderId,
    (new_id, number): (&OrderId, &OrderNumber),
    now: UnixSeconds,
) -> Result<Option<OrderAmounts>, Error> {
    let text = search::store::text_of(transaction, order_id.as_str(), number.as_str()).await?;
    let copied: Option<(UnixSeconds, String, String, i64, i64)> = sqlx::query_as(
        "INSERT INTO orders (id, source, sample_owner_id, shop, shop_number, name, number, user_id, email, placed_at, payment_status, fulfillment_status, status,
             currency, subtotal, shipping, taxes, discount, refunded, total, line_count, piece_count, summary, ship_name, ship_company,
             ship_address1, ship_address2, ship_zip, ship_city, ship_province, ship_country, ship_phone, content_hash,
             search_prefix, search_text, reordered_from)
         SELECT CAST($1 AS TEXT), source, sample_owner_id, shop, CAST($2 AS TEXT), '#' || CAST($3 AS TEXT), CAST($4 AS TEXT),
             user_id, email, CAST($5 AS BIGINT), 'pending', 'unfulfilled',
             'placed', currency, subtotal, shipping, taxes, discount, 0, total, line_count, piece_count, summary, ship_name, ship_company,
             ship_address1, ship_address2, ship_zip, ship_city, ship_province, ship_country, ship_phone, $6,
             CAST($7 AS TEXT), CAST($8 AS TEXT), number
         FROM orders WHERE id = $9 AND user_id = $10
         RETURNING placed_at, status, currency, total, refunded",
    )
    .bind(new_id.as_str())
    .bind(number.as_str())
    .bind(number.as_str())
    .bind(number.as_str())
    .bind(now)
    .bind(Vec::<u8>::new())
    .bind(text.prefix)
    .bind(text.full)
    .bind(order_id.as_str())
    .bind(user_id)
    .fetch_optional(&mut *transaction)
    .await?;
    let Some((placed_at, status, currency, total, refunded)) = copied else { return Ok(None) };
    copy_lines(transaction, order_id, new_id).await?;
    counted((placed_at, &status, &currency, total, refunded)).map(Some)
}

async fn copy_lines(transaction: &mut Transaction, from: &OrderId, to: &OrderId) -> Result<(), Error> {
    sqlx::query(
        "INSERT INTO order_lines (order_id, position, sku, name, quantity, unit_price, discount)
         SELECT CAST($1 AS TEXT), position, sku, name, quantity, unit_price, discount FROM order_lines WHERE order_id = $2",
    )
    .bind(to.as_str())
    .bind(from.as_str())
    .execute(&mut *transaction)
    .await
    .map(drop)
}

/// A request of a customer that the shop has to process.
pub struct PendingRequest {
    pub name: String,
    /// The email of the order or of its owner.
    pub email: String,
    pub requested_at: UnixSeconds,
    pub total: Money,
    pub status: String,
    pub reordered_from: Option<String>,
}

type PendingRow = (String, String, UnixSeconds, i64, String, String, Option<String>);

fn pending_request(row: PendingRow) -> Result<PendingRequest, Error> {
    let (name, email, requested_at, total, code, status, reordered_from) = row;
    let total = Money::new(total, currency(&code)?);
    Ok(PendingRequest { name, email, requested_at, total, status, reordered_from })
}

/// Orders with a requested cancellation that are neither sent nor cancelled, the oldest request first.
pub async fn pending_cancellations(database: &Database) -> Result<Vec<PendingRequest>, Error> {
    let rows: Vec<PendingRow> = sqlx::query_as(
        "SELECT o.name, COALESCE(o.email, u.email, ''), o.cancellation_asked_at, o.total, o.currency, o.status, o.reordered_from
         FROM orders o LEFT JOIN users u ON u.id = o.user_id
         WHERE o.cancellation_asked_at IS NOT NULL AND o.status IN ('placed', 'processing')
         ORDER BY o.cancellation_asked_at, o.id",
    )
    .fetch_all(database.reader())
    .await?;
    rows.into_iter().map(pending_request).collect()
}

/// Reorders that no export of the shop contains yet, the oldest first.
pub async fn pending_reorders(database: &Database) -> Result<Vec<PendingRequest>, Error> {
    let rows: Vec<PendingRow> = sqlx::query_as(
        "SELECT o.name, COALESCE(o.email, u.email, ''), o.placed_at, o.total, o.currency, o.status, o.reordered_from
         FROM orders o LEFT JOIN users u ON u.id = o.user_id
         WHERE o.reordered_from IS NOT NULL AND LENGTH(o.content_hash) = 0
         ORDER BY o.placed_at, o.id",
    )
    .fetch_all(database.reader())
    .await?;
    rows.into_iter().map(pending_request).collect()
}
