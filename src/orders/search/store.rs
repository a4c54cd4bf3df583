//! The search columns of orders.

use super::SearchText;
use crate::database::{Database, Error, MAINTENANCE_BATCH, SqlBuilder, Transaction};

/// Appends the condition that the text of an order of the user matches all patterns. The prefix, which most texts do not exceed, is part of
/// the lists' indexes; the longer texts are few, and have an index of their own. Neither engine reads a row for the others.
///
/// The patterns decide on the best plan, so such a statement must not be kept prepared (`persistent(false)`): after a few executions
/// PostgreSQL would plan it for any patterns.
pub fn push_condition(sql: &mut SqlBuilder, user_id: &str, patterns: &[String]) -> Result<(), Error> {
    sql.push("(");
    push_patterns(sql, "search_prefix", patterns)?;
    sql.push(" OR id IN (SELECT id FROM orders WHERE search_text IS NOT NULL AND user_id = ")
        .bind(user_id.to_owned())?;
    push_patterns(sql.push(" AND "), "search_text", patterns)?;
    sql.push("))");
    Ok(())
}

fn push_patterns(sql: &mut SqlBuilder, column: &str, patterns: &[String]) -> Result<(), Error> {
    for (index, pattern) in patterns.iter().enumerate() {
        sql.push(if index == 0 { "" } else { " AND " }).push(column).push(" LIKE ").bind(pattern.clone())?;
        sql.push(" ESCAPE '\\'");
    }
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
pub async fn text_of(transaction: &mut Transaction, order_id: &str, number: &str) -> Result<SearchText, Error> {
    let lines: Vec<(String, String)> =
        sqlx::query_as("SELECT sku, name FROM order_lines WHERE order_id = $1 ORDER BY position")
            .bind(order_id)
            .fetch_all(&mut *transaction)
            .await?;
    Ok(SearchText::new(number, lines.iter().map(|(sku, name)| (sku.as_str(), name.as_str()))))
}
