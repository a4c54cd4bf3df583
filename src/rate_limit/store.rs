//! The table `rate_limits`.

use sqlx::{Any, Executor};

use super::{Counter, Limit};
use crate::database::{Database, Engine, Error, SqlBuilder, Transaction};
use crate::domain::{UnixSeconds, whole_seconds};

/// The limits that require a wait now, each with its end. A wait that is longer than the limit allows was written by a node with a wrong
/// clock and is ignored.
pub(super) async fn current_waits(
    database: &Database,
    counters: &[Counter],
    now: UnixSeconds,
) -> Result<Vec<(Limit, UnixSeconds)>, Error> {
    let mut sql =
        SqlBuilder::new(database.engine(), "SELECT key, blocked_until FROM rate_limits WHERE blocked_until > ");
    sql.bind(now)?.push(" AND key IN (");
    sql.bind_list(counters.iter().map(|counter| counter.key.as_str()))?.push(")");
    let (sql, arguments) = sql.into_parts();
    let waits: Vec<(String, UnixSeconds)> = sqlx::query_as_with(sql, arguments).fetch_all(database.reader()).await?;
    let plausible = |(key, until): (String, UnixSeconds)| {
        let counter = counters.iter().find(|counter| counter.key == key)?;
        (until <= now + counter.limit.max_wait).then_some((counter.limit, until))
    };
    Ok(waits.into_iter().filter_map(plausible).collect())
}

/// Counts one attempt on each counter, or on none if one of them requires a wait; returns whether it was counted. One statement, so
/// parallel attempts get no more than sequential ones.
pub async fn count_in<'e>(
    executor: impl Executor<'e, Database = Any>,
    engine: Engine,
    counters: &[Counter],
    now: UnixSeconds,
) -> Result<bool, Error> {
    let counters = in_lock_order(counters);
    let (sql, arguments) = count_sql(engine, &counters, now)?.into_parts();
    let counted = sqlx::query_with(sql, arguments).execute(executor).await?;
    Ok(counted.rows_affected() == counters.len() as u64)
}

/// Sorted by key: two statements that lock rows in the same order cannot deadlock.
fn in_lock_order(counters: &[Counter]) -> Vec<&Counter> {
    let mut counters: Vec<&Counter> = counters.iter().collect();
    counters.sort_unstable_by(|one, other| one.key.cmp(&other.key));
    counters
}

/// A wait is doubled at most twelve times.
fn count_sql(engine: Engine, counters: &[&Counter], now: UnixSeconds) -> Result<SqlBuilder, Error> {
    let columns = "key, account, tried_at, burst, first_wait, max_wait, resets_after";
    let mut sql = SqlBuilder::new(engine, &format!("WITH attempted ({columns}) AS (VALUES "));
    for (index, Counter { limit, key, group }) in counters.iter().enumerate() {
        sql.push(if index == 0 { "(CAST(" } else { ", (CAST(" }).bind(key.as_str())?;
        sql.push(" AS TEXT), CAST(").bind(group.as_deref())?.push(" AS TEXT)");
        let durations = [limit.first_wait, limit.max_wait, limit.resets_after].map(whole_seconds);
        for number in [now.get(), limit.burst].into_iter().chain(durations) {
            sql.push(", CAST(").bind(number)?.push(" AS BIGINT)");
        }
        sql.push(")");
    }
    sql.push(
        ")
         INSERT INTO rate_limits AS l (key, attempts, last_at, blocked_until, resets_at, account)
         SELECT key, 1, tried_at, CASE WHEN burst > 1 THEN 0 ELSE tried_at + first_wait END, tried_at + resets_after, account
         FROM attempted
         WHERE NOT EXISTS (
             SELECT 1 FROM attempted JOIN rate_limits blocked ON blocked.key = attempted.key
             WHERE blocked.blocked_until > tried_at AND blocked.blocked_until <= tried_at + max_wait)
         ON CONFLICT (key) DO UPDATE SET
             attempts = CASE WHEN l.resets_at <= excluded.last_at THEN 1 ELSE l.attempts + 1 END,
             last_at = excluded.last_at,
             blocked_until = (SELECT CASE
                 WHEN l.resets_at <= tried_at THEN excluded.blocked_until
                 WHEN l.attempts + 1 < burst THEN 0
                 WHEN l.attempts + 1 - burst > 12 THEN tried_at + max_wait
                 WHEN first_wait << CAST(l.attempts + 1 - burst AS INTEGER) > max_wait THEN tried_at + max_wait
                 ELSE tried_at + (first_wait << CAST(l.attempts + 1 - burst AS INTEGER)) END
                 FROM attempted WHERE attempted.key = l.key),
             resets_at = excluded.resets_at,
             account = excluded.account
         WHERE l.blocked_until <= excluded.last_at
            OR l.blocked_until > excluded.last_at + (SELECT max_wait FROM attempted WHERE attempted.key = l.key)",
    );
    Ok(sql)
}

/// Counts one attempt of a limit whose burst is 1, inside a transaction; returns whether there is no wait.
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
pub async fn refund(transaction: &mut Transaction, counters: &[Counter]) -> Result<(), Error> {
    let mut sql = SqlBuilder::new(
        transaction.engine(),
        "UPDATE rate_limits SET blocked_until = 0, attempts = CASE WHEN key IN (",
    );
    let resets = counters.iter().filter(|counter| counter.limit.per_account);
    // The empty key keeps the list valid.
    sql.bind_list(resets.map(|counter| counter.key.as_str()).chain([""]))?
        .push(") THEN 0 ELSE attempts - 1 END WHERE key IN (");
    sql.bind_list(counters.iter().map(|counter| counter.key.as_str()))?.push(") AND attempts > 0");
    let (sql, arguments) = sql.into_parts();
    sqlx::query_with(sql, arguments).execute(&mut *transaction).await.map(drop)
}

/// Resets one counter.
pub async fn reset(transaction: &mut Transaction, counter: &Counter) -> Result<(), Error> {
    sqlx::query("DELETE FROM rate_limits WHERE key = $1").bind(&counter.key).execute(&mut *transaction).await.map(drop)
}

/// Resets all counters of a group.
pub async fn reset_group(transaction: &mut Transaction, group: &str) -> Result<(), Error> {
    sqlx::query("DELETE FROM rate_limits WHERE account = $1").bind(group).execute(&mut *transaction).await.map(drop)
}

/// Maintenance: deletes a batch of counters that have reset; returns how many.
pub async fn delete_expired(database: &Database, now: UnixSeconds) -> Result<u64, Error> {
    database.delete_expired("rate_limits", "key", "resets_at", now).await
}
