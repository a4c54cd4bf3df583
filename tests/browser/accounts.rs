//! Accounts in a browser: confirming an address, password reset, the account page, the end of a session.

use std::path::Path;
use std::time::Duration;

use fantoccini::Locator;
use serde_json::Value;

use super::chromium::{Chromium, Scripts};
use super::{EMAIL, app};
use crate::app::{PASSWORD, TestApp};
use crate::shop;
use crate::token::now;

const NEW_PASSWORD: &str = "eleven brass owls in a row";

/// A browser in which the customer has logged in.
async fn logged_in(app: &TestApp, scripts: Scripts) -> Chromium {
    let browser = Chromium::start(app, scripts).await;
    log_in(&browser, PASSWORD).await;
    browser
}

async fn log_in(browser: &Chromium, password: &str) {
    browser.open("/login").await;
    browser.send_credentials(EMAIL, password).await;
    browser.arrives_at("/orders").await;
}

async fn run_sql(app: &TestApp, sql: &'static str) {
    sqlx::query(sql).execute(&app.database().await).await.unwrap();
}

async fn change_password(browser: &Chromium, current: &str, new: &str) {
    browser.open("/account").await;
    browser.fill("#current-password", current).await;
    browser.fill("#new-password", new).await;
    browser.press("form[action='/account/password'] [type=submit]").await;
}

#[tokio::test]
#[ignore = "needs Chromium and chromedriver; tests/run includes it"]
async fn customer_confirms_the_address_and_sees_earlier_orders() {
    let app = app().await;
    app.write("export.csv", shop::export(&[shop::order("#7001", EMAIL)]));
    app.done(&["import", "export.csv"]);
    let browser = Chromium::start(&app, Scripts::On).await;
    browser.open("/signup").await;
    browser.send_credentials(EMAIL, PASSWORD).await;
    browser.arrives_at("/orders").await;
    browser.reads(".banner", |text| text.contains("Confirm your e-mail address")).await;
    assert!(!browser.text("main").await.contains("#7001"));
    browser.press(".banner a[href='/dev/mail']").await;
    browser.arrives_at("/dev/mail").await;
    browser.open_mail("Confirm your e-mail address").await;
    browser.press(".email-text a[href*='/verify?token=']").await;
    browser.arrives_at("/verify").await;
    browser.press("main form [type=submit]").await;
    browser.arrives_at("/orders").await;
    browser.shows("Thank you: the address is confirmed.").await;
    browser.shows("#7001").await;
    assert!(!browser.has(".banner").await);
    browser.close().await;
}

#[tokio::test]
#[ignore = "needs Chromium and chromedriver; tests/run includes it"]
async fn customer_resets_a_forgotten_password() {
    let app = app().await;
    app.customer(EMAIL).await;
    let browser = Chromium::start(&app, Scripts::On).await;
    browser.open("/login").await;
    browser.press("a[href='/password/forgot']").await;
    browser.fill("#email", EMAIL).await;
    browser.press("main form [type=submit]").await;
    browser.shows("Check your inbox").await;
    browser.open_mail("Choose a new password").await;
    browser.press(".email-text a[href*='/password/reset?token=']").await;
    browser.arrives_at("/password/reset").await;
    browser.fill("#password", "password").await;
    browser.press("main form [type=submit]").await;
    browser.text("#password-error").await;
    browser.fill("#password", NEW_PASSWORD).await;
    browser.press("main form [type=submit]").await;
    browser.arrives_at("/login").await;
    browser.shows("Your new password is set").await;
    browser.send_credentials(EMAIL, NEW_PASSWORD).await;
    browser.arrives_at("/orders").await;
    browser.close().await;
}

