//! The order list, the order page and the sample orders.

use serde_json::Value;

use crate::actions::{reorder, submit};
use crate::app::{ANN, BOB, TestApp};
use crate::http::Visitor;
use crate::shop::{self, line, order};

/// The order numbers on a list page.
pub fn numbers(page: &str) -> Vec<String> {
    let links = page.split("href=\"/orders/").skip(1);
    links.map(|rest| rest.split('"').next().unwrap().to_owned()).collect()
}

/// The URL of the link with this `rel`.
pub fn link(page: &str, relation: &str) -> Option<String> {
    let (_, rest) = page.split_once(&format!("rel=\"{relation}\" href=\""))?;
    Some(rest.split('"').next()?.replace("&#38;", "&").replace("&amp;", "&"))
}

pub async fn list(visitor: &mut Visitor, path: &str) -> String {
    let response = visitor.get(path).await;
    assert!(response.is_page(200), "{path}: {}", response.status);
    response.text()
}

#[tokio::test]
async fn list_has_20_orders_per_page_newest_first() {
    let app = TestApp::start().await;
    let mut visitor = app.verified_customer(ANN).await;
    app.import(&shop::orders(45, ANN));
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
    let has_position =
        |page: &str, position: &str| page.contains(&format!("<span class=\"position\">{position}</span>"));
    for (page, position) in [
        (&first, "1–20 of 45"),
        (&second, "21–40 of 45"),
        (&third, "41–45 of 45"),
        (&back, "21–40 of 45"),
        (&front, "1–20 of 45"),
    ] {
        assert!(has_position(page, position), "{position}");
    }
    // A cursor of the API, or of an earlier version, has no position.
    let next = link(&first, "next").unwrap();
    let plain = next.replace("after=dp20_", "after=d");
    assert_ne!(next, plain);
    let same = list(&mut visitor, &plain).await;
    assert_eq!(numbers(&same), newest_first[20..40]);
    assert!(!same.contains("class=\"position\""), "a position without knowledge");
    let last = list(&mut visitor, &link(&same, "next").unwrap()).await;
    assert!(has_position(&last, "41–45 of 45"), "the last page is at the end of the list");
    let forged = list(&mut visitor, &next.replace("after=dp20_", "after=dp9000000000000000000_")).await;
    assert!(numbers(&forged) == newest_first[20..40] && !forged.contains("class=\"position\""));
    let found = list(&mut visitor, "/orders?q=5044").await;
    assert!(!found.contains("class=\"position\""), "a list of one page has a position");
}

/// The products and the number of pieces of each row.
fn products_and_items(page: &str) -> Vec<(String, String)> {
    let cell = |row: &str, class: &str| {
        let (_, rest) = row.split_once(&format!("<td class=\"{class}\">")).unwrap();
        rest.split("</td>").next().unwrap().to_owned()
    };
    let table = page.split("</table>").next().unwrap();
    table.split("<tr>").skip(2).map(|row| (cell(row, "products"), cell(row, "items"))).collect()
}

#[tokio::test]
async fn list_shows_products_and_number_of_pieces() {
    let rows = [
        order("#1", ANN).with("Lineitem name", "Clay mug").with("Lineitem quantity", "3"),
        line("#1", ANN, "Saucer"),
        line("#1", ANN, "Clay mug"),
        line("#1", ANN, "Teapot <small>"),
        line("#1", ANN, "Tray"),
        order("#2", ANN).with("Created at", "2024-02-01 10:00:00 +0000").with("Lineitem quantity", "1"),
    ];
    let (app, mut ann) = TestApp::start_with_orders(&rows).await;
    let pair = |products: &str, items: &str| (products.to_owned(), items.to_owned());
    let expected = [pair("Clay mug, Saucer and 2 more", "7"), pair("Notebook, ruled", "1")];
    assert_eq!(products_and_items(&list(&mut ann, "/orders").await), expected);

    // An exchange: what was taken back is no piece of the order.
    let exchange = order("#2", ANN).with("Created at", "2024-02-01 10:00:00 +0000").with("Lineitem quantity", "-1");
    app.import(&[exchange, line("#2", ANN, "Teapot <small>")]);
    let changed = products_and_items(&list(&mut ann, "/orders").await);
    assert_eq!(changed[1], pair("Notebook, ruled, Teapot &#60;small&#62;", "1"));

    reorder(&mut ann, "1").await;
    let with_copy = products_and_items(&list(&mut ann, "/orders").await);
    assert_eq!(with_copy[0], pair("Clay mug, Saucer and 2 more", "7"));
}

