//! The table `trusted_browsers`, and the statements that it shares with `trusted_networks`, which has the same columns.

use sqlx::AssertSqlSafe;

use crate::database::{Database, Error, Transaction};
use crate::domain::{Email, UnixSeconds, UserId};

/// Per account and table. A program without cookies adds a browser with each login; a phone uses many networks.
const MAX_PER_ACCOUNT: i64 = 20;

/// `trusted_browsers` or `trusted_networks`.
#[derive(Clone, Copy)]
pub struct TrustedTable(pub &'static str);

pub const TABLE: TrustedTable = TrustedTable("trusted_browsers");

impl TrustedTable {
    /// The times of the last use of the user's rows, latest first.
    pub async fn last_used(self, database: &Database, user_id: &UserId) -> Result<Vec<UnixSeconds>, Error> {
        let sql = format!("SELECT last_used_at FROM {} WHERE user_id = $1 ORDER BY last_used_at DESC, hash", self.0);
        sqlx::query_scalar(AssertSqlSafe(sql)).bind(user_id).fetch_all(database.reader()).await
    }

    pub async fn trust(
        self,
        transaction: &mut Transaction,
        user_id: &UserId,
        hash: &[u8],
        now: UnixSeconds,
    ) -> Result<(), Error> {
        let table = self.0;
        let insert = format!(
            "INSERT INTO {table} (hash, user_id, last_used_at) VALUES ($1, $2, $3)
             ON CONFLICT (hash, user_id) DO UPDATE SET last_used_at = excluded.last_used_at"
        );
        let insert = sqlx::query(AssertSqlSafe(insert)).bind(hash).bind(user_id).bind(now);
        insert.execute(&mut *transaction).await?;
        let delete = format!(
            "DELETE FROM {table} WHERE user_id = $1 AND hash NOT IN (
                 SELECT hash FROM {table} WHERE user_id = $2 ORDER BY last_used_at DESC, hash LIMIT $3)"
        );
        let delete = sqlx::query(AssertSqlSafe(delete)).bind(user_id).bind(user_id).bind(MAX_PER_ACCOUNT);
        delete.execute(&mut *transaction).await.map(drop)
    }

    pub async fn delete_all(self, transaction: &mut Transaction, user_id: &UserId) -> Result<(), Error> {
        let sql = format!("DELETE FROM {} WHERE user_id = $1", self.0);
        sqlx::query(AssertSqlSafe(sql)).bind(user_id).execute(&mut *transaction).await.map(drop)
    }
}

/// Whether the account with that address trusts the browser.
pub async fn is_trusted(database: &Database, email: &Email, hash: &[u8]) -> Result<bool, Error> {
    let row: Option<(i64,)> = sqlx::query_as(
        "SELECT b.last_used_at FROM trusted_browsers b JOIN users u ON u.id = b.user_id WHERE b.hash = $1 AND u.email = $2",
    )
    .bind(hash)
    .bind(email.as_str())
    .fetch_optional(database.reader())
    .await?;
    Ok(row.is_some())
}

/// Whether any account trusts the browser.
pub async fn exists(database: &Database, hash: &[u8]) -> Result<bool, Error> {
    let row: Option<(i64,)> = sqlx::query_as("SELECT last_used_at FROM trusted_browsers WHERE hash = $1 LIMIT 1")
        .bind(hash)
        .fetch_optional(database.reader())
        .await?;
    Ok(row.is_some())
}

/// Maintenance: deletes a batch of browsers that were not used since; returns how many.
pub async fn delete_unused(database: &Database, unused_since: UnixSeconds) -> Result<u64, Error> {
    database.delete_expired("trusted_browsers", "hash", "last_used_at", unused_since).await
}
