//! Accounts in a browser: confirmation of the address, password reset, the account page, the end of a session.

use std::path::Path;
use std::time::Duration;

use serde_json::Value;

use super::app;
use super::chromium::{Chromium, Scripts};
use crate::app::{ANN, NEW_PASSWORD, PASSWORD, TestApp, WRONG_PASSWORD};
use crate::shop;
use crate::token::now;

/// A browser with a session of the customer.
pub async fn logged_in(app: &TestApp, scripts: Scripts) -> Chromium {
    let browser = Chromium::start(app, scripts).await;
    browser.log_in(ANN, PASSWORD).await;
    browser
}

/// Shows the form of a setting on the account page.
pub async fn open_setting(browser: &Chromium, id: &str) {
    browser.open("/account").await;
    browser.click(&format!("section[aria-labelledby='{id}-title'] summary")).await;
}

pub async fn change_password(browser: &Chromium, current: &str, new: &str) {
    open_setting(browser, "password").await;
    browser.fill("#current-password", current).await;
    browser.fill("#new-password", new).await;
    browser.click("form[action='/account/password'] [type=submit]").await;
}

#[tokio::test]
#[ignore = "needs Chromium and chromedriver; tests/run includes it"]
async fn customer_confirms_the_address_and_sees_earlier_orders() {
    let app = app().await;
    app.import(&[shop::order("#7001", ANN)]);
    let browser = Chromium::start(&app, Scripts::On).await;
    browser.sign_up(ANN, PASSWORD).await;
    browser.wait_for_text_of(".banner", |text| text.contains("Confirm your email address")).await;
    assert!(!browser.text("main").await.contains("#7001"));
    browser.click(".banner a[href='/dev/mail']").await;
    browser.wait_for_path("/dev/mail").await;
    browser.open_mail("Confirm your email address").await;
    browser.click(".email-text a[href*='/verify?token=']").await;
    browser.wait_for_path("/verify").await;
    browser.click("main form [type=submit]").await;
    browser.wait_for_path("/orders").await;
    browser.wait_for_text("Your email address is confirmed.").await;
    browser.wait_for_text("#7001").await;
    assert!(!browser.has(".banner").await);
    browser.close().await;
}

#[tokio::test]
#[ignore = "needs Chromium and chromedriver; tests/run includes it"]
async fn customer_resets_a_forgotten_password() {
    let app = app().await;
    app.customer(ANN).await;
    let browser = Chromium::start(&app, Scripts::On).await;
    browser.open("/login").await;
    browser.click("a[href='/password/forgot']").await;
    browser.fill("#email", ANN).await;
    browser.click("main form [type=submit]").await;
    browser.wait_for_text("Check your inbox").await;
    browser.open_mail("Choose a new password").await;
    browser.click(".email-text a[href*='/password/reset?token=']").await;
    browser.wait_for_path("/password/reset").await;
    browser.fill("#password", "password").await;
    browser.click("main form [type=submit]").await;
    browser.text("#password-error").await;
    browser.fill("#password", NEW_PASSWORD).await;
    browser.click("main form [type=submit]").await;
    browser.wait_for_path("/login").await;
    browser.wait_for_text("Your password was changed").await;
    assert_eq!(browser.run("return document.querySelector('#email').value").await, ANN);
    browser.fill("#password", NEW_PASSWORD).await;
    browser.click("main form [type=submit]").await;
    browser.wait_for_path("/orders").await;
    browser.close().await;
}

