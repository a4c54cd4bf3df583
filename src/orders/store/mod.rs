//! The rows of orders: lists, one order, sums; what customers, operators and upkeep write stands in files of its own.

pub(super) mod actions;
#[cfg(test)]
mod plans;
pub(super) mod samples;
mod sql;
pub(super) mod sums;
pub(super) mod upkeep;

use std::collections::HashMap;

use super::cursor::{By, Cursor};
use super::filter::Filter;
use super::money::{Currency, Money};
use super::order::{Address, Order, OrderDetail, OrderLine, OrderNumber, Status};
use crate::clock::UnixSeconds;
use crate::database::{Engine, Error, Transaction};
use sql::Sql;
use sqlx::AssertSqlSafe;

/// What [`OrderRow`] is made of.
const COLUMNS: &str = "id, number, placed_at, paid_at, fulfilled_at, cancelled_at, payment_status, fulfillment_status, currency, \
     subtotal, shipping, taxes, discount, refunded, total, line_count, status, cancellation_asked_at, copy_of";

/// What [`AddressRow`] is made of.
const ADDRESS_COLUMNS: &str = "ship_name, ship_company, ship_address1, ship_address2, ship_zip, ship_city, ship_province, ship_country, ship_phone";

/// Which part of the list is asked for.
#[derive(Clone, Debug)]
pub enum From {
    /// Its beginning.
    Start,
    /// What follows the place.
    After(Cursor),
    /// What comes before the place, the nearest.
    Before(Cursor),
}

/// A part of the list, in its order.
pub struct Part {
    /// At most as many as were asked for.
    pub orders: Vec<Order>,
    /// Whether more lie in the direction that was asked for.
    pub has_more: bool,
}

#[derive(sqlx::FromRow)]
struct OrderRow {
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
    copy_of: Option<String>,
}

impl OrderRow {
    fn into_order(self) -> Result<Order, Error> {
        let currency = currency(&self.currency)?;
        let money = |minor| Money::new(minor, currency);
        Ok(Order {
            id: self.id,
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
            status: Status::parse(&self.status).ok_or_else(|| unreadable("status"))?,
            cancellation_asked_at: self.cancellation_asked_at.map(UnixSeconds::new),
            copy_of: self.copy_of.as_deref().and_then(OrderNumber::parse),
        })
    }
}

fn currency(code: &str) -> Result<Currency, Error> {
    Currency::parse(code).ok_or_else(|| unreadable("currency"))
}

fn unreadable(column: &str) -> Error {
    Error::Decode(format!("orders.{column} holds what this program never writes").into())
}

/// At most `limit` orders of the user. Wherever in the list it starts, an index leads to the place; what the filter leaves
/// out is left out within the index.
///
/// # Errors
/// The database's.
pub async fn list(
    snapshot: &mut Transaction,
    user_id: &str,
    filter: &Filter,
    from: &From,
    limit: u32,
) -> Result<Part, Error> {
    let (sql, arguments) = list_sql(snapshot.engine(), user_id, filter, from, limit)?.into_parts();
    let mut rows: Vec<OrderRow> = sqlx::query_as_with(sql, arguments).fetch_all(snapshot).await?;
    let has_more = rows.len() > limit as usize;
    rows.truncate(limit as usize);
    if matches!(from, From::Before(_)) {
        rows.reverse();
    }
    let orders = rows.into_iter().map(OrderRow::into_order).collect::<Result<_, _>>()?;
    Ok(Part { orders, has_more })
}

/// One more than `limit`, which tells whether there are more.
fn list_sql(engine: Engine, user_id: &str, filter: &Filter, from: &From, limit: u32) -> Result<Sql, Error> {
    let goes_back = matches!(from, From::Before(_));
    let is_descending = filter.sort.is_descending() != goes_back;
    let (beyond, direction) = if is_descending { ("<", "DESC") } else { (">", "ASC") };
    let key = match filter.sort.by() {
        By::Date => "placed_at",
        By::Total => "total",
    };
    let (filter, cursor) = bounds(filter, from, is_descending);
    let mut sql = Sql::new(engine);
    sql.push(&format!("SELECT {COLUMNS} FROM orders WHERE ")).push_filter(user_id, &filter)?;
    if let Some(cursor) = cursor {
        sql.push(&format!(" AND ({key}, id) {beyond} ("))
            .bind(cursor.key)?
            .push(", ")
            .bind(cursor.id.clone())?
            .push(")");
    }
    sql.push(&format!(" ORDER BY {key} {direction}, id {direction} LIMIT ")).bind(i64::from(limit) + 1)?;
    Ok(sql)
}

