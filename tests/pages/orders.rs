//! The order list and the order page.

use std::collections::BTreeSet;

use super::{LONG, Pages, escaped};
use crate::actions::reorder;
use crate::app::{ANN, BOB, TestApp};
use crate::hostile::filled;
use crate::html::HOSTILE;
use crate::http::Visitor;
use crate::orders::{link, numbers};
use crate::shop::{Row, line, order, partly_refunded, unsent};

/// A customer with orders that have a value in every column, and with orders that have only required values.
async fn customer_with_odd_orders(app: &TestApp) -> Visitor {
    let ann = app.verified_customer(ANN).await;
    let bare =
        ["Shipping Name", "Shipping Address1", "Shipping City", "Shipping Zip", "Shipping Country", "Lineitem sku"];
    let bare = bare.into_iter().fold(order("#bare", ANN), |row, column| row.with(column, ""));
    let costs = partly_refunded("#costs", ANN);
    let waiting = unsent("#waiting", ANN);
    let cancelled = order("#cancelled", ANN).with("Cancelled at", "2024-03-02 10:00:00 +0000").with("Currency", "JPY");
    let yen = ["Total", "Subtotal", "Lineitem price", "Shipping"]
        .into_iter()
        .fold(cancelled, |row, name| row.with(name, "12"));
    let months = (0..48).map(|month| {
        let at = format!("{}-{:02}-15 12:00:00 +0000", 2016 + month / 12, 1 + month % 12);
        order(&format!("#m{month}"), ANN).with("Created at", &at)
    });
    let odd = [
        filled("#hostile", HOSTILE).to_vec(),
        filled("#long", &"W".repeat(LONG)).to_vec(),
        vec![bare, costs, line("#costs", ANN, "Pen"), waiting, yen],
    ];
    let rows: Vec<Row> = odd.concat().into_iter().chain(months).collect();
    app.import(&rows);
    ann
}

/// The pages of requests to the shop, in their states.
async fn check_request_pages(app: &TestApp, pages: &mut Pages, ann: &mut Visitor) {
    let hostile = escaped(HOSTILE);
    for (number, expected) in
        [("hostile", hostile.as_str()), ("long", &"W".repeat(LONG)), ("costs", "Price on 1 March 2024")]
    {
        let path = format!("/orders/{number}/again");
        pages.check(&format!("order again, {number}"), &ann.get(&path).await, 200, &[expected]);
    }
    let fields = [("key", "a-key-of-my-own"), ("quantity_1", HOSTILE)];
    let invalid = ann.post("/orders/hostile/again", &fields).await;
    pages.check("order again, invalid", &invalid, 422, &["id=\"quantity_1-error\"", &hostile]);
    reorder(ann, "hostile").await;
    let requested = ann.get("/orders/hostile").await;
    pages.check("order again, requested", &requested, 200, &["You asked the shop on", "class=\"notice\""]);

    let rejected = ann.post("/orders/costs/cancel", &[("key", "a-key-of-my-own")]).await;
    pages.check("order, not cancelled", &rejected, 422, &["role=\"alert\""]);
    pages.check("cancel", &ann.get("/orders/waiting/cancel").await, 200, &["Reason (optional)"]);
    let long_reason = [HOSTILE, &"w".repeat(LONG)].concat();
    let fields = [("key", "a-key-of-my-own"), ("reason", long_reason.as_str())];
    let invalid = ann.post("/orders/waiting/cancel", &fields).await;
    pages.check("cancel, invalid", &invalid, 422, &["id=\"reason-error\"", &escaped(&long_reason)]);
    let fields = [("key", "a-key-of-my-own"), ("reason", HOSTILE)];
    assert_eq!(ann.post("/orders/waiting/cancel", &fields).await.status, 303);
    let request = ann.get("/orders/waiting").await;
    pages.check(
        "order, cancellation requested",
        &request,
        200,
        &["Withdraw the request", "class=\"notice\"", "Your reason"],
    );
    pages.check("list, cancellation requested", &ann.get("/orders").await, 200, &["Cancellation requested</span>"]);
    let filtered = ann.get("/orders?status=cancellation_requested").await;
    pages.check("list, status cancellation_requested", &filtered, 200, &["selected>Cancellation requested"]);
    app.run_ok(&["orders", "cancellations", "decline", "waiting"]);
    pages.check("order, declined", &ann.get("/orders/waiting").await, 200, &["The shop declined the cancellation"]);
    app.execute("UPDATE orders SET cancellation_answer = 'accepted'").await;
    pages.check("order, accepted", &ann.get("/orders/waiting").await, 200, &["The shop accepted the cancellation"]);
    app.execute("UPDATE orders SET reordered_from = 'costs' WHERE number = 'waiting'").await;
    pages.check("copied order", &ann.get("/orders/waiting").await, 200, &["Reorder of <a"]);
}

#[tokio::test]
async fn order_pages_are_well_formed_in_every_state() {
    order_pages().await.finish();
}

