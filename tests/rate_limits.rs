//! Rate limits.

use std::collections::BTreeMap;

use futures_util::future::join_all;
use reqwest::Method;
use serde_json::json;

use crate::app::{PASSWORD, TestApp};
use crate::http::{self, Answer, Visitor};
use crate::mailbox::{self, NEW_PASSWORD};

const ANN: &str = "ann@example.com";
const BOB: &str = "bob@example.com";
const WRONG: &str = "not the password at all";
/// Bursts: for one account from one network, for one network, for one account.
const BURST_HERE: usize = 10;
const BURST_NETWORK: i64 = 100;
const BURST_SIGN_UPS: i64 = 200;
const BURST_ACCOUNT: i64 = 50;

/// A server behind a trusted proxy, so that tests choose the client address.
async fn app() -> TestApp {
    TestApp::start_with(&[("TRUSTED_PROXIES", "127.0.0.1")]).await
}

async fn log_in(app: &TestApp, address: &str, email: &str, password: &str) -> Answer {
    log_in_with(&mut app.visitor(), address, email, password).await
}

async fn log_in_with(visitor: &mut Visitor, address: &str, email: &str, password: &str) -> Answer {
    let request = visitor.request(Method::POST, "/login").header("x-forwarded-for", address);
    visitor.send(request.form(&[("email", email), ("password", password)])).await
}

/// Wrong passwords for Ann until an attempt is limited.
async fn guess_until_limited(app: &TestApp, address: &str) {
    for _ in 0..BURST_HERE {
        assert_eq!(log_in(app, address, ANN, WRONG).await.status, 401);
    }
    assert_eq!(log_in(app, address, ANN, WRONG).await.status, 429);
}

/// Sets all counters of a limit to that many attempts.
async fn set_attempts(app: &TestApp, kind: &str, tries: i64) {
    let update = sqlx::query("UPDATE rate_limits SET attempts = $1 WHERE key LIKE $2").bind(tries);
    let done = update.bind(format!("{kind}:%")).execute(&app.database().await).await.unwrap();
    assert!(done.rows_affected() > 0, "no counter of {kind}");
}

/// Ends all waits.
async fn end_waits(app: &TestApp) {
    sqlx::query("UPDATE rate_limits SET blocked_until = 0").execute(&app.database().await).await.unwrap();
}

fn retry_after(answer: &Answer) -> i64 {
    assert_eq!(answer.status, 429, "{}", answer.text());
    answer.header("retry-after").expect("no Retry-After").parse().unwrap()
}

#[tokio::test]
async fn wait_doubles_with_each_wrong_password_up_to_an_hour() {
    let app = app().await;
    app.customer(ANN).await;
    for _ in 1..BURST_HERE {
        assert_eq!(log_in(&app, "203.0.113.1", ANN, WRONG).await.status, 401);
    }
    for wait in [30, 60, 120, 240, 480, 960, 1920, 3600, 3600] {
        assert_eq!(log_in(&app, "203.0.113.1", ANN, WRONG).await.status, 401);
        let said = retry_after(&log_in(&app, "203.0.113.1", ANN, WRONG).await);
        assert!(said > wait - 20 && said <= wait, "{said} seconds in place of {wait}");
        end_waits(&app).await;
    }
}

#[tokio::test]
async fn limited_login_shows_the_wait_in_the_form() {
    let app = app().await;
    app.customer(ANN).await;
    guess_until_limited(&app, "203.0.113.1").await;
    let answer = log_in(&app, "203.0.113.1", ANN, WRONG).await;
    assert!(answer.is_page(429));
    let page = answer.text();
    assert!(page.contains(&format!("Try again in {} second", retry_after(&answer))), "{page}");
    assert!(page.contains(&format!("value=\"{ANN}\"")) && !page.contains(WRONG));
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
    app.stop_by("TERM");
    app.start_again().await;
    assert_eq!(log_in(&app, "203.0.113.1", ANN, PASSWORD).await.status, 429);
}

#[tokio::test]
async fn rate_limits_are_shared_by_nodes() {
    let one = app().await;
    one.customer(ANN).await;
    let database = one.setting("DATABASE_URL").to_owned();
    let other = TestApp::start_with(&[("TRUSTED_PROXIES", "127.0.0.1"), ("DATABASE_URL", &database)]).await;
    for _ in 0..BURST_HERE / 2 {
        assert_eq!(log_in(&one, "203.0.113.1", ANN, WRONG).await.status, 401);
        assert_eq!(log_in(&other, "203.0.113.1", ANN, WRONG).await.status, 401);
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
        assert_eq!(log_in(&app, "203.0.113.1", BOB, WRONG).await.status, 401);
    }
    assert_eq!(log_in(&app, "203.0.113.1", BOB, WRONG).await.status, 429);
}

