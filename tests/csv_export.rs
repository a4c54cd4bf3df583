//! The CSV export.

use std::time::Duration;

use reqwest::Method;

use crate::app::{ANN, BOB, TestApp};
use crate::http::Response;
use crate::orders::{list, numbers};
use crate::shop::{self, Row, line, order};

const BYTE_ORDER_MARK: &[u8] = b"\xef\xbb\xbf";
const COLUMNS: [&str; 29] = [
    "Order",
    "Placed (UTC)",
    "Status",
    "Payment",
    "Fulfilment",
    "Items",
    "Products",
    "Currency",
    "Subtotal",
    "Shipping",
    "Taxes",
    "Discount",
    "Refunded",
    "Total",
    "Shop",
    "Paid",
    "Sent",
    "Cancelled",
    "Shipping method",
    "Payment method",
    "Discount code",
    "Taxes by name",
    "Duties",
    "Tip",
    "Still to pay",
    "Shipping address",
    "Billing address",
    "Tracking",
    "Tracking link",
];

/// The cells of the rows below the header.
pub fn rows(response: &Response) -> Vec<Vec<String>> {
    let text = response.body.strip_prefix(BYTE_ORDER_MARK).expect("no byte-order mark");
    let mut reader = csv::Reader::from_reader(text);
    reader.records().map(|row| row.unwrap().iter().map(str::to_owned).collect()).collect()
}

/// The order numbers in an export, without `#`.
fn exported_numbers(response: &Response) -> Vec<String> {
    rows(response).iter().map(|row| row[0].strip_prefix('#').unwrap().to_owned()).collect()
}

#[tokio::test]
async fn export_is_rfc_4180_with_byte_order_mark() {
    let first = order("#1", ANN).with("Lineitem name", "Notebook, \"ruled\"\nA5").with("Discount Amount", "1.50");
    let yen = order("#2", ANN).with("Currency", "JPY").with("Created at", "2024-03-02 23:59:00 +0000");
    let yen = ["Subtotal", "Total", "Lineitem price"].into_iter().fold(yen, |row, column| row.with(column, "1200"));
    let (_app, mut ann) =
        TestApp::start_with_orders(&[first, line("#1", ANN, "Käse 🧀"), yen.with("Shipping", "0")]).await;
    let response = ann.get("/orders.csv").await;
    assert_eq!(response.status, 200);
    assert_eq!(response.header("content-type"), Some("text/csv; charset=utf-8"));
    assert_eq!(response.header("content-disposition"), Some("attachment; filename=\"orders.csv\""));
    assert_eq!(response.header("cache-control"), Some("no-store"));
    let text = String::from_utf8(response.body.clone()).unwrap();
    assert!(text.starts_with(&format!("\u{feff}{}\r\n", COLUMNS.join(","))), "{text}");
    let line_ends = text.matches("\r\n").count();
    assert_eq!(
        (line_ends, text.matches('\n').count()),
        (3, 4),
        "a bare line feed outside the product's name: {text:?}"
    );
    assert!(text.contains("\"2 × Notebook, \"\"ruled\"\"\nA5; 1 × Käse 🧀\""), "{text}");
    let rows = rows(&response);
    let yen = ["#2", "2024-03-02 23:59", "Sent", "paid", "fulfilled", "2", "2 × Notebook, ruled", "JPY"];
    assert_eq!(rows[0][..8], yen);
    assert_eq!(rows[0][8..14], ["1200", "0", "0", "0", "0", "1200"]);
    assert_eq!(rows[1][7..14], ["EUR", "25.00", "4.90", "0.00", "1.50", "0.00", "29.90"]);
}

#[tokio::test]
async fn export_neutralizes_formulas_in_every_column() {
    let names = ["=1+1", "+1", "-1", "@SUM(A1)", "\tx", "\rx", "＝1+1", "=HYPERLINK(\"http://evil.example\",\"x\")"];
    let hostile = |(index, name): (usize, &&str)| {
        let row = order(&format!("#-{index}"), ANN).with("Lineitem name", name).with("Lineitem sku", name);
        ["Shipping Name", "Shipping City", "Shipping Phone"].into_iter().fold(row, |row, column| row.with(column, name))
    };
    let orders: Vec<Row> = names.iter().enumerate().map(hostile).collect();
    let (_app, mut ann) = TestApp::start_with_orders(&orders).await;
    let response = ann.get("/orders.csv").await;
    let exported = rows(&response);
    assert_eq!(exported.len(), names.len());
    let is_number = |column: &str| {
        ["Items", "Subtotal", "Shipping", "Taxes", "Discount", "Refunded", "Total", "Duties", "Tip", "Still to pay"]
            .contains(&column)
    };
    for row in &exported {
        for (cell, column) in row.iter().zip(COLUMNS) {
            if is_number(column) {
                let digits = cell.strip_prefix('-').unwrap_or(cell);
                assert!(digits.bytes().all(|byte| byte.is_ascii_digit() || byte == b'.'), "{column}: {cell:?}");
                continue;
            }
            assert!(!cell.starts_with(['=', '+', '-', '@', '\t', '\r', '\n', '＝', '＋', '－', '＠']), "{cell:?}");
        }
    }
    for name in names {
        assert!(exported.iter().any(|row| row[6] == format!("2 × {name}")), "{name:?} is changed");
    }
}

#[tokio::test]
async fn negative_numbers_are_numbers_in_the_export() {
    let returned = [("Lineitem quantity", "-2"), ("Subtotal", "-25.00"), ("Total", "-20.10")];
    let row = returned.into_iter().fold(order("#1", ANN), |row, (column, value)| row.with(column, value));
    let (_app, mut ann) = TestApp::start_with_orders(&[row.with("Lineitem name", "-1")]).await;
    let exported = rows(&ann.get("/orders.csv").await);
    assert_eq!(exported[0][5..9], ["0", "'-2 × -1", "EUR", "-25.00"]);
    assert_eq!(exported[0][13], "-20.10");
}

