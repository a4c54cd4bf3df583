//! The mail about a login from a browser or network that the account does not know.

use reqwest::Method;
use serde_json::json;

use crate::app::{ANN, BOB, NEW_PASSWORD, PASSWORD, TestApp, WRONG_PASSWORD};
use crate::http::{self, Visitor};
use crate::mailbox::{self, RESET, SentMail};
use crate::notices::{is_secured, use_link};

const NEW_LOGIN: &str = "New login to your account";
const FIREFOX: &str = "Mozilla/5.0 (X11; Linux x86_64; rv:140.0) Gecko/20100101 Firefox/140.0";

async fn new_logins(app: &TestApp, email: &str) -> Vec<SentMail> {
    mailbox::wait_for_empty_queue(app).await;
    mailbox::mails_to(app, email, NEW_LOGIN)
}

/// A login with this `User-Agent`; equal notices within ten minutes are merged.
async fn log_in_as(visitor: &mut Visitor, agent: &str, password: &str) -> u16 {
    let request = visitor.request(Method::POST, "/login").header("user-agent", agent);
    visitor.send(request.form(&[("email", ANN), ("password", password)])).await.status
}

#[tokio::test]
async fn login_from_a_new_browser_is_mailed_with_a_recovery_link() {
    let app = TestApp::start().await;
    let mut ann = app.verified_customer(ANN).await;
    let mut thief = app.visitor();
    assert_eq!(log_in_as(&mut thief, FIREFOX, WRONG_PASSWORD).await, 401);
    assert!(new_logins(&app, ANN).await.is_empty(), "a wrong password was mailed");
    assert_eq!(log_in_as(&mut thief, FIREFOX, PASSWORD).await, 303);
    let mail = mailbox::mail_to(&app, ANN, NEW_LOGIN).await;
    for text in ["127.0.0.1", "Firefox on Linux", "/not-me?token="] {
        assert!(mail.text.contains(text) && mail.html.contains(text), "{text}: {}", mail.text);
    }
    assert!(is_secured(&use_link(&app, &mail).await));
    for visitor in [&mut thief, &mut ann] {
        assert_eq!(visitor.get("/account").await.status, 303, "a session is left");
    }
    assert_eq!(log_in_as(&mut thief, FIREFOX, PASSWORD).await, 401, "the password still works");
    // The login in the browser of the reset is not mailed, nor are later ones there.
    let reset = mailbox::mail_to(&app, ANN, RESET).await;
    let mut owner = app.visitor();
    owner.post("/password/reset", &[("token", reset.token()), ("password", NEW_PASSWORD)]).await;
    for _ in 0..2 {
        assert_eq!(log_in_as(&mut owner, "", NEW_PASSWORD).await, 303);
        owner.post("/logout", &[]).await;
    }
    assert_eq!(new_logins(&app, ANN).await.len(), 1);
}

#[tokio::test]
async fn login_from_a_known_browser_is_not_mailed() {
    let app = TestApp::start().await;
    let mut ann = app.verified_customer(ANN).await;
    for agent in ["", FIREFOX] {
        ann.post("/logout", &[]).await;
        assert_eq!(log_in_as(&mut ann, agent, PASSWORD).await, 303);
    }
    assert!(new_logins(&app, ANN).await.is_empty(), "the browser of the sign-up is not known");
    // Another account does not know it.
    let mut bob = app.verified_customer(BOB).await;
    bob.post("/logout", &[]).await;
    assert_eq!(log_in_as(&mut bob, "", PASSWORD).await, 303);
    assert_eq!(new_logins(&app, ANN).await.len(), 1);
    // Equal logins within ten minutes are merged.
    for _ in 0..3 {
        app.new_session(ANN, PASSWORD).await;
    }
    assert_eq!(new_logins(&app, ANN).await.len(), 1);
}

#[tokio::test]
async fn api_login_is_mailed_from_an_unknown_network() {
    let app = TestApp::start_with(&[("TRUSTED_PROXIES", "127.0.0.1")]).await;
    app.verified_customer(ANN).await;
    let log_in = async |address: &str| {
        let request = app.request(Method::POST, "/api/login").header("x-forwarded-for", address);
        http::send(request.json(&json!({ "email": ANN, "password": PASSWORD }))).await.status
    };
    app.api_token(ANN).await;
    assert!(new_logins(&app, ANN).await.is_empty(), "the network of the sign-up is not known");
    for _ in 0..2 {
        assert_eq!(log_in("203.0.113.9").await, 200);
        assert_eq!(new_logins(&app, ANN).await.len(), 1);
    }
    assert!(mailbox::mail_to(&app, ANN, NEW_LOGIN).await.text.contains("203.0.113.9"));
}

#[tokio::test]
async fn login_to_an_unconfirmed_account_is_not_mailed() {
    let app = TestApp::start().await;
    app.customer(ANN).await;
    app.new_session(ANN, PASSWORD).await;
    assert!(new_logins(&app, ANN).await.is_empty());
    assert_eq!(app.count("recoveries").await, 0);
}

#[tokio::test]
async fn login_after_a_reset_elsewhere_is_not_mailed() {
    let app = TestApp::start().await;
    app.verified_customer(ANN).await;
    app.visitor().post("/password/forgot", &[("email", ANN)]).await;
    let reset = mailbox::mail_to(&app, ANN, RESET).await;
    app.visitor().post("/password/reset", &[("token", reset.token()), ("password", NEW_PASSWORD)]).await;
    app.new_session(ANN, NEW_PASSWORD).await;
    let body = json!({ "email": ANN, "password": NEW_PASSWORD });
    assert_eq!(app.api_post("/api/login", &body).await.status, 200);
    assert!(new_logins(&app, ANN).await.is_empty());
}
