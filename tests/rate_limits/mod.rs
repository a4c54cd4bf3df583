//! Rate limits of logins, sign-ups and password changes.

mod mail;
mod trusted;

use std::collections::BTreeMap;

use futures_util::future::join_all;
use reqwest::Method;
use serde_json::json;

use crate::app::{ANN, BOB, PASSWORD, TestApp, WRONG_PASSWORD};
use crate::http::{self, Response, Visitor};

/// The attempts before the first wait: for one account from one network, for one network, for one account.
const BURST_HERE: usize = 10;
const BURST_NETWORK: i64 = 100;
const BURST_SIGN_UPS: i64 = 200;
const BURST_ACCOUNT: i64 = 50;

/// A server behind a trusted proxy, so that tests choose the client address.
async fn app() -> TestApp {
    TestApp::start_with(&[("TRUSTED_PROXIES", "127.0.0.1")]).await
}

async fn log_in(app: &TestApp, address: &str, email: &str, password: &str) -> Response {
    log_in_with(&mut app.visitor(), address, email, password).await
}

async fn log_in_with(visitor: &mut Visitor, address: &str, email: &str, password: &str) -> Response {
    let request = visitor.request(Method::POST, "/login").header("x-forwarded-for", address);
    visitor.send(request.form(&[("email", email), ("password", password)])).await
}

/// Wrong passwords for Ann until an attempt is limited.
async fn guess_until_limited(app: &TestApp, address: &str) {
    for _ in 0..BURST_HERE {
        assert_eq!(log_in(app, address, ANN, WRONG_PASSWORD).await.status, 401);
    }
    assert_eq!(log_in(app, address, ANN, WRONG_PASSWORD).await.status, 429);
}

/// Requests a password reset.
async fn forgot(app: &TestApp, address: &str, email: &str) -> Response {
    let request = app.request(Method::POST, "/password/forgot").header("x-forwarded-for", address);
    http::send(request.form(&[("email", email)])).await
}

/// Sets all counters of a limit.
async fn set_attempts(app: &TestApp, kind: &str, attempts: i64) {
    let update = sqlx::query("UPDATE rate_limits SET attempts = $1 WHERE key LIKE $2").bind(attempts);
    let done = update.bind(format!("{kind}:%")).execute(&app.database().await).await.unwrap();
    assert!(done.rows_affected() > 0, "no counter of {kind}");
}

/// Ends all waits.
async fn end_waits(app: &TestApp) {
    app.execute("UPDATE rate_limits SET blocked_until = 0").await;
}

fn retry_after(response: &Response) -> i64 {
    assert_eq!(response.status, 429, "{}", response.text());
    response.header("retry-after").expect("no Retry-After").parse().unwrap()
}

#[tokio::test]
async fn wait_doubles_with_each_wrong_password_up_to_an_hour() {
    let app = app().await;
    app.customer(ANN).await;
    for _ in 1..BURST_HERE {
        assert_eq!(log_in(&app, "203.0.113.1", ANN, WRONG_PASSWORD).await.status, 401);
    }
    for wait in [30, 60, 120, 240, 480, 960, 1920, 3600, 3600] {
        assert_eq!(log_in(&app, "203.0.113.1", ANN, WRONG_PASSWORD).await.status, 401);
        let seconds = retry_after(&log_in(&app, "203.0.113.1", ANN, WRONG_PASSWORD).await);
        assert!(seconds > wait - 20 && seconds <= wait, "{seconds} seconds in place of {wait}");
        end_waits(&app).await;
    }
}

#[tokio::test]
async fn limited_login_shows_the_wait_in_the_form() {
    let app = app().await;
    app.customer(ANN).await;
    guess_until_limited(&app, "203.0.113.1").await;
    let response = log_in(&app, "203.0.113.1", ANN, WRONG_PASSWORD).await;
    assert!(response.is_page(429));
    let page = response.text();
    assert!(page.contains(&format!("Try again in {} second", retry_after(&response))), "{page}");
    assert!(page.contains(&format!("value=\"{ANN}\"")) && !page.contains(WRONG_PASSWORD));
    assert!(page.contains("action=\"/login\"") && page.contains("href=\"/password/forgot\""));
}

#[tokio::test]
async fn attempt_during_a_wait_is_not_counted() {
    let app = app().await;
    app.customer(ANN).await;
    guess_until_limited(&app, "203.0.113.1").await;
    for _ in 0..5 {
        assert!(retry_after(&log_in(&app, "203.0.113.1", ANN, PASSWORD).await) <= 30);
    }
    end_waits(&app).await;
    assert_eq!(log_in(&app, "203.0.113.1", ANN, PASSWORD).await.status, 303);
}