#[tokio::test]
async fn export_has_the_filter_and_sort_of_the_list() {
    let mut orders = shop::orders(30, ANN);
    orders.push(order("#1", ANN).with("Lineitem name", "Else").with("Lineitem sku", "X-1"));
    orders.push(order("#2", BOB));
    let (_app, mut ann) = TestApp::start_with_orders(&orders).await;
    assert_eq!(rows(&ann.get("/orders.csv").await).len(), 31);
    for query in
        ["q=else", "q=%23500+notebook&sort=lowest", "from=2024-01-02&to=2024-01-02&sort=oldest", "status=placed"]
    {
        let page = list(&mut ann, &format!("/orders?{query}")).await;
        assert_eq!(exported_numbers(&ann.get(&format!("/orders.csv?{query}")).await), numbers(&page), "{query}");
    }
    let query = "status=sent&sort=highest";
    let page = list(&mut ann, &format!("/orders?{query}")).await;
    assert_eq!(exported_numbers(&ann.get(&format!("/orders.csv?{query}")).await)[..20], numbers(&page));
}

#[tokio::test]
async fn export_without_orders_is_a_header_row() {
    let app = TestApp::start().await;
    let mut ann = app.customer(ANN).await;
    assert_eq!(rows(&ann.get("/orders.csv").await), Vec::<Vec<String>>::new());
}

/// Inserts orders of one line for the only customer: two have the same time, seven the same total.
async fn insert_orders(app: &TestApp, from: i64, count: i64, name_length: usize) {
    let database = app.database().await;
    let orders = "INSERT INTO orders (id, source, shop_number, name, number, user_id, email, placed_at, payment_status, fulfillment_status, currency, \
         subtotal, shipping, taxes, discount, refunded, total, line_count, ship_name, ship_company, ship_address1, ship_address2, \
         ship_zip, ship_city, ship_province, ship_country, ship_phone, content_hash, status, search_prefix) \
         WITH RECURSIVE n(i) AS (SELECT CAST($1 AS BIGINT) UNION ALL SELECT i + 1 FROM n WHERE i < $2) \
         SELECT 'order-' || CAST(i AS TEXT), 'shop', CAST(i AS TEXT), '#' || CAST(i AS TEXT), CAST(i AS TEXT), users.id, users.email, 1000000000 + i / 2, 'paid', \
         'fulfilled', 'EUR', 1, 0, 0, 0, 0, i / 7, 1, '', '', '', '', '', '', '', '', '', $3, 'sent', CAST(i AS TEXT) FROM n, users";
    let query = sqlx::query(orders).bind(from).bind(from + count - 1).bind(Vec::<u8>::new());
    query.execute(&database).await.unwrap();
    let lines = "INSERT INTO order_lines (order_id, position, sku, name, quantity, unit_price, discount) \
         SELECT id, 1, '', CAST($1 AS TEXT), 1, 1, 0 FROM orders WHERE CAST(number AS BIGINT) >= $2";
    sqlx::query(lines).bind("n".repeat(name_length)).bind(from).execute(&database).await.unwrap();
}

#[tokio::test]
async fn export_of_3000_orders_equals_the_list() {
    let app = TestApp::start().await;
    let mut ann = app.verified_customer(ANN).await;
    insert_orders(&app, 100_000, 3_000, 10).await;
    let token = app.api_token(ANN).await;
    for sort in ["newest", "lowest"] {
        let (mut listed, mut path) = (Vec::new(), format!("/api/userOrders?limit=100&sort={sort}"));
        loop {
            let page = app.api_get(&path, &token).await.json();
            let orders = page["orders"].as_array().unwrap().iter();
            listed.extend(orders.map(|order| order["number"].as_str().unwrap().to_owned()));
            let Some(next) = page["next"].as_str() else { break };
            path = format!("/api/userOrders?limit=100&sort={sort}&after={next}");
        }
        let response = ann.get(&format!("/orders.csv?sort={sort}")).await;
        let mut expected: Vec<String> = (100_000..103_000).map(|number| number.to_string()).collect();
        if sort == "newest" {
            expected.reverse();
        }
        assert_eq!(listed, expected, "{sort}");
        assert_eq!(exported_numbers(&response), listed, "{sort}");
        assert!(rows(&response).iter().all(|row| row[6] == "1 × nnnnnnnnnn"), "an order has no line");
    }
}

/// The peak memory of the process, in bytes.
#[cfg(target_os = "linux")]
fn peak_memory(app: &TestApp) -> usize {
    let status = std::fs::read_to_string(format!("/proc/{}/status", app.pid())).unwrap();
    let line = status.lines().find(|line| line.starts_with("VmHWM:")).unwrap();
    line.split_whitespace().nth(1).unwrap().parse::<usize>().unwrap() * 1024
}

#[tokio::test]
#[cfg(target_os = "linux")]
async fn export_is_streamed_with_bounded_memory() {
    let app = TestApp::start().await;
    let mut ann = app.verified_customer(ANN).await;
    insert_orders(&app, 100_000, 10_000, 16_000).await;
    let before = peak_memory(&app);
    // A debug build takes half a minute, and longer beside other tests.
    let request = ann.request(Method::GET, "/orders.csv").timeout(Duration::from_secs(180));
    let length = ann.send(request).await.body.len();
    let growth = peak_memory(&app).saturating_sub(before);
    assert!(length > 160_000_000, "{length} bytes");
    // The caches of SQLite grow to 16 MB for each of eight connections; a buffered file would add to that.
    assert!(growth < length, "a file of {length} bytes needed {growth} bytes of memory");
}
