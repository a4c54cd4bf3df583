//! The statements of requests to the shop.

pub mod cancellations;
pub mod reorders;

use crate::database::{Error, Transaction};
use crate::orders::order::Order;

/// What tells the order apart from others of the shop with its number: `Id 4567, Tea & Co`. `None` if there are no others.
pub(in crate::orders::actions) async fn find_distinction(
    transaction: &mut Transaction,
    order: &Order,
) -> Result<Option<String>, Error> {
    let same: Vec<(String, String, String)> = sqlx::query_as(
        "SELECT id, external_id, shop FROM orders WHERE source = 'shop' AND shop_number = $1 ORDER BY CASE WHEN id = $2 THEN 0 ELSE 1 END, id
         LIMIT 2",
    )
    .bind(order.name.without_hash())
    .bind(order.id.as_str())
    .fetch_all(&mut *transaction)
    .await?;
    let [(id, external_id, shop), _] = same.as_slice() else { return Ok(None) };
    // A sample has no others.
    if id != order.id.as_str() {
        return Ok(None);
    }
    let id = if external_id.is_empty() { id } else { external_id };
    Ok(Some(if shop.is_empty() { format!("Id {id}") } else { format!("Id {id}, {shop}") }))
}
