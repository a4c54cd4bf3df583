//! The rows of sample orders.

use crate::database::{Error, Transaction};
use crate::domain::UnixSeconds;
use crate::orders::monthly_totals::Changes;
use crate::orders::order::OrderStatus;
use crate::orders::search::SearchText;
use crate::orders::store::counted;

/// A sample order; amounts in cents.
pub(super) struct NewSample {
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
    /// Article number, name and price; quantity.
    pub lines: Vec<((&'static str, &'static str, i64), i64)>,
}

pub(super) async fn insert_sample(transaction: &mut Transaction, sample: &NewSample) -> Result<(), Error> {
    let status = OrderStatus::derive(sample.payment_status, sample.fulfillment_status, sample.cancelled_at.is_some());
    let text = SearchText::new(&sample.number, sample.lines.iter().map(|((sku, name, _), _)| (*sku, *name)));
    sqlx::query(
        "INSERT INTO orders (id, issued_by, number, user_id, placed_at, paid_at, fulfilled_at, cancelled_at, payment_status,
             fulfillment_status, subtotal, shipping, discount, refunded, total, line_count, content_hash, status, search_prefix,
             search_text, currency, taxes, ship_name, ship_company, ship_address1, ship_address2, ship_zip, ship_city,
             ship_province, ship_country, ship_phone)
         VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14, $15, $16, $17, $18, $19, $20, 'EUR', 0,
             'Robin Sample', '', '12 Harbour Street', '2nd floor', 'D02 X285', 'Dublin', '', 'Ireland', '')",
    )
    .bind(&sample.id)
    .bind(&sample.user_id)
    .bind(&sample.number)
    .bind(&sample.user_id)
    .bind(sample.placed_at)
    .bind(sample.paid_at)
    .bind(sample.fulfilled_at)
    .bind(sample.cancelled_at)
    .bind(sample.payment_status)
    .bind(sample.fulfillment_status)
    .bind(sample.subtotal)
    .bind(sample.shipping)
    .bind(sample.discount)
    .bind(sample.refunded)
    .bind(sample.total)
    .bind(i64::try_from(sample.lines.len()).unwrap_or(i64::MAX))
    .bind(Vec::<u8>::new())
    .bind(status.as_str())
    .bind(text.prefix)
    .bind(text.full)
    .execute(&mut *transaction)
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
        .execute(&mut *transaction)
        .await?;
    }
    Ok(())
}

/// Deletes the sample orders of the user, and reorders of them.
pub async fn remove_samples(transaction: &mut Transaction, user_id: &str, changes: &mut Changes) -> Result<(), Error> {
    let removed: Vec<(UnixSeconds, String, String, i64, i64)> = sqlx::query_as(
        "DELETE FROM orders WHERE issued_by = $1 RETURNING placed_at, status, currency, total, refunded",
    )
    .bind(user_id)
    .fetch_all(&mut *transaction)
    .await?;
    for (placed_at, status, currency, total, refunded) in removed {
        changes.remove(user_id, counted((placed_at, &status, &currency, total, refunded))?);
    }
    Ok(())
}
