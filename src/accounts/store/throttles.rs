//! The rows of counters.

use crate::accounts::throttle::Counter;
use crate::clock::UnixSeconds;
use crate::database::{Database, Error, Transaction, UPKEEP_BATCH};

/// Until when the longest of the counters' waits goes on; 0 without one.
pub(in crate::accounts) async fn blocked_until(database: &Database, counters: &[Counter]) -> Result<i64, Error> {
    let mut latest = 0;
    for counter in counters {
        let until: Option<i64> = sqlx::query_scalar("SELECT blocked_until FROM throttles WHERE key = $1")
            .bind(&counter.key)
            .fetch_optional(database.reader())
            .await?;
        latest = latest.max(until.unwrap_or(0));
    }
    Ok(latest)
}

/// Counts one try on each of the counters, or on none when one of them has a wait; tells which.
pub(in crate::accounts) async fn count(
    database: &Database,
    counters: &[Counter],
    now: UnixSeconds,
) -> Result<bool, Error> {
    let mut transaction = database.begin().await?;
    // Always in one order, so that two of these never wait for each other.
    let mut counters: Vec<&Counter> = counters.iter().collect();
    counters.sort_unstable_by(|one, other| one.key.cmp(&other.key));
    for counter in counters {
        if !count_one(&mut transaction, counter, now).await? {
            transaction.rollback().await?;
            return Ok(false);
        }
    }
    transaction.commit().await?;
    Ok(true)
}

/// $1 key, $2 now, $3 free tries, $4 first wait, $5 longest wait, $6 seconds until it is forgotten. No wait is doubled more than
/// twelve times.
async fn count_one(transaction: &mut Transaction, counter: &Counter, now: UnixSeconds) -> Result<bool, Error> {
    let limit = counter.limit;
    let done = sqlx::query(
        "INSERT INTO throttles AS t (key, attempts, last_at, blocked_until, forgotten_at)
         VALUES ($1, 1, $2, 0, CAST($2 AS BIGINT) + CAST($6 AS BIGINT))
         ON CONFLICT (key) DO UPDATE SET
             attempts = CASE WHEN t.forgotten_at <= $2 THEN 1 ELSE t.attempts + 1 END,
             last_at = $2,
             blocked_until = CASE
                 WHEN t.forgotten_at <= $2 OR t.attempts + 1 < $3 THEN 0
                 WHEN t.attempts + 1 - $3 > 12 THEN CAST($2 AS BIGINT) + CAST($5 AS BIGINT)
                 WHEN CAST($4 AS BIGINT) << CAST(t.attempts + 1 - $3 AS INTEGER) > $5 THEN CAST($2 AS BIGINT) + CAST($5 AS BIGINT)
                 ELSE CAST($2 AS BIGINT) + (CAST($4 AS BIGINT) << CAST(t.attempts + 1 - $3 AS INTEGER)) END,
             forgotten_at = CAST($2 AS BIGINT) + CAST($6 AS BIGINT)
         WHERE t.blocked_until <= $2",
    )
    .bind(&counter.key)
    .bind(now.get())
    .bind(limit.free)
    .bind(limit.first_wait)
    .bind(limit.longest_wait)
    .bind(limit.forgotten_after)
    .execute(&mut **transaction)
    .await?;
    Ok(done.rows_affected() == 1)
}

/// Takes a try back that turned out to be right; a counter that stands for this account alone starts from nothing.
pub(in crate::accounts) async fn give_back(transaction: &mut Transaction, counters: &[Counter]) -> Result<(), Error> {
    let mut counters: Vec<&Counter> = counters.iter().collect();
    counters.sort_unstable_by(|one, other| one.key.cmp(&other.key));
    for counter in counters {
        let sql = if counter.is_for_one() {
            "DELETE FROM throttles WHERE key = $1"
        } else {
            "UPDATE throttles SET attempts = attempts - 1, blocked_until = 0 WHERE key = $1 AND attempts > 0"
        };
        sqlx::query(sql).bind(&counter.key).execute(&mut **transaction).await?;
    }
    Ok(())
}

/// Has the counters start from nothing.
pub(in crate::accounts) async fn forget(transaction: &mut Transaction, counters: &[Counter]) -> Result<(), Error> {
    for counter in counters {
        sqlx::query("DELETE FROM throttles WHERE key = $1").bind(&counter.key).execute(&mut **transaction).await?;
    }
    Ok(())
}

/// Upkeep: removes some counters that are forgotten; tells how many.
pub(in crate::accounts) async fn clean(database: &Database, now: UnixSeconds) -> Result<u64, Error> {
    let done = sqlx::query(
        "DELETE FROM throttles
         WHERE key IN (SELECT key FROM throttles WHERE forgotten_at <= $1 ORDER BY forgotten_at LIMIT $2)",
    )
    .bind(now.get())
    .bind(UPKEEP_BATCH)
    .execute(database.writer())
    .await?;
    Ok(done.rows_affected())
}
