//! Requests to the shop in Chromium, with JavaScript on and off: cancel, withdraw, order again.

use fantoccini::Locator;
use fantoccini::actions::{InputSource, MOUSE_BUTTON_LEFT, MouseActions, PointerAction};

use super::chromium::{Chromium, Scripts};
use super::orders::logged_in;
use crate::actions::pending_requests;
use crate::app::ANN;
use crate::shop::{line, unsent};

async fn double_click(browser: &Chromium, selector: &str) {
    let element = browser.client.wait().for_element(Locator::Css(selector)).await.unwrap();
    let down = || PointerAction::Down { button: MOUSE_BUTTON_LEFT };
    let up = || PointerAction::Up { button: MOUSE_BUTTON_LEFT };
    let to = PointerAction::MoveToElement { element, duration: None, x: 0.0, y: 0.0 };
    let mouse = MouseActions::new("mouse".to_owned()).then(to).then(down()).then(up()).then(down()).then(up());
    browser.client.perform_actions(mouse).await.unwrap();
}

#[tokio::test]
#[ignore = "needs Chromium and chromedriver; tests/run includes it"]
async fn cancel_undo_and_order_again_work_with_and_without_scripts() {
    for scripts in [Scripts::On, Scripts::Off] {
        let (app, browser) = logged_in(&[unsent("#1", ANN), line("#1", ANN, "Pen")], scripts).await;
        browser.open("/orders/1").await;
        browser.click("a[href='/orders/1/cancel']").await;
        browser.wait_for_path("/orders/1/cancel").await;
        browser.client.find(Locator::Css("#reason")).await.unwrap().send_keys("Wrong size").await.unwrap();
        browser.click("form[action='/orders/1/cancel'] button").await;
        browser.wait_for_path("/orders/1").await;
        browser
            .wait_for_text_of("div.asked", |text| {
                text.contains("Cancellation requested") && text.contains("Wrong size")
            })
            .await;
        assert_eq!(pending_requests(&app, "cancellations"), ["#1"]);
        browser.click("form[action='/orders/1/cancel/undo'] button").await;
        browser.wait_for_text_of(".notice", |text| text.contains("was withdrawn")).await;
        assert_eq!(pending_requests(&app, "cancellations"), Vec::<String>::new());

        browser.click("a[href='/orders/1/again']").await;
        browser.wait_for_path("/orders/1/again").await;
        let quantity = browser.client.find(Locator::Css("#quantity_2")).await.unwrap();
        quantity.clear().await.unwrap();
        quantity.send_keys("3").await.unwrap();
        double_click(&browser, "form[action='/orders/1/again'] button").await;
        browser.wait_for_path("/orders/1").await;
        browser.wait_for_text_of(".notice", |text| text.contains("Your request was sent to the shop")).await;
        let requests = app.run_ok(&["orders", "reorders"]);
        assert_eq!(requests.matches("2 × Notebook, ruled (NB-1); 3 × Pen").count(), 1, "{requests}");
        browser.close().await;
    }
}

#[tokio::test]
#[ignore = "needs Chromium and chromedriver; tests/run includes it"]
async fn request_pages_fit_a_phone_and_have_enough_contrast() {
    let (app, browser) = logged_in(&[unsent("#1", ANN), line("#1", ANN, &"long name ".repeat(20))], Scripts::On).await;
    for path in ["/orders/1/cancel", "/orders/1/again"] {
        browser.open(path).await;
        browser.assert_layout_and_contrast().await;
    }
    browser.click("form[action='/orders/1/again'] button").await;
    browser.wait_for_path("/orders/1").await;
    browser.open("/orders/1/cancel").await;
    browser.click("form[action='/orders/1/cancel'] button").await;
    browser.wait_for_path("/orders/1").await;
    browser.assert_layout_and_contrast().await;
    app.run_ok(&["orders", "cancellations", "decline", "1"]);
    browser.open("/orders/1").await;
    browser.assert_layout_and_contrast().await;
    browser.close().await;
}
