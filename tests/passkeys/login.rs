//! Login with a passkey.

use serde_json::json;

use super::{
    FINISH_LOGIN, START_LOGIN, START_REAUTHENTICATION, assert_refused, log_in, login_answer, post_json, register, start,
};
use crate::app::{ANN, BOB, PASSWORD, TestApp};
use crate::authenticator::decode;
use crate::mailbox;
use crate::token::Token;

#[tokio::test]
async fn passkey_logs_in_without_address_and_password() {
    let app = TestApp::start().await;
    let mut ann = app.verified_customer(ANN).await;
    let mut passkey = register(&app, &mut ann).await;
    let mut visitor = app.visitor();
    let mut answer = login_answer(&mut visitor, &mut passkey).await;
    answer["next"] = json!("/account");
    let response = post_json(&mut visitor, FINISH_LOGIN, &answer).await;
    assert_eq!((response.status, response.json()), (200, json!({ "next": "/account" })));
    let (_, attributes) = response.session_cookie().unwrap();
    assert_eq!(attributes, ["HttpOnly", "Path=/", "SameSite=Strict", "Secure"]);
    let page = visitor.get("/account").await;
    assert!(page.is_page(200) && page.text().contains(ANN));
    assert!(visitor.get("/account/activity").await.text().contains("Logged in with a passkey"));
    assert_eq!(app.count("passkeys WHERE last_used_at IS NOT NULL").await, 1);
    // Like a login with the password, it trusts the browser, and tells the owner about a new one.
    assert_eq!(app.count("trusted_browsers").await, 2);
    mailbox::mail_to(&app, ANN, "New login to your account").await;
}

#[tokio::test]
async fn remembered_passkey_login_outlives_the_browser() {
    let app = TestApp::start().await;
    let mut ann = app.verified_customer(ANN).await;
    let mut passkey = register(&app, &mut ann).await;
    let mut visitor = app.visitor();
    let mut answer = login_answer(&mut visitor, &mut passkey).await;
    answer["remember"] = json!(true);
    answer["next"] = json!("https://evil.example/");
    let response = post_json(&mut visitor, FINISH_LOGIN, &answer).await;
    assert_eq!(response.json()["next"], "/orders");
    let (token, attributes) = response.session_cookie().unwrap();
    assert!(attributes.iter().any(|attribute| attribute.starts_with("Max-Age=259")), "{attributes:?}");
    let token = Token::read(&token);
    assert_eq!(token.time("exp") - token.time("iat"), 30 * 86_400);
}

#[tokio::test]
async fn login_answer_is_valid_once() {
    let app = TestApp::start().await;
    let mut ann = app.verified_customer(ANN).await;
    let mut passkey = register(&app, &mut ann).await;
    let answer = login_answer(&mut app.visitor(), &mut passkey).await;
    let mut visitors: Vec<_> = (0..5).map(|_| app.visitor()).collect();
    let responses =
        futures_util::future::join_all(visitors.iter_mut().map(|visitor| post_json(visitor, FINISH_LOGIN, &answer)))
            .await;
    let statuses: Vec<u16> = responses.iter().map(|response| response.status).collect();
    assert_eq!(statuses.iter().filter(|status| **status == 200).count(), 1, "{statuses:?}");
    assert_refused(&post_json(&mut app.visitor(), FINISH_LOGIN, &answer).await, "replay");
}

#[tokio::test]
async fn start_writes_nothing_to_the_database() {
    let app = TestApp::start().await;
    let changes = async || {
        let mut rows = 0;
        for table in ["used_passkey_challenges", "rate_limits", "audit_events", "sessions", "pending_logins"] {
            rows += app.count(table).await;
        }
        rows
    };
    let before = changes().await;
    for _ in 0..20 {
        start(&mut app.visitor(), START_LOGIN, &[]).await;
    }
    app.visitor().get("/login").await;
    assert_eq!(changes().await, before);
}

#[tokio::test]
async fn login_works_on_another_node_and_after_a_restart() {
    let mut app = TestApp::start().await;
    let mut ann = app.verified_customer(ANN).await;
    let mut passkey = register(&app, &mut ann).await;
    let answer = login_answer(&mut app.visitor(), &mut passkey).await;
    app.stop_with("TERM");
    app.restart().await;
    assert_eq!(post_json(&mut app.visitor(), FINISH_LOGIN, &answer).await.status, 200);
}

#[tokio::test]
async fn assertion_with_a_wrong_claim_is_refused() {
    let app = TestApp::start().await;
    let mut ann = app.verified_customer(ANN).await;
    let mut bob = app.verified_customer(BOB).await;
    let mut passkey = register(&app, &mut ann).await;
    let mut other = register(&app, &mut bob).await;
    let (origin, handle) = (passkey.origin.clone(), passkey.user_handle.clone());

    passkey.origin = "http://evil.example".to_owned();
    assert_refused(&log_in(&mut app.visitor(), &mut passkey).await, "origin");
    passkey.origin = format!("http://127.0.0.1:{}", app.port);
    assert_refused(&log_in(&mut app.visitor(), &mut passkey).await, "origin of another name");
    passkey.origin = origin;
    passkey.rp_id = "evil.example".to_owned();
    assert_refused(&log_in(&mut app.visitor(), &mut passkey).await, "relying party");
    passkey.rp_id = "localhost".to_owned();
    passkey.user_handle = other.user_handle.clone();
    assert_refused(&log_in(&mut app.visitor(), &mut passkey).await, "another user's handle");
    passkey.user_handle = None;
    assert_refused(&log_in(&mut app.visitor(), &mut passkey).await, "no user handle");
    passkey.user_handle = handle;
    let id = std::mem::replace(&mut passkey.id, other.id.clone());
    assert_refused(&log_in(&mut app.visitor(), &mut passkey).await, "another passkey's id");
    passkey.id = id;
    let mut passkey = passkey.without_user_verification();
    assert_refused(&log_in(&mut app.visitor(), &mut passkey).await, "no user verification");
    assert_eq!(app.count("audit_events WHERE event = 'sign-in-failed'").await, 7);
    assert_eq!(log_in(&mut app.visitor(), &mut other).await.status, 200);
}

