//! The rows of orders.

use super::money::{Currency, Money};
use super::order::{Address, Order, OrderDetail, OrderLine, OrderNumber};
use crate::clock::UnixSeconds;
use crate::database::{Database, Error, Transaction};

/// A place in a customer's list, newest first: between the order that it names and the next.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Cursor {
    placed_at: UnixSeconds,
    id: String,
}

impl Cursor {
    /// The place at that order.
    pub fn at(order: &Order) -> Self {
        Self { placed_at: order.placed_at, id: order.id.clone() }
    }

    /// Reads what [`Display`](std::fmt::Display) writes.
    pub fn parse(text: &str) -> Option<Self> {
        let (seconds, id) = text.split_once('_')?;
        let seconds: i64 = seconds.parse().ok()?;
        let placed_at = UnixSeconds::new(seconds);
        let is_id = (1..=64).contains(&id.len()) && id.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'-');
        (is_id && placed_at.get() == seconds).then(|| Self { placed_at, id: id.to_owned() })
    }
}

/// Letters, digits, `-` and `_` only, so that it stands in an address as it is.
impl std::fmt::Display for Cursor {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{}_{}", self.placed_at.get(), self.id)
    }
}

/// Which part of the list is asked for.
#[derive(Clone, Debug)]
pub enum From {
    /// The newest.
    Start,
    /// Those older than the place.
    After(Cursor),
    /// Those newer than the place, the nearest ones.
    Before(Cursor),
}

/// A part of the list, newest first.
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
        })
    }
}

fn currency(code: &str) -> Result<Currency, Error> {
    Currency::parse(code).ok_or_else(|| unreadable("currency"))
}

fn unreadable(column: &str) -> Error {
    Error::Decode(format!("orders.{column} holds what this program never writes").into())
}

