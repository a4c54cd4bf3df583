//! Two-step login in Chromium.

use std::path::Path;

use super::app;
use super::chromium::{Chromium, Scripts};
use crate::app::{ANN, PASSWORD, TestApp};
use crate::mfa::Authenticator;

const TURN_ON: &str = "form[action='/account/mfa/start']";

async fn confirmed(app: &TestApp, scripts: Scripts) -> Chromium {
    let browser = Chromium::start(app, scripts).await;
    browser.sign_up(ANN, PASSWORD).await;
    app.run_ok(&["user", "verify", ANN]);
    browser
}

/// Turns two-step login on from the account page; stays at the page with the recovery codes.
async fn set_up(browser: &Chromium) -> (Authenticator, Vec<String>) {
    browser.open("/account").await;
    browser.click("a[href='/account/mfa']").await;
    browser.wait_for_path("/account/mfa").await;
    browser.click("summary").await;
    browser.assert_layout_and_contrast().await;
    browser.fill("#start-password", PASSWORD).await;
    browser.click(&format!("{TURN_ON} [type=submit]")).await;
    browser.wait_for_text_of("h1", |text| text == "Set up two-step login").await;
    browser.assert_layout_and_contrast().await;
    let secret = browser.text("[data-totp-secret]").await;
    let authenticator = Authenticator::new(&secret);
    browser.fill("#code", &authenticator.wrong_code()).await;
    browser.click("form[action='/account/mfa/confirm'] [type=submit]").await;
    browser.wait_for_text_of("[role=alert]", |text| text.contains("The code is incorrect")).await;
    browser.fill("#code", &authenticator.code(0)).await;
    browser.click("form[action='/account/mfa/confirm'] [type=submit]").await;
    browser.wait_for_text_of("h1", |text| text == "Save your recovery codes").await;
    browser.assert_layout_and_contrast().await;
    let list = browser.text(".codes").await;
    let codes: Vec<String> = list.lines().map(str::to_owned).collect();
    assert_eq!(codes.len(), 10, "{list}");
    (authenticator, codes)
}

async fn log_out(browser: &Chromium) {
    browser.open("/orders").await;
    browser.click("form[action='/logout'] button").await;
    browser.wait_for_path("/login").await;
}

async fn send_code(browser: &Chromium, code: &str) {
    browser.fill("#code", code).await;
    browser.click("form[action='/login/code'] [type=submit]").await;
}

#[tokio::test]
#[ignore = "needs Chromium and chromedriver; tests/run includes it"]
async fn customer_sets_two_step_login_up_and_logs_in_with_a_code() {
    let app = app().await;
    let browser = confirmed(&app, Scripts::On).await;
    let downloads = tempfile::tempdir().unwrap();
    browser.download_to(downloads.path()).await;
    let (authenticator, codes) = set_up(&browser).await;
    browser.click("a[download]").await;
    let file = wait_for_file(&downloads.path().join("recovery-codes.txt")).await;
    assert!(codes.iter().all(|code| file.contains(code)), "{file}");
    assert_eq!(browser.text("h1").await, "Save your recovery codes", "the download leaves the page");
    browser.click("main a.button").await;
    browser.wait_for_text("10 left").await;

    log_out(&browser).await;
    browser.open("/orders/S1096").await;
    browser.wait_for_path("/login").await;
    browser.send_credentials(ANN, PASSWORD).await;
    browser.wait_for_path("/login/code").await;
    assert_eq!(browser.run("return document.activeElement.id").await, "code");
    browser.assert_layout_and_contrast().await;
    send_code(&browser, &authenticator.wrong_code()).await;
    browser.wait_for_text_of("[role=alert]", |text| text.contains("The code is incorrect")).await;
    let code = authenticator.fresh_code(&app).await;
    send_code(&browser, &format!("{} {}", &code[..3], &code[3..])).await;
    browser.wait_for_path("/orders/S1096").await;

    log_out(&browser).await;
    browser.send_credentials(ANN, PASSWORD).await;
    browser.wait_for_path("/login/code").await;
    send_code(&browser, &code).await;
    browser.wait_for_text_of("[role=alert]", |text| text.contains("was used before")).await;
    send_code(&browser, &codes[3]).await;
    browser.wait_for_path("/orders").await;
    browser.open("/account").await;
    browser.wait_for_text("9 recovery codes left").await;
    browser.close().await;
}

async fn wait_for_file(path: &Path) -> String {
    for _ in 0..100 {
        if let Ok(text) = std::fs::read_to_string(path) {
            return text;
        }
        tokio::time::sleep(std::time::Duration::from_millis(100)).await;
    }
    panic!("{} was not downloaded", path.display());
}

#[tokio::test]
#[ignore = "needs Chromium and chromedriver; tests/run includes it"]
async fn two_step_login_works_without_scripts() {
    let app = app().await;
    let browser = confirmed(&app, Scripts::Off).await;
    let (authenticator, codes) = set_up(&browser).await;
    log_out(&browser).await;
    browser.send_credentials(ANN, PASSWORD).await;
    browser.wait_for_path("/login/code").await;
    send_code(&browser, &authenticator.fresh_code(&app).await).await;
    browser.wait_for_path("/orders").await;
    browser.open("/account/mfa").await;
    browser.click("section:first-of-type summary").await;
    browser.fill("#disable-password", PASSWORD).await;
    browser.fill("#disable-code", &codes[0]).await;
    browser.click("form[action='/account/mfa/disable'] [type=submit]").await;
    browser.wait_for_text("Two-step login is off.").await;
    log_out(&browser).await;
    browser.send_credentials(ANN, PASSWORD).await;
    browser.wait_for_path("/orders").await;
    browser.close().await;
}
