//! Settings of the reader: large text, forced colours, no scripts beside a screen reader.

use std::collections::HashMap;

use serde_json::{Value, json};

use super::app;
use super::chromium::{Chromium, DEFAULT_FONT_SIZE, Scripts};
use super::orders::logged_in;
use crate::app::{ANN, PASSWORD};
use crate::shop::{line, unsent};

async fn set_width(browser: &Chromium, width: u32) {
    let size = json!({ "width": width, "height": 720, "deviceScaleFactor": 1, "mobile": false });
    browser.devtools("Emulation.setDeviceMetricsOverride", size).await;
}

#[tokio::test]
#[ignore = "needs Chromium and chromedriver; tests/run includes it"]
async fn pages_fit_with_text_of_twice_the_size() {
    let app = app().await;
    app.verified_customer(ANN).await;
    let origin = format!("http://localhost:{}", app.port);
    let browser = Chromium::start_with_font_size(origin, Scripts::On, 2 * DEFAULT_FONT_SIZE).await;
    let size = "return parseFloat(getComputedStyle(document.documentElement).fontSize)";
    let overflow = "return document.documentElement.scrollWidth - document.documentElement.clientWidth";
    // Numbers, statuses and amounts that stand on more than one line or reach out of their cell.
    let broken = "return [...document.querySelectorAll('table.orders :is(th a, .status, .total), .lines .amount')]
        .filter((part) => {
          const lines = new Set([...part.getClientRects()].map(({ top }) => Math.round(top)));
          const range = document.createRange();
          range.selectNodeContents(part);
          const words = new Set([...range.getClientRects()].map(({ top }) => Math.round(top / 10)));
          return lines.size > 1 || words.size > 1 || part.scrollWidth > part.clientWidth + 1 && part.clientWidth > 0;
        }).map((part) => part.textContent)";
    let check = async |path: &str, browser: &Chromium| {
        for width in [320, 640, 1280] {
            set_width(browser, width).await;
            browser.open(path).await;
            assert_eq!(browser.run(size).await, f64::from(2 * DEFAULT_FONT_SIZE), "the text has its usual size");
            assert_eq!(browser.run(overflow).await, 0, "{path} scrolls sideways at {width}");
            assert_eq!(browser.run(broken).await, json!([]), "{path} breaks numbers at {width}");
        }
    };
    for path in ["/", "/login", "/signup", "/password/forgot", "/nothing"] {
        check(path, &browser).await;
    }
    browser.log_in(ANN, PASSWORD).await;
    for path in
        ["/orders", "/orders/S1096", "/orders/S1096/again", "/orders/S1096/cancel", "/account", "/account/time-zone"]
    {
        check(path, &browser).await;
    }
    browser.close().await;
}

#[tokio::test]
#[ignore = "needs Chromium and chromedriver; tests/run includes it"]
async fn forced_colors_keep_statuses_events_and_focus_apart() {
    let app = app().await;
    app.verified_customer(ANN).await;
    let browser = Chromium::start(&app, Scripts::On).await;
    browser.log_in(ANN, PASSWORD).await;
    let features = json!({ "features": [{ "name": "forced-colors", "value": "active" }] });
    browser.devtools("Emulation.setEmulatedMedia", features).await;
    assert_eq!(browser.run("return matchMedia('(forced-colors: active)').matches").await, true);
    // The shape of each status must differ from the page, and from the shapes of the others.
    let shapes = "const back = getComputedStyle(document.body).backgroundColor;
        const shapes = {};
        for (const status of document.querySelectorAll('.status')) {
          const { backgroundColor, backgroundImage, borderTopColor, borderTopWidth, clipPath } = getComputedStyle(status, '::before');
          const isVisible = [backgroundColor !== back, backgroundImage !== 'none', borderTopWidth !== '0px' && borderTopColor !== back];
          if (isVisible.includes(true)) shapes[status.className] = [backgroundColor, backgroundImage, borderTopWidth, clipPath].join();
        }
        return shapes";
    let shapes: HashMap<String, String> = serde_json::from_value(browser.run(shapes).await).unwrap();
    let distinct: std::collections::HashSet<&String> = shapes.values().collect();
    assert_eq!((shapes.len(), distinct.len()), (7, 7), "{shapes:#?}");

    browser.open("/orders/S1096").await;
    let face = |selector: &str| {
        format!("return getComputedStyle(document.querySelector('{selector}'), '::before').backgroundColor")
    };
    let done = browser.run(&face(".events li:not(.ahead)")).await;
    let ahead = browser.run(&face(".events .ahead")).await;
    let page = browser.run("return getComputedStyle(document.body).backgroundColor").await;
    assert!(done != ahead && done != page && ahead == page, "done {done}, to come {ahead}, page {page}");
    let line = "const { borderTopStyle, borderTopColor } = getComputedStyle(document.querySelector('.events .ahead'), '::before');
        return [borderTopStyle, borderTopColor !== getComputedStyle(document.body).backgroundColor]";
    assert_eq!(browser.run(line).await, json!(["solid", true]), "the shape of an event to come is not visible");
    let controls =
        "return [...document.querySelectorAll('main :is(button, .button), main input')].filter((control) => {
        const { borderTopWidth, borderTopColor } = getComputedStyle(control);
        return borderTopWidth === '0px' || borderTopColor === getComputedStyle(document.body).backgroundColor;
    }).length";
    assert_eq!(browser.run(controls).await, 0, "a control has no edge");
    browser.close().await;
}

/// How many elements of each role a screen reader finds.
async fn roles(browser: &Chromium) -> HashMap<String, usize> {
    let tree = browser.devtools("Accessibility.getFullAXTree", json!({})).await;
    let mut roles = HashMap::new();
    for node in tree["nodes"].as_array().unwrap().iter().filter(|node| node["ignored"] == Value::Bool(false)) {
        *roles.entry(node["role"]["value"].as_str().unwrap_or_default().to_owned()).or_default() += 1;
    }
    roles
}

#[tokio::test]
#[ignore = "needs Chromium and chromedriver; tests/run includes it"]
async fn cards_on_a_phone_are_a_table_with_and_without_scripts() {
    for scripts in [Scripts::On, Scripts::Off] {
        let (_app, browser) = logged_in(&[unsent("#1", ANN), line("#1", ANN, "Pen"), unsent("#2", ANN)], scripts).await;
        set_width(&browser, 375).await;
        for (path, rows, heads) in [("/orders", 3, 6), ("/orders/1", 9, 4)] {
            browser.open(path).await;
            let roles = roles(&browser).await;
            let counts =
                ["table", "row", "columnheader", "rowheader"].map(|role| roles.get(role).copied().unwrap_or(0));
            assert_eq!(counts, [1, rows, heads, rows - 1], "{path}: {roles:?}");
        }
        browser.close().await;
    }
}
