//! Passkeys in Chromium with virtual authenticators (WebAuthn level 3 section 12).

use std::time::Duration;

use fantoccini::Locator;
use reqwest::Method;
use serde_json::{Value, json};

use super::chromium::{Chromium, Scripts};
use crate::app::{ANN, PASSWORD, TestApp};

/// A virtual authenticator, by its id in the driver.
struct Authenticator(String);

impl Authenticator {
    /// As built into a device (`internal`), or a security key (`usb`).
    async fn add(browser: &Chromium, transport: &str) -> Self {
        let options = json!({
            "protocol": "ctap2", "transport": transport, "hasResidentKey": true, "hasUserVerification": true,
            "isUserVerified": true, "isUserConsenting": true,
        });
        let id = browser.command(Method::POST, "webauthn/authenticator", &options).await.unwrap();
        Self(id.as_str().unwrap().to_owned())
    }

    async fn remove(self, browser: &Chromium) {
        let path = format!("webauthn/authenticator/{}", self.0);
        browser.command(Method::DELETE, &path, &json!({})).await.unwrap();
    }

    /// The passkeys that it keeps.
    async fn passkeys(&self, browser: &Chromium) -> Vec<Value> {
        let path = format!("webauthn/authenticator/{}/credentials", self.0);
        browser.command(Method::GET, &path, &json!({})).await.unwrap().as_array().unwrap().clone()
    }

    async fn keep(&self, browser: &Chromium, passkey: &Value) {
        let path = format!("webauthn/authenticator/{}/credential", self.0);
        browser.command(Method::POST, &path, passkey).await.unwrap();
    }

