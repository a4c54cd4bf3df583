//! The rows of orders, their lines and addresses, as every feature reads them.

use std::collections::HashMap;

use serde::Deserialize;
use sqlx::AssertSqlSafe;

use super::cancellation::{Answer, Cancellation};
use super::monthly_totals::{Changes, OrderAmounts};
use super::order::{Order, OrderDetails, OrderId, OrderLine, OrderName, OrderNumber, ShippingAddress};
use crate::database::{Error, SqlBuilder, Transaction};
use crate::domain::{Currency, Money, UnixSeconds, UserId};

/// The columns of [`Order`].
pub(super) const ORDER_COLUMNS: &str = "id, number, name, placed_at, paid_at, fulfilled_at, cancelled_at, payment_status, \
     fulfillment_status, currency, subtotal, shipping, taxes, discount, refunded, total, line_count, status, cancellation_asked_at, \
     cancellation_reason, cancellation_answer, cancellation_answered_at, reordered_from";

/// The columns of [`ShippingAddress`].
pub(super) const ADDRESS_COLUMNS: &str = "ship_name, ship_company, ship_address1, ship_address2, ship_zip, ship_city, ship_province, ship_country, ship_phone";

/// The shop of an order of the table `o`, if its customer has orders of several; else null.
pub(super) const SHOP_COLUMN: &str = "CASE WHEN (SELECT MIN(s.shop) FROM orders s WHERE s.user_id = o.user_id AND s.shop >= '')
         = (SELECT MAX(s.shop) FROM orders s WHERE s.user_id = o.user_id AND s.shop >= '') THEN NULL ELSE o.shop END AS shop";

/// The columns of [`Order`], in the order of [`ORDER_COLUMNS`]: a row, or an array of [`Engine::json_rows`](crate::database::Engine::json_rows).
#[derive(sqlx::FromRow, Deserialize)]
pub(super) struct OrderRow {
    id: String,
    number: String,
    name: String,
    placed_at: UnixSeconds,
    paid_at: Option<UnixSeconds>,
    fulfilled_at: Option<UnixSeconds>,
    cancelled_at: Option<UnixSeconds>,
    payment_status: String,
    fulfillment_status: String,
    currency: String,
    subtotal: i64,
    shipping: i64,
    taxes: i64,
    discount: i64,
    refunded: i64,
    total: i64,
    line_count: i64,
    status: String,
    cancellation_asked_at: Option<UnixSeconds>,
    cancellation_reason: Option<String>,
    cancellation_answer: Option<String>,
    cancellation_answered_at: Option<UnixSeconds>,
    reordered_from: Option<String>,
}

impl TryFrom<OrderRow> for Order {
    type Error = Error;

    fn try_from(row: OrderRow) -> Result<Self, Error> {
        let currency = currency(&row.currency)?;
        let money = |minor| Money::new(minor, currency);
        Ok(Self {
            id: OrderId::parse(&row.id).ok_or_else(|| unreadable("id"))?,
            number: OrderNumber::parse(&row.number).ok_or_else(|| unreadable("number"))?,
            name: OrderName::parse(&row.name).ok_or_else(|| unreadable("name"))?,
            placed_at: row.placed_at,
            paid_at: row.paid_at,
            fulfilled_at: row.fulfilled_at,
            cancelled_at: row.cancelled_at,
            payment_status: row.payment_status.parse().map_err(|_| unreadable("payment_status"))?,
            fulfillment_status: row.fulfillment_status.parse().map_err(|_| unreadable("fulfillment_status"))?,
            subtotal: money(row.subtotal),
            shipping: money(row.shipping),
            taxes: money(row.taxes),
            discount: money(row.discount),
            refunded: money(row.refunded),
            total: money(row.total),
            line_count: row.line_count,
            status: row.status.parse().map_err(|_| unreadable("status"))?,
            cancellation: cancellation(&row)?,
            reordered_from: row.reordered_from.as_deref().and_then(OrderNumber::parse),
        })
    }
}

fn cancellation(row: &OrderRow) -> Result<Option<Cancellation>, Error> {
    let Some(requested_at) = row.cancellation_asked_at else { return Ok(None) };
    let verdict =
        row.cancellation_answer.as_deref().map(|code| code.parse().map_err(|_| unreadable("cancellation_answer")));
    let answer = verdict.transpose()?.zip(row.cancellation_answered_at).map(|(verdict, at)| Answer { verdict, at });
    Ok(Some(Cancellation { requested_at, reason: row.cancellation_reason.clone().unwrap_or_default(), answer }))
}

pub(super) fn currency(code: &str) -> Result<Currency, Error> {
    Currency::parse(code).ok_or_else(|| unreadable("currency"))
}

