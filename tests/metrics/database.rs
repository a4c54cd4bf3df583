//! Metrics of the database connections, and those that are read from the database.

use std::time::{Duration, Instant};

use futures_util::future::join_all;

use super::{Metrics, start};
use crate::app::{ANN, BOB, PASSWORD, TestApp};
use crate::shop::{line, order};
use crate::token::now;

/// A scrape waits a second for the database.
const MAX_SCRAPE: Duration = Duration::from_secs(4);

/// Asserts that a scrape is answered in time with all readings; returns `db_up`.
fn timed_scrape(metrics: &Metrics) -> f64 {
    let began = Instant::now();
    let all = metrics.series();
    let took = began.elapsed();
    assert!(took < MAX_SCRAPE, "the scrape took {took:?}");
    for series in ["mail_queue_length{state=\"failed\"}", "sessions_active{audience=\"web\"}", "import_last_lines"] {
        assert!(all.contains_key(series), "{series}");
    }
    all["db_up"]
}

#[tokio::test]
async fn active_sessions_are_counted_by_audience() {
    let (app, metrics) = start().await;
    app.customer(ANN).await;
    let mut visitor = app.new_session(ANN, PASSWORD).await;
    app.api_token(ANN).await;
    let [web, api] = ["web", "api"].map(|audience| format!("sessions_active{{audience=\"{audience}\"}}"));
    metrics.wait_for(&web, |count| count == 2.0).await;
    assert_eq!(metrics.value(&api), 1.0);
    visitor.post("/logout", &[]).await;
    // Idle for longer than a token lives.
    app.execute(&format!(
        "UPDATE sessions SET last_seen_at = {} WHERE revoked_at IS NULL AND audience = 'web'",
        now() - 1801
    ))
    .await;
    metrics.wait_for(&web, |count| count == 0.0).await;
    app.execute("UPDATE sessions SET expires_at = 1").await;
    metrics.wait_for(&api, |count| count == 0.0).await;
}

#[tokio::test]
async fn last_import_is_recorded() {
    let (app, metrics) = start().await;
    app.verified_customer(BOB).await;
    app.import(&[order("1", ANN), line("1", ANN, "Mug"), order("2", BOB)]);
    metrics.wait_for("import_last_lines", |lines| lines == 3.0).await;
    let orders = |result: &str| metrics.value(&format!("import_last_orders{{result=\"{result}\"}}"));
    assert_eq!((orders("new"), orders("changed"), orders("unchanged"), orders("ownerless")), (2.0, 0.0, 0.0, 1.0));
    let success = metrics.value("import_last_success_timestamp_seconds");
    assert!((now() as f64 - success).abs() < 60.0, "{success}");
    assert!((0.0..60.0).contains(&metrics.value("import_last_duration_seconds")));
    // One that stopped is the last one, but no success.
    let stopped = format!(
        "INSERT INTO imports (id, started_at, finished_at, outcome, shop, files, orders, lines, new_orders, changed_orders,
             unchanged_orders, skipped_orders, ownerless_orders)
         VALUES ('z', {}, {}, 'stopped', '', '[]', 9, 12, 1, 2, 3, 4, 5)",
        now() + 100,
        now() + 107
    );
    app.execute(&stopped).await;
    metrics.wait_for("import_last_lines", |lines| lines == 12.0).await;
    assert_eq!((orders("new"), orders("changed"), orders("unchanged")), (1.0, 2.0, 3.0));
    assert_eq!((orders("skipped"), orders("ownerless")), (4.0, 5.0));
    assert_eq!(metrics.value("import_last_duration_seconds"), 7.0);
    assert!(metrics.value("import_last_end_timestamp_seconds") > success);
    assert_eq!(metrics.value("import_last_success_timestamp_seconds"), success);
}

