//! The rows of orders, their lines and addresses, as every feature reads them.

use std::collections::HashMap;

use sqlx::any::AnyRow;
use sqlx::{FromRow, Row};

use super::monthly_totals::OrderAmounts;
use super::order::{Order, OrderId, OrderLine, OrderNumber, ShippingAddress};
use crate::database::{Error, SqlBuilder, Transaction};
use crate::domain::{Currency, Money, UnixSeconds, UserId};

/// The columns of [`Order`].
pub(super) const ORDER_COLUMNS: &str = "id, number, placed_at, paid_at, fulfilled_at, cancelled_at, payment_status, \
     fulfillment_status, currency, subtotal, shipping, taxes, discount, refunded, total, line_count, status, cancellation_asked_at, \
     reordered_from";

/// The columns of [`ShippingAddress`].
pub(super) const ADDRESS_COLUMNS: &str = "ship_name, ship_company, ship_address1, ship_address2, ship_zip, ship_city, ship_province, ship_country, ship_phone";

impl FromRow<'_, AnyRow> for Order {
    fn from_row(row: &AnyRow) -> Result<Self, Error> {
        let text = |column: &str| row.try_get::<String, _>(column);
        let time = |column: &str| row.try_get::<Option<UnixSeconds>, _>(column);
        let currency = currency(&text("currency")?)?;
        let money = |column: &str| row.try_get(column).map(|minor| Money::new(minor, currency));
        let reordered_from: Option<String> = row.try_get("reordered_from")?;
        Ok(Self {
            id: OrderId::parse(&text("id")?).ok_or_else(|| unreadable("id"))?,
            number: OrderNumber::parse(&text("number")?).ok_or_else(|| unreadable("number"))?,
            placed_at: row.try_get("placed_at")?,
            paid_at: time("paid_at")?,
            fulfilled_at: time("fulfilled_at")?,
            cancelled_at: time("cancelled_at")?,
            payment_status: text("payment_status")?,
            fulfillment_status: text("fulfillment_status")?,
            subtotal: money("subtotal")?,
            shipping: money("shipping")?,
            taxes: money("taxes")?,
            discount: money("discount")?,
            refunded: money("refunded")?,
            total: money("total")?,
            line_count: row.try_get("line_count")?,
            status: text("status")?.parse().map_err(|_| unreadable("status"))?,
            cancellation_asked_at: time("cancellation_asked_at")?,
            reordered_from: reordered_from.as_deref().and_then(OrderNumber::parse),
        })
    }
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
        "SELECT order_id, sku, name, quantity, unit_price, discount FROM order_lines WHERE order_id IN (",
    );
    sql.bind_list(ids(orders))?.push(") ORDER BY order_id, position");
    let (sql, arguments) = sql.into_parts();
    let rows: Vec<(String, String, String, i64, i64, i64)> =
        sqlx::query_as_with(sql, arguments).fetch_all(snapshot).await?;
    let orders: HashMap<&str, &Order> = orders.iter().map(|order| (order.id.as_str(), order)).collect();
    for (order_id, sku, name, quantity, unit_price, discount) in rows {
        let Some(order) = orders.get(order_id.as_str()) else { continue };
        let money = |minor| Money::new(minor, order.currency());
        let line = OrderLine { sku, name, quantity, unit_price: money(unit_price), discount: money(discount) };
        lines.entry(order.id.clone()).or_default().push(line);
    }
    Ok(lines)
}

#[derive(sqlx::FromRow)]
struct AddressRow {
    id: String,
    #[sqlx(flatten)]
    address: ShippingAddress,
}

/// The addresses of these orders, by the order's id.
pub async fn addresses_by_order(
    snapshot: &mut Transaction,
    orders: &[Order],
) -> Result<HashMap<OrderId, ShippingAddress>, Error> {
    if orders.is_empty() {
        return Ok(HashMap::new());
    }
    let mut sql =
        SqlBuilder::new(snapshot.engine(), &format!("SELECT id, {ADDRESS_COLUMNS} FROM orders WHERE id IN ("));
    sql.bind_list(ids(orders))?.push(")");
    let (sql, arguments) = sql.into_parts();
    let rows: Vec<AddressRow> = sqlx::query_as_with(sql, arguments).fetch_all(snapshot).await?;
    Ok(rows.into_iter().filter_map(|row| Some((OrderId::parse(&row.id)?, row.address))).collect())
}

fn ids(orders: &[Order]) -> impl Iterator<Item = String> {
    orders.iter().map(|order| order.id.as_str().to_owned())
}

/// Assigns the shop's orders of this email that have no owner to the user; returns their number.
pub(super) async fn claim(transaction: &mut Transaction, user_id: &UserId, email: &str) -> Result<u64, Error> {
    let claimed = sqlx::query("UPDATE orders SET user_id = $1 WHERE email = $2 AND user_id IS NULL")
        .bind(user_id)
        .bind(email)
        .execute(&mut *transaction)
        .await?;
    Ok(claimed.rows_affected())
}

/// Removes the user as owner of the shop's orders of this email.
pub(super) async fn release(transaction: &mut Transaction, user_id: &UserId, email: &str) -> Result<(), Error> {
    sqlx::query("UPDATE orders SET user_id = NULL WHERE user_id = $1 AND email = $2")
        .bind(user_id)
        .bind(email)
        .execute(&mut *transaction)
        .await
        .map(drop)
}
