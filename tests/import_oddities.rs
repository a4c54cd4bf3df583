//! Files as programs and people leave them, beyond single values.

use serde_json::Value;

use crate::app::{ANN, TestApp};
use crate::sandbox::{CommandOutput, Sandbox};
use crate::shop::{COLUMNS, Row, export, export_of, line, order};

async fn migrated() -> Sandbox {
    let sandbox = Sandbox::new().await;
    sandbox.run_ok(&["migrate"]);
    sandbox
}

fn import(sandbox: &Sandbox, content: impl AsRef<[u8]>) -> CommandOutput {
    sandbox.write("orders.csv", content);
    sandbox.run(&["import", "orders.csv"])
}

#[tokio::test]
async fn file_that_cannot_be_read_is_named_with_what_to_do() {
    let sandbox = migrated().await;
    let text = export(&[order("#1", ANN)]);
    let rows = text.split_once('\n').unwrap().1;
    for (name, content, parts) in [
        ("no header row", rows.to_owned(), ["first row has values of an order", "with the row of column names"]),
        ("another separator", text.replace(',', "^"), ["separated by something else", "a first line like sep=^"]),
        (
            "a shortcut",
            "[InternetShortcut]\nURL=https://shop.example\n".to_owned(),
            ["the columns", "export the orders"],
        ),
        ("a Python list", "[('#1', 'ann')]\n".to_owned(), ["the columns", "export the orders"]),
        ("a German header", text.replacen("Created at", "Erstellt am", 1), ["\"Created at\" is missing", "--column"]),
        ("a unit in a name", text.replacen("Total", "Total (EUR)", 1), ["\"Total\" is missing", "--column"]),
        ("a name twice", text.replacen("Accepts Marketing", "name", 1), ["\"Name\" is there twice", "remove one"]),
    ] {
        let ran = import(&sandbox, content);
        assert!(ran.is_one_line_error(1), "{name}: {ran:?}");
        assert!(parts.iter().all(|part| ran.stderr.contains(part)), "{name}: {parts:?} is not in {ran:?}");
    }
    let declared = format!("sep=^\n{}", text.replace("\"Notebook, ruled\"", "Notebook").replace(',', "^"));
    assert_eq!(import(&sandbox, declared).status, 0);
}

#[tokio::test]
async fn files_with_different_columns_separators_and_encodings_are_one_import() {
    let sandbox = migrated().await;
    sandbox.write("a.csv", export(&[order("#1", ANN), order("#2", ANN)]));
    let columns: Vec<&str> = COLUMNS.into_iter().filter(|name| *name != "Shipping City").collect();
    let later = export_of(&columns, &[order("#2", ANN).with("Total", "31.00"), order("#3", ANN)]);
    let later = later.replace("\"Notebook, ruled\"", "Käse").replace(',', ";");
    sandbox.write("b.csv", encoding_rs::WINDOWS_1252.encode(&later).0);
    let ran = sandbox.run(&["import", "a.csv", "b.csv", "a.csv"]);
    assert!(ran.stdout.starts_with("3 orders with 3 lines: 3 new"), "{ran:?}");
    assert!(ran.stderr.contains("b.csv was read with its characters as windows-1252 and its cells"), "{ran:?}");
    let database = sandbox.database().await;
    let found: Vec<(String, i64, String)> =
        sqlx::query_as("SELECT name, total, ship_city FROM orders ORDER BY name").fetch_all(&database).await.unwrap();
    let row = |name: &str, total: i64, city: &str| (name.to_owned(), total, city.to_owned());
    // Of an order that several have, the later values count.
    assert_eq!(found, [row("#1", 2990, "Reims"), row("#2", 2990, "Reims"), row("#3", 2990, "")]);
}

#[tokio::test]
async fn very_long_cells_are_kept_and_long_names_are_refused() {
    let app = TestApp::start().await;
    let mut ann = app.verified_customer(ANN).await;
    let long = "long ".repeat(40_000);
    let columns = [&COLUMNS[..], &["Notes"]].concat();
    let row = order("#1", ANN).with("Lineitem name", &long).with("Notes", &long).with("Shipping Address2", &long);
    app.write("orders.csv", export_of(&columns, &[row]));
    app.run_ok(&["import", "orders.csv"]);
    assert_eq!(ann.get("/orders/1").await.status, 200);
    assert_eq!(ann.get("/orders").await.status, 200);
    assert!(ann.get("/orders.csv").await.text().contains("… (cut)"));
    let token = app.api_token(ANN).await;
    let name = app.api_get("/api/userOrders/1", &token).await.json()["lines"][0]["name"].clone();
    assert_eq!(name.as_str().map(str::len), Some(long.trim().len()));
    app.write("orders.csv", export(&[order(&"9".repeat(256), ANN)]));
    let ran = app.run(&["import", "orders.csv"]);
    // The value is shortened in the message.
    assert!(ran.status == 1 && ran.stderr.contains("999…\"") && ran.stderr.len() < 1_000, "{ran:?}");
}