    async fn wait_for_passkeys(&self, browser: &Chromium, count: usize) {
        for _ in 0..100 {
            if self.passkeys(browser).await.len() == count {
                return;
            }
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
        panic!("not {count} passkeys: {:?}", self.passkeys(browser).await);
    }
}

/// A browser with a logged-in customer whose address is confirmed.
async fn start() -> (TestApp, Chromium) {
    let app = TestApp::start().await;
    app.verified_customer(ANN).await;
    let browser = Chromium::start(&app, Scripts::On).await;
    browser.log_in(ANN, PASSWORD).await;
    (app, browser)
}

/// Adds a passkey on the list page.
async fn register(browser: &Chromium) {
    browser.open("/account/passkeys").await;
    browser.fill("#password", PASSWORD).await;
    browser.click("[data-passkey=register] [type=submit]").await;
    browser.wait_for_text("The passkey was added.").await;
}

async fn log_out(browser: &Chromium) {
    browser.click("form[action='/logout'] button").await;
    browser.wait_for_path("/login").await;
}

#[tokio::test]
#[ignore = "needs Chromium and chromedriver; tests/run includes it"]
async fn passkey_is_offered_added_and_logs_in_by_autofill() {
    let (app, browser) = start().await;
    let authenticator = Authenticator::add(&browser, "internal").await;
    browser.wait_for_text("Log in faster next time").await;
    browser.assert_layout_and_contrast().await;
    browser.click(".notice a").await;
    browser.wait_for_path("/account/passkeys").await;
    browser.wait_for_text("You have no passkey yet.").await;
    browser.assert_layout_and_contrast().await;
    // A wrong password is explained beside the button.
    browser.fill("#password", "wrong").await;
    browser.click("[data-passkey=register] [type=submit]").await;
    browser.wait_for_text("Password is incorrect. Try again.").await;
    register(&browser).await;
    browser.wait_for_text("Passkey on Linux").await;
    browser.assert_layout_and_contrast().await;
    assert_eq!(authenticator.passkeys(&browser).await.len(), 1);
    browser.click("form[action='/logout'] button").await;
    // The browser offers the passkey in the form; the authenticator consents.
    browser.wait_for_path("/orders").await;
    assert_eq!(app.count("audit_events WHERE event = 'logged-in-with-passkey'").await, 1);
    browser.close().await;
}

#[tokio::test]
#[ignore = "needs Chromium and chromedriver; tests/run includes it"]
async fn passkey_logs_in_by_button_and_leads_to_the_page() {
    let (_app, browser) = start().await;
    let first = Authenticator::add(&browser, "internal").await;
    register(&browser).await;
    let passkey = first.passkeys(&browser).await.remove(0);
    first.remove(&browser).await;
    log_out(&browser).await;
    browser.open("/login?next=%2Faccount").await;
    // Without an authenticator that has the passkey nothing happens until the customer uses the button.
    browser.client.find(Locator::Css("#remember")).await.unwrap().click().await.unwrap();
    browser.assert_layout_and_contrast().await;
    let second = Authenticator::add(&browser, "internal").await;
    browser.click("[data-passkey=login] button").await;
    browser.wait_for_text("No passkey was used. Try again, or use your password.").await;
    browser.assert_layout_and_contrast().await;
    assert!(browser.address().await.ends_with("/login?next=%2Faccount"), "a cancelled login leaves the page");
    second.keep(&browser, &passkey).await;
    browser.click("[data-passkey=login] button").await;
    browser.wait_for_path("/account").await;
    assert!(browser.session_cookie().await["expiry"].as_i64().is_some(), "\"Keep me logged in\" is lost");
    browser.close().await;
}

#[tokio::test]
#[ignore = "needs Chromium and chromedriver; tests/run includes it"]
async fn passkey_reauthenticates_and_its_removal_reaches_the_authenticator() {
    let (_app, browser) = start().await;
    let authenticator = Authenticator::add(&browser, "internal").await;
    register(&browser).await;
    browser.click("a[href^='/account/passkeys/']").await;
    browser.wait_for_text("Save name").await;
    browser.assert_layout_and_contrast().await;
    browser.fill("#name", "Ann's laptop").await;
    browser.click("form[action$='/rename'] [data-passkey=reauthenticate] button").await;
    browser.wait_for_text("The passkey was renamed.").await;
    browser.wait_for_text("Ann's laptop").await;
    // The forms of the account page take it, too.
    browser.open("/account#data").await;
    browser.open("/account/delete").await;
    assert!(browser.has("[data-passkey=reauthenticate]:not([hidden])").await);
    browser.open("/account/passkeys").await;
    browser.click("a[href^='/account/passkeys/']").await;
    browser.click("form[action$='/remove'] [data-passkey=reauthenticate] button").await;
    browser.wait_for_text("The passkey was removed.").await;
    browser.wait_for_text("You have no passkey yet.").await;
    authenticator.wait_for_passkeys(&browser, 0).await;
    browser.close().await;
}

#[tokio::test]
#[ignore = "needs Chromium and chromedriver; tests/run includes it"]
async fn removed_passkey_is_deleted_by_the_browser_at_its_next_use() {
    let (app, browser) = start().await;
    let authenticator = Authenticator::add(&browser, "internal").await;
    register(&browser).await;
    app.execute("DELETE FROM passkeys").await;
    browser.click("form[action='/logout'] button").await;
    browser.wait_for_text("Login with a passkey failed. Try again, or log in with your password.").await;
    authenticator.wait_for_passkeys(&browser, 0).await;
    browser.send_credentials(ANN, PASSWORD).await;
    browser.wait_for_path("/orders").await;
    browser.close().await;
}

#[tokio::test]
#[ignore = "needs Chromium and chromedriver; tests/run includes it"]
async fn second_device_gets_a_passkey_of_its_own() {
    let (app, browser) = start().await;
    let first = Authenticator::add(&browser, "internal").await;
    register(&browser).await;
    // The same authenticator refuses a second one.
    browser.open("/account/passkeys").await;
    browser.fill("#password", PASSWORD).await;
    browser.click("[data-passkey=register] [type=submit]").await;
    browser.wait_for_text("A passkey for your account is already saved there.").await;
    first.remove(&browser).await;
    let second = Authenticator::add(&browser, "usb").await;
    register(&browser).await;
    assert_eq!(second.passkeys(&browser).await.len(), 1);
    assert_eq!(app.count("passkeys").await, 2);
    browser.click("form[action='/logout'] button").await;
    browser.wait_for_path("/login").await;
    browser.click("[data-passkey=login] button").await;
    browser.wait_for_path("/orders").await;
    browser.close().await;
}

#[tokio::test]
#[ignore = "needs Chromium and chromedriver; tests/run includes it"]
async fn pages_show_no_passkey_button_without_scripts() {
    let app = TestApp::start().await;
    app.verified_customer(ANN).await;
    let browser = Chromium::start(&app, Scripts::Off).await;
    browser.open("/login").await;
    assert!(!browser.text("main").await.contains("passkey"), "{}", browser.text("main").await);
    browser.log_in(ANN, PASSWORD).await;
    browser.open("/account/passkeys").await;
    let text = browser.text("main").await;
    assert!(text.contains("Adding a passkey needs JavaScript.") && !text.contains("Add a passkey"), "{text}");
    browser.close().await;
}
