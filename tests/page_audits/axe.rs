//! axe-core: accessibility rules (WCAG 2.2 A and AA, best practices, contrast of AAA) in the browser.

use std::time::{Duration, Instant};

use serde_json::json;

use super::saved_pages::SavedPages;
use super::{documents, tools};
use crate::app::{ANN, PASSWORD, TestApp};
use crate::browser::chromium::{Chromium, Scripts};
use crate::pages::Document;

/// Runs the rules; returns each violation with the elements that have it.
const RUN: &str = "const done = arguments[0];
    const tags = ['wcag2a', 'wcag2aa', 'wcag21a', 'wcag21aa', 'wcag22aa', 'best-practice'];
    const options = { runOnly: { type: 'tag', values: tags }, resultTypes: ['violations'], elementRef: false,
      rules: { 'color-contrast-enhanced': { enabled: true } } };
    axe.run(document, options).then(({ violations }) => done(violations.map(({ id, help, nodes }) =>
      `${id} (${help}): ${nodes.slice(0, 3).map(({ html }) => html.slice(0, 150)).join(' | ')}`)))";

/// Shows the contents of everything that is folded.
const UNFOLD: &str = "document.querySelectorAll('details').forEach((details) => { details.open = true; })";

/// Loads the rules into every page that the browser opens from now on.
async fn load_axe(browser: &Chromium) {
    let source = std::fs::read_to_string(tools().join("node_modules/axe-core/axe.min.js")).unwrap();
    browser.devtools("Page.addScriptToEvaluateOnNewDocument", json!({ "source": source })).await;
}

async fn violations(browser: &Chromium) -> Vec<String> {
    let found = browser.client.execute_async(RUN, Vec::new()).await.unwrap();
    serde_json::from_value(found).unwrap()
}

/// Rules that do not concern a mail: it is shown within the page of a mail program, which has the landmarks.
fn is_of_page_structure(violation: &str) -> bool {
    ["landmark-one-main ", "region "].iter().any(|rule| violation.starts_with(rule))
}

async fn emulate(browser: &Chromium, scheme: &str, width: u32) {
    let features = json!({ "features": [{ "name": "prefers-color-scheme", "value": scheme }] });
    browser.devtools("Emulation.setEmulatedMedia", features).await;
    let size = json!({ "width": width, "height": 800, "deviceScaleFactor": 1, "mobile": false });
    browser.devtools("Emulation.setDeviceMetricsOverride", size).await;
}

/// Opens each page in each of its states, with the folded parts shown.
async fn audit_every_page(scheme: &str, width: u32) {
    let documents = documents().await;
    let pages = SavedPages::serve(documents);
    let browser = Chromium::start_at(pages.origin.clone(), Scripts::On).await;
    load_axe(&browser).await;
    emulate(&browser, scheme, width).await;
    let mut failures = Vec::new();
    for (index, document) in documents.iter().enumerate() {
        browser.open(&format!("/{index}.html")).await;
        browser.run(UNFOLD).await;
        let found =
            violations(&browser).await.into_iter().filter(|found| !is_of_page_structure(found) || document.is_page());
        failures.extend(found.map(|found| format!("{}: {found}", document.state)));
    }
    assert!(documents.len() > 100, "only {} pages", documents.len());
    assert!(failures.is_empty(), "{} violations in {scheme}:\n{}", failures.len(), failures.join("\n"));
    browser.close().await;
}

#[tokio::test]
#[ignore = "needs Chromium and axe-core; tests/run includes it"]
async fn pages_have_no_axe_violation_in_light_on_a_desktop() {
    audit_every_page("light", 1280).await;
}

#[tokio::test]
#[ignore = "needs Chromium and axe-core; tests/run includes it"]
async fn pages_have_no_axe_violation_in_dark_on_a_phone() {
    audit_every_page("dark", 375).await;
}

/// The states that only scripts make: the strength meter, a list and errors that replace others, the chart's value, the dialog before the end of a session.
#[tokio::test]
#[ignore = "needs Chromium and axe-core; tests/run includes it"]
async fn states_made_by_scripts_have_no_axe_violation() {
    let app = TestApp::start_with(&[("DEMO_ORDERS", "true"), ("TOKEN_TTL_SECONDS", "180")]).await;
    let browser = Chromium::start(&app, Scripts::On).await;
    load_axe(&browser).await;
    let check = async |state: &str| {
        for (scheme, width) in [("light", 1280), ("dark", 375)] {
            emulate(&browser, scheme, width).await;
            assert_eq!(violations(&browser).await, Vec::<String>::new(), "{state} in {scheme}");
        }
    };
    browser.open("/signup").await;
    browser.fill("#email", ANN).await;
    browser.fill("#password", "password").await;
    browser.wait_until_gone(".strength[hidden]").await;
    check("strength of a weak password").await;
    browser.fill("#password", PASSWORD).await;
    browser.wait_for_text_of(".strength p", |text| text.contains("trong")).await;
    check("strength of a strong password").await;
    browser.click(".show").await;
    check("shown password").await;
    browser.click("main form > [type=submit]").await;
    browser.wait_for_path("/orders").await;
    browser.fill("#q", "kettle").await;
    browser.wait_for_text_of(".count", |text| text.contains("Show all orders")).await;
    check("list after a search").await;
    browser.run("document.querySelector('.chart svg').focus()").await;
    check("value in the chart").await;
    browser.fill("#q", &"word ".repeat(11)).await;
    browser.wait_for_text_of("#q-error", |text| !text.is_empty()).await;
    check("error after a search").await;
    // It is shown two minutes before the end: a minute after the login.
    let began = Instant::now();
    while !browser.text("body").await.contains("You will be logged out in 2 minutes") {
        assert!(began.elapsed() < Duration::from_secs(90), "no dialog");
        tokio::time::sleep(Duration::from_millis(500)).await;
    }
    check("dialog before the end of the session").await;
    browser.client.clone().close().await.unwrap();
}

#[tokio::test]
#[ignore = "needs Chromium and axe-core; tests/run includes it"]
async fn axe_finds_violations_of_its_rules() {
    let html = "<!doctype html><title>x</title><main><h1>x</h1><img src=\"/x\"><p style=\"color: #767676\">some text</p></main>";
    let pages = SavedPages::serve(&[Document { state: String::new(), html: html.to_owned() }]);
    let browser = Chromium::start_at(pages.origin.clone(), Scripts::On).await;
    load_axe(&browser).await;
    browser.open("/0.html").await;
    let found = violations(&browser).await;
    for rule in ["html-has-lang", "image-alt", "color-contrast-enhanced"] {
        assert!(found.iter().any(|found| found.starts_with(rule)), "{rule} is not in {found:?}");
    }
    browser.client.close().await.unwrap();
}