/// Of a date and a place that both bound the list at the same end, the nearer one alone: given two, SQLite may go by the farther
/// and walk past everything in between.
fn bounds<'a>(filter: &Filter, from: &'a From, is_descending: bool) -> (Filter, Option<&'a Cursor>) {
    let mut filter = filter.clone();
    let (From::After(cursor) | From::Before(cursor)) = from else {
        return (filter, None);
    };
    if filter.sort.by() == By::Total {
        return (filter, Some(cursor));
    }
    let is_past_the_date = if is_descending {
        filter.until.is_some_and(|until| until.get() <= cursor.key)
    } else {
        filter.from.is_some_and(|from| from.get() > cursor.key)
    };
    if is_past_the_date {
        return (filter, None);
    }
    let date = if is_descending { &mut filter.until } else { &mut filter.from };
    *date = None;
    (filter, Some(cursor))
}

#[derive(sqlx::FromRow)]
struct AddressRow {
    ship_name: String,
    ship_company: String,
    ship_address1: String,
    ship_address2: String,
    ship_zip: String,
    ship_city: String,
    ship_province: String,
    ship_country: String,
    ship_phone: String,
}

impl AddressRow {
    fn into_address(self) -> Address {
        Address {
            name: self.ship_name,
            company: self.ship_company,
            address1: self.ship_address1,
            address2: self.ship_address2,
            zip: self.ship_zip,
            city: self.ship_city,
            province: self.ship_province,
            country: self.ship_country,
            phone: self.ship_phone,
        }
    }
}

#[derive(sqlx::FromRow)]
struct AddressOfRow {
    id: String,
    #[sqlx(flatten)]
    address: AddressRow,
}

#[derive(sqlx::FromRow)]
struct DetailRow {
    #[sqlx(flatten)]
    order: OrderRow,
    #[sqlx(flatten)]
    address: AddressRow,
}

/// One order of the user, with its lines and address. Another customer's is as if it did not exist. Should a sample bear
/// the number of a real order, the real one is meant.
///
/// # Errors
/// The database's.
pub async fn find(
    snapshot: &mut Transaction,
    user_id: &str,
    number: &OrderNumber,
) -> Result<Option<OrderDetail>, Error> {
    let sql = format!(
        "SELECT {COLUMNS}, {ADDRESS_COLUMNS}
         FROM orders WHERE user_id = $1 AND number = $2
         ORDER BY CASE WHEN issued_by = 'shop' THEN 0 ELSE 1 END LIMIT 1"
    );
    let row: Option<DetailRow> =
        sqlx::query_as(AssertSqlSafe(sql)).bind(user_id).bind(number.as_str()).fetch_optional(&mut *snapshot).await?;
    let Some(DetailRow { order, address }) = row else {
        return Ok(None);
    };
    let order = order.into_order()?;
    let lines = lines(snapshot, &order).await?;
    Ok(Some(OrderDetail { order, lines, address: address.into_address() }))
}

async fn lines(snapshot: &mut Transaction, order: &Order) -> Result<Vec<OrderLine>, Error> {
    let mut lines = lines_of(snapshot, std::slice::from_ref(order)).await?;
    Ok(lines.remove(&order.id).unwrap_or_default())
}

