//! Transactions: related rows are written and read together.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use scraper::{Html, Selector};
use sqlx::{AnyPool, AssertSqlSafe};

use crate::app::{PASSWORD, TestApp};
use crate::place::{Place, Ran};
use crate::token::now;

const ANN: &str = "ann@example.com";
const LOGIN: [(&str, &str); 2] = [("email", ANN), ("password", PASSWORD)];

async fn run(database: &AnyPool, sql: &str) {
    sqlx::query(AssertSqlSafe(sql.to_owned())).execute(database).await.unwrap();
}

async fn count(database: &AnyPool, what: &str) -> i64 {
    sqlx::query_scalar(AssertSqlSafe(format!("SELECT COUNT(*) FROM {what}"))).fetch_one(database).await.unwrap()
}

/// Makes writing audit events fail, like a crash before that write.
#[tokio::test]
async fn login_logout_and_sign_up_roll_back_without_their_audit_event() {
    let app = TestApp::start().await;
    let mut ann = app.customer(ANN).await;
    let token = ann.token();
    let database = app.database().await;
    run(&database, "ALTER TABLE audit_events RENAME TO hidden").await;
    let sessions = count(&database, "sessions WHERE revoked_at IS NULL").await;
    assert_eq!(app.visitor().post("/login", &LOGIN).await.status, 500);
    assert_eq!(ann.post("/logout", &[]).await.status, 500);
    let bob = [("email", "bob@example.com"), ("password", PASSWORD)];
    assert_eq!(app.visitor().post("/signup", &bob).await.status, 500);
    assert_eq!(count(&database, "sessions WHERE revoked_at IS NULL").await, sessions);
    assert_eq!(count(&database, "users").await, 1);
    run(&database, "ALTER TABLE hidden RENAME TO audit_events").await;
    ann.bring(&token);
    assert_eq!(ann.get("/orders").await.status, 200, "the logout took effect without its audit event");
    assert_eq!(app.visitor().post("/login", &LOGIN).await.status, 303);
    assert_eq!(app.visitor().post("/signup", &bob).await.status, 303);
}

#[tokio::test]
async fn login_during_account_deletion_answers_401() {
    let app = TestApp::start().await;
    for _ in 0..8 {
        let mut ann = app.customer(ANN).await;
        let logins: Vec<_> = (0..4)
            .map(|_| {
                let mut visitor = app.visitor();
                tokio::spawn(async move { visitor.post("/login", &LOGIN).await.status })
            })
            .collect();
        assert_eq!(ann.post("/account/delete", &[("password", PASSWORD)]).await.status, 303);
        for login in logins {
            let status = login.await.unwrap();
            assert!([303, 401].contains(&status), "{status}\n{}", app.logs());
        }
    }
}

/// Changes the totals of all orders in one transaction, repeatedly.
#[tokio::test]
async fn list_total_matches_its_rows_during_writes() {
    let app = TestApp::start().await;
    let mut ann = app.verified_customer(ANN).await;
    let header = "Name,Email,Financial Status,Fulfillment Status,Currency,Subtotal,Shipping,Taxes,Total,Created at,Lineitem quantity,Lineitem name,Lineitem price\n";
    let rows: String = (1..=12)
        .map(|number| {
            format!("#{number},{ANN},paid,fulfilled,USD,1.00,0,0,1.00,2024-03-{number:02} 10:00:00 +0000,1,Tea,1.00\n")
        })
        .collect();
    app.write("orders.csv", format!("{header}{rows}"));
    app.done(&["import", "orders.csv"]);
    let is_over = Arc::new(AtomicBool::new(false));
    let writer = tokio::spawn({
        let (database, is_over) = (app.database().await, Arc::clone(&is_over));
        async move {
            let mut total = 100;
            while !is_over.load(Ordering::SeqCst) {
                total += 1;
                // Another writer may hold the lock.
                let update = format!("UPDATE orders SET total = {total}");
                sqlx::query(AssertSqlSafe(update)).execute(&database).await.ok();
            }
            total
        }
    });
    for _ in 0..150 {
        let page = ann.get("/orders").await.text();
        let (sum, rows) = sum_and_rows(&page);
        assert_eq!(rows.len(), 12);
        assert_eq!(sum, rows.iter().sum::<u64>(), "the total is not the sum of its rows: {rows:?}");
    }
    is_over.store(true, Ordering::SeqCst);
    assert!(writer.await.unwrap() > 150, "too few writes");
}

