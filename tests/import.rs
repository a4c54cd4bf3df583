//! Imports of valid and invalid exports.

use serde_json::{Value, json};
use sqlx::Row as _;

use crate::app::{ANN, BOB, TestApp};
use crate::sandbox::CommandOutput;
use crate::shop::{self, COLUMNS, Row, export, export_of, line, order};

/// Ann's orders from the API, the newest first.
async fn orders_of_ann(app: &TestApp) -> Vec<Value> {
    let token = app.api_token(ANN).await;
    let list = app.api_get("/api/userOrders?limit=100", &token).await.json();
    let mut orders = Vec::new();
    for order in list["orders"].as_array().unwrap() {
        let path = format!("/api/userOrders/{}", order["number"].as_str().unwrap());
        orders.push(app.api_get(&path, &token).await.json());
    }
    orders
}

async fn app_with_ann() -> TestApp {
    let app = TestApp::start().await;
    app.verified_customer(ANN).await;
    app
}

fn import(app: &TestApp, content: impl AsRef<[u8]>) -> CommandOutput {
    let file = app.write("orders.csv", content);
    app.run(&["import", &file])
}

fn import_valid(app: &TestApp, content: impl AsRef<[u8]>) -> String {
    let output = import(app, content);
    assert_eq!(output.status, 0, "{output:?}");
    output.text()
}

/// Asserts that the import fails with a message that contains each of `parts`, and stores nothing.
async fn assert_rejected(app: &TestApp, content: impl AsRef<[u8]>, parts: &[&str]) {
    let content = content.as_ref();
    let output = import(app, content);
    let shown = String::from_utf8_lossy(content).chars().take(300).collect::<String>();
    assert_eq!(output.status, 1, "{shown}\n{output:?}");
    let errors = output.stderr.lines().filter(|line| line.starts_with("order-portal: ")).count();
    assert!(errors == 1 && output.stderr.lines().last().unwrap().starts_with("order-portal: "), "{output:?}");
    for part in [&["orders.csv"], parts].concat() {
        assert!(output.stderr.contains(part), "{part:?} is missing: {}", output.stderr);
    }
    let stored = sqlx::query("SELECT (SELECT COUNT(*) FROM orders), (SELECT COUNT(*) FROM order_lines)");
    let stored = stored.fetch_one(&app.database().await).await.unwrap();
    assert_eq!((stored.get::<i64, _>(0), stored.get::<i64, _>(1)), (0, 0), "{shown}");
}

#[tokio::test]
async fn import_stores_every_field() {
    let app = app_with_ann().await;
    import_valid(
        &app,
        export(&[
            order("#8001", ANN).with("Discount Amount", "3.00").with("Total", "26.90"),
            line("#8001", ANN, "Pen"),
        ]),
    );
    let order = orders_of_ann(&app).await.remove(0);
    let expected = [
        ("number", json!("8001")),
        ("payment_status", json!("paid")),
        ("fulfillment_status", json!("fulfilled")),
        ("placed_at", json!("2024-03-01T10:00:00Z")),
        ("paid_at", json!("2024-03-01T10:05:00Z")),
        ("fulfilled_at", json!("2024-03-03T09:00:00Z")),
        ("cancelled_at", Value::Null),
        ("currency", json!("EUR")),
        ("subtotal", json!(2500)),
        ("shipping", json!(490)),
        ("taxes", json!(0)),
        ("discount", json!(300)),
        ("total", json!(2690)),
        ("line_count", json!(2)),
    ];
    for (name, value) in expected {
        assert_eq!(order[name], value, "{name}");
    }
    let first = json!({ "sku": "NB-1", "name": "Notebook, ruled", "quantity": 2, "unit_price": 1250, "discount": 0, "fulfillment_status": "" });
    let second =
        json!({ "sku": "", "name": "Pen", "quantity": 1, "unit_price": 300, "discount": 0, "fulfillment_status": "" });
    let lines = order["lines"].as_array().unwrap().clone();
    assert_eq!(lines.len(), 2);
    assert_eq!(lines, [first, second]);
    let address = order["shipping_address"].to_string();
    for part in ["Ann Example", "Long Lane 5", "\"51100\"", "Reims"] {
        assert!(address.contains(part), "{part} is not in {address}");
    }
}

#[tokio::test]
async fn import_accepts_columns_in_any_order_and_unknown_ones() {
    let app = app_with_ann().await;
    let rows = [order("#8001", ANN).with("Wholly Unknown", "x"), line("#8001", ANN, "Pen")];
    import_valid(&app, export(&rows));
    let before = orders_of_ann(&app).await;
    let mut columns: Vec<&str> = COLUMNS.into_iter().rev().collect();
    columns.insert(3, "Wholly Unknown");
    import_valid(&app, export_of(&columns, &rows));
    assert_eq!(orders_of_ann(&app).await, before);
}

