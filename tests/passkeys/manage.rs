//! The list of passkeys, renaming and removing.

use scraper::{Html, Selector};
use serde_json::{Value, json};

use super::{assert_refused, at_public_url, log_in, pages, public_origin, reauthentication_field, register};
use crate::app::{ANN, BOB, PASSWORD, TestApp, WRONG_PASSWORD};
use crate::authenticator::encode;
use crate::http::Visitor;
use crate::mailbox;

/// What the script reports to the browser.
async fn signal(app: &TestApp, visitor: &mut Visitor) -> Value {
    let html = at_public_url(app, visitor).get("/account/passkeys").await.text();
    let page = Html::parse_document(&html);
    let list = page.select(&Selector::parse("[data-passkey-signal]").unwrap()).next().unwrap();
    serde_json::from_str(list.value().attr("data-passkey-signal").unwrap()).unwrap()
}

#[tokio::test]
async fn removed_passkey_no_longer_logs_in() {
    let app = TestApp::start().await;
    let mut ann = app.verified_customer(ANN).await;
    let mut removed = register(&app, &mut ann).await;
    let mut kept = register(&app, &mut ann).await;
    let listed = pages(&mut ann).await;
    let path = format!("{}/remove", listed[0]);
    for (password, message) in [("", "Enter your password."), (WRONG_PASSWORD, "Password is incorrect.")] {
        let response = ann.post(&path, &[("password", password)]).await;
        assert!(response.is_page(422) && response.text().contains(message), "{}", response.text());
    }
    let response = ann.post(&path, &[("password", PASSWORD)]).await;
    assert_eq!(response.redirect(), (303, "/account/passkeys"));
    let list = ann.get("/account/passkeys").await.text();
    assert!(list.contains("The passkey was removed."), "{list}");
    assert_eq!(pages(&mut ann).await, [listed[1].clone()]);
    assert_refused(&log_in(&mut app.visitor(), &mut removed).await, "removed");
    assert_eq!(log_in(&mut app.visitor(), &mut kept).await.status, 200);
    assert_eq!(ann.post(&path, &[("password", PASSWORD)]).await.status, 404);
    assert!(ann.get("/account/activity").await.text().contains("Passkey removed"));
    let mail = mailbox::mail_to(&app, ANN, "A passkey was removed from your account").await;
    assert!(mail.path().starts_with("/not-me?token="));
}

#[tokio::test]
async fn passkey_is_renamed_by_its_owner() {
    let app = TestApp::start().await;
    let mut ann = app.verified_customer(ANN).await;
    let mut passkey = register(&app, &mut ann).await;
    let path = format!("{}/rename", pages(&mut ann).await[0]);
    let response = ann.post(&path, &[("name", " "), ("password", PASSWORD)]).await;
    assert!(response.is_page(422) && response.text().contains("Enter a name."));
    let response = ann.post(&path, &[("name", "Ann's <phone>"), ("password", WRONG_PASSWORD)]).await;
    assert!(response.is_page(422) && response.text().contains("value=\"Ann&#39;s &#60;phone&#62;\""));
    // The passkey itself reauthenticates.
    let field = reauthentication_field(&mut ann, &mut passkey).await;
    let response = ann.post(&path, &[("name", "Ann's <phone>"), ("passkey", &field)]).await;
    assert_eq!(response.redirect(), (303, "/account/passkeys"), "{}", response.text());
    assert!(ann.get("/account/passkeys").await.text().contains("Ann&#39;s &#60;phone&#62;"));
    assert!(ann.get("/account/activity").await.text().contains("Passkey renamed"));
    let mail = mailbox::mail_to(&app, ANN, "A passkey of your account was renamed").await;
    assert!(mail.text.contains("\"Ann's <phone>\""), "{}", mail.text);
}

#[tokio::test]
async fn passkeys_of_another_account_do_not_exist() {
    let app = TestApp::start().await;
    let mut ann = app.verified_customer(ANN).await;
    let mut passkey = register(&app, &mut ann).await;
    let page = pages(&mut ann).await[0].clone();
    let mut bob = app.verified_customer(BOB).await;
    assert!(bob.get(&page).await.is_page(404));
    for action in ["rename", "remove"] {
        let fields = [("name", "Bob's"), ("password", PASSWORD)];
        assert!(bob.post(&format!("{page}/{action}"), &fields).await.is_page(404), "{action}");
    }
    assert!(pages(&mut bob).await.is_empty());
    assert_eq!(log_in(&mut app.visitor(), &mut passkey).await.status, 200);
}

#[tokio::test]
async fn list_reports_the_accepted_passkeys_also_after_the_last_is_removed() {
    let app = TestApp::start().await;
    let mut ann = app.verified_customer(ANN).await;
    let passkey = register(&app, &mut ann).await;
    let handle = encode(passkey.user_handle.as_deref().unwrap());
    let expected =
        |ids: Value| json!({ "rpId": "localhost", "userId": handle, "name": ANN, "allAcceptedCredentialIds": ids });
    assert_eq!(signal(&app, &mut ann).await, expected(json!([encode(&passkey.id)])));
    let path = format!("{}/remove", pages(&mut ann).await[0]);
    assert_eq!(ann.post(&path, &[("password", PASSWORD)]).await.status, 303);
    assert_eq!(signal(&app, &mut ann).await, expected(json!([])));
    // A later passkey has the same user handle, so that authenticators replace an older one.
    let later = register(&app, &mut ann).await;
    assert_eq!(later.user_handle, passkey.user_handle);
}

#[tokio::test]
async fn pages_say_where_passkeys_work_and_hide_them_elsewhere() {
    let app = TestApp::start().await;
    let mut ann = app.verified_customer(ANN).await;
    register(&app, &mut ann).await;
    let reason = format!("Passkeys work only at {}.", public_origin(&app));
    let login = app.visitor().get("/login").await.text();
    assert!(login.contains(&reason) && !login.contains("Log in with a passkey"), "{login}");
    let list = ann.get("/account/passkeys").await.text();
    assert!(list.contains(&reason) && !list.contains("passkeys/start") && !list.contains("passkeys.js"), "{list}");
    assert!(!ann.get("/account").await.text().contains("Use a passkey"));
    let mut local = Visitor::new(crate::http::client(), public_origin(&app));
    let login = local.get("/login").await.text();
    assert!(login.contains("Log in with a passkey") && !login.contains(&reason), "{login}");
    assert!(login.contains("/static/passkeys.js?") && login.contains("autocomplete=\"username webauthn\""), "{login}");
}

#[tokio::test]
async fn public_url_without_a_domain_has_no_passkeys() {
    let port = crate::sandbox::free_port();
    let origin = format!("http://127.0.0.1:{port}");
    let app = TestApp::start_with(&[("PUBLIC_URL", &origin)]).await;
    let mut ann = app.verified_customer(ANN).await;
    let login = app.visitor().get("/login").await.text();
    assert!(login.contains("the address of this site has no domain name") && !login.contains("Log in with a passkey"));
    assert!(app.visitor().post("/login/passkey/start", &[]).await.is_page(404));
    assert!(ann.post("/account/passkeys/start", &[("password", PASSWORD)]).await.is_page(404));
    assert!(ann.get("/account/passkeys").await.is_page(200));
}