/// What a stored order counts in the totals of its owner, from its time of placing, status, currency, total and refund.
pub(super) fn counted(
    (placed_at, status, code, total, refunded): (UnixSeconds, &str, &str, i64, i64),
) -> Result<OrderAmounts, Error> {
    let currency = currency(code)?;
    let status = status.parse().map_err(|_| unreadable("status"))?;
    Ok(OrderAmounts { placed_at, status, total: Money::new(total, currency), refunded: Money::new(refunded, currency) })
}

pub(super) fn unreadable(column: &str) -> Error {
    Error::Decode(format!("orders.{column} has a value that this program never writes").into())
}

/// The lines of these orders, by the order's id.
pub async fn lines_by_order(
    snapshot: &mut Transaction,
    orders: &[Order],
) -> Result<HashMap<OrderId, Vec<OrderLine>>, Error> {
    let mut lines: HashMap<OrderId, Vec<OrderLine>> = HashMap::with_capacity(orders.len());
    if orders.is_empty() {
        return Ok(lines);
    }
    let mut sql = SqlBuilder::new(
        snapshot.engine(),
        "SELECT order_id, sku, name, quantity, unit_price, discount, fulfillment_status FROM order_lines WHERE order_id IN (",
    );
    sql.bind_list(ids(orders))?.push(") ORDER BY order_id, position");
    let (sql, arguments) = sql.into_parts();
    let rows: Vec<(String, String, String, i64, i64, i64, String)> =
        sqlx::query_as_with(sql, arguments).fetch_all(snapshot).await?;
    let orders: HashMap<&str, &Order> = orders.iter().map(|order| (order.id.as_str(), order)).collect();
    for (order_id, sku, name, quantity, unit_price, discount, fulfillment_status) in rows {
        let Some(order) = orders.get(order_id.as_str()) else { continue };
        let money = |minor| Money::new(minor, order.currency());
        let (unit_price, discount) = (money(unit_price), money(discount));
        let line = OrderLine { sku, name, quantity, unit_price, discount, fulfillment_status };
        lines.entry(order.id.clone()).or_default().push(line);
    }
    Ok(lines)
}

#[derive(sqlx::FromRow)]
struct AddressRow {
    id: String,
    #[sqlx(flatten)]
    address: ShippingAddress,
    details: String,
    shop: Option<String>,
}

/// What only the page of an order and exports show.
#[derive(Default)]
pub(super) struct OrderParts {
    pub address: ShippingAddress,
    pub details: OrderDetails,
    /// As in [`OrderDetail`](super::order::OrderDetail).
    pub shop: Option<String>,
}

/// The details of an order, from their JSON.
pub(super) fn parse_details(json: &str) -> Result<OrderDetails, Error> {
    serde_json::from_str(json).map_err(|_| unreadable("details"))
}

/// The addresses, details and shops of these orders, by the order's id.
pub(super) async fn parts_by_order(
    snapshot: &mut Transaction,
    orders: &[Order],
) -> Result<HashMap<OrderId, OrderParts>, Error> {
    if orders.is_empty() {
        return Ok(HashMap::new());
    }
    let select = format!("SELECT id, details, {ADDRESS_COLUMNS}, {SHOP_COLUMN} FROM orders o WHERE id IN (");
    let mut sql = SqlBuilder::new(snapshot.engine(), &select);
    sql.bind_list(ids(orders))?.push(")");
    let (sql, arguments) = sql.into_parts();
    let rows: Vec<AddressRow> = sqlx::query_as_with(sql, arguments).fetch_all(snapshot).await?;
    let parts = |AddressRow { id, address, details, shop }: AddressRow| {
        let id = OrderId::parse(&id).ok_or_else(|| unreadable("id"))?;
        Ok((id, OrderParts { address, details: parse_details(&details)?, shop }))
    };
    rows.into_iter().map(parts).collect()
}

fn ids(orders: &[Order]) -> impl Iterator<Item = String> {
    orders.iter().map(|order| order.id.as_str().to_owned())
}

/// Deletes the sample orders of the user, and reorders of them.
pub(super) async fn remove_samples(
    transaction: &mut Transaction,
    user_id: &str,
    changes: &mut Changes,
) -> Result<(), Error> {
    let removed: Vec<(UnixSeconds, String, String, i64, i64)> = sqlx::query_as(
        "DELETE FROM orders WHERE sample_owner_id = $1 RETURNING placed_at, status, currency, total, refunded",
    )
    .bind(user_id)
    .fetch_all(&mut *transaction)
    .await?;
    for (placed_at, status, currency, total, refunded) in removed {
        changes.remove(user_id, counted((placed_at, &status, &currency, total, refunded))?);
    }
    Ok(())
}

