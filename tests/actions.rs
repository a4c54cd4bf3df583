//! Actions on an order: cancellation request and reorder, each done once per idempotency key.

use reqwest::Method;
use serde_json::Value;

use crate::app::{ANN, BOB, TestApp};
use crate::http::{Response, Visitor, send};
use crate::mailbox;
use crate::orders::{list, numbers};
use crate::shop::{Row, line, order, partly_refunded, unsent};

/// `FROM` and `WHERE` of the orders that an action has changed or created.
const CHANGED: &str = "orders WHERE cancellation_asked_at IS NOT NULL OR reordered_from IS NOT NULL";

/// The idempotency key in the form of the action.
fn key(page: &str, action: &str) -> Option<String> {
    let form = page.split("<form ").find(|form| form.contains(&format!("/{action}\"")))?;
    Some(form.split("name=\"key\" value=\"").nth(1)?.split('"').next()?.to_owned())
}

/// Opens the order page and submits the form of the action.
pub async fn submit(visitor: &mut Visitor, number: &str, action: &str) -> Response {
    let page = list(visitor, &format!("/orders/{number}")).await;
    let key = key(&page, action).unwrap_or_else(|| panic!("no form for {action} on {page}"));
    visitor.post(&format!("/orders/{number}/{action}"), &[("key", &key)]).await
}

/// Submits "Order again"; returns the number of the new order.
pub async fn reorder(visitor: &mut Visitor, number: &str) -> String {
    let response = submit(visitor, number, "again").await;
    assert_eq!(response.status, 303, "{}", response.text());
    response.header("location").unwrap().strip_prefix("/orders/").unwrap().to_owned()
}

/// The order numbers that `order-portal orders` prints.
fn pending_requests(app: &TestApp, command: &str) -> Vec<String> {
    let output = app.run_ok(&["orders", command]);
    let lines = output.lines().filter(|line| line.starts_with('#'));
    lines.map(|line| line.split_whitespace().next().unwrap().to_owned()).collect()
}

#[tokio::test]
async fn cancellation_request_reaches_page_operator_and_mailbox() {
    let (app, mut ann) =
        TestApp::start_with_orders(&[unsent("#1", ANN), unsent("#2", ANN).with("Financial Status", "pending")]).await;
    assert_eq!(pending_requests(&app, "cancellations"), Vec::<String>::new());
    assert!(app.run_ok(&["orders", "cancellations"]).contains("no pending cancellation requests"));
    for number in ["1", "2"] {
        let response = submit(&mut ann, number, "cancel").await;
        assert_eq!(response.redirect(), (303, format!("/orders/{number}").as_str()));
        let page = list(&mut ann, &format!("/orders/{number}")).await;
        assert!(page.contains("The shop knows that you want to cancel"), "no notice:\n{page}");
        assert!(
            page.contains("You asked to cancel this order on ") && page.contains(">You asked to cancel<"),
            "{page}"
        );
        assert_eq!(key(&page, "cancel"), None, "a second request is offered");
        assert!(key(&page, "again").is_some());
    }
    assert_eq!(list(&mut ann, "/orders").await.matches("Cancellation requested").count(), 2);
    assert_eq!(pending_requests(&app, "cancellations"), ["#1", "#2"]);
    let output = app.run_ok(&["orders", "cancellations"]);
    assert!(output.contains(ANN) && output.contains("€29.90") && output.contains("processing"), "{output}");
    mailbox::wait_for_empty_queue(&app).await;
    let mail = mailbox::mails_to(&app, ANN, "You asked to cancel an order").remove(0);
    assert!(mail.text.contains("cancel order #") && mail.html.contains("cancel order #"));
}

#[tokio::test]
async fn mail_about_orders_goes_to_verified_email_only() {
    let app = TestApp::start_with(&[("DEMO_ORDERS", "true")]).await;
    let mut ann = app.customer(ANN).await;
    let mut bob = app.verified_customer(BOB).await;
    for visitor in [&mut ann, &mut bob] {
        let newest = numbers(&list(visitor, "/orders").await)[0].clone();
        assert_eq!(submit(visitor, &newest, "cancel").await.status, 303);
        reorder(visitor, &newest).await;
    }
    mailbox::wait_for_empty_queue(&app).await;
    let to = |email: &str| {
        let mails = mailbox::mails(&app).into_iter().filter(|mail| mail.to == email);
        mails.map(|mail| mail.subject).collect::<Vec<_>>()
    };
    assert_eq!(to(ANN), [mailbox::CONFIRM]);
    assert!(to(BOB).contains(&"Your order is placed".to_owned()), "{:?}", to(BOB));
}

