//! Counts of what happens in this process.

use serde_json::json;

use super::{Metrics, start, start_with};
use crate::app::{ANN, BOB, PASSWORD, TestApp, WRONG_PASSWORD};
use crate::mail_server::{MailServer, Mode};
use crate::mfa::{after_password, send_code, two_step_customer};
use crate::passkeys;

fn logins(metrics: &Metrics, outcome: &str) -> f64 {
    metrics.value(&format!("login_attempts_total{{outcome=\"{outcome}\"}}"))
}

async fn api_login(app: &TestApp, email: &str, password: &str) -> u16 {
    app.api_post("/api/login", &json!({ "email": email, "password": password })).await.status
}

#[tokio::test]
async fn logins_are_counted_by_outcome() {
    let (app, metrics) = start().await;
    app.customer(ANN).await;
    assert_eq!(app.log_in(ANN, PASSWORD).await.status, 303);
    assert_eq!(api_login(&app, ANN, PASSWORD).await, 200);
    assert_eq!(logins(&metrics, "success"), 2.0);
    assert_eq!(app.log_in(ANN, WRONG_PASSWORD).await.status, 401);
    assert_eq!(api_login(&app, ANN, WRONG_PASSWORD).await, 401);
    assert_eq!(logins(&metrics, "wrong_password"), 2.0);
    assert_eq!(app.log_in(BOB, PASSWORD).await.status, 401);
    assert_eq!(app.log_in("no address", PASSWORD).await.status, 401);
    assert_eq!(logins(&metrics, "unknown_address"), 2.0);
    app.run_ok(&["user", "disable", ANN]);
    assert_eq!(app.log_in(ANN, PASSWORD).await.status, 401);
    assert_eq!(logins(&metrics, "disabled"), 1.0);
    assert_eq!((logins(&metrics, "success"), logins(&metrics, "wrong_password")), (2.0, 2.0));
    assert_eq!(logins(&metrics, "rate_limited"), 0.0);
}

#[tokio::test]
async fn rejections_are_counted_by_the_limit_that_required_a_wait() {
    let (app, metrics) = start().await;
    for _ in 0..10 {
        assert_eq!(app.log_in(BOB, WRONG_PASSWORD).await.status, 401);
    }
    assert_eq!(app.log_in(BOB, WRONG_PASSWORD).await.status, 429);
    assert_eq!(app.log_in(BOB, WRONG_PASSWORD).await.status, 429);
    assert_eq!(logins(&metrics, "rate_limited"), 2.0);
    let all = metrics.series();
    let rejections = |limit: &str| all[&format!("rate_limit_rejections_total{{limit=\"{limit}\"}}")];
    assert_eq!(rejections("login-here"), 2.0);
    for limit in ["login-address", "login-account", "login-known-network", "sign-up", "mail-here"] {
        assert_eq!(rejections(limit), 0.0, "{limit}");
    }
}

#[tokio::test]
#[cfg(target_os = "linux")]
async fn hashing_queue_is_measured() {
    let mut sandbox = crate::sandbox::Sandbox::new().await;
    sandbox.set("TRUSTED_PROXIES", "127.0.0.1");
    let metrics = Metrics::enable(&mut sandbox);
    let app = crate::busy::start_on_one_core(sandbox).await;
    assert_eq!(metrics.value("hash_queue_wait_seconds_count"), 0.0);
    app.customer(ANN).await;
    // The rules and the hash.
    assert_eq!(metrics.value("hash_queue_wait_seconds_count"), 2.0);
    let logins = crate::busy::log_in_at_once(&app, 40);
    let longest_queue = async {
        let mut longest: f64 = 0.0;
        for _ in 0..20 {
            tokio::time::sleep(std::time::Duration::from_millis(25)).await;
            longest = longest.max(metrics.value("hash_queue_length"));
        }
        longest
    };
    let ((pages, api), longest) = futures_util::future::join(logins, longest_queue).await;
    assert!((1.0..=25.0).contains(&longest), "at most {longest} passwords waited");
    let rejected = pages.iter().chain(&api).filter(|response| response.status == 503).count();
    assert!(rejected > 0, "no request was rejected");
    let all = metrics.series();
    assert_eq!(all["hash_queue_length"], 0.0);
    let (rejections, hashed) = (all["hash_queue_rejections_total"], all["hash_queue_wait_seconds_count"] - 2.0);
    // On PostgreSQL some get no database connection.
    assert!(rejections > 0.0 && rejections <= rejected as f64, "{rejections} of {rejected}");
    assert!(hashed >= 25.0 || app.is_postgres(), "{hashed}");
    assert!(all["hash_queue_wait_seconds_sum"] > 0.1, "{}", all["hash_queue_wait_seconds_sum"]);
}

