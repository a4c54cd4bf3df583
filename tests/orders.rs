//! The list, the detail page and the samples, as customers see them.

use std::path::{Path, PathBuf};

use serde_json::Value;

use crate::actions::{press, reorder};
use crate::app::TestApp;
use crate::http::Visitor;
use crate::shop::{self, export, order};

/// The order numbers on a list page.
pub fn numbers(page: &str) -> Vec<String> {
    let links = page.split("href=\"/orders/").skip(1);
    links.map(|rest| rest.split('"').next().unwrap().to_owned()).collect()
}

/// The URL of the page's link with that `rel`.
pub fn link(page: &str, relation: &str) -> Option<String> {
    let (_, rest) = page.split_once(&format!("rel=\"{relation}\" href=\""))?;
    Some(rest.split('"').next()?.replace("&#38;", "&").replace("&amp;", "&"))
}

pub async fn list(visitor: &mut Visitor, path: &str) -> String {
    let answer = visitor.get(path).await;
    assert!(answer.is_page(200), "{path}: {}", answer.status);
    answer.text()
}

pub fn import(app: &TestApp, rows: &[shop::Row]) {
    app.write("orders.csv", export(rows));
    app.done(&["import", "orders.csv"]);
}

#[tokio::test]
async fn list_has_20_orders_per_page_newest_first() {
    let app = TestApp::start().await;
    let mut visitor = app.verified_customer("ann@example.com").await;
    import(&app, &shop::orders(45, "ann@example.com"));
    let newest_first: Vec<String> = (5000..5045).rev().map(|number| number.to_string()).collect();

    let first = list(&mut visitor, "/orders").await;
    assert_eq!(numbers(&first), newest_first[..20]);
    assert_eq!(link(&first, "prev"), None);
    let second = list(&mut visitor, &link(&first, "next").expect("no link to older orders")).await;
    assert_eq!(numbers(&second), newest_first[20..40]);
    let third = list(&mut visitor, &link(&second, "next").unwrap()).await;
    assert_eq!(numbers(&third), newest_first[40..]);
    assert_eq!(link(&third, "next"), None);

    let back = list(&mut visitor, &link(&third, "prev").expect("no link to newer orders")).await;
    assert_eq!(numbers(&back), newest_first[20..40]);
    let front = list(&mut visitor, &link(&back, "prev").unwrap()).await;
    assert_eq!(numbers(&front), newest_first[..20]);
    assert_eq!(link(&front, "prev"), None, "the first page offers newer orders");
}

#[tokio::test]
async fn list_of_20_orders_is_one_page() {
    let app = TestApp::start().await;
    let mut visitor = app.verified_customer("ann@example.com").await;
    import(&app, &shop::orders(20, "ann@example.com"));
    let only = list(&mut visitor, "/orders").await;
    assert_eq!(numbers(&only).len(), 20);
    assert_eq!((link(&only, "next"), link(&only, "prev")), (None, None));
}

#[tokio::test]
async fn detail_shows_lines_totals_address_and_timeline() {
    let app = TestApp::start().await;
    let mut visitor = app.verified_customer("ann@example.com").await;
    let first = order("#8001", "ann@example.com").with("Discount Amount", "1.50").with("Total", "1234.40");
    let second = shop::line("#8001", "ann@example.com", "Pen <fine> & \"blue\"");
    import(&app, &[first, second]);
    let page = list(&mut visitor, "/orders/8001").await;
    let expected = [
        "#8001",
        "Notebook, ruled",
        "NB-1",
        "Pen &#60;fine&#62; &#38; &#34;blue&#34;",
        "12.50",
        "25.00",
        "4.90",
        "1.50",
        "1,234.40",
        "Ann Example",
        "Long Lane 5",
        "51100",
        "Reims",
        "2024-03-01T10:00:00Z",
        "2024-03-01T10:05:00Z",
        "2024-03-03T09:00:00Z",
    ];
    for part in expected {
        assert!(page.contains(part), "{part} is not on the page:\n{page}");
    }
    assert!(!page.contains("'51100") && !page.contains("&#39;51100"), "the postcode has the quote of the export");
}