#[tokio::test]
async fn sent_order_cannot_be_cancelled_and_the_page_says_why() {
    let processed = |number: &str, fulfillment: &str| order(number, ANN).with("Fulfillment Status", fulfillment);
    let cases = [
        (processed("#1", "fulfilled"), "on its way"),
        (processed("#2", "partial"), "on its way"),
        (processed("#3", "delivered"), "has arrived"),
        (processed("#4", "unfulfilled").with("Cancelled at", "2024-03-02 10:00:00 +0000"), "cancelled already"),
        (processed("#5", "unfulfilled").with("Financial Status", "refunded"), "refunded already"),
    ];
    let (app, mut ann) = TestApp::start_with_orders(&cases.clone().map(|(row, _)| row)).await;
    for (index, (_, reason)) in cases.into_iter().enumerate() {
        let path = format!("/orders/{}", index + 1);
        assert_eq!(key(&list(&mut ann, &path).await, "cancel"), None, "{path} offers a cancellation");
        let response = ann.post(&format!("{path}/cancel"), &[("key", "a-generated-key")]).await;
        assert!(response.is_page(422), "{path}: {}", response.status);
        let page = response.text();
        assert!(page.contains("role=\"alert\"") && page.contains(reason), "{path}:\n{page}");
        assert!(page.contains(&format!("<h1>Order #{}</h1>", index + 1)), "the order is not shown");
    }
    assert_eq!(pending_requests(&app, "cancellations"), Vec::<String>::new());
    assert_eq!(app.count("orders WHERE cancellation_asked_at IS NOT NULL").await, 0);
}

#[tokio::test]
async fn import_after_page_load_decides_about_a_cancellation() {
    let (app, mut ann) = TestApp::start_with_orders(&[unsent("#1", ANN), unsent("#2", ANN)]).await;
    let stale = key(&list(&mut ann, "/orders/1").await, "cancel").unwrap();
    submit(&mut ann, "2", "cancel").await;
    app.import(&[order("#1", ANN), order("#2", ANN)]);
    let rejected = ann.post("/orders/1/cancel", &[("key", &stale)]).await;
    assert!(rejected.is_page(422) && rejected.text().contains("on its way"), "{}", rejected.text());
    assert!(rejected.text().contains("status-sent"), "the page does not show the new status");
    assert_eq!(pending_requests(&app, "cancellations"), Vec::<String>::new(), "a sent order is pending");
    let page = list(&mut ann, "/orders/2").await;
    assert!(!page.contains("You asked to cancel this order on") && page.contains(">You asked to cancel<"), "{page}");
    assert!(!list(&mut ann, "/orders").await.contains("Cancellation requested"));
    // A withdrawn shipment makes the request pending again.
    app.import(&[unsent("#2", ANN)]);
    assert_eq!(pending_requests(&app, "cancellations"), ["#2"]);
    app.import(&[unsent("#2", ANN).with("Cancelled at", "2024-03-09 10:00:00 +0000")]);
    assert_eq!(pending_requests(&app, "cancellations"), Vec::<String>::new());
}

/// Sends the form eight times concurrently.
async fn send_concurrently(visitor: &Visitor, path: &str, key: &str) -> Vec<Response> {
    let request = || visitor.request(Method::POST, path).form(&[("key", key)]);
    let tasks: Vec<_> = (0..8).map(|_| tokio::spawn(send(request()))).collect();
    let mut responses = Vec::new();
    for task in tasks {
        responses.push(task.await.unwrap());
    }
    responses
}

#[tokio::test]
async fn idempotency_key_makes_concurrent_posts_act_once() {
    let (app, mut ann) = TestApp::start_with_orders(&[unsent("#1", ANN)]).await;
    let page = list(&mut ann, "/orders/1").await;
    for action in ["again", "cancel"] {
        let (path, key) = (format!("/orders/1/{action}"), key(&page, action).unwrap());
        let mut responses = send_concurrently(&ann, &path, &key).await;
        responses.push(ann.post(&path, &[("key", &key)]).await);
        let first = responses[0].redirect();
        assert_eq!(first.0, 303, "{action}: {}", responses[0].text());
        for response in &responses {
            assert_eq!(response.redirect(), first, "{action}: {}", response.text());
        }
    }
    assert_eq!(numbers(&list(&mut ann, "/orders").await).len(), 2, "not one reorder");
    mailbox::wait_for_empty_queue(&app).await;
    let subjects: Vec<String> = mailbox::mails(&app).into_iter().map(|mail| mail.subject).collect();
    for subject in ["Your order is placed", "You asked to cancel an order"] {
        assert_eq!(subjects.iter().filter(|other| *other == subject).count(), 1, "{subject}: {subjects:?}");
    }
}

