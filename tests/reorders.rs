//! "Order again": the review page, the request to the shop, and orders that earlier versions copied.

use serde_json::Value;

use crate::actions::{SHOP, key, open, pending_requests, reorder, subjects_to, submit, with_shop};
use crate::app::{ANN, BOB, TestApp};
use crate::mailbox;
use crate::orders::{list, numbers};
use crate::shop::{line, order, partly_refunded, unsent};

const SUBJECT: &str = "Request to order again: order #1";

#[tokio::test]
async fn review_shows_quantities_and_the_prices_of_then() {
    let (_app, mut ann) = TestApp::start_with_orders(&[partly_refunded("#1", ANN), line("#1", ANN, "Pen")]).await;
    assert!(list(&mut ann, "/orders/1").await.contains("href=\"/orders/1/again\""));
    let page = open(&mut ann, "1", "again").await;
    for text in [
        "name=\"quantity_1\" type=\"text\" inputmode=\"numeric\" value=\"2\"",
        "name=\"quantity_2\" type=\"text\" inputmode=\"numeric\" value=\"1\"",
        "Price on 1 March 2024: €12.50",
        "Today's prices may be different",
        "It is not an order yet",
    ] {
        assert!(page.contains(text), "{text}: {page}");
    }
}

#[tokio::test]
async fn request_reaches_operator_and_both_mailboxes_and_makes_no_order() {
    let (app, mut ann) = with_shop(&[partly_refunded("#1", ANN), line("#1", ANN, "Pen"), line("#1", ANN, "Ink")]).await;
    assert!(app.run_ok(&["orders", "reorders"]).contains("no pending requests to order again"));
    let before: Value = app.api_get("/api/userOrders", &app.api_token(ANN).await).await.json();
    let page = open(&mut ann, "1", "again").await;
    let version = page.split("name=\"version\" value=\"").nth(1).unwrap().split('"').next().unwrap().to_owned();
    let key = key(&page).unwrap();
    let fields =
        [("key", key.as_str()), ("version", &version), ("quantity_1", "5"), ("quantity_2", "0"), ("quantity_3", "1")];
    assert_eq!(ann.post("/orders/1/again", &fields).await.redirect(), (303, "/orders/1"));
    let page = list(&mut ann, "/orders/1").await;
    assert!(page.contains("Your request was sent to the shop") && page.contains("You asked the shop on "), "{page}");
    let after: Value = app.api_get("/api/userOrders", &app.api_token(ANN).await).await.json();
    assert_eq!(before, after, "a request changes or makes orders");

    let output = app.run_ok(&["orders", "reorders"]);
    for text in ["#1", ANN, "5 × Notebook, ruled (NB-1); 1 × Ink"] {
        assert!(output.contains(text), "{text}: {output}");
    }
    for email in [ANN, SHOP] {
        let mail = mailbox::mail_to(&app, email, SUBJECT).await;
        for text in ["5 × Notebook, ruled (NB-1)", "1 × Ink"] {
            assert!(mail.text.contains(text) && mail.html.contains(text), "{text}: {}", mail.text);
        }
        assert!(!mail.text.contains("Pen") && !mail.text.contains('€'), "{}", mail.text);
        assert_eq!(mail.text.contains("/orders/1\r\n"), email == ANN, "{}", mail.text);
        assert_eq!(mail.text.contains(&format!("{ANN} asks")), email == SHOP, "{}", mail.text);
    }

    let id = output.lines().nth(1).unwrap().split_whitespace().nth(3).unwrap().to_owned();
    assert!(app.run_ok(&["orders", "reorders", "done", &id]).contains("is done"));
    assert_eq!(pending_requests(&app, "reorders"), Vec::<String>::new());
    assert!(!list(&mut ann, "/orders/1").await.contains("You asked the shop on "));
    for id in [id.as_str(), "nothing"] {
        let unknown = app.run(&["orders", "reorders", "done", id]);
        assert!(unknown.is_one_line_error(1) && unknown.stderr.contains("no pending request"), "{unknown:?}");
    }
}

#[tokio::test]
async fn form_without_quantities_requests_those_of_the_order() {
    let (app, mut ann) = TestApp::start_with_orders(&[order("#1", ANN), line("#1", ANN, "Pen")]).await;
    assert_eq!(ann.post("/orders/1/again", &[("key", "a-generated-key")]).await.redirect(), (303, "/orders/1"));
    assert!(app.run_ok(&["orders", "reorders"]).contains("2 × Notebook, ruled (NB-1); 1 × Pen"));
}

#[tokio::test]
async fn invalid_quantities_show_the_form_again() {
    let (app, mut ann) = TestApp::start_with_orders(&[order("#1", ANN), line("#1", ANN, "Pen")]).await;
    let version = open(&mut ann, "1", "again").await;
    let version = version.split("name=\"version\" value=\"").nth(1).unwrap().split('"').next().unwrap().to_owned();
    let mut post = async |fields: &[(&str, &str)]| {
        let fields = [&[("key", "a-generated-key"), ("version", version.as_str())], fields].concat();
        ann.post("/orders/1/again", &fields).await
    };
    for (fields, error) in [
        (
            &[("quantity_1", "many"), ("quantity_2", "3")][..],
            "id=\"quantity_1-error\">Enter a whole number from 0 to 9999",
        ),
        (&[("quantity_1", "0"), ("quantity_2", "")], "Enter a quantity for at least one product"),
    ] {
        let response = post(fields).await;
        let page = response.text();
        assert!(response.is_page(422) && page.contains(error) && page.contains("The request was not sent"), "{page}");
        for (name, typed) in fields {
            assert!(
                page.contains(&format!("name=\"{name}\" type=\"text\" inputmode=\"numeric\" value=\"{typed}\"")),
                "{page}"
            );
        }
    }
    // An import has replaced the products of the form.
    app.import(&[order("#1", ANN).with("Lineitem name", "Other")]);
    let response = post(&[("quantity_1", "1"), ("quantity_2", "1")]).await;
    assert!(response.is_page(422) && response.text().contains("The order has changed meanwhile"));
    assert_eq!(app.count("reorder_requests").await, 0);
}

