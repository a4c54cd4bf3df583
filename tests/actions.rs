//! What customers ask the shop to do with an order: what cancellations and reorders have in common. Each form acts once per idempotency
//! key.

use reqwest::Method;

use crate::app::{ANN, BOB, TestApp};
use crate::http::{Response, Visitor, send};
use crate::mailbox;
use crate::orders::{list, numbers};
use crate::shop::unsent;

/// The shop's address in tests.
pub const SHOP: &str = "help@shop.example";

/// The idempotency key in the form on the page of the action.
pub fn key(page: &str) -> Option<String> {
    Some(page.split("name=\"key\" value=\"").nth(1)?.split('"').next()?.to_owned())
}

/// Opens the page of the action.
pub async fn open(visitor: &mut Visitor, number: &str, action: &str) -> String {
    list(visitor, &format!("/orders/{number}/{action}")).await
}

/// Opens the page of the action and submits its form.
pub async fn submit(visitor: &mut Visitor, number: &str, action: &str) -> Response {
    let page = open(visitor, number, action).await;
    let key = key(&page).unwrap_or_else(|| panic!("no form for {action} on {page}"));
    visitor.post(&format!("/orders/{number}/{action}"), &[("key", &key)]).await
}

/// Submits "Order again" with the quantities of the order.
pub async fn reorder(visitor: &mut Visitor, number: &str) {
    let response = submit(visitor, number, "again").await;
    assert_eq!(response.redirect(), (303, format!("/orders/{number}").as_str()), "{}", response.text());
}

/// The order numbers that `order-portal orders` prints.
pub fn pending_requests(app: &TestApp, command: &str) -> Vec<String> {
    let output = app.run_ok(&["orders", command]);
    let lines = output.lines().filter(|line| line.starts_with('#'));
    lines.map(|line| line.split_whitespace().next().unwrap().to_owned()).collect()
}

/// The subjects of all mail to an address, oldest first, after the queue is empty.
pub async fn subjects_to(app: &TestApp, email: &str) -> Vec<String> {
    mailbox::wait_for_empty_queue(app).await;
    let mails = mailbox::mails(app).into_iter().filter(|mail| mail.to == email);
    mails.map(|mail| mail.subject).collect()
}

/// Sends the form eight times concurrently.
pub async fn send_concurrently(visitor: &Visitor, path: &str, fields: &[(&str, &str)]) -> Vec<Response> {
    let request = || visitor.request(Method::POST, path).form(fields);
    let tasks: Vec<_> = (0..8).map(|_| tokio::spawn(send(request()))).collect();
    let mut responses = Vec::new();
    for task in tasks {
        responses.push(task.await.unwrap());
    }
    responses
}

#[tokio::test]
async fn idempotency_key_makes_concurrent_posts_act_once() {
    let (app, mut ann) = with_shop(&[unsent("#1", ANN)]).await;
    for action in ["again", "cancel"] {
        let (path, key) = (format!("/orders/1/{action}"), key(&open(&mut ann, "1", action).await).unwrap());
        let mut responses = send_concurrently(&ann, &path, &[("key", &key)]).await;
        responses.push(ann.post(&path, &[("key", &key)]).await);
        for response in &responses {
            assert_eq!(response.redirect(), (303, "/orders/1"), "{action}: {}", response.text());
        }
    }
    assert_eq!(numbers(&list(&mut ann, "/orders").await), ["1"], "a reorder made an order");
    assert_eq!(app.count("reorder_requests").await, 1);
    for email in [ANN, SHOP] {
        let subjects = subjects_to(&app, email).await;
        for subject in ["Request to order again: order #1", "Cancellation requested: order #1"] {
            assert_eq!(subjects.iter().filter(|other| *other == subject).count(), 1, "{subject}: {subjects:?}");
        }
    }
}

/// A server whose `SHOP_CONTACT` is an address, with these orders, and Ann.
pub async fn with_shop(rows: &[crate::shop::Row]) -> (TestApp, Visitor) {
    let app = TestApp::start_with(&[("SHOP_CONTACT", SHOP)]).await;
    let ann = app.verified_customer(ANN).await;
    app.import(rows);
    (app, ann)
}

