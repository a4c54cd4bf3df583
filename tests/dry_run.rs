//! `import --dry-run`: says what an import would do, and does nothing.

use std::process::Stdio;
use std::time::{Duration, Instant};

use crate::app::TestApp;
use crate::orders::{import, list, numbers};
use crate::shop::{self, export, line, order};

const ANN: &str = "ann@example.com";
/// Wide: computers that run many tests at once are slow.
const SIGN_UP_TAKES_UP_TO: Duration = Duration::from_secs(5);

/// What stands in the tables of orders, cell by cell of those that tell.
async fn stands(app: &TestApp) -> (Vec<(String, String, i64, Option<String>)>, Vec<(String, i64, String)>) {
    let database = app.database().await;
    let orders = sqlx::query_as("SELECT id, number, total, user_id FROM orders ORDER BY id");
    let lines = sqlx::query_as("SELECT order_id, position, name FROM order_lines ORDER BY order_id, position");
    (orders.fetch_all(&database).await.unwrap(), lines.fetch_all(&database).await.unwrap())
}

#[tokio::test]
async fn it_counts_new_changed_and_unchanged_orders_and_writes_nothing() {
    let app = TestApp::start_with(&[("DEMO_ORDERS", "true")]).await;
    let mut ann = app.verified_customer(ANN).await;
    import(&app, &shop::orders(5, "bob@example.com"));
    let (before, samples) = (stands(&app).await, numbers(&list(&mut ann, "/orders").await));
    let mut rows = shop::orders(5, "bob@example.com");
    rows[0] = rows[0].clone().with("Total", "99.00");
    rows.extend([order("#1", ANN), line("#1", ANN, "Pen"), order("#2", ANN)]);
    app.write("next.csv", export(&rows));
    let said = app.done(&["import", "--dry-run", "next.csv"]);
    assert_eq!(said, "7 orders with 8 lines: 2 new, 1 changed, 4 unchanged; nothing was written\n");
    assert_eq!(stands(&app).await, before);
    assert_eq!(numbers(&list(&mut ann, "/orders").await), samples, "samples went for orders that are not there");
    assert_eq!(app.done(&["import", "--dry-run", "next.csv"]), said, "the second time finds something else");

    let done = app.done(&["import", "next.csv"]);
    assert_eq!(done, "7 orders with 8 lines: 2 new, 1 changed, 4 unchanged\n", "what was foretold is what happens");
    let said = app.done(&["import", "--dry-run", "next.csv"]);
    assert_eq!(said, "7 orders with 8 lines: 0 new, 0 changed, 7 unchanged; nothing was written\n");
}

#[tokio::test]
async fn rows_that_stand_apart_and_standard_input_are_counted_alike() {
    let app = TestApp::start().await;
    let text = export(&[order("#1", ANN), order("#2", ANN), line("#1", ANN, "Pen")]);
    let ran = app.run_with_input(&["import", "--dry-run", "-"], text.as_bytes());
    assert_eq!(ran.stdout, "2 orders with 3 lines: 2 new, 0 changed, 0 unchanged; nothing was written\n", "{ran:?}");
    assert_eq!(stands(&app).await.0.len(), 0);
}

#[tokio::test]
async fn a_bad_row_is_found_without_importing() {
    let app = TestApp::start().await;
    app.write("orders.csv", export(&[order("#1", ANN), order("#2", ANN).with("Total", "free")]));
    let ran = app.run(&["import", "--dry-run", "orders.csv"]);
    assert!(ran.status == 1 && ran.stderr.contains("orders.csv, line 3, column \"Total\""), "{ran:?}");
    assert!(!ran.stdout.contains("nothing was written"), "{ran:?}");
    assert_eq!(stands(&app).await.0.len(), 0);
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
        // What is over by then was not waited for.
        if running.try_wait().unwrap().is_some() {
            break;
        }
        signed_up += 1;
        slowest = slowest.max(began.elapsed());
    }
    assert!(signed_up >= 3, "{signed_up} customers signed up meanwhile");
    assert!(slowest < SIGN_UP_TAKES_UP_TO, "a sign-up took {slowest:?}");
    let ran = running.wait_with_output().unwrap();
    let said = String::from_utf8(ran.stdout).unwrap();
    assert!(ran.status.success() && said.contains("12,000 new") && said.contains("nothing was written"), "{said}");
    assert_eq!(stands(&app).await.0.len(), 0);
}
