//! Maintenance deletes expired rows in the background, at the start and each minute.

use std::time::{Duration, Instant};

use reqwest::Method;
use sqlx::AssertSqlSafe;

use crate::app::{ANN, BOB, PASSWORD, TestApp};
use crate::http;
use crate::sandbox::Sandbox;
use crate::token::now;

const DAY: i64 = 86_400;
/// More than one batch.
const MANY: i64 = 1100;
const TIMEOUT: Duration = Duration::from_secs(20);
/// Long, because many tests run at once.
const MAX_SIGN_UP_TIME: Duration = Duration::from_secs(5);

const INSERT_USER: &str =
    "INSERT INTO users (id, email, password_hash, created_at) VALUES ('u', 'ann@example.com', '', 0)";

/// A migrated database with one account.
async fn sandbox_with_user() -> Sandbox {
    let sandbox = Sandbox::new().await;
    sandbox.run_ok(&["migrate"]);
    sandbox.execute(INSERT_USER).await;
    sandbox
}

/// Inserts `count` rows; `i` in `values` is the row's number.
async fn insert(sandbox: &Sandbox, count: i64, table: &str, columns: &str, values: &str) {
    let sql = format!(
        "WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < {count})
         INSERT INTO {table} ({columns}) SELECT {values} FROM n"
    );
    sandbox.execute(&sql).await;
}

async fn insert_sessions(sandbox: &Sandbox, count: i64, name: &str, expires_at: i64) {
    let columns =
        "id, user_id, audience, is_persistent, client_address, user_agent, created_at, last_seen_at, expires_at";
    let values = format!("'{name}-' || i, 'u', 'web', 'no', '192.0.2.1', '', 0, 0, {expires_at} - i");
    insert(sandbox, count, "sessions", columns, &values).await;
}

async fn insert_events(sandbox: &Sandbox, count: i64, name: &str, user: &str, at: i64) {
    let values = format!("'{name}-' || i, {user}, 'signed-in', '192.0.2.1', '', {at} - i");
    insert(sandbox, count, "audit_events", "id, user_id, event, client_address, user_agent, at", &values).await;
}

async fn insert_rate_limits(sandbox: &Sandbox, count: i64, name: &str, resets_at: i64) {
    let values = format!("'{name}:' || i, 1, 0, 0, {resets_at} - i");
    insert(sandbox, count, "rate_limits", "key, attempts, last_at, blocked_until, resets_at", &values).await;
}

async fn insert_email_token(sandbox: &Sandbox, hash: &str, expires_at: i64) {
    let insert = "INSERT INTO email_tokens (hash, user_id, purpose, email, created_at, expires_at)
                  VALUES ($1, 'u', 'reset', 'ann@example.com', 0, $2)";
    sqlx::query(insert).bind(hash.as_bytes()).bind(expires_at).execute(&sandbox.database().await).await.unwrap();
}

async fn insert_trusted(sandbox: &Sandbox, table: &str, hash: &str, last_used_at: i64) {
    let insert = AssertSqlSafe(format!("INSERT INTO {table} (hash, user_id, last_used_at) VALUES ($1, 'u', $2)"));
    sqlx::query(insert).bind(hash.as_bytes()).bind(last_used_at).execute(&sandbox.database().await).await.unwrap();
}

