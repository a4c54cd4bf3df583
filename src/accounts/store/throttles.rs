//! The rows of counters.

use sqlx::{Any, AssertSqlSafe, Executor};

use crate::accounts::throttle::{self, Counter};
use crate::clock::UnixSeconds;
use crate::database::{Database, Error, Transaction, UPKEEP_BATCH};

/// Until when the longest of the counters' waits goes on; 0 without one. A wait that ends further ahead than the longest one
/// was written while the clock was wrong, and does not count.
pub(in crate::accounts) async fn blocked_until(
    database: &Database,
    counters: &[Counter],
    now: UnixSeconds,
) -> Result<i64, Error> {
    let placeholders: Vec<String> = (2..=counters.len() + 1).map(|number| format!("${number}")).collect();
    let sql = format!(
        "SELECT key, blocked_until FROM throttles WHERE blocked_until > $1 AND key IN ({})",
        placeholders.join(", ")
    );
    let mut query = sqlx::query_as(AssertSqlSafe(sql)).bind(now.get());
    for counter in counters {
        query = query.bind(&counter.key);
    }
    let waits: Vec<(String, i64)> = query.fetch_all(database.reader()).await?;
    let counts = |(key, until): &(String, i64)| {
        counters.iter().any(|counter| counter.key == *key && until - now.get() <= counter.limit.longest_wait)
    };
    Ok(waits.iter().filter(|wait| counts(wait)).map(|(_, until)| *until).max().unwrap_or(0))
}

/// Counts one try on each of the counters, or on none when one of them has a wait; tells which. One statement, so that
/// many at once get no further than one after the other.
pub(in crate::accounts) async fn count<'e>(
    executor: impl Executor<'e, Database = Any>,
    counters: &[Counter],
    now: UnixSeconds,
) -> Result<bool, Error> {
    // Always in one order, so that two of these never wait for each other.
    let mut counters: Vec<&Counter> = counters.iter().collect();
    counters.sort_unstable_by(|one, other| one.key.cmp(&other.key));
    let mut query = sqlx::query(AssertSqlSafe(count_sql(counters.len()))).bind(now.get());
    for counter in &counters {
        let limit = counter.limit;
        query = query.bind(&counter.key).bind(limit.free).bind(limit.first_wait).bind(limit.longest_wait);
        query = query.bind(limit.forgotten_after).bind(&counter.account);
    }
    let done = query.execute(executor).await?;
    Ok(done.rows_affected() == counters.len() as u64)
}

/// $1 is now; each counter adds its key, free tries, first wait, longest wait, seconds until it is forgotten, and account. No wait
/// is doubled more than twelve times.
fn count_sql(counters: usize) -> String {
    let row = |index: usize| {
        let first = 2 + 6 * index;
        let numbers: Vec<String> = (first + 1..first + 5).map(|number| format!("CAST(${number} AS BIGINT)")).collect();
        format!("(CAST(${first} AS TEXT), {}, CAST(${} AS TEXT))", numbers.join(", "), first + 5)
    };
    let rows: Vec<String> = (0..counters).map(row).collect();
    format!(
        "WITH tried (key, free, first_wait, longest_wait, forgotten_after, account) AS (VALUES {})
         INSERT INTO throttles AS t (key, attempts, last_at, blocked_until, forgotten_at, account)
         SELECT key, 1, CAST($1 AS BIGINT), CASE WHEN free > 1 THEN 0 ELSE CAST($1 AS BIGINT) + first_wait END,
                CAST($1 AS BIGINT) + forgotten_after, account FROM tried
         WHERE NOT EXISTS (
             SELECT 1 FROM tried JOIN throttles blocked ON blocked.key = tried.key
             WHERE blocked.blocked_until > $1 AND blocked.blocked_until <= CAST($1 AS BIGINT) + tried.longest_wait)
         ON CONFLICT (key) DO UPDATE SET
             attempts = CASE WHEN t.forgotten_at <= $1 THEN 1 ELSE t.attempts + 1 END,
             last_at = excluded.last_at,
             blocked_until = (SELECT CASE
                 WHEN t.forgotten_at <= $1 THEN excluded.blocked_until
                 WHEN t.attempts + 1 < free THEN 0
                 WHEN t.attempts + 1 - free > 12 THEN CAST($1 AS BIGINT) + longest_wait
                 WHEN first_wait << CAST(t.attempts + 1 - free AS INTEGER) > longest_wait THEN CAST($1 AS BIGINT) + longest_wait
                 ELSE CAST($1 AS BIGINT) + (first_wait << CAST(t.attempts + 1 - free AS INTEGER)) END
                 FROM tried WHERE tried.key = t.key),
             forgotten_at = excluded.forgotten_at,
             account = excluded.account
         WHERE t.blocked_until <= $1
            OR t.blocked_until > CAST($1 AS BIGINT) + (SELECT longest_wait FROM tried WHERE tried.key = t.key)",
        rows.join(", ")
    )
}

/// Counts something that is free once, as part of what it belongs to; tells whether it is the first since the counter was last blocked.
pub(in crate::accounts) async fn count_once(
    transaction: &mut Transaction,
    counter: &Counter,
    now: UnixSeconds,
) -> Result<bool, Error> {
    let ends_at = now.plus(counter.limit.first_wait).get();
    let done = sqlx::query(
        "INSERT INTO throttles (key, attempts, last_at, blocked_until, forgotten_at, account) VALUES ($1, 1, $2, $3, $4, $5)
         ON CONFLICT (key) DO UPDATE SET
             last_at = excluded.last_at, blocked_until = excluded.blocked_until, forgotten_at = excluded.forgotten_at
         WHERE throttles.blocked_until <= excluded.last_at OR throttles.blocked_until > excluded.blocked_until",
    )
    .bind(&counter.key)
    .bind(now.get())
    .bind(ends_at)
    .bind(ends_at)
    .bind(&counter.account)
    .execute(&mut *transaction)
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
        sqlx::query(sql).bind(&counter.key).execute(&mut *transaction).await?;
    }
    Ok(())
}

/// Has one counter start from nothing.
pub(in crate::accounts) async fn forget(transaction: &mut Transaction, counter: &Counter) -> Result<(), Error> {
    sqlx::query("DELETE FROM throttles WHERE key = $1").bind(&counter.key).execute(&mut *transaction).await.map(drop)
}

/// Has all counters of the account with that address start from nothing.
pub(in crate::accounts) async fn forget_account(transaction: &mut Transaction, email: &str) -> Result<(), Error> {
    // A login takes this row before it takes another one of the account, so none of them waits for us while we wait for it.
    forget(transaction, &throttle::of_login(email)).await?;
    sqlx::query("DELETE FROM throttles WHERE account = $1")
        .bind(throttle::account(email))
        .execute(&mut *transaction)
        .await
        .map(drop)
}

/// Has the next security notices to that address leave, whatever was sent before.
pub(in crate::accounts) async fn forget_notices(transaction: &mut Transaction, email: &str) -> Result<(), Error> {
    sqlx::query("DELETE FROM throttles WHERE account = $1")
        .bind(throttle::notices(email))
        .execute(&mut *transaction)
        .await
        .map(drop)
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
