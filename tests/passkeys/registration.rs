//! Adding a passkey.

use serde_json::json;

use super::{
    FINISH_REGISTRATION, START_REGISTRATION, at_public_url, log_in, post_json, public_origin, reauthentication_field,
    register, start,
};
use crate::app::{ANN, BOB, PASSWORD, TestApp, WRONG_PASSWORD};
use crate::authenticator::Passkey;
use crate::http::Response;
use crate::mailbox;

fn assert_not_added(response: &Response, context: &str) {
    assert_eq!(response.status, 422, "{context}: {}", response.text());
    assert_eq!(response.json()["error"], "The passkey was not added. Try again.", "{context}");
}

#[tokio::test]
async fn added_passkey_is_listed_recorded_and_mailed() {
    let app = TestApp::start().await;
    let mut ann = app.verified_customer(ANN).await;
    register(&app, &mut ann).await;
    let page = ann.get("/account/passkeys").await.text();
    assert!(page.contains("The passkey was added.") && page.contains("Passkey on an unknown device"), "{page}");
    assert!(ann.get("/account/activity").await.text().contains("Passkey added"));
    let mail = mailbox::mail_to(&app, ANN, "A passkey was added to your account").await;
    assert!(mail.text.contains("\"Passkey on an unknown device\""), "{}", mail.text);
    assert!(mail.path().starts_with("/not-me?token="), "{}", mail.text);
}

#[tokio::test]
async fn unconfirmed_account_cannot_add_a_passkey() {
    let app = TestApp::start().await;
    let mut ann = app.customer(ANN).await;
    let response = ann.post(START_REGISTRATION, &[("password", PASSWORD)]).await;
    assert_eq!(response.status, 422);
    assert_eq!(response.json()["error"], "Confirm your email address first. Then you can add a passkey.");
    assert!(!ann.get("/account/passkeys").await.text().contains("action=\"/account/passkeys/start\""));
}

#[tokio::test]
async fn address_that_is_no_longer_confirmed_adds_no_passkey() {
    let app = TestApp::start().await;
    let mut ann = app.verified_customer(ANN).await;
    let (options, state) = start(&mut ann, START_REGISTRATION, &[("password", PASSWORD)]).await;
    app.execute("UPDATE users SET verified_at = NULL").await;
    let credential = Passkey::create(&options, &public_origin(&app)).attestation(&options);
    let body = json!({ "state": state, "credential": credential });
    assert_not_added(&post_json(&mut ann, FINISH_REGISTRATION, &body).await, "unconfirmed");
    assert_eq!(app.count("passkeys").await, 0);
}

#[tokio::test]
async fn registration_is_reauthenticated_by_password_or_another_passkey() {
    let app = TestApp::start().await;
    let mut ann = app.verified_customer(ANN).await;
    let token = ann.token();
    for (fields, message) in
        [(&[][..], "Enter your password."), (&[("password", WRONG_PASSWORD)], "Password is incorrect. Try again.")]
    {
        let response = ann.post(START_REGISTRATION, fields).await;
        assert_eq!((response.status, response.json()["error"].as_str()), (422, Some(message)));
    }
    let mut passkey = register(&app, &mut ann).await;
    assert_eq!(app.get_with_token("/account", &token).await.status, 303, "the session kept its id");
    let field = reauthentication_field(&mut ann, &mut passkey).await;
    let (options, state) = start(&mut ann, START_REGISTRATION, &[("passkey", &field)]).await;
    let mut second = Passkey::create(&options, &public_origin(&app));
    let body = json!({ "state": state, "credential": second.attestation(&options) });
    assert_eq!(post_json(&mut ann, FINISH_REGISTRATION, &body).await.status, 200);
    // A second device logs in to the same account.
    let mut visitor = app.visitor();
    assert_eq!(log_in(&mut visitor, &mut second).await.status, 200);
    assert!(visitor.get("/account").await.text().contains(ANN));
}