#[tokio::test]
#[ignore = "needs Chromium and chromedriver; tests/run includes it"]
async fn development_inbox_shows_text_and_html() {
    let app = app().await;
    app.customer(ANN).await;
    let browser = Chromium::start(&app, Scripts::On).await;
    browser.open_mail("Confirm your email address").await;
    browser.wait_for_text_of(".meta", |text| text.contains(ANN)).await;
    let link = browser.text(".email-text a[href*='/verify?token=']").await;
    assert!(link.starts_with(&format!("http://localhost:{}/verify?token=", app.port)), "{link}");
    browser.click(".meta a[href$='/html']").await;
    browser.wait_for_text("Or copy this address into the browser").await;
    browser.wait_for_text_of("h1", |text| text == "Confirm your email address").await;
    let face = "return getComputedStyle(document.querySelector('td.button')).backgroundColor";
    assert_eq!(browser.run(face).await, "rgb(0, 82, 58)", "the mail's styles are blocked");
    browser.click(&format!("a[href='{link}']")).await;
    browser.wait_for_path("/verify").await;
    browser.close().await;
}

#[tokio::test]
#[ignore = "needs Chromium and chromedriver; tests/run includes it"]
async fn session_revoked_in_one_browser_ends_in_the_other() {
    let app = app().await;
    app.customer(ANN).await;
    let first = logged_in(&app, Scripts::On).await;
    let second = logged_in(&app, Scripts::On).await;
    open_setting(&first, "sessions").await;
    assert_eq!(first.run("return document.querySelectorAll('.here').length").await, 1);
    first.wait_for_text_of("#sessions", |text| text.contains("Chrome on Linux")).await;
    first.click("form[action='/account/sessions/end-others'] button").await;
    first.wait_for_text("All other browsers and apps were logged out.").await;
    second.click("table a").await;
    second.wait_for_path("/login").await;
    second.wait_for_text("Your session has expired").await;
    second.log_in(ANN, PASSWORD).await;
    open_setting(&first, "sessions").await;
    first.click("form[action='/account/sessions/end'] button").await;
    first.wait_for_text("That browser or app was logged out.").await;
    second.click("table a").await;
    second.wait_for_path("/login").await;
    first.close().await;
    second.close().await;
}

#[tokio::test]
#[ignore = "needs Chromium and chromedriver; tests/run includes it"]
async fn password_change_logs_out_other_browsers_and_is_listed() {
    let app = app().await;
    app.customer(ANN).await;
    let first = logged_in(&app, Scripts::On).await;
    let second = logged_in(&app, Scripts::On).await;
    change_password(&first, WRONG_PASSWORD, NEW_PASSWORD).await;
    first.text("#current-password-error").await;
    assert_eq!(first.run("return document.activeElement.id").await, "current-password");
    assert_eq!(first.run("return document.querySelector('#new-password').value").await, "");
    change_password(&first, PASSWORD, NEW_PASSWORD).await;
    first.wait_for_text("Your password was changed. All other browsers were logged out.").await;
    second.click("table a").await;
    second.wait_for_path("/login").await;
    first.click("section[aria-labelledby='activity-title'] summary").await;
    first.click("a[href='/account/activity']").await;
    first.wait_for_path("/account/activity").await;
    let activity = first.text("main").await;
    for words in ["Password changed", "Wrong password entered", "Logged in", "Signed up"] {
        assert!(activity.contains(words), "{words}: {activity}");
    }
    second.log_in(ANN, NEW_PASSWORD).await;
    first.close().await;
    second.close().await;
}

#[tokio::test]
#[ignore = "needs Chromium and chromedriver; tests/run includes it"]
async fn customer_exports_data_and_deletes_the_account() {
    let app = app().await;
    app.customer(ANN).await;
    let browser = logged_in(&app, Scripts::On).await;
    let folder = tempfile::tempdir().unwrap();
    browser.download_to(folder.path()).await;
    open_setting(&browser, "data").await;
    browser.fill("#export-password", WRONG_PASSWORD).await;
    browser.click("form[action='/account/export'] [type=submit]").await;
    browser.wait_for_text("Your data was not downloaded").await;
    browser.assert_layout_and_contrast().await;
    browser.fill("#export-password", PASSWORD).await;
    // The page stays, so its button must work twice.
    for _ in 0..2 {
        browser.click("form[action='/account/export'] [type=submit]").await;
        let export = downloaded(folder.path()).await;
        assert_eq!(export["account"]["email"], ANN);
    }
    browser.click("a[href='/account/delete']").await;
    browser.fill("#password", WRONG_PASSWORD).await;
    browser.click("main form [type=submit]").await;
    browser.wait_for_text("Your account was not deleted").await;
    browser.fill("#password", PASSWORD).await;
    browser.click("main form [type=submit]").await;
    browser.wait_for_path("/login").await;
    browser.wait_for_text("Your account was deleted.").await;
    browser.send_credentials(ANN, PASSWORD).await;
    browser.wait_for_text("Email or password is incorrect").await;
    browser.close().await;
}

