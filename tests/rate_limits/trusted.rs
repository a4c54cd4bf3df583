//! Trusted browsers and networks: limits do not lock the owner out.

use reqwest::Method;
use serde_json::json;

use super::{
    BURST_ACCOUNT, BURST_HERE, BURST_NETWORK, app, forgot, guess_until_limited, log_in, log_in_with, retry_after,
    set_attempts,
};
use crate::app::{ANN, BOB, OTHER_PASSWORD, PASSWORD, TestApp, WRONG_PASSWORD};
use crate::http;
use crate::mailbox::{self, RESET};

const OWNER_NETWORK: &str = "198.51.100.7";

async fn api_log_in(app: &TestApp, address: &str, password: &str) -> u16 {
    let request = app.request(Method::POST, "/api/login").header("x-forwarded-for", address);
    http::send(request.json(&json!({ "email": ANN, "password": password }))).await.status
}

#[tokio::test]
async fn rate_limit_spares_trusted_browser() {
    let app = app().await;
    app.customer(ANN).await;
    let mut browser = app.visitor();
    assert_eq!(log_in_with(&mut browser, "203.0.113.1", ANN, PASSWORD).await.status, 303);
    browser.post("/logout", &[]).await;
    guess_until_limited(&app, "203.0.113.9").await;
    set_attempts(&app, "login-account", BURST_ACCOUNT - 1).await;
    assert_eq!(log_in(&app, "203.0.113.8", ANN, WRONG_PASSWORD).await.status, 401);
    assert_eq!(log_in(&app, "203.0.113.7", ANN, PASSWORD).await.status, 429, "an untrusted browser is not limited");
    assert_eq!(log_in_with(&mut browser, "203.0.113.1", ANN, PASSWORD).await.status, 303);
    browser.post("/logout", &[]).await;
    assert_eq!(log_in_with(&mut browser, "203.0.113.9", ANN, PASSWORD).await.status, 303, "from another network");
}

#[tokio::test]
async fn trusted_browser_has_its_own_limit() {
    let app = app().await;
    app.customer(BOB).await;
    let mut browser = app.customer(ANN).await;
    browser.post("/logout", &[]).await;
    for _ in 0..BURST_HERE {
        assert_eq!(log_in_with(&mut browser, "203.0.113.1", ANN, WRONG_PASSWORD).await.status, 401);
    }
    let limited = log_in_with(&mut browser, "203.0.113.1", ANN, WRONG_PASSWORD).await;
    assert!((25..=30).contains(&retry_after(&limited)), "{:?}", limited.headers);
    for attempt in 1..=BURST_HERE + 1 {
        let status = log_in_with(&mut browser, "203.0.113.1", BOB, WRONG_PASSWORD).await.status;
        assert_eq!(status, if attempt > BURST_HERE { 429 } else { 401 }, "another account trusts the browser");
    }
}

#[tokio::test]
async fn forged_browser_cookie_is_not_trusted() {
    let app = app().await;
    app.customer(ANN).await;
    guess_until_limited(&app, "203.0.113.1").await;
    for forged in ["a".repeat(64), "0".repeat(64), "x".into(), String::new()] {
        let request = app.request(Method::POST, "/login").header("x-forwarded-for", "203.0.113.1");
        let request = request.header("cookie", format!("__Host-browser={forged}"));
        assert_eq!(http::send(request.form(&[("email", ANN), ("password", PASSWORD)])).await.status, 429);
    }
}

#[tokio::test]
async fn account_trusts_at_most_20_browsers_and_networks() {
    let app = app().await;
    app.customer(ANN).await;
    for number in 1..=25 {
        assert_eq!(log_in(&app, &format!("203.0.113.{number}"), ANN, PASSWORD).await.status, 303);
    }
    assert_eq!((app.count("trusted_browsers").await, app.count("trusted_networks").await), (20, 20));
}

/// Wrong passwords and reset requests from six networks, until all networks are limited.
async fn attack(app: &TestApp) {
    for number in 1..=6 {
        let network = format!("203.0.113.{number}");
        let mut attempts = 0;
        while log_in(app, &network, ANN, WRONG_PASSWORD).await.status == 401 {
            attempts += 1;
            assert!(attempts <= BURST_HERE, "no limit");
        }
        for _ in 0..5 {
            assert_eq!(forgot(app, &network, ANN).await.status, 303);
        }
    }
    assert_eq!(
        log_in(app, "203.0.113.99", ANN, PASSWORD).await.status,
        429,
        "the attack does not reach the limit of the account"
    );
}

#[tokio::test]
async fn attack_from_six_networks_does_not_lock_the_owner_out() {
    let app = app().await;
    let owner = app.visitor();
    let sign_up = owner.request(Method::POST, "/signup").header("x-forwarded-for", OWNER_NETWORK);
    assert_eq!(http::send(sign_up.form(&[("email", ANN), ("password", PASSWORD)])).await.status, 303);
    attack(&app).await;
    // The owner in the trusted network, with an untrusted browser and the API.
    assert_eq!(log_in(&app, OWNER_NETWORK, ANN, PASSWORD).await.status, 303);
    assert_eq!(api_log_in(&app, OWNER_NETWORK, PASSWORD).await, 200);
    // The owner in another network, by the reset mail that the attacker's requests caused.
    let (other_network, mut browser) = ("192.0.2.33", app.visitor());
    assert_eq!(log_in_with(&mut browser, other_network, ANN, PASSWORD).await.status, 429);
    assert_eq!(forgot(&app, other_network, ANN).await.status, 303);
    let mail = mailbox::mail_to(&app, ANN, RESET).await;
    let reset = browser.request(Method::POST, "/password/reset").header("x-forwarded-for", other_network);
    let reset = browser.send(reset.form(&[("token", mail.token()), ("password", OTHER_PASSWORD)])).await;
    assert_eq!(reset.redirect(), (303, "/login"));
    attack(&app).await;
    assert_eq!(log_in_with(&mut browser, other_network, ANN, OTHER_PASSWORD).await.status, 303);
    assert_eq!(api_log_in(&app, other_network, OTHER_PASSWORD).await, 200);
}

