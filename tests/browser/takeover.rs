//! An attacker and a customer, each in their own browser.

use super::accounts::open_setting;
use super::app;
use super::chromium::{Chromium, Scripts};
use crate::app::{ANN, NEW_PASSWORD, PASSWORD, TestApp};
use crate::mailbox::{self, CONFIRM, CONFIRM_NEW};
use crate::shop;

const ATTACKER: &str = "mallory@evil.example";

/// A server with an order of the customer.
async fn app_with_order() -> TestApp {
    let app = app().await;
    app.import(&[shop::order("#7001", ANN)]);
    app
}

async fn open_link(browser: &Chromium, subject: &str) {
    browser.open_mail(subject).await;
    browser.click(".email-text a[href*='token=']").await;
}

#[tokio::test]
#[ignore = "needs Chromium and chromedriver; tests/run includes it"]
async fn customer_takes_over_an_attackers_sign_up_by_reset() {
    let app = app_with_order().await;
    let attacker = Chromium::start(&app, Scripts::On).await;
    attacker.sign_up(ANN, PASSWORD).await;

    let customer = Chromium::start(&app, Scripts::On).await;
    open_link(&customer, "Confirm your email address").await;
    customer.wait_for_path("/verify").await;
    customer.assert_layout_and_contrast().await;
    customer.click("form[action='/verify'] [type=submit]").await;
    customer.wait_for_text("Password is incorrect").await;
    customer.assert_layout_and_contrast().await;
    attacker.open("/orders").await;
    assert!(!attacker.text("main").await.contains("#7001"), "the attacker sees the customer's order");

    customer.click("form[action='/password/forgot'] [type=submit]").await;
    customer.wait_for_text("Check your inbox").await;
    open_link(&customer, "Choose a new password").await;
    customer.fill("#password", NEW_PASSWORD).await;
    customer.click("main form [type=submit]").await;
    customer.wait_for_path("/login").await;
    customer.send_credentials(ANN, NEW_PASSWORD).await;
    customer.wait_for_path("/orders").await;
    customer.wait_for_text("#7001").await;
    attacker.open("/orders").await;
    attacker.wait_for_path("/login").await;

    open_link(&customer, "Confirm your email address").await;
    customer.wait_for_text("Your email address is confirmed").await;
    customer.assert_layout_and_contrast().await;
    customer.close().await;
    attacker.close().await;
}

#[tokio::test]
#[ignore = "needs Chromium and chromedriver; tests/run includes it"]
async fn customer_ignores_an_attackers_email_change() {
    let app = app_with_order().await;
    let attacker = Chromium::start(&app, Scripts::On).await;
    attacker.sign_up(ATTACKER, PASSWORD).await;
    open_setting(&attacker, "email").await;
    attacker.fill("#new-email", ANN).await;
    attacker.fill("#email-password", PASSWORD).await;
    attacker.click("form[action='/account/email'] [type=submit]").await;
    attacker.wait_for_text("We sent a confirmation link to your new email address.").await;

    let customer = Chromium::start(&app, Scripts::On).await;
    open_link(&customer, "Confirm your new email address").await;
    customer.wait_for_text("m…@evil.example").await;
    customer.assert_layout_and_contrast().await;
    customer.click("form[action='/verify'] [type=submit]").await;
    customer.wait_for_text("Password is incorrect").await;
    attacker.open("/orders").await;
    assert!(!attacker.text("main").await.contains("#7001"), "the attacker sees the customer's order");
    customer.sign_up(ANN, NEW_PASSWORD).await;
    let mail = mailbox::mail_to(&app, ANN, CONFIRM).await;
    customer.open(mail.path()).await;
    customer.click("form[action='/verify'] [type=submit]").await;
    customer.wait_for_path("/orders").await;
    customer.wait_for_text("#7001").await;
    customer.close().await;
    attacker.close().await;
}

#[tokio::test]
#[ignore = "needs Chromium and chromedriver; tests/run includes it"]
async fn customer_recovers_the_account_from_an_attacker() {
    let app = app_with_order().await;
    app.verified_customer(ANN).await;
    let customer = Chromium::start(&app, Scripts::On).await;
    customer.log_in(ANN, PASSWORD).await;

    let attacker = Chromium::start(&app, Scripts::On).await;
    attacker.open("/").await;
    let token = customer.session_cookie().await["value"].as_str().unwrap().to_owned();
    attacker.set_session_cookie(&token).await;
    open_setting(&attacker, "email").await;
    attacker.fill("#new-email", ATTACKER).await;
    attacker.click("form[action='/account/email'] [type=submit]").await;
    attacker.wait_for_text("Enter your password").await;
    open_setting(&attacker, "password").await;
    attacker.fill("#current-password", PASSWORD).await;
    attacker.fill("#new-password", NEW_PASSWORD).await;
    attacker.click("form[action='/account/password'] [type=submit]").await;
    attacker.wait_for_text("Your password was changed").await;
    open_setting(&attacker, "email").await;
    attacker.fill("#new-email", ATTACKER).await;
    attacker.fill("#email-password", NEW_PASSWORD).await;
    attacker.click("form[action='/account/email'] [type=submit]").await;
    attacker.wait_for_text("We sent a confirmation link to your new email address.").await;
    let change = mailbox::mail_to(&app, ATTACKER, CONFIRM_NEW).await;
    attacker.open(change.path()).await;
    attacker.click("form[action='/verify'] [type=submit]").await;
    attacker.wait_for_path("/orders").await;
    attacker.wait_for_text("#7001").await;
    customer.open("/orders").await;
    customer.wait_for_path("/login").await;

    open_link(&customer, "Your email address was changed").await;
    customer.wait_for_path("/not-me").await;
    customer.wait_for_text("m…@evil.example").await;
    customer.assert_layout_and_contrast().await;
    customer.click("form[action='/not-me'] [type=submit]").await;
    customer.wait_for_path("/login").await;
    customer.wait_for_text("Your account is secured").await;
    customer.assert_layout_and_contrast().await;
    attacker.open("/orders").await;
    attacker.wait_for_path("/login").await;
    attacker.send_credentials(ATTACKER, NEW_PASSWORD).await;
    attacker.wait_for_text("Email or password is incorrect").await;

    open_link(&customer, "Choose a new password").await;
    customer.fill("#password", "twelve tin frogs on a log").await;
    customer.click("main form [type=submit]").await;
    customer.wait_for_path("/login").await;
    customer.send_credentials(ANN, "twelve tin frogs on a log").await;
    customer.wait_for_path("/orders").await;
    customer.wait_for_text("#7001").await;
    open_link(&customer, "Your email address was changed").await;
    customer.wait_for_text("This link no longer works").await;
    customer.assert_layout_and_contrast().await;
    customer.close().await;
    attacker.close().await;
}

#[tokio::test]
#[ignore = "needs Chromium and chromedriver; tests/run includes it"]
async fn recovery_link_works_without_scripts() {
    let app = app().await;
    let mut ann = app.verified_customer(ANN).await;
    ann.change_password(PASSWORD, NEW_PASSWORD).await;
    let notice = mailbox::mail_to(&app, ANN, "Your password was changed").await;
    let browser = Chromium::start(&app, Scripts::Off).await;
    browser.open(notice.path()).await;
    browser.click("form[action='/not-me'] [type=submit]").await;
    browser.wait_for_path("/login").await;
    browser.wait_for_text("Your account is secured").await;
    browser.close().await;
}
