//! What anybody can send to the routes of two-step login.

use proptest::prelude::*;
use proptest::strategy::ValueTree;
use proptest::test_runner::{Config, RngAlgorithm, TestRng, TestRunner};
use reqwest::Method;

use super::{after_password, two_step_customer};
use crate::app::{ANN, PASSWORD, TestApp};
use crate::http;

const ROUTES: [&str; 5] = [
    "/login/code",
    "/account/mfa/start",
    "/account/mfa/confirm",
    "/account/mfa/disable",
    "/account/mfa/recovery-codes",
];
const CASES: usize = 60;

fn values<T>(strategy: impl Strategy<Value = T>) -> Vec<T> {
    let rng = TestRng::deterministic_rng(RngAlgorithm::ChaCha);
    let mut runner = TestRunner::new_with_rng(Config::default(), rng);
    (0..CASES).map(|_| strategy.new_tree(&mut runner).unwrap().current()).collect()
}

/// Digits, letters of recovery codes, separators, and anything.
fn codes() -> Vec<String> {
    values(prop_oneof!["[0-9]{1,9}", "[ -0-9a-zA-Z]{0,40}", "\\PC{0,30}", "[0-9a-z]{4}(-[0-9a-z]{4}){5}", ".{0,2000}"])
}

/// Form bodies: fields of these routes in any order and number, and bytes that are no form.
fn bodies() -> Vec<Vec<u8>> {
    let field = ("(code|password|current_password|passkey|zone|[a-z%+&=]{0,6})", "[a-zA-Z0-9%+&=]{0,20}");
    let form = prop::collection::vec(field, 0..6).prop_map(|fields| {
        let fields: Vec<String> = fields.into_iter().map(|(name, value)| format!("{name}={value}")).collect();
        fields.join("&").into_bytes()
    });
    values(prop_oneof![form, prop::collection::vec(any::<u8>(), 0..200)])
}

#[tokio::test]
async fn no_code_of_a_stranger_logs_in_or_fails() {
    let app = TestApp::start().await;
    two_step_customer(&app, ANN).await;
    for code in codes() {
        app.execute("DELETE FROM rate_limits").await;
        app.execute("UPDATE pending_logins SET wrong_codes = 0").await;
        let mut visitor = after_password(&app, ANN, PASSWORD).await;
        let response = super::send_code(&mut visitor, &code).await;
        assert!(response.is_page(401), "{code:?}: {}", response.status);
        let body = serde_json::json!({ "email": ANN, "password": PASSWORD, "code": code });
        assert!(app.api_post("/api/login", &body).await.is_problem(401), "{code:?}");
    }
    assert_eq!(app.count("recovery_codes").await, 10);
    assert_eq!(app.count("sessions").await, 1);
}

#[tokio::test]
async fn no_body_changes_a_factor_or_fails() {
    let app = TestApp::start().await;
    let (mut ann, _, _) = two_step_customer(&app, ANN).await;
    let mut pending = after_password(&app, ANN, PASSWORD).await;
    for body in bodies() {
        for route in ROUTES {
            app.execute("DELETE FROM rate_limits").await;
            app.execute("UPDATE pending_logins SET wrong_codes = 0").await;
            let visitor = if route == "/login/code" { &mut pending } else { &mut ann };
            let request = visitor.request(Method::POST, route);
            let request = request.header("content-type", "application/x-www-form-urlencoded").body(body.clone());
            let response = visitor.send(request).await;
            let text = String::from_utf8_lossy(&body).into_owned();
            let is_expected = [400, 401, 422].contains(&response.status)
                || response.redirect() == (303, "/account/mfa") && route.starts_with("/account/mfa/");
            assert!(is_expected, "{route} {text:?}: {}", response.status);
        }
    }
    assert_eq!(app.count("totp_factors WHERE confirmed_at IS NOT NULL").await, 1);
    assert_eq!(app.count("recovery_codes").await, 10);
}

#[tokio::test]
async fn no_cookie_of_a_stranger_is_a_pending_login() {
    let app = TestApp::start().await;
    two_step_customer(&app, ANN).await;
    after_password(&app, ANN, PASSWORD).await;
    let cookies = values(prop_oneof!["[0-9a-f]{64}", "[0-9a-fA-F]{60,70}", "[ -~&&[^;,\"]]{0,80}"]);
    for value in cookies {
        let cookie = format!("__Host-login={value}");
        assert_eq!(app.get_with_cookie("/login/code", &cookie).await.redirect(), (303, "/login"), "{value:?}");
        let request = app.request(Method::POST, "/login/code").header("cookie", cookie);
        let response = http::send(request.form(&[("code", "123456")])).await;
        assert_eq!(response.redirect(), (303, "/login"), "{value:?}");
    }
}
