//! What a customer does to an order, and what the operator reads of it.

use crate::clock::UnixSeconds;
use crate::database::{Database, Error, Transaction};
use crate::orders::money::{Currency, Money};
use crate::orders::order::OrderNumber;
use crate::orders::search::searched;

/// Numbers that are tried for a new order before it fails: the shop may have used some itself.
const NUMBERS_TRIED: u32 = 100;

/// What a form with that key was answered with before: what it asked for, and the number of the order that came of it.
pub(in crate::orders) async fn answered_before(
    transaction: &mut Transaction,
    user_id: &str,
    key: &str,
) -> Result<Option<(String, String)>, Error> {
    sqlx::query_as("SELECT request, answer FROM idempotency_keys WHERE user_id = $1 AND key = $2")
        .bind(user_id)
        .bind(key)
        .fetch_optional(&mut *transaction)
        .await
}

/// Remembers the answer to a form.
pub(in crate::orders) async fn remember_answer(
    transaction: &mut Transaction,
    user_id: &str,
    key: &str,
    request: &str,
    answer: &OrderNumber,
    now: UnixSeconds,
) -> Result<(), Error> {
    sqlx::query("INSERT INTO idempotency_keys (user_id, key, request, answer, created_at) VALUES ($1, $2, $3, $4, $5)")
        .bind(user_id)
        .bind(key)
        .bind(request)
        .bind(answer.as_str())
        .bind(now.get())
        .execute(&mut *transaction)
        .await
        .map(drop)
}

/// Notes that the customer wants the order called off, if that can still be; tells whether it could.
pub(in crate::orders) async fn ask_to_cancel(
    transaction: &mut Transaction,
    user_id: &str,
    order_id: &str,
    now: UnixSeconds,
) -> Result<bool, Error> {
    let done = sqlx::query(
        "UPDATE orders SET cancellation_asked_at = $1
         WHERE id = $2 AND user_id = $3 AND cancellation_asked_at IS NULL AND status IN ('placed', 'processing')",
    )
    .bind(now.get())
    .bind(order_id)
    .bind(user_id)
    .execute(&mut *transaction)
    .await?;
    Ok(done.rows_affected() == 1)
}

/// When the user placed the earliest of the latest `count` orders here; `None` when there are fewer since then.
pub(in crate::orders) async fn earliest_of_latest(
    transaction: &mut Transaction,
    user_id: &str,
    count: i64,
    since: UnixSeconds,
) -> Result<Option<UnixSeconds>, Error> {
    sqlx::query_scalar(
        "SELECT placed_at FROM orders WHERE user_id = $1 AND placed_at > $2 AND copy_of IS NOT NULL
         ORDER BY placed_at DESC, id DESC LIMIT 1 OFFSET $3",
    )
    .bind(user_id)
    .bind(since.get())
    .bind(count - 1)
    .fetch_optional(&mut *transaction)
    .await
    .map(|placed_at: Option<i64>| placed_at.map(UnixSeconds::new))
}

/// A number for a new order, like nobody else's: the counter's next that the shop has not used itself. Some are never used. Counted
/// outside of the transaction that places the order, as within it all customers who order at one moment would meet at the counter.
pub(in crate::orders) async fn free_number(database: &Database) -> Result<OrderNumber, Error> {
    for _ in 0..NUMBERS_TRIED {
        let counted: i64 = sqlx::query_scalar(
            "UPDATE counters SET value = value + 1 WHERE name = 'orders placed here' RETURNING value",
        )
        .fetch_one(database.writer())
        .await?;
        let Some(number) = OrderNumber::parse(&format!("W{counted}")) else { break };
        let used: i64 = sqlx::query_scalar("SELECT COUNT(*) FROM orders WHERE issued_by = 'shop' AND number = $1")
            .bind(number.as_str())
            .fetch_one(database.reader())
            .await?;
        if used == 0 {
            return Ok(number);
        }
    }
    Err(Error::RowNotFound)
}

