//! The queries of one order.

use sqlx::AssertSqlSafe;

use crate::database::{Error, Transaction};
use crate::domain::UnixSeconds;
use crate::orders::order::{Order, OrderDetail, OrderName, OrderNumber, ShippingAddress};
use crate::orders::store::{ADDRESS_COLUMNS, ORDER_COLUMNS, lines_by_order, parse_details};

#[derive(sqlx::FromRow)]
struct DetailRow {
    #[sqlx(flatten)]
    order: Order,
    #[sqlx(flatten)]
    address: ShippingAddress,
    details: String,
    original_name: Option<String>,
    shop: String,
    reports_deliveries: i64,
    reorder_requested_at: Option<UnixSeconds>,
    newer: Option<String>,
    older: Option<String>,
}

/// An order that a page links to.
pub(super) type OrderLink = (OrderNumber, OrderName);

/// An order with the user's next newer and next older order, and the one that it repeats.
pub struct FoundOrder {
    pub detail: OrderDetail,
    pub newer: Option<OrderLink>,
    pub older: Option<OrderLink>,
    pub original: Option<OrderLink>,
    /// Empty for the only shop.
    pub shop: String,
    /// Whether the shop's exports say when an order is delivered.
    pub reports_deliveries: bool,
    /// The customer's latest request to order it again that the shop has not marked as done.
    pub reorder_requested_at: Option<UnixSeconds>,
}

/// The user's order of this number.
pub async fn find_order(
    snapshot: &mut Transaction,
    user_id: &str,
    number: &OrderNumber,
) -> Result<Option<OrderDetail>, Error> {
    Ok(find_with_neighbours(snapshot, user_id, number).await?.map(|found| found.detail))
}

/// The same with the orders before and after it.
pub(super) async fn find_with_neighbours(
    snapshot: &mut Transaction,
    user_id: &str,
    number: &OrderNumber,
) -> Result<Option<FoundOrder>, Error> {
    // Number and name are one value, separated by a line break, which neither has.
    let sql = format!(
        "SELECT {ORDER_COLUMNS}, {ADDRESS_COLUMNS}, details,
             shop, CAST((SELECT COUNT(*) FROM counters c WHERE c.name = 'deliveries:' || o.shop) AS BIGINT)
                 + CASE WHEN source = 'sample' THEN 1 ELSE 0 END AS reports_deliveries,
             (SELECT MAX(r.created_at) FROM reorder_requests r
              WHERE r.order_id = o.id AND r.user_id = o.user_id AND r.done_at IS NULL) AS reorder_requested_at,
             (SELECT n.name FROM orders n WHERE n.user_id = $1 AND n.number = o.reordered_from) AS original_name,
             (SELECT n.number || '\n' || n.name FROM orders n WHERE n.user_id = $2 AND (n.placed_at, n.id) > (o.placed_at, o.id)
              ORDER BY n.placed_at, n.id LIMIT 1) AS newer,
             (SELECT n.number || '\n' || n.name FROM orders n WHERE n.user_id = $3 AND (n.placed_at, n.id) < (o.placed_at, o.id)
              ORDER BY n.placed_at DESC, n.id DESC LIMIT 1) AS older
         FROM orders o WHERE user_id = $4 AND number = $5"
    );
    let mut query = sqlx::query_as(AssertSqlSafe(sql));
    for _ in 0..4 {
        query = query.bind(user_id);
    }
    let row: Option<DetailRow> = query.bind(number.as_str()).fetch_optional(&mut *snapshot).await?;
    let Some(row) = row else {
        return Ok(None);
    };
    let order = row.order;
    let mut lines = lines_by_order(snapshot, std::slice::from_ref(&order)).await?;
    let lines = lines.remove(&order.id).unwrap_or_default();
    let link = |text: Option<String>| {
        let text = text?;
        let (number, name) = text.split_once('\n')?;
        OrderNumber::parse(number).zip(OrderName::parse(name))
    };
    let original = order.reordered_from.clone().zip(row.original_name.as_deref().and_then(OrderName::parse));
    let detail = OrderDetail { order, lines, address: row.address, details: parse_details(&row.details)? };
    Ok(Some(FoundOrder {
        detail,
        newer: link(row.newer),
        older: link(row.older),
        original,
        shop: row.shop,
        reports_deliveries: row.reports_deliveries > 0,
        reorder_requested_at: row.reorder_requested_at,
    }))
}