#[tokio::test]
async fn request_of_an_unconfirmed_account_leads_back_to_the_review() {
    let app = TestApp::start_with(&[("DEMO_ORDERS", "true"), ("SHOP_CONTACT", SHOP)]).await;
    let mut ann = app.customer(ANN).await;
    let newest = numbers(&list(&mut ann, "/orders").await)[0].clone();
    let page = open(&mut ann, &newest, "again").await;
    assert!(page.contains("<strong>Confirm your email address first.</strong>") && key(&page).is_some(), "{page}");
    let review = format!("/orders/{newest}/again");
    assert_eq!(submit(&mut ann, &newest, "again").await.redirect(), (303, review.as_str()));
    assert!(list(&mut ann, &review).await.contains("Nothing was sent. Confirm your email address first"));
    assert_eq!(app.count("reorder_requests").await, 0);
    assert_eq!(subjects_to(&app, SHOP).await, Vec::<String>::new());
    app.run_ok(&["user", "verify", ANN]);
    assert!(!open(&mut ann, &newest, "again").await.contains("Confirm your email address first"));
    reorder(&mut ann, &newest).await;
    assert_eq!(pending_requests(&app, "reorders"), [format!("#{newest}")]);
    assert_eq!(subjects_to(&app, SHOP).await.len(), 1);
    // A request for a sample is deleted with the samples.
    app.import(&[order("#1", ANN)]);
    assert_eq!(pending_requests(&app, "reorders"), Vec::<String>::new());
}

#[tokio::test]
async fn mail_about_requests_goes_to_confirmed_addresses_only() {
    let app = TestApp::start_with(&[("DEMO_ORDERS", "true")]).await;
    let mut ann = app.customer(ANN).await;
    let mut bob = app.verified_customer(BOB).await;
    for visitor in [&mut ann, &mut bob] {
        let newest = numbers(&list(visitor, "/orders").await)[0].clone();
        assert_eq!(submit(visitor, &newest, "again").await.status, 303);
        assert_eq!(submit(visitor, &newest, "cancel").await.status, 303);
        assert_eq!(visitor.post(&format!("/orders/{newest}/cancel/undo"), &[]).await.status, 303);
    }
    assert_eq!(subjects_to(&app, ANN).await, [mailbox::CONFIRM]);
    // The mail to confirm the address may have been queued after the confirmation.
    let subjects = subjects_to(&app, BOB).await.into_iter().filter(|subject| subject != mailbox::CONFIRM);
    assert_eq!(subjects.count(), 3);
}

#[tokio::test]
async fn rate_limit_allows_50_reorders_in_24_hours() {
    let (app, mut ann) = TestApp::start_with_orders(&[order("#1", ANN), order("#2", BOB)]).await;
    for index in 0..50 {
        let response = ann.post("/orders/1/again", &[("key", &format!("order-{index:03}"))]).await;
        assert_eq!(response.status, 303, "request {index}: {}", response.text());
    }
    let rejected = ann.post("/orders/1/again", &[("key", "order-050")]).await;
    assert!(rejected.is_page(429), "{}", rejected.status);
    let wait: i64 = rejected.header("retry-after").unwrap().parse().unwrap();
    assert!((86_400 - 600..=86_400).contains(&wait), "the first request was just made: {wait}");
    assert!(rejected.text().contains("in 24 hours"), "{}", rejected.text());
    assert_eq!(pending_requests(&app, "reorders").len(), 50);
    assert_eq!(ann.post("/orders/1/again", &[("key", "order-001")]).await.status, 303, "a repetition is limited");
    let mut bob = app.verified_customer(BOB).await;
    reorder(&mut bob, "2").await;
    app.execute("UPDATE reorder_requests SET created_at = created_at - 86400").await;
    assert_eq!(ann.post("/orders/1/again", &[("key", "order-050")]).await.status, 303, "limited after a day");
}

/// Earlier versions copied the order into a new one.
#[tokio::test]
async fn copied_order_of_an_earlier_version_is_shown_until_an_import_replaces_it() {
    let (app, mut ann) = TestApp::start_with_orders(&[order("#1", ANN), order("#W1001", ANN)]).await;
    let copy = "UPDATE orders SET reordered_from = '1', status = 'placed', payment_status = 'pending',
                fulfillment_status = 'unfulfilled', content_hash = CAST('' AS BYTEA) WHERE number = 'W1001'";
    let copy = if app.is_postgres() { copy.to_owned() } else { copy.replace("CAST('' AS BYTEA)", "x''") };
    assert_eq!(app.execute(&copy).await, 1);
    assert_eq!(pending_requests(&app, "reorders"), ["#1"]);
    assert!(app.run_ok(&["orders", "reorders"]).contains("as order #W1001"));
    let page = list(&mut ann, "/orders/W1001").await;
    assert!(page.contains("Reorder of <a href=\"/orders/1\">#1</a>"), "{page}");
    assert_eq!(submit(&mut ann, "W1001", "cancel").await.status, 303);
    reorder(&mut ann, "W1001").await;
    app.import(&[unsent("#W1001", ANN).with("Total", "31.00")]);
    let page = list(&mut ann, "/orders/W1001").await;
    assert!(page.contains("status-processing") && page.contains("€31.00") && page.contains("Reorder of <a"), "{page}");
    assert_eq!(pending_requests(&app, "reorders"), ["#W1001"], "only the request to order the copy again is pending");
}