#[tokio::test]
async fn login_limit_per_network_covers_all_accounts() {
    let app = app().await;
    app.customer(ANN).await;
    assert_eq!(log_in(&app, "203.0.113.1", BOB, WRONG).await.status, 401);
    set_attempts(&app, "login-address", BURST_NETWORK - 2).await;
    assert_eq!(log_in(&app, "203.0.113.1", "carol@example.com", WRONG).await.status, 401);
    assert_eq!(log_in(&app, "203.0.113.1", "no address", WRONG).await.status, 401);
    assert_eq!(log_in(&app, "203.0.113.1", ANN, PASSWORD).await.status, 429);
    assert_eq!(log_in(&app, "203.0.113.1", "no address", WRONG).await.status, 429);
    assert_eq!(log_in(&app, "203.0.113.2", ANN, PASSWORD).await.status, 303);
}

#[tokio::test]
async fn login_limit_per_account_covers_all_networks() {
    let app = app().await;
    app.customer(ANN).await;
    app.customer(BOB).await;
    assert_eq!(log_in(&app, "203.0.113.1", ANN, WRONG).await.status, 401);
    set_attempts(&app, "login-account", BURST_ACCOUNT - 2).await;
    for address in ["203.0.113.2", "203.0.113.3"] {
        assert_eq!(log_in(&app, address, ANN, WRONG).await.status, 401);
    }
    assert_eq!(log_in(&app, "203.0.113.4", ANN, PASSWORD).await.status, 429);
    assert_eq!(log_in(&app, "203.0.113.4", BOB, PASSWORD).await.status, 303);
}

#[tokio::test]
async fn rate_limit_spares_trusted_browser() {
    let app = app().await;
    app.customer(ANN).await;
    let mut at_home = app.visitor();
    assert_eq!(log_in_with(&mut at_home, "203.0.113.1", ANN, PASSWORD).await.status, 303);
    at_home.post("/logout", &[]).await;
    guess_until_limited(&app, "203.0.113.9").await;
    set_attempts(&app, "login-account", BURST_ACCOUNT - 1).await;
    assert_eq!(log_in(&app, "203.0.113.8", ANN, WRONG).await.status, 401);
    assert_eq!(log_in(&app, "203.0.113.7", ANN, PASSWORD).await.status, 429, "an untrusted browser is not limited");
    assert_eq!(log_in_with(&mut at_home, "203.0.113.1", ANN, PASSWORD).await.status, 303);
    at_home.post("/logout", &[]).await;
    assert_eq!(log_in_with(&mut at_home, "203.0.113.9", ANN, PASSWORD).await.status, 303, "from another network");
}

#[tokio::test]
async fn trusted_browser_has_its_own_limit() {
    let app = app().await;
    app.customer(BOB).await;
    let mut browser = app.customer(ANN).await;
    browser.post("/logout", &[]).await;
    for _ in 0..BURST_HERE {
        assert_eq!(log_in_with(&mut browser, "203.0.113.1", ANN, WRONG).await.status, 401);
    }
    let refused = log_in_with(&mut browser, "203.0.113.1", ANN, WRONG).await;
    assert!((25..=30).contains(&retry_after(&refused)), "{:?}", refused.headers);
    for tried in 1..=BURST_HERE + 1 {
        let status = log_in_with(&mut browser, "203.0.113.1", BOB, WRONG).await.status;
        assert_eq!(status, if tried > BURST_HERE { 429 } else { 401 }, "another account trusts the browser");
    }
}

#[tokio::test]
async fn forged_browser_cookie_is_not_trusted() {
    let app = app().await;
    app.customer(ANN).await;
    guess_until_limited(&app, "203.0.113.1").await;
    for made_up in ["a".repeat(64), "0".repeat(64), "x".into(), String::new()] {
        let request = app.request(Method::POST, "/login").header("x-forwarded-for", "203.0.113.1");
        let request = request.header("cookie", format!("__Host-browser={made_up}"));
        assert_eq!(http::send(request.form(&[("email", ANN), ("password", PASSWORD)])).await.status, 429);
    }
}