#[tokio::test]
async fn amounts_have_the_decimals_of_their_currency() {
    let app = TestApp::start().await;
    let mut visitor = app.verified_customer("ann@example.com").await;
    let in_currency = |number: &str, currency: &str, amount: &str| {
        let columns = ["Subtotal", "Total", "Lineitem price"].into_iter();
        let row = order(number, "ann@example.com").with("Currency", currency).with("Lineitem quantity", "1");
        columns.fold(row, |row, column| row.with(column, amount)).with("Shipping", "0")
    };
    import(
        &app,
        &[
            in_currency("#8101", "JPY", "123456"),
            in_currency("#8102", "KWD", "1234.567"),
            in_currency("#8103", "USD", "1234.5"),
        ],
    );
    for (number, expected, unexpected) in
        [("8101", "123,456", "123,456."), ("8102", "1,234.567", "1,234.57"), ("8103", "1,234.50", "1,234.5<")]
    {
        let page = list(&mut visitor, &format!("/orders/{number}")).await;
        assert!(page.contains(expected) && !page.contains(unexpected), "{number}:\n{page}");
    }
    let token = app.api_token("ann@example.com").await;
    for (number, minor) in [("8101", 123_456), ("8102", 1_234_567), ("8103", 123_450)] {
        let order = app.api_get(&format!("/api/userOrders/{number}"), &token).await.json();
        assert_eq!(order["total"], minor, "{order}");
    }
}

#[tokio::test]
async fn order_of_another_customer_is_404_like_a_missing_one() {
    let app = TestApp::start().await;
    let mut ann = app.verified_customer("ann@example.com").await;
    let mut bob = app.verified_customer("bob@example.com").await;
    import(&app, &[order("#9001", "ann@example.com")]);
    list(&mut ann, "/orders/9001").await;
    let foreign = bob.get("/orders/9001").await;
    let missing = bob.get("/orders/9002").await;
    assert!(foreign.is_page(404) && missing.is_page(404));
    let without_id = |page: String| page.split("<code>").next().unwrap().to_owned();
    assert_eq!(without_id(foreign.text()), without_id(missing.text()));
    assert_eq!(numbers(&list(&mut bob, "/orders").await), Vec::<String>::new());
    let token = app.api_token("bob@example.com").await;
    assert!(app.api_get("/api/userOrders/9001", &token).await.is_problem(404));
}

#[tokio::test]
async fn malformed_order_number_is_404() {
    let app = TestApp::start().await;
    let mut visitor = app.customer("ann@example.com").await;
    let token = app.api_token("ann@example.com").await;
    for number in [
        "%00",
        "%ff",
        "%2fetc%2fpasswd",
        "'%20OR%201=1--",
        "%23",
        "%23%23",
        "-1",
        "0",
        "%F0%9F%A6%86",
        &"9".repeat(3000),
        "%0d%0aX:y",
        "..%5c..",
        "a/b",
    ] {
        let answer = visitor.get(&format!("/orders/{number}")).await;
        assert!(answer.is_page(404), "{number}: {}", answer.status);
        let answer = app.api_get(&format!("/api/userOrders/{number}"), &token).await;
        assert!(answer.is_problem(404), "{number}: {}", answer.status);
    }
}

#[tokio::test]
async fn imported_orders_appear_once_the_email_is_verified() {
    let app = TestApp::start().await;
    let mut ann = app.customer("ann@example.com").await;
    import(&app, &shop::orders(3, "Ann@Example.com"));
    assert_eq!(numbers(&list(&mut ann, "/orders").await), Vec::<String>::new());
    assert_eq!(ann.get("/orders/5001").await.status, 404);
    app.done(&["user", "verify", "ann@example.com"]);
    assert_eq!(numbers(&list(&mut ann, "/orders").await), ["5002", "5001", "5000"]);
    // Later imports are visible at once.
    import(&app, &shop::orders(5, "ann@example.com"));
    assert_eq!(numbers(&list(&mut ann, "/orders").await).len(), 5);
}

