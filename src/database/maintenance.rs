//! Maintenance: deletes expired rows in small batches, so that requests do not wait for it.

use sqlx::AssertSqlSafe;

use super::{Database, Error};
use crate::domain::UnixSeconds;

/// Rows that one maintenance statement changes.
pub const MAINTENANCE_BATCH: i64 = 500;

impl Database {
    /// Deletes a batch of the rows of `table` whose `time` is at most `until`, the oldest first; returns how many. `key` is a column that
    /// identifies them. The outer condition keeps a row that was renewed since the subquery read it.
    pub async fn delete_expired(
        &self,
        table: &'static str,
        key: &'static str,
        time: &'static str,
        until: UnixSeconds,
    ) -> Result<u64, Error> {
        let sql = format!(
            "DELETE FROM {table}
             WHERE {key} IN (SELECT {key} FROM {table} WHERE {time} <= $1 ORDER BY {time} LIMIT $2) AND {time} <= $3"
        );
        let query = sqlx::query(AssertSqlSafe(sql)).bind(until).bind(MAINTENANCE_BATCH).bind(until);
        query.execute(self.writer()).await.map(|deleted| deleted.rows_affected())
    }
}
