//! Maintenance deletes expired rows in the background, at the start and each minute.

use std::time::{Duration, Instant};

use reqwest::Method;
use sqlx::{AnyPool, AssertSqlSafe};

use crate::app::{PASSWORD, TestApp};
use crate::http;
use crate::place::Place;
use crate::token::now;

const DAY: i64 = 86_400;
/// More than one batch.
const MANY: i64 = 1100;
const DONE_WITHIN: Duration = Duration::from_secs(20);
/// Generous, because many tests run at once.
const SIGN_UP_TAKES_UP_TO: Duration = Duration::from_secs(5);

/// A migrated database with one account.
async fn place() -> (Place, AnyPool) {
    let place = Place::new().await;
    place.done(&["migrate"]);
    let database = place.database().await;
    run(&database, "INSERT INTO users (id, email, password_hash, created_at) VALUES ('u', 'ann@example.com', '', 0)")
        .await;
    (place, database)
}

async fn run(database: &AnyPool, sql: &str) {
    sqlx::query(AssertSqlSafe(sql)).execute(database).await.unwrap();
}

/// Inserts `count` rows; `i` in `values` is the row's number.
async fn insert(database: &AnyPool, count: i64, table: &str, columns: &str, values: &str) {
    run(
        database,
        &format!(
            "WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < {count})
             INSERT INTO {table} ({columns}) SELECT {values} FROM n"
        ),
    )
    .await;
}

async fn sessions(database: &AnyPool, count: i64, name: &str, expires_at: i64) {
    let columns =
        "id, user_id, audience, is_persistent, client_address, user_agent, created_at, last_seen_at, expires_at";
    let values = format!("'{name}-' || i, 'u', 'web', 'no', '192.0.2.1', '', 0, 0, {expires_at} - i");
    insert(database, count, "sessions", columns, &values).await;
}

async fn insert_events(database: &AnyPool, count: i64, name: &str, user: &str, at: i64) {
    let values = format!("'{name}-' || i, {user}, 'signed-in', '192.0.2.1', '', {at} - i");
    insert(database, count, "audit_events", "id, user_id, event, client_address, user_agent, at", &values).await;
}

async fn counters(database: &AnyPool, count: i64, name: &str, resets_at: i64) {
    let values = format!("'{name}:' || i, 1, 0, 0, {resets_at} - i");
    insert(database, count, "rate_limits", "key, attempts, last_at, blocked_until, resets_at", &values).await;
}

async fn link(database: &AnyPool, hash: &str, expires_at: i64) {
    let insert = "INSERT INTO email_tokens (hash, user_id, purpose, email, created_at, expires_at)
                  VALUES ($1, 'u', 'reset', 'ann@example.com', 0, $2)";
    sqlx::query(insert).bind(hash.as_bytes()).bind(expires_at).execute(database).await.unwrap();
}

async fn known(database: &AnyPool, table: &str, hash: &str, last_used_at: i64) {
    let insert = AssertSqlSafe(format!("INSERT INTO {table} (hash, user_id, last_used_at) VALUES ($1, 'u', $2)"));
    sqlx::query(insert).bind(hash.as_bytes()).bind(last_used_at).execute(database).await.unwrap();
}

async fn count(database: &AnyPool, table: &str) -> i64 {
    let sql = AssertSqlSafe(format!("SELECT COUNT(*) FROM {table}"));
    sqlx::query_scalar(sql).fetch_one(database).await.unwrap()
}

