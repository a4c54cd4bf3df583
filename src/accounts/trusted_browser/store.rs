//! The table `trusted_browsers`, and the statements that it shares with `trusted_networks`, which has the same columns.

use std::time::Duration;

use sqlx::AssertSqlSafe;

use crate::database::{Database, Error, Transaction};
use crate::domain::{UnixSeconds, UserId};

/// A last use that is more recent is not updated.
const LAST_USE_ACCURACY: Duration = Duration::from_hours(1);
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
        self.insert(transaction, user_id, hash, now).await?;
        self.delete_surplus(transaction, user_id).await
    }

    /// The same, with only the statements that are needed after what [`find_trust`] found.
    pub async fn trust_found(
        self,
        transaction: &mut Transaction,
        user_id: &UserId,
        hash: &[u8],
        now: UnixSeconds,
        found: TrustedRows,
    ) -> Result<(), Error> {
        match found.last_used_at {
            Some(at) if at + LAST_USE_ACCURACY > now => Ok(()),
            Some(_) => self.insert(transaction, user_id, hash, now).await,
            None => {
                self.insert(transaction, user_id, hash, now).await?;
                if found.count >= MAX_PER_ACCOUNT { self.delete_surplus(transaction, user_id).await } else { Ok(()) }
            }
        }
    }

    async fn insert(
        self,
        transaction: &mut Transaction,
        user_id: &UserId,
        hash: &[u8],
        now: UnixSeconds,
    ) -> Result<(), Error> {
        let insert = format!(
            "INSERT INTO {} (hash, user_id, last_used_at) VALUES ($1, $2, $3)
             ON CONFLICT (hash, user_id) DO UPDATE SET last_used_at = excluded.last_used_at",
            self.0
        );
        let insert = sqlx::query(AssertSqlSafe(insert)).bind(hash).bind(user_id).bind(now);
        insert.execute(&mut *transaction).await.map(drop)
    }

    async fn delete_surplus(self, transaction: &mut Transaction, user_id: &UserId) -> Result<(), Error> {
        let table = self.0;
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

/// What an account has in one of the tables.
#[derive(Clone, Copy, Debug)]
pub struct TrustedRows {
    /// The last use of the browser or network; `None` if the account does not trust it.
    pub last_used_at: Option<UnixSeconds>,
    /// The number of trusted ones.
    pub count: i64,
}

/// The trust of a login.
#[derive(Clone, Copy, Debug)]
pub struct Trust {
    pub browser: TrustedRows,
    pub network: TrustedRows,
    /// Whether this or another account trusts the browser.
    pub is_trusted_by_any_account: bool,
}

/// Whether an account trusts a browser and a network, in one statement. An unknown account costs the same.
pub async fn find_trust(database: &Database, user_id: &UserId, browser: &[u8], network: &[u8]) -> Result<Trust, Error> {
    type Row = (Option<UnixSeconds>, i64, Option<UnixSeconds>, i64, i64);
    let (browser_used_at, browsers, network_used_at, networks, known): Row = sqlx::query_as(
        "SELECT (SELECT last_used_at FROM trusted_browsers WHERE hash = $1 AND user_id = $2),
                (SELECT COUNT(*) FROM trusted_browsers WHERE user_id = $3),
                (SELECT last_used_at FROM trusted_networks WHERE hash = $4 AND user_id = $5),
                (SELECT COUNT(*) FROM trusted_networks WHERE user_id = $6),
                CASE WHEN EXISTS (SELECT 1 FROM trusted_browsers WHERE hash = $7) THEN 1 ELSE 0 END",
    )
    .bind(browser)
    .bind(user_id)
    .bind(user_id)
    .bind(network)
    .bind(user_id)
    .bind(user_id)
    .bind(browser)
    .fetch_one(database.reader())
    .await?;
    Ok(Trust {
        browser: TrustedRows { last_used_at: browser_used_at, count: browsers },
        network: TrustedRows { last_used_at: network_used_at, count: networks },
        is_trusted_by_any_account: known == 1,
    })
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
