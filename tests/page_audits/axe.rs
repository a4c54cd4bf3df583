//! axe-core: accessibility rules (WCAG 2.2 A and AA, best practices, contrast of AAA) in the browser.

use serde_json::json;

use super::saved_pages::SavedPages;
use super::{documents, tools};
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