#[tokio::test]
async fn codes_that_a_spreadsheet_program_rounded_never_erase_known_ones() {
    let app = TestApp::start().await;
    app.verified_customer(ANN).await;
    let write = |rows: &[Row]| app.write("orders.csv", export(rows));
    let known = order("#1", ANN).with("Shipping Phone", "'+491512345678").with("Lineitem sku", "4012345678901");
    write(&[known.clone(), line("#1", ANN, "Pen").with("Lineitem sku", "P-1")]);
    app.run_ok(&["import", "orders.csv"]);
    let damaged = known.with("Shipping Phone", "4.91512E+11").with("Lineitem sku", "4.01235E+12");
    write(&[damaged, line("#1", ANN, "Pen").with("Lineitem sku", "P-1")]);
    let ran = app.run(&["import", "orders.csv"]);
    assert!(ran.stdout.contains("0 new, 0 changed, 1 unchanged"), "{ran:?}");
    for part in [
        "column \"Shipping Phone\": \"4.91512E+11\" was rounded",
        "column \"Lineitem sku\": \"4.01235E+12\" was rounded",
    ] {
        assert!(ran.stderr.contains(part), "{part} is not in {ran:?}");
    }
    let token = app.api_token(ANN).await;
    let order: Value = app.api_get("/api/userOrders/1", &token).await.json();
    assert_eq!(order["shipping_address"]["phone"], "+491512345678");
    assert_eq!((&order["lines"][0]["sku"], &order["lines"][1]["sku"]), (&"4012345678901".into(), &"P-1".into()));
}

#[tokio::test]
async fn first_link_of_several_parcels_is_shown() {
    let app = TestApp::start().await;
    app.verified_customer(ANN).await;
    let columns = [&COLUMNS[..], &["Tracking Url", "Tracking Number"]].concat();
    let row = order("#1", ANN).with("Tracking Number", "A1, B2");
    let row = row.with("Tracking Url", "https://post.example/A1, https://post.example/B2");
    app.write("orders.csv", export_of(&columns, &[row]));
    app.run_ok(&["import", "orders.csv"]);
    let token = app.api_token(ANN).await;
    let order = app.api_get("/api/userOrders/1", &token).await.json();
    assert_eq!(order["tracking"]["url"], "https://post.example/A1");
    assert_eq!(order["tracking"]["number"], "A1, B2");
}

/// The header of WooCommerce's order export, as far as it matters.
const WOOCOMMERCE: &str = "Order Number,Order Status,Order Date,Email (Billing),Order Subtotal Amount,Order Shipping Amount,\
     Order Total Amount,Order Total Tax Amount,SKU,Item Name,Quantity (- Refund),Item Cost";

#[tokio::test]
async fn states_of_woocommerce_tell_payment_and_shipment() {
    let app = TestApp::start().await;
    app.verified_customer(ANN).await;
    let states = [
        ("wc-processing", "processing"),
        ("Completed", "sent"),
        ("Shipped", "sent"),
        ("Delivered", "delivered"),
        ("On hold", "placed"),
        ("Pending payment", "placed"),
        ("Partially paid", "placed"),
        ("Cancelled", "cancelled"),
        ("Refunded", "refunded"),
        ("wc-failed", "payment_voided"),
    ];
    let rows = states
        .iter()
        .enumerate()
        .map(|(index, (state, _))| format!("{index},{state},2024-03-01 10:00,{ANN},25,4.9,29.9,0,W1,Mug,2,12.5\n"));
    app.write("orders.csv", format!("{WOOCOMMERCE}\n{}", rows.collect::<String>()));
    app.run_ok(&["import", "--column", "Currency=EUR", "orders.csv"]);
    let token = app.api_token(ANN).await;
    for (index, (state, expected)) in states.into_iter().enumerate() {
        let order = app.api_get(&format!("/api/userOrders/{index}"), &token).await.json();
        assert_eq!(order["status"], expected, "{state}");
    }
}
