//! What the shop says about orders besides their values: the note, the shop's name, the time of the last import, further columns of the
//! spreadsheet.

use serde_json::{Value, json};

use crate::app::{ANN, BOB, PASSWORD, TestApp};
use crate::csv_export;
use crate::http::Visitor;
use crate::shop::{COLUMNS, Row, export, export_of, line, order};

const NOTE: &str = "Ring <b>twice</b>\r\nand wait & see";

fn export_with_notes(rows: &[Row]) -> String {
    export_of(&[&COLUMNS[..], &["Notes"]].concat(), rows)
}

async fn api_order(app: &TestApp, number: &str) -> Value {
    let token = app.api_token(ANN).await;
    app.api_get(&format!("/api/userOrders/{number}"), &token).await.json()
}

/// The cell of the only order in a column; `None` without the column.
async fn csv_cell(visitor: &mut Visitor, column: &str) -> Option<String> {
    let response = visitor.get("/orders.csv").await;
    let text = response.text();
    let header = text.trim_start_matches('\u{feff}').lines().next().unwrap().to_owned();
    let index = header.split(',').position(|name| name == column)?;
    Some(csv_export::rows(&response)[0][index].clone())
}

#[tokio::test]
async fn note_is_shown_only_where_the_shop_wants_it() {
    for shows_notes in ["false", "true"] {
        let app = TestApp::start_with(&[("SHOW_CUSTOMER_NOTE", shows_notes)]).await;
        let mut ann = app.verified_customer(ANN).await;
        app.write("orders.csv", export_with_notes(&[order("#1", ANN).with("Notes", NOTE)]));
        app.run_ok(&["import", "orders.csv"]);
        let page = ann.get("/orders/1").await.text();
        let (api, cell) = (api_order(&app, "1").await, csv_cell(&mut ann, "Note").await);
        if shows_notes == "true" {
            let shown = "<p class=\"note\">Ring &#60;b&#62;twice&#60;/b&#62;\nand wait &#38; see</p>";
            assert!(page.contains(shown), "{page}");
            assert_eq!((&api["note"], cell.as_deref()), (&json!(NOTE), Some(NOTE)));
        } else {
            assert!(!page.contains("twice") && !page.contains("id=\"note\""), "{page}");
            assert_eq!((api.get("note"), cell), (None, None));
        }
        // The customer's own copy of the data is complete.
        let export = ann.post("/account/export", &[("password", PASSWORD)]).await.json();
        assert_eq!(export["orders"][0]["note"], NOTE);
    }
}

#[tokio::test]
async fn long_note_is_folded() {
    let app = TestApp::start_with(&[("SHOW_CUSTOMER_NOTE", "true")]).await;
    let mut ann = app.verified_customer(ANN).await;
    let long = format!("First line\n{}", "word ".repeat(30_000));
    app.write("orders.csv", export_with_notes(&[order("#1", ANN).with("Notes", &long)]));
    app.run_ok(&["import", "orders.csv"]);
    let page = ann.get("/orders/1").await.text();
    assert!(page.contains("<details class=\"note\"><summary>First line</summary>"), "{page}");
    assert!(page.len() < 15_000, "{} bytes", page.len());
}