#[tokio::test]
async fn rate_limits_survive_a_restart() {
    let mut app = app().await;
    app.customer(ANN).await;
    guess_until_limited(&app, "203.0.113.1").await;
    app.stop_with("TERM");
    app.restart().await;
    assert_eq!(log_in(&app, "203.0.113.1", ANN, PASSWORD).await.status, 429);
}

#[tokio::test]
async fn rate_limits_are_shared_by_nodes() {
    let one = app().await;
    one.customer(ANN).await;
    let database = one.setting("DATABASE_URL").to_owned();
    let other = TestApp::start_with(&[("TRUSTED_PROXIES", "127.0.0.1"), ("DATABASE_URL", &database)]).await;
    for _ in 0..BURST_HERE / 2 {
        assert_eq!(log_in(&one, "203.0.113.1", ANN, WRONG_PASSWORD).await.status, 401);
        assert_eq!(log_in(&other, "203.0.113.1", ANN, WRONG_PASSWORD).await.status, 401);
    }
    assert_eq!(log_in(&one, "203.0.113.1", ANN, PASSWORD).await.status, 429);
    assert_eq!(log_in(&other, "203.0.113.1", ANN, PASSWORD).await.status, 429);
}

#[tokio::test]
async fn login_limit_is_per_account_and_network() {
    let app = app().await;
    app.customer(ANN).await;
    app.customer(BOB).await;
    guess_until_limited(&app, "203.0.113.1").await;
    assert_eq!(log_in(&app, "203.0.113.1", BOB, PASSWORD).await.status, 303);
    assert_eq!(log_in(&app, "203.0.113.2", ANN, PASSWORD).await.status, 303);
    assert_eq!(log_in(&app, "203.0.113.1", ANN, PASSWORD).await.status, 429);
}

#[tokio::test]
async fn unknown_address_is_limited_like_a_known_one() {
    let app = app().await;
    app.customer(ANN).await;
    guess_until_limited(&app, "203.0.113.1").await;
    for _ in 0..BURST_HERE {
        assert_eq!(log_in(&app, "203.0.113.1", BOB, WRONG_PASSWORD).await.status, 401);
    }
    assert_eq!(log_in(&app, "203.0.113.1", BOB, WRONG_PASSWORD).await.status, 429);
}

#[tokio::test]
async fn login_limit_per_network_covers_all_accounts() {
    let app = app().await;
    app.customer(ANN).await;
    assert_eq!(log_in(&app, "203.0.113.1", BOB, WRONG_PASSWORD).await.status, 401);
    set_attempts(&app, "login-address", BURST_NETWORK - 2).await;
    assert_eq!(log_in(&app, "203.0.113.1", "carol@example.com", WRONG_PASSWORD).await.status, 401);
    assert_eq!(log_in(&app, "203.0.113.1", "no address", WRONG_PASSWORD).await.status, 401);
    assert_eq!(log_in(&app, "203.0.113.1", ANN, PASSWORD).await.status, 429);
    assert_eq!(log_in(&app, "203.0.113.1", "no address", WRONG_PASSWORD).await.status, 429);
    assert_eq!(log_in(&app, "203.0.113.2", ANN, PASSWORD).await.status, 303);
}

#[tokio::test]
async fn login_limit_per_account_covers_all_networks() {
    let app = app().await;
    app.customer(ANN).await;
    app.customer(BOB).await;
    assert_eq!(log_in(&app, "203.0.113.1", ANN, WRONG_PASSWORD).await.status, 401);
    set_attempts(&app, "login-account", BURST_ACCOUNT - 2).await;
    for address in ["203.0.113.2", "203.0.113.3"] {
        assert_eq!(log_in(&app, address, ANN, WRONG_PASSWORD).await.status, 401);
    }
    assert_eq!(log_in(&app, "203.0.113.4", ANN, PASSWORD).await.status, 429);
    assert_eq!(log_in(&app, "203.0.113.4", BOB, PASSWORD).await.status, 303);
}

#[tokio::test]
async fn ipv6_64_counts_as_one_network() {
    let app = app().await;
    app.customer(ANN).await;
    for host in 1..=BURST_HERE {
        assert_eq!(log_in(&app, &format!("2001:db8:1:2:{host}::{host}"), ANN, WRONG_PASSWORD).await.status, 401);
    }
    assert_eq!(log_in(&app, "2001:db8:1:2:ffff::1", ANN, PASSWORD).await.status, 429);
    assert_eq!(log_in(&app, "2001:db8:1:3::1", ANN, PASSWORD).await.status, 303);
}