/// Waits for the download, reads it and deletes the file.
async fn downloaded(folder: &Path) -> Value {
    let file = folder.join("order-portal-data.json");
    for _ in 0..100 {
        if let Ok(text) = std::fs::read(&file) {
            std::fs::remove_file(&file).unwrap();
            return serde_json::from_slice(&text).unwrap();
        }
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    panic!("{} was not downloaded", file.display());
}

#[tokio::test]
#[ignore = "needs Chromium and chromedriver; tests/run includes it"]
async fn email_change_requires_the_password_in_the_same_form() {
    let app = app().await;
    app.customer(ANN).await;
    let browser = logged_in(&app, Scripts::On).await;
    open_setting(&browser, "email").await;
    browser.assert_layout_and_contrast().await;
    browser.fill("#new-email", "new@example.com").await;
    browser.click("form[action='/account/email'] [type=submit]").await;
    browser.wait_for_text("Enter your password").await;
    assert_eq!(browser.run("return document.activeElement.id").await, "email-password");
    assert_eq!(browser.run("return document.querySelector('#new-email').value").await, "new@example.com");
    browser.assert_layout_and_contrast().await;
    browser.fill("#email-password", WRONG_PASSWORD).await;
    browser.click("form[action='/account/email'] [type=submit]").await;
    browser.wait_for_text("Password is incorrect").await;
    assert_eq!(browser.run("return document.querySelector('#email-password').value").await, "");
    browser.fill("#email-password", PASSWORD).await;
    browser.click("form[action='/account/email'] [type=submit]").await;
    browser.wait_for_text("We sent a confirmation link to your new email address.").await;
    browser.open_mail("Confirm your new email address").await;
    browser.wait_for_text_of(".meta", |text| text.contains("new@example.com")).await;
    browser.close().await;
}

#[tokio::test]
#[ignore = "needs Chromium and chromedriver; tests/run includes it"]
async fn remembered_session_survives_a_browser_restart() {
    let app = app().await;
    app.customer(ANN).await;
    let browser = logged_in(&app, Scripts::On).await;
    assert!(browser.session_cookie().await.get("expiry").is_none());
    browser.click("form[action='/logout'] button").await;
    browser.wait_for_path("/login").await;
    browser.click("#remember").await;
    browser.send_credentials(ANN, PASSWORD).await;
    browser.wait_for_path("/orders").await;
    let cookie = browser.session_cookie().await;
    let days = (cookie["expiry"].as_i64().unwrap() - now()) / 86_400;
    assert!((29..=30).contains(&days), "{cookie}");
    assert_eq!(
        (&cookie["httpOnly"], &cookie["secure"], &cookie["sameSite"]),
        (&true.into(), &true.into(), &"Strict".into())
    );
    browser.close().await;
}

#[tokio::test]
#[ignore = "needs Chromium and chromedriver; tests/run includes it"]
async fn page_offers_to_extend_the_session_two_minutes_before_its_end() {
    let app = TestApp::start_with(&[("TOKEN_TTL_SECONDS", "124")]).await;
    app.customer(ANN).await;
    let browser = logged_in(&app, Scripts::On).await;
    let before = browser.session_cookie().await["value"].clone();
    assert!(!browser.has("dialog[open]").await, "the dialog is shown too early");
    browser.wait_for_text("You will be logged out in 2 minutes").await;
    browser.assert_layout_and_contrast().await;
    assert_eq!(browser.run("return document.activeElement.textContent").await, "Stay logged in");
    assert!(browser.client.title().await.unwrap().starts_with("Logged out soon"));
    browser.click("dialog button").await;
    browser.wait_until_gone("dialog[open]").await;
    assert!(!browser.client.title().await.unwrap().starts_with("Logged out soon"));
    assert_ne!(browser.session_cookie().await["value"], before, "the session was not extended");
    browser.wait_for_text("You will be logged out in 2 minutes").await;
    browser.click("dialog .plain").await;
    browser.wait_until_gone("dialog[open]").await;
    browser.click("a[href='/account']").await;
    browser.wait_for_path("/account").await;
    browser.close().await;
}

#[tokio::test]
#[ignore = "needs Chromium and chromedriver; tests/run includes it"]
async fn ended_session_leads_to_login_and_back() {
    let app = TestApp::start_with(&[("TOKEN_TTL_SECONDS", "4")]).await;
    app.customer(ANN).await;
    let browser = logged_in(&app, Scripts::On).await;
    browser.open("/account").await;
    browser.wait_for_path("/login").await;
    browser.wait_for_text("Your session has expired").await;
    browser.send_credentials(ANN, PASSWORD).await;
    browser.wait_for_path("/account").await;
    browser.close().await;
}

#[tokio::test]
#[ignore = "needs Chromium and chromedriver; tests/run includes it"]
async fn session_check_of_a_page_does_not_resubmit_its_form() {
    let app = TestApp::start_with(&[("TOKEN_TTL_SECONDS", "6")]).await;
    app.customer(ANN).await;
    let browser = logged_in(&app, Scripts::On).await;
    browser.open("/account").await;
    browser.click("dialog .plain").await;
    browser.click("section[aria-labelledby='password-title'] summary").await;
    browser.fill("#current-password", WRONG_PASSWORD).await;
    browser.click("form[action='/account/password'] [type=submit]").await;
    browser.wait_for_path("/account/password").await;
    let failures = "audit_events WHERE event = 'confirm-failed'";
    assert_eq!(app.count(failures).await, 1);
    // Requests of the same browser renew the session, without the page.
    browser.run("setInterval(() => fetch('/account/activity'), 500)").await;
    browser.wait_for_path("/account").await;
    assert_eq!(app.count(failures).await, 1);
    browser.close().await;
}

#[tokio::test]
#[ignore = "needs Chromium and chromedriver; tests/run includes it"]
async fn form_after_session_end_works_without_scripts() {
    let app = app().await;
    app.customer(ANN).await;
    let browser = logged_in(&app, Scripts::Off).await;
    for (form, setting) in [("/account/email", "email"), ("/account/sessions/end-others", "sessions")] {
        open_setting(&browser, setting).await;
        app.execute("UPDATE sessions SET revoked_at = created_at").await;
        browser.click(&format!("form[action='{form}'] button")).await;
        browser.wait_for_path("/login").await;
        browser.wait_for_text("Your session has expired").await;
        browser.send_credentials(ANN, PASSWORD).await;
        browser.wait_for_path("/account").await;
        app.api_token(ANN).await;
    }
    browser.close().await;
}

#[tokio::test]
#[ignore = "needs Chromium and chromedriver; tests/run includes it"]
async fn rejected_form_leads_to_login_and_back_to_its_section() {
    let app = app().await;
    app.customer(ANN).await;
    let browser = logged_in(&app, Scripts::Off).await;
    change_password(&browser, WRONG_PASSWORD, NEW_PASSWORD).await;
    browser.wait_for_path("/account/password").await;
    app.execute("UPDATE sessions SET revoked_at = created_at").await;
    browser.click("form[action='/account/password'] [type=submit]").await;
    browser.wait_for_path("/login").await;
    browser.send_credentials(ANN, PASSWORD).await;
    browser.wait_for_path("/account").await;
    assert!(browser.address().await.ends_with("/account#password"));
    browser.close().await;
}
