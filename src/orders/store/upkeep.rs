//! What upkeep does to the rows of orders: small batches, never on a request.

use sqlx::AssertSqlSafe;

use crate::clock::UnixSeconds;
use crate::database::{Database, Error, Transaction, UPKEEP_BATCH};
use crate::orders::search::searched;

/// Makes some orders of an older program findable; tells how many.
pub(in crate::orders) async fn make_searchable(database: &Database) -> Result<u64, Error> {
    let orders: Vec<(String, String)> = sqlx::query_as("SELECT id, number FROM orders WHERE search_head = '' LIMIT $1")
        .bind(UPKEEP_BATCH)
        .fetch_all(database.reader())
        .await?;
    if orders.is_empty() {
        return Ok(0);
    }
    database.write(async |transaction| fill_search_heads(transaction, &orders).await).await?;
    Ok(orders.len() as u64)
}

async fn fill_search_heads(transaction: &mut Transaction, orders: &[(String, String)]) -> Result<(), Error> {
    for (id, number) in orders {
        let lines: Vec<(String, String)> =
            sqlx::query_as("SELECT sku, name FROM order_lines WHERE order_id = $1 ORDER BY position")
                .bind(id)
                .fetch_all(&mut *transaction)
                .await?;
        let searched = searched(number, lines.iter().map(|(sku, name)| (sku.as_str(), name.as_str())));
        sqlx::query("UPDATE orders SET search_head = $1, search_text = $2 WHERE id = $3 AND search_head = ''")
            .bind(searched.head)
            .bind(searched.whole)
            .bind(id)
            .execute(&mut *transaction)
            .await?;
    }
    Ok(())
}

/// Removes some idempotency keys from before that moment; tells how many.
pub(in crate::orders) async fn forget_keys(database: &Database, before: UnixSeconds) -> Result<u64, Error> {
    let sql = format!(
        "DELETE FROM idempotency_keys WHERE created_at <= $1 AND key IN (
             SELECT key FROM idempotency_keys WHERE created_at <= $2 ORDER BY created_at LIMIT {UPKEEP_BATCH})"
    );
    let done = sqlx::query(AssertSqlSafe(sql)).bind(before.get()).bind(before.get()).execute(database.writer()).await?;
    Ok(done.rows_affected())
}
