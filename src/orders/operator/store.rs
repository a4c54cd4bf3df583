//! The statements of the operator's commands on orders.

use sqlx::AssertSqlSafe;

use crate::database::{Database, Error, Transaction};
use crate::domain::{Money, UnixSeconds, UserId};
use crate::orders::import::store::lookup::TakenNumbers;
use crate::orders::monthly_totals::{self, Changes};
use crate::orders::order::{OrderName, OrderNumber};
use crate::orders::store::{REQUEST_COLUMNS, currency, remove_samples, unreadable};

/// An order of the shop, as commands show it.
#[derive(sqlx::FromRow)]
pub struct OperatorOrder {
    pub id: String,
    pub name: String,
    pub number: String,
    pub shop: String,
    pub external_id: String,
    pub email: Option<String>,
    /// The address of the account that shows the order.
    pub account: Option<String>,
    pub user_id: Option<String>,
    pub placed_at: UnixSeconds,
    pub paid_at: Option<UnixSeconds>,
    pub fulfilled_at: Option<UnixSeconds>,
    pub cancelled_at: Option<UnixSeconds>,
    pub cancellation_asked_at: Option<UnixSeconds>,
    pub cancellation_reason: Option<String>,
    pub cancellation_answer: Option<String>,
    pub cancellation_answered_at: Option<UnixSeconds>,
    pub status: String,
    pub payment_status: String,
    pub fulfillment_status: String,
    currency: String,
    total: i64,
    refunded: i64,
    pub line_count: i64,
    pub reordered_from: Option<String>,
}

impl OperatorOrder {
    pub fn total(&self) -> Result<Money, Error> {
        Ok(Money::new(self.total, currency(&self.currency)?))
    }

    pub fn refunded(&self) -> Result<Money, Error> {
        Ok(Money::new(self.refunded, currency(&self.currency)?))
    }

    /// Tells the order apart from others of its number.
    pub fn distinct_id(&self) -> &str {
        if self.external_id.is_empty() { &self.id } else { &self.external_id }
    }
}

const COLUMNS: &str = "o.id, o.name, o.number, o.shop, o.external_id, o.email, u.email AS account, o.user_id, o.placed_at, o.paid_at, \
     o.fulfilled_at, o.cancelled_at, o.cancellation_asked_at, o.cancellation_reason, \
     o.cancellation_answer, o.cancellation_answered_at, o.status, o.payment_status, o.fulfillment_status, o.currency, o.total, \
     o.refunded, o.line_count, o.reordered_from";

/// The orders of the shop with this number, with or without its `#`; or with this id.
pub async fn find_by_number_or_id(database: &Database, text: &str) -> Result<Vec<OperatorOrder>, Error> {
    find(database, text, "o.source = 'shop'").await
}

/// The same, and if the shop has no such order, the samples of a development server for which a customer has requested a cancellation.
pub async fn find_with_request(database: &Database, text: &str) -> Result<Vec<OperatorOrder>, Error> {
    let found = find_by_number_or_id(database, text).await?;
    if !found.is_empty() {
        return Ok(found);
    }
    find(database, text, "o.source = 'sample' AND o.cancellation_asked_at IS NOT NULL").await
}

async fn find(database: &Database, text: &str, source: &str) -> Result<Vec<OperatorOrder>, Error> {
    let Some(name) = OrderName::parse(text.trim()) else { return Ok(Vec::new()) };
    let select = |condition: &str| {
        AssertSqlSafe(format!(
            "SELECT {COLUMNS} FROM orders o LEFT JOIN users u ON u.id = o.user_id
             WHERE {source} AND {condition} ORDER BY o.placed_at, o.id"
        ))
    };
    let by_number: Vec<OperatorOrder> =
        sqlx::query_as(select("o.shop_number = $1")).bind(name.without_hash()).fetch_all(database.reader()).await?;
    if !by_number.is_empty() {
        return Ok(by_number);
    }
    sqlx::query_as(select("(o.external_id = $1 OR o.id = $2)"))
        .bind(name.as_str())
        .bind(name.as_str())
        .fetch_all(database.reader())
        .await
}

/// Gives an order to a user. A later import leaves it there while the order's email stays the same.
pub async fn link(transaction: &mut Transaction, user_id: &UserId, order: &OperatorOrder) -> Result<(), Error> {
    let former: Option<UserId> = sqlx::query_scalar("SELECT user_id FROM orders WHERE id = $1")
        .bind(&order.id)
        .fetch_one(&mut *transaction)
        .await?;
    // First, because a sample may have the number of the order. The totals are rebuilt as a whole.
    remove_samples(transaction, user_id, &mut Changes::default()).await?;
    let name = OrderName::parse(&order.name).ok_or_else(|| unreadable("name"))?;
    let number: OrderNumber = name.number();
    let wanted = std::iter::once((user_id.as_str(), number.as_str()));
    let mut taken = TakenNumbers::find(transaction, wanted).await?;
    let number = taken.take(transaction, user_id, &number).await?;
    let request = REQUEST_COLUMNS
        .map(|column| format!("{column} = CASE WHEN user_id IS NULL OR user_id = $3 THEN {column} END"))
        .join(", ");
    sqlx::query(AssertSqlSafe(format!("UPDATE orders SET user_id = $1, number = $2, {request} WHERE id = $4")))
        .bind(user_id)
        .bind(number)
        .bind(user_id)
        .bind(&order.id)
        .execute(&mut *transaction)
        .await?;
    if let Some(former) = &former {
        monthly_totals::rebuild(transaction, former).await?;
    }
    monthly_totals::rebuild(transaction, user_id).await
}
