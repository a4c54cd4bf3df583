//! An attacker and a customer, each in a browser.

use super::chromium::{Chromium, Scripts};
use super::{EMAIL, app};
use crate::app::{PASSWORD, TestApp};
use crate::mailbox::{self, CONFIRM, CONFIRM_NEW};
use crate::shop;

const ATTACKER: &str = "mallory@evil.example";
const NEW_PASSWORD: &str = "eleven brass owls in a row";

/// A shop with an order of the customer.
async fn shop_with_order() -> TestApp {
    let app = app().await;
    app.write("export.csv", shop::export(&[shop::order("#7001", EMAIL)]));
    app.done(&["import", "export.csv"]);
    app
}

async fn sign_up(browser: &Chromium, email: &str, password: &str) {
    browser.open("/signup").await;
    browser.send_credentials(email, password).await;
    browser.arrives_at("/orders").await;
}

async fn open_link(browser: &Chromium, subject: &str) {
    browser.open_mail(subject).await;
    browser.press(".email-text a[href*='token=']").await;
}

#[tokio::test]
#[ignore = "needs Chromium and chromedriver; tests/run includes it"]
async fn customer_takes_over_an_attackers_sign_up_by_reset() {
    let app = shop_with_order().await;
    let attacker = Chromium::start(&app, Scripts::On).await;
    sign_up(&attacker, EMAIL, PASSWORD).await;

    let customer = Chromium::start(&app, Scripts::On).await;
    open_link(&customer, "Confirm your e-mail address").await;
    customer.arrives_at("/verify").await;
    customer.looks_right().await;
    customer.press("form[action='/verify'] [type=submit]").await;
    customer.shows("That is not the password of the account").await;
    customer.looks_right().await;
    attacker.open("/orders").await;
    assert!(!attacker.text("main").await.contains("#7001"), "the attacker sees the customer's order");

    customer.press("form[action='/password/forgot'] [type=submit]").await;
    customer.shows("Check your inbox").await;
    open_link(&customer, "Choose a new password").await;
    customer.fill("#password", NEW_PASSWORD).await;
    customer.press("main form [type=submit]").await;
    customer.arrives_at("/login").await;
    customer.send_credentials(EMAIL, NEW_PASSWORD).await;
    customer.arrives_at("/orders").await;
    customer.shows("#7001").await;
    attacker.open("/orders").await;
    attacker.arrives_at("/login").await;

    open_link(&customer, "Confirm your e-mail address").await;
    customer.shows("Your email address is confirmed").await;
    customer.looks_right().await;
    customer.close().await;
    attacker.close().await;
}

#[tokio::test]
#[ignore = "needs Chromium and chromedriver; tests/run includes it"]
async fn customer_ignores_an_attackers_email_change() {
    let app = shop_with_order().await;
    let attacker = Chromium::start(&app, Scripts::On).await;
    sign_up(&attacker, ATTACKER, PASSWORD).await;
    attacker.open("/account").await;
    attacker.fill("#new-email", EMAIL).await;
    attacker.fill("#email-password", PASSWORD).await;
    attacker.press("form[action='/account/email'] [type=submit]").await;
    attacker.shows("We have sent a link to the new address.").await;

    let customer = Chromium::start(&app, Scripts::On).await;
    open_link(&customer, "Confirm your new e-mail address").await;
    customer.shows("m…@evil.example").await;
    customer.looks_right().await;
    customer.press("form[action='/verify'] [type=submit]").await;
    customer.shows("That is not the password of the account").await;
    attacker.open("/orders").await;
    assert!(!attacker.text("main").await.contains("#7001"), "the attacker sees the customer's order");
    sign_up(&customer, EMAIL, NEW_PASSWORD).await;
    let mail = mailbox::mail_to(&app, EMAIL, CONFIRM).await;
    customer.open(mail.path()).await;
    customer.press("form[action='/verify'] [type=submit]").await;
    customer.arrives_at("/orders").await;
    customer.shows("#7001").await;
    customer.close().await;
    attacker.close().await;
}

#[tokio::test]
#[ignore = "needs Chromium and chromedriver; tests/run includes it"]
async fn customer_recovers_the_account_from_an_attacker() {
    let app = shop_with_order().await;
    app.verified_customer(EMAIL).await;
    let customer = Chromium::start(&app, Scripts::On).await;
    customer.open("/login").await;
    customer.send_credentials(EMAIL, PASSWORD).await;
    customer.arrives_at("/orders").await;

    let thief = Chromium::start(&app, Scripts::On).await;
    thief.open("/").await;
    let stolen = customer.session_cookie().await["value"].as_str().unwrap().to_owned();
    thief.set_session_cookie(&stolen).await;
    thief.open("/account").await;
    thief.fill("#new-email", ATTACKER).await;
    thief.press("form[action='/account/email'] [type=submit]").await;
    thief.shows("Enter your password").await;
    thief.fill("#current-password", PASSWORD).await;
    thief.fill("#new-password", NEW_PASSWORD).await;
    thief.press("form[action='/account/password'] [type=submit]").await;
    thief.shows("Your password is changed").await;
    thief.fill("#new-email", ATTACKER).await;
    thief.fill("#email-password", NEW_PASSWORD).await;
    thief.press("form[action='/account/email'] [type=submit]").await;
    thief.shows("We have sent a link to the new address.").await;
    let change = mailbox::mail_to(&app, ATTACKER, CONFIRM_NEW).await;
    thief.open(change.path()).await;
    thief.press("form[action='/verify'] [type=submit]").await;
    thief.arrives_at("/orders").await;
    thief.shows("#7001").await;
    customer.open("/orders").await;
    customer.arrives_at("/login").await;

    open_link(&customer, "Your e-mail address was changed").await;
    customer.arrives_at("/not-me").await;
    customer.shows("m…@evil.example").await;
    customer.looks_right().await;
    customer.press("form[action='/not-me'] [type=submit]").await;
    customer.arrives_at("/login").await;
    customer.shows("The account is secured").await;
    customer.looks_right().await;
    thief.open("/orders").await;
    thief.arrives_at("/login").await;
    thief.send_credentials(ATTACKER, NEW_PASSWORD).await;
    thief.shows("do not go together").await;

    open_link(&customer, "Choose a new password").await;
    customer.fill("#password", "twelve tin frogs on a log").await;
    customer.press("main form [type=submit]").await;
    customer.arrives_at("/login").await;
    customer.send_credentials(EMAIL, "twelve tin frogs on a log").await;
    customer.arrives_at("/orders").await;
    customer.shows("#7001").await;
    open_link(&customer, "Your e-mail address was changed").await;
    customer.shows("That link no longer works").await;
    customer.looks_right().await;
    customer.close().await;
    thief.close().await;
}

#[tokio::test]
#[ignore = "needs Chromium and chromedriver; tests/run includes it"]
async fn recovery_link_works_without_scripts() {
    let app = app().await;
    let mut ann = app.verified_customer(EMAIL).await;
    ann.post("/account/password", &[("current_password", PASSWORD), ("new_password", NEW_PASSWORD)]).await;
    let notice = mailbox::mail_to(&app, EMAIL, "Your password was changed").await;
    let browser = Chromium::start(&app, Scripts::Off).await;
    browser.open(notice.path()).await;
    browser.press("form[action='/not-me'] [type=submit]").await;
    browser.arrives_at("/login").await;
    browser.shows("The account is secured").await;
    browser.close().await;
}
