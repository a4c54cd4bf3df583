//! A shop's export, as shops and their spreadsheets leave it.

use serde_json::{Value, json};
use sqlx::Row as _;

use crate::app::TestApp;
use crate::place::Ran;
use crate::shop::{self, COLUMNS, Row, export, export_of, line, order};

const ANN: &str = "ann@example.com";

/// Ann's orders, in full, as the API tells them; the newest first.
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

fn import(app: &TestApp, content: impl AsRef<[u8]>) -> Ran {
    let file = app.write("orders.csv", content);
    app.run(&["import", &file])
}

fn import_well(app: &TestApp, content: impl AsRef<[u8]>) -> String {
    let ran = import(app, content);
    assert_eq!(ran.status, 0, "{ran:?}");
    ran.output()
}

/// Asserts that the import failed in one line that names each of `parts`, and left nothing.
async fn refused(app: &TestApp, content: impl AsRef<[u8]>, parts: &[&str]) {
    let content = content.as_ref();
    let ran = import(app, content);
    let shown = String::from_utf8_lossy(content).chars().take(300).collect::<String>();
    assert_eq!(ran.status, 1, "{shown}\n{ran:?}");
    assert_eq!(ran.stderr.trim_end().lines().count(), 1, "not one line: {}", ran.stderr);
    for part in [&["orders.csv"], parts].concat() {
        assert!(ran.stderr.contains(part), "{part:?} is not named: {}", ran.stderr);
    }
    let left = sqlx::query("SELECT (SELECT COUNT(*) FROM orders), (SELECT COUNT(*) FROM order_lines)");
    let left = left.fetch_one(&app.database().await).await.unwrap();
    assert_eq!((left.get::<i64, _>(0), left.get::<i64, _>(1)), (0, 0), "{shown}");
}