#[tokio::test]
async fn ipv6_64_counts_as_one_network() {
    let app = app().await;
    app.customer(ANN).await;
    for host in 1..=BURST_HERE {
        assert_eq!(log_in(&app, &format!("2001:db8:1:2:{host}::{host}"), ANN, WRONG).await.status, 401);
    }
    assert_eq!(log_in(&app, "2001:db8:1:2:ffff::1", ANN, PASSWORD).await.status, 429);
    assert_eq!(log_in(&app, "2001:db8:1:3::1", ANN, PASSWORD).await.status, 303);
}

#[tokio::test]
async fn ipv6_48_has_a_larger_limit() {
    let app = app().await;
    app.customer(ANN).await;
    assert_eq!(log_in(&app, "2001:db8:1:1::1", BOB, WRONG).await.status, 401);
    set_attempts(&app, "login-address-wide", 498).await;
    for (network, email) in [(2, "carol@example.com"), (3, "dan@example.com")] {
        assert_eq!(log_in(&app, &format!("2001:db8:1:{network}::1"), email, WRONG).await.status, 401);
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
        assert_eq!(log_in(&app, &format!("203.0.113.{host}"), ANN, WRONG).await.status, 401);
    }
    assert_eq!(log_in(&app, "203.0.113.100", ANN, PASSWORD).await.status, 429);
}

#[tokio::test]
async fn concurrent_guesses_are_limited_like_sequential_ones() {
    let app = app().await;
    app.customer(ANN).await;
    let answers = join_all((0..40).map(|_| log_in(&app, "203.0.113.1", ANN, WRONG))).await;
    let with = |status| answers.iter().filter(|answer| answer.status == status).count();
    assert_eq!((with(401), with(429)), (BURST_HERE, 40 - BURST_HERE));
}

#[tokio::test]
async fn correct_password_refunds_the_attempts() {
    let app = app().await;
    app.customer(ANN).await;
    for _ in 0..2 {
        for _ in 1..BURST_HERE {
            assert_eq!(log_in(&app, "203.0.113.1", ANN, WRONG).await.status, 401);
        }
        assert_eq!(log_in(&app, "203.0.113.1", ANN, PASSWORD).await.status, 303);
    }
}

#[tokio::test]
async fn correct_passwords_are_never_limited() {
    let app = app().await;
    app.customer(ANN).await;
    assert_eq!(log_in(&app, "203.0.113.1", ANN, WRONG).await.status, 401);
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
    let refused = sign_up("203.0.113.1", "carol@example.com").await;
    assert!(refused.is_page(429) && retry_after(&refused) <= 60);
    assert_eq!(sign_up("203.0.113.2", "carol@example.com").await.status, 303);
}

/// Requests a password reset.
async fn forgot(app: &TestApp, address: &str, email: &str) -> Answer {
    let request = app.request(Method::POST, "/password/forgot").header("x-forwarded-for", address);
    http::send(request.form(&[("email", email)])).await
}

#[tokio::test]
async fn reset_request_is_not_limited_by_account() {
    let app = app().await;
    app.customer(ANN).await;
    for email in [ANN, "nobody@example.com"] {
        for number in 0..60 {
            let answer = forgot(&app, &format!("203.0.113.{}", number % 3), email).await;
            assert_eq!(answer.leads_to(), (303, "/password/forgot?sent=1"), "request {number}");
        }
    }
    let database = app.database().await;
    let asked = "SELECT COUNT(*) FROM audit_events WHERE event = 'password-reset-asked' AND user_id IS NOT NULL";
    assert_eq!(sqlx::query_scalar::<_, i64>(asked).fetch_one(&database).await.unwrap(), 1, "more than one audit event");
}

#[tokio::test]
async fn one_reset_mail_is_sent_in_twelve_minutes() {
    let app = app().await;
    app.customer(ANN).await;
    let sent = async || {
        mailbox::all_gone(&app).await;
        mailbox::mails_to(&app, ANN, NEW_PASSWORD).len()
    };
    for (number, address) in ["203.0.113.1", "203.0.113.1", "203.0.113.2"].into_iter().enumerate() {
        assert_eq!(forgot(&app, address, ANN).await.status, 303);
        assert_eq!(sent().await, 1, "request {number}");
    }
    let database = app.database().await;
    let interval = "SELECT blocked_until - last_at FROM rate_limits WHERE key LIKE 'reset-mail:%'";
    assert_eq!(sqlx::query_scalar::<_, i64>(interval).fetch_one(&database).await.unwrap(), 720);
    sqlx::query("UPDATE rate_limits SET blocked_until = blocked_until - 720, resets_at = resets_at - 720")
        .execute(&database)
        .await
        .unwrap();
    for _ in 0..2 {
        assert_eq!(forgot(&app, "203.0.113.1", ANN).await.status, 303);
        assert_eq!(sent().await, 2);
    }
}

