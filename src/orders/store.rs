//! The rows of orders, their lines and addresses, as every feature reads them.

use std::collections::HashMap;

use super::monthly_totals::Counted;
use super::order::{Order, OrderId, OrderLine, OrderNumber, OrderStatus, ShippingAddress};
use crate::database::{Error, SqlBuilder, Transaction};
use crate::domain::{Currency, Money, UnixSeconds, UserId};

/// The columns of [`OrderRow`].
pub(super) const ORDER_COLUMNS: &str = "id, number, placed_at, paid_at, fulfilled_at, cancelled_at, payment_status, \
     fulfillment_status, currency, subtotal, shipping, taxes, discount, refunded, total, line_count, status, cancellation_asked_at, \
     reordered_from";

/// The columns of [`ShippingAddress`].
pub(super) const ADDRESS_COLUMNS: &str = "ship_name, ship_company, ship_address1, ship_address2, ship_zip, ship_city, ship_province, ship_country, ship_phone";

#[derive(sqlx::FromRow)]
pub(super) struct OrderRow {
    id: String,
    number: String,
    placed_at: i64,
    paid_at: Option<i64>,
    fulfilled_at: Option<i64>,
    cancelled_at: Option<i64>,
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
    cancellation_asked_at: Option<i64>,
    reordered_from: Option<String>,
}

impl OrderRow {
    pub(super) fn into_order(self) -> Result<Order, Error> {
        let currency = currency(&self.currency)?;
        let money = |minor| Money::new(minor, currency);
        Ok(Order {
            id: OrderId::parse(&self.id).ok_or_else(|| unreadable("id"))?,
            number: OrderNumber::parse(&self.number).ok_or_else(|| unreadable("number"))?,
            placed_at: UnixSeconds::new(self.placed_at),
            paid_at: self.paid_at.map(UnixSeconds::new),
            fulfilled_at: self.fulfilled_at.map(UnixSeconds::new),
            cancelled_at: self.cancelled_at.map(UnixSeconds::new),
            payment_status: self.payment_status,
            fulfillment_status: self.fulfillment_status,
            subtotal: money(self.subtotal),
            shipping: money(self.shipping),
            taxes: money(self.taxes),
            discount: money(self.discount),
            refunded: money(self.refunded),
            total: money(self.total),
            line_count: self.line_count,
            status: OrderStatus::parse(&self.status).ok_or_else(|| unreadable("status"))?,
            cancellation_asked_at: self.cancellation_asked_at.map(UnixSeconds::new),
            reordered_from: self.reordered_from.as_deref().and_then(OrderNumber::parse),
        })
    }
}

pub(super) fn currency(code: &str) -> Result<Currency, Error> {
    Currency::parse(code).ok_or_else(|| unreadable("currency"))
}

/// What a stored order counts in the totals of its owner, from its time of placing, status, currency, total and refund.
pub(super) fn counted(
    (placed_at, status, code, total, refunded): (UnixSeconds, &str, &str, i64, i64),
) -> Result<Counted, Error> {
    let currency = currency(code)?;
    let status = OrderStatus::parse(status).ok_or_else(|| unreadable("status"))?;
    Ok(Counted { placed_at, status, total: Money::new(total, currency), refunded: Money::new(refunded, currency) })
}

pub(super) fn unreadable(column: &str) -> Error {
    Error::Decode(format!("orders.{column} has a value that this program never writes").into())
}

/// The lines of these orders, by the order's id.
///
/// # Errors
/// The database fails.
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
///
/// # Errors
/// The database fails.
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
