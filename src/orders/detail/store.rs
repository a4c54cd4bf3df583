//! The queries of one order.

use sqlx::AssertSqlSafe;

use crate::database::{Error, Transaction};
use crate::orders::order::{Order, OrderDetail, OrderNumber, ShippingAddress};
use crate::orders::store::{ADDRESS_COLUMNS, ORDER_COLUMNS, lines_by_order};

#[derive(sqlx::FromRow)]
struct DetailRow {
    #[sqlx(flatten)]
    order: Order,
    #[sqlx(flatten)]
    address: ShippingAddress,
    newer: Option<String>,
    older: Option<String>,
}

/// An order with the numbers of the user's next newer and next older order.
pub struct FoundOrder {
    pub detail: OrderDetail,
    pub newer: Option<OrderNumber>,
    pub older: Option<OrderNumber>,
}

/// The user's order of this number. A sample and a real order may have the same number; then it is the real one.
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
    let sql = format!(
        "SELECT {ORDER_COLUMNS}, {ADDRESS_COLUMNS},
             (SELECT n.number FROM orders n WHERE n.user_id = $1 AND (n.placed_at, n.id) > (o.placed_at, o.id)
              ORDER BY n.placed_at, n.id LIMIT 1) AS newer,
             (SELECT n.number FROM orders n WHERE n.user_id = $2 AND (n.placed_at, n.id) < (o.placed_at, o.id)
              ORDER BY n.placed_at DESC, n.id DESC LIMIT 1) AS older
         FROM orders o WHERE user_id = $3 AND number = $4
         ORDER BY CASE WHEN issued_by = 'shop' THEN 0 ELSE 1 END LIMIT 1"
    );
    let query = sqlx::query_as(AssertSqlSafe(sql)).bind(user_id).bind(user_id).bind(user_id).bind(number.as_str());
    let Some(DetailRow { order, address, newer, older }) = query.fetch_optional(&mut *snapshot).await? else {
        return Ok(None);
    };
    let mut lines = lines_by_order(snapshot, std::slice::from_ref(&order)).await?;
    let lines = lines.remove(&order.id).unwrap_or_default();
    let number = |text: Option<String>| text.as_deref().and_then(OrderNumber::parse);
    let detail = OrderDetail { order, lines, address };
    Ok(Some(FoundOrder { detail, newer: number(newer), older: number(older) }))
}
