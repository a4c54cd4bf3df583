//! Past imports.

use std::time::Duration;

use serde::Serialize;

use crate::clock::Clock;
use crate::database::{Database, Error};
use crate::domain::{UnixSeconds, days};
use crate::orders::import::report::{FileReport, ImportSummary};

/// For how long past imports are listed.
const RETENTION: Duration = days(400);

/// An import that has ended.
pub(in crate::orders::import) struct NewImport<'a> {
    pub started_at: UnixSeconds,
    pub outcome: &'static str,
    pub shop: &'a str,
    pub files: Vec<FileReport>,
    pub summary: ImportSummary,
}

pub(in crate::orders::import) async fn record(
    database: &Database,
    clock: &Clock,
    import: &NewImport<'_>,
) -> Result<(), Error> {
    let files = serde_json::to_string(&import.files).map_err(|error| Error::Encode(error.into()))?;
    let summary = import.summary;
    let counts = [
        summary.orders,
        summary.lines,
        summary.new,
        summary.changed,
        summary.unchanged,
        summary.skipped,
        summary.ownerless,
    ];
    let mut query = sqlx::query(
        "INSERT INTO imports (id, started_at, finished_at, outcome, shop, files, orders, lines, new_orders, changed_orders,
             unchanged_orders, skipped_orders, ownerless_orders)
         VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13)",
    )
    .bind(clock.new_id())
    .bind(import.started_at.get())
    .bind(clock.now().get())
    .bind(import.outcome)
    .bind(import.shop)
    .bind(files);
    for count in counts {
        query = query.bind(i64::try_from(count).unwrap_or(i64::MAX));
    }
    query.execute(database.writer()).await?;
    if import.outcome == "done" { set_last_import(database, clock.now()).await } else { Ok(()) }
}

/// The time that customers see; a part of the row that authenticates their requests.
async fn set_last_import(database: &Database, now: UnixSeconds) -> Result<(), Error> {
    sqlx::query(
        "INSERT INTO counters (name, value) VALUES ('last import', $1) ON CONFLICT (name) DO UPDATE SET value = excluded.value",
    )
    .bind(now)
    .execute(database.writer())
    .await
    .map(drop)
}

/// Maintenance: deletes a batch of old imports; returns how many. The time of the last one that customers see is not among them.
pub async fn delete_old(database: &Database, now: UnixSeconds) -> Result<u64, Error> {
    database.delete_expired("imports", "id", "finished_at", now - RETENTION).await
}

/// When the last complete import ended.
pub(in crate::orders::import) async fn last_success(database: &Database) -> Result<Option<UnixSeconds>, Error> {
    sqlx::query_scalar("SELECT value FROM counters WHERE name = 'last import'").fetch_optional(database.reader()).await
}

/// An import in the operator's list.
#[derive(Debug, Serialize)]
pub struct PastImport {
    pub started_at: UnixSeconds,
    pub finished_at: UnixSeconds,
    pub outcome: String,
    pub shop: String,
    pub files: Vec<FileReport>,
    pub orders: i64,
    pub lines: i64,
    pub new: i64,
    pub changed: i64,
    pub unchanged: i64,
    pub skipped: i64,
    pub ownerless: i64,
}

#[derive(sqlx::FromRow)]
struct Row {
    started_at: UnixSeconds,
    finished_at: UnixSeconds,
    outcome: String,
    shop: String,
    files: String,
    orders: i64,
    lines: i64,
    new_orders: i64,
    changed_orders: i64,
    unchanged_orders: i64,
    skipped_orders: i64,
    ownerless_orders: i64,
}

/// The latest imports, the newest first.
///
/// # Errors
/// The database fails.
pub async fn past_imports(database: &Database, limit: i64) -> Result<Vec<PastImport>, Error> {
    let rows: Vec<Row> = sqlx::query_as(
        "SELECT started_at, finished_at, outcome, shop, files, orders, lines, new_orders, changed_orders, unchanged_orders,
             skipped_orders, ownerless_orders
         FROM imports ORDER BY finished_at DESC, id DESC LIMIT $1",
    )
    .bind(limit)
    .fetch_all(database.reader())
    .await?;
    let past = |row: Row| {
        let files = serde_json::from_str(&row.files).map_err(|error| Error::Decode(error.into()))?;
        Ok(PastImport {
            started_at: row.started_at,
            finished_at: row.finished_at,
            outcome: row.outcome,
            shop: row.shop,
            files,
            orders: row.orders,
            lines: row.lines,
            new: row.new_orders,
            changed: row.changed_orders,
            unchanged: row.unchanged_orders,
            skipped: row.skipped_orders,
            ownerless: row.ownerless_orders,
        })
    };
    rows.into_iter().map(past).collect()
}