/// Copies an order of the user, with its lines and what they cost, into a new one of that number that is placed now; tells whether
/// there was one to copy. Should the shop export the order under the number, that updates this one.
pub(in crate::orders) async fn copy(
    transaction: &mut Transaction,
    user_id: &str,
    order_id: &str,
    (new_id, number): (&str, &OrderNumber),
    now: UnixSeconds,
) -> Result<bool, Error> {
    let lines: Vec<(String, String)> =
        sqlx::query_as("SELECT sku, name FROM order_lines WHERE order_id = $1 ORDER BY position")
            .bind(order_id)
            .fetch_all(&mut *transaction)
            .await?;
    let text = searched(number.as_str(), lines.iter().map(|(sku, name)| (sku.as_str(), name.as_str())));
    let copied = sqlx::query(
        "INSERT INTO orders (id, issued_by, number, user_id, email, placed_at, payment_status, fulfillment_status, status,
             currency, subtotal, shipping, taxes, discount, refunded, total, line_count, ship_name, ship_company,
             ship_address1, ship_address2, ship_zip, ship_city, ship_province, ship_country, ship_phone, fingerprint,
             search_head, search_text, copy_of)
         SELECT CAST($1 AS TEXT), issued_by, CAST($2 AS TEXT), user_id, email, CAST($3 AS BIGINT), 'pending', 'unfulfilled',
             'placed', currency, subtotal, shipping, taxes, discount, 0, total, line_count, ship_name, ship_company,
             ship_address1, ship_address2, ship_zip, ship_city, ship_province, ship_country, ship_phone, $4,
             CAST($5 AS TEXT), CAST($6 AS TEXT), number
         FROM orders WHERE id = $7 AND user_id = $8",
    )
    .bind(new_id)
    .bind(number.as_str())
    .bind(now.get())
    .bind(Vec::<u8>::new())
    .bind(text.head)
    .bind(text.whole)
    .bind(order_id)
    .bind(user_id)
    .execute(&mut *transaction)
    .await?;
    if copied.rows_affected() == 0 {
        return Ok(false);
    }
    copy_lines(transaction, order_id, new_id).await?;
    Ok(true)
}

async fn copy_lines(transaction: &mut Transaction, from: &str, to: &str) -> Result<(), Error> {
    sqlx::query(
        "INSERT INTO order_lines (order_id, position, sku, name, quantity, unit_price, discount)
         SELECT CAST($1 AS TEXT), position, sku, name, quantity, unit_price, discount FROM order_lines WHERE order_id = $2",
    )
    .bind(to)
    .bind(from)
    .execute(&mut *transaction)
    .await
    .map(drop)
}

/// An order as the operator reads it in a list of things to do.
pub struct ToDo {
    /// Its number.
    pub number: String,
    /// The customer's address.
    pub email: String,
    /// When it was asked for: to cancel it, or to place it.
    pub asked_at: UnixSeconds,
    /// What it costs.
    pub total: Money,
    /// Where it is, in one word.
    pub status: String,
    /// The order that it repeats.
    pub copy_of: Option<String>,
}

type ToDoRow = (String, String, i64, i64, String, String, Option<String>);

fn to_do((number, email, asked_at, total, currency, status, copy_of): ToDoRow) -> Option<ToDo> {
    let total = Money::new(total, Currency::parse(&currency)?);
    Some(ToDo { number, email, asked_at: UnixSeconds::new(asked_at), total, status, copy_of })
}

/// Orders whose customers ask for them to be called off and that are neither sent nor called off yet, the oldest request first.
///
/// # Errors
/// The database's.
pub async fn cancellations(database: &Database) -> Result<Vec<ToDo>, Error> {
    let rows: Vec<ToDoRow> = sqlx::query_as(
        "SELECT o.number, COALESCE(o.email, u.email, ''), o.cancellation_asked_at, o.total, o.currency, o.status, o.copy_of
         FROM orders o LEFT JOIN users u ON u.id = o.user_id
         WHERE o.cancellation_asked_at IS NOT NULL AND o.status IN ('placed', 'processing')
         ORDER BY o.cancellation_asked_at, o.id",
    )
    .fetch_all(database.reader())
    .await?;
    Ok(rows.into_iter().filter_map(to_do).collect())
}

/// Orders that customers placed here and that the shop has not exported itself yet, the oldest first.
///
/// # Errors
/// The database's.
pub async fn placed_here(database: &Database) -> Result<Vec<ToDo>, Error> {
    let rows: Vec<ToDoRow> = sqlx::query_as(
        "SELECT o.number, COALESCE(o.email, u.email, ''), o.placed_at, o.total, o.currency, o.status, o.copy_of
         FROM orders o LEFT JOIN users u ON u.id = o.user_id
         WHERE o.copy_of IS NOT NULL AND LENGTH(o.fingerprint) = 0
         ORDER BY o.placed_at, o.id",
    )
    .fetch_all(database.reader())
    .await?;
    Ok(rows.into_iter().filter_map(to_do).collect())
}