#[tokio::test]
async fn concurrent_reset_requests_send_one_mail() {
    let app = app().await;
    app.customer(ANN).await;
    let answers = join_all((0..20).map(|_| forgot(&app, "203.0.113.1", ANN))).await;
    assert!(answers.iter().all(|answer| answer.status == 303));
    mailbox::all_gone(&app).await;
    assert_eq!(mailbox::mails_to(&app, ANN, NEW_PASSWORD).len(), 1);
}

#[tokio::test]
async fn reset_mail_to_many_addresses_is_limited_by_network() {
    let app = app().await;
    app.customer(ANN).await;
    assert_eq!(forgot(&app, "203.0.113.1", BOB).await.status, 303);
    set_attempts(&app, "mail-address", 28).await;
    for email in ["carol@example.com", "dan@example.com"] {
        assert_eq!(forgot(&app, "203.0.113.1", email).await.status, 303);
    }
    let refused = forgot(&app, "203.0.113.1", ANN).await;
    assert!(refused.is_page(429) && retry_after(&refused) <= 60);
    assert!(refused.text().contains("try again in"), "{}", refused.text());
    assert_eq!(forgot(&app, "203.0.113.1", BOB).await.status, 303, "a request that queues no mail is limited");
    assert_eq!(forgot(&app, "203.0.113.2", ANN).await.status, 303);
    assert_eq!(mailbox::mail_to(&app, ANN, NEW_PASSWORD).await.to, ANN, "the rejected request used up the limit");
}

#[tokio::test]
async fn verification_and_email_change_mail_is_limited() {
    let app = app().await;
    let mut visitor = app.customer(ANN).await;
    // The sign-up sent the first of five.
    for _ in 0..4 {
        assert_eq!(visitor.post("/account/verification", &[]).await.status, 303);
    }
    assert!(visitor.post("/account/verification", &[]).await.is_page(429));
    let fields = [("email", "new@example.com"), ("password", PASSWORD)];
    for _ in 0..5 {
        assert_eq!(visitor.post("/account/email", &fields).await.leads_to(), (303, "/account#email"));
    }
    assert!(visitor.post("/account/email", &fields).await.is_page(429));
}

#[tokio::test]
async fn api_and_pages_share_rate_limits() {
    let app = TestApp::start().await;
    app.customer(ANN).await;
    let wrong = json!({ "email": ANN, "password": WRONG });
    for _ in 0..BURST_HERE / 2 {
        assert_eq!(app.api_post("/api/login", &wrong).await.status, 401);
        assert_eq!(log_in(&app, "127.0.0.1", ANN, WRONG).await.status, 401);
    }
    let refused = app.api_post("/api/login", &json!({ "email": ANN, "password": PASSWORD })).await;
    assert!(refused.is_problem(429) && retry_after(&refused) <= 30);
    assert_eq!(log_in(&app, "127.0.0.1", ANN, PASSWORD).await.status, 429);
    set_attempts(&app, "sign-up", BURST_SIGN_UPS).await;
    let taken = json!({ "email": ANN, "password": PASSWORD });
    assert_eq!(app.api_post("/api/createNewUser", &taken).await.status, 422);
    let refused = app.api_post("/api/createNewUser", &json!({ "email": BOB, "password": PASSWORD })).await;
    assert!(refused.is_problem(429) && retry_after(&refused) <= 120);
}

#[tokio::test]
async fn rate_limit_keys_are_hashes() {
    let app = app().await;
    let mut browser = app.customer(ANN).await;
    browser.post("/account/delete", &[("password", WRONG)]).await;
    browser.post("/logout", &[]).await;
    log_in_with(&mut browser, "203.0.113.1", ANN, WRONG).await;
    log_in(&app, "203.0.113.1", ANN, WRONG).await;
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
        let changed = ann.post("/account/password", &[("current_password", current), ("new_password", new)]).await;
        assert_eq!(changed.leads_to(), (303, "/account#password"));
        current = new;
    }
    let fields = [("current_password", current), ("new_password", passwords[10].as_str())];
    assert!(ann.post("/account/password", &fields).await.is_page(429));
    assert_eq!(log_in(&app, "203.0.113.1", ANN, current).await.status, 303, "the current password is invalid");
}