#[tokio::test]
async fn orders_appear_whether_verified_before_or_after_the_import() {
    let app = TestApp::start().await;
    import(&app, &shop::orders(2, "ann@example.com"));
    let mut ann = app.verified_customer("ann@example.com").await;
    assert_eq!(numbers(&list(&mut ann, "/orders").await).len(), 2);
    let mut bob = app.verified_customer("bob@example.com").await;
    import(&app, &[order("#6000", "bob@example.com")]);
    assert_eq!(numbers(&list(&mut bob, "/orders").await), ["6000"]);
}

#[tokio::test]
async fn sample_orders_have_every_status_and_add_up() {
    let app = TestApp::start_with(&[("DEMO_ORDERS", "true")]).await;
    let mut ann = app.customer("ann@example.com").await;
    let token = app.api_token("ann@example.com").await;
    let orders = app.api_get("/api/userOrders?limit=100", &token).await.json()["orders"].as_array().unwrap().clone();
    assert!(orders.len() > 20, "{} orders", orders.len());
    let mut statuses: Vec<&str> = orders.iter().map(|order| order["status"].as_str().unwrap()).collect();
    statuses.sort_unstable();
    statuses.dedup();
    assert_eq!(statuses, ["cancelled", "delivered", "partly_sent", "placed", "processing", "refunded", "sent"]);
    for order in &orders {
        let number = order["number"].as_str().unwrap();
        assert!(ann.get(&format!("/orders/{number}")).await.is_page(200));
        assert_totals_agree(&app.api_get(&format!("/api/userOrders/{number}"), &token).await.json());
    }
}

/// Samples have the same numbers in every account.
#[tokio::test]
async fn sample_orders_belong_to_one_account_each() {
    let app = TestApp::start_with(&[("DEMO_ORDERS", "true")]).await;
    let mut ann = app.customer("ann@example.com").await;
    let mut bob = app.customer("bob@example.com").await;
    let newest = numbers(&list(&mut ann, "/orders").await)[0].clone();
    assert_eq!(numbers(&list(&mut bob, "/orders").await)[0], newest);
    let path = format!("/orders/{newest}");
    let cancelled = press(&mut ann, &newest, "cancel").await;
    assert_eq!(cancelled.leads_to(), (303, path.as_str()));
    assert!(list(&mut ann, &path).await.contains("You asked to cancel this order on "));
    assert!(!list(&mut bob, &path).await.contains("You asked to cancel this order on "), "Bob sees Ann's request");
    let anns = reorder(&mut ann, &newest).await;
    assert!(bob.get(&format!("/orders/{anns}")).await.is_page(404), "Bob sees Ann's order {anns}");
    assert!(!numbers(&list(&mut bob, "/orders").await).contains(&anns));
    let owners = "SELECT COUNT(DISTINCT user_id) FROM orders WHERE number = $1";
    let owners = sqlx::query_scalar::<_, i64>(owners).bind(&newest).fetch_one(&app.database().await).await;
    assert_eq!(owners.unwrap(), 2);
}

fn assert_totals_agree(order: &Value) {
    let amount = |name: &str| order[name].as_i64().unwrap();
    assert_eq!(
        amount("subtotal") + amount("shipping") + amount("taxes") - amount("discount"),
        amount("total"),
        "{order}"
    );
    assert_eq!(order["lines"].as_array().unwrap().len(), usize::try_from(amount("line_count")).unwrap());
}

