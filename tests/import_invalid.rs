//! Invalid rows: all are listed, nothing is loaded, or with `--skip-invalid` the valid orders.

use crate::app::TestApp;
use crate::sandbox::CommandOutput;
use crate::shop::{Row, export, line, order};

const ANN: &str = "ann@example.com";

fn import(app: &TestApp, arguments: &[&str], rows: &[Row]) -> CommandOutput {
    app.write("orders.csv", export(rows));
    app.run(&[&["import", "orders.csv"], arguments].concat())
}

async fn stored(app: &TestApp) -> Vec<(String, i64, Option<String>)> {
    let orders = "SELECT number, line_count, email FROM orders ORDER BY number";
    sqlx::query_as(orders).fetch_all(&app.database().await).await.unwrap()
}

#[tokio::test]
async fn all_invalid_cells_are_listed() {
    let app = TestApp::start().await;
    let rows = [
        order("#1", ANN).with("Total", "free").with("Currency", "EURO"),
        order("#2", ANN),
        line("#2", ANN, "Pen").with("Lineitem price", "1e3"),
        order("#3", ANN),
    ];
    for arguments in [&[][..], &["--dry-run"]] {
        let ran = import(&app, arguments, &rows);
        assert_eq!((ran.status, ran.stdout.as_str()), (1, ""), "{ran:?}");
        let lines: Vec<&str> = ran.stderr.lines().collect();
        assert_eq!(lines.len(), 4, "{ran:?}");
        assert!(lines[0].starts_with("orders.csv, line 2, column \"Currency\": \"EURO\" is not a currency"), "{ran:?}");
        assert!(lines[1].starts_with("orders.csv, line 2, column \"Total\": \"free\" is not an amount"), "{ran:?}");
        assert!(lines[2].starts_with("orders.csv, line 4, column \"Lineitem price\": \"1e3\""), "{ran:?}");
        assert!(lines[3].starts_with("order-portal: 3 invalid cells or rows in 2 orders; "), "{ran:?}");
        assert!(lines[3].contains("nothing was written") && lines[3].contains("--skip-invalid"), "{ran:?}");
    }
    assert_eq!(stored(&app).await, []);
}

#[tokio::test]
async fn skip_invalid_loads_only_whole_orders() {
    let app = TestApp::start().await;
    let rows = [
        order("#1", ANN),
        line("#1", ANN, "Pen").with("Lineitem quantity", "two"),
        line("#1", ANN, "Ink"),
        order("#2", ANN),
        line("#2", ANN, "Ink"),
        order("", ANN),
        line("", ANN, "Cap"),
    ];
    let dry = import(&app, &["--skip-invalid", "--dry-run"], &rows);
    assert_eq!(stored(&app).await, []);
    let done = import(&app, &["--skip-invalid"], &rows);
    assert_eq!((dry.status, done.status), (0, 0), "{done:?}");
    assert!(dry.stdout.starts_with("1 orders with 2 lines: 1 new, 0 changed, 0 unchanged; nothing"), "{dry:?}");
    assert!(done.stdout.starts_with("1 orders with 2 lines: 1 new, 0 changed, 0 unchanged\n"), "{done:?}");
    assert!(done.stdout.contains("skipped: 2;"), "{done:?}");
    assert!(
        done.stderr.contains("line 3, column \"Lineitem quantity\"") && done.stderr.contains("line 7, column \"Name\"")
    );
    assert_eq!(stored(&app).await, [("2".to_owned(), 2, Some(ANN.to_owned()))]);
}

#[tokio::test]
async fn first_100_invalid_rows_are_listed_and_the_others_counted() {
    let app = TestApp::start().await;
    let rows: Vec<Row> = (0..250).map(|index| order(&format!("#{index}"), ANN).with("Total", "x")).collect();
    let ran = import(&app, &[], &rows);
    let lines: Vec<&str> = ran.stderr.lines().collect();
    assert_eq!(lines.len(), 102, "{ran:?}");
    assert!(lines[99].starts_with("orders.csv, line 101, "), "{}", lines[99]);
    assert_eq!(lines[100], "150 more cells or rows are invalid");
    assert!(lines[101].starts_with("order-portal: 250 invalid cells or rows in 250 orders"), "{}", lines[101]);
}

