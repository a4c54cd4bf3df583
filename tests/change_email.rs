//! Changing the address of an account.

use sha2::{Digest, Sha256};

use crate::app::{ANN, BOB, OTHER_PASSWORD, PASSWORD, TestApp};
use crate::delayed_forms::{self, DelayedRequest};
use crate::http::{Response, Visitor};
use crate::mailbox::{self, CONFIRM, CONFIRM_NEW, RESET};
use crate::shop::order;

const OLD: &str = ANN;
const NEW: &str = "ann@elsewhere.example";
const PENDING: &str = "Email address change requested";
const CHANGED: &str = "Your email address was changed";

async fn request_change(visitor: &mut Visitor, to: &str) -> Response {
    visitor.post("/account/email", &[("email", to), ("password", PASSWORD)]).await
}

#[tokio::test]
async fn email_change_is_confirmed_and_notifies_the_old_address() {
    let app = TestApp::start().await;
    let mut visitor = app.verified_customer(OLD).await;
    app.import(&[order("#7001", NEW), order("#7002", BOB)]);
    assert_eq!(request_change(&mut visitor, " Ann@Elsewhere.Example ").await.redirect(), (303, "/account#email"));
    let link = mailbox::mail_to(&app, NEW, CONFIRM_NEW).await;
    let notice = mailbox::mail_to(&app, OLD, PENDING).await;
    assert!(notice.text.contains(NEW) && !notice.raw.contains("token"), "{}", notice.text);
    assert!(app.get(link.path()).await.text().contains(NEW));
    assert_eq!(
        (app.log_in(OLD, PASSWORD).await.status, app.log_in(NEW, PASSWORD).await.status),
        (303, 401),
        "the address changed before confirmation"
    );
    assert_eq!(visitor.get("/orders/7001").await.status, 404);
    assert_eq!(visitor.post("/verify", &[("token", link.token())]).await.redirect(), (303, "/orders"));
    assert_eq!((app.log_in(OLD, PASSWORD).await.status, app.log_in(NEW, PASSWORD).await.status), (401, 303));
    assert!(visitor.get("/orders/7001").await.is_page(200));
    assert_eq!(visitor.get("/orders/7002").await.status, 404);
    assert!(!visitor.get("/orders").await.text().contains("/account/verification"), "the new address is unconfirmed");
    let notice = mailbox::mail_to(&app, OLD, CHANGED).await;
    assert!(notice.text.contains(NEW) && notice.path().starts_with("/not-me?token="), "{}", notice.text);
    assert_eq!(app.confirm_address(link.token()).await.status, 422, "the token was valid twice");
}

#[tokio::test]
async fn email_change_revokes_other_sessions() {
    let app = TestApp::start().await;
    let mut visitor = app.customer(OLD).await;
    let mut other = app.new_session(OLD, PASSWORD).await;
    let token = app.api_token(OLD).await;
    request_change(&mut visitor, NEW).await;
    let link = mailbox::mail_to(&app, NEW, CONFIRM_NEW).await;
    assert_eq!(visitor.post("/verify", &[("token", link.token())]).await.redirect(), (303, "/orders"));
    assert!(visitor.get("/orders").await.is_page(200), "the confirming session has ended");
    assert_eq!(other.get("/orders").await.status, 303, "another session is active");
    assert_eq!(app.api_get("/api/userOrders", &token).await.status, 403, "an API token is valid");
    request_change(&mut visitor, OLD).await;
    let link = mailbox::mail_to(&app, OLD, CONFIRM_NEW).await;
    assert_eq!(app.confirm_address(link.token()).await.status, 303);
    assert_eq!(visitor.get("/orders").await.status, 303, "a session is active after a confirmation with the password");
}

#[tokio::test]
async fn email_change_revokes_tokens_sent_to_the_old_address() {
    let app = TestApp::start().await;
    let mut visitor = app.customer(OLD).await;
    visitor.post("/password/forgot", &[("email", OLD)]).await;
    request_change(&mut visitor, NEW).await;
    mailbox::wait_for_empty_queue(&app).await;
    let of = |to, subject| mailbox::mails_to(&app, to, subject).remove(0);
    let (verify, reset) = (of(OLD, CONFIRM), of(OLD, RESET));
    assert_eq!(app.confirm_address(of(NEW, CONFIRM_NEW).token()).await.status, 303);
    assert_eq!(app.confirm_address(verify.token()).await.status, 422);
    let fields = [("token", reset.token()), ("password", OTHER_PASSWORD)];
    assert_eq!(app.visitor().post("/password/reset", &fields).await.status, 422);
    assert_eq!(app.log_in(NEW, PASSWORD).await.status, 303);
}

