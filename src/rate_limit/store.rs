//! The table `rate_limits`.

use sqlx::{Any, AssertSqlSafe, Executor};

use super::Counter;
use crate::database::{Database, Error, MAINTENANCE_BATCH, Transaction};
use crate::domain::{UnixSeconds, whole_seconds};

/// The end of the longest current wait of the counters. A wait that is longer than the limit allows was written by a node with a wrong
/// clock and is ignored.
pub(super) async fn blocked_until(
    database: &Database,
    counters: &[Counter],
    now: UnixSeconds,
) -> Result<Option<UnixSeconds>, Error> {
    let placeholders: Vec<String> = (2..=counters.len() + 1).map(|number| format!("${number}")).collect();
    let sql = format!(
        "SELECT key, blocked_until FROM rate_limits WHERE blocked_until > $1 AND key IN ({})",
        placeholders.join(", ")
    );
    let mut query = sqlx::query_as(AssertSqlSafe(sql)).bind(now);
    for counter in counters {
        query = query.bind(&counter.key);
    }
    let waits: Vec<(String, UnixSeconds)> = query.fetch_all(database.reader()).await?;
    let is_plausible = |(key, until): &(String, UnixSeconds)| {
        counters.iter().any(|counter| counter.key == *key && *until <= now + counter.limit.max_wait)
    };
    Ok(waits.into_iter().filter(is_plausible).map(|(_, until)| until).max())
}

/// Counts one attempt on each counter, or on none if one of them requires a wait; returns whether it was counted. One statement, so
/// parallel attempts get no more than sequential ones.
///
/// # Errors
/// The database's.
pub async fn count_in<'e>(
    executor: impl Executor<'e, Database = Any>,
    counters: &[Counter],
    now: UnixSeconds,
) -> Result<bool, Error> {
    let counters = in_lock_order(counters);
    let mut query = sqlx::query(AssertSqlSafe(count_sql(counters.len()))).bind(now);
    for counter in &counters {
        let limit = counter.limit;
        let durations = [limit.first_wait, limit.max_wait, limit.resets_after].map(whole_seconds);
        query = query.bind(&counter.key).bind(limit.burst);
        query = durations.into_iter().fold(query, sqlx::query::Query::bind).bind(&counter.group);
    }
    let counted = query.execute(executor).await?;
    Ok(counted.rows_affected() == counters.len() as u64)
}

/// Sorted by key: two statements that lock rows in the same order cannot deadlock.
fn in_lock_order(counters: &[Counter]) -> Vec<&Counter> {
    let mut counters: Vec<&Counter> = counters.iter().collect();
    counters.sort_unstable_by(|one, other| one.key.cmp(&other.key));
    counters
}

/// `$1` is the current time; each counter adds its key, burst, first wait, longest wait, reset time and group. A wait is doubled at most
/// twelve times.
fn count_sql(counters: usize) -> String {
    let row = |index: usize| {
        let first = 2 + 6 * index;
        let numbers: Vec<String> = (first + 1..first + 5).map(|number| format!("CAST(${number} AS BIGINT)")).collect();
        format!("(CAST(${first} AS TEXT), {}, CAST(${} AS TEXT))", numbers.join(", "), first + 5)
    };
    let rows: Vec<String> = (0..counters).map(row).collect();
    format!(
        "WITH attempted (key, burst, first_wait, max_wait, resets_after, account) AS (VALUES {})
         INSERT INTO rate_limits AS l (key, attempts, last_at, blocked_until, resets_at, account)
         SELECT key, 1, CAST($1 AS BIGINT), CASE WHEN burst > 1 THEN 0 ELSE CAST($1 AS BIGINT) + first_wait END,
                CAST($1 AS BIGINT) + resets_after, account FROM attempted
         WHERE NOT EXISTS (
             SELECT 1 FROM attempted JOIN rate_limits blocked ON blocked.key = attempted.key
             WHERE blocked.blocked_until > $1 AND blocked.blocked_until <= CAST($1 AS BIGINT) + attempted.max_wait)
         ON CONFLICT (key) DO UPDATE SET
             attempts = CASE WHEN l.resets_at <= $1 THEN 1 ELSE l.attempts + 1 END,
             last_at = excluded.last_at,
             blocked_until = (SELECT CASE
                 WHEN l.resets_at <= $1 THEN excluded.blocked_until
                 WHEN l.attempts + 1 < burst THEN 0
                 WHEN l.attempts + 1 - burst > 12 THEN CAST($1 AS BIGINT) + max_wait
                 WHEN first_wait << CAST(l.attempts + 1 - burst AS INTEGER) > max_wait THEN CAST($1 AS BIGINT) + max_wait
                 ELSE CAST($1 AS BIGINT) + (first_wait << CAST(l.attempts + 1 - burst AS INTEGER)) END
                 FROM attempted WHERE attempted.key = l.key),
             resets_at = excluded.resets_at,
             account = excluded.account
         WHERE l.blocked_until <= $1
            OR l.blocked_until > CAST($1 AS BIGINT) + (SELECT max_wait FROM attempted WHERE attempted.key = l.key)",
        rows.join(", ")
    )
}