/// The total above the list and the amount of each row, in cents.
fn sum_and_rows(page: &str) -> (u64, Vec<u64>) {
    let document = Html::parse_document(page);
    let texts = |selector: &str| -> Vec<String> {
        document.select(&Selector::parse(selector).unwrap()).map(|found| found.text().collect()).collect()
    };
    let cents = |text: &str| -> u64 {
        text.rsplit('$').next().unwrap().chars().filter(char::is_ascii_digit).collect::<String>().parse().unwrap()
    };
    let summary = texts("main").concat();
    let summary = summary.split("12 orders, ").nth(1).unwrap().split_whitespace().next().unwrap().to_owned();
    (cents(&summary), texts(".orders tbody tr td:last-child").iter().map(|text| cents(text)).collect())
}

#[tokio::test]
async fn failed_maintenance_step_does_not_stop_the_others() {
    let place = Place::new().await;
    place.done(&["migrate"]);
    let database = place.database().await;
    run(&database, "INSERT INTO users (id, email, password_hash, created_at) VALUES ('u', 'ann@example.com', '', 0)")
        .await;
    run(
        &database,
        "INSERT INTO audit_events (id, user_id, event, client_address, user_agent, at) VALUES ('a', 'u', 'signed-in', '192.0.2.1', '', 0)",
    )
    .await;
    for first in ["sessions", "email_tokens", "rate_limits"] {
        run(&database, &format!("ALTER TABLE {first} RENAME TO hidden_{first}")).await;
    }
    let app = TestApp::start_in(place).await;
    let began = std::time::Instant::now();
    while count(&database, "audit_events").await > 0 {
        assert!(began.elapsed() < std::time::Duration::from_secs(20), "{}", app.logs());
        tokio::time::sleep(std::time::Duration::from_millis(50)).await;
    }
    assert!(app.logs().contains("maintenance step failed"), "{}", app.logs());
}

/// A wait until tomorrow, written while the clock was a day ahead.
#[tokio::test]
async fn rate_limit_ignores_waits_of_a_wrong_clock() {
    let app = TestApp::start().await;
    app.customer(ANN).await;
    let wrong = [("email", ANN), ("password", "eight dull herons on one leg")];
    let mut visitor = app.visitor();
    while visitor.post("/login", &wrong).await.status != 429 {}
    let database = app.database().await;
    let tomorrow = now() + 86_400;
    run(
        &database,
        &format!(
            "UPDATE rate_limits SET blocked_until = {tomorrow}, last_at = {tomorrow}, resets_at = {}",
            tomorrow + 86_400
        ),
    )
    .await;
    assert_eq!(app.visitor().post("/login", &wrong).await.status, 401);
    assert_eq!(app.visitor().post("/login", &wrong).await.status, 429, "later attempts are not counted");
}

#[tokio::test]
async fn concurrent_migrations_apply_each_migration_once() {
    for _ in 0..3 {
        let place = Place::new().await;
        let start = || {
            let mut command = place.command(&["migrate"]);
            command.stdout(std::process::Stdio::piped()).stderr(std::process::Stdio::piped()).spawn().unwrap()
        };
        let processes: Vec<_> = (0..8).map(|_| start()).collect();
        let ran: Vec<Ran> = processes.into_iter().map(|process| process.wait_with_output().unwrap().into()).collect();
        assert!(ran.iter().all(|ran| ran.status == 0), "{ran:?}");
        let lines = || ran.iter().flat_map(|ran| ran.stdout.lines());
        let applied: Vec<&str> = lines().filter(|line| line.starts_with("applied")).collect();
        let known = std::fs::read_dir(concat!(env!("CARGO_MANIFEST_DIR"), "/migrations")).unwrap().count();
        assert_eq!(applied.len(), known, "{applied:?}");
        assert!(ran.iter().all(|ran| ran.stdout.contains("applied") || ran.stdout.contains("up to date")), "{ran:?}");
    }
}
