//! Changing the address of an account.

use sha2::{Digest, Sha256};

use crate::app::{PASSWORD, TestApp};
use crate::delayed_forms::{self, HeldBack};
use crate::http::Visitor;
use crate::mailbox::{self, CONFIRM, CONFIRM_NEW, NEW_PASSWORD};
use crate::shop::{export, order};

const OLD: &str = "ann@example.com";
const NEW: &str = "ann@elsewhere.example";
const ABOUT_TO: &str = "Your e-mail address is about to change";
const DONE: &str = "Your e-mail address was changed";

async fn ask(visitor: &mut Visitor, to: &str) -> crate::http::Answer {
    visitor.post("/account/email", &[("email", to), ("password", PASSWORD)]).await
}

async fn log_in(app: &TestApp, email: &str) -> u16 {
    app.visitor().post("/login", &[("email", email), ("password", PASSWORD)]).await.status
}

async fn press(app: &TestApp, token: &str) -> u16 {
    app.visitor().post("/verify", &[("token", token), ("password", PASSWORD)]).await.status
}

#[tokio::test]
async fn email_change_is_confirmed_and_notifies_the_old_address() {
    let app = TestApp::start().await;
    let mut visitor = app.verified_customer(OLD).await;
    let file = app.write("orders.csv", export(&[order("#7001", NEW), order("#7002", "bob@example.com")]));
    app.done(&["import", &file]);
    assert_eq!(ask(&mut visitor, " Ann@Elsewhere.Example ").await.leads_to(), (303, "/account#email"));
    let link = mailbox::mail_to(&app, NEW, CONFIRM_NEW).await;
    let told = mailbox::mail_to(&app, OLD, ABOUT_TO).await;
    assert!(told.text.contains(NEW) && !told.raw.contains("token"), "{}", told.text);
    assert!(app.get(link.path()).await.text().contains(NEW));
    assert_eq!((log_in(&app, OLD).await, log_in(&app, NEW).await), (303, 401), "changed before it was confirmed");
    assert_eq!(visitor.get("/orders/7001").await.status, 404);
    assert_eq!(visitor.post("/verify", &[("token", link.token())]).await.leads_to(), (303, "/orders"));
    assert_eq!((log_in(&app, OLD).await, log_in(&app, NEW).await), (401, 303));
    assert!(visitor.get("/orders/7001").await.is_page(200));
    assert_eq!(visitor.get("/orders/7002").await.status, 404);
    assert!(!visitor.get("/orders").await.text().contains("/account/verification"), "the new address is unconfirmed");
    let told = mailbox::mail_to(&app, OLD, DONE).await;
    assert!(told.text.contains(NEW) && told.path().starts_with("/not-me?token="), "{}", told.text);
    assert_eq!(press(&app, link.token()).await, 422, "the token was valid twice");
}

#[tokio::test]
async fn email_change_revokes_other_sessions() {
    let app = TestApp::start().await;
    let mut visitor = app.customer(OLD).await;
    let mut other = app.visitor();
    other.post("/login", &[("email", OLD), ("password", PASSWORD)]).await;
    let token = app.api_token(OLD).await;
    ask(&mut visitor, NEW).await;
    let link = mailbox::mail_to(&app, NEW, CONFIRM_NEW).await;
    assert_eq!(visitor.post("/verify", &[("token", link.token())]).await.leads_to(), (303, "/orders"));
    assert!(visitor.get("/orders").await.is_page(200), "the session that confirmed has ended");
    assert_eq!(other.get("/orders").await.status, 303, "another session is active");
    assert_eq!(app.api_get("/api/userOrders", &token).await.status, 403, "an API token is valid");
    ask(&mut visitor, OLD).await;
    let link = mailbox::mail_to(&app, OLD, CONFIRM_NEW).await;
    assert_eq!(press(&app, link.token()).await, 303);
    assert_eq!(
        visitor.get("/orders").await.status,
        303,
        "confirmed elsewhere with the password, yet a session goes on"
    );
}

#[tokio::test]
async fn email_change_revokes_tokens_sent_to_the_old_address() {
    let app = TestApp::start().await;
    let mut visitor = app.customer(OLD).await;
    visitor.post("/password/forgot", &[("email", OLD)]).await;
    ask(&mut visitor, NEW).await;
    mailbox::all_gone(&app).await;
    let of = |to, subject| mailbox::mails_to(&app, to, subject).remove(0);
    let (verify, reset) = (of(OLD, CONFIRM), of(OLD, NEW_PASSWORD));
    assert_eq!(press(&app, of(NEW, CONFIRM_NEW).token()).await, 303);
    assert_eq!(press(&app, verify.token()).await, 422);
    let fields = [("token", reset.token()), ("password", "a quiet harbour at dusk")];
    assert_eq!(app.visitor().post("/password/reset", &fields).await.status, 422);
    assert_eq!(log_in(&app, NEW).await, 303);
}

