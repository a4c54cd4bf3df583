//! Orders in Chromium: live filters, history, print, double clicks, time zones.

use std::time::Duration;

use fantoccini::Locator;
use serde_json::{Value, json};

use super::chromium::{Chromium, Scripts};
use crate::app::{ANN, PASSWORD, TestApp};
use crate::northwind::{self, sample_orders};
use crate::shop::{self, Row, line, order};

/// A server with orders of Ann, and a browser with her session.
pub async fn logged_in(rows: &[Row], scripts: Scripts) -> (TestApp, Chromium) {
    let (app, _) = TestApp::start_with_orders(rows).await;
    let browser = Chromium::start(&app, scripts).await;
    browser.log_in(ANN, PASSWORD).await;
    (app, browser)
}

pub fn orders_with_a_kettle() -> Vec<Row> {
    let different = order("#1", ANN).with("Lineitem name", "Blue kettle").with("Fulfillment Status", "unfulfilled");
    [shop::orders(25, ANN), vec![different]].concat()
}

/// Waits until the script returns the expected value.
pub async fn wait_for_value(browser: &Chromium, script: &str, expected: impl Into<Value>) {
    let expected = expected.into();
    for _ in 0..200 {
        // During a navigation the script fails.
        let response = browser.client.execute(&format!("return {script}"), Vec::new()).await.unwrap_or_default();
        if response == expected {
            return;
        }
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    assert_eq!(browser.run(&format!("return {script}")).await, expected, "{script}");
}

pub const ROWS: &str = "document.querySelectorAll('table.orders tbody tr').length";
pub const QUERY: &str = "location.search";

pub async fn type_into(browser: &Chromium, selector: &str, text: &str) {
    browser.client.find(Locator::Css(selector)).await.unwrap().send_keys(text).await.unwrap();
}

/// Selects an option by keyboard, with the first letter of its label: the click of the driver sends no input events.
pub async fn select_option(browser: &Chromium, selector: &str, letter: &str) {
    type_into(browser, selector, letter).await;
}

/// Shows the folded filters.
pub async fn open_filters(browser: &Chromium) {
    browser.click(".filters summary").await;
}

async fn set_date(browser: &Chromium, id: &str, date: &str) {
    let script = format!(
        "const field = document.getElementById('{id}'); field.value = '{date}'; field.dispatchEvent(new Event('change', {{ bubbles: true }}))"
    );
    browser.run(&script).await;
}

#[tokio::test]
#[ignore = "needs Chromium and chromedriver; tests/run includes it"]
async fn filters_update_the_list_and_the_history() {
    let (_app, browser) = logged_in(&orders_with_a_kettle(), Scripts::On).await;
    browser.run("window.x = 1").await;
    type_into(&browser, "#q", "KETTLE").await;
    wait_for_value(&browser, ROWS, 1).await;
    wait_for_value(&browser, QUERY, "?q=KETTLE").await;
    assert_eq!(
        browser.run("return [window.x, document.activeElement.id, document.activeElement.value]").await,
        json!([1, "q", "KETTLE"])
    );
    browser.wait_for_text_of(".count", |text| text.starts_with("1 order, €29.90")).await;
    open_filters(&browser).await;
    select_option(&browser, "#status", "S").await;
    wait_for_value(&browser, QUERY, "?q=KETTLE&status=sent").await;
    browser.wait_for_text_of(".filters summary", |text| text == "Filters (1 active)").await;
    browser.wait_for_text_of("#results", |text| text.contains("No matching orders")).await;
    let kept = browser.run("return [window.x, document.activeElement.id]").await;
    assert_eq!(kept, json!([1, "status"]), "the page was reloaded, or the focus is lost");
    let form = "['q', 'status', 'sort'].map((id) => document.getElementById(id).value)";

    browser.run("history.back()").await;
    wait_for_value(&browser, ROWS, 1).await;
    wait_for_value(&browser, form, json!(["KETTLE", "", "newest"])).await;
    browser.run("history.back()").await;
    wait_for_value(&browser, ROWS, 20).await;
    wait_for_value(&browser, form, json!(["", "", "newest"])).await;
    assert_eq!(browser.run(&format!("return {QUERY}")).await, "");
    browser.run("history.forward()").await;
    wait_for_value(&browser, ROWS, 1).await;
    wait_for_value(&browser, form, json!(["KETTLE", "", "newest"])).await;
    browser.run("history.forward()").await;
    wait_for_value(&browser, form, json!(["KETTLE", "sent", "newest"])).await;
    wait_for_value(&browser, ROWS, 0).await;
    browser.click("#results a[href='/orders']").await;
    wait_for_value(&browser, ROWS, 20).await;
    wait_for_value(&browser, form, json!(["", "", "newest"])).await;
    browser.close().await;
}

#[tokio::test]
#[ignore = "needs Chromium and chromedriver; tests/run includes it"]
async fn back_from_an_order_restores_the_filter() {
    let (_app, browser) = logged_in(&orders_with_a_kettle(), Scripts::On).await;
    type_into(&browser, "#q", "kettle").await;
    wait_for_value(&browser, ROWS, 1).await;
    browser.click("table.orders a").await;
    browser.wait_for_path("/orders/1").await;
    browser.run("history.back()").await;
    browser.wait_for_path("/orders").await;
    wait_for_value(&browser, ROWS, 1).await;
    wait_for_value(&browser, "document.getElementById('q').value", "kettle").await;
    browser.run("history.back()").await;
    wait_for_value(&browser, ROWS, 20).await;
    wait_for_value(&browser, "document.getElementById('q').value", "").await;
    browser.close().await;
}

#[tokio::test]
#[ignore = "needs Chromium and chromedriver; tests/run includes it"]
async fn form_and_list_agree_after_back() {
    let (_app, browser) = logged_in(&orders_with_a_kettle(), Scripts::On).await;
    let search = browser.client.find(Locator::Css("#q")).await.unwrap();
    // The click may come before the list is updated.
    search.send_keys("kettle").await.unwrap();
    browser.click("table.orders a").await;
    browser.text(".events").await;
    browser.run("history.back()").await;
    browser.wait_for_path("/orders").await;
    wait_for_value(&browser, "document.readyState", "complete").await;
    let shown = format!("[document.getElementById('q').value, {ROWS}]");
    let was_updated = browser.client.current_url().await.unwrap().query().is_some();
    wait_for_value(&browser, &shown, if was_updated { json!(["kettle", 1]) } else { json!(["", 20]) }).await;
    browser.close().await;
}

#[tokio::test]
#[ignore = "needs Chromium and chromedriver; tests/run includes it"]
async fn date_fields_appear_for_a_range_and_show_their_errors() {
    let (_app, browser) = logged_in(&orders_with_a_kettle(), Scripts::On).await;
    let shown = "document.getElementById('from').checkVisibility()";
    open_filters(&browser).await;
    wait_for_value(&browser, shown, false).await;
    select_option(&browser, "#period", "B").await;
    wait_for_value(&browser, shown, true).await;
    set_date(&browser, "from", "2024-01-02").await;
    wait_for_value(&browser, QUERY, "?period=range&from=2024-01-02").await;
    // One order was placed on 2 January, and one on 1 March.
    wait_for_value(&browser, ROWS, 2).await;
    set_date(&browser, "to", "2024-01-01").await;
    wait_for_value(&browser, QUERY, "?period=range&from=2024-01-02&to=2024-01-01").await;
    wait_for_value(&browser, ROWS, 2).await;
    browser.wait_for_text_of("#to-error", |text| text.contains("on or after the start date")).await;
    wait_for_value(&browser, shown, true).await;
    set_date(&browser, "to", "2024-01-31").await;
    wait_for_value(&browser, ROWS, 1).await;
    wait_for_value(&browser, "document.querySelectorAll('.error, [aria-invalid]').length", 0).await;
    // For a second, a select takes further letters as part of the same word.
    tokio::time::sleep(Duration::from_millis(1100)).await;
    select_option(&browser, "#period", "A").await;
    wait_for_value(&browser, ROWS, 20).await;
    wait_for_value(&browser, QUERY, "").await;
    browser.close().await;
}

#[tokio::test]
#[ignore = "needs Chromium and chromedriver; tests/run includes it"]
async fn changed_filter_starts_at_the_first_page() {
    let (_app, browser) = logged_in(&orders_with_a_kettle(), Scripts::On).await;
    browser.click("a[rel=next]").await;
    wait_for_value(&browser, ROWS, 6).await;
    open_filters(&browser).await;
    select_option(&browser, "#sort", "O").await;
    wait_for_value(&browser, QUERY, "?sort=oldest").await;
    wait_for_value(&browser, ROWS, 20).await;
    // The pager of the updated list keeps its sort.
    browser.click("a[rel=next]").await;
    wait_for_value(&browser, ROWS, 6).await;
    browser.wait_for_text_of("table.orders tbody tr:last-child a", |text| text == "#1").await;
    assert_eq!(browser.run("return document.getElementById('sort').value").await, "oldest");
    browser.close().await;
}

#[tokio::test]
#[ignore = "needs Chromium and chromedriver; tests/run includes it"]
async fn filters_work_without_scripts() {
    let (_app, browser) = logged_in(&orders_with_a_kettle(), Scripts::Off).await;
    type_into(&browser, "#q", "kettle").await;
    open_filters(&browser).await;
    browser.client.find(Locator::Css("#sort")).await.unwrap().select_by_value("lowest").await.unwrap();
    browser.click("form.filters button").await;
    let rows = async || browser.client.find_all(Locator::Css("table.orders tbody tr")).await.unwrap().len();
    browser.wait_for_text_of("table.orders a", |text| text == "#1").await;
    assert_eq!(rows().await, 1);
    let address = browser.client.current_url().await.unwrap();
    assert!(
        address.query().unwrap().contains("q=kettle&") && address.query().unwrap().ends_with("sort=lowest"),
        "{address}"
    );
    browser.click(".count a").await;
    browser.wait_for_text_of("table.orders a", |text| text == "#1").await;
    browser.client.back().await.unwrap();
    assert_eq!(rows().await, 1);
    browser.close().await;
}

#[tokio::test]
#[ignore = "needs Chromium and chromedriver; tests/run includes it"]
async fn first_order_stands_high_on_phone_and_desktop() {
    let (_app, browser) = logged_in(&orders_with_a_kettle(), Scripts::On).await;
    for (width, height, selector, limit) in [(375, 720, "table.orders tbody tr", 400), (1440, 900, "table.orders", 260)]
    {
        let size = json!({ "width": width, "height": height, "deviceScaleFactor": 1, "mobile": false });
        browser.devtools("Emulation.setDeviceMetricsOverride", size).await;
        browser.open("/orders").await;
        let top =
            browser.run(&format!("return document.querySelector('{selector}').getBoundingClientRect().top")).await;
        assert!(top.as_f64().unwrap() < f64::from(limit), "{width}: {selector} is at {top}");
        let is_narrow = browser.run("return document.documentElement.scrollWidth <= innerWidth").await;
        assert_eq!(is_narrow, true, "{width}: the page scrolls sideways");
    }
    browser.close().await;
}

#[tokio::test]
#[ignore = "needs Chromium and chromedriver; tests/run includes it"]
async fn notice_about_an_unknown_filter_ends_with_the_next_change() {
    let (_app, browser) = logged_in(&orders_with_a_kettle(), Scripts::On).await;
    browser.open("/orders?status=lost").await;
    browser.wait_for_text_of("#filter-notice", |text| text.contains("unknown status")).await;
    type_into(&browser, "#q", "kettle").await;
    wait_for_value(&browser, ROWS, 1).await;
    wait_for_value(&browser, QUERY, "?q=kettle").await;
    wait_for_value(&browser, "document.getElementById('filter-notice')", Value::Null).await;
    browser.close().await;
}

/// An order with a value in each field of its page.
fn full_order(number: &str, lines: usize) -> Vec<Row> {
    let address = [
        ("Shipping Company", "Vins et alcools Chevalier, société anonyme"),
        ("Shipping Address2", "Batiment C, 3e étage"),
        ("Shipping Province", "Grand Est"),
        ("Shipping Phone", "+33 3 26 47 15 10"),
    ];
    let sums = [
        ("Discount Amount", "12.50"),
        ("Taxes", "3.10"),
        ("Subtotal", "100.00"),
        ("Total", "95.50"),
        ("Financial Status", "partially_refunded"),
        ("Refunded Amount", "5.00"),
        ("Lineitem discount", "1.00"),
    ];
    let first = order(number, ANN);
    let first = address.into_iter().chain(sums).fold(first, |row, (column, value)| row.with(column, value));
    let further = (1..lines).map(|index| {
        let name = format!("Stoneware cup number {index}, glazed in blue and green");
        line(number, ANN, &name).with("Lineitem sku", &format!("CUP-ST-{index:03}")).with("Lineitem discount", "0.50")
    });
    std::iter::once(first).chain(further).collect()
}

/// The number of pages of the printed PDF, and their sizes in points. Printing fails at times on a busy machine, so this tries up to
/// three times.
async fn print_to_pdf(browser: &Chromium) -> (u64, Vec<(u64, u64)>) {
    let a4 = json!({ "paperWidth": 8.27, "paperHeight": 11.69 });
    let mut printed = browser.try_devtools("Page.printToPDF", a4.clone()).await;
    for _ in 1..3 {
        if printed.is_err() {
            printed = browser.try_devtools("Page.printToPDF", a4.clone()).await;
        }
    }
    let pdf = printed.expect("the page is not printed");
    let script = "const text = atob(arguments[0]);
        const boxes = [...text.matchAll(/\\/MediaBox \\[0 0 ([0-9.]+) ([0-9.]+)\\]/g)];
        return [text.match(/\\/Type\\s*\\/Page(?!s)/g).length, boxes.map((box) => [Math.round(box[1]), Math.round(box[2])])]";
    let read = browser.client.execute(script, vec![pdf["data"].clone()]).await.unwrap();
    serde_json::from_value(read).unwrap()
}

#[tokio::test]
#[ignore = "needs Chromium and chromedriver; tests/run includes it"]
async fn order_of_15_lines_prints_on_one_page_without_navigation() {
    let rows = [full_order("#1", 1), full_order("#15", 15), full_order("#60", 60), shop::orders(1, ANN)].concat();
    let (_app, browser) = logged_in(&rows, Scripts::On).await;
    for (number, pages) in [("1", 1), ("15", 1)] {
        browser.open(&format!("/orders/{number}")).await;
        let (printed, sizes) = print_to_pdf(&browser).await;
        assert_eq!(printed, pages, "order {number}");
        let is_a4 = |(width, height): &(u64, u64)| (594..=596).contains(width) && (841..=843).contains(height);
        assert!(sizes.len() == 1 && is_a4(&sizes[0]), "order {number}: {sizes:?}");
    }
    browser.open("/orders/60").await;
    assert!(print_to_pdf(&browser).await.0 > 1, "60 lines on one page are too small");
    browser.devtools("Emulation.setEmulatedMedia", json!({ "media": "print" })).await;
    let in_print = "[...document.querySelectorAll('nav, form, button, input, .skip, .back, .site-footer')].filter((part) => part.checkVisibility()).map((part) => part.outerHTML)";
    for path in ["/orders/15", "/orders"] {
        browser.open(path).await;
        assert_eq!(browser.run(&format!("return {in_print}")).await, json!([]), "{path}");
        assert_eq!(browser.run("return document.querySelector('h1').checkVisibility()").await, true);
    }
    browser.open("/orders/15").await;
    browser
        .wait_for_text_of(".receipt", |text| {
            text == "Receipt from Order portal. Customer: ann@example.com. All amounts in EUR."
        })
        .await;
    let missing = "['.lines', '.grand', 'address', '.events', '.status', '.brand'].filter((part) => !document.querySelector(part).checkVisibility())";
    assert_eq!(browser.run(&format!("return {missing}")).await, json!([]), "not printed");
    browser.close().await;
}

#[tokio::test]
#[ignore = "needs Chromium and chromedriver; tests/run includes it"]
async fn first_page_after_login_uses_the_browsers_time_zone() {
    let app = TestApp::start().await;
    app.verified_customer(ANN).await;
    app.import(&[order("#1", ANN).with("Created at", "2024-12-31 20:30:00 +0000")]);
    let browser = Chromium::start(&app, Scripts::On).await;
    browser.open("/login").await;
    browser.devtools("Emulation.setTimezoneOverride", json!({ "timezoneId": "Asia/Kolkata" })).await;
    browser.log_in(ANN, PASSWORD).await;
    browser.wait_for_text_of("table.orders time", |text| text == "1 January 2025").await;
    assert!(["Kolkata", "Calcutta"].contains(&browser.text(".site-footer a").await.as_str()));
    browser.open("/orders/1").await;
    browser.wait_for_text_of(".events", |text| text.contains("1 January 2025, 02:00")).await;
    browser.close().await;
}

#[tokio::test]
#[ignore = "needs Chromium and the sample orders; tests/run includes it when they are there"]
async fn sample_orders_add_up_in_the_browser() {
    let app = TestApp::start().await;
    app.run_ok(&["import", sample_orders().to_str().unwrap()]);
    for email in northwind::CUSTOMERS {
        let expected = northwind::expected(email);
        app.verified_customer(email).await;
        let browser = Chromium::start(&app, Scripts::On).await;
        browser.log_in(email, PASSWORD).await;
        let summary = format!("{} orders, {}", expected.totals.len(), northwind::dollars(expected.total()));
        browser.wait_for_text_of(".count strong", |text| text == summary).await;
        let mut shown = 0;
        loop {
            let script = "return [...document.querySelectorAll('table.orders tbody tr')].map((row) => [row.querySelector('a').textContent, row.querySelector('.total').textContent])";
            let rows: Vec<(String, String)> = serde_json::from_value(browser.run(script).await).unwrap();
            for (number, total) in &rows {
                assert_eq!(*total, northwind::dollars(expected.totals[number.trim_start_matches('#')]), "{number}");
            }
            shown += rows.len();
            if browser.client.find(Locator::Css("a[rel=next]")).await.is_err() {
                break;
            }
            browser.click("a[rel=next]").await;
            wait_for_value(&browser, "location.search.startsWith('?after=') && document.readyState", "complete").await;
        }
        assert_eq!(shown, expected.totals.len());
        browser.close().await;
    }
}
