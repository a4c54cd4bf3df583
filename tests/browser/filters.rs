//! Filters while they are typed: dates, search, history, errors, and the way back from an order.

use std::time::Duration;

use serde_json::json;

use super::chromium::Scripts;
use super::orders::{
    QUERY, ROWS, logged_in, open_filters, orders_with_a_kettle, select_option, type_into, wait_for_value,
};

const PAUSE: Duration = Duration::from_millis(400);

#[tokio::test]
#[ignore = "needs Chromium and chromedriver; tests/run includes it"]
async fn slowly_typed_date_is_neither_interrupted_nor_lost() {
    let (_app, browser) = logged_in(&orders_with_a_kettle(), Scripts::On).await;
    browser.run("window.requested = []; const send = window.fetch; window.fetch = (url, ...rest) => { requested.push(String(url)); return send(url, ...rest); }").await;
    open_filters(&browser).await;
    select_option(&browser, "#period", "B").await;
    browser.run("document.getElementById('to').focus()").await;
    for key in "03012024".chars() {
        type_into(&browser, "#to", &key.to_string()).await;
        tokio::time::sleep(PAUSE).await;
    }
    wait_for_value(&browser, QUERY, "?period=range&to=2024-03-01").await;
    let kept =
        browser.run("return [document.activeElement.id, document.getElementById('to').value, requested.length]").await;
    assert_eq!(kept, json!(["to", "2024-03-01", 1]), "{}", browser.run("return requested").await);
    wait_for_value(&browser, ROWS, 20).await;
    browser.close().await;
}

#[tokio::test]
#[ignore = "needs Chromium and chromedriver; tests/run includes it"]
async fn search_is_one_history_entry() {
    let (_app, browser) = logged_in(&orders_with_a_kettle(), Scripts::On).await;
    let before = browser.run("return history.length").await.as_i64().unwrap();
    for (letters, query) in [("ke", "?q=ke"), ("tt", "?q=kett"), ("le", "?q=kettle")] {
        type_into(&browser, "#q", letters).await;
        wait_for_value(&browser, QUERY, query).await;
    }
    assert_eq!(browser.run("return history.length").await, before + 1);
    browser.run("document.getElementById('q').blur(); document.getElementById('q').select()").await;
    type_into(&browser, "#q", "tea").await;
    wait_for_value(&browser, "history.length", before + 2).await;
    browser.run("history.back()").await;
    wait_for_value(&browser, "document.getElementById('q').value", "kettle").await;
    browser.run("history.back()").await;
    wait_for_value(&browser, "document.getElementById('q').value", "").await;
    wait_for_value(&browser, ROWS, 20).await;
    browser.close().await;
}

#[tokio::test]
#[ignore = "needs Chromium and chromedriver; tests/run includes it"]
async fn page_is_not_left_while_a_field_has_focus() {
    let (app, browser) = logged_in(&orders_with_a_kettle(), Scripts::On).await;
    app.execute("DELETE FROM sessions").await;
    type_into(&browser, "#q", "kettle").await;
    tokio::time::sleep(Duration::from_secs(1)).await;
    let kept = browser.run("return [location.pathname, document.getElementById('q').value]").await;
    assert_eq!(kept, json!(["/orders", "kettle"]));
    browser.run("document.getElementById('q').blur()").await;
    browser.wait_for_path("/login").await;
    browser.close().await;
}

#[tokio::test]
#[ignore = "needs Chromium and chromedriver; tests/run includes it"]
async fn all_orders_leads_back_to_the_filter_and_the_page() {
    let (_app, browser) = logged_in(&orders_with_a_kettle(), Scripts::On).await;
    browser.click("a[rel=next]").await;
    wait_for_value(&browser, ROWS, 6).await;
    let page = browser.run(&format!("return {QUERY}")).await;
    browser.click("table.orders a").await;
    browser.text(".events").await;
    // Another order in between is part of the same visit.
    browser.click(".pager a").await;
    wait_for_value(&browser, "document.readyState", "complete").await;
    browser.click(".back a").await;
    wait_for_value(&browser, QUERY, page).await;
    wait_for_value(&browser, ROWS, 6).await;
    type_into(&browser, "#q", "kettle").await;
    wait_for_value(&browser, ROWS, 1).await;
    browser.click("table.orders a").await;
    browser.wait_for_path("/orders/1").await;
    browser.click(".back a").await;
    wait_for_value(&browser, QUERY, "?q=kettle").await;
    browser.click("form[action='/logout'] button").await;
    browser.wait_for_path("/login").await;
    wait_for_value(&browser, "sessionStorage.length", 0).await;
    browser.close().await;

    let (_app, plain) = logged_in(&orders_with_a_kettle(), Scripts::Off).await;
    plain.open("/orders/1").await;
    plain.click(".back a").await;
    plain.wait_for_path("/orders").await;
    plain.close().await;
}

#[tokio::test]
#[ignore = "needs Chromium and chromedriver; tests/run includes it"]
async fn chart_shows_values_by_keyboard_and_pointer() {
    let (_app, browser) = logged_in(&orders_with_a_kettle(), Scripts::On).await;
    let readout = ".axis span:nth-child(2)";
    browser.wait_for_text_of(readout, |text| text.starts_with("Highest: €")).await;
    browser.run("document.querySelector('.chart svg').focus()").await;
    browser.wait_for_text_of(readout, |text| text == "March 2024: €29.90, 1 order").await;
    type_into(&browser, ".chart svg", "\u{e012}").await;
    browser
        .wait_for_text_of(readout, |text| text.starts_with("January 2024: €") && text.ends_with(", 25 orders"))
        .await;
    type_into(&browser, "#q", "kettle").await;
    wait_for_value(&browser, ROWS, 1).await;
    browser.wait_for_text_of(readout, |text| text.starts_with("Highest: €29.90")).await;
    // The chart of the updated list has values too.
    let hover = "const svg = document.querySelector('.chart svg'); const box = svg.getBoundingClientRect();
        svg.dispatchEvent(new PointerEvent('pointermove', { clientX: box.right - 1, clientY: box.top + 5 }))";
    browser.run(hover).await;
    browser.wait_for_text_of(readout, |text| text == "March 2024: €29.90, 1 order").await;
    browser.close().await;
}