/// The test of the query plan shows that a page costs the same at any depth: `src/orders/list/store/query_plans.rs`.
#[tokio::test]
async fn page_1000_follows_page_999_without_gap_or_repeat() {
    let app = TestApp::start().await;
    app.verified_customer("ann@example.com").await;
    let token = app.api_token("ann@example.com").await;
    let database = app.database().await;
    // Both engines format numbers alike; the hash is empty.
    let fill = "INSERT INTO orders (id, source, shop_number, name, number, user_id, email, placed_at, payment_status, fulfillment_status, currency, \
         subtotal, shipping, taxes, discount, refunded, total, line_count, ship_name, ship_company, ship_address1, ship_address2, \
         ship_zip, ship_city, ship_province, ship_country, ship_phone, content_hash) \
         WITH RECURSIVE n(i) AS (SELECT 100000 UNION ALL SELECT i + 1 FROM n WHERE i < 120199) \
         SELECT 'order-' || CAST(i AS TEXT), 'shop', CAST(i AS TEXT), '#' || CAST(i AS TEXT), CAST(i AS TEXT), users.id, users.email, 1000000000 + i * 60, 'paid', 'fulfilled', \
         'EUR', 1, 0, 0, 0, 0, 1, 0, '', '', '', '', '', '', '', '', '', $1 FROM n, users";
    sqlx::query(fill).bind(Vec::<u8>::new()).execute(&database).await.unwrap();
    let mut newest_first = (100_000..120_200).rev().map(|number| number.to_string());
    let mut path = "/api/userOrders?limit=100".to_owned();
    for step in 0..202 {
        let page = app.api_get(&path, &token).await.json();
        let orders = page["orders"].as_array().unwrap();
        let shown: Vec<&str> = orders.iter().map(|order| order["number"].as_str().unwrap()).collect();
        assert_eq!(shown, newest_first.by_ref().take(100).collect::<Vec<_>>(), "step {step}");
        let Some(next) = page["next"].as_str() else { break };
        path = format!("/api/userOrders?limit=100&after={next}");
    }
    assert_eq!(newest_first.next(), None, "pages are missing");
}

/// The export of the sample shop Northwind: 830 orders of 89 customers.
pub fn sample_orders() -> PathBuf {
    let named = std::env::var_os("ORDERS_SAMPLE_DATA").map(PathBuf::from);
    named.unwrap_or_else(|| Path::new(env!("CARGO_MANIFEST_DIR")).join("../shared/data/northwind_orders_export.csv"))
}

/// The customer and total in cents of each order in the file.
fn totals_in_file(file: &Path) -> Vec<(String, i64)> {
    let mut reader = csv::Reader::from_path(file).unwrap();
    let headers = reader.headers().unwrap().clone();
    let column = |name: &str| headers.iter().position(|header| header == name).unwrap();
    let (email, total) = (column("Email"), column("Total"));
    let rows = reader.records().map(Result::unwrap).filter(|row| !row[total].is_empty());
    rows.map(|row| (row[email].to_owned(), row[total].replace('.', "").parse().unwrap())).collect()
}

#[tokio::test]
#[ignore = "needs the sample orders; tests/run includes it when they are there"]
async fn sample_orders_are_imported_and_assigned_to_customers() {
    let app = TestApp::start().await;
    let file = sample_orders();
    let in_file = totals_in_file(&file);
    assert_eq!(in_file.len(), 830);
    let path = file.to_str().unwrap();
    app.done(&["import", path]);
    let sums: (i64, i64, i64) =
        sqlx::query_as("SELECT COUNT(*), CAST(SUM(total) AS BIGINT), (SELECT COUNT(*) FROM order_lines) FROM orders")
            .fetch_one(&app.database().await)
            .await
            .unwrap();
    assert_eq!(sums, (830, in_file.iter().map(|(_, total)| total).sum(), 2155));

    let email = "savea@northwind.example";
    let mut visitor = app.customer(email).await;
    assert_eq!(numbers(&list(&mut visitor, "/orders").await), Vec::<String>::new());
    app.done(&["user", "verify", email]);
    let first = list(&mut visitor, "/orders").await;
    let second = list(&mut visitor, &link(&first, "next").unwrap()).await;
    assert_eq!(numbers(&first).len() + numbers(&second).len(), 31);
    let orders = app.api_get("/api/userOrders?limit=100", &app.api_token(email).await).await.json();
    let totals: i64 = orders["orders"].as_array().unwrap().iter().map(|order| order["total"].as_i64().unwrap()).sum();
    assert_eq!(totals, in_file.iter().filter(|(customer, _)| customer == email).map(|(_, total)| total).sum::<i64>());

    app.done(&["import", path]);
    let again: i64 = sqlx::query_scalar("SELECT COUNT(*) FROM orders").fetch_one(&app.database().await).await.unwrap();
    assert_eq!(again, 830, "a second import of the file changed something");
}
