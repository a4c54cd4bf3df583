//! The offer to add a passkey after a login with a password.

use super::{public_origin, register};
use crate::app::{ANN, PASSWORD, TestApp};
use crate::http::{Visitor, client};

const OFFER: &str = "Log in faster next time: <a href=\"/account/passkeys\">add a passkey</a>.";

/// The page that follows a login at the public URL.
async fn page_after_login(app: &TestApp) -> (Visitor, String) {
    let mut visitor = Visitor::new(client(), public_origin(app));
    assert_eq!(visitor.log_in(ANN, PASSWORD).await.redirect(), (303, "/orders"));
    let page = visitor.get("/orders").await;
    assert!(page.is_page(200));
    (visitor, page.text())
}

#[tokio::test]
async fn passkey_is_offered_once_in_30_days() {
    let app = TestApp::start().await;
    app.verified_customer(ANN).await;
    let (mut visitor, page) = page_after_login(&app).await;
    assert!(page.contains(OFFER) && page.contains("<a href=\"/orders\">Not now</a>"), "{page}");
    assert!(!visitor.get("/orders").await.text().contains(OFFER), "the offer stays");
    assert!(!page_after_login(&app).await.1.contains(OFFER), "the offer is repeated");
    app.execute("UPDATE users SET passkey_offered_at = passkey_offered_at - 30 * 86400 - 1").await;
    assert!(page_after_login(&app).await.1.contains(OFFER));
}

#[tokio::test]
async fn page_with_the_offer_is_not_cached() {
    let app = TestApp::start().await;
    app.verified_customer(ANN).await;
    let (_, first) = page_after_login(&app).await;
    assert!(first.contains(OFFER));
    // Another session of the same account gets the same list.
    let (mut other, second) = page_after_login(&app).await;
    assert!(!second.contains(OFFER) && !other.get("/orders").await.text().contains(OFFER));
}

#[tokio::test]
async fn passkey_is_offered_only_to_those_who_can_add_one() {
    let app = TestApp::start().await;
    let mut ann = app.customer(ANN).await;
    assert!(!page_after_login(&app).await.1.contains(OFFER), "unconfirmed");
    app.run_ok(&["user", "verify", ANN]);
    let mut elsewhere = app.visitor();
    elsewhere.log_in(ANN, PASSWORD).await;
    assert!(!elsewhere.get("/orders").await.text().contains(OFFER), "passkeys do not work at 127.0.0.1");
    register(&app, &mut ann).await;
    assert!(!page_after_login(&app).await.1.contains(OFFER), "the account has one");
    app.execute("DELETE FROM passkeys").await;
    assert!(page_after_login(&app).await.1.contains(OFFER));
}