#[tokio::test]
async fn registration_answer_is_valid_once_in_its_session() {
    let app = TestApp::start().await;
    let mut ann = app.verified_customer(ANN).await;
    let mut bob = app.verified_customer(BOB).await;
    let (options, state) = start(&mut ann, START_REGISTRATION, &[("password", PASSWORD)]).await;
    let passkey = Passkey::create(&options, &public_origin(&app));
    let body = json!({ "state": state, "credential": passkey.attestation(&options) });
    assert_not_added(&post_json(&mut bob, FINISH_REGISTRATION, &body).await, "another account");
    let mut other = app.new_session(ANN, PASSWORD).await;
    assert_not_added(&post_json(&mut other, FINISH_REGISTRATION, &body).await, "another session");
    assert_eq!(post_json(&mut ann, FINISH_REGISTRATION, &body).await.status, 200);
    app.execute("DELETE FROM passkeys").await;
    assert_not_added(&post_json(&mut ann, FINISH_REGISTRATION, &body).await, "replay");
    assert_eq!(app.count("passkeys").await, 0);
}

#[tokio::test]
async fn credential_with_a_wrong_claim_is_not_added() {
    let app = TestApp::start().await;
    let mut ann = app.verified_customer(ANN).await;
    let first = register(&app, &mut ann).await;
    let cases: [(&str, fn(&mut Passkey, &Passkey)); 4] = [
        ("origin", |passkey, _| passkey.origin = "http://evil.example".to_owned()),
        ("relying party", |passkey, _| passkey.rp_id = "evil.example".to_owned()),
        ("no user verification", |passkey, _| passkey.flags = 0x01),
        ("an id that is stored", |passkey, first| passkey.id.clone_from(&first.id)),
    ];
    for (context, change) in cases {
        let (options, state) = start(&mut ann, START_REGISTRATION, &[("password", PASSWORD)]).await;
        let mut passkey = Passkey::create(&options, &public_origin(&app));
        change(&mut passkey, &first);
        let body = json!({ "state": state, "credential": passkey.attestation(&options) });
        assert_not_added(&post_json(&mut ann, FINISH_REGISTRATION, &body).await, context);
    }
    // A credential that the authenticator cannot find by itself.
    let (options, state) = start(&mut ann, START_REGISTRATION, &[("password", PASSWORD)]).await;
    let mut credential = Passkey::create(&options, &public_origin(&app)).attestation(&options);
    credential["clientExtensionResults"]["credProps"]["rk"] = json!(false);
    let body = json!({ "state": state, "credential": credential });
    assert_not_added(&post_json(&mut ann, FINISH_REGISTRATION, &body).await, "not discoverable");
    assert_eq!(app.count("passkeys").await, 1);
}

#[tokio::test]
async fn account_has_at_most_20_passkeys() {
    let app = TestApp::start().await;
    let mut ann = app.verified_customer(ANN).await;
    register(&app, &mut ann).await;
    let copy = "INSERT INTO passkeys (id, user_id, credential_id, credential, name, created_at)
         SELECT 'p' || n.value, user_id, CAST(n.value AS ";
    for number in 0..18 {
        let id = format!(
            "{copy}{}) , credential, name, created_at FROM passkeys, (SELECT '{number}' AS value) n LIMIT 1",
            if app.is_postgres() { "BYTEA" } else { "BLOB" }
        );
        app.execute(&id).await;
    }
    // Two forms that were both opened with 19 passkeys.
    let (first_options, first_state) = start(&mut ann, START_REGISTRATION, &[("password", PASSWORD)]).await;
    let first = Passkey::create(&first_options, &public_origin(&app)).attestation(&first_options);
    let response =
        post_json(&mut ann, FINISH_REGISTRATION, &json!({ "state": first_state, "credential": first })).await;
    assert_eq!(response.status, 200, "{}", response.text());
    assert_eq!(app.count("passkeys").await, 20);
    let response = ann.post(START_REGISTRATION, &[("password", PASSWORD)]).await;
    assert_eq!(response.status, 422);
    assert!(response.json()["error"].as_str().unwrap().contains("Remove one first"), "{}", response.text());
    let page = at_public_url(&app, &ann).get("/account/passkeys").await.text();
    assert!(page.contains("Remove one before you add another"), "{page}");
}
