//! The tables `order_versions` and `order_totals`.

use std::collections::BTreeMap;

use super::{Month, MonthNumber, months};
use crate::database::{Database, Error, MAINTENANCE_BATCH, SqlBuilder, Transaction, batches};
use crate::domain::{UnixSeconds, UserId, Zone};

/// Months in one statement, which binds two values for each.
pub const MAX_MONTHS: usize = 1_000;

/// The key of a row of `order_totals`. Sorted, so that two transactions lock rows in the same order.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Key {
    pub user_id: String,
    pub month: MonthNumber,
    pub currency: &'static str,
    pub status: &'static str,
}

/// The values of a row, or what is added to them.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Totals {
    pub order_count: i64,
    pub total: i64,
    pub spent: i64,
}

/// The zones in which these customers have totals.
pub(super) async fn find_zones(transaction: &mut Transaction, users: &[&str]) -> Result<BTreeMap<String, Zone>, Error> {
    let mut zones = BTreeMap::new();
    for batch in batches(users) {
        let mut sql =
            SqlBuilder::new(transaction.engine(), "SELECT user_id, totals_zone FROM order_versions WHERE user_id IN (");
        sql.bind_list(batch.iter().map(|user_id| (*user_id).to_owned()))?.push(")");
        let (sql, arguments) = sql.into_parts();
        let rows: Vec<(String, String)> = sqlx::query_as_with(sql, arguments).fetch_all(&mut *transaction).await?;
        zones.extend(rows.into_iter().filter_map(|(user_id, zone)| Some((user_id, Zone::parse(&zone)?))));
    }
    Ok(zones)
}

/// Adds to the totals.
pub(super) async fn add_totals(transaction: &mut Transaction, deltas: &BTreeMap<Key, Totals>) -> Result<(), Error> {
    let deltas: Vec<(&Key, &Totals)> = deltas.iter().collect();
    for batch in batches(&deltas) {
        let mut sql = SqlBuilder::new(
            transaction.engine(),
            "INSERT INTO order_totals AS t (user_id, month, currency, status, order_count, total, spent) VALUES ",
        );
        for (index, (key, totals)) in batch.iter().enumerate() {
            sql.push(if index == 0 { "(" } else { ", (" }).bind(key.user_id.clone())?.push(", ").bind(key.month.0)?;
            sql.push(", ").bind_list([key.currency, key.status])?.push(", ");
            sql.bind_list([totals.order_count, totals.total, totals.spent])?.push(")");
        }
        sql.push(
            " ON CONFLICT (user_id, month, currency, status) DO UPDATE SET order_count = t.order_count + excluded.order_count,
                  total = t.total + excluded.total, spent = t.spent + excluded.spent",
        );
        let (sql, arguments) = sql.into_parts();
        sqlx::query_with(sql, arguments).execute(&mut *transaction).await?;
    }
    Ok(())
}

/// Increments the versions of these customers, who are sorted.
pub(super) async fn increment_versions(transaction: &mut Transaction, users: &[&str]) -> Result<(), Error> {
    for batch in batches(users) {
        let mut sql = SqlBuilder::new(
            transaction.engine(),
            "INSERT INTO order_versions AS v (user_id, version, totals_zone) VALUES ",
        );
        for (index, user_id) in batch.iter().enumerate() {
            sql.push(if index == 0 { "(" } else { ", (" }).bind((*user_id).to_owned())?.push(", 1, '')");
        }
        sql.push(" ON CONFLICT (user_id) DO UPDATE SET version = v.version + 1");
        let (sql, arguments) = sql.into_parts();
        sqlx::query_with(sql, arguments).execute(&mut *transaction).await?;
    }
    Ok(())
}

/// The customer's own time zone, if it is known.
pub(super) async fn find_user_zone(transaction: &mut Transaction, user_id: &UserId) -> Result<Option<Zone>, Error> {
    let zone: Option<Option<String>> = sqlx::query_scalar("SELECT time_zone FROM users WHERE id = $1")
        .bind(user_id)
        .fetch_optional(&mut *transaction)
        .await?;
    Ok(zone.flatten().as_deref().and_then(Zone::parse))
}

/// The customer's own time zone, or the one of the totals; `None` if both are unknown.
pub(super) async fn find_zone(transaction: &mut Transaction, user_id: &UserId) -> Result<Option<Zone>, Error> {
    let zone: Option<Option<String>> = sqlx::query_scalar(
        "SELECT COALESCE(u.time_zone, v.totals_zone) FROM users u LEFT JOIN order_versions v ON v.user_id = u.id WHERE u.id = $1",
    )
    .bind(user_id)
    .fetch_optional(&mut *transaction)
    .await?;
    Ok(zone.flatten().as_deref().and_then(Zone::parse))
}