/// Waits until this number of rows is left.
async fn wait_until_left(sandbox: &Sandbox, table: &str, left: i64) {
    let began = Instant::now();
    loop {
        let counted = sandbox.count(table).await;
        if counted == left {
            return;
        }
        assert!(counted > left, "{table}: {counted} rows are left, expected {left}");
        assert!(began.elapsed() < TIMEOUT, "{table}: {counted} rows are still there");
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
}

#[tokio::test]
async fn maintenance_deletes_expired_sessions() {
    let sandbox = sandbox_with_user().await;
    insert_sessions(&sandbox, MANY, "ended", now()).await;
    insert_sessions(&sandbox, 3, "valid", now() + 1000).await;
    let app = TestApp::start_in(sandbox).await;
    wait_until_left(&app, "sessions", 3).await;
    assert_eq!(app.count("sessions WHERE id LIKE 'valid-%'").await, 3);
}

#[tokio::test]
async fn maintenance_deletes_expired_email_tokens() {
    let sandbox = sandbox_with_user().await;
    for index in 0..20 {
        insert_email_token(&sandbox, &format!("expired {index}"), now() - index).await;
    }
    insert_email_token(&sandbox, "valid", now() + 1000).await;
    let app = TestApp::start_in(sandbox).await;
    wait_until_left(&app, "email_tokens", 1).await;
}

#[tokio::test]
async fn maintenance_deletes_expired_recoveries_with_their_tokens() {
    let sandbox = sandbox_with_user().await;
    let database = sandbox.database().await;
    for (name, expires_at) in [("expired", now()), ("valid", now() + 1000)] {
        let recovery = "INSERT INTO recoveries (id, user_id, email, created_at, expires_at) VALUES ($1, 'u', 'old@example.com', 0, $2)";
        sqlx::query(recovery).bind(name).bind(expires_at).execute(&database).await.unwrap();
        let token = sqlx::query("INSERT INTO recovery_tokens (hash, recovery_id) VALUES ($1, $2)");
        token.bind(name.as_bytes()).bind(name).execute(&database).await.unwrap();
    }
    let app = TestApp::start_in(sandbox).await;
    wait_until_left(&app, "recoveries", 1).await;
    assert_eq!(app.count("recovery_tokens WHERE recovery_id = 'valid'").await, 1);
    assert_eq!(app.count("recovery_tokens").await, 1);
}

#[tokio::test]
async fn maintenance_deletes_expired_logins_and_setups_of_factors() {
    let sandbox = sandbox_with_user().await;
    let database = sandbox.database().await;
    for (name, expires_at) in [("expired", now()), ("valid", now() + 1000)] {
        let login = "INSERT INTO pending_logins (hash, user_id, password_hash, is_persistent, wrong_codes, expires_at)
                     VALUES ($1, 'u', '', 'no', 0, $2)";
        sqlx::query(login).bind(name.as_bytes()).bind(expires_at).execute(&database).await.unwrap();
    }
    for (user, ends_at) in [("expired", Some(now())), ("waiting", Some(now() + 1000)), ("on", None)] {
        let insert = "INSERT INTO users (id, email, password_hash, created_at) VALUES ($1, $2, '', 0)";
        sqlx::query(insert).bind(user).bind(user).execute(&database).await.unwrap();
        let factor =
            "INSERT INTO totp_factors (user_id, secret, key_id, setup_ends_at, last_step) VALUES ($1, $2, '', $3, 0)";
        sqlx::query(factor).bind(user).bind(user.as_bytes()).bind(ends_at).execute(&database).await.unwrap();
    }
    let app = TestApp::start_in(sandbox).await;
    wait_until_left(&app, "pending_logins", 1).await;
    wait_until_left(&app, "totp_factors", 2).await;
    assert_eq!(app.count("totp_factors WHERE user_id = 'expired'").await, 0);
}

#[tokio::test]
async fn maintenance_deletes_old_and_unowned_audit_events() {
    let sandbox = sandbox_with_user().await;
    insert_events(&sandbox, MANY, "old", "'u'", now() - 90 * DAY).await;
    insert_events(&sandbox, MANY, "unowned", "NULL", now()).await;
    insert_events(&sandbox, 3, "recent", "'u'", now() - 89 * DAY).await;
    let app = TestApp::start_in(sandbox).await;
    wait_until_left(&app, "audit_events", 3).await;
    assert_eq!(app.count("audit_events WHERE id LIKE 'recent-%'").await, 3);
}

#[tokio::test]
async fn maintenance_deletes_expired_rate_limits() {
    let sandbox = sandbox_with_user().await;
    insert_rate_limits(&sandbox, MANY, "old", now()).await;
    insert_rate_limits(&sandbox, 3, "recent", now() + 1000).await;
    let app = TestApp::start_in(sandbox).await;
    wait_until_left(&app, "rate_limits", 3).await;
    assert_eq!(app.count("rate_limits WHERE key LIKE 'recent:%'").await, 3);
}

#[tokio::test]
async fn maintenance_deletes_unused_trusted_browsers_and_networks() {
    let sandbox = sandbox_with_user().await;
    let tables = ["trusted_browsers", "trusted_networks"];
    for table in tables {
        for index in 0..20 {
            insert_trusted(&sandbox, table, &format!("unused {index}"), now() - 90 * DAY - index).await;
        }
        insert_trusted(&sandbox, table, "used", now() - 89 * DAY).await;
    }
    let app = TestApp::start_in(sandbox).await;
    for table in tables {
        wait_until_left(&app, table, 1).await;
    }
}

#[tokio::test]
async fn maintenance_keeps_accounts_and_queued_mail() {
    let sandbox = sandbox_with_user().await;
    insert_sessions(&sandbox, 1, "ended", now()).await;
    let queued = "INSERT INTO mail_queue (id, recipient, message, created_at, due_at, attempts)
                   VALUES ('m', 'ann@example.com', '{}', 0, 4102444800, 1)";
    sandbox.execute(queued).await;
    let app = TestApp::start_in(sandbox).await;
    wait_until_left(&app, "sessions", 0).await;
    assert_eq!((app.count("users").await, app.count("mail_queue").await), (1, 1));
}

#[tokio::test]
async fn maintenance_does_not_block_sign_ups() {
    let sandbox = sandbox_with_user().await;
    insert_events(&sandbox, 60 * MANY, "old", "'u'", now() - 90 * DAY).await;
    let app = TestApp::start_in(sandbox).await;
    let left = async || app.count("audit_events WHERE user_id = 'u'").await;
    let (before, began, mut number) = (left().await, Instant::now(), 0);
    // A fast computer completes five sign-ups between two batches.
    while number < 5 || left().await == before {
        let sign_up_began = Instant::now();
        app.customer(&format!("customer{number}@example.com")).await;
        let took = sign_up_began.elapsed();
        assert!(took < MAX_SIGN_UP_TIME, "a sign-up took {took:?}");
        assert!(began.elapsed() < TIMEOUT, "no rows were deleted meanwhile: {before} are left");
        number += 1;
    }
    assert!(left().await > 0, "all rows were deleted at once");
}

#[tokio::test]
async fn requests_run_no_maintenance() {
    let app = TestApp::start().await;
    let mut visitor = app.customer(BOB).await;
    app.execute(INSERT_USER).await;
    let began = Instant::now();
    loop {
        insert_sessions(&app, 1, &began.elapsed().as_micros().to_string(), now()).await;
        for path in ["/orders", "/account", "/login"] {
            visitor.get(path).await;
        }
        let wrong = [("email", ANN), ("password", PASSWORD)];
        http::send(app.request(Method::POST, "/login").form(&wrong)).await;
        // The maintenance at the start may still run.
        if app.count("sessions WHERE user_id = 'u'").await == 1 {
            return;
        }
        assert!(began.elapsed() < TIMEOUT, "requests delete expired rows");
    }
}