#[tokio::test]
async fn order_with_an_invalid_email_loads_without_owner() {
    let app = TestApp::start().await;
    app.verified_customer(ANN).await;
    let rows = [order("#1", "till@pos"), order("#2", ANN)];
    for arguments in [&["--dry-run"][..], &[]] {
        let ran = import(&app, arguments, &rows);
        assert!(ran.status == 0 && ran.stdout.starts_with("2 orders with 2 lines: 2 new"), "{ran:?}");
        assert!(
            ran.stderr.contains("orders.csv, line 2, column \"Email\": \"till@pos\" is not an email address"),
            "{ran:?}"
        );
        assert!(ran.stdout.contains("without owner: 1; invalid email addresses: 1;"), "{ran:?}");
    }
    assert_eq!(stored(&app).await, [("1".to_owned(), 1, None), ("2".to_owned(), 1, Some(ANN.to_owned()))]);
    // The list is there too when the load fails.
    let ran = import(&app, &[], &[rows[0].clone(), order("#3", ANN).with("Total", "x")]);
    assert!(ran.status == 1 && ran.stderr.contains("line 2, column \"Email\""), "{ran:?}");
    // A later export corrects it.
    let ran = import(&app, &[], &[order("#1", ANN)]);
    assert!(ran.stdout.contains("0 new, 1 changed"), "{ran:?}");
    assert_eq!(stored(&app).await[0].2.as_deref(), Some(ANN));
    // A later invalid address erases nothing.
    let ran = import(&app, &[], &rows[..1]);
    assert!(ran.stdout.contains("1 unchanged"), "{ran:?}");
    assert_eq!(stored(&app).await[0].2.as_deref(), Some(ANN));
}

#[tokio::test]
async fn user_link_gives_an_order_to_an_account() {
    let app = TestApp::start().await;
    let mut ann = app.verified_customer(ANN).await;
    import(&app, &[], &[order("#1", "till@pos"), order("#2", "")]);
    let printed = app.run_ok(&["user", "link", ANN, "1"]);
    assert!(printed.contains("#1") && printed.contains(ANN), "{printed}");
    assert!(ann.get("/orders/1").await.is_page(200));
    app.run_ok(&["user", "link", ANN, "#2"]);
    assert!(ann.get("/orders/2").await.is_page(200));
    // A later export of the order keeps the account.
    import(&app, &[], &[order("#1", "till@pos").with("Total", "31.00"), order("#2", "").with("Total", "31.00")]);
    assert!(ann.get("/orders/1").await.text().contains("31.00") && ann.get("/orders/2").await.is_page(200));
    for (arguments, part) in
        [(["user", "link", "nobody@example.com", "1"], "no account"), (["user", "link", ANN, "77"], "no order")]
    {
        let ran = app.run(&arguments);
        assert!(ran.status == 1 && ran.stderr.contains(part), "{ran:?}");
    }
    let events: i64 = sqlx::query_scalar("SELECT COUNT(*) FROM audit_events WHERE event = 'order-linked'")
        .fetch_one(&app.database().await)
        .await
        .unwrap();
    assert_eq!(events, 2);
}

#[tokio::test]
async fn number_of_several_orders_is_listed_and_changes_nothing() {
    let app = TestApp::start().await;
    let mut ann = app.verified_customer(ANN).await;
    for (shop, at) in [("Tea", "2024-03-01 10:00:00 +0000"), ("Pots", "2024-04-02 10:00:00 +0000")] {
        app.write("orders.csv", export(&[order("#1", "").with("Created at", at)]));
        app.run_ok(&["import", "--shop", shop, "orders.csv"]);
    }
    let ran = app.run(&["user", "link", ANN, "1"]);
    assert_eq!(ran.status, 1, "{ran:?}");
    for part in ["Tea", "Pots", "2024-03-01", "2024-04-02"] {
        assert!(ran.stderr.contains(part), "{part} is not in {ran:?}");
    }
    assert_eq!(ann.get("/orders/1").await.status, 404);
}