#[tokio::test]
async fn state_of_another_ceremony_is_refused() {
    let app = TestApp::start().await;
    let mut ann = app.verified_customer(ANN).await;
    let mut passkey = register(&app, &mut ann).await;
    let (options, state) = start(&mut ann, START_REAUTHENTICATION, &[]).await;
    let answer = json!({ "state": state, "credential": passkey.assertion(&options) });
    assert_refused(&post_json(&mut app.visitor(), FINISH_LOGIN, &answer).await, "state of a reauthentication");
    // A challenge that the server has not chosen.
    let (options, _) = start(&mut app.visitor(), START_LOGIN, &[]).await;
    let (_, state) = start(&mut app.visitor(), START_LOGIN, &[]).await;
    let answer = json!({ "state": state, "credential": passkey.assertion(&options) });
    assert_refused(&post_json(&mut app.visitor(), FINISH_LOGIN, &answer).await, "state of another challenge");
}

#[tokio::test]
async fn removed_passkey_is_unknown_and_the_script_may_say_so() {
    let app = TestApp::start().await;
    let mut ann = app.verified_customer(ANN).await;
    let mut passkey = register(&app, &mut ann).await;
    let answer = login_answer(&mut app.visitor(), &mut passkey).await;
    app.execute("DELETE FROM passkeys").await;
    let response = post_json(&mut app.visitor(), FINISH_LOGIN, &answer).await;
    assert_refused(&response, "removed");
    assert_eq!(response.json()["unknown"], "localhost");
}

#[tokio::test]
async fn disabled_account_is_refused_like_a_wrong_signature() {
    let app = TestApp::start().await;
    let mut ann = app.verified_customer(ANN).await;
    let mut passkey = register(&app, &mut ann).await;
    app.run_ok(&["user", "disable", ANN]);
    let response = log_in(&mut app.visitor(), &mut passkey).await;
    assert_refused(&response, "disabled");
    assert!(response.json().get("unknown").is_none(), "the browser would delete the passkey");
    app.run_ok(&["user", "enable", ANN]);
    assert_eq!(log_in(&mut app.visitor(), &mut passkey).await.status, 200);
}

#[tokio::test]
async fn copied_passkey_is_refused_and_recorded() {
    let app = TestApp::start().await;
    let mut ann = app.verified_customer(ANN).await;
    let mut passkey = register(&app, &mut ann).await;
    passkey.counter = 10;
    assert_eq!(log_in(&mut app.visitor(), &mut passkey).await.status, 200);
    // The copy has the counter of the time when it was made.
    passkey.counter = 5;
    assert_refused(&log_in(&mut app.visitor(), &mut passkey).await, "copy");
    passkey.counter = 10;
    assert_refused(&log_in(&mut app.visitor(), &mut passkey).await, "the same counter");
    let activity = ann.get("/account/activity").await.text();
    assert!(activity.contains("Passkey refused, because it may have been copied"), "{activity}");
    passkey.counter = 20;
    assert_eq!(log_in(&mut app.visitor(), &mut passkey).await.status, 200);
}

#[tokio::test]
async fn user_handle_is_random_and_the_same_for_all_passkeys() {
    let app = TestApp::start().await;
    let mut ann = app.verified_customer(ANN).await;
    let first = register(&app, &mut ann).await;
    let (options, _) = start(&mut ann, super::START_REGISTRATION, &[("password", PASSWORD)]).await;
    assert_eq!(first.user_handle, Some(decode(&options["user"]["id"])));
    assert_eq!(options["user"]["name"], ANN);
    let excluded = options["excludeCredentials"].as_array().unwrap();
    assert_eq!(excluded.iter().map(|passkey| decode(&passkey["id"])).collect::<Vec<_>>(), [first.id]);
    let mut bob = app.verified_customer(BOB).await;
    assert_ne!(register(&app, &mut bob).await.user_handle, first.user_handle);
}

#[tokio::test]
async fn failed_assertions_are_rate_limited_without_locking_the_owner_out() {
    let app = TestApp::start().await;
    let mut ann = app.verified_customer(ANN).await;
    let mut passkey = register(&app, &mut ann).await;
    let origin = std::mem::replace(&mut passkey.origin, "http://evil.example".to_owned());
    app.execute("DELETE FROM trusted_networks").await;
    let mut last = 0;
    for _ in 0..11 {
        last = log_in(&mut app.visitor(), &mut passkey).await.status;
    }
    assert_eq!(last, 429);
    let response = log_in(&mut app.visitor(), &mut passkey).await;
    assert_eq!(response.status, 429);
    assert!(response.header("retry-after").is_some());
    assert!(response.json()["error"].as_str().unwrap().starts_with("Too many failed attempts. Try again "));
    passkey.origin = origin;
    // The owner's browser has its own limit, and so has the password.
    ann.post("/logout", &[]).await;
    assert_eq!(log_in(&mut ann, &mut passkey).await.status, 200);
    assert_eq!(app.log_in(ANN, PASSWORD).await.status, 303);
}
