//! What becomes of passkeys when an account is recovered, reset, exported or deleted.

use super::{assert_refused, log_in, register};
use crate::app::{ANN, NEW_PASSWORD, PASSWORD, TestApp};
use crate::mailbox;

#[tokio::test]
async fn not_me_removes_the_passkeys_that_an_attacker_added() {
    let app = TestApp::start().await;
    let mut ann = app.verified_customer(ANN).await;
    let mut own = register(&app, &mut ann).await;
    app.execute("UPDATE passkeys SET created_at = created_at - 86400").await;
    // Somebody with the password logs in, which the owner is told about, and adds a passkey.
    let mut attacker = app.new_session(ANN, PASSWORD).await;
    let mut added = register(&app, &mut attacker).await;
    let mail = mailbox::mail_to(&app, ANN, "New login to your account").await;
    let response = app.visitor().post("/not-me", &[("token", mail.token())]).await;
    assert_eq!(response.redirect(), (303, "/login"));
    assert_refused(&log_in(&mut app.visitor(), &mut added).await, "the attacker's passkey");
    assert_eq!(log_in(&mut app.visitor(), &mut own).await.status, 200, "the owner's passkey");
    assert_eq!(app.log_in(ANN, PASSWORD).await.status, 401);
}

#[tokio::test]
async fn mail_about_an_added_passkey_removes_it() {
    let app = TestApp::start().await;
    let mut ann = app.verified_customer(ANN).await;
    let mut passkey = register(&app, &mut ann).await;
    let mail = mailbox::mail_to(&app, ANN, "A passkey was added to your account").await;
    app.visitor().post("/not-me", &[("token", mail.token())]).await;
    assert_refused(&log_in(&mut app.visitor(), &mut passkey).await, "the passkey of the mail");
}

async fn reset(app: &TestApp) {
    app.visitor().post("/password/forgot", &[("email", ANN)]).await;
    let mail = mailbox::mail_to(app, ANN, "Choose a new password").await;
    let response = app.visitor().post("/password/reset", &[("token", mail.token()), ("password", NEW_PASSWORD)]).await;
    assert_eq!(response.redirect(), (303, "/login"));
}

#[tokio::test]
async fn reset_of_a_confirmed_account_keeps_passkeys() {
    let app = TestApp::start().await;
    let mut ann = app.verified_customer(ANN).await;
    let mut passkey = register(&app, &mut ann).await;
    reset(&app).await;
    assert_eq!(log_in(&mut app.visitor(), &mut passkey).await.status, 200);
}

#[tokio::test]
async fn reset_that_confirms_the_address_removes_passkeys() {
    let app = TestApp::start().await;
    let mut ann = app.verified_customer(ANN).await;
    let mut passkey = register(&app, &mut ann).await;
    // No route leads here: passkeys need a confirmed address. The reset must not depend on that.
    app.execute("UPDATE users SET verified_at = NULL").await;
    reset(&app).await;
    assert_refused(&log_in(&mut app.visitor(), &mut passkey).await, "an earlier passkey");
    assert_eq!(app.count("passkeys").await, 0);
}

#[tokio::test]
async fn operator_removes_all_passkeys() {
    let app = TestApp::start().await;
    let mut ann = app.verified_customer(ANN).await;
    let mut passkey = register(&app, &mut ann).await;
    app.run_ok(&["user", "reset-mfa", ANN]);
    assert_refused(&log_in(&mut app.visitor(), &mut passkey).await, "removed by the operator");
    assert_eq!(ann.get("/account").await.status, 303, "the session goes on");
}

#[tokio::test]
async fn data_export_names_the_passkeys() {
    let app = TestApp::start().await;
    let mut ann = app.verified_customer(ANN).await;
    let mut passkey = register(&app, &mut ann).await;
    log_in(&mut app.visitor(), &mut passkey).await;
    let data = ann.post("/account/export", &[("password", PASSWORD)]).await.json();
    let passkeys = data["passkeys"].as_array().unwrap();
    assert_eq!(passkeys.len(), 1);
    assert_eq!(passkeys[0]["name"], "Passkey on an unknown device");
    for time in ["created_at", "last_used_at"] {
        assert!(passkeys[0][time].as_str().unwrap().ends_with('Z'), "{passkeys:?}");
    }
    assert!(passkeys[0].get("credential").is_none());
}

#[tokio::test]
async fn deleted_account_has_no_passkeys() {
    let app = TestApp::start().await;
    let mut ann = app.verified_customer(ANN).await;
    let mut passkey = register(&app, &mut ann).await;
    assert_eq!(ann.post("/account/delete", &[("password", PASSWORD)]).await.status, 303);
    assert_refused(&log_in(&mut app.visitor(), &mut passkey).await, "deleted");
    assert_eq!(app.count("passkeys").await, 0);
}