pub async fn order_pages() -> Pages {
    let app = TestApp::start().await;
    let mut pages = Pages::new("orders");
    let mut bob = app.customer(BOB).await;
    let unverified = bob.get("/orders").await;
    pages.check(
        "no orders, unconfirmed",
        &unverified,
        200,
        &["No orders yet", "appear when you confirm", "class=\"notice\""],
    );
    app.run_ok(&["user", "verify", BOB]);
    pages.check("no orders, confirmed", &bob.get("/orders").await, 200, &["Is an order missing?"]);

    let mut ann = customer_with_odd_orders(&app).await;
    let first = ann.get("/orders").await;
    pages.check(
        "list",
        &first,
        200,
        &["rel=\"next\"", "<figure class=\"chart\" data-chart>", "For earlier months", "after cancellations"],
    );
    let second = ann.get(&link(&first.text(), "next").unwrap()).await;
    pages.check("list, second page", &second, 200, &["rel=\"next\"", "rel=\"prev\""]);
    let last = ann.get(&link(&second.text(), "next").unwrap()).await;
    pages.check("list, last page", &last, 200, &["rel=\"prev\""]);
    for status in ["", "placed", "processing", "partly_sent", "sent", "delivered", "cancelled", "refunded"] {
        let response = ann.get(&format!("/orders?status={status}&sort=lowest&period=range&from=2010-01-01")).await;
        pages.check(&format!("list, status {status}"), &response, 200, &["id=\"results\"", "value=\"2010-01-01\""]);
    }
    let unknown = ann.get("/orders?status=lost&sort=%3Cb%3E").await;
    pages.check("list, unknown filter", &unknown, 200, &["id=\"filter-notice\"", "id=\"results\""]);
    pages.check("list, none matches", &ann.get("/orders?q=walrus").await, 200, &["No matching orders"]);
    let query = percent_encoding::utf8_percent_encode(HOSTILE, percent_encoding::NON_ALPHANUMERIC);
    let searched = ann.get(&format!("/orders?q={query}")).await;
    pages.check("list, hostile search", &searched, 200, &[&format!("value=\"{}\"", escaped(HOSTILE))]);
    let long = "w".repeat(LONG);
    for (state, query, errors) in [
        ("search", format!("q={long}"), &["id=\"q-error\""][..]),
        ("from", format!("from={query}"), &["id=\"from-error\""][..]),
        ("to", "to=31.12.2024".to_owned(), &["id=\"to-error\""][..]),
        ("all", format!("q={long}&from=x&to={query}"), &["id=\"q-error\"", "id=\"from-error\"", "id=\"to-error\""][..]),
    ] {
        let response = ann.get(&format!("/orders?{query}")).await;
        pages.check(
            &format!("list, wrong {state}"),
            &response,
            422,
            &[errors, &["Some filters were not applied", "table class=\"orders\""]].concat(),
        );
    }

    let hostile = escaped(HOSTILE);
    for (number, expected) in [
        ("hostile", hostile.as_str()),
        ("long", &"W".repeat(LONG)),
        ("bare", "No shipping address"),
        ("costs", "Refunded"),
        ("waiting", "Cancel order"),
        ("cancelled", "status-cancelled"),
        ("m0", "rel=\"prev\""),
        ("m47", "rel=\"next\""),
    ] {
        pages.check(&format!("order {number}"), &ann.get(&format!("/orders/{number}")).await, 200, &[expected]);
    }
    check_request_pages(&app, &mut pages, &mut ann).await;

    app.execute("DELETE FROM orders WHERE placed_at < 1500000000").await;
    let past_the_end = ann.get(&link(&second.text(), "next").unwrap()).await;
    pages.check("list, past the end", &past_the_end, 200, &["This page is past the end of the list"]);
    pages
}

#[tokio::test]
async fn pages_of_sample_orders_are_well_formed() {
    sample_pages().await.finish();
}

pub async fn sample_pages() -> Pages {
    let app = TestApp::start_with(&[("DEMO_ORDERS", "true")]).await;
    let mut pages = Pages::new("samples");
    let mut ann = app.customer(ANN).await;
    let first = ann.get("/orders").await;
    pages.check("list, unconfirmed", &first, 200, &["Send again", "href=\"/dev/mail\"", "class=\"notice\""]);
    let second = ann.get(&link(&first.text(), "next").unwrap()).await;
    let mut states = BTreeSet::new();
    for number in [numbers(&first.text()), numbers(&second.text())].concat() {
        let response = ann.get(&format!("/orders/{number}")).await;
        pages.check(&format!("order {number}"), &response, 200, &["Send again"]);
        states.extend(
            response.text().split("\"status status-").nth(1).and_then(|rest| rest.split('"').next()).map(str::to_owned),
        );
    }
    let all = ["cancelled", "delivered", "partly_sent", "placed", "processing", "refunded", "sent"];
    assert_eq!(states, all.map(str::to_owned).into());
    pages
}