#[tokio::test]
async fn spreadsheet_has_what_the_page_of_an_order_shows() {
    let app = TestApp::start().await;
    let mut ann = app.verified_customer(ANN).await;
    let more = [
        ("Shipping Method", "Express"),
        ("Payment Method", "Card"),
        ("Discount Code", "=SPRING"),
        ("Tax 1 Name", "VAT 19%"),
        ("Tax 1 Value", "3.99"),
        ("Duties", "6.00"),
        ("Tip", "1.50"),
        ("Outstanding Balance", "10.00"),
        ("Billing Name", "Ann at work"),
        ("Tracking Company", "Post"),
        ("Tracking Number", "'0042"),
        ("Tracking Url", "https://post.example/0042"),
    ];
    let row = more.iter().fold(order("#1", ANN), |row, (column, value)| row.with(column, value));
    let new = more.map(|(column, _)| column).into_iter().filter(|column| !COLUMNS.contains(column));
    let columns: Vec<&str> = COLUMNS.into_iter().chain(new).collect();
    app.write("orders.csv", export_of(&columns, &[row.with("Cancelled at", "2024-03-04 10:00:00 +0000")]));
    app.run_ok(&["import", "orders.csv"]);
    for (column, value) in [
        ("Shop", ""),
        ("Paid", "2024-03-01 10:05"),
        ("Sent", "2024-03-03 09:00"),
        ("Cancelled", "2024-03-04 10:00"),
        ("Shipping method", "Express"),
        ("Payment method", "Card"),
        ("Discount code", "'=SPRING"),
        ("Taxes by name", "VAT 19% 3.99"),
        ("Duties", "6.00"),
        ("Tip", "1.50"),
        ("Still to pay", "10.00"),
        ("Shipping address", "Ann Example, Long Lane 5, 51100 Reims, FR"),
        ("Billing address", "Ann at work"),
        ("Tracking", "Post 0042"),
        ("Tracking link", "https://post.example/0042"),
    ] {
        assert_eq!(csv_cell(&mut ann, column).await.as_deref(), Some(value), "{column}");
    }
}

#[tokio::test]
async fn billing_address_equal_to_the_shipping_address_is_not_printed_twice() {
    let app = TestApp::start().await;
    let mut ann = app.verified_customer(ANN).await;
    let address = [
        ("Billing Name", "Ann Example"),
        ("Billing Address1", "Long Lane 5"),
        ("Billing Zip", "51100"),
        ("Billing City", "Reims"),
        ("Billing Country", "FR"),
    ];
    let row = |number: &str| address.iter().fold(order(number, ANN), |row, (column, value)| row.with(column, value));
    let columns: Vec<&str> = COLUMNS.into_iter().chain(address.map(|(column, _)| column)).collect();
    let rows =
        [row("#1"), row("#2").with("Billing Name", "Ann at work").with("Created at", "2024-01-01 10:00:00 +0000")];
    app.write("orders.csv", export_of(&columns, &rows));
    app.run_ok(&["import", "orders.csv"]);
    for (path, is_same) in [("/orders/1", true), ("/orders/2", false)] {
        let page = ann.get(path).await.text();
        assert_eq!(page.contains("<p>Same as shipping address</p>"), is_same, "{page}");
        assert_eq!(page.matches("<span>Long Lane 5</span>").count(), if is_same { 1 } else { 2 }, "{page}");
    }
    assert_eq!(
        csv_cell(&mut ann, "Billing address").await.as_deref(),
        Some("Ann Example, Long Lane 5, 51100 Reims, FR")
    );
}

#[tokio::test]
async fn shop_is_named_to_customers_with_orders_of_several() {
    let app = TestApp::start().await;
    let (mut ann, mut bob) = (app.verified_customer(ANN).await, app.verified_customer(BOB).await);
    app.write("tea.csv", export(&[order("#1", ANN), line("#1", ANN, "Pen"), order("#7", BOB)]));
    app.run_ok(&["import", "--shop", "Tea & Co", "tea.csv"]);
    let shown = "Tea &#38; Co";
    for path in ["/orders", "/orders/1"] {
        assert!(!ann.get(path).await.text().contains(shown), "{path} names the only shop");
    }
    assert_eq!(api_order(&app, "1").await.get("shop"), None);
    app.write("pots.csv", export(&[order("#2", ANN).with("Created at", "2024-03-02 10:00:00 +0000")]));
    app.run_ok(&["import", "--shop", "Pots", "pots.csv"]);
    // The list was in memory.
    let list = ann.get("/orders").await.text();
    for part in [shown, "<span class=\"shop\">Pots</span>"] {
        assert!(list.contains(part), "{part} is not in {list}");
    }
    assert!(ann.get("/orders/1").await.text().contains("<dt>Shop</dt> <dd>Tea &#38; Co</dd>"));
    assert_eq!(api_order(&app, "1").await["shop"], "Tea & Co");
    assert_eq!(csv_cell(&mut ann, "Shop").await.as_deref(), Some("Pots"));
    for path in ["/orders", "/orders/7"] {
        assert!(!bob.get(path).await.text().contains(shown), "{path} names the only shop");
    }
}