/// At most `limit` orders of the user. It costs the same wherever in the list it starts: the index `orders_newest_first`
/// leads to the place.
///
/// # Errors
/// The database's.
pub async fn list(database: &Database, user_id: &str, from: &From, limit: u32) -> Result<Part, Error> {
    let one_more = i64::from(limit) + 1;
    let query = match from {
        From::Start => sqlx::query_as::<_, OrderRow>(
            "SELECT id, number, placed_at, paid_at, fulfilled_at, cancelled_at, payment_status, fulfillment_status, currency,
                    subtotal, shipping, taxes, discount, refunded, total, line_count
             FROM orders WHERE user_id = $1 ORDER BY placed_at DESC, id DESC LIMIT $2",
        )
        .bind(user_id),
        From::After(cursor) => sqlx::query_as(
            "SELECT id, number, placed_at, paid_at, fulfilled_at, cancelled_at, payment_status, fulfillment_status, currency,
                    subtotal, shipping, taxes, discount, refunded, total, line_count
             FROM orders WHERE user_id = $1 AND (placed_at, id) < ($2, $3) ORDER BY placed_at DESC, id DESC LIMIT $4",
        )
        .bind(user_id)
        .bind(cursor.placed_at.get())
        .bind(&cursor.id),
        From::Before(cursor) => sqlx::query_as(
            "SELECT id, number, placed_at, paid_at, fulfilled_at, cancelled_at, payment_status, fulfillment_status, currency,
                    subtotal, shipping, taxes, discount, refunded, total, line_count
             FROM orders WHERE user_id = $1 AND (placed_at, id) > ($2, $3) ORDER BY placed_at, id LIMIT $4",
        )
        .bind(user_id)
        .bind(cursor.placed_at.get())
        .bind(&cursor.id),
    };
    let mut rows = query.bind(one_more).fetch_all(database.reader()).await?;
    let has_more = rows.len() > limit as usize;
    rows.truncate(limit as usize);
    if matches!(from, From::Before(_)) {
        rows.reverse();
    }
    let orders = rows.into_iter().map(OrderRow::into_order).collect::<Result<_, _>>()?;
    Ok(Part { orders, has_more })
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
pub async fn find(database: &Database, user_id: &str, number: &OrderNumber) -> Result<Option<OrderDetail>, Error> {
    let row: Option<DetailRow> = sqlx::query_as(
        "SELECT id, number, placed_at, paid_at, fulfilled_at, cancelled_at, payment_status, fulfillment_status, currency,
                subtotal, shipping, taxes, discount, refunded, total, line_count, ship_name, ship_company, ship_address1,
                ship_address2, ship_zip, ship_city, ship_province, ship_country, ship_phone
         FROM orders WHERE user_id = $1 AND number = $2
         ORDER BY CASE WHEN issued_by = 'shop' THEN 0 ELSE 1 END LIMIT 1",
    )
    .bind(user_id)
    .bind(number.as_str())
    .fetch_optional(database.reader())
    .await?;
    let Some(DetailRow { order, address }) = row else {
        return Ok(None);
    };
    let order = order.into_order()?;
    let lines = lines(database, &order).await?;
    let address = Address {
        name: address.ship_name,
        company: address.ship_company,
        address1: address.ship_address1,
        address2: address.ship_address2,
        zip: address.ship_zip,
        city: address.ship_city,
        province: address.ship_province,
        country: address.ship_country,
        phone: address.ship_phone,
    };
    Ok(Some(OrderDetail { order, lines, address }))
}

async fn lines(database: &Database, order: &Order) -> Result<Vec<OrderLine>, Error> {
    let rows: Vec<(String, String, i64, i64, i64)> = sqlx::query_as(
        "SELECT sku, name, quantity, unit_price, discount FROM order_lines WHERE order_id = $1 ORDER BY position",
    )
    .bind(&order.id)
    .fetch_all(database.reader())
    .await?;
    let money = |minor| Money::new(minor, order.currency());
    let line = |(sku, name, quantity, unit_price, discount)| OrderLine {
        sku,
        name,
        quantity,
        unit_price: money(unit_price),
        discount: money(discount),
    };
    Ok(rows.into_iter().map(line).collect())
}

/// Gives the shop's orders that were placed with the address, and are nobody's yet, to the user; tells how many.
pub async fn claim(transaction: &mut Transaction, user_id: &str, email: &str) -> Result<u64, Error> {
    let claimed = sqlx::query("UPDATE orders SET user_id = $1 WHERE email = $2 AND user_id IS NULL")
        .bind(user_id)
        .bind(email)
        .execute(&mut **transaction)
        .await?;
    Ok(claimed.rows_affected())
}

/// Removes the samples that were made for the user.
///
/// # Errors
/// The database's.
pub async fn remove_samples(transaction: &mut Transaction, user_id: &str) -> Result<(), Error> {
    sqlx::query("DELETE FROM orders WHERE issued_by = $1").bind(user_id).execute(&mut **transaction).await.map(drop)
}

/// A sample that is to be written; amounts in cents.
pub struct NewSample {
    pub id: String,
    pub user_id: String,
    pub number: String,
    pub placed_at: UnixSeconds,
    pub paid_at: Option<UnixSeconds>,
    pub fulfilled_at: Option<UnixSeconds>,
    pub cancelled_at: Option<UnixSeconds>,
    pub payment_status: &'static str,
    pub fulfillment_status: &'static str,
    pub subtotal: i64,
    pub shipping: i64,
    pub discount: i64,
    pub refunded: i64,
    pub total: i64,
    /// Sku, name and price of each line, and how many.
    pub lines: Vec<((&'static str, &'static str, i64), i64)>,
}

/// Writes a sample, with a made-up address.
pub async fn insert_sample(transaction: &mut Transaction, sample: &NewSample) -> Result<(), Error> {
    sqlx::query(
        "INSERT INTO orders (id, issued_by, number, user_id, placed_at, paid_at, fulfilled_at, cancelled_at, payment_status,
             fulfillment_status, subtotal, shipping, discount, refunded, total, line_count, currency, taxes, ship_name,
             ship_company, ship_address1, ship_address2, ship_zip, ship_city, ship_province, ship_country, ship_phone, fingerprint)
         VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14, $15, $16, 'EUR', 0, 'Robin Sample',
             '', '12 Harbour Street', '2nd floor', 'D02 X285', 'Dublin', '', 'Ireland', '', $17)",
    )
    .bind(&sample.id)
    .bind(&sample.user_id)
    .bind(&sample.number)
    .bind(&sample.user_id)
    .bind(sample.placed_at.get())
    .bind(sample.paid_at.map(UnixSeconds::get))
    .bind(sample.fulfilled_at.map(UnixSeconds::get))
    .bind(sample.cancelled_at.map(UnixSeconds::get))
    .bind(sample.payment_status)
    .bind(sample.fulfillment_status)
    .bind(sample.subtotal)
    .bind(sample.shipping)
    .bind(sample.discount)
    .bind(sample.refunded)
    .bind(sample.total)
    .bind(i64::try_from(sample.lines.len()).unwrap_or(i64::MAX))
    .bind(Vec::<u8>::new())
    .execute(&mut **transaction)
    .await?;
    for (position, ((sku, name, unit_price), quantity)) in (1_i64..).zip(&sample.lines) {
        sqlx::query(
            "INSERT INTO order_lines (order_id, position, sku, name, quantity, unit_price, discount)
             VALUES ($1, $2, $3, $4, $5, $6, 0)",
        )
        .bind(&sample.id)
        .bind(position)
        .bind(*sku)
        .bind(*name)
        .bind(*quantity)
        .bind(*unit_price)
        .execute(&mut **transaction)
        .await?;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_place_in_the_list_is_read_as_it_was_written() {
        let cursor = Cursor { placed_at: UnixSeconds::new(-5), id: "0190-ab".to_owned() };
        assert_eq!(Cursor::parse(&cursor.to_string()), Some(cursor));
        for text in
            ["", "x", "1", "_a", "1_", "1_a_b", "1_a b", "99999999999999999999_a", "999999999999999_a", "1_\u{e9}"]
        {
            assert_eq!(Cursor::parse(text), None, "{text:?}");
        }
    }
}