#[tokio::test]
async fn email_change_to_a_taken_address_looks_the_same_without_a_link() {
    let app = TestApp::start().await;
    app.customer("bob@example.com").await;
    let mut visitor = app.verified_customer(OLD).await;
    let free = ask(&mut visitor, NEW).await;
    let free_page = visitor.get("/account").await.text();
    let taken = ask(&mut visitor, "bob@example.com").await;
    let taken_page = visitor.get("/account").await.text();
    assert_eq!((free.leads_to(), free.text()), (taken.leads_to(), taken.text()));
    let notice = |page: &str| page.split("role=\"status\"").nth(1).unwrap().split("</p>").next().unwrap().to_owned();
    assert_eq!(notice(&free_page), notice(&taken_page));
    mailbox::all_gone(&app).await;
    assert!(mailbox::mails_to(&app, "bob@example.com", CONFIRM_NEW).is_empty());
    assert_eq!(mailbox::mails_to(&app, OLD, ABOUT_TO).len(), 2);
}

#[tokio::test]
async fn email_change_fails_if_the_address_is_taken_meanwhile() {
    let app = TestApp::start().await;
    let mut visitor = app.customer(OLD).await;
    ask(&mut visitor, NEW).await;
    let link = mailbox::mail_to(&app, NEW, CONFIRM_NEW).await;
    let mut other = app.customer(NEW).await;
    assert_eq!(press(&app, link.token()).await, 422);
    assert!(visitor.get("/account").await.text().contains(OLD));
    assert!(other.get("/account").await.text().contains("not confirmed yet"));
    assert_eq!(log_in(&app, OLD).await, 303);
}

#[tokio::test]
async fn pending_email_change_is_revoked_by_a_newer_one_or_a_new_password() {
    let app = TestApp::start().await;
    let mut visitor = app.customer(OLD).await;
    ask(&mut visitor, NEW).await;
    let first = mailbox::mail_to(&app, NEW, CONFIRM_NEW).await;
    ask(&mut visitor, "ann@third.example").await;
    let second = mailbox::mail_to(&app, "ann@third.example", CONFIRM_NEW).await;
    assert_eq!(press(&app, first.token()).await, 422);
    let fields = [("current_password", PASSWORD), ("new_password", "a quiet harbour at dusk")];
    assert_eq!(visitor.post("/account/password", &fields).await.leads_to(), (303, "/account#password"));
    assert_eq!(press(&app, second.token()).await, 422);
    assert!(visitor.get("/account").await.text().contains(OLD));
}

#[tokio::test]
async fn email_change_rejects_malformed_and_unchanged_addresses() {
    let app = TestApp::start().await;
    let mut visitor = app.customer(OLD).await;
    for typed in ["", "ann@", "Ann@Example.com", "a@b.example\r\nBcc: c@d.example"] {
        let answer = ask(&mut visitor, typed).await;
        assert!(
            answer.is_page(422) && answer.text().contains("id=\"new-email-error\""),
            "{typed:?}: {}",
            answer.status
        );
    }
}

#[tokio::test]
async fn email_change_link_sent_twice_works_once() {
    let app = TestApp::start().await;
    let mut visitor = app.customer(OLD).await;
    ask(&mut visitor, NEW).await;
    let link = mailbox::mail_to(&app, NEW, CONFIRM_NEW).await;
    // The mail is delivered again if the connection breaks after the server has accepted it.
    let token = "5ca1ab1e".repeat(8);
    let again = "INSERT INTO email_tokens (hash, user_id, purpose, email, created_at, expires_at)
         SELECT $1, user_id, purpose, email, created_at, expires_at FROM email_tokens WHERE purpose = 'change-email'";
    sqlx::query(again).bind(Sha256::digest(&token).to_vec()).execute(&app.database().await).await.unwrap();
    assert_eq!(press(&app, link.token()).await, 303);
    assert_eq!(press(&app, &token).await, 422);
}

#[tokio::test]
async fn delayed_email_change_after_session_end_does_nothing() {
    let app = TestApp::start().await;
    let thief = app.customer("ann@example.com").await;
    let database = app.database().await;
    let fields = format!("email=evil%40example.com&password={}", PASSWORD.replace(' ', "+"));
    let held = HeldBack::send_head(&app, &thief.token(), "/account/email", &fields).await;
    delayed_forms::heads_are_read(&app).await;
    let end = "UPDATE sessions SET revoked_at = 1, expires_at = 1 WHERE revoked_at IS NULL";
    sqlx::query(end).execute(&database).await.unwrap();
    assert_eq!(held.send_body().await.leads_to(), (303, "/login"));
    let asked = "SELECT COUNT(*) FROM mail_queue WHERE purpose = 'change-email'";
    let queued: i64 = sqlx::query_scalar(asked).fetch_one(&database).await.unwrap();
    assert_eq!(queued, 0, "mail to the attacker's address is queued");
}