/// Replaces the totals of a customer by those of their orders in the months of the zone.
pub(super) async fn compute_totals(transaction: &mut Transaction, user_id: &UserId, zone: &Zone) -> Result<(), Error> {
    sqlx::query("DELETE FROM order_totals WHERE user_id = $1").bind(user_id).execute(&mut *transaction).await?;
    let (first, last): (Option<UnixSeconds>, Option<UnixSeconds>) =
        sqlx::query_as("SELECT MIN(placed_at), MAX(placed_at) FROM orders WHERE user_id = $1")
            .bind(user_id)
            .fetch_one(&mut *transaction)
            .await?;
    let Some((first, last)) = first.zip(last) else { return Ok(()) };
    for months in months(zone, first, last).chunks(MAX_MONTHS) {
        let (Some(first), Some(last)) = (months.first(), months.last()) else { continue };
        let mut sql = SqlBuilder::new(
            transaction.engine(),
            "INSERT INTO order_totals (user_id, month, currency, status, order_count, total, spent) SELECT user_id, ",
        );
        push_month(&mut sql, months)?;
        sql.push(
            " AS month, currency, status, COUNT(*), CAST(SUM(total) AS BIGINT),
                 CAST(SUM(CASE WHEN status IN ('cancelled', 'payment_voided', 'expired') THEN 0 ELSE total - refunded END) AS BIGINT)
             FROM orders WHERE user_id = ",
        );
        sql.bind(user_id.as_str().to_owned())?.push(" AND placed_at >= ").bind(first.start)?;
        sql.push(" AND placed_at < ").bind(last.end)?.push(" GROUP BY user_id, month, currency, status");
        let (sql, arguments) = sql.into_parts();
        // Each number of months is another statement.
        sqlx::query_with(sql, arguments).persistent(false).execute(&mut *transaction).await?;
    }
    Ok(())
}

/// Appends the number of the month in which an order was placed, which must be one of these months. A tree of conditions: both engines
/// pass once over the orders, and compare each with few of the months. A join with a table of months would be a nested loop on PostgreSQL.
pub fn push_month(sql: &mut SqlBuilder, months: &[Month]) -> Result<(), Error> {
    let (earlier, later) = months.split_at(months.len() / 2);
    match (earlier, later) {
        ([], [month]) => sql.push("CAST(").bind(month.number.0)?.push(" AS BIGINT)"),
        (_, [first, ..]) => {
            sql.push("CASE WHEN placed_at < ").bind(first.start)?.push(" THEN ");
            push_month(sql, earlier)?;
            sql.push(" ELSE ");
            push_month(sql, later)?;
            sql.push(" END")
        }
        (_, []) => sql.push("CAST(NULL AS BIGINT)"),
    };
    Ok(())
}

/// Increments the version, and stores that the totals are those of the zone.
pub(super) async fn set_zone(transaction: &mut Transaction, user_id: &UserId, zone: &Zone) -> Result<(), Error> {
    sqlx::query(
        "INSERT INTO order_versions AS v (user_id, version, totals_zone) VALUES ($1, 1, $2)
         ON CONFLICT (user_id) DO UPDATE SET version = v.version + 1, totals_zone = excluded.totals_zone",
    )
    .bind(user_id)
    .bind(zone.name())
    .execute(&mut *transaction)
    .await
    .map(drop)
}

/// Customers without current totals.
pub(super) async fn find_stale(database: &Database, limit: i64) -> Result<Vec<UserId>, Error> {
    sqlx::query_scalar("SELECT user_id FROM order_versions WHERE totals_zone = '' ORDER BY user_id LIMIT $1")
        .bind(limit)
        .fetch_all(database.reader())
        .await
}

/// Marks a batch of totals that are in another zone than the shop's although the customer has no own zone; returns how many.
pub(super) async fn mark_other_zones(database: &Database, shop_zone: &Zone) -> Result<u64, Error> {
    let users: Vec<String> = sqlx::query_scalar(
        "SELECT v.user_id FROM order_versions v JOIN users u ON u.id = v.user_id
         WHERE u.time_zone IS NULL AND v.totals_zone <> $1 AND v.totals_zone <> '' LIMIT $2",
    )
    .bind(shop_zone.name())
    .bind(MAINTENANCE_BATCH)
    .fetch_all(database.reader())
    .await?;
    let mut marked = 0;
    for batch in batches(&users) {
        // Again with the zones: a customer may have got an own one since.
        let mut sql = SqlBuilder::new(
            database.engine(),
            "UPDATE order_versions SET totals_zone = '' WHERE user_id IN (SELECT id FROM users WHERE time_zone IS NULL AND id IN (",
        );
        sql.bind_list(batch.iter().cloned())?.push(")) AND totals_zone <> ").bind(shop_zone.name().to_owned())?;
        let (sql, arguments) = sql.into_parts();
        marked += sqlx::query_with(sql, arguments).execute(database.writer()).await?.rows_affected();
    }
    Ok(marked)
}

/// Marks the totals of a customer as not current.
pub async fn mark_stale(transaction: &mut Transaction, user_id: &UserId) -> Result<(), Error> {
    sqlx::query("UPDATE order_versions SET totals_zone = '' WHERE user_id = $1")
        .bind(user_id)
        .execute(&mut *transaction)
        .await
        .map(drop)
}