#[tokio::test]
async fn shop_without_a_name_of_its_own_has_that_of_the_portal() {
    let app = TestApp::start_with(&[("SHOP_NAME", "Mugs & More")]).await;
    let mut ann = app.verified_customer(ANN).await;
    app.write("mugs.csv", export(&[order("#1", ANN)]));
    app.run_ok(&["import", "mugs.csv"]);
    let shown = "<span class=\"shop\">Mugs &#38; More</span>";
    assert!(!ann.get("/orders").await.text().contains(shown));
    assert_eq!(api_order(&app, "1").await.get("shop"), None);
    app.write("pots.csv", export(&[order("#2", ANN).with("Created at", "2024-02-02 10:00:00 +0000")]));
    app.run_ok(&["import", "--shop", "Pots", "pots.csv"]);
    assert!(ann.get("/orders").await.text().contains(shown));
    assert!(ann.get("/orders/1").await.text().contains("<dt>Shop</dt> <dd>Mugs &#38; More</dd>"));
    assert_eq!(csv_cell(&mut ann, "Shop").await.as_deref(), Some("Mugs & More"));
    assert_eq!(
        (&api_order(&app, "1").await["shop"], &api_order(&app, "2").await["shop"]),
        (&json!("Mugs & More"), &json!("Pots"))
    );
    let data = ann.post("/account/export", &[("password", PASSWORD)]).await.json();
    assert_eq!((&data["orders"][0]["shop"], &data["orders"][1]["shop"]), (&json!("Mugs & More"), &json!("Pots")));
}

#[tokio::test]
async fn list_says_when_the_last_import_ended() {
    let app = TestApp::start_with(&[("SHOP_TIME_ZONE", "Asia/Tokyo"), ("DEMO_ORDERS", "true")]).await;
    let mut ann = app.verified_customer(ANN).await;
    assert!(!ann.get("/orders").await.text().contains("Updated <time"), "there was no import");
    let rows = [order("#1", ANN)];
    app.import(&rows);
    let database = app.database().await;
    let ended: i64 = sqlx::query_scalar("SELECT finished_at FROM imports").fetch_one(&database).await.unwrap();
    let set = async |seconds: i64| {
        let set = sqlx::query("UPDATE counters SET value = $1 WHERE name = 'last import'").bind(seconds);
        assert_eq!(set.execute(&database).await.unwrap().rows_affected(), 1);
    };
    let machine = |seconds: i64| {
        let at = time::OffsetDateTime::from_unix_timestamp(seconds).unwrap();
        at.format(&time::format_description::well_known::Rfc3339).unwrap()
    };
    let list = ann.get("/orders").await.text();
    assert!(list.contains(&format!("Updated <time datetime=\"{}\">", machine(ended))), "{list}");
    // Also a list that is kept in memory, and whose orders did not change.
    set(1_795_615_380).await;
    let list = ann.get("/orders").await.text();
    assert!(list.contains("Updated <time datetime=\"2026-11-25T14:03:00Z\">25 November 2026, 23:03</time>"), "{list}");
    app.run_ok(&["import", "--dry-run", "orders.csv"]);
    app.write("bad.csv", export(&[order("#2", ANN).with("Total", "x")]));
    assert_eq!(app.run(&["import", "bad.csv"]).status, 1);
    assert!(ann.get("/orders").await.text().contains("2026-11-25T14:03:00Z"), "nothing was imported");
    // The same file again changes no order, but it is the shop's latest word.
    app.import(&rows);
    assert!(!ann.get("/orders").await.text().contains("2026-11-25T14:03:00Z"));
}