#[tokio::test]
#[ignore = "needs Chromium and chromedriver; tests/run includes it"]
async fn development_inbox_shows_text_and_html() {
    let app = app().await;
    app.customer(EMAIL).await;
    let browser = Chromium::start(&app, Scripts::On).await;
    browser.open_mail("Confirm your e-mail address").await;
    browser.reads(".meta", |text| text.contains(EMAIL)).await;
    let link = browser.text(".email-text a[href*='/verify?token=']").await;
    assert!(link.starts_with(&format!("http://localhost:{}/verify?token=", app.port)), "{link}");
    browser.press(".meta a[href$='/html']").await;
    browser.shows("Or copy this address into the browser").await;
    browser.reads("h1", |text| text == "Confirm your e-mail address").await;
    let face = "return getComputedStyle(document.querySelector('a')).backgroundColor";
    assert_eq!(browser.run(face).await, "rgb(21, 94, 66)", "the mail's styles are blocked");
    browser.press(&format!("a[href='{link}']")).await;
    browser.arrives_at("/verify").await;
    browser.close().await;
}

#[tokio::test]
#[ignore = "needs Chromium and chromedriver; tests/run includes it"]
async fn session_revoked_in_one_browser_ends_in_the_other() {
    let app = app().await;
    app.customer(EMAIL).await;
    let here = logged_in(&app, Scripts::On).await;
    let there = logged_in(&app, Scripts::On).await;
    here.open("/account").await;
    assert_eq!(here.run("return document.querySelectorAll('.here').length").await, 1);
    here.reads("#sessions", |text| text.contains("Chrome on Linux")).await;
    here.press("form[action='/account/sessions/end-others'] button").await;
    here.shows("All other sessions have ended.").await;
    there.press("table a").await;
    there.arrives_at("/login").await;
    there.shows("You were logged out meanwhile").await;
    log_in(&there, PASSWORD).await;
    here.open("/account").await;
    here.press("form[action='/account/sessions/end'] button").await;
    here.shows("That session has ended.").await;
    there.press("table a").await;
    there.arrives_at("/login").await;
    here.close().await;
    there.close().await;
}

#[tokio::test]
#[ignore = "needs Chromium and chromedriver; tests/run includes it"]
async fn password_change_logs_out_other_browsers_and_is_listed() {
    let app = app().await;
    app.customer(EMAIL).await;
    let here = logged_in(&app, Scripts::On).await;
    let there = logged_in(&app, Scripts::On).await;
    change_password(&here, "not my password", NEW_PASSWORD).await;
    here.text("#current-password-error").await;
    assert_eq!(here.run("return document.activeElement.id").await, "current-password");
    assert_eq!(here.run("return document.querySelector('#new-password').value").await, "");
    change_password(&here, PASSWORD, NEW_PASSWORD).await;
    here.shows("Your password is changed. Everywhere else you are logged out.").await;
    there.press("table a").await;
    there.arrives_at("/login").await;
    here.press("a[href='/account/activity']").await;
    here.arrives_at("/account/activity").await;
    let activity = here.text("main").await;
    for words in ["Password changed", "Wrong password in the account", "Logged in", "Signed up"] {
        assert!(activity.contains(words), "{words}: {activity}");
    }
    log_in(&there, NEW_PASSWORD).await;
    here.close().await;
    there.close().await;
}

