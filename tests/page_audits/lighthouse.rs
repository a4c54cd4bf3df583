//! Lighthouse: accessibility and best practices, and what a page costs: requests, bytes, layout shift.

use std::collections::BTreeSet;
use std::io::Write;
use std::path::Path;
use std::process::{Command, Stdio};

use serde::Deserialize;
use serde_json::{Value, json};

use super::tools;
use crate::app::{ANN, TestApp};

/// The page, its stylesheet, its icon and its script, and on the login page that of passkeys.
const MAX_REQUESTS: usize = 5;
/// With compression and headers.
const MAX_BYTES: u64 = 30_000;

#[derive(Debug, Deserialize)]
struct Audit {
    url: String,
    accessibility: f64,
    best_practices: f64,
    failed: Vec<String>,
    layout_shift: f64,
    /// The requested URLs: an image can be an icon too.
    requests: BTreeSet<String>,
    bytes: u64,
}

/// On a busy machine a page may time out and have no scores: Lighthouse gets a second try.
fn audit(pages: &[Value]) -> Vec<Audit> {
    serde_json::from_slice(&run(pages)).or_else(|_| serde_json::from_slice(&run(pages))).unwrap()
}

fn run(pages: &[Value]) -> Vec<u8> {
    let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/page_audits/lighthouse.mjs");
    let mut node = Command::new("node");
    node.arg(script).arg(tools()).stdin(Stdio::piped()).stdout(Stdio::piped());
    let mut node = node.spawn().unwrap();
    node.stdin.take().unwrap().write_all(json!(pages).to_string().as_bytes()).unwrap();
    let output = node.wait_with_output().unwrap();
    assert!(output.status.success(), "{output:?}");
    output.stdout
}

#[tokio::test]
#[ignore = "needs Chromium, Node.js and Lighthouse; tests/run includes it"]
async fn lighthouse_scores_are_100_and_pages_are_small() {
    let app = TestApp::start_with(&[("DEMO_ORDERS", "true")]).await;
    let token = app.verified_customer(ANN).await.token();
    let address = |path: &str| format!("http://localhost:{}{path}", app.port);
    let anonymous = ["/", "/login", "/signup", "/password/forgot"].map(|path| json!({ "url": address(path) }));
    let cookie = format!("__Host-session={token}");
    let guarded = ["/orders", "/orders/S1096", "/account", "/orders/S1096/again"]
        .map(|path| json!({ "url": address(path), "cookie": cookie }));
    let pages = [anonymous, guarded].concat();
    let audits = audit(&pages);
    for (audit, page) in audits.iter().zip(&pages) {
        assert_eq!(audit.url, page["url"], "another page was audited");
        let is_met = audit.accessibility == 1.0 && audit.best_practices == 1.0 && audit.failed.is_empty();
        assert!(is_met, "{audit:#?}");
        assert_eq!(audit.layout_shift, 0.0, "{audit:#?}");
        assert!(audit.requests.len() <= MAX_REQUESTS && audit.bytes <= MAX_BYTES, "{audit:#?}");
    }
    assert_eq!(audits.len(), pages.len());
}
