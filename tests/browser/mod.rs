//! The portal in real browsers: all of it in Chromium, what engines disagree on in Firefox and `WebKit` too.

mod accounts;
mod chromium;
mod driver;
mod engines;
mod orders;
mod takeover;

use fantoccini::Locator;

use crate::app::{PASSWORD, TestApp};
use chromium::{Chromium, Scripts};

const EMAIL: &str = "ann@example.com";

async fn app() -> TestApp {
    TestApp::start_with(&[("DEMO_ORDERS", "true")]).await
}

#[tokio::test]
#[ignore = "needs Chromium and chromedriver; tests/run includes it"]
async fn a_customer_signs_up_browses_logs_out_and_the_back_button_shows_no_order() {
    let app = app().await;
    let browser = Chromium::start(&app, Scripts::On).await;
    browser.open("/").await;
    browser.press("main a[href='/signup']").await;
    browser.send_credentials(EMAIL, PASSWORD).await;
    browser.arrives_at("/orders").await;
    browser.reads("main", |text| text.contains("Your account is ready")).await;
    assert_eq!(browser.run("return document.cookie").await, "", "scripts can read a cookie");
    browser.press("table a").await;
    browser.reads("h1", |text| text.starts_with("Order #S")).await;
    browser.press("form[action='/logout'] button").await;
    browser.arrives_at("/login").await;
    browser.run("history.back()").await;
    tokio::time::sleep(std::time::Duration::from_millis(800)).await;
    assert!(!browser.text("body").await.contains("#S"), "an order shows after logging out");
    browser.close().await;
}

#[tokio::test]
#[ignore = "needs Chromium and chromedriver; tests/run includes it"]
async fn a_guarded_page_is_come_back_to_after_a_wrong_and_a_right_password() {
    let app = app().await;
    app.customer(EMAIL).await;
    let browser = Chromium::start(&app, Scripts::On).await;
    browser.open("/orders/S1096").await;
    browser.arrives_at("/login").await;
    browser.send_credentials(EMAIL, "something else").await;
    browser.reads("[role=alert]", |text| text.contains("do not go together")).await;
    assert_eq!(browser.run("return document.querySelector('#email').value").await, EMAIL);
    assert_eq!(browser.run("return document.activeElement.id").await, "password");
    browser.press(".show").await;
    assert_eq!(browser.run("return document.querySelector('#password').type").await, "text");
    browser.send_credentials(EMAIL, PASSWORD).await;
    browser.arrives_at("/orders/S1096").await;
    browser.close().await;
}

#[tokio::test]
#[ignore = "needs Chromium and chromedriver; tests/run includes it"]
async fn a_link_from_another_site_keeps_the_customer_signed_in() {
    let app = app().await;
    let browser = Chromium::start(&app, Scripts::On).await;
    browser.open("/signup").await;
    browser.send_credentials(EMAIL, PASSWORD).await;
    browser.arrives_at("/orders").await;
    let elsewhere =
        chromium::page_elsewhere(&format!("<a href=\"http://localhost:{}/orders\">orders</a>", app.port)).await;
    browser.client.goto(&elsewhere).await.unwrap();
    browser.press("a").await;
    browser.client.wait().for_element(Locator::Css("table.orders")).await.unwrap();
    browser.arrives_at("/orders").await;
    browser.close().await;
}

#[tokio::test]
#[ignore = "needs Chromium and chromedriver; tests/run includes it"]
async fn everything_works_without_scripts() {
    let app = app().await;
    let browser = Chromium::start(&app, Scripts::Off).await;
    browser.open("/signup").await;
    browser.send_credentials("nobody", PASSWORD).await;
    browser.reads("[role=alert]", |text| text.contains("name@example.com")).await;
    let email = browser.client.find(Locator::Css("#email")).await.unwrap();
    email.clear().await.unwrap();
    browser.send_credentials(EMAIL, PASSWORD).await;
    browser.arrives_at("/orders").await;
    browser.press("a[rel=next]").await;
    browser.press("a[rel=prev]").await;
    browser.press("table a").await;
    browser.press("form[action='/logout'] button").await;
    browser.arrives_at("/login").await;
    browser.close().await;
}

#[tokio::test]
#[ignore = "needs Chromium and chromedriver; tests/run includes it"]
async fn every_page_fits_a_phone_and_can_be_read() {
    let app = app().await;
    let browser = Chromium::start(&app, Scripts::On).await;
    for path in [
        "/",
        "/login",
        "/signup",
        "/password/forgot",
        "/password/forgot?sent=1",
        "/verify?token=x",
        "/not-me?token=x",
        "/dev/mail",
    ] {
        browser.open(path).await;
        browser.looks_right().await;
    }
    browser.open("/nothing").await;
    browser.looks_right().await;
    browser.open("/signup").await;
    browser.send_credentials("nobody", "short").await;
    browser.shows("Your account is not made yet").await;
    browser.looks_right().await;
    browser.send_credentials(EMAIL, PASSWORD).await;
    browser.arrives_at("/orders").await;
    browser.looks_right().await;
    for path in ["/orders/S1096", "/orders/none", "/account", "/account/activity", "/account/delete"] {
        browser.open(path).await;
        browser.looks_right().await;
    }
    browser.open_mail("Confirm your e-mail address").await;
    browser.looks_right().await;
    browser.press(".email-text a").await;
    browser.shows("Once you confirm").await;
    browser.looks_right().await;
    browser.close().await;
}