/// Counts one attempt of a limit whose burst is 1, inside a transaction; returns whether there is no wait.
///
/// # Errors
/// The database's.
pub async fn count_single(transaction: &mut Transaction, counter: &Counter, now: UnixSeconds) -> Result<bool, Error> {
    let ends_at = now + counter.limit.first_wait;
    let counted = sqlx::query(
        "INSERT INTO rate_limits (key, attempts, last_at, blocked_until, resets_at, account) VALUES ($1, 1, $2, $3, $4, $5)
         ON CONFLICT (key) DO UPDATE SET
             last_at = excluded.last_at, blocked_until = excluded.blocked_until, resets_at = excluded.resets_at
         WHERE rate_limits.blocked_until <= excluded.last_at OR rate_limits.blocked_until > excluded.blocked_until",
    )
    .bind(&counter.key)
    .bind(now)
    .bind(ends_at)
    .bind(ends_at)
    .bind(&counter.group)
    .execute(&mut *transaction)
    .await?;
    Ok(counted.rows_affected() == 1)
}

/// After a correct password: refunds the attempt, or resets a counter that is [`per_account`](super::Limit::per_account).
///
/// # Errors
/// The database's.
pub async fn refund(transaction: &mut Transaction, counters: &[Counter]) -> Result<(), Error> {
    for counter in in_lock_order(counters) {
        if counter.limit.per_account {
            reset(transaction, counter).await?;
            continue;
        }
        sqlx::query(
            "UPDATE rate_limits SET attempts = attempts - 1, blocked_until = 0 WHERE key = $1 AND attempts > 0",
        )
        .bind(&counter.key)
        .execute(&mut *transaction)
        .await?;
    }
    Ok(())
}

/// Resets one counter.
///
/// # Errors
/// The database's.
pub async fn reset(transaction: &mut Transaction, counter: &Counter) -> Result<(), Error> {
    sqlx::query("DELETE FROM rate_limits WHERE key = $1").bind(&counter.key).execute(&mut *transaction).await.map(drop)
}

/// Resets all counters of a group.
///
/// # Errors
/// The database's.
pub async fn reset_group(transaction: &mut Transaction, group: &str) -> Result<(), Error> {
    sqlx::query("DELETE FROM rate_limits WHERE account = $1").bind(group).execute(&mut *transaction).await.map(drop)
}

/// Maintenance: deletes a batch of counters that have reset; returns how many.
///
/// # Errors
/// The database's.
pub async fn delete_expired(database: &Database, now: UnixSeconds) -> Result<u64, Error> {
    let deleted = sqlx::query(
        "DELETE FROM rate_limits
         WHERE key IN (SELECT key FROM rate_limits WHERE resets_at <= $1 ORDER BY resets_at LIMIT $2)",
    )
    .bind(now)
    .bind(MAINTENANCE_BATCH)
    .execute(database.writer())
    .await?;
    Ok(deleted.rows_affected())
}
