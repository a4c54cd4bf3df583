//! The table `reorder_requests`.

use serde::{Deserialize, Serialize};

use crate::database::{Database, Error, Transaction};
use crate::domain::UnixSeconds;
use crate::orders::order::OrderId;

/// A product that a customer wants again.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct RequestedLine {
    pub sku: String,
    pub name: String,
    pub quantity: i64,
}

impl RequestedLine {
    /// `2 × Notebook, ruled (NB-1)`.
    pub(in crate::orders::actions) fn describe(&self) -> String {
        let sku = if self.sku.is_empty() { String::new() } else { format!(" ({})", self.sku) };
        format!("{} × {}{sku}", self.quantity, self.name)
    }
}

pub(in crate::orders::actions) async fn insert(
    transaction: &mut Transaction,
    id: &str,
    (user_id, order_id): (&str, &OrderId),
    lines: &[RequestedLine],
    now: UnixSeconds,
) -> Result<(), Error> {
    let lines = serde_json::to_string(lines).map_err(|error| Error::Encode(error.into()))?;
    sqlx::query("INSERT INTO reorder_requests (id, user_id, order_id, lines, created_at) VALUES ($1, $2, $3, $4, $5)")
        .bind(id)
        .bind(user_id)
        .bind(order_id.as_str())
        .bind(lines)
        .bind(now)
        .execute(&mut *transaction)
        .await
        .map(drop)
}

/// When the n-th latest of the user's requests since `since` was made; `None` when there are fewer.
pub(in crate::orders::actions) async fn nth_latest(
    transaction: &mut Transaction,
    user_id: &str,
    n: i64,
    since: UnixSeconds,
) -> Result<Option<UnixSeconds>, Error> {
    sqlx::query_scalar(
        "SELECT created_at FROM reorder_requests WHERE user_id = $1 AND created_at > $2
         ORDER BY created_at DESC, id DESC LIMIT 1 OFFSET $3",
    )
    .bind(user_id)
    .bind(since)
    .bind(n - 1)
    .fetch_optional(&mut *transaction)
    .await
}

/// A request that the shop has to process.
pub struct PendingReorder {
    /// What `orders reorders done` takes. Empty for a copied order of an earlier version, which an import settles.
    pub id: String,
    /// The order whose products are wanted again.
    pub name: String,
    pub email: String,
    pub requested_at: UnixSeconds,
    /// One text for each line.
    pub lines: Vec<String>,
}

type PendingRow = (String, String, String, UnixSeconds, String);

/// The requests that are not done, the oldest first; before them orders that an earlier version copied and no export contains yet.
pub async fn pending(database: &Database) -> Result<Vec<PendingReorder>, Error> {
    let mut all = copied_orders(database).await?;
    let rows: Vec<PendingRow> = sqlx::query_as(
        "SELECT r.id, o.name, u.email, r.created_at, r.lines
         FROM reorder_requests r JOIN orders o ON o.id = r.order_id JOIN users u ON u.id = r.user_id
         WHERE r.done_at IS NULL ORDER BY r.created_at, r.id",
    )
    .fetch_all(database.reader())
    .await?;
    for (id, name, email, requested_at, lines) in rows {
        let lines = parse_lines(&lines)?.iter().map(RequestedLine::describe).collect();
        all.push(PendingReorder { id, name, email, requested_at, lines });
    }
    Ok(all)
}

async fn copied_orders(database: &Database) -> Result<Vec<PendingReorder>, Error> {
    let rows: Vec<(String, String, UnixSeconds, String)> = sqlx::query_as(
        "SELECT o.reordered_from, COALESCE(o.email, u.email, ''), o.placed_at, o.name
         FROM orders o LEFT JOIN users u ON u.id = o.user_id
         WHERE o.reordered_from IS NOT NULL AND LENGTH(o.content_hash) = 0
         ORDER BY o.placed_at, o.id",
    )
    .fetch_all(database.reader())
    .await?;
    let copied = |(original, email, requested_at, name): (String, String, UnixSeconds, String)| PendingReorder {
        id: String::new(),
        name: format!("#{original}"),
        email,
        requested_at,
        lines: vec![format!("all of it, as order {name}")],
    };
    Ok(rows.into_iter().map(copied).collect())
}

fn parse_lines(json: &str) -> Result<Vec<RequestedLine>, Error> {
    serde_json::from_str(json).map_err(|error| Error::Decode(error.into()))
}

/// Marks a request as done; returns whether it was pending.
pub async fn mark_done(database: &Database, id: &str, now: UnixSeconds) -> Result<bool, Error> {
    let updated = sqlx::query("UPDATE reorder_requests SET done_at = $1 WHERE id = $2 AND done_at IS NULL")
        .bind(now)
        .bind(id)
        .execute(database.writer())
        .await?;
    Ok(updated.rows_affected() == 1)
}

/// A request in a data export.
#[derive(Serialize)]
struct ExportedRequest {
    order: String,
    requested_at: String,
    lines: Vec<RequestedLine>,
}

/// All requests of a user, the newest first, for a data export.
pub async fn export(database: &Database, user_id: &str) -> Result<serde_json::Value, Error> {
    let rows: Vec<(String, UnixSeconds, String)> = sqlx::query_as(
        "SELECT o.name, r.created_at, r.lines FROM reorder_requests r JOIN orders o ON o.id = r.order_id
         WHERE r.user_id = $1 ORDER BY r.created_at DESC, r.id DESC",
    )
    .bind(user_id)
    .fetch_all(database.reader())
    .await?;
    let request = |(order, at, lines): (String, UnixSeconds, String)| {
        Ok(ExportedRequest { order, requested_at: at.to_string(), lines: parse_lines(&lines)? })
    };
    let requests: Vec<ExportedRequest> = rows.into_iter().map(request).collect::<Result<_, Error>>()?;
    serde_json::to_value(requests).map_err(|error| Error::Encode(error.into()))
}