#[tokio::test]
async fn cancellation_from_two_pages_is_one_request() {
    let (app, mut ann) = TestApp::start_with_orders(&[unsent("#1", ANN)]).await;
    let (one, other) = (list(&mut ann, "/orders/1").await, list(&mut ann, "/orders/1").await);
    let keys = [key(&one, "cancel").unwrap(), key(&other, "cancel").unwrap()];
    assert_ne!(keys[0], keys[1]);
    for key in &keys {
        assert_eq!(ann.post("/orders/1/cancel", &[("key", key)]).await.redirect(), (303, "/orders/1"));
    }
    assert_eq!(pending_requests(&app, "cancellations"), ["#1"]);
}

#[tokio::test]
async fn operator_lists_have_a_header_row() {
    let (app, mut ann) = TestApp::start_with_orders(&[unsent("#1", ANN)]).await;
    reorder(&mut ann, "1").await;
    submit(&mut ann, "1", "cancel").await;
    for (command, time_column) in [("placed", "PLACED"), ("cancellations", "ASKED")] {
        let output = app.run_ok(&["orders", command]);
        let columns: Vec<&str> = output.lines().next().unwrap().split_whitespace().collect();
        assert_eq!(columns, ["ORDER", "CUSTOMER", time_column, "STATUS", "TOTAL", "REPEATS"]);
    }
}

#[tokio::test]
async fn idempotency_key_is_rejected_for_another_request() {
    let (app, mut ann) = TestApp::start_with_orders(&[unsent("#1", ANN), unsent("#2", ANN), unsent("#3", BOB)]).await;
    let key = key(&list(&mut ann, "/orders/1").await, "again").unwrap();
    assert_eq!(ann.post("/orders/1/again", &[("key", &key)]).await.status, 303);
    for path in ["/orders/1/cancel", "/orders/2/again", "/orders/2/cancel"] {
        let response = ann.post(path, &[("key", &key)]).await;
        assert!(
            response.is_page(400) && response.text().contains("load the order again"),
            "{path}: {}",
            response.text()
        );
    }
    assert_eq!(pending_requests(&app, "cancellations"), Vec::<String>::new());
    assert_eq!(pending_requests(&app, "placed").len(), 1);
    // Each customer has separate keys.
    let mut bob = app.verified_customer(BOB).await;
    assert_eq!(bob.post("/orders/3/again", &[("key", &key)]).await.status, 303);
    assert_eq!(pending_requests(&app, "placed").len(), 2);
}

#[tokio::test]
async fn malformed_idempotency_key_is_400() {
    let (app, mut ann) = TestApp::start_with_orders(&[unsent("#1", ANN)]).await;
    let long = "a".repeat(65);
    for action in ["again", "cancel"] {
        let path = format!("/orders/1/{action}");
        for key in ["", "short", "has spaces in it", "nul\0nul\0nul", "ключ-ключ", "key'; --", &long] {
            assert!(ann.post(&path, &[("key", key)]).await.is_page(400), "{action} with {key:?}");
        }
        assert!(ann.post(&path, &[]).await.is_page(400), "{action} without a key");
        assert!(ann.post(&path, &[("key", "one-good-key"), ("key", "another-key")]).await.is_page(400));
    }
    assert_eq!(app.count(CHANGED).await, 0);
}

#[tokio::test]
async fn action_on_an_order_of_another_customer_is_404() {
    let (app, mut ann) = TestApp::start_with_orders(&[unsent("#1", ANN), unsent("#2", BOB)]).await;
    app.verified_customer(BOB).await;
    for number in ["2", "3", "%23", "%00"] {
        for action in ["again", "cancel"] {
            let response = ann.post(&format!("/orders/{number}/{action}"), &[("key", "a-generated-key")]).await;
            assert!(response.is_page(404), "{action} {number}: {}", response.status);
        }
    }
    assert_eq!(app.count(CHANGED).await, 0);
}

