//! The queries of one order.

use sqlx::AssertSqlSafe;

use crate::database::{Error, Transaction};
use crate::orders::order::{Order, OrderDetail, OrderName, OrderNumber, ShippingAddress};
use crate::orders::store::{ADDRESS_COLUMNS, ORDER_COLUMNS, OrderRow, lines_by_order, parse_details};

#[derive(sqlx::FromRow)]
struct DetailRow {
    #[sqlx(flatten)]
    order: OrderRow,
    #[sqlx(flatten)]
    address: ShippingAddress,
    details: String,
}

/// The user's order of this number.
///
/// # Errors
/// The database fails.
pub async fn find_order(
    snapshot: &mut Transaction,
    user_id: &str,
    number: &OrderNumber,
) -> Result<Option<OrderDetail>, Error> {
    let sql =
        format!("SELECT {ORDER_COLUMNS}, {ADDRESS_COLUMNS}, details FROM orders WHERE user_id = $1 AND number = $2");
    let row: Option<DetailRow> =
        sqlx::query_as(AssertSqlSafe(sql)).bind(user_id).bind(number.as_str()).fetch_optional(&mut *snapshot).await?;
    let Some(DetailRow { order, address, details }) = row else {
        return Ok(None);
    };
    let order = order.into_order()?;
    let mut lines = lines_by_order(snapshot, std::slice::from_ref(&order)).await?;
    let lines = lines.remove(&order.id).unwrap_or_default();
    Ok(Some(OrderDetail { order, lines, address, details: parse_details(&details)? }))
}

/// An order that a page links to.
pub(super) type OrderLink = (OrderNumber, OrderName);

/// The user's orders that the page of an order links to.
#[derive(Default)]
pub(super) struct LinkedOrders {
    pub newer: Option<OrderLink>,
    pub older: Option<OrderLink>,
    pub reordered_from: Option<OrderLink>,
}

pub(super) async fn find_linked(
    snapshot: &mut Transaction,
    user_id: &str,
    order: &Order,
) -> Result<LinkedOrders, Error> {
    // Each part is one row at most; their order is not used.
    let rows: Vec<(String, String, String)> = sqlx::query_as(
        "SELECT * FROM (SELECT 'newer' AS kind, number, name FROM orders WHERE user_id = $1 AND (placed_at, id) > ($2, $3)
                        ORDER BY placed_at, id LIMIT 1) newer
         UNION ALL
         SELECT * FROM (SELECT 'older' AS kind, number, name FROM orders WHERE user_id = $4 AND (placed_at, id) < ($5, $6)
                        ORDER BY placed_at DESC, id DESC LIMIT 1) older
         UNION ALL
         SELECT 'original' AS kind, number, name FROM orders WHERE user_id = $7 AND number = $8",
    )
    .bind(user_id)
    .bind(order.placed_at.get())
    .bind(order.id.as_str())
    .bind(user_id)
    .bind(order.placed_at.get())
    .bind(order.id.as_str())
    .bind(user_id)
    .bind(order.reordered_from.as_ref().map(OrderNumber::as_str))
    .fetch_all(snapshot)
    .await?;
    let mut linked = LinkedOrders::default();
    for (kind, number, name) in rows {
        let link = OrderNumber::parse(&number).zip(OrderName::parse(&name));
        match kind.as_str() {
            "newer" => linked.newer = link,
            "older" => linked.older = link,
            _ => linked.reordered_from = link,
        }
    }
    Ok(linked)
}
