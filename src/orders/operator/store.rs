//! The statements of the operator's commands on orders.

use sqlx::AssertSqlSafe;

use crate::database::{Database, Error, Transaction};
use crate::domain::{UnixSeconds, UserId};
use crate::orders::import::store::lookup::TakenNumbers;
use crate::orders::monthly_totals::{self, Changes};
use crate::orders::order::{Order, OrderDetail, OrderName, OrderNumber, without_hash};
use crate::orders::store::{
    ORDER_COLUMNS, OrderParts, OrderRow, REQUEST_COLUMNS, lines_by_order, parts_by_order, remove_samples, unreadable,
};

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
    pub cancellation_asked_at: Option<UnixSeconds>,
    pub cancellation_answer: Option<String>,
    pub cancellation_answered_at: Option<UnixSeconds>,
    pub status: String,
    source: String,
}

impl OperatorOrder {
    /// Whether it is a sample of a development server.
    pub fn is_sample(&self) -> bool {
        self.source == "sample"
    }

    /// Tells the order apart from others of its number.
    pub fn distinct_id(&self) -> &str {
        if self.external_id.is_empty() { &self.id } else { &self.external_id }
    }
}

const COLUMNS: &str = "o.id, o.name, o.number, o.shop, o.external_id, o.email, u.email AS account, o.user_id, o.placed_at, \
     o.cancellation_asked_at, o.cancellation_answer, o.cancellation_answered_at, o.status, o.source";

/// The orders of the shop with this number, with or without its `#`, or with the `-2` of a customer's pages; or with this id.
pub async fn find_by_number_or_id(database: &Database, text: &str) -> Result<Vec<OperatorOrder>, Error> {
    find(database, text, "o.source = 'shop'").await
}

/// The same, and if the shop has no such order, the samples of a development server.
pub async fn find_with_samples(database: &Database, text: &str) -> Result<Vec<OperatorOrder>, Error> {
    let found = find_by_number_or_id(database, text).await?;
    if found.is_empty() { find(database, text, "o.source = 'sample'").await } else { Ok(found) }
}

/// The same, but only samples for which a customer has requested a cancellation.
pub async fn find_with_request(database: &Database, text: &str) -> Result<Vec<OperatorOrder>, Error> {
    let mut found = find_with_samples(database, text).await?;
    found.retain(|order| !order.is_sample() || order.cancellation_asked_at.is_some());
    Ok(found)
}

async fn find(database: &Database, text: &str, source: &str) -> Result<Vec<OperatorOrder>, Error> {
    let text = text.trim();
    let number = without_hash(text);
    let select = |condition: &str| {
        AssertSqlSafe(format!(
            "SELECT {COLUMNS} FROM orders o LEFT JOIN users u ON u.id = o.user_id
             WHERE {source} AND {condition} ORDER BY o.placed_at, o.id"
        ))
    };
    // The shop's number may begin with a # itself; the number of a customer's pages may have a suffix.
    let by_number = select("(o.shop_number IN ($1, $2) OR (o.shop_number = $3 AND o.number = $4))");
    let by_number: Vec<OperatorOrder> = sqlx::query_as(by_number)
        .bind(number)
        .bind(text)
        .bind(without_suffix(number))
        .bind(number)
        .fetch_all(database.reader())
        .await?;
    if !by_number.is_empty() {
        return Ok(by_number);
    }
    sqlx::query_as(select("(o.external_id = $1 OR o.id = $2)")).bind(text).bind(text).fetch_all(database.reader()).await
}

/// `1001-2` is the number 1001 of a customer who has two.
fn without_suffix(number: &str) -> &str {
    let is_suffix = |suffix: &str| !suffix.is_empty() && suffix.bytes().all(|byte| byte.is_ascii_digit());
    number.rsplit_once('-').filter(|(_, suffix)| is_suffix(suffix)).map_or(number, |(number, _)| number)
}

/// Everything that is known about an order.
pub struct OrderRecord {
    pub order: OperatorOrder,
    pub detail: OrderDetail,
    /// Requests to order it again that wait: id and time.
    pub reorders: Vec<(String, UnixSeconds)>,
}

pub async fn find_record(database: &Database, order: OperatorOrder) -> Result<OrderRecord, Error> {
    let id = order.id.clone();
    let read = database.read(async |snapshot| {
        let sql = AssertSqlSafe(format!("SELECT {ORDER_COLUMNS} FROM orders WHERE id = $1"));
        let found: OrderRow = sqlx::query_as(sql).bind(&id).fetch_one(&mut *snapshot).await?;
        let found = Order::try_from(found)?;
        let orders = [found];
        let lines = lines_by_order(snapshot, &orders).await?;
        let parts = parts_by_order(snapshot, &orders).await?;
        let reorders =
            "SELECT id, created_at FROM reorder_requests WHERE order_id = $1 AND done_at IS NULL ORDER BY created_at, id";
        let reorders = sqlx::query_as(reorders).bind(&id).fetch_all(&mut *snapshot).await?;
        Ok::<_, Error>((orders, lines, parts, reorders))
    });
    let ([found], mut lines, mut parts, reorders) = read.await?;
    let lines = lines.remove(&found.id).unwrap_or_default();
    let OrderParts { address, details, shop } = parts.remove(&found.id).unwrap_or_default();
    let detail = OrderDetail { order: found, lines, address, details, shop };
    Ok(OrderRecord { order, detail, reorders })
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
