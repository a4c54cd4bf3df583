//! A PostgreSQL server that is unavailable, locked or read-only, and one behind pgbouncer.
//!
//! Each test starts its own server: `cargo test` ignores them, and `tests/run` includes them.

use std::time::{Duration, Instant};

use sqlx::{AssertSqlSafe, Connection};

use crate::app::{ANN, BOB, PASSWORD, TestApp};
use crate::http::{Response, Visitor};
use crate::metrics::Metrics;
use crate::postgres_server::{Pgbouncer, PostgresServer};
use crate::sandbox::Sandbox;

/// One second of waiting for a connection, plus time for a busy machine.
const FAST: Duration = Duration::from_secs(3);

async fn app_on(url: &str) -> TestApp {
    let mut sandbox = Sandbox::new().await;
    sandbox.set("DATABASE_URL", url);
    TestApp::start_in(sandbox).await
}

async fn sign_up(app: &TestApp, email: &str) -> Response {
    app.visitor().post("/signup", &[("email", email), ("password", PASSWORD)]).await
}

fn is_unavailable(response: &Response) -> bool {
    response.is_page(503) && response.header("retry-after").is_some()
}

/// Waits until the running server is ready again.
async fn wait_until_ready(app: &TestApp) {
    let began = Instant::now();
    while app.get("/readyz").await.status != 200 {
        assert!(began.elapsed() < Duration::from_secs(20), "not ready again:\n{}", app.logs());
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
}

async fn get_timed(visitor: &mut Visitor, path: &str) -> (Response, Duration) {
    let began = Instant::now();
    let response = visitor.get(path).await;
    (response, began.elapsed())
}

#[tokio::test]
#[ignore = "starts its own PostgreSQL server"]
async fn metrics_are_served_while_postgres_is_unavailable() {
    let server = PostgresServer::start();
    let mut sandbox = Sandbox::new().await;
    sandbox.set("DATABASE_URL", &server.url());
    let metrics = Metrics::enable(&mut sandbox);
    let app = TestApp::start_in(sandbox).await;
    app.customer(ANN).await;
    let sessions = "sessions_active{audience=\"web\"}";
    metrics.wait_for(sessions, |count| count == 1.0).await;
    server.stop_immediately();
    metrics.wait_for("db_up", |up| up == 0.0).await;
    for _ in 0..20 {
        let began = Instant::now();
        assert_eq!(metrics.value(sessions), 1.0, "the last value");
        assert!(began.elapsed() < FAST, "a scrape took {:?}", began.elapsed());
        tokio::time::sleep(Duration::from_millis(200)).await;
    }
    server.launch();
    metrics.wait_for("db_up", |up| up == 1.0).await;
}

#[tokio::test]
#[ignore = "starts its own PostgreSQL server"]
async fn unavailable_postgres_answers_503_at_once_and_recovers() {
    let server = PostgresServer::start();
    let app = app_on(&server.url()).await;
    let mut ann = app.customer(ANN).await;
    server.stop_immediately();
    for path in ["/orders", "/account"] {
        let (response, took) = get_timed(&mut ann, path).await;
        assert!(is_unavailable(&response) && took < FAST, "{path}: {} after {took:?}", response.status);
    }
    let began = Instant::now();
    let login = [("email", ANN), ("password", PASSWORD)];
    assert!(is_unavailable(&app.visitor().post("/login", &login).await) && began.elapsed() < FAST);
    let api = app.api_get("/api/userOrders", &ann.token()).await;
    assert!(api.status == 403 || api.is_problem(503), "{}", api.status);
    assert!(app.get("/readyz").await.status == 503 && app.get("/healthz").await.status == 200);
    assert_eq!(app.get("/login").await.status, 200, "the login page needs no database");
    server.launch();
    wait_until_ready(&app).await;
    assert_eq!(ann.get("/orders").await.status, 200);
    assert_eq!(sign_up(&app, BOB).await.status, 303);
}

#[tokio::test]
#[ignore = "starts its own PostgreSQL server"]
async fn requests_during_a_postgres_stop_get_503_and_never_500() {
    let server = PostgresServer::start();
    let app = app_on(&server.url()).await;
    let token = app.customer(ANN).await.token();
    for _ in 0..3 {
        let load = (0..6).map(|client| {
            let (mut visitor, token) = (app.visitor(), token.clone());
            tokio::spawn(async move {
                visitor.set_session_token(&token);
                let mut statuses = Vec::new();
                let began = Instant::now();
                for number in 0.. {
                    if began.elapsed() > Duration::from_secs(2) {
                        break;
                    }
                    let email = format!("{client}-{number}@elsewhere.example");
                    statuses.push(visitor.get("/orders").await.status);
                    statuses.push(visitor.post("/password/forgot", &[("email", &email)]).await.status);
                }
                statuses
            })
        });
        let load: Vec<_> = load.collect();
        tokio::time::sleep(Duration::from_millis(500)).await;
        server.stop_immediately();
        let mut seen = Vec::new();
        for client in load {
            seen.extend(client.await.unwrap());
        }
        assert!(seen.contains(&200) && seen.contains(&503), "the stop had no effect: {seen:?}");
        assert!(seen.iter().all(|status| [200, 303, 429, 503].contains(status)), "{seen:?}\n{}", app.logs());
        server.launch();
        wait_until_ready(&app).await;
    }
}

#[tokio::test]
#[ignore = "starts its own PostgreSQL server"]
async fn serve_waits_for_postgres_at_start_and_logs_it() {
    let server = PostgresServer::start();
    server.stop_immediately();
    let mut sandbox = Sandbox::new().await;
    sandbox.set("DATABASE_URL", &server.url());
    let starting = tokio::spawn(TestApp::start_in(sandbox));
    tokio::time::sleep(Duration::from_secs(3)).await;
    assert!(!starting.is_finished());
    server.launch();
    let app = starting.await.unwrap();
    assert!(app.logs().contains("database unavailable at start"), "{}", app.logs());
    assert_eq!(sign_up(&app, ANN).await.status, 303);
}

#[tokio::test]
#[ignore = "starts its own PostgreSQL server"]
async fn read_only_postgres_answers_503_until_it_is_writable() {
    let server = PostgresServer::start();
    let app = app_on(&server.url()).await;
    let mut ann = app.customer(ANN).await;
    // As after a failover: the setting applies only to new connections.
    let open = "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE pid <> pg_backend_pid()";
    server.run("ALTER DATABASE postgres SET default_transaction_read_only = on").await;
    server.run(open).await;
    tokio::time::sleep(Duration::from_millis(1100)).await;
    assert_eq!(app.get("/readyz").await.status, 503);
    assert!(is_unavailable(&sign_up(&app, BOB).await));
    assert_eq!(ann.get("/orders").await.status, 200, "reads must work");
    let mut operator = server.connect().await;
    for sql in ["SET", "ALTER DATABASE postgres SET"].map(|set| format!("{set} default_transaction_read_only = off")) {
        sqlx::raw_sql(AssertSqlSafe(sql)).execute(&mut operator).await.unwrap();
    }
    wait_until_ready(&app).await;
    assert_eq!(sign_up(&app, BOB).await.status, 303, "{}", app.logs());
}

#[tokio::test]
#[ignore = "starts its own PostgreSQL server"]
async fn locked_table_blocks_requests_up_to_the_statement_timeout() {
    let server = PostgresServer::start();
    let app = app_on(&server.url()).await;
    let mut ann = app.customer(ANN).await;
    let mut locking = server.connect().await;
    let mut lock = locking.begin().await.unwrap();
    sqlx::raw_sql("LOCK TABLE users IN ACCESS EXCLUSIVE MODE").execute(&mut *lock).await.unwrap();
    let (response, took) = get_timed(&mut ann, "/orders").await;
    assert!(is_unavailable(&response) && took < Duration::from_secs(8), "{} after {took:?}", response.status);
    assert!(took > Duration::from_secs(2), "the page did not wait for the lock: {took:?}");
    lock.rollback().await.unwrap();
    assert_eq!(ann.get("/orders").await.status, 200);
}

#[tokio::test]
#[ignore = "starts its own PostgreSQL server and pgbouncer"]
async fn portal_works_behind_pgbouncer_in_transaction_mode() {
    let server = PostgresServer::start();
    let pooler = Pgbouncer::start(&server);
    let mut sandbox = Sandbox::new().await;
    sandbox.set("DATABASE_URL", &pooler.url());
    let migrating: Vec<_> = (0..4).map(|_| sandbox.command(&["migrate"]).spawn().unwrap()).collect();
    for mut process in migrating {
        assert!(process.wait().unwrap().success());
    }
    let app = TestApp::start_in(sandbox).await;
    let customers = (0..8).map(|number| {
        let mut visitor = app.visitor();
        tokio::spawn(async move {
            let email = format!("customer{number}@example.com");
            let fields = [("email", email.as_str()), ("password", PASSWORD)];
            assert_eq!(visitor.post("/signup", &fields).await.status, 303);
            for _ in 0..5 {
                for path in ["/orders", "/orders?q=tea&sort=highest", "/account", "/orders.csv"] {
                    assert_eq!(visitor.get(path).await.status, 200, "{path}");
                }
            }
            assert!(visitor.get("/account").await.text().contains(&email), "the page of another customer");
            assert_eq!(visitor.post("/logout", &[]).await.status, 303);
            assert_eq!(visitor.post("/login", &fields).await.status, 303);
        })
    });
    for customer in customers.collect::<Vec<_>>() {
        customer.await.unwrap();
    }
    assert_eq!(app.run_ok(&["user", "list"]).lines().count(), 9);
    app.run_ok(&["user", "verify", "customer1@example.com"]);
    assert!(!app.logs().contains("ERROR"), "{}", app.logs());
    // Session settings would leak to the next client of the server connection.
    let mut through =
        sqlx::AnyConnection::connect(&format!("postgres://postgres@127.0.0.1:{}/postgres", pooler.port)).await.unwrap();
    for _ in 0..8 {
        let row = sqlx::raw_sql(AssertSqlSafe("SHOW statement_timeout")).fetch_one(&mut through).await.unwrap();
        assert_eq!(sqlx::Row::get::<String, _>(&row, 0), "0");
    }
}
