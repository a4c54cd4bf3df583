//! The menu, the settings of the account page, and the strength meter.

use fantoccini::Locator;

use super::accounts::{change_password, logged_in};
use super::app;
use super::chromium::{Chromium, Scripts};
use crate::app::{ANN, NEW_PASSWORD, PASSWORD};

#[tokio::test]
#[ignore = "needs Chromium and chromedriver; tests/run includes it"]
async fn strength_meter_rates_a_password_while_it_is_typed() {
    let app = app().await;
    let browser = Chromium::start(&app, Scripts::On).await;
    browser.open("/signup").await;
    browser.fill("#email", ANN).await;
    assert!(browser.has(".strength[hidden]").await, "the meter is visible without input");
    let button = "return document.querySelector('main form [type=submit]').getBoundingClientRect().top";
    let top = browser.run(button).await;
    let password = browser.client.find(Locator::Css("#password")).await.unwrap();
    password.send_keys("password").await.unwrap();
    browser.wait_until_gone(".strength[hidden]").await;
    assert_eq!(browser.run(button).await, top, "the meter moves the button");
    let weak = browser.text(".strength p").await;
    assert!(!weak.is_empty());
    let score = "return Number(document.querySelector('.strength [role=meter]').getAttribute('aria-valuenow'))";
    assert_eq!(
        browser.run("return document.querySelector('.strength').getBoundingClientRect().height > 0").await,
        true
    );
    assert_eq!(browser.run(score).await, 0);
    browser.assert_layout_and_contrast().await;
    browser.click("main form [type=submit]").await;
    browser.text("#password-error").await;
    let top = browser.run(button).await;
    browser.fill("#password", NEW_PASSWORD).await;
    browser.wait_until_gone(".strength[hidden]").await;
    assert_eq!(browser.run(button).await, top, "the meter moves the button");
    assert_eq!(browser.text("#password-error").await, "", "the error of the former password is visible");
    assert_ne!(browser.text(".strength p").await, weak);
    assert!(browser.run(score).await.as_f64().unwrap() >= 3.0);
    browser.click("main form [type=submit]").await;
    browser.wait_for_path("/orders").await;
    browser.close().await;
}

#[tokio::test]
#[ignore = "needs Chromium and chromedriver; tests/run includes it"]
async fn link_to_a_setting_opens_its_form() {
    let app = app().await;
    app.customer(ANN).await;
    for scripts in [Scripts::On, Scripts::Off] {
        let browser = logged_in(&app, scripts).await;
        browser.open("/account").await;
        let field = browser.client.find(Locator::Css("#current-password")).await.unwrap();
        assert!(!field.is_displayed().await.unwrap(), "a form stands open");
        browser.open("/.well-known/change-password").await;
        browser.wait_for_path("/account").await;
        change_shown_password(&browser).await;
        browser.wait_for_text("Your password was changed.").await;
        app.execute("DELETE FROM rate_limits").await;
        app.run_ok(&["user", "verify", ANN]);
        browser.close().await;
        let browser = Chromium::start(&app, Scripts::On).await;
        browser.log_in(ANN, NEW_PASSWORD).await;
        change_password(&browser, NEW_PASSWORD, PASSWORD).await;
        browser.wait_for_text("Your password was changed.").await;
        let field = browser.client.find(Locator::Css("#current-password")).await.unwrap();
        assert!(!field.is_displayed().await.unwrap(), "the form is open again after the change");
        browser.close().await;
    }
}

/// Changes the password in the form that is open already.
async fn change_shown_password(browser: &Chromium) {
    browser.fill("#current-password", PASSWORD).await;
    browser.fill("#new-password", NEW_PASSWORD).await;
    browser.click("form[action='/account/password'] [type=submit]").await;
}

#[tokio::test]
#[ignore = "needs Chromium and chromedriver; tests/run includes it"]
async fn menu_has_labels_and_fits_with_a_long_address() {
    let app = app().await;
    let long = format!("{}@example.com", "a-very-long-name".repeat(4));
    for scripts in [Scripts::On, Scripts::Off] {
        let browser = Chromium::start(&app, scripts).await;
        if scripts == Scripts::On {
            browser.sign_up(&long, PASSWORD).await;
        } else {
            browser.log_in(&long, PASSWORD).await;
        }
        for width in [320, 1440] {
            let size = serde_json::json!({ "width": width, "height": 720, "deviceScaleFactor": 1, "mobile": false });
            browser.devtools("Emulation.setDeviceMetricsOverride", size).await;
            let menu = browser.text(".site-header nav").await;
            assert!(menu.starts_with("Orders") && menu.contains("Account") && menu.ends_with("Log out"), "{menu}");
            let nav = browser.client.find(Locator::Css(".site-header nav")).await.unwrap();
            let (x, _, nav_width, height) = nav.rectangle().await.unwrap();
            assert!(
                x >= 0.0 && x + nav_width <= f64::from(width) && height < 60.0,
                "{width}: {x} {nav_width} {height}"
            );
            let address = browser.client.find(Locator::Css(".site-header .address")).await.unwrap();
            assert!(address.is_displayed().await.unwrap());
            assert!(address.rectangle().await.unwrap().2 < 260.0, "the address is not cut");
        }
        browser.click(".site-header .who a").await;
        browser.wait_for_path("/account").await;
        browser.click("form[action='/logout'] button").await;
        browser.wait_for_path("/login").await;
        browser.close().await;
    }
}
