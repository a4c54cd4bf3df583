//! `import --dry-run`: reports what an import would do, and writes nothing.

use std::process::Stdio;
use std::time::{Duration, Instant};

use crate::app::{ANN, BOB, TestApp};
use crate::orders::{list, numbers};
use crate::shop::{self, export, line, order};

/// Long, because many tests run at once.
const MAX_SIGN_UP_TIME: Duration = Duration::from_secs(5);

/// The stored orders and lines.
async fn stored_rows(app: &TestApp) -> (Vec<(String, String, i64, Option<String>)>, Vec<(String, i64, String)>) {
    let database = app.database().await;
    let orders = sqlx::query_as("SELECT id, number, total, user_id FROM orders ORDER BY id");
    let lines = sqlx::query_as("SELECT order_id, position, name FROM order_lines ORDER BY order_id, position");
    (orders.fetch_all(&database).await.unwrap(), lines.fetch_all(&database).await.unwrap())
}

#[tokio::test]
async fn dry_run_counts_orders_and_writes_nothing() {
    let app = TestApp::start_with(&[("DEMO_ORDERS", "true")]).await;
    let mut ann = app.verified_customer(ANN).await;
    app.import(&shop::orders(5, BOB));
    let (before, samples) = (stored_rows(&app).await, numbers(&list(&mut ann, "/orders").await));
    let mut rows = shop::orders(5, BOB);
    rows[0] = rows[0].clone().with("Total", "99.00");
    rows.extend([order("#1", ANN), line("#1", ANN, "Pen"), order("#2", ANN)]);
    app.write("next.csv", export(&rows));
    let output = app.first_line(&["import", "--dry-run", "next.csv"]);
    assert_eq!(output, "7 orders with 8 lines: 2 new, 1 changed, 4 unchanged; nothing was written");
    assert_eq!(stored_rows(&app).await, before);
    assert_eq!(numbers(&list(&mut ann, "/orders").await), samples, "the samples were deleted");
    assert_eq!(app.first_line(&["import", "--dry-run", "next.csv"]), output, "the second dry run has another result");

    let done = app.first_line(&["import", "next.csv"]);
    assert_eq!(
        done, "7 orders with 8 lines: 2 new, 1 changed, 4 unchanged",
        "the import does not do what the dry run reported"
    );
    let output = app.first_line(&["import", "--dry-run", "next.csv"]);
    assert_eq!(output, "7 orders with 8 lines: 0 new, 0 changed, 7 unchanged; nothing was written");
}

#[tokio::test]
async fn dry_run_reads_noncontiguous_rows_and_standard_input() {
    let app = TestApp::start().await;
    let text = export(&[order("#1", ANN), order("#2", ANN), line("#1", ANN, "Pen")]);
    let output = app.run_with_input(&["import", "--dry-run", "-"], text.as_bytes());
    assert_eq!(
        output.stdout.lines().next().unwrap(),
        "2 orders with 3 lines: 2 new, 0 changed, 0 unchanged; nothing was written",
        "{output:?}"
    );
    assert_eq!(stored_rows(&app).await.0.len(), 0);
}

#[tokio::test]
async fn dry_run_reports_an_invalid_row() {
    let app = TestApp::start().await;
    app.write("orders.csv", export(&[order("#1", ANN), order("#2", ANN).with("Total", "free")]));
    let output = app.run(&["import", "--dry-run", "orders.csv"]);
    assert!(output.status == 1 && output.stderr.contains("orders.csv, line 3, column \"Total\""), "{output:?}");
    assert_eq!(output.stdout, "", "{output:?}");
    assert_eq!(stored_rows(&app).await.0.len(), 0);
}

#[tokio::test]
async fn dry_run_does_not_block_sign_ups() {
    const ORDERS: usize = 12_000;
    let app = TestApp::start().await;
    let rows: Vec<_> = (0..ORDERS).map(|index| order(&format!("#{index}"), ANN)).collect();
    app.write("orders.csv", export(&rows));
    let mut running = app.command(&["import", "--dry-run", "orders.csv"]).stdout(Stdio::piped()).spawn().unwrap();
    let (mut signed_up, mut slowest) = (0, Duration::ZERO);
    loop {
        let began = Instant::now();
        app.customer(&format!("customer{signed_up}@example.com")).await;
        // A sign-up that ended after the dry run does not count.
        if running.try_wait().unwrap().is_some() {
            break;
        }
        signed_up += 1;
        slowest = slowest.max(began.elapsed());
    }
    assert!(signed_up >= 3, "{signed_up} customers signed up meanwhile");
    assert!(slowest < MAX_SIGN_UP_TIME, "a sign-up took {slowest:?}");
    let finished = running.wait_with_output().unwrap();
    let output = String::from_utf8(finished.stdout).unwrap();
    assert!(
        finished.status.success() && output.contains("12,000 new") && output.contains("nothing was written"),
        "{output}"
    );
    assert_eq!(stored_rows(&app).await.0.len(), 0);
}