#[tokio::test]
async fn ipv6_48_has_a_larger_limit() {
    let app = app().await;
    app.customer(ANN).await;
    assert_eq!(log_in(&app, "2001:db8:1:1::1", BOB, WRONG_PASSWORD).await.status, 401);
    set_attempts(&app, "login-address-wide", 498).await;
    for (network, email) in [(2, "carol@example.com"), (3, "dan@example.com")] {
        assert_eq!(log_in(&app, &format!("2001:db8:1:{network}::1"), email, WRONG_PASSWORD).await.status, 401);
    }
    assert_eq!(log_in(&app, "2001:db8:1:4::1", ANN, PASSWORD).await.status, 429);
    assert_eq!(log_in(&app, "2001:db8:2:4::1", ANN, PASSWORD).await.status, 303);
    assert_eq!(forgot(&app, "2001:db8:1:1::1", BOB).await.status, 303);
    set_attempts(&app, "mail-address-wide", 150).await;
    assert_eq!(forgot(&app, "2001:db8:1:2::1", "carol@example.com").await.status, 303);
    assert_eq!(forgot(&app, "2001:db8:1:3::1", "dan@example.com").await.status, 429);
}

#[tokio::test]
async fn untrusted_proxy_cannot_forge_the_client_address() {
    let app = TestApp::start().await;
    app.customer(ANN).await;
    for host in 1..=BURST_HERE {
        assert_eq!(log_in(&app, &format!("203.0.113.{host}"), ANN, WRONG_PASSWORD).await.status, 401);
    }
    assert_eq!(log_in(&app, "203.0.113.100", ANN, PASSWORD).await.status, 429);
}

#[tokio::test]
async fn concurrent_guesses_are_limited_like_sequential_ones() {
    let app = app().await;
    app.customer(ANN).await;
    let responses = join_all((0..40).map(|_| log_in(&app, "203.0.113.1", ANN, WRONG_PASSWORD))).await;
    let with = |status| responses.iter().filter(|response| response.status == status).count();
    assert_eq!((with(401), with(429)), (BURST_HERE, 40 - BURST_HERE));
}

#[tokio::test]
async fn correct_password_refunds_the_attempts() {
    let app = app().await;
    app.customer(ANN).await;
    for _ in 0..2 {
        for _ in 1..BURST_HERE {
            assert_eq!(log_in(&app, "203.0.113.1", ANN, WRONG_PASSWORD).await.status, 401);
        }
        assert_eq!(log_in(&app, "203.0.113.1", ANN, PASSWORD).await.status, 303);
    }
}

#[tokio::test]
async fn correct_passwords_are_never_limited() {
    let app = app().await;
    app.customer(ANN).await;
    assert_eq!(log_in(&app, "203.0.113.1", ANN, WRONG_PASSWORD).await.status, 401);
    set_attempts(&app, "login-address", BURST_NETWORK - 2).await;
    set_attempts(&app, "login-account", BURST_ACCOUNT - 2).await;
    for _ in 0..3 {
        assert_eq!(log_in(&app, "203.0.113.1", ANN, PASSWORD).await.status, 303);
    }
}

#[tokio::test]
async fn sign_up_limit_includes_rejected_sign_ups() {
    let app = app().await;
    app.customer(ANN).await;
    let sign_up = async |address: &str, email: &str| {
        let request = app.request(Method::POST, "/signup").header("x-forwarded-for", address);
        http::send(request.form(&[("email", email), ("password", PASSWORD)])).await
    };
    assert_eq!(sign_up("203.0.113.1", ANN).await.status, 422);
    set_attempts(&app, "sign-up", BURST_SIGN_UPS - 2).await;
    assert_eq!(sign_up("203.0.113.1", ANN).await.status, 422);
    assert_eq!(sign_up("203.0.113.1", BOB).await.status, 303);
    let limited = sign_up("203.0.113.1", "carol@example.com").await;
    assert!(limited.is_page(429) && retry_after(&limited) <= 60);
    assert_eq!(sign_up("203.0.113.2", "carol@example.com").await.status, 303);
}

#[tokio::test]
async fn api_and_pages_share_rate_limits() {
    let app = TestApp::start().await;
    app.customer(ANN).await;
    let wrong = json!({ "email": ANN, "password": WRONG_PASSWORD });
    for _ in 0..BURST_HERE / 2 {
        assert_eq!(app.api_post("/api/login", &wrong).await.status, 401);
        assert_eq!(log_in(&app, "127.0.0.1", ANN, WRONG_PASSWORD).await.status, 401);
    }
    let limited = app.api_post("/api/login", &json!({ "email": ANN, "password": PASSWORD })).await;
    assert!(limited.is_problem(429) && retry_after(&limited) <= 30);
    assert_eq!(log_in(&app, "127.0.0.1", ANN, PASSWORD).await.status, 429);
    set_attempts(&app, "sign-up", BURST_SIGN_UPS).await;
    let taken = json!({ "email": ANN, "password": PASSWORD });
    assert_eq!(app.api_post("/api/createNewUser", &taken).await.status, 422);
    let limited = app.api_post("/api/createNewUser", &json!({ "email": BOB, "password": PASSWORD })).await;
    assert!(limited.is_problem(429) && retry_after(&limited) <= 120);
}

