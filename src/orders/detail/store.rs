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
}

/// The user's order of this number. A sample and a real order may have the same number; then it is the real one.
pub async fn find_order(
    snapshot: &mut Transaction,
    user_id: &str,
    number: &OrderNumber,
) -> Result<Option<OrderDetail>, Error> {
    let sql = format!(
        "SELECT {ORDER_COLUMNS}, {ADDRESS_COLUMNS}
         FROM orders WHERE user_id = $1 AND number = $2
         ORDER BY CASE WHEN issued_by = 'shop' THEN 0 ELSE 1 END LIMIT 1"
    );
    let row: Option<DetailRow> =
        sqlx::query_as(AssertSqlSafe(sql)).bind(user_id).bind(number.as_str()).fetch_optional(&mut *snapshot).await?;
    let Some(DetailRow { order, address }) = row else {
        return Ok(None);
    };
    let mut lines = lines_by_order(snapshot, std::slice::from_ref(&order)).await?;
    let lines = lines.remove(&order.id).unwrap_or_default();
    Ok(Some(OrderDetail { order, lines, address }))
}

/// The numbers of the user's next newer and next older order.
pub(super) async fn find_neighbours(
    snapshot: &mut Transaction,
    user_id: &str,
    order: &Order,
) -> Result<(Option<OrderNumber>, Option<OrderNumber>), Error> {
    let (newer, older): (Option<String>, Option<String>) = sqlx::query_as(
        "SELECT (SELECT number FROM orders WHERE user_id = $1 AND (placed_at, id) > ($2, $3) ORDER BY placed_at, id LIMIT 1),
                (SELECT number FROM orders WHERE user_id = $4 AND (placed_at, id) < ($5, $6) ORDER BY placed_at DESC, id DESC LIMIT 1)",
    )
    .bind(user_id)
    .bind(order.placed_at)
    .bind(order.id.as_str())
    .bind(user_id)
    .bind(order.placed_at)
    .bind(order.id.as_str())
    .fetch_one(snapshot)
    .await?;
    let number = |text: Option<String>| text.as_deref().and_then(OrderNumber::parse);
    Ok((number(newer), number(older)))
}
