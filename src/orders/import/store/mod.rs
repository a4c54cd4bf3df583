//! The SQL of an import, a hundred orders with one set of statements.
//!
//! The cost of a statement must not grow with the tables, also on a PostgreSQL server that never analysed them. Without statistics it
//! assumes that `number IN ($1, …)` together with another column matches most of the table, and reads the whole table. Therefore a lookup
//! is one `SELECT` by the whole key for each value, joined by `UNION ALL`, and lines are overwritten instead of deleted by their order.

pub(super) mod history;
pub(super) mod lease;
pub(in crate::orders) mod lookup;
pub(super) mod state_changes;
pub(super) mod stored;
pub(in crate::orders) mod write;

use sqlx::any::AnyRow;
use sqlx::{AssertSqlSafe, FromRow};

use crate::database::{Engine, Error, Transaction, batches};

/// Orders that one set of statements compares and writes.
pub(super) const CHUNK: usize = 100;

/// Runs `select` for each key; each `{}` in it is one part of the key. To the planner each is a separate query.
async fn select_each<T, const N: usize>(
    transaction: &mut Transaction,
    select: &str,
    keys: &[[&str; N]],
) -> Result<Vec<T>, Error>
where
    T: for<'r> FromRow<'r, AnyRow> + Send + Unpin,
{
    let engine = transaction.engine();
    let mut rows = Vec::new();
    for batch in batches(keys) {
        let mut number = 0;
        let mut selects = Vec::with_capacity(batch.len());
        for _ in batch {
            let mut sql = String::with_capacity(select.len() + 8);
            let mut parts = select.split("{}");
            sql.push_str(parts.next().unwrap_or_default());
            for part in parts {
                number += 1;
                sql.push_str(&engine.placeholder(number));
                sql.push_str(part);
            }
            selects.push(sql);
        }
        let mut query = sqlx::query_as(AssertSqlSafe(selects.join(" UNION ALL ")));
        for value in batch.iter().flatten() {
            query = query.bind(*value);
        }
        rows.extend(query.fetch_all(&mut *transaction).await?);
    }
    Ok(rows)
}

/// Each key once.
fn distinct<'a, const N: usize>(keys: impl Iterator<Item = [&'a str; N]>) -> Vec<[&'a str; N]> {
    let mut keys: Vec<[&str; N]> = keys.collect();
    keys.sort_unstable();
    keys.dedup();
    keys
}

/// Placeholders for that many rows: `($1, $2), ($3, $4)`.
fn tuples(engine: Engine, rows: usize, columns: usize) -> String {
    let mut text = String::with_capacity(rows * columns * 6);
    for row in 0..rows {
        text.push_str(if row == 0 { "(" } else { ", (" });
        for column in 0..columns {
            text.push_str(if column == 0 { "" } else { ", " });
            text.push_str(&engine.placeholder(1 + row * columns + column));
        }
        text.push(')');
    }
    text
}