#[tokio::test]
async fn reorder_copies_lines_address_and_prices() {
    let original = partly_refunded("#1", ANN);
    let (app, mut ann) = TestApp::start_with_orders(&[original, line("#1", ANN, "Pen")]).await;
    let number = reorder(&mut ann, "1").await;
    assert!(number.strip_prefix('W').is_some_and(|rest| rest.parse::<u32>().is_ok()), "{number}");
    let page = list(&mut ann, &format!("/orders/{number}")).await;
    assert!(page.contains("Your order is placed: the same again."), "no notice:\n{page}");
    assert!(page.contains("Reorder of <a href=\"/orders/1\">#1</a>"), "{page}");

    let token = app.api_token(ANN).await;
    let get = async |number: &str| app.api_get(&format!("/api/userOrders/{number}"), &token).await.json();
    let (old, new) = (get("1").await, get(&number).await);
    for member in
        ["lines", "shipping_address", "currency", "subtotal", "shipping", "taxes", "discount", "total", "line_count"]
    {
        assert_eq!(new[member], old[member], "{member}");
    }
    assert_eq!((&new["number"], &new["status"]), (&number.as_str().into(), &"placed".into()));
    assert_eq!((&new["payment_status"], &new["fulfillment_status"]), (&"pending".into(), &"unfulfilled".into()));
    assert!([&new["paid_at"], &new["fulfilled_at"], &new["cancelled_at"]].iter().all(|at| at.is_null()), "{new}");
    assert!(new["placed_at"].as_str() > old["placed_at"].as_str(), "{new}");
    assert!(!page.contains("Refunded"), "the refund is copied:\n{page}");
    assert_eq!(numbers(&list(&mut ann, "/orders").await), [number.as_str(), "1"]);
    assert_eq!(
        numbers(&list(&mut ann, &format!("/orders?q=pen+{number}")).await),
        [number.as_str()],
        "the search does not find it"
    );

    let mail = mailbox::mail_to(&app, ANN, "Your order is placed").await;
    for part in [format!("#{number}").as_str(), "order #1", "2 × Notebook, ruled", "1 × Pen", "€27.90"] {
        assert!(mail.text.contains(part) && mail.html.contains(part), "{part} is not in {}", mail.text);
    }
    let second = reorder(&mut ann, &number).await;
    assert_ne!(second, number, "two reorders have the same number");
}

#[tokio::test]
async fn reorder_is_pending_until_an_import_contains_it() {
    let (app, mut ann) = TestApp::start_with_orders(&[order("#1", ANN)]).await;
    assert!(app.run_ok(&["orders", "placed"]).contains("no pending reorders"));
    let (one, other) = (reorder(&mut ann, "1").await, reorder(&mut ann, "1").await);
    assert_eq!(pending_requests(&app, "placed"), [format!("#{one}"), format!("#{other}")]);
    let output = app.run_ok(&["orders", "placed"]);
    assert!(output.contains(ANN) && output.contains("€29.90") && output.contains("#1"), "{output}");

    let before = app.run_ok(&["import", "orders.csv"]);
    assert!(before.contains("0 changed"), "an export without the reorder changes it: {before}");
    app.import(&[order(&format!("#{one}"), ANN).with("Total", "31.00").with("Lineitem name", "Notebook, plain")]);
    assert_eq!(pending_requests(&app, "placed"), [format!("#{other}")]);
    let page = list(&mut ann, &format!("/orders/{one}")).await;
    assert!(page.contains("status-sent") && page.contains("€31.00") && page.contains("Notebook, plain"), "{page}");
    assert!(page.contains("Reorder of <a href=\"/orders/1\">"), "{page}");
    assert_eq!(numbers(&list(&mut ann, "/orders?q=plain").await), [one.as_str()]);
    assert_eq!(numbers(&list(&mut ann, "/orders").await).len(), 3);
}

#[tokio::test]
async fn reorder_number_skips_numbers_of_the_shop() {
    let (app, mut ann) = TestApp::start_with_orders(&[order("#1", ANN)]).await;
    let first: u32 = reorder(&mut ann, "1").await[1..].parse().unwrap();
    let existing: Vec<Row> = (1..4).map(|step| order(&format!("#W{}", first + step), BOB)).collect();
    app.import(&existing);
    assert_eq!(reorder(&mut ann, "1").await, format!("W{}", first + 4));
}