#[tokio::test]
async fn import_accepts_byte_order_mark_and_crlf() {
    let app = app_with_ann().await;
    let rows = [order("#8001", ANN), line("#8001", ANN, "Pen")];
    let text = format!("\u{feff}{}", export(&rows).replace('\n', "\r\n"));
    import_valid(&app, text);
    let orders = orders_of_ann(&app).await;
    assert_eq!((orders.len(), &orders[0]["line_count"]), (1, &json!(2)));
}

#[tokio::test]
async fn import_accepts_a_quoted_header_after_a_byte_order_mark() {
    let app = app_with_ann().await;
    import_valid(&app, format!("\u{feff}{}", export(&[order("#8001", ANN)]).replacen("Name,", "\"Name\",", 1)));
    assert_eq!(orders_of_ann(&app).await.len(), 1);
}

#[tokio::test]
async fn import_applies_the_offset_of_times() {
    let app = app_with_ann().await;
    let rows =
        [("#1", "2024-03-01 01:30:00 +0530"), ("#2", "2024-02-28 23:00:00 -1000"), ("#3", "2024-02-29 12:00:00 +0000")];
    let rows: Vec<Row> = rows.into_iter().map(|(number, at)| order(number, ANN).with("Created at", at)).collect();
    import_valid(&app, export(&rows));
    let placed: Vec<(String, String)> = orders_of_ann(&app)
        .await
        .iter()
        .map(|order| (order["number"].as_str().unwrap().to_owned(), order["placed_at"].as_str().unwrap().to_owned()))
        .collect();
    let pair = |number: &str, at: &str| (number.to_owned(), at.to_owned());
    assert_eq!(
        placed,
        [pair("1", "2024-02-29T20:00:00Z"), pair("3", "2024-02-29T12:00:00Z"), pair("2", "2024-02-29T09:00:00Z")]
    );
}

#[tokio::test]
async fn import_groups_noncontiguous_rows_of_one_order() {
    let app = app_with_ann().await;
    import_valid(
        &app,
        export(&[
            order("#1", ANN),
            order("#2", ANN),
            line("#1", ANN, "Pen"),
            line("#2", ANN, "Ink"),
            line("#1", ANN, "Cap"),
        ]),
    );
    let mut orders = orders_of_ann(&app).await;
    orders.sort_by_key(|order| order["number"].as_str().unwrap().to_owned());
    let names =
        |order: &Value| order["lines"].as_array().unwrap().iter().map(|line| line["name"].clone()).collect::<Vec<_>>();
    assert_eq!(names(&orders[0]), ["Notebook, ruled", "Pen", "Cap"]);
    assert_eq!(names(&orders[1]), ["Notebook, ruled", "Ink"]);
}

#[tokio::test]
async fn import_keeps_any_text() {
    let app = app_with_ann().await;
    let name = "Käse „Gruyère“ 🧀, 2\" thick\nsecond line; =SUM(A1) <b>&amp;</b>";
    import_valid(&app, export(&[order("#1", ANN).with("Lineitem name", name)]));
    assert_eq!(orders_of_ann(&app).await[0]["lines"][0]["name"], name);
}

#[tokio::test]
async fn import_of_the_same_file_changes_nothing() {
    let app = app_with_ann().await;
    let file = export(&[shop::orders(30, ANN), vec![line("#5029", ANN, "Pen")]].concat());
    import_valid(&app, &file);
    let rows = async || {
        let ids = sqlx::query_scalar::<_, String>("SELECT id FROM orders ORDER BY id")
            .fetch_all(&app.database().await)
            .await
            .unwrap();
        (ids, orders_of_ann(&app).await)
    };
    let before = rows().await;
    let output = import_valid(&app, &file);
    assert_eq!(rows().await, before);
    assert!(output.contains("30") && output.contains("unchanged"), "{output}");
}

#[tokio::test]
async fn import_updates_changed_orders_and_adds_new_ones() {
    let app = app_with_ann().await;
    let before = order("#1", ANN).with("Fulfillment Status", "unfulfilled").with("Fulfilled at", "");
    import_valid(&app, export(&[before.clone(), line("#1", ANN, "Pen"), order("#2", ANN)]));
    let after = order("#1", ANN).with("Financial Status", "partially_refunded").with("Refunded Amount", "3.00");
    import_valid(&app, export(&[after, order("#3", ANN)]));
    let mut orders = orders_of_ann(&app).await;
    orders.sort_by_key(|order| order["number"].as_str().unwrap().to_owned());
    assert_eq!(orders.len(), 3, "an order that the later export lacks is deleted");
    assert_eq!(orders[0]["payment_status"], "partially_refunded");
    assert_eq!(orders[0]["fulfillment_status"], "fulfilled");
    assert_eq!((&orders[0]["line_count"], orders[0]["lines"].as_array().unwrap().len()), (&json!(1), 1));
}

