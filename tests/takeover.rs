//! An attacker who wants a customer's orders, and a customer who clicks the links that arrive.

use crate::app::{PASSWORD, TestApp};
use crate::http::Visitor;
use crate::mailbox::{self, CONFIRM, CONFIRM_NEW, NEW_PASSWORD};
use crate::shop::{export, order};

const CUSTOMER: &str = "ann@example.com";
const ATTACKER: &str = "mallory@evil.example";
const NEW: &str = "a quiet harbour at dusk";

/// A shop with an order of the customer.
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

/// Resets the password by mail as the customer; returns the logged-in customer.
async fn take_over_by_mail(app: &TestApp) -> Visitor {
    let mut customer = app.visitor();
    assert_eq!(customer.post("/password/forgot", &[("email", CUSTOMER)]).await.status, 303);
    let reset = mailbox::mail_to(app, CUSTOMER, NEW_PASSWORD).await;
    let fields = [("token", reset.token()), ("password", NEW)];
    assert_eq!(customer.post("/password/reset", &fields).await.leads_to(), (303, "/login"));
    assert_eq!(customer.post("/login", &[("email", CUSTOMER), ("password", NEW)]).await.status, 303);
    customer
}

async fn count(app: &TestApp, query: &'static str) -> i64 {
    sqlx::query_scalar(query).fetch_one(&app.database().await).await.unwrap()
}

#[tokio::test]
async fn confirmation_click_does_not_help_an_attackers_sign_up() {
    let app = shop().await;
    let mut attacker = app.customer(CUSTOMER).await;
    let token = app.api_token(CUSTOMER).await;
    let mail = mailbox::mail_to(&app, CUSTOMER, CONFIRM).await;

    let mut customer = app.visitor();
    let page = customer.get(mail.path()).await.text();
    assert!(page.contains("You did not sign up?") && page.contains("action=\"/password/forgot\""), "{page}");
    assert_eq!(customer.post("/verify", &[("token", mail.token())]).await.status, 401);
    let mut neighbour = app.customer("bob@example.com").await;
    assert_eq!(neighbour.post("/verify", &[("token", mail.token())]).await.status, 401);
    assert_sees_nothing(&app, &mut attacker, &token).await;

    attacker.post("/account/email", &[("email", ATTACKER), ("password", PASSWORD)]).await;
    let change = mailbox::mail_to(&app, ATTACKER, CONFIRM_NEW).await;
    let mut customer = take_over_by_mail(&app).await;
    assert!(customer.get("/orders/7001").await.is_page(200), "the customer's order is missing");
    assert_eq!(attacker.get("/orders").await.status, 303, "the attacker's session is active");
    assert_eq!(app.api_get("/api/userOrders", &token).await.status, 403, "the attacker's token is valid");
    let old = [("token", change.token()), ("password", PASSWORD)];
    assert_eq!(attacker.post("/verify", &old).await.status, 422, "the attacker's email change is pending");
    assert_eq!(attacker.post("/login", &[("email", CUSTOMER), ("password", PASSWORD)]).await.status, 401);
    let browsers =
        "SELECT COUNT(*) FROM trusted_browsers b JOIN users u ON u.id = b.user_id WHERE u.email = 'ann@example.com'";
    assert_eq!(count(&app, browsers).await, 1, "the attacker's browser is trusted");
    let again = customer.get(mail.path()).await;
    assert!(again.is_page(200) && again.text().contains("is confirmed"), "{}", again.text());
}

#[tokio::test]
async fn confirmation_click_does_not_help_an_attackers_email_change() {
    let app = shop().await;
    let mut attacker = app.verified_customer(ATTACKER).await;
    let token = app.api_token(ATTACKER).await;
    attacker.post("/account/email", &[("email", CUSTOMER), ("password", PASSWORD)]).await;
    let mail = mailbox::mail_to(&app, CUSTOMER, CONFIRM_NEW).await;

    let mut customer = app.visitor();
    let page = customer.get(mail.path()).await.text();
    assert!(page.contains("m…@evil.example") && page.contains("ignore"), "{page}");
    assert!(!page.contains(ATTACKER), "the page contains the attacker's address");
    for visitor in [&mut customer, &mut app.customer("bob@example.com").await] {
        assert_eq!(visitor.post("/verify", &[("token", mail.token())]).await.status, 401);
        let guess = [("token", mail.token()), ("password", NEW)];
        assert_eq!(visitor.post("/verify", &guess).await.status, 401);
    }
    assert_sees_nothing(&app, &mut attacker, &token).await;
    assert_eq!(count(&app, "SELECT COUNT(*) FROM users WHERE email = 'ann@example.com'").await, 0);

    assert_eq!(customer.post("/signup", &[("email", CUSTOMER), ("password", NEW)]).await.status, 303);
    let mail = mailbox::mail_to(&app, CUSTOMER, CONFIRM).await;
    assert_eq!(customer.post("/verify", &[("token", mail.token())]).await.leads_to(), (303, "/orders"));
    assert!(customer.get("/orders/7001").await.is_page(200), "the customer's order is missing");
    assert_sees_nothing(&app, &mut attacker, &token).await;
}

#[tokio::test]
async fn password_change_revokes_all_access_tokens() {
    let app = TestApp::start().await;
    let mut ann = app.customer(CUSTOMER).await;
    ann.post("/password/forgot", &[("email", CUSTOMER)]).await;
    ann.post("/account/email", &[("email", ATTACKER), ("password", PASSWORD)]).await;
    let verify = mailbox::mail_to(&app, CUSTOMER, CONFIRM).await;
    let reset = mailbox::mail_to(&app, CUSTOMER, NEW_PASSWORD).await;
    let change = mailbox::mail_to(&app, ATTACKER, CONFIRM_NEW).await;
    let fields = [("current_password", PASSWORD), ("new_password", NEW)];
    assert_eq!(ann.post("/account/password", &fields).await.leads_to(), (303, "/account#password"));
    for link in [&verify, &change] {
        assert_eq!(ann.post("/verify", &[("token", link.token())]).await.status, 422);
    }
    let fields = [("token", reset.token()), ("password", PASSWORD)];
    assert_eq!(ann.post("/password/reset", &fields).await.status, 422);
    assert_eq!(count(&app, "SELECT COUNT(*) FROM users WHERE verified_at IS NOT NULL").await, 0);
}
