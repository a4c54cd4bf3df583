//! A stranger who wants a customer's orders, and a customer who clicks on what arrives.

use crate::app::{PASSWORD, TestApp};
use crate::http::Visitor;
use crate::post::{self, CONFIRM, CONFIRM_NEW, NEW_PASSWORD};
use crate::shop::{export, order};

const CUSTOMER: &str = "ann@example.com";
const STRANGER: &str = "mallory@evil.example";
const NEW: &str = "a quiet harbour at dusk";

/// A shop that knows an order of the customer's.
async fn shop() -> TestApp {
    let app = TestApp::start().await;
    let file = app.write("orders.csv", export(&[order("#7001", CUSTOMER)]));
    app.done(&["import", &file]);
    app
}

async fn assert_sees_nothing(app: &TestApp, visitor: &mut Visitor, token: &str) {
    let page = visitor.get("/orders").await;
    assert!(page.is_page(200) && !page.text().contains("#7001"), "{}", page.text());
    assert_eq!(visitor.get("/orders/7001").await.status, 404);
    let orders = app.api_get("/api/userOrders", token).await;
    assert!(orders.status == 200 && orders.json()["orders"].as_array().unwrap().is_empty(), "{}", orders.text());
    assert_eq!(app.api_get("/api/userOrders/7001", token).await.status, 404);
}

/// The new password that the customer sets by mail; answers the customer, logged in.
async fn take_over_by_mail(app: &TestApp) -> Visitor {
    let mut customer = app.visitor();
    assert_eq!(customer.post("/password/forgot", &[("email", CUSTOMER)]).await.status, 303);
    let reset = post::letter_to(app, CUSTOMER, NEW_PASSWORD).await;
    let fields = [("token", reset.token()), ("password", NEW)];
    assert_eq!(customer.post("/password/reset", &fields).await.leads_to(), (303, "/login"));
    assert_eq!(customer.post("/login", &[("email", CUSTOMER), ("password", NEW)]).await.status, 303);
    customer
}

async fn count(app: &TestApp, query: &'static str) -> i64 {
    sqlx::query_scalar(query).fetch_one(&app.database().await).await.unwrap()
}

#[tokio::test]
async fn stranger_who_signs_up_with_a_customers_address_gets_nothing_by_the_customers_click() {
    let app = shop().await;
    let mut stranger = app.customer(CUSTOMER).await;
    let token = app.api_token(CUSTOMER).await;
    let mail = post::letter_to(&app, CUSTOMER, CONFIRM).await;

    let mut customer = app.visitor();
    let page = customer.get(mail.path()).await.text();
    assert!(page.contains("You did not sign up?") && page.contains("action=\"/password/forgot\""), "{page}");
    assert_eq!(customer.post("/verify", &[("token", mail.token())]).await.status, 401);
    let mut neighbour = app.customer("bob@example.com").await;
    assert_eq!(neighbour.post("/verify", &[("token", mail.token())]).await.status, 401);
    assert_sees_nothing(&app, &mut stranger, &token).await;

    stranger.post("/account/email", &[("email", STRANGER), ("password", PASSWORD)]).await;
    let change = post::letter_to(&app, STRANGER, CONFIRM_NEW).await;
    let mut customer = take_over_by_mail(&app).await;
    assert!(customer.get("/orders/7001").await.is_page(200), "the customer's order is missing");
    assert_eq!(stranger.get("/orders").await.status, 303, "the stranger's session goes on");
    assert_eq!(app.api_get("/api/userOrders", &token).await.status, 403, "the stranger's token goes on");
    let old = [("token", change.token()), ("password", PASSWORD)];
    assert_eq!(stranger.post("/verify", &old).await.status, 422, "the stranger's change of address goes on");
    assert_eq!(stranger.post("/login", &[("email", CUSTOMER), ("password", PASSWORD)]).await.status, 401);
    let browsers =
        "SELECT COUNT(*) FROM known_browsers b JOIN users u ON u.id = b.user_id WHERE u.email = 'ann@example.com'";
    assert_eq!(count(&app, browsers).await, 1, "the stranger's browser is still known");
    let again = customer.get(mail.path()).await;
    assert!(again.is_page(200) && again.text().contains("is confirmed"), "{}", again.text());
}

#[tokio::test]
async fn stranger_who_changes_to_a_customers_address_gets_nothing_by_the_customers_click() {
    let app = shop().await;
    let mut stranger = app.verified_customer(STRANGER).await;
    let token = app.api_token(STRANGER).await;
    stranger.post("/account/email", &[("email", CUSTOMER), ("password", PASSWORD)]).await;
    let mail = post::letter_to(&app, CUSTOMER, CONFIRM_NEW).await;

    let mut customer = app.visitor();
    let page = customer.get(mail.path()).await.text();
    assert!(page.contains("m…@evil.example") && page.contains("ignore"), "{page}");
    assert!(!page.contains(STRANGER), "the page tells the stranger's address");
    for visitor in [&mut customer, &mut app.customer("bob@example.com").await] {
        assert_eq!(visitor.post("/verify", &[("token", mail.token())]).await.status, 401);
        let guess = [("token", mail.token()), ("password", NEW)];
        assert_eq!(visitor.post("/verify", &guess).await.status, 401);
    }
    assert_sees_nothing(&app, &mut stranger, &token).await;
    assert_eq!(count(&app, "SELECT COUNT(*) FROM users WHERE email = 'ann@example.com'").await, 0);

    assert_eq!(customer.post("/signup", &[("email", CUSTOMER), ("password", NEW)]).await.status, 303);
    let mail = post::letter_to(&app, CUSTOMER, CONFIRM).await;
    assert_eq!(customer.post("/verify", &[("token", mail.token())]).await.leads_to(), (303, "/orders"));
    assert!(customer.get("/orders/7001").await.is_page(200), "the customer's order is missing");
    assert_sees_nothing(&app, &mut stranger, &token).await;
}

#[tokio::test]
async fn new_password_ends_every_link_that_gives_access_or_changes_something() {
    let app = TestApp::start().await;
    let mut ann = app.customer(CUSTOMER).await;
    ann.post("/password/forgot", &[("email", CUSTOMER)]).await;
    ann.post("/account/email", &[("email", STRANGER), ("password", PASSWORD)]).await;
    let verify = post::letter_to(&app, CUSTOMER, CONFIRM).await;
    let reset = post::letter_to(&app, CUSTOMER, NEW_PASSWORD).await;
    let change = post::letter_to(&app, STRANGER, CONFIRM_NEW).await;
    let fields = [("current_password", PASSWORD), ("new_password", NEW)];
    assert_eq!(ann.post("/account/password", &fields).await.leads_to(), (303, "/account#password"));
    for link in [&verify, &change] {
        assert_eq!(ann.post("/verify", &[("token", link.token())]).await.status, 422);
    }
    let fields = [("token", reset.token()), ("password", PASSWORD)];
    assert_eq!(ann.post("/password/reset", &fields).await.status, 422);
    assert_eq!(count(&app, "SELECT COUNT(*) FROM users WHERE verified_at IS NOT NULL").await, 0);
}