/// Waits until exactly that many rows are left.
async fn wait_until_left(database: &AnyPool, table: &str, left: i64) {
    let began = Instant::now();
    loop {
        let counted = count(database, table).await;
        if counted == left {
            return;
        }
        assert!(counted > left, "{table}: {counted} rows are left in place of {left}");
        assert!(began.elapsed() < DONE_WITHIN, "{table}: {counted} rows are still there");
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
}

#[tokio::test]
async fn maintenance_deletes_expired_sessions() {
    let (place, database) = place().await;
    sessions(&database, MANY, "ended", now()).await;
    sessions(&database, 3, "live", now() + 1000).await;
    let _app = TestApp::start_in(place).await;
    wait_until_left(&database, "sessions", 3).await;
    assert_eq!(count(&database, "sessions WHERE id LIKE 'live-%'").await, 3);
}

#[tokio::test]
async fn maintenance_deletes_expired_email_tokens() {
    let (place, database) = place().await;
    for index in 0..20 {
        link(&database, &format!("expired {index}"), now() - index).await;
    }
    link(&database, "holds", now() + 1000).await;
    let _app = TestApp::start_in(place).await;
    wait_until_left(&database, "email_tokens", 1).await;
}

#[tokio::test]
async fn maintenance_deletes_expired_recoveries_with_their_tokens() {
    let (place, database) = place().await;
    for (name, expires_at) in [("expired", now()), ("valid", now() + 1000)] {
        let recovery = "INSERT INTO recoveries (id, user_id, email, created_at, expires_at) VALUES ($1, 'u', 'old@example.com', 0, $2)";
        sqlx::query(recovery).bind(name).bind(expires_at).execute(&database).await.unwrap();
        let token = sqlx::query("INSERT INTO recovery_tokens (hash, recovery_id) VALUES ($1, $2)");
        token.bind(name.as_bytes()).bind(name).execute(&database).await.unwrap();
    }
    let _app = TestApp::start_in(place).await;
    wait_until_left(&database, "recoveries", 1).await;
    assert_eq!(count(&database, "recovery_tokens WHERE recovery_id = 'valid'").await, 1);
    assert_eq!(count(&database, "recovery_tokens").await, 1);
}

#[tokio::test]
async fn maintenance_deletes_old_and_unowned_audit_events() {
    let (place, database) = place().await;
    insert_events(&database, MANY, "old", "'u'", now() - 90 * DAY).await;
    insert_events(&database, MANY, "unowned", "NULL", now()).await;
    insert_events(&database, 3, "recent", "'u'", now() - 89 * DAY).await;
    let _app = TestApp::start_in(place).await;
    wait_until_left(&database, "audit_events", 3).await;
    assert_eq!(count(&database, "audit_events WHERE id LIKE 'recent-%'").await, 3);
}

#[tokio::test]
async fn maintenance_deletes_expired_rate_limits() {
    let (place, database) = place().await;
    counters(&database, MANY, "old", now()).await;
    counters(&database, 3, "recent", now() + 1000).await;
    let _app = TestApp::start_in(place).await;
    wait_until_left(&database, "rate_limits", 3).await;
    assert_eq!(count(&database, "rate_limits WHERE key LIKE 'recent:%'").await, 3);
}

#[tokio::test]
async fn maintenance_deletes_unused_trusted_browsers_and_networks() {
    let (place, database) = place().await;
    let tables = ["trusted_browsers", "trusted_networks"];
    for table in tables {
        for index in 0..20 {
            known(&database, table, &format!("unused {index}"), now() - 90 * DAY - index).await;
        }
        known(&database, table, "used", now() - 89 * DAY).await;
    }
    let _app = TestApp::start_in(place).await;
    for table in tables {
        wait_until_left(&database, table, 1).await;
    }
}

#[tokio::test]
async fn maintenance_keeps_accounts_and_queued_mail() {
    let (place, database) = place().await;
    sessions(&database, 1, "ended", now()).await;
    let waiting = "INSERT INTO mail_queue (id, recipient, message, created_at, due_at, attempts)
                   VALUES ('m', 'ann@example.com', '{}', 0, 4102444800, 1)";
    run(&database, waiting).await;
    let _app = TestApp::start_in(place).await;
    wait_until_left(&database, "sessions", 0).await;
    assert_eq!((count(&database, "users").await, count(&database, "mail_queue").await), (1, 1));
}

#[tokio::test]
async fn maintenance_does_not_block_sign_ups() {
    let (place, database) = place().await;
    insert_events(&database, 60 * MANY, "old", "'u'", now() - 90 * DAY).await;
    let app = TestApp::start_in(place).await;
    let left = async || count(&database, "audit_events WHERE user_id = 'u'").await;
    let (before, began, mut number) = (left().await, Instant::now(), 0);
    // A fast computer completes five sign-ups between two batches.
    while number < 5 || left().await == before {
        let sign_up_began = Instant::now();
        app.customer(&format!("customer{number}@example.com")).await;
        let took = sign_up_began.elapsed();
        assert!(took < SIGN_UP_TAKES_UP_TO, "a sign-up took {took:?}");
        assert!(began.elapsed() < DONE_WITHIN, "no rows were deleted meanwhile: {before} are left");
        number += 1;
    }
    assert!(left().await > 0, "all rows were removed at once");
}

#[tokio::test]
async fn requests_run_no_maintenance() {
    let app = TestApp::start().await;
    let mut visitor = app.customer("bob@example.com").await;
    let database = app.database().await;
    run(&database, "INSERT INTO users (id, email, password_hash, created_at) VALUES ('u', 'ann@example.com', '', 0)")
        .await;
    let began = Instant::now();
    loop {
        sessions(&database, 1, &began.elapsed().as_micros().to_string(), now()).await;
        for path in ["/orders", "/account", "/login"] {
            visitor.get(path).await;
        }
        let wrong = [("email", "ann@example.com"), ("password", PASSWORD)];
        http::send(app.request(Method::POST, "/login").form(&wrong)).await;
        // The maintenance at the start may still run.
        if count(&database, "sessions WHERE user_id = 'u'").await == 1 {
            return;
        }
        assert!(began.elapsed() < DONE_WITHIN, "requests delete expired rows");
    }
}