#[tokio::test]
async fn import_replaces_the_lines_of_changed_orders() {
    let app = TestApp::start().await;
    let numbers: Vec<String> = (0..130).map(|index| format!("#{index}")).collect();
    let with_lines = |count: usize, name: &str| -> Vec<Row> {
        let rows = |number: &String| {
            let first = order(number, ANN).with("Lineitem name", name).with("Total", &format!("{count}.00"));
            [vec![first], vec![line(number, ANN, name); count - 1]].concat()
        };
        numbers.iter().flat_map(rows).collect()
    };
    // More lines, fewer, and as many as before.
    for (count, name) in [(2, "Pen"), (4, "Ink"), (1, "Cap"), (3, "Nib"), (3, "Pad")] {
        import_valid(&app, export(&with_lines(count, name)));
        let lines = "SELECT order_id, position, name FROM order_lines ORDER BY order_id, position";
        let lines: Vec<(String, i64, String)> = sqlx::query_as(lines).fetch_all(&app.database().await).await.unwrap();
        assert_eq!(lines.len(), 130 * count, "{name}");
        for (index, (_, position, found)) in lines.iter().enumerate() {
            assert_eq!((*position, found.as_str()), (i64::try_from(index % count).unwrap() + 1, name));
        }
    }
}

/// Rows and index entries of orders that PostgreSQL read, and whether the table was vacuumed and analysed.
async fn table_statistics(app: &TestApp) -> (i64, bool) {
    // A backend reports its statistics after a second without work, or when it ends.
    tokio::time::sleep(std::time::Duration::from_millis(1_500)).await;
    let statistics = "SELECT CAST(t.seq_tup_read + SUM(i.idx_tup_read) AS BIGINT),
                             CASE WHEN t.last_vacuum IS NOT NULL AND t.last_analyze IS NOT NULL THEN 1 ELSE 0 END
                      FROM pg_stat_user_tables t JOIN pg_stat_user_indexes i ON i.relid = t.relid
                      WHERE t.relname = 'orders' GROUP BY t.seq_tup_read, t.last_vacuum, t.last_analyze";
    let (read, is_vacuumed): (i64, i32) = sqlx::query_as(statistics).fetch_one(&app.database().await).await.unwrap();
    (read, is_vacuumed == 1)
}

#[tokio::test]
async fn import_on_postgres_reads_few_rows_and_vacuums() {
    let app = TestApp::start().await;
    if !app.is_postgres() {
        return;
    }
    app.verified_customer(ANN).await;
    import_valid(&app, export(&shop::orders(500, ANN)));
    assert!(!table_statistics(&app).await.1, "a small import vacuums");
    let rows: Vec<Row> = (0..8_000).map(|index| order(&format!("#{index}"), "")).collect();
    let (before, _) = table_statistics(&app).await;
    import_valid(&app, export(&rows));
    let (after, is_vacuumed) = table_statistics(&app).await;
    // Lookup and vacuum. With sequential scans it would be more than a hundred for each order.
    let read_per_order = (after - before) / 8_000;
    assert!(read_per_order < 10, "{read_per_order} rows or index entries were read for each order");
    assert!(is_vacuumed, "a large import leaves the planner without statistics");
}

#[tokio::test]
async fn order_changes_its_owner_with_its_email() {
    let app = app_with_ann().await;
    let mut bob = app.verified_customer(BOB).await;
    import_valid(&app, export(&[order("#1", ANN)]));
    import_valid(&app, export(&[order("#1", BOB)]));
    assert!(bob.get("/orders/1").await.is_page(200));
    assert_eq!(orders_of_ann(&app).await.len(), 0, "the former owner still sees the order");
}

#[tokio::test]
async fn order_without_email_is_stored_without_owner() {
    let app = app_with_ann().await;
    import_valid(&app, export(&[order("#1", ""), order("#2", ANN)]));
    assert_eq!(orders_of_ann(&app).await.len(), 1);
}