#[tokio::test]
async fn every_field_arrives() {
    let app = app_with_ann().await;
    import_well(
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
    let first = json!({ "sku": "NB-1", "name": "Notebook, ruled", "quantity": 2, "unit_price": 1250, "discount": 0 });
    let second = json!({ "sku": "", "name": "Pen", "quantity": 1, "unit_price": 300, "discount": 0 });
    let mut lines = order["lines"].as_array().unwrap().clone();
    assert_eq!(lines.len(), 2);
    // Whether no sku is null or empty is the program's choice.
    if lines[1]["sku"].is_null() {
        lines[1]["sku"] = json!("");
    }
    assert_eq!(lines, [first, second]);
    let address = order["shipping_address"].to_string();
    for part in ["Ann Example", "Long Lane 5", "\"51100\"", "Reims"] {
        assert!(address.contains(part), "{part} is not in {address}");
    }
}

#[tokio::test]
async fn columns_come_in_any_order_with_others_among_them() {
    let app = app_with_ann().await;
    let rows = [order("#8001", ANN).with("Wholly Unknown", "x"), line("#8001", ANN, "Pen")];
    import_well(&app, export(&rows));
    let before = orders_of_ann(&app).await;
    let mut columns: Vec<&str> = COLUMNS.into_iter().rev().collect();
    columns.insert(3, "Wholly Unknown");
    import_well(&app, export_of(&columns, &rows));
    assert_eq!(orders_of_ann(&app).await, before);
}

#[tokio::test]
async fn a_byte_order_mark_and_line_ends_of_windows_change_nothing() {
    let app = app_with_ann().await;
    let rows = [order("#8001", ANN), line("#8001", ANN, "Pen")];
    let text = format!("\u{feff}{}", export(&rows).replace('\n', "\r\n"));
    import_well(&app, text);
    let orders = orders_of_ann(&app).await;
    assert_eq!((orders.len(), &orders[0]["line_count"]), (1, &json!(2)));
}

#[tokio::test]
async fn a_header_in_quotes_after_a_byte_order_mark_is_read() {
    let app = app_with_ann().await;
    import_well(&app, format!("\u{feff}{}", export(&[order("#8001", ANN)]).replacen("Name,", "\"Name\",", 1)));
    assert_eq!(orders_of_ann(&app).await.len(), 1);
}

#[tokio::test]
async fn times_count_from_their_offset() {
    let app = app_with_ann().await;
    let rows =
        [("#1", "2024-03-01 01:30:00 +0530"), ("#2", "2024-02-28 23:00:00 -1000"), ("#3", "2024-02-29 12:00:00 +0000")];
    let rows: Vec<Row> = rows.into_iter().map(|(number, at)| order(number, ANN).with("Created at", at)).collect();
    import_well(&app, export(&rows));
    let placed: Vec<(String, String)> = orders_of_ann(&app)
        .await
        .iter()
        .map(|order| (order["number"].as_str().unwrap().to_owned(), order["placed_at"].as_str().unwrap().to_owned()))
        .collect();
    let of = |number: &str, at: &str| (number.to_owned(), at.to_owned());
    assert_eq!(
        placed,
        [of("1", "2024-02-29T20:00:00Z"), of("3", "2024-02-29T12:00:00Z"), of("2", "2024-02-29T09:00:00Z")]
    );
}

#[tokio::test]
async fn rows_of_one_order_belong_together_wherever_they_stand() {
    let app = app_with_ann().await;
    import_well(
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
async fn any_text_arrives_as_it_is() {
    let app = app_with_ann().await;
    let name = "Käse „Gruyère“ 🧀, 2\" thick\nsecond line; =SUM(A1) <b>&amp;</b>";
    import_well(&app, export(&[order("#1", ANN).with("Lineitem name", name)]));
    assert_eq!(orders_of_ann(&app).await[0]["lines"][0]["name"], name);
}

#[tokio::test]
async fn every_status_is_one_word_for_people() {
    let app = app_with_ann().await;
    let with = |number: &str, fields: &[(&str, &str)]| {
        let blank =
            order(number, ANN).with("Paid at", "").with("Fulfilled at", "").with("Fulfillment Status", "unfulfilled");
        fields.iter().fold(blank.with("Financial Status", "pending"), |row, (column, value)| row.with(column, value))
    };
    let cases = [
        (with("#1", &[]), "placed"),
        (with("#2", &[("Financial Status", "paid"), ("Paid at", "2024-03-01 10:00:00 +0000")]), "processing"),
        (
            with(
                "#3",
                &[
                    ("Financial Status", "paid"),
                    ("Paid at", "2024-03-01 10:00:00 +0000"),
                    ("Fulfillment Status", "partial"),
                ],
            ),
            "partly_sent",
        ),
        (
            with(
                "#4",
                &[
                    ("Financial Status", "paid"),
                    ("Fulfillment Status", "fulfilled"),
                    ("Fulfilled at", "2024-03-02 10:00:00 +0000"),
                ],
            ),
            "sent",
        ),
        (with("#5", &[("Cancelled at", "2024-03-02 10:00:00 +0000"), ("Financial Status", "voided")]), "cancelled"),
        (
            with(
                "#6",
                &[("Financial Status", "refunded"), ("Refunded Amount", "29.90"), ("Fulfillment Status", "fulfilled")],
            ),
            "refunded",
        ),
    ];
    import_well(&app, export(&cases.clone().map(|(row, _)| row)));
    let orders = orders_of_ann(&app).await;
    for (index, (_, status)) in cases.into_iter().enumerate() {
        let number = (index + 1).to_string();
        let order = orders.iter().find(|order| order["number"] == number.as_str()).unwrap();
        assert_eq!(order["status"], status, "{order}");
    }
}

#[tokio::test]
async fn the_same_file_again_changes_nothing() {
    let app = app_with_ann().await;
    let file = export(&[shop::orders(30, ANN), vec![line("#5029", ANN, "Pen")]].concat());
    import_well(&app, &file);
    let rows = async || {
        let ids = sqlx::query_scalar::<_, String>("SELECT id FROM orders ORDER BY id")
            .fetch_all(&app.database().await)
            .await
            .unwrap();
        (ids, orders_of_ann(&app).await)
    };
    let before = rows().await;
    let said = import_well(&app, &file);
    assert_eq!(rows().await, before);
    assert!(said.contains("30") && said.contains("unchanged"), "{said}");
}

#[tokio::test]
async fn a_later_export_updates_what_changed_and_adds_what_is_new() {
    let app = app_with_ann().await;
    let before = order("#1", ANN).with("Fulfillment Status", "unfulfilled").with("Fulfilled at", "");
    import_well(&app, export(&[before.clone(), line("#1", ANN, "Pen"), order("#2", ANN)]));
    let after = order("#1", ANN).with("Financial Status", "partially_refunded").with("Refunded Amount", "3.00");
    import_well(&app, export(&[after, order("#3", ANN)]));
    let mut orders = orders_of_ann(&app).await;
    orders.sort_by_key(|order| order["number"].as_str().unwrap().to_owned());
    assert_eq!(orders.len(), 3, "an order that a later export leaves out stays");
    assert_eq!(orders[0]["payment_status"], "partially_refunded");
    assert_eq!(orders[0]["fulfillment_status"], "fulfilled");
    assert_eq!((&orders[0]["line_count"], orders[0]["lines"].as_array().unwrap().len()), (&json!(1), 1));
}

#[tokio::test]
async fn later_export_with_other_lines_replaces_those_of_many_orders() {
    let app = TestApp::start().await;
    let numbers: Vec<String> = (0..130).map(|index| format!("#{index}")).collect();
    let with_lines = |count: usize, name: &str| -> Vec<Row> {
        let rows = |number: &String| {
            let first = order(number, ANN).with("Lineitem name", name).with("Total", &format!("{count}.00"));
            [vec![first], vec![line(number, ANN, name); count - 1]].concat()
        };
        numbers.iter().flat_map(rows).collect()
    };
    // More, fewer, and as many as before.
    for (count, name) in [(2, "Pen"), (4, "Ink"), (1, "Cap"), (3, "Nib"), (3, "Pad")] {
        import_well(&app, export(&with_lines(count, name)));
        let lines = "SELECT order_id, position, name FROM order_lines ORDER BY order_id, position";
        let lines: Vec<(String, i64, String)> = sqlx::query_as(lines).fetch_all(&app.database().await).await.unwrap();
        assert_eq!(lines.len(), 130 * count, "{name}");
        for (index, (_, position, found)) in lines.iter().enumerate() {
            assert_eq!((*position, found.as_str()), (i64::try_from(index % count).unwrap() + 1, name));
        }
    }
}

/// Rows and index entries of the orders that PostgreSQL has read, once it says so, and whether the table was vacuumed and analysed.
async fn table_statistics(app: &TestApp) -> (i64, bool) {
    // A process of the server tells what it did when it is idle for a second, and always when it ends.
    tokio::time::sleep(std::time::Duration::from_millis(1_500)).await;
    let statistics = "SELECT CAST(t.seq_tup_read + SUM(i.idx_tup_read) AS BIGINT),
                             CASE WHEN t.last_vacuum IS NOT NULL AND t.last_analyze IS NOT NULL THEN 1 ELSE 0 END
                      FROM pg_stat_user_tables t JOIN pg_stat_user_indexes i ON i.relid = t.relid
                      WHERE t.relname = 'orders' GROUP BY t.seq_tup_read, t.last_vacuum, t.last_analyze";
    let (read, is_vacuumed): (i64, i32) = sqlx::query_as(statistics).fetch_one(&app.database().await).await.unwrap();
    (read, is_vacuumed == 1)
}

#[tokio::test]
async fn import_into_a_new_postgres_database_reads_few_rows_and_ends_with_vacuum() {
    let app = TestApp::start().await;
    if !app.is_postgres() {
        return;
    }
    app.verified_customer(ANN).await;
    import_well(&app, export(&shop::orders(500, ANN)));
    assert!(!table_statistics(&app).await.1, "a small import vacuums");
    let rows: Vec<Row> = (0..8_000).map(|index| order(&format!("#{index}"), "")).collect();
    let (before, _) = table_statistics(&app).await;
    import_well(&app, export(&rows));
    let (after, is_vacuumed) = table_statistics(&app).await;
    // The look-up and the vacuum; on a table that is read from end to end it would be more than a hundred for each order.
    let read_for_each = (after - before) / 8_000;
    assert!(read_for_each < 10, "{read_for_each} rows or index entries were read for each order");
    assert!(is_vacuumed, "a large import leaves the planner without statistics");
}

#[tokio::test]
async fn an_order_whose_customer_changes_moves_to_the_other() {
    let app = app_with_ann().await;
    let mut bob = app.verified_customer("bob@example.com").await;
    import_well(&app, export(&[order("#1", ANN)]));
    import_well(&app, export(&[order("#1", "bob@example.com")]));
    assert!(bob.get("/orders/1").await.is_page(200));
    assert_eq!(orders_of_ann(&app).await.len(), 0, "both see the order");
}

#[tokio::test]
async fn an_order_without_an_address_is_loaded_and_shown_to_nobody() {
    let app = app_with_ann().await;
    import_well(&app, export(&[order("#1", ""), order("#2", ANN)]));
    assert_eq!(orders_of_ann(&app).await.len(), 1);
}

#[tokio::test]
async fn a_bad_row_stops_it_all_and_is_named_by_file_line_and_column() {
    let app = app_with_ann().await;
    let bad = [
        ("Lineitem quantity", "two"),
        ("Lineitem quantity", "-1"),
        ("Lineitem quantity", ""),
        ("Lineitem quantity", "1.5"),
        ("Lineitem quantity", "99999999999999999999"),
        ("Lineitem price", "12,50"),
        ("Lineitem price", "1e3"),
        ("Lineitem price", "NaN"),
        ("Lineitem price", "12.505"),
        ("Lineitem price", ""),
        ("Total", "free"),
        ("Total", "99999999999999999999.00"),
        ("Total", ""),
        ("Subtotal", "--1"),
        ("Created at", "yesterday"),
        ("Created at", "2024-02-30 10:00:00 +0000"),
        ("Created at", "2024-03-01 10:00:00"),
        ("Created at", ""),
        ("Paid at", "2024-03-01"),
        ("Currency", "EURO"),
        ("Currency", "XYZ"),
        ("Currency", ""),
        ("Email", "no address"),
        ("Lineitem name", "a\0b"),
    ];
    for (column, value) in bad {
        let rows = [order("#1", ANN), line("#1", ANN, "Pen"), order("#2", ANN).with(column, value), order("#3", ANN)];
        refused(&app, export(&rows), &["4", column]).await;
    }
    let rows = [order("#1", ANN), line("#1", ANN, "Pen").with("Lineitem quantity", "x")];
    refused(&app, export(&rows), &["3", "Lineitem quantity"]).await;
}

#[tokio::test]
async fn the_line_is_counted_as_an_editor_counts_it() {
    let app = app_with_ann().await;
    let rows = [order("#1", ANN).with("Shipping Address1", "Long Lane\n5\n"), order("#2", ANN).with("Total", "x")];
    refused(&app, export(&rows), &["5", "Total"]).await;
}

#[tokio::test]
async fn what_is_no_export_is_refused() {
    let app = app_with_ann().await;
    let good = export(&[order("#1", ANN)]);
    refused(&app, "", &[]).await;
    refused(&app, "\u{feff}", &[]).await;
    refused(&app, "\0\0\0\0", &[]).await;
    refused(&app, b"\x89PNG\r\n\x1a\n\xff\xfe\xfd", &[]).await;
    refused(&app, "just some text\nand more of it\n", &["Name"]).await;
    refused(&app, [good.as_bytes(), b"#2,ann@example.com,\xff\xfe\n"].concat(), &["3"]).await;
    refused(&app, format!("{good}#2,ann@example.com\n"), &["3"]).await;
    refused(&app, good.replace("Lineitem price", "Price"), &["Lineitem price"]).await;
    refused(&app, good.replace("Lineitem compare at price", "Total"), &["Total"]).await;
    refused(&app, export(&[Row::default().with("Email", ANN).with("Lineitem name", "Pen")]), &["2", "Name"]).await;
    refused(&app, export(&[line("#1", ANN, "an order without its first row")]), &["2"]).await;
}

#[tokio::test]
async fn a_failed_import_leaves_what_was_there() {
    let app = app_with_ann().await;
    import_well(&app, export(&[order("#1", ANN)]));
    let before = orders_of_ann(&app).await;
    let changed = order("#1", ANN).with("Total", "99.00");
    assert_eq!(import(&app, export(&[changed, order("#2", ANN).with("Total", "x")])).status, 1);
    assert_eq!(orders_of_ann(&app).await, before);
}

#[tokio::test]
async fn standard_input_is_read_when_the_file_is_a_dash() {
    let app = app_with_ann().await;
    let ran = app.run_with_input(&["import", "-"], export(&[order("#1", ANN)]).as_bytes());
    assert_eq!(ran.status, 0, "{ran:?}");
    assert_eq!(orders_of_ann(&app).await.len(), 1);
    let ran = app.run_with_input(&["import", "-"], export(&[order("#1", ANN).with("Total", "x")]).as_bytes());
    assert!(ran.status == 1 && ran.stderr.contains("Total"), "{ran:?}");
}

#[tokio::test]
async fn a_file_that_is_not_there_is_named() {
    let app = app_with_ann().await;
    let ran = app.run(&["import", "nowhere.csv"]);
    assert!(
        ran.status == 1 && ran.stderr.contains("nowhere.csv") && ran.stderr.trim_end().lines().count() == 1,
        "{ran:?}"
    );
    assert_eq!(app.run(&["import", "."]).status, 1);
    assert_eq!(app.run(&["import"]).status, 2);
}

#[tokio::test]
async fn no_progress_bar_is_drawn_where_there_is_no_terminal() {
    let app = app_with_ann().await;
    let said = import_well(&app, export(&shop::orders(50, ANN)));
    assert!(!said.contains('\r') && !said.contains('\u{1b}'), "{said:?}");
}
