//! Browser tests: in Chromium, and for differences between engines also in Firefox and `WebKit`.

pub mod accounts;
pub mod chromium;
mod driver;
mod engines;
mod filters;
mod keyboard;
mod mails;
pub mod orders;
mod passkeys;
mod reader_settings;
mod requests;
mod settings;
mod takeover;
mod two_step_login;

use fantoccini::Locator;

use crate::app::{ANN, PASSWORD, TestApp};
use chromium::{Chromium, Scripts};

async fn app() -> TestApp {
    TestApp::start_with(&[("DEMO_ORDERS", "true")]).await
}

#[tokio::test]
#[ignore = "needs Chromium and chromedriver; tests/run includes it"]
async fn back_button_shows_no_order_after_logout() {
    let app = app().await;
    let browser = Chromium::start(&app, Scripts::On).await;
    browser.open("/").await;
    browser.click("main a[href='/signup']").await;
    browser.send_credentials(ANN, PASSWORD).await;
    browser.wait_for_path("/orders").await;
    browser.wait_for_text_of("main", |text| text.contains("Your account was created")).await;
    assert_eq!(browser.run("return document.cookie").await, "", "document.cookie is not empty");
    browser.click("table a").await;
    browser.wait_for_text_of("h1", |text| text.starts_with("Order #S")).await;
    browser.click("form[action='/logout'] button").await;
    browser.wait_for_path("/login").await;
    browser.run("history.back()").await;
    tokio::time::sleep(std::time::Duration::from_millis(800)).await;
    assert!(!browser.text("body").await.contains("#S"), "an order is visible after the logout");
    browser.close().await;
}

#[tokio::test]
#[ignore = "needs Chromium and chromedriver; tests/run includes it"]
async fn login_returns_to_the_guarded_page_after_a_wrong_password() {
    let app = app().await;
    app.customer(ANN).await;
    let browser = Chromium::start(&app, Scripts::On).await;
    browser.open("/orders/S1096").await;
    browser.wait_for_path("/login").await;
    browser.send_credentials(ANN, "something else").await;
    browser.wait_for_text_of("[role=alert]", |text| text.contains("Email or password is incorrect")).await;
    assert_eq!(browser.run("return document.querySelector('#email').value").await, ANN);
    assert_eq!(browser.run("return document.activeElement.id").await, "password");
    browser.click(".show").await;
    assert_eq!(browser.run("return document.querySelector('#password').type").await, "text");
    browser.send_credentials(ANN, PASSWORD).await;
    browser.wait_for_path("/orders/S1096").await;
    browser.close().await;
}

#[tokio::test]
#[ignore = "needs Chromium and chromedriver; tests/run includes it"]
async fn link_from_another_site_keeps_the_session() {
    let app = app().await;
    let browser = Chromium::start(&app, Scripts::On).await;
    browser.sign_up(ANN, PASSWORD).await;
    let other_site =
        chromium::serve_on_other_origin(&format!("<a href=\"http://localhost:{}/orders\">orders</a>", app.port)).await;
    browser.client.goto(&other_site).await.unwrap();
    browser.click("a").await;
    browser.client.wait().for_element(Locator::Css("table.orders")).await.unwrap();
    browser.wait_for_path("/orders").await;
    browser.close().await;
}

#[tokio::test]
#[ignore = "needs Chromium and chromedriver; tests/run includes it"]
async fn sign_up_paging_and_logout_work_without_scripts() {
    let app = app().await;
    let browser = Chromium::start(&app, Scripts::Off).await;
    browser.open("/signup").await;
    browser.send_credentials("nobody", PASSWORD).await;
    browser.wait_for_text_of("[role=alert]", |text| text.contains("name@example.com")).await;
    let email = browser.client.find(Locator::Css("#email")).await.unwrap();
    email.clear().await.unwrap();
    browser.send_credentials(ANN, PASSWORD).await;
    browser.wait_for_path("/orders").await;
    browser.click("a[rel=next]").await;
    browser.click("a[rel=prev]").await;
    browser.click("table a").await;
    browser.click("form[action='/logout'] button").await;
    browser.wait_for_path("/login").await;
    browser.close().await;
}

#[tokio::test]
#[ignore = "needs Chromium and chromedriver; tests/run includes it"]
async fn pages_fit_a_phone_and_have_enough_contrast() {
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
        browser.assert_layout_and_contrast().await;
    }
    browser.open("/nothing").await;
    browser.assert_layout_and_contrast().await;
    browser.open("/signup").await;
    browser.send_credentials("nobody", "short").await;
    browser.wait_for_text("Your account was not created").await;
    browser.assert_layout_and_contrast().await;
    browser.send_credentials(ANN, PASSWORD).await;
    browser.wait_for_path("/orders").await;
    browser.assert_layout_and_contrast().await;
    for path in ["/orders/S1096", "/orders/none", "/account", "/account/activity", "/account/delete"] {
        browser.open(path).await;
        browser.assert_layout_and_contrast().await;
    }
    browser.open_mail("Confirm your email address").await;
    browser.assert_layout_and_contrast().await;
    browser.click(".email-text a").await;
    browser.wait_for_text("When you confirm it").await;
    browser.assert_layout_and_contrast().await;
    browser.close().await;
}