/// Whether orders of this email have no owner.
pub(super) async fn has_unclaimed(transaction: &mut Transaction, email: &str) -> Result<bool, Error> {
    let order: Option<(String,)> = sqlx::query_as("SELECT id FROM orders WHERE email = $1 AND user_id IS NULL LIMIT 1")
        .bind(email)
        .fetch_optional(&mut *transaction)
        .await?;
    Ok(order.is_some())
}

/// Assigns the shop's orders of this email that have no owner to the user; returns their number.
pub(super) async fn claim(transaction: &mut Transaction, user_id: &UserId, email: &str) -> Result<u64, Error> {
    renumber_unclaimed(transaction, user_id, email).await?;
    let claimed = sqlx::query("UPDATE orders SET user_id = $1 WHERE email = $2 AND user_id IS NULL")
        .bind(user_id)
        .bind(email)
        .execute(&mut *transaction)
        .await?;
    Ok(claimed.rows_affected())
}

/// Adds a suffix to the numbers of unclaimed orders that the user would otherwise have twice.
async fn renumber_unclaimed(transaction: &mut Transaction, user_id: &str, email: &str) -> Result<(), Error> {
    let twice: Vec<(String,)> = sqlx::query_as(
        "SELECT number FROM (
             SELECT number FROM orders WHERE user_id = $1
             UNION ALL SELECT number FROM orders WHERE email = $2 AND user_id IS NULL) numbers
         GROUP BY number HAVING COUNT(*) > 1 ORDER BY number",
    )
    .bind(user_id)
    .bind(email)
    .fetch_all(&mut *transaction)
    .await?;
    for (number,) in twice {
        let unclaimed: Vec<(String,)> = sqlx::query_as(
            "SELECT id FROM orders WHERE email = $1 AND user_id IS NULL AND number = $2 ORDER BY placed_at, id",
        )
        .bind(email)
        .bind(&number)
        .fetch_all(&mut *transaction)
        .await?;
        let base = OrderNumber::parse(&number).ok_or_else(|| unreadable("number"))?;
        // The first one keeps the number if the user has none with it.
        let count = count_of_number(transaction, user_id, email, &number).await?;
        let is_taken = usize::try_from(count).is_ok_and(|count| count > unclaimed.len());
        for (id,) in unclaimed.iter().skip(usize::from(!is_taken)) {
            give_free_suffix(transaction, (user_id, email), id, &base).await?;
        }
    }
    Ok(())
}

async fn give_free_suffix(
    transaction: &mut Transaction,
    (user_id, email): (&str, &str),
    id: &str,
    base: &OrderNumber,
) -> Result<(), Error> {
    for n in 2.. {
        let number = base.with_suffix(n);
        if count_of_number(transaction, user_id, email, number.as_str()).await? == 0 {
            let update = sqlx::query("UPDATE orders SET number = $1 WHERE id = $2").bind(number.as_str()).bind(id);
            return update.execute(&mut *transaction).await.map(drop);
        }
    }
    Ok(())
}

/// How many orders with this number the user has or would get.
async fn count_of_number(
    transaction: &mut Transaction,
    user_id: &str,
    email: &str,
    number: &str,
) -> Result<i64, Error> {
    sqlx::query_scalar(
        "SELECT (SELECT COUNT(*) FROM orders WHERE user_id = $1 AND number = $2)
              + (SELECT COUNT(*) FROM orders WHERE email = $3 AND user_id IS NULL AND number = $4)",
    )
    .bind(user_id)
    .bind(number)
    .bind(email)
    .bind(number)
    .fetch_one(&mut *transaction)
    .await
}

/// The columns of a cancellation request. It belongs to the customer who made it: it ends when the order leaves that customer, who may have
/// given a reason in confidence, or was an attacker.
pub(super) const REQUEST_COLUMNS: [&str; 4] =
    ["cancellation_asked_at", "cancellation_reason", "cancellation_answer", "cancellation_answered_at"];

/// Removes the user as owner of the shop's orders of this email, with the user's cancellation requests.
pub(super) async fn release(transaction: &mut Transaction, user_id: &UserId, email: &str) -> Result<(), Error> {
    let request = REQUEST_COLUMNS.map(|column| format!("{column} = NULL")).join(", ");
    let sql = format!("UPDATE orders SET user_id = NULL, {request} WHERE user_id = $1 AND email = $2");
    sqlx::query(AssertSqlSafe(sql)).bind(user_id).bind(email).execute(&mut *transaction).await.map(drop)
}
