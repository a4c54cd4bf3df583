//! A passkey in place of the password in the form of a sensitive change.

use serde_json::json;

use super::{START_LOGIN, at_public_url, reauthentication_field, register, start};
use crate::app::{ANN, BOB, NEW_PASSWORD, PASSWORD, TestApp};
use crate::http::Visitor;

const PASSWORD_CHANGE: [(&str, &str); 1] = [("new_password", NEW_PASSWORD)];

async fn change_password(visitor: &mut Visitor, field: &str) -> u16 {
    visitor.post("/account/password", &[&PASSWORD_CHANGE[..], &[("passkey", field)]].concat()).await.status
}

#[tokio::test]
async fn passkey_reauthenticates_every_sensitive_form() {
    let app = TestApp::start().await;
    for (path, fields) in [
        ("/account/export", &[][..]),
        ("/account/email", &[("email", "new@example.com")]),
        ("/account/password", &PASSWORD_CHANGE),
        ("/account/mfa/start", &[]),
        ("/account/delete", &[]),
    ] {
        let mut ann = app.verified_customer(ANN).await;
        let mut passkey = register(&app, &mut ann).await;
        let before = ann.token();
        let field = reauthentication_field(&mut ann, &mut passkey).await;
        let response = ann.post(path, &[fields, &[("passkey", &field)]].concat()).await;
        assert!([200, 303].contains(&response.status), "{path}: {} {}", response.status, response.text());
        assert_eq!(app.get_with_token("/account", &before).await.status, 303, "{path}: the session kept its id");
        app.execute("DELETE FROM users").await;
    }
}

#[tokio::test]
async fn reauthentication_is_valid_once_for_its_account() {
    let app = TestApp::start().await;
    let mut ann = app.verified_customer(ANN).await;
    let mut passkey = register(&app, &mut ann).await;
    let mut bob = app.verified_customer(BOB).await;
    let mut bobs = register(&app, &mut bob).await;
    // Each other's passkeys and challenges.
    let (options, state) = start(&mut ann, super::START_REAUTHENTICATION, &[]).await;
    let of_bob = json!({ "state": state, "credential": bobs.assertion(&options) }).to_string();
    assert_eq!(change_password(&mut ann, &of_bob).await, 422, "Bob's passkey");
    assert_eq!(change_password(&mut bob, &of_bob).await, 422, "Ann's challenge");
    // A challenge of the login page, which anybody can get.
    let (options, state) = start(&mut app.visitor(), START_LOGIN, &[]).await;
    let of_login = json!({ "state": state, "credential": passkey.assertion(&options) }).to_string();
    assert_eq!(change_password(&mut ann, &of_login).await, 422, "a challenge of a login");
    let field = reauthentication_field(&mut ann, &mut passkey).await;
    assert_eq!(ann.post("/account/export", &[("passkey", &field)]).await.status, 200);
    assert_eq!(change_password(&mut ann, &field).await, 422, "replay");
    assert_eq!(app.count("audit_events WHERE event = 'password-changed'").await, 0);
    assert_eq!(app.count("audit_events WHERE event = 'confirm-failed'").await, 4);
}

#[tokio::test]
async fn malformed_reauthentication_is_refused_and_counted() {
    let app = TestApp::start().await;
    let mut ann = app.verified_customer(ANN).await;
    register(&app, &mut ann).await;
    for field in ["x", "{}", "null", "[1]", "{\"state\":\"\",\"credential\":{}}", "\u{0}", &"[".repeat(5000)] {
        assert_eq!(change_password(&mut ann, field).await, 422, "{field}");
    }
    for _ in 0..3 {
        change_password(&mut ann, "x").await;
    }
    assert_eq!(change_password(&mut ann, "x").await, 429);
    // The script shows the reason beside its button.
    let refused = ann.post(super::START_REGISTRATION, &[("password", PASSWORD)]).await;
    assert!(refused.status == 429 && refused.header("retry-after").is_some(), "{}", refused.text());
    assert!(refused.json()["error"].as_str().unwrap().starts_with("Too many failed attempts"), "{}", refused.text());
}

#[tokio::test]
async fn forms_offer_a_passkey_only_to_accounts_that_have_one() {
    let app = TestApp::start().await;
    let mut ann = app.verified_customer(ANN).await;
    let mut local = at_public_url(&app, &ann);
    for path in ["/account", "/account/delete"] {
        assert!(!local.get(path).await.text().contains("Use a passkey"), "{path}");
    }
    register(&app, &mut ann).await;
    let mut local = at_public_url(&app, &ann);
    for (path, forms) in [("/account", 3), ("/account/delete", 1)] {
        let page = local.get(path).await.text();
        assert_eq!(page.matches("Use a passkey").count(), forms, "{path}");
        assert_eq!(page.matches("name=\"passkey\"").count(), forms, "{path}");
        assert!(page.contains("/static/passkeys.js?"), "{path}");
    }
}