#[tokio::test]
async fn operator_lists_have_a_header_row() {
    let (app, mut ann) = TestApp::start_with_orders(&[unsent("#1", ANN)]).await;
    reorder(&mut ann, "1").await;
    submit(&mut ann, "1", "cancel").await;
    for (command, columns) in [
        ("placed", &["ORDER", "CUSTOMER", "REQUESTED", "ID", "PRODUCTS"][..]),
        ("reorders", &["ORDER", "CUSTOMER", "REQUESTED", "ID", "PRODUCTS"]),
        ("cancellations", &["ORDER", "CUSTOMER", "REQUESTED", "STATUS", "TOTAL", "REASON"]),
    ] {
        let output = app.run_ok(&["orders", command]);
        assert_eq!(output.lines().next().unwrap().split_whitespace().collect::<Vec<_>>(), columns);
    }
}

#[tokio::test]
async fn idempotency_key_is_rejected_for_another_request() {
    let (app, mut ann) = TestApp::start_with_orders(&[unsent("#1", ANN), unsent("#2", ANN), unsent("#3", BOB)]).await;
    let key = key(&open(&mut ann, "1", "again").await).unwrap();
    assert_eq!(ann.post("/orders/1/again", &[("key", &key)]).await.status, 303);
    for (path, quantity) in [
        ("/orders/1/cancel", ""),
        ("/orders/2/again", ""),
        ("/orders/2/cancel", ""),
        // The same order in another quantity.
        ("/orders/1/again", "7"),
    ] {
        let quantity = [("key", key.as_str()), ("quantity_1", quantity)];
        let fields = if quantity[1].1.is_empty() { &quantity[..1] } else { &quantity[..] };
        let response = ann.post(path, fields).await;
        assert!(
            response.is_page(400) && response.text().contains("load the page again"),
            "{path}: {}",
            response.text()
        );
    }
    assert_eq!(pending_requests(&app, "cancellations"), Vec::<String>::new());
    assert_eq!(pending_requests(&app, "reorders"), ["#1"]);
    // Each customer has separate keys.
    let mut bob = app.verified_customer(BOB).await;
    assert_eq!(bob.post("/orders/3/again", &[("key", &key)]).await.status, 303);
    assert_eq!(pending_requests(&app, "reorders"), ["#1", "#3"]);
}

#[tokio::test]
async fn malformed_idempotency_key_is_400() {
    let (app, mut ann) = TestApp::start_with_orders(&[unsent("#1", ANN)]).await;
    let long = "a".repeat(65);
    for action in ["again", "cancel"] {
        let path = format!("/orders/1/{action}");
        for key in ["", "has spaces in it", "nul\0nul\0nul", "ключ-ключ", "key'; --", &long] {
            assert!(ann.post(&path, &[("key", key)]).await.is_page(400), "{action} with {key:?}");
        }
        assert!(ann.post(&path, &[]).await.is_page(400), "{action} without a key");
        assert!(ann.post(&path, &[("key", "one-good-key"), ("key", "another-key")]).await.is_page(400));
    }
    assert_nothing_requested(&app).await;
}

async fn assert_nothing_requested(app: &TestApp) {
    assert_eq!(app.count("orders WHERE cancellation_asked_at IS NOT NULL").await, 0);
    assert_eq!(app.count("reorder_requests").await, 0);
}

#[tokio::test]
async fn action_on_an_order_of_another_customer_is_404() {
    let (app, mut ann) = TestApp::start_with_orders(&[unsent("#1", ANN), unsent("#2", BOB)]).await;
    let mut bob = app.verified_customer(BOB).await;
    submit(&mut bob, "2", "cancel").await;
    for number in ["2", "3", "%23", "%00"] {
        for action in ["again", "cancel"] {
            assert!(ann.get(&format!("/orders/{number}/{action}")).await.is_page(404), "GET {action} {number}");
        }
        for action in ["again", "cancel", "cancel/undo"] {
            let response = ann.post(&format!("/orders/{number}/{action}"), &[("key", "a-generated-key")]).await;
            assert!(response.is_page(404), "{action} {number}: {}", response.status);
        }
    }
    assert_eq!(pending_requests(&app, "cancellations"), ["#2"]);
    assert_eq!(app.count("reorder_requests").await, 0);
}