#[tokio::test]
#[ignore = "needs Chromium and chromedriver; tests/run includes it"]
async fn customer_exports_data_and_deletes_the_account() {
    let app = app().await;
    app.customer(EMAIL).await;
    let browser = logged_in(&app, Scripts::On).await;
    let folder = tempfile::tempdir().unwrap();
    browser.download_to(folder.path()).await;
    browser.open("/account").await;
    browser.fill("#export-password", "not my password").await;
    browser.press("form[action='/account/export'] [type=submit]").await;
    browser.shows("Nothing was downloaded yet").await;
    browser.looks_right().await;
    browser.fill("#export-password", PASSWORD).await;
    // The page is not replaced, so its button must work again.
    for _ in 0..2 {
        browser.press("form[action='/account/export'] [type=submit]").await;
        let held = downloaded(folder.path()).await;
        assert_eq!(held["account"]["email"], EMAIL);
    }
    browser.press("a[href='/account/delete']").await;
    browser.fill("#password", "not my password").await;
    browser.press("main form [type=submit]").await;
    browser.shows("Nothing was deleted.").await;
    browser.fill("#password", PASSWORD).await;
    browser.press("main form [type=submit]").await;
    browser.arrives_at("/login").await;
    browser.shows("Your account is deleted.").await;
    browser.send_credentials(EMAIL, PASSWORD).await;
    browser.shows("do not go together").await;
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
    app.customer(EMAIL).await;
    let browser = logged_in(&app, Scripts::On).await;
    browser.open("/account").await;
    browser.looks_right().await;
    browser.fill("#new-email", "new@example.com").await;
    browser.press("form[action='/account/email'] [type=submit]").await;
    browser.shows("Enter your password").await;
    assert_eq!(browser.run("return document.activeElement.id").await, "email-password");
    assert_eq!(browser.run("return document.querySelector('#new-email').value").await, "new@example.com");
    browser.looks_right().await;
    browser.fill("#email-password", "not my password").await;
    browser.press("form[action='/account/email'] [type=submit]").await;
    browser.shows("That is not your password").await;
    assert_eq!(browser.run("return document.querySelector('#email-password').value").await, "");
    browser.fill("#email-password", PASSWORD).await;
    browser.press("form[action='/account/email'] [type=submit]").await;
    browser.shows("We have sent a link to the new address.").await;
    browser.open_mail("Confirm your new e-mail address").await;
    browser.reads(".meta", |text| text.contains("new@example.com")).await;
    browser.close().await;
}

#[tokio::test]
#[ignore = "needs Chromium and chromedriver; tests/run includes it"]
async fn remembered_session_survives_a_browser_restart() {
    let app = app().await;
    app.customer(EMAIL).await;
    let browser = logged_in(&app, Scripts::On).await;
    assert!(browser.session_cookie().await.get("expiry").is_none());
    browser.press("form[action='/logout'] button").await;
    browser.arrives_at("/login").await;
    browser.press("#remember").await;
    browser.send_credentials(EMAIL, PASSWORD).await;
    browser.arrives_at("/orders").await;
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
    app.customer(EMAIL).await;
    let browser = logged_in(&app, Scripts::On).await;
    let before = browser.session_cookie().await["value"].clone();
    assert!(!browser.has("dialog[open]").await, "too early");
    browser.shows("You will be logged out in 2 minutes").await;
    browser.looks_right().await;
    assert_eq!(browser.run("return document.activeElement.textContent").await, "Stay logged in");
    assert!(browser.client.title().await.unwrap().starts_with("Logged out soon"));
    browser.press("dialog button").await;
    browser.gone("dialog[open]").await;
    assert!(!browser.client.title().await.unwrap().starts_with("Logged out soon"));
    assert_ne!(browser.session_cookie().await["value"], before, "the session was not extended");
    browser.shows("You will be logged out in 2 minutes").await;
    browser.press("dialog .plain").await;
    browser.gone("dialog[open]").await;
    browser.press("a[href='/account']").await;
    browser.arrives_at("/account").await;
    browser.close().await;
}

#[tokio::test]
#[ignore = "needs Chromium and chromedriver; tests/run includes it"]
async fn ended_session_leads_to_login_and_back() {
    let app = TestApp::start_with(&[("TOKEN_TTL_SECONDS", "4")]).await;
    app.customer(EMAIL).await;
    let browser = logged_in(&app, Scripts::On).await;
    browser.open("/account").await;
    browser.arrives_at("/login").await;
    browser.shows("You were logged out meanwhile").await;
    browser.send_credentials(EMAIL, PASSWORD).await;
    browser.arrives_at("/account").await;
    browser.close().await;
}