#[tokio::test]
async fn attacker_cannot_use_up_the_owners_mail_limit() {
    let app = app().await;
    app.customer(ANN).await;
    for number in 1..=4 {
        let mut attacker = app.customer(&format!("attacker{number}@example.com")).await;
        for sent in 1..=5 {
            let request = attacker.request(Method::POST, "/account/email");
            let request = request
                .header("x-forwarded-for", format!("203.0.113.{number}"))
                .form(&[("email", ANN), ("password", PASSWORD)]);
            // Five to one address, from all accounts; the sign-up sent the first.
            let expected = if number == 1 && sent < 5 { 303 } else { 429 };
            assert_eq!(attacker.send(request).await.status, expected, "{number}");
        }
    }
    let asked = app.request(Method::POST, "/password/forgot").header("x-forwarded-for", "203.0.113.9");
    let answer = http::send(asked.form(&[("email", ANN)])).await;
    assert_eq!(answer.leads_to(), (303, "/password/forgot?sent=1"));
}

#[tokio::test]
async fn account_trusts_at_most_20_browsers() {
    let app = app().await;
    app.customer(ANN).await;
    for _ in 0..25 {
        assert_eq!(log_in(&app, "203.0.113.1", ANN, PASSWORD).await.status, 303);
    }
    let database = app.database().await;
    let known: i64 = sqlx::query_scalar("SELECT COUNT(*) FROM trusted_browsers").fetch_one(&database).await.unwrap();
    assert_eq!(known, 20);
}

#[tokio::test]
async fn account_trusts_at_most_20_networks() {
    let app = app().await;
    app.customer(ANN).await;
    for number in 1..=25 {
        assert_eq!(log_in(&app, &format!("203.0.113.{number}"), ANN, PASSWORD).await.status, 303);
    }
    let database = app.database().await;
    let known: i64 = sqlx::query_scalar("SELECT COUNT(*) FROM trusted_networks").fetch_one(&database).await.unwrap();
    assert_eq!(known, 20);
}

const OWNERS_NETWORK: &str = "198.51.100.7";
const OTHER: &str = "a quiet harbour at dusk";

async fn api_log_in(app: &TestApp, address: &str, password: &str) -> u16 {
    let request = app.request(Method::POST, "/api/login").header("x-forwarded-for", address);
    http::send(request.json(&json!({ "email": ANN, "password": password }))).await.status
}

/// Wrong passwords and reset requests from six networks, until all networks are limited.
async fn attack(app: &TestApp) {
    for number in 1..=6 {
        let network = format!("203.0.113.{number}");
        let mut tries = 0;
        while log_in(app, &network, ANN, WRONG).await.status == 401 {
            tries += 1;
            assert!(tries <= BURST_HERE, "no limit");
        }
        for _ in 0..5 {
            assert_eq!(forgot(app, &network, ANN).await.status, 303);
        }
    }
    assert_eq!(log_in(app, "203.0.113.99", ANN, PASSWORD).await.status, 429, "the attack does not reach its limit");
}

#[tokio::test]
async fn attack_from_six_networks_does_not_lock_the_owner_out() {
    let app = app().await;
    let owner = app.visitor();
    let sign_up = owner.request(Method::POST, "/signup").header("x-forwarded-for", OWNERS_NETWORK);
    assert_eq!(http::send(sign_up.form(&[("email", ANN), ("password", PASSWORD)])).await.status, 303);
    attack(&app).await;
    // At home: an untrusted browser and a script.
    assert_eq!(log_in(&app, OWNERS_NETWORK, ANN, PASSWORD).await.status, 303);
    assert_eq!(api_log_in(&app, OWNERS_NETWORK, PASSWORD).await, 200);
    // Elsewhere: by the reset mail that the attacker's requests have caused.
    let (elsewhere, mut browser) = ("192.0.2.33", app.visitor());
    assert_eq!(log_in_with(&mut browser, elsewhere, ANN, PASSWORD).await.status, 429);
    assert_eq!(forgot(&app, elsewhere, ANN).await.status, 303);
    let mail = mailbox::mail_to(&app, ANN, NEW_PASSWORD).await;
    let reset = browser.request(Method::POST, "/password/reset").header("x-forwarded-for", elsewhere);
    let reset = browser.send(reset.form(&[("token", mail.token()), ("password", OTHER)])).await;
    assert_eq!(reset.leads_to(), (303, "/login"));
    attack(&app).await;
    assert_eq!(log_in_with(&mut browser, elsewhere, ANN, OTHER).await.status, 303);
    assert_eq!(api_log_in(&app, elsewhere, OTHER).await, 200);
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
        assert_eq!(log_in(&app, &address, ANN, WRONG).await.status, 401);
        assert_eq!(api_log_in(&app, &address, WRONG).await, 401);
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
    assert_eq!(log_in(&app, "", BOB, WRONG).await.status, 401);
    set_attempts(&app, "login-address", BURST_NETWORK).await;
    assert_eq!(log_in(&app, "", "carol@example.com", WRONG).await.status, 401);
    assert_eq!(log_in(&app, "", "carol@example.com", WRONG).await.status, 429);
    assert_eq!(log_in(&app, "", ANN, PASSWORD).await.status, 303);
    assert_eq!(api_log_in(&app, "", PASSWORD).await, 200);
}