#[tokio::test]
async fn email_change_to_a_taken_address_looks_the_same() {
    let app = TestApp::start().await;
    app.customer(BOB).await;
    let mut visitor = app.verified_customer(OLD).await;
    let free = request_change(&mut visitor, NEW).await;
    let free_page = visitor.get("/account").await.text();
    let taken = request_change(&mut visitor, BOB).await;
    let taken_page = visitor.get("/account").await.text();
    assert_eq!((free.redirect(), free.text()), (taken.redirect(), taken.text()));
    let notice = |page: &str| page.split("role=\"status\"").nth(1).unwrap().split("</p>").next().unwrap().to_owned();
    assert_eq!(notice(&free_page), notice(&taken_page));
    mailbox::wait_for_empty_queue(&app).await;
    assert!(mailbox::mails_to(&app, BOB, CONFIRM_NEW).is_empty());
    assert_eq!(mailbox::mails_to(&app, OLD, PENDING).len(), 2);
}

#[tokio::test]
async fn email_change_fails_if_the_address_is_taken_meanwhile() {
    let app = TestApp::start().await;
    let mut visitor = app.customer(OLD).await;
    request_change(&mut visitor, NEW).await;
    let link = mailbox::mail_to(&app, NEW, CONFIRM_NEW).await;
    let mut other = app.customer(NEW).await;
    assert_eq!(app.confirm_address(link.token()).await.status, 422);
    assert!(visitor.get("/account").await.text().contains(OLD));
    assert!(other.get("/account").await.text().contains("Not confirmed yet"));
    assert_eq!(app.log_in(OLD, PASSWORD).await.status, 303);
}

#[tokio::test]
async fn pending_email_change_is_revoked_by_a_newer_one() {
    let app = TestApp::start().await;
    let mut visitor = app.customer(OLD).await;
    request_change(&mut visitor, NEW).await;
    let first = mailbox::mail_to(&app, NEW, CONFIRM_NEW).await;
    request_change(&mut visitor, "ann@third.example").await;
    assert_eq!(app.confirm_address(first.token()).await.status, 422);
    assert!(visitor.get("/account").await.text().contains(OLD));
    let second = mailbox::mail_to(&app, "ann@third.example", CONFIRM_NEW).await;
    assert_eq!(app.confirm_address(second.token()).await.status, 303);
}

#[tokio::test]
async fn email_change_rejects_malformed_and_unchanged_addresses() {
    let app = TestApp::start().await;
    let mut visitor = app.customer(OLD).await;
    for typed in ["", "ann@", "Ann@Example.com", "a@b.example\r\nBcc: c@d.example"] {
        let response = request_change(&mut visitor, typed).await;
        assert!(
            response.is_page(422) && response.text().contains("id=\"new-email-error\""),
            "{typed:?}: {}",
            response.status
        );
    }
}

#[tokio::test]
async fn email_change_link_sent_twice_works_once() {
    let app = TestApp::start().await;
    let mut visitor = app.customer(OLD).await;
    request_change(&mut visitor, NEW).await;
    let link = mailbox::mail_to(&app, NEW, CONFIRM_NEW).await;
    // The mail is delivered again if the connection breaks after the server has accepted it.
    let token = "5ca1ab1e".repeat(8);
    let again = "INSERT INTO email_tokens (hash, user_id, purpose, email, created_at, expires_at)
         SELECT $1, user_id, purpose, email, created_at, expires_at FROM email_tokens WHERE purpose = 'change-email'";
    sqlx::query(again).bind(Sha256::digest(&token).to_vec()).execute(&app.database().await).await.unwrap();
    assert_eq!(app.confirm_address(link.token()).await.status, 303);
    assert_eq!(app.confirm_address(&token).await.status, 422);
}

#[tokio::test]
async fn delayed_email_change_after_session_end_does_nothing() {
    let app = TestApp::start().await;
    let visitor = app.customer(ANN).await;
    let fields = format!("email=evil%40example.com&password={}", PASSWORD.replace(' ', "+"));
    let delayed = DelayedRequest::send_head(&app, &visitor.token(), "/account/email", &fields).await;
    delayed_forms::wait_until_heads_are_read(&app).await;
    app.execute("UPDATE sessions SET revoked_at = 1, expires_at = 1 WHERE revoked_at IS NULL").await;
    assert_eq!(delayed.send_body().await.redirect(), (303, "/login?next=%2Faccount%2Femail"));
    let queued = "mail_queue WHERE purpose = 'change-email'";
    assert_eq!(app.count(queued).await, 0, "mail to the new address is queued");
}