#[tokio::test]
async fn invalid_value_is_reported_by_file_line_and_column() {
    let app = app_with_ann().await;
    let invalid = [
        ("Lineitem quantity", "two"),
        ("Lineitem quantity", ""),
        ("Lineitem quantity", "1.5"),
        ("Lineitem quantity", "99999999999999999999"),
        ("Lineitem price", "12,50"),
        ("Lineitem price", "1e3"),
        ("Lineitem price", "NaN"),
        ("Lineitem price", ""),
        ("Total", "free"),
        ("Total", "99999999999999999999.00"),
        ("Total", ""),
        ("Subtotal", "--1"),
        ("Subtotal", ""),
        ("Created at", "yesterday"),
        ("Created at", "2024-02-30 10:00:00 +0000"),
        ("Created at", "3/1/2024 10:00"),
        ("Created at", ""),
        ("Paid at", "1 March"),
        ("Currency", "EURO"),
        ("Currency", "XYZ"),
        ("Currency", ""),
        ("Lineitem name", "a\0b"),
    ];
    for (column, value) in invalid {
        let rows = [order("#1", ANN), line("#1", ANN, "Pen"), order("#2", ANN).with(column, value), order("#3", ANN)];
        assert_rejected(&app, export(&rows), &["4", column]).await;
    }
    let rows = [order("#1", ANN), line("#1", ANN, "Pen").with("Lineitem quantity", "x")];
    assert_rejected(&app, export(&rows), &["3", "Lineitem quantity"]).await;
}

#[tokio::test]
async fn invalid_row_after_line_breaks_has_its_line_number() {
    let app = app_with_ann().await;
    let rows = [order("#1", ANN).with("Shipping Address1", "Long Lane\n5\n"), order("#2", ANN).with("Total", "x")];
    assert_rejected(&app, export(&rows), &["5", "Total"]).await;
}

#[tokio::test]
async fn import_rejects_files_that_are_not_exports() {
    let app = app_with_ann().await;
    let valid = export(&[order("#1", ANN)]);
    assert_rejected(&app, "", &[]).await;
    assert_rejected(&app, "\u{feff}", &[]).await;
    assert_rejected(&app, "\0\0\0\0", &[]).await;
    assert_rejected(&app, b"\x89PNG\r\n\x1a\n\xff\xfe\xfd", &[]).await;
    assert_rejected(&app, "just some text\nand more of it\n", &["Name"]).await;
    assert_rejected(&app, [valid.as_bytes(), b"#2,ann@example.com,\xff\xfe\n"].concat(), &["3"]).await;
    assert_rejected(&app, format!("{valid}#2,ann@example.com\n"), &["3"]).await;
    assert_rejected(&app, valid.replace("Lineitem price", "Price"), &["Lineitem price"]).await;
    assert_rejected(&app, valid.replace("Lineitem compare at price", "Total"), &["Total"]).await;
    assert_rejected(&app, export(&[Row::default().with("Email", ANN).with("Lineitem name", "Pen")]), &["2", "Name"])
        .await;
    assert_rejected(&app, export(&[line("#1", ANN, "an order without its first row")]), &["2"]).await;
}

#[tokio::test]
async fn failed_import_changes_nothing() {
    let app = app_with_ann().await;
    import_valid(&app, export(&[order("#1", ANN)]));
    let before = orders_of_ann(&app).await;
    let changed = order("#1", ANN).with("Total", "99.00");
    assert_eq!(import(&app, export(&[changed, order("#2", ANN).with("Total", "x")])).status, 1);
    assert_eq!(orders_of_ann(&app).await, before);
}

#[tokio::test]
async fn import_reads_standard_input_for_a_dash() {
    let app = app_with_ann().await;
    let output = app.run_with_input(&["import", "-"], export(&[order("#1", ANN)]).as_bytes());
    assert_eq!(output.status, 0, "{output:?}");
    assert_eq!(orders_of_ann(&app).await.len(), 1);
    let output = app.run_with_input(&["import", "-"], export(&[order("#1", ANN).with("Total", "x")]).as_bytes());
    assert!(output.status == 1 && output.stderr.contains("Total"), "{output:?}");
}

#[tokio::test]
async fn missing_file_is_reported_by_name() {
    let app = app_with_ann().await;
    let output = app.run(&["import", "nowhere.csv"]);
    assert!(
        output.status == 1 && output.stderr.contains("nowhere.csv") && output.stderr.trim_end().lines().count() == 1,
        "{output:?}"
    );
    assert_eq!(app.run(&["import", "."]).status, 1);
    assert_eq!(app.run(&["import"]).status, 2);
}

#[tokio::test]
async fn import_shows_no_progress_bar_without_a_terminal() {
    let app = app_with_ann().await;
    let output = import_valid(&app, export(&shop::orders(50, ANN)));
    assert!(!output.contains('\r') && !output.contains('\u{1b}'), "{output:?}");
}
