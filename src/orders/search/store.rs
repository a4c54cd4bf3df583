//! The search columns of orders.

use super::{PREFIX_CHARS, SearchText};
use crate::database::{Database, Error, MAINTENANCE_BATCH, SqlBuilder, Transaction};

/// Appends the condition that the text of an order matches the pattern. The prefix is part of the index; the row itself is read only
/// where the text is longer than the prefix.
pub fn push_condition(sql: &mut SqlBuilder, pattern: &str) -> Result<(), Error> {
    sql.push("(search_prefix LIKE ").bind(pattern.to_owned())?;
    sql.push(&format!(" ESCAPE '\\' OR (LENGTH(search_prefix) = {PREFIX_CHARS} AND search_text LIKE "));
    sql.bind(pattern.to_owned())?.push(" ESCAPE '\\'))");
    Ok(())
}

/// Fills the search columns of one batch of orders that an earlier version stored without them; returns their number.
pub async fn fill_missing(database: &Database) -> Result<u64, Error> {
    let orders: Vec<(String, String)> =
        sqlx::query_as("SELECT id, shop_number FROM orders WHERE search_prefix = '' LIMIT $1")
            .bind(MAINTENANCE_BATCH)
            .fetch_all(database.reader())
            .await?;
    if orders.is_empty() {
        return Ok(0);
    }
    database.write(async |transaction| fill(transaction, &orders).await).await?;
    Ok(orders.len() as u64)
}

async fn fill(transaction: &mut Transaction, orders: &[(String, String)]) -> Result<(), Error> {
    for (id, number) in orders {
        let text = text_of(transaction, id, number).await?;
        sqlx::query("UPDATE orders SET search_prefix = $1, search_text = $2 WHERE id = $3 AND search_prefix = ''")
            .bind(text.prefix)
            .bind(text.full)
            .bind(id)
            .execute(&mut *transaction)
            .await?;
    }
    Ok(())
}

/// The search text of an order with this number in the shop and the lines of a stored order.
async fn text_of(transaction: &mut Transaction, order_id: &str, number: &str) -> Result<SearchText, Error> {
    let lines: Vec<(String, String)> =
        sqlx::query_as("SELECT sku, name FROM order_lines WHERE order_id = $1 ORDER BY position")
            .bind(order_id)
            .fetch_all(&mut *transaction)
            .await?;
    Ok(SearchText::new(number, lines.iter().map(|(sku, name)| (sku.as_str(), name.as_str()))))
}
