//! An attacker who wants a customer's orders, and a customer who opens the links in their mail.

use crate::app::{ANN, BOB, OTHER_PASSWORD, PASSWORD, TestApp};
use crate::http::Visitor;
use crate::mailbox::{self, CONFIRM, CONFIRM_NEW, RESET};
use crate::shop::order;

const CUSTOMER: &str = ANN;
const ATTACKER: &str = "mallory@evil.example";

/// A server with an order of the customer.
async fn app_with_order() -> TestApp {
    let app = TestApp::start().await;
    app.import(&[order("#7001", CUSTOMER)]);
    app
}

async fn assert_sees_no_order(app: &TestApp, visitor: &mut Visitor, token: &str) {
    let page = visitor.get("/orders").await;
    assert!(page.is_page(200) && !page.text().contains("#7001"), "{}", page.text());
    assert_eq!(visitor.get("/orders/7001").await.status, 404);
    let orders = app.api_get("/api/userOrders", token).await;
    assert!(orders.status == 200 && orders.json()["orders"].as_array().unwrap().is_empty(), "{}", orders.text());
    assert_eq!(app.api_get("/api/userOrders/7001", token).await.status, 404);
}

/// Resets the password by mail as the customer; returns the logged-in customer.
async fn reset_by_mail(app: &TestApp) -> Visitor {
    let mut customer = app.visitor();
    assert_eq!(customer.post("/password/forgot", &[("email", CUSTOMER)]).await.status, 303);
    let reset = mailbox::mail_to(app, CUSTOMER, RESET).await;
    let fields = [("token", reset.token()), ("password", OTHER_PASSWORD)];
    assert_eq!(customer.post("/password/reset", &fields).await.redirect(), (303, "/login"));
    assert_eq!(customer.log_in(CUSTOMER, OTHER_PASSWORD).await.status, 303);
    customer
}

#[tokio::test]
async fn attackers_sign_up_gets_no_order_from_a_confirmation_click() {
    let app = app_with_order().await;
    let mut attacker = app.customer(CUSTOMER).await;
    let token = app.api_token(CUSTOMER).await;
    let mail = mailbox::mail_to(&app, CUSTOMER, CONFIRM).await;

    let mut customer = app.visitor();
    let page = customer.get(mail.path()).await.text();
    assert!(page.contains("Did you not sign up?") && page.contains("action=\"/password/forgot\""), "{page}");
    assert_eq!(customer.post("/verify", &[("token", mail.token())]).await.status, 401);
    let mut bob = app.customer(BOB).await;
    assert_eq!(bob.post("/verify", &[("token", mail.token())]).await.status, 401);
    assert_sees_no_order(&app, &mut attacker, &token).await;

    attacker.post("/account/email", &[("email", ATTACKER), ("password", PASSWORD)]).await;
    let change = mailbox::mail_to(&app, ATTACKER, CONFIRM_NEW).await;
    let mut customer = reset_by_mail(&app).await;
    assert!(customer.get("/orders/7001").await.is_page(200), "the customer's order is missing");
    assert_eq!(attacker.get("/orders").await.status, 303, "the attacker's session is active");
    assert_eq!(app.api_get("/api/userOrders", &token).await.status, 403, "the attacker's token is valid");
    let old = [("token", change.token()), ("password", PASSWORD)];
    assert_eq!(attacker.post("/verify", &old).await.status, 422, "the attacker's email change is pending");
    assert_eq!(attacker.log_in(CUSTOMER, PASSWORD).await.status, 401);
    let browsers = "trusted_browsers b JOIN users u ON u.id = b.user_id WHERE u.email = 'ann@example.com'";
    assert_eq!(app.count(browsers).await, 1, "the attacker's browser is trusted");
    let again = customer.get(mail.path()).await;
    assert!(again.is_page(200) && again.text().contains("is confirmed"), "{}", again.text());
}

#[tokio::test]
async fn attackers_email_change_gets_no_order_from_a_click() {
    let app = app_with_order().await;
    let mut attacker = app.verified_customer(ATTACKER).await;
    let token = app.api_token(ATTACKER).await;
    attacker.post("/account/email", &[("email", CUSTOMER), ("password", PASSWORD)]).await;
    let mail = mailbox::mail_to(&app, CUSTOMER, CONFIRM_NEW).await;

    let mut customer = app.visitor();
    let page = customer.get(mail.path()).await.text();
    assert!(page.contains("m…@evil.example") && page.contains("ignore"), "{page}");
    assert!(!page.contains(ATTACKER), "the page contains the attacker's address");
    for visitor in [&mut customer, &mut app.customer(BOB).await] {
        assert_eq!(visitor.post("/verify", &[("token", mail.token())]).await.status, 401);
        let guess = [("token", mail.token()), ("password", OTHER_PASSWORD)];
        assert_eq!(visitor.post("/verify", &guess).await.status, 401);
    }
    assert_sees_no_order(&app, &mut attacker, &token).await;
    assert_eq!(app.count("users WHERE email = 'ann@example.com'").await, 0);

    assert_eq!(customer.post("/signup", &[("email", CUSTOMER), ("password", OTHER_PASSWORD)]).await.status, 303);
    let mail = mailbox::mail_to(&app, CUSTOMER, CONFIRM).await;
    assert_eq!(customer.post("/verify", &[("token", mail.token())]).await.redirect(), (303, "/orders"));
    assert!(customer.get("/orders/7001").await.is_page(200), "the customer's order is missing");
    assert_sees_no_order(&app, &mut attacker, &token).await;
}

#[tokio::test]
async fn password_change_revokes_all_access_tokens() {
    let app = TestApp::start().await;
    let mut ann = app.customer(CUSTOMER).await;
    ann.post("/password/forgot", &[("email", CUSTOMER)]).await;
    ann.post("/account/email", &[("email", ATTACKER), ("password", PASSWORD)]).await;
    let verify = mailbox::mail_to(&app, CUSTOMER, CONFIRM).await;
    let reset = mailbox::mail_to(&app, CUSTOMER, RESET).await;
    let change = mailbox::mail_to(&app, ATTACKER, CONFIRM_NEW).await;
    let fields = [("current_password", PASSWORD), ("new_password", OTHER_PASSWORD)];
    assert_eq!(ann.post("/account/password", &fields).await.redirect(), (303, "/account#password"));
    for link in [&verify, &change] {
        assert_eq!(ann.post("/verify", &[("token", link.token())]).await.status, 422);
    }
    let fields = [("token", reset.token()), ("password", PASSWORD)];
    assert_eq!(ann.post("/password/reset", &fields).await.status, 422);
    assert_eq!(app.count("users WHERE verified_at IS NOT NULL").await, 0);
}