#[tokio::test]
async fn unreadable_database_keeps_the_last_values() {
    let (app, metrics) = start().await;
    app.customer(ANN).await;
    let sessions = "sessions_active{audience=\"web\"}";
    metrics.wait_for(sessions, |count| count == 1.0).await;
    assert_eq!(metrics.value("db_up"), 1.0);
    app.execute("ALTER TABLE mail_queue RENAME TO mail_queue_away").await;
    metrics.wait_for("db_up", |up| up == 0.0).await;
    assert_eq!(timed_scrape(&metrics), 0.0);
    assert_eq!(metrics.value(sessions), 1.0);
    app.execute("ALTER TABLE mail_queue_away RENAME TO mail_queue").await;
    metrics.wait_for("db_up", |up| up == 1.0).await;
}

/// On PostgreSQL a lock can keep reads waiting, on SQLite only writes.
#[tokio::test]
async fn scrape_is_answered_while_the_database_is_locked() {
    let (app, metrics) = start().await;
    assert_eq!(metrics.value("db_up"), 1.0);
    let database = app.database().await;
    let mut other = database.acquire().await.unwrap();
    let lock =
        if app.is_postgres() { "BEGIN; LOCK TABLE sessions IN ACCESS EXCLUSIVE MODE" } else { "BEGIN EXCLUSIVE" };
    sqlx::raw_sql(lock).execute(&mut *other).await.unwrap();
    let began = Instant::now();
    let mut seen_down = false;
    while began.elapsed() < Duration::from_secs(13) {
        seen_down |= timed_scrape(&metrics) == 0.0;
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
    assert_eq!(seen_down, app.is_postgres());
    sqlx::raw_sql("ROLLBACK").execute(&mut *other).await.unwrap();
    metrics.wait_for("db_up", |up| up == 1.0).await;
}

async fn sign_ups(app: &TestApp, count: usize) -> Vec<u16> {
    let sign_up = async |number: usize| {
        let email = format!("customer{number}@example.com");
        app.visitor().post("/signup", &[("email", &email), ("password", PASSWORD)]).await.status
    };
    join_all((0..count).map(sign_up)).await
}

#[tokio::test]
async fn connections_in_use_and_waits_are_measured() {
    let (app, metrics) = start().await;
    let (pool, size) = if app.is_postgres() { ("all", 8.0) } else { ("write", 1.0) };
    let [in_use, waits, waited, timeouts] =
        ["connections_in_use", "wait_seconds_count", "wait_seconds_sum", "timeouts_total"]
            .map(|name| format!("db_pool_{name}{{pool=\"{pool}\"}}"));
    let before = metrics.series();
    let database = app.database().await;
    let mut other = database.acquire().await.unwrap();
    let lock = if app.is_postgres() { "BEGIN; LOCK TABLE rate_limits IN EXCLUSIVE MODE" } else { "BEGIN IMMEDIATE" };
    sqlx::raw_sql(lock).execute(&mut *other).await.unwrap();
    let release = async {
        metrics.wait_for(&in_use, |count| count == size).await;
        tokio::time::sleep(Duration::from_millis(1500)).await;
        sqlx::raw_sql("ROLLBACK").execute(&mut *other).await.unwrap();
    };
    let (statuses, ()) = futures_util::future::join(sign_ups(&app, 12), release).await;
    let after = metrics.series();
    assert!(after[&waits] > before[&waits] && after[&waited] > before[&waited] + 1.0, "{after:?}");
    // On PostgreSQL a request waits a second.
    let has_timed_out = after[&timeouts] > before[&timeouts];
    assert_eq!(has_timed_out, statuses.contains(&503), "{statuses:?}");
    assert_eq!(has_timed_out, app.is_postgres(), "{statuses:?}");
    metrics.wait_for(&in_use, |count| count == 0.0).await;
    let open = after[&format!("db_pool_connections{{pool=\"{pool}\"}}")];
    assert!((1.0..=size).contains(&open), "{open}");
}

#[tokio::test]
async fn statements_are_timed() {
    let (app, metrics) = start().await;
    app.customer(ANN).await;
    let all = metrics.series();
    let timed = all["db_query_duration_seconds_count"];
    assert!(timed > 5.0 && (timed - all["db_statements_total"]).abs() <= 1.0, "{timed}");
    assert!(all["db_query_duration_seconds_sum"] > 0.0);
}