#[tokio::test]
async fn detail_shows_lines_totals_address_and_timeline() {
    let app = TestApp::start().await;
    let mut visitor = app.verified_customer(ANN).await;
    let first = order("#8001", ANN).with("Discount Amount", "1.50").with("Total", "1234.40");
    let second = shop::line("#8001", ANN, "Pen <fine> & \"blue\"");
    app.import(&[first, second]);
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
    let mut visitor = app.verified_customer(ANN).await;
    let in_currency = |number: &str, currency: &str, amount: &str| {
        let columns = ["Subtotal", "Total", "Lineitem price"].into_iter();
        let row = order(number, ANN).with("Currency", currency).with("Lineitem quantity", "1");
        columns.fold(row, |row, column| row.with(column, amount)).with("Shipping", "0")
    };
    app.import(&[
        in_currency("#8101", "JPY", "123456"),
        in_currency("#8102", "KWD", "1234.567"),
        in_currency("#8103", "USD", "1234.5"),
    ]);
    for (number, expected, unexpected) in
        [("8101", "123,456", "123,456."), ("8102", "1,234.567", "1,234.57"), ("8103", "1,234.50", "1,234.5<")]
    {
        let page = list(&mut visitor, &format!("/orders/{number}")).await;
        assert!(page.contains(expected) && !page.contains(unexpected), "{number}:\n{page}");
    }
    let token = app.api_token(ANN).await;
    for (number, minor) in [("8101", 123_456), ("8102", 1_234_567), ("8103", 123_450)] {
        let order = app.api_get(&format!("/api/userOrders/{number}"), &token).await.json();
        assert_eq!(order["total"], minor, "{order}");
    }
}

#[tokio::test]
async fn order_of_another_customer_is_404_like_a_missing_one() {
    let app = TestApp::start().await;
    let mut ann = app.verified_customer(ANN).await;
    let mut bob = app.verified_customer(BOB).await;
    app.import(&[order("#9001", ANN)]);
    list(&mut ann, "/orders/9001").await;
    let foreign = bob.get("/orders/9001").await;
    let missing = bob.get("/orders/9002").await;
    assert!(foreign.is_page(404) && missing.is_page(404));
    let without_id = |page: String| page.split("<code>").next().unwrap().to_owned();
    assert_eq!(without_id(foreign.text()), without_id(missing.text()));
    assert_eq!(numbers(&list(&mut bob, "/orders").await), Vec::<String>::new());
    let token = app.api_token(BOB).await;
    assert!(app.api_get("/api/userOrders/9001", &token).await.is_problem(404));
}

#[tokio::test]
async fn malformed_order_number_is_404() {
    let app = TestApp::start().await;
    let mut visitor = app.customer(ANN).await;
    let token = app.api_token(ANN).await;
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
        let response = visitor.get(&format!("/orders/{number}")).await;
        assert!(response.is_page(404), "{number}: {}", response.status);
        let response = app.api_get(&format!("/api/userOrders/{number}"), &token).await;
        assert!(response.is_problem(404), "{number}: {}", response.status);
    }
}

#[tokio::test]
async fn imported_orders_appear_once_the_email_is_verified() {
    let app = TestApp::start().await;
    let mut ann = app.customer(ANN).await;
    app.import(&shop::orders(3, "Ann@Example.com"));
    assert_eq!(numbers(&list(&mut ann, "/orders").await), Vec::<String>::new());
    assert_eq!(ann.get("/orders/5001").await.status, 404);
    app.run_ok(&["user", "verify", ANN]);
    assert_eq!(numbers(&list(&mut ann, "/orders").await), ["5002", "5001", "5000"]);
    // Orders of later imports appear at once.
    app.import(&shop::orders(5, ANN));
    assert_eq!(numbers(&list(&mut ann, "/orders").await).len(), 5);
}

#[tokio::test]
async fn sample_orders_have_every_status_and_add_up() {
    let app = TestApp::start_with(&[("DEMO_ORDERS", "true")]).await;
    let mut ann = app.customer(ANN).await;
    let token = app.api_token(ANN).await;
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

/// Sample orders have the same numbers in every account.
#[tokio::test]
async fn sample_orders_belong_to_one_account_each() {
    let app = TestApp::start_with(&[("DEMO_ORDERS", "true")]).await;
    let mut ann = app.customer(ANN).await;
    let mut bob = app.customer(BOB).await;
    let newest = numbers(&list(&mut ann, "/orders").await)[0].clone();
    assert_eq!(numbers(&list(&mut bob, "/orders").await)[0], newest);
    let path = format!("/orders/{newest}");
    let cancelled = submit(&mut ann, &newest, "cancel").await;
    assert_eq!(cancelled.redirect(), (303, path.as_str()));
    assert!(list(&mut ann, &path).await.contains("<strong>Cancellation requested</strong>"));
    assert!(!list(&mut bob, &path).await.contains("<strong>Cancellation requested</strong>"), "Bob sees Ann's request");
    app.run_ok(&["user", "verify", ANN]);
    reorder(&mut ann, &newest).await;
    assert!(list(&mut ann, &path).await.contains("You asked the shop on "));
    assert!(!list(&mut bob, &path).await.contains("You asked the shop on "), "Bob sees Ann's request");
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