#[tokio::test]
async fn trusted_network_has_its_own_limit() {
    let app = app().await;
    app.customer(BOB).await;
    let owner = app.visitor();
    let sign_up = owner.request(Method::POST, "/signup").header("x-forwarded-for", "2001:db8:1:2::1");
    assert_eq!(http::send(sign_up.form(&[("email", ANN), ("password", PASSWORD)])).await.status, 303);
    for number in 1..=BURST_HERE / 2 {
        let address = format!("2001:db8:1:2:{number}::1");
        assert_eq!(log_in(&app, &address, ANN, WRONG_PASSWORD).await.status, 401);
        assert_eq!(api_log_in(&app, &address, WRONG_PASSWORD).await, 401);
    }
    assert_eq!(log_in(&app, "2001:db8:1:2::1", ANN, PASSWORD).await.status, 429);
    assert_eq!(api_log_in(&app, "2001:db8:1:2::1", PASSWORD).await, 429);
    assert_eq!(log_in(&app, "203.0.113.1", ANN, PASSWORD).await.status, 303, "another network is limited");
    assert_eq!(log_in(&app, "2001:db8:1:2::1", BOB, PASSWORD).await.status, 303);
}

#[tokio::test]
async fn trusted_networks_are_stored_as_hashes_per_account() {
    let app = TestApp::start().await;
    app.customer(ANN).await;
    app.customer(BOB).await;
    let hashes = sqlx::query_scalar("SELECT hash FROM trusted_networks").fetch_all(&app.database().await).await;
    let hashes: Vec<Vec<u8>> = hashes.unwrap();
    assert!(hashes.len() == 2 && hashes[0] != hashes[1], "{hashes:?}");
    assert!(hashes.iter().all(|hash| hash.len() == 32 && !hash.starts_with(b"127")));
}

#[tokio::test]
async fn unnamed_proxy_does_not_lock_owners_out() {
    let app = TestApp::start().await;
    app.customer(ANN).await;
    assert_eq!(log_in(&app, "", BOB, WRONG_PASSWORD).await.status, 401);
    set_attempts(&app, "login-address", BURST_NETWORK).await;
    assert_eq!(log_in(&app, "", "carol@example.com", WRONG_PASSWORD).await.status, 401);
    assert_eq!(log_in(&app, "", "carol@example.com", WRONG_PASSWORD).await.status, 429);
    assert_eq!(log_in(&app, "", ANN, PASSWORD).await.status, 303);
    assert_eq!(api_log_in(&app, "", PASSWORD).await, 200);
}

#[tokio::test]
async fn reset_resets_all_limits_and_trusted_networks() {
    let app = app().await;
    app.customer(ANN).await;
    app.customer(BOB).await;
    let mut trusted = app.visitor();
    assert_eq!(log_in_with(&mut trusted, OWNER_NETWORK, ANN, PASSWORD).await.status, 303);
    let mut other = app.visitor();
    assert_eq!(log_in_with(&mut other, OWNER_NETWORK, ANN, PASSWORD).await.status, 303);
    other.post("/account/delete", &[("password", WRONG_PASSWORD)]).await;
    trusted.post("/logout", &[]).await;
    for _ in 0..BURST_HERE {
        assert_eq!(log_in_with(&mut trusted, "203.0.113.1", ANN, WRONG_PASSWORD).await.status, 401);
        assert_eq!(log_in(&app, OWNER_NETWORK, ANN, WRONG_PASSWORD).await.status, 401);
        assert_eq!(log_in(&app, "203.0.113.2", ANN, WRONG_PASSWORD).await.status, 401);
    }
    assert_eq!(log_in(&app, "203.0.113.2", BOB, WRONG_PASSWORD).await.status, 401);
    assert_eq!(forgot(&app, "203.0.113.3", ANN).await.status, 303);
    let mail = mailbox::mail_to(&app, ANN, RESET).await;
    let reset = [("token", mail.token()), ("password", OTHER_PASSWORD)];
    assert_eq!(app.visitor().post("/password/reset", &reset).await.redirect(), (303, "/login"));
    let database = app.database().await;
    let networks = "trusted_networks WHERE user_id = (SELECT id FROM users WHERE email = 'ann@example.com')";
    assert_eq!(app.count(networks).await, 0);
    let left = sqlx::query_scalar("SELECT key FROM rate_limits ORDER BY key").fetch_all(&database).await;
    let left: Vec<String> = left.unwrap();
    let mut kinds: Vec<&str> = left.iter().map(|key| key.split(':').next().unwrap()).collect();
    kinds.dedup();
    // The counters of Bob, of networks and of mail are left.
    assert_eq!(
        kinds,
        ["confirmation-mail", "login-account", "login-address", "login-here", "mail-address", "notice", "sign-up"],
        "{left:?}"
    );
    for address in [OWNER_NETWORK, "203.0.113.2"] {
        assert_eq!(log_in(&app, address, ANN, OTHER_PASSWORD).await.status, 303, "{address}");
    }
}
