//! Transactions: related rows are written and read together.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use scraper::{Html, Selector};
use sqlx::AssertSqlSafe;

use crate::app::{ANN, BOB, PASSWORD, TestApp};
use crate::sandbox::{CommandOutput, Sandbox};
use crate::token::now;

const LOGIN: [(&str, &str); 2] = [("email", ANN), ("password", PASSWORD)];

/// The missing table makes the insert of the audit event fail.
#[tokio::test]
async fn login_logout_and_sign_up_roll_back_without_their_audit_event() {
    let app = TestApp::start().await;
    let mut ann = app.customer(ANN).await;
    let token = ann.token();
    app.execute("ALTER TABLE audit_events RENAME TO hidden").await;
    let sessions = app.count("sessions WHERE revoked_at IS NULL").await;
    assert_eq!(app.visitor().post("/login", &LOGIN).await.status, 500);
    assert_eq!(ann.post("/logout", &[]).await.status, 500);
    let bob = [("email", BOB), ("password", PASSWORD)];
    assert_eq!(app.visitor().post("/signup", &bob).await.status, 500);
    assert_eq!(app.count("sessions WHERE revoked_at IS NULL").await, sessions);
    assert_eq!(app.count("users").await, 1);
    app.execute("ALTER TABLE hidden RENAME TO audit_events").await;
    ann.set_session_token(&token);
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
    app.run_ok(&["import", "orders.csv"]);
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
    let sandbox = Sandbox::new().await;
    sandbox.run_ok(&["migrate"]);
    sandbox
        .execute("INSERT INTO users (id, email, password_hash, created_at) VALUES ('u', 'ann@example.com', '', 0)")
        .await;
    sandbox.execute("INSERT INTO audit_events (id, user_id, event, client_address, user_agent, at) VALUES ('a', 'u', 'signed-in', '192.0.2.1', '', 0)",
    )
    .await;
    for first in ["sessions", "email_tokens", "rate_limits"] {
        sandbox.execute(&format!("ALTER TABLE {first} RENAME TO hidden_{first}")).await;
    }
    let app = TestApp::start_in(sandbox).await;
    let began = Instant::now();
    while app.count("audit_events").await > 0 {
        assert!(began.elapsed() < Duration::from_secs(20), "{}", app.logs());
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    assert!(app.logs().contains("maintenance step failed"), "{}", app.logs());
}

/// A limit until tomorrow, written while the clock was a day ahead.
#[tokio::test]
async fn rate_limit_ignores_waits_of_a_wrong_clock() {
    let app = TestApp::start().await;
    app.customer(ANN).await;
    let wrong = [("email", ANN), ("password", "eight dull herons on one leg")];
    let mut visitor = app.visitor();
    while visitor.post("/login", &wrong).await.status != 429 {}
    let tomorrow = now() + 86_400;
    app.execute(&format!(
        "UPDATE rate_limits SET blocked_until = {tomorrow}, last_at = {tomorrow}, resets_at = {}",
        tomorrow + 86_400
    ))
    .await;
    assert_eq!(app.visitor().post("/login", &wrong).await.status, 401);
    assert_eq!(app.visitor().post("/login", &wrong).await.status, 429, "later attempts are not counted");
}

#[tokio::test]
async fn concurrent_migrations_apply_each_migration_once() {
    for _ in 0..3 {
        let sandbox = Sandbox::new().await;
        let start = || {
            let mut command = sandbox.command(&["migrate"]);
            command.stdout(std::process::Stdio::piped()).stderr(std::process::Stdio::piped()).spawn().unwrap()
        };
        let processes: Vec<_> = (0..8).map(|_| start()).collect();
        let outputs: Vec<CommandOutput> =
            processes.into_iter().map(|process| process.wait_with_output().unwrap().into()).collect();
        assert!(outputs.iter().all(|output| output.status == 0), "{outputs:?}");
        let lines = || outputs.iter().flat_map(|output| output.stdout.lines());
        let applied: Vec<&str> = lines().filter(|line| line.starts_with("applied")).collect();
        let known = std::fs::read_dir(concat!(env!("CARGO_MANIFEST_DIR"), "/migrations")).unwrap().count();
        assert_eq!(applied.len(), known, "{applied:?}");
        let is_done =
            |output: &CommandOutput| output.stdout.contains("applied") || output.stdout.contains("up to date");
        assert!(outputs.iter().all(is_done), "{outputs:?}");
    }
}