#[tokio::test]
async fn rate_limit_allows_50_reorders_in_24_hours() {
    let (app, mut ann) = TestApp::start_with_orders(&[order("#1", ANN), order("#2", BOB)]).await;
    let key = key(&list(&mut ann, "/orders/1").await, "again").unwrap();
    let first = reorder(&mut ann, "1").await;
    for index in 1..50 {
        let response = ann.post("/orders/1/again", &[("key", &format!("order-{index:03}"))]).await;
        assert_eq!(response.status, 303, "order {index}: {}", response.text());
    }
    let rejected = ann.post("/orders/1/again", &[("key", &key)]).await;
    assert!(rejected.is_page(429), "{}", rejected.status);
    let wait: i64 = rejected.header("retry-after").unwrap().parse().unwrap();
    assert!((86_400 - 600..=86_400).contains(&wait), "the first reorder was just placed: {wait}");
    assert!(rejected.text().contains("in 24 hours"), "{}", rejected.text());
    assert_eq!(pending_requests(&app, "placed").len(), 50);
    assert_eq!(
        ann.post("/orders/1/again", &[("key", "order-001")]).await.status,
        303,
        "the stored response is not repeated"
    );
    let mut bob = app.verified_customer(BOB).await;
    reorder(&mut bob, "2").await;

    let a_day_ago = "UPDATE orders SET placed_at = placed_at - 86400 WHERE number = $1";
    sqlx::query(a_day_ago).bind(first).execute(&app.database().await).await.unwrap();
    assert_eq!(ann.post("/orders/1/again", &[("key", &key)]).await.status, 303, "the reorder is limited after a day");
}

#[tokio::test]
async fn concurrent_reorders_have_different_numbers() {
    let app = TestApp::start().await;
    let emails: Vec<String> = (0..4).map(|index| format!("customer{index}@example.com")).collect();
    let rows: Vec<Row> = emails.iter().enumerate().map(|(index, email)| order(&format!("#{index}"), email)).collect();
    app.import(&rows);
    let mut tasks = Vec::new();
    for (index, email) in emails.iter().enumerate() {
        let visitor = app.verified_customer(email).await;
        for attempt in 0..3 {
            let key = format!("attempt-{attempt:03}");
            let request = visitor.request(Method::POST, &format!("/orders/{index}/again")).form(&[("key", &key)]);
            tasks.push(request);
        }
    }
    let tasks: Vec<_> = tasks.into_iter().map(|request| tokio::spawn(send(request))).collect();
    let mut placed = Vec::new();
    for task in tasks {
        let response = task.await.unwrap();
        assert_eq!(response.status, 303, "{}", response.text());
        placed.push(response.header("location").unwrap().to_owned());
    }
    placed.sort();
    placed.dedup();
    assert_eq!(placed.len(), 12, "two reorders have the same number");
    let copies = "orders o JOIN orders c ON c.reordered_from = o.number AND c.user_id = o.user_id";
    assert_eq!(app.count(copies).await, 12, "a reorder has the wrong owner");
}

#[tokio::test]
async fn reorder_of_a_sample_is_deleted_with_the_samples() {
    let app = TestApp::start_with(&[("DEMO_ORDERS", "true")]).await;
    let mut ann = app.customer(ANN).await;
    let newest = numbers(&list(&mut ann, "/orders").await)[0].clone();
    let number = reorder(&mut ann, &newest).await;
    assert_eq!(numbers(&list(&mut ann, "/orders").await)[0], number);
    assert_eq!(pending_requests(&app, "placed"), [format!("#{number}")]);
    app.import(&[order("#1", ANN)]);
    app.run_ok(&["user", "verify", ANN]);
    assert_eq!(pending_requests(&app, "placed"), Vec::<String>::new());
    assert_eq!(numbers(&list(&mut ann, "/orders").await), ["1"]);
    let orders: Value = app.api_get("/api/userOrders", &app.api_token(ANN).await).await.json();
    assert_eq!(orders["orders"].as_array().unwrap().len(), 1);
}

#[tokio::test]
async fn repeated_cancellation_request_stores_no_response() {
    let (app, mut ann) = TestApp::start_with_orders(&[unsent("#1", ANN)]).await;
    for number in 0..20 {
        let response = ann.post("/orders/1/cancel", &[("key", &format!("another-key-{number}"))]).await;
        assert_eq!(response.redirect(), (303, "/orders/1"));
    }
    assert_eq!(app.count("idempotency_keys").await, 1);
}