#[tokio::test]
#[ignore = "needs Chromium and chromedriver; tests/run includes it"]
async fn session_check_of_a_page_does_not_resubmit_its_form() {
    let app = TestApp::start_with(&[("TOKEN_TTL_SECONDS", "6")]).await;
    app.customer(EMAIL).await;
    let browser = logged_in(&app, Scripts::On).await;
    browser.open("/account").await;
    browser.press("dialog .plain").await;
    browser.fill("#current-password", "not my password").await;
    browser.press("form[action='/account/password'] [type=submit]").await;
    browser.arrives_at("/account/password").await;
    let failures = "SELECT COUNT(*) FROM audit_events WHERE event = 'confirm-failed'";
    let failures = async || sqlx::query_scalar::<_, i64>(failures).fetch_one(&app.database().await).await.unwrap();
    assert_eq!(failures().await, 1);
    // Another request of this browser renews the session without the page.
    browser.run("setInterval(() => fetch('/account/activity'), 500)").await;
    browser.arrives_at("/account").await;
    assert_eq!(failures().await, 1);
    browser.close().await;
}

#[tokio::test]
#[ignore = "needs Chromium and chromedriver; tests/run includes it"]
async fn form_after_session_end_without_scripts_leads_to_login_and_back() {
    let app = app().await;
    app.customer(EMAIL).await;
    let browser = logged_in(&app, Scripts::Off).await;
    for form in ["/account/email", "/account/sessions/end-others"] {
        browser.open("/account").await;
        run_sql(&app, "UPDATE sessions SET revoked_at = created_at").await;
        browser.press(&format!("form[action='{form}'] button")).await;
        browser.arrives_at("/login").await;
        browser.shows("You were logged out meanwhile").await;
        browser.send_credentials(EMAIL, PASSWORD).await;
        browser.arrives_at("/account").await;
        app.api_token(EMAIL).await;
    }
    browser.close().await;
}

#[tokio::test]
#[ignore = "needs Chromium and chromedriver; tests/run includes it"]
async fn rejected_form_leads_to_login_and_back_to_its_section() {
    let app = app().await;
    app.customer(EMAIL).await;
    let browser = logged_in(&app, Scripts::Off).await;
    change_password(&browser, "not my password", NEW_PASSWORD).await;
    browser.arrives_at("/account/password").await;
    run_sql(&app, "UPDATE sessions SET revoked_at = created_at").await;
    browser.press("form[action='/account/password'] [type=submit]").await;
    browser.arrives_at("/login").await;
    browser.send_credentials(EMAIL, PASSWORD).await;
    browser.arrives_at("/account").await;
    assert!(browser.address().await.ends_with("/account#password"));
    browser.close().await;
}

#[tokio::test]
#[ignore = "needs Chromium and chromedriver; tests/run includes it"]
async fn strength_meter_rates_a_password_while_it_is_typed() {
    let app = app().await;
    let browser = Chromium::start(&app, Scripts::On).await;
    browser.open("/signup").await;
    browser.fill("#email", EMAIL).await;
    assert!(browser.has(".strength[hidden]").await, "the meter is visible without input");
    let password = browser.client.find(Locator::Css("#password")).await.unwrap();
    password.send_keys("password").await.unwrap();
    browser.gone(".strength[hidden]").await;
    let weak = browser.text(".strength p").await;
    assert!(!weak.is_empty());
    let score = "return document.querySelector('.strength meter').value";
    assert!(browser.run(score).await.as_f64().unwrap() < 1.0);
    browser.looks_right().await;
    browser.press("main form [type=submit]").await;
    browser.text("#password-error").await;
    browser.fill("#password", NEW_PASSWORD).await;
    browser.gone(".strength[hidden]").await;
    assert_ne!(browser.text(".strength p").await, weak);
    assert!(browser.run(score).await.as_f64().unwrap() >= 3.0);
    browser.press("main form [type=submit]").await;
    browser.arrives_at("/orders").await;
    browser.close().await;
}