/// The lines of each of these orders, by the order's id.
///
/// # Errors
/// The database's.
pub async fn lines_of(snapshot: &mut Transaction, orders: &[Order]) -> Result<HashMap<String, Vec<OrderLine>>, Error> {
    let mut sql = Sql::new(snapshot.engine());
    sql.push("SELECT order_id, sku, name, quantity, unit_price, discount FROM order_lines WHERE order_id IN (");
    sql.push_ids(orders)?.push(") ORDER BY order_id, position");
    let currencies: HashMap<&str, Currency> =
        orders.iter().map(|order| (order.id.as_str(), order.currency())).collect();
    let mut lines: HashMap<String, Vec<OrderLine>> = HashMap::with_capacity(orders.len());
    if orders.is_empty() {
        return Ok(lines);
    }
    let (sql, arguments) = sql.into_parts();
    let rows: Vec<(String, String, String, i64, i64, i64)> =
        sqlx::query_as_with(sql, arguments).fetch_all(snapshot).await?;
    for (order_id, sku, name, quantity, unit_price, discount) in rows {
        let Some(currency) = currencies.get(order_id.as_str()) else { continue };
        let money = |minor| Money::new(minor, *currency);
        let line = OrderLine { sku, name, quantity, unit_price: money(unit_price), discount: money(discount) };
        lines.entry(order_id).or_default().push(line);
    }
    Ok(lines)
}

/// Where each of these orders goes, by the order's id.
///
/// # Errors
/// The database's.
pub async fn addresses_of(snapshot: &mut Transaction, orders: &[Order]) -> Result<HashMap<String, Address>, Error> {
    if orders.is_empty() {
        return Ok(HashMap::new());
    }
    let mut sql = Sql::new(snapshot.engine());
    sql.push(&format!("SELECT id, {ADDRESS_COLUMNS} FROM orders WHERE id IN (")).push_ids(orders)?.push(")");
    let (sql, arguments) = sql.into_parts();
    let rows: Vec<AddressOfRow> = sqlx::query_as_with(sql, arguments).fetch_all(snapshot).await?;
    Ok(rows.into_iter().map(|row| (row.id, row.address.into_address())).collect())
}

/// Numbers of the user's orders next to that one by date: the newer and the older.
///
/// # Errors
/// The database's.
pub async fn neighbours(
    snapshot: &mut Transaction,
    user_id: &str,
    order: &Order,
) -> Result<(Option<OrderNumber>, Option<OrderNumber>), Error> {
    let (newer, older): (Option<String>, Option<String>) = sqlx::query_as(
        "SELECT (SELECT number FROM orders WHERE user_id = $1 AND (placed_at, id) > ($2, $3) ORDER BY placed_at, id LIMIT 1),
                (SELECT number FROM orders WHERE user_id = $4 AND (placed_at, id) < ($5, $6) ORDER BY placed_at DESC, id DESC LIMIT 1)",
    )
    .bind(user_id)
    .bind(order.placed_at.get())
    .bind(&order.id)
    .bind(user_id)
    .bind(order.placed_at.get())
    .bind(&order.id)
    .fetch_one(snapshot)
    .await?;
    let number = |text: Option<String>| text.as_deref().and_then(OrderNumber::parse);
    Ok((number(newer), number(older)))
}

/// Gives the shop's orders that were placed with the address, and are nobody's yet, to the user; tells how many.
pub async fn claim(transaction: &mut Transaction, user_id: &str, email: &str) -> Result<u64, Error> {
    let claimed = sqlx::query("UPDATE orders SET user_id = $1 WHERE email = $2 AND user_id IS NULL")
        .bind(user_id)
        .bind(email)
        .execute(&mut *transaction)
        .await?;
    Ok(claimed.rows_affected())
}

/// Takes the shop's orders that were placed with the address away from the user.
///
/// # Errors
/// The database's.
pub async fn release(transaction: &mut Transaction, user_id: &str, email: &str) -> Result<(), Error> {
    sqlx::query("UPDATE orders SET user_id = NULL WHERE user_id = $1 AND email = $2")
        .bind(user_id)
        .bind(email)
        .execute(&mut *transaction)
        .await
        .map(drop)
}

/// Removes the samples that were made for the user.
///
/// # Errors
/// The database's.
pub async fn remove_samples(transaction: &mut Transaction, user_id: &str) -> Result<(), Error> {
    sqlx::query("DELETE FROM orders WHERE issued_by = $1").bind(user_id).execute(&mut *transaction).await.map(drop)
}
