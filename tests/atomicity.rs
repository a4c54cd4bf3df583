//! Transactions: related rows are written and read together.

use std::process::Stdio;
use std::time::{Duration, Instant};

use scraper::{Html, Selector};

use crate::app::{ANN, BOB, PASSWORD, TestApp};
use crate::sandbox::{CommandOutput, Sandbox};
use crate::shop::{self, Row, export};
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
async fn list_total_matches_its_rows_during_imports() {
    let (app, mut ann) = TestApp::start_with_orders(&orders_of(100)).await;
    let mut pages = 0;
    for total in 101..=110 {
        app.write("orders.csv", export(&orders_of(total)));
        let mut import = app.command(&["import", "orders.csv"]).stdout(Stdio::null()).spawn().unwrap();
        while import.try_wait().unwrap().is_none() {
            let (sum, rows) = sum_and_rows(&ann.get("/orders").await.text());
            assert_eq!((rows.len(), sum), (12, rows.iter().sum::<u64>()), "the total is not the sum of {rows:?}");
            pages += 1;
        }
        assert!(import.wait().unwrap().success());
        assert_eq!(sum_and_rows(&ann.get("/orders").await.text()).0, 12 * total, "the list is not the imported one");
    }
    assert!(pages >= 20, "only {pages} pages were read during the imports");
}

/// Twelve orders with this total in cents.
fn orders_of(total: u64) -> Vec<Row> {
    let total = format!("{}.{:02}", total / 100, total % 100);
    let order = |number| shop::order(&format!("#{number}"), ANN).with("Currency", "USD").with("Total", &total);
    (1..=12).map(order).collect()
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
            command.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap()
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