#[tokio::test]
async fn rate_limit_keys_are_hashes() {
    let app = app().await;
    let mut browser = app.customer(ANN).await;
    browser.post("/account/delete", &[("password", WRONG_PASSWORD)]).await;
    browser.post("/logout", &[]).await;
    log_in_with(&mut browser, "203.0.113.1", ANN, WRONG_PASSWORD).await;
    log_in(&app, "203.0.113.1", ANN, WRONG_PASSWORD).await;
    app.visitor().post("/password/forgot", &[("email", ANN)]).await;
    let keys = sqlx::query_scalar("SELECT key FROM rate_limits").fetch_all(&app.database().await).await;
    let keys: Vec<String> = keys.unwrap();
    assert_eq!(keys.len(), 9, "{keys:?}");
    for key in keys {
        let (kind, digest) = key.split_once(':').unwrap();
        assert!(kind.bytes().all(|byte| byte.is_ascii_lowercase() || byte == b'-'), "{key}");
        assert!(digest.len() == 32 && digest.bytes().all(|byte| byte.is_ascii_hexdigit()), "{key}");
    }
}

#[tokio::test]
async fn password_changes_are_limited() {
    let app = app().await;
    let mut ann = app.customer(ANN).await;
    let passwords: Vec<String> = (0..12).map(|number| format!("eleven brass owls in row {number}")).collect();
    let mut current = PASSWORD;
    for new in &passwords[..10] {
        let changed = ann.change_password(current, new).await;
        assert_eq!(changed.redirect(), (303, "/account#password"));
        current = new;
    }
    let fields = [("current_password", current), ("new_password", passwords[10].as_str())];
    assert!(ann.post("/account/password", &fields).await.is_page(429));
    assert_eq!(log_in(&app, "203.0.113.1", ANN, current).await.status, 303, "the current password is invalid");
}

#[tokio::test]
async fn each_limit_resets_after_its_time_without_attempts() {
    let app = app().await;
    let mut ann = app.verified_customer(ANN).await;
    let network = "2001:db8:7::1";
    let post = async |path: &str, fields: &[(&str, &str)]| {
        http::send(app.request(Method::POST, path).header("x-forwarded-for", network).form(fields)).await
    };
    let mut other = app.visitor();
    log_in_with(&mut other, "198.51.100.7", ANN, PASSWORD).await;
    other.post("/logout", &[]).await;
    for visitor in [&mut other, &mut app.visitor()] {
        log_in_with(visitor, network, ANN, WRONG_PASSWORD).await;
    }
    log_in(&app, "127.0.0.1", ANN, WRONG_PASSWORD).await;
    post("/signup", &[("email", "carl@example.com"), ("password", "short")]).await;
    app.customer("carl@example.com").await.post("/account/verification", &[]).await;
    let new = "eleven quiet otters in a row";
    ann.change_password(PASSWORD, new).await;
    ann.post("/account/email", &[("email", BOB), ("password", new)]).await;
    ann.post("/account/email", &[("email", BOB), ("password", WRONG_PASSWORD)]).await;
    post("/password/forgot", &[("email", ANN)]).await;
    let rows: Vec<(String, i64)> = sqlx::query_as("SELECT key, resets_at - last_at FROM rate_limits")
        .fetch_all(&app.database().await)
        .await
        .unwrap();
    let resets: BTreeMap<&str, i64> =
        rows.iter().map(|(key, seconds)| (key.split(':').next().unwrap(), *seconds)).collect();
    let (minutes, hour) = (60, 3600);
    let expected = [
        ("change-by", 6 * hour),
        ("change-to", 6 * hour),
        ("confirm", 24 * hour),
        ("confirmation-mail", hour),
        ("login-account", 24 * hour),
        ("login-address", 6 * hour),
        ("login-address-wide", 6 * hour),
        ("login-here", 24 * hour),
        ("login-known-browser", 24 * hour),
        ("login-known-network", 24 * hour),
        ("mail-account", 24 * hour),
        ("mail-address", 6 * hour),
        ("mail-address-wide", 6 * hour),
        ("mail-here", 6 * hour),
        ("notice", 10 * minutes),
        ("password-change", 6 * hour),
        ("reset-mail", 12 * minutes),
        ("sign-up", 6 * hour),
        ("sign-up-wide", 6 * hour),
    ];
    assert_eq!(resets, BTreeMap::from(expected));
}
