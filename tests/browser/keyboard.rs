//! A customer who uses the keyboard alone: log in, open an order, request its cancellation and withdraw it, log out.

use fantoccini::key::Key;
use serde_json::json;

use super::chromium::{Chromium, Scripts};
use crate::actions::pending_requests;
use crate::app::{ANN, PASSWORD, TestApp};
use crate::shop::unsent;

/// Whether the focused element matches the selector. Each one must be visible, on the screen and marked as focused.
const FOCUS: &str = "const element = document.activeElement;
    const { outlineStyle, outlineWidth } = getComputedStyle(element);
    const after = getComputedStyle(element, '::after');
    const box = element.getBoundingClientRect();
    const isMarked = (outlineStyle !== 'none' && outlineWidth !== '0px') || after.outlineStyle !== 'none';
    const isOnScreen = box.bottom > 0 && box.top < innerHeight && box.width > 0;
    return [element.matches(arguments[0]), element === document.body || (isMarked && isOnScreen && element.checkVisibility()),
      element.outerHTML.slice(0, 150)]";

async fn press(browser: &Chromium, keys: &str) {
    browser.client.active_element().await.unwrap().send_keys(keys).await.unwrap();
}

/// Presses Tab until the focus is on the element.
async fn tab_to(browser: &Chromium, selector: &str) {
    let mut passed = Vec::new();
    for _ in 0..40 {
        press(browser, &char::from(Key::Tab).to_string()).await;
        let focus = browser.client.execute(FOCUS, vec![json!(selector)]).await.unwrap();
        let (is_wanted, is_shown, html): (bool, bool, String) = serde_json::from_value(focus).unwrap();
        assert!(is_shown, "the focus is not visible on {html}");
        if is_wanted {
            return;
        }
        passed.push(html);
    }
    panic!("no {selector} after {passed:#?}");
}

async fn tab_to_and_press_enter(browser: &Chromium, selector: &str) {
    tab_to(browser, selector).await;
    press(browser, &char::from(Key::Enter).to_string()).await;
}

#[tokio::test]
#[ignore = "needs Chromium and chromedriver; tests/run includes it"]
async fn order_is_found_and_cancelled_by_keyboard_alone() {
    let (app, _) = TestApp::start_with_orders(&[unsent("#1", ANN), unsent("#2", ANN)]).await;
    for scripts in [Scripts::On, Scripts::Off] {
        let browser = Chromium::start(&app, scripts).await;
        browser.open("/login").await;
        tab_to(&browser, "a.skip").await;
        tab_to(&browser, "#email").await;
        press(&browser, ANN).await;
        tab_to(&browser, "#password").await;
        press(&browser, PASSWORD).await;
        press(&browser, &char::from(Key::Enter).to_string()).await;
        browser.wait_for_path("/orders").await;
        browser.text("table.orders").await;

        // The link skips the header.
        tab_to_and_press_enter(&browser, "a.skip").await;
        press(&browser, &char::from(Key::Tab).to_string()).await;
        assert_eq!(browser.run("return document.activeElement.closest('main') !== null").await, true);
        tab_to_and_press_enter(&browser, ".filters summary").await;
        tab_to(&browser, "#status").await;
        tab_to_and_press_enter(&browser, "table.orders a[href='/orders/1']").await;
        browser.wait_for_path("/orders/1").await;
        tab_to_and_press_enter(&browser, "a[href='/orders/1/cancel']").await;
        browser.wait_for_path("/orders/1/cancel").await;
        tab_to(&browser, "#reason").await;
        press(&browser, "Too late").await;
        tab_to_and_press_enter(&browser, "form[action='/orders/1/cancel'] button").await;
        browser.wait_for_text_of("div.asked", |text| text.contains("Too late")).await;
        assert_eq!(pending_requests(&app, "cancellations"), ["#1"]);
        tab_to_and_press_enter(&browser, "form[action='/orders/1/cancel/undo'] button").await;
        browser.wait_for_text_of(".notice", |text| text.contains("was withdrawn")).await;

        tab_to_and_press_enter(&browser, ".site-header .who a").await;
        browser.wait_for_path("/account").await;
        tab_to_and_press_enter(&browser, "section[aria-labelledby='password-title'] summary").await;
        tab_to(&browser, "#current-password").await;
        browser.open("/orders").await;
        tab_to_and_press_enter(&browser, "form[action='/logout'] button").await;
        browser.wait_for_path("/login").await;
        browser.close().await;
    }
}