#[tokio::test]
async fn reset_resets_all_limits_and_trusted_networks() {
    let app = app().await;
    app.customer(ANN).await;
    app.customer(BOB).await;
    let mut known = app.visitor();
    assert_eq!(log_in_with(&mut known, OWNERS_NETWORK, ANN, PASSWORD).await.status, 303);
    let mut inside = app.visitor();
    assert_eq!(log_in_with(&mut inside, OWNERS_NETWORK, ANN, PASSWORD).await.status, 303);
    inside.post("/account/delete", &[("password", WRONG)]).await;
    known.post("/logout", &[]).await;
    for _ in 0..BURST_HERE {
        assert_eq!(log_in_with(&mut known, "203.0.113.1", ANN, WRONG).await.status, 401);
        assert_eq!(log_in(&app, OWNERS_NETWORK, ANN, WRONG).await.status, 401);
        assert_eq!(log_in(&app, "203.0.113.2", ANN, WRONG).await.status, 401);
    }
    assert_eq!(log_in(&app, "203.0.113.2", BOB, WRONG).await.status, 401);
    assert_eq!(forgot(&app, "203.0.113.3", ANN).await.status, 303);
    let mail = mailbox::mail_to(&app, ANN, NEW_PASSWORD).await;
    let reset = [("token", mail.token()), ("password", OTHER)];
    assert_eq!(app.visitor().post("/password/reset", &reset).await.leads_to(), (303, "/login"));
    let database = app.database().await;
    let networks: i64 = sqlx::query_scalar(
        "SELECT COUNT(*) FROM trusted_networks WHERE user_id = (SELECT id FROM users WHERE email = 'ann@example.com')",
    )
    .fetch_one(&database)
    .await
    .unwrap();
    assert_eq!(networks, 0);
    let left = sqlx::query_scalar("SELECT key FROM rate_limits ORDER BY key").fetch_all(&database).await;
    let left: Vec<String> = left.unwrap();
    let mut kinds: Vec<&str> = left.iter().map(|key| key.split(':').next().unwrap()).collect();
    kinds.dedup();
    // Only Bob's counters, those of networks, and those of mail.
    assert_eq!(
        kinds,
        ["confirmation-mail", "login-account", "login-address", "login-here", "mail-address", "notice", "sign-up"],
        "{left:?}"
    );
    for address in [OWNERS_NETWORK, "203.0.113.2"] {
        assert_eq!(log_in(&app, address, ANN, OTHER).await.status, 303, "{address}");
    }
}

/// The time without an attempt after which each counter resets.
#[tokio::test]
async fn each_limit_resets_after_its_time_without_attempts() {
    let app = app().await;
    let mut ann = app.verified_customer(ANN).await;
    let network = "2001:db8:7::1";
    let post = async |path: &str, fields: &[(&str, &str)]| {
        http::send(app.request(Method::POST, path).header("x-forwarded-for", network).form(fields)).await
    };
    let mut elsewhere = app.visitor();
    log_in_with(&mut elsewhere, "198.51.100.7", ANN, PASSWORD).await;
    elsewhere.post("/logout", &[]).await;
    for visitor in [&mut elsewhere, &mut app.visitor()] {
        log_in_with(visitor, network, ANN, WRONG).await;
    }
    log_in(&app, "127.0.0.1", ANN, WRONG).await;
    post("/signup", &[("email", "carl@example.com"), ("password", "short")]).await;
    app.customer("carl@example.com").await.post("/account/verification", &[]).await;
    let new = "eleven quiet otters in a row";
    ann.post("/account/password", &[("current_password", PASSWORD), ("new_password", new)]).await;
    ann.post("/account/email", &[("email", BOB), ("password", new)]).await;
    ann.post("/account/email", &[("email", BOB), ("password", WRONG)]).await;
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