#[tokio::test]
async fn mail_deliveries_are_counted_by_outcome() {
    let server = MailServer::start();
    let (app, metrics) = start_with(&[("MAIL_URL", &server.url())]).await;
    let deliveries = |outcome: &str| format!("mail_deliveries_total{{outcome=\"{outcome}\"}}");
    app.customer(ANN).await;
    metrics.wait_for(&deliveries("delivered"), |count| count == 1.0).await;
    server.set_mode(Mode::RejectRecipient);
    app.customer(BOB).await;
    metrics.wait_for(&deliveries("failed"), |count| count == 1.0).await;
    server.set_mode(Mode::Defer);
    app.customer("carol@example.com").await;
    metrics.wait_for(&deliveries("deferred"), |count| count >= 1.0).await;
    metrics.wait_for("mail_queue_length{state=\"failed\"}", |count| count == 1.0).await;
    metrics.wait_for("mail_queue_length{state=\"waiting\"}", |count| count == 1.0).await;
    metrics.wait_for("mail_queue_oldest_age_seconds", |age| (1.0..60.0).contains(&age)).await;
    assert_eq!(metrics.value(&deliveries("delivered")), 1.0);
}

#[tokio::test]
async fn cached_lists_are_counted() {
    let (app, metrics) = start().await;
    let mut ann = app.verified_customer(ANN).await;
    app.import(&crate::shop::orders(3, ANN));
    // The first page has a notice and is not cached.
    for _ in 0..4 {
        assert!(ann.get("/orders").await.is_page(200));
    }
    let all = metrics.series();
    assert_eq!((all["response_cache_misses_total"], all["response_cache_hits_total"]), (1.0, 2.0));
    assert!(all["response_cache_bytes"] > 1000.0, "{}", all["response_cache_bytes"]);
}

#[tokio::test]
async fn second_steps_are_counted() {
    let (app, metrics) = start().await;
    let (_, authenticator, _) = two_step_customer(&app, ANN).await;
    let success = logins(&metrics, "success");
    let mut visitor = after_password(&app, ANN, PASSWORD).await;
    assert_eq!(logins(&metrics, "second_step_needed"), 1.0);
    assert_eq!(send_code(&mut visitor, &authenticator.wrong_code()).await.status, 401);
    assert_eq!((logins(&metrics, "second_step_wrong"), logins(&metrics, "success")), (1.0, success));
    let code = authenticator.fresh_code(&app).await;
    assert_eq!(send_code(&mut visitor, &code).await.redirect(), (303, "/orders"));
    assert_eq!(logins(&metrics, "success"), success + 1.0);
    assert_eq!(api_login(&app, ANN, PASSWORD).await, 401);
    assert_eq!(logins(&metrics, "second_step_needed"), 2.0);
    let wrong = json!({ "email": ANN, "password": PASSWORD, "code": authenticator.wrong_code() });
    assert_eq!(app.api_post("/api/login", &wrong).await.status, 401);
    assert_eq!((logins(&metrics, "second_step_wrong"), logins(&metrics, "wrong_password")), (2.0, 0.0));
}

#[tokio::test]
async fn logins_with_passkeys_are_counted() {
    let (app, metrics) = start().await;
    let mut ann = app.verified_customer(ANN).await;
    let mut passkey = passkeys::register(&app, &mut ann).await;
    let success = logins(&metrics, "success");
    assert_eq!(passkeys::log_in(&mut app.visitor(), &mut passkey).await.status, 200);
    assert_eq!(logins(&metrics, "success"), success + 1.0);
    app.execute("DELETE FROM passkeys").await;
    assert_eq!(passkeys::log_in(&mut app.visitor(), &mut passkey).await.status, 401);
    assert_eq!((logins(&metrics, "wrong_passkey"), logins(&metrics, "success")), (1.0, success + 1.0));
}
