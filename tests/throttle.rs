//! How often something may be tried.

use futures_util::future::join_all;
use reqwest::Method;
use serde_json::json;

use crate::app::{PASSWORD, TestApp};
use crate::http::{self, Answer, Visitor};

const ANN: &str = "ann@example.com";
const BOB: &str = "bob@example.com";
const WRONG: &str = "not the password at all";
/// Tries without a wait: for one account from one address, for one address, for one account.
const FREE_HERE: usize = 10;
const FREE_ADDRESS: i64 = 100;
const FREE_SIGN_UPS: i64 = 200;
const FREE_ACCOUNT: i64 = 50;

/// The program behind a proxy that says where requests come from.
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

/// Wrong passwords for ann until the next try has to wait.
async fn guess_until_throttled(app: &TestApp, address: &str) {
    for _ in 0..FREE_HERE {
        assert_eq!(log_in(app, address, ANN, WRONG).await.status, 401);
    }
    assert_eq!(log_in(app, address, ANN, WRONG).await.status, 429);
}

/// Has every counter of that kind stand where it would after so many tries.
async fn set_tries(app: &TestApp, kind: &str, tries: i64) {
    let update = sqlx::query("UPDATE throttles SET attempts = $1 WHERE key LIKE $2").bind(tries);
    let done = update.bind(format!("{kind}:%")).execute(&app.database().await).await.unwrap();
    assert!(done.rows_affected() > 0, "nothing is counted as {kind}");
}

/// Lets every wait be over.
async fn wait_is_over(app: &TestApp) {
    sqlx::query("UPDATE throttles SET blocked_until = 0").execute(&app.database().await).await.unwrap();
}

fn retry_after(answer: &Answer) -> i64 {
    assert_eq!(answer.status, 429, "{}", answer.text());
    answer.header("retry-after").expect("no Retry-After").parse().unwrap()
}

#[tokio::test]
async fn waits_grow_with_each_wrong_password_up_to_an_hour() {
    let app = app().await;
    app.customer(ANN).await;
    for _ in 1..FREE_HERE {
        assert_eq!(log_in(&app, "203.0.113.1", ANN, WRONG).await.status, 401);
    }
    for wait in [30, 60, 120, 240, 480, 960, 1920, 3600, 3600] {
        assert_eq!(log_in(&app, "203.0.113.1", ANN, WRONG).await.status, 401);
        let said = retry_after(&log_in(&app, "203.0.113.1", ANN, WRONG).await);
        assert!(said > wait - 20 && said <= wait, "{said} seconds in place of {wait}");
        wait_is_over(&app).await;
    }
}

#[tokio::test]
async fn who_has_to_wait_is_told_how_long_on_the_form_that_they_sent() {
    let app = app().await;
    app.customer(ANN).await;
    guess_until_throttled(&app, "203.0.113.1").await;
    let answer = log_in(&app, "203.0.113.1", ANN, WRONG).await;
    assert!(answer.is_page(429));
    let page = answer.text();
    assert!(page.contains(&format!("Try again in {} second", retry_after(&answer))), "{page}");
    assert!(page.contains(&format!("value=\"{ANN}\"")) && !page.contains(WRONG));
    assert!(page.contains("action=\"/login\"") && page.contains("href=\"/password/forgot\""));
}

#[tokio::test]
async fn a_try_during_a_wait_is_not_looked_at_and_prolongs_nothing() {
    let app = app().await;
    app.customer(ANN).await;
    guess_until_throttled(&app, "203.0.113.1").await;
    for _ in 0..5 {
        assert!(retry_after(&log_in(&app, "203.0.113.1", ANN, PASSWORD).await) <= 30);
    }
    wait_is_over(&app).await;
    assert_eq!(log_in(&app, "203.0.113.1", ANN, PASSWORD).await.status, 303);
}

#[tokio::test]
async fn counts_survive_a_restart() {
    let mut app = app().await;
    app.customer(ANN).await;
    guess_until_throttled(&app, "203.0.113.1").await;
    app.stop_by("TERM");
    app.start_again().await;
    assert_eq!(log_in(&app, "203.0.113.1", ANN, PASSWORD).await.status, 429);
}

#[tokio::test]
async fn two_programs_on_one_database_count_together() {
    let one = app().await;
    one.customer(ANN).await;
    let database = one.setting("DATABASE_URL").to_owned();
    let other = TestApp::start_with(&[("TRUSTED_PROXIES", "127.0.0.1"), ("DATABASE_URL", &database)]).await;
    for _ in 0..FREE_HERE / 2 {
        assert_eq!(log_in(&one, "203.0.113.1", ANN, WRONG).await.status, 401);
        assert_eq!(log_in(&other, "203.0.113.1", ANN, WRONG).await.status, 401);
    }
    assert_eq!(log_in(&one, "203.0.113.1", ANN, PASSWORD).await.status, 429);
    assert_eq!(log_in(&other, "203.0.113.1", ANN, PASSWORD).await.status, 429);
}

#[tokio::test]
async fn a_wait_is_for_that_account_at_that_address() {
    let app = app().await;
    app.customer(ANN).await;
    app.customer(BOB).await;
    guess_until_throttled(&app, "203.0.113.1").await;
    assert_eq!(log_in(&app, "203.0.113.1", BOB, PASSWORD).await.status, 303);
    assert_eq!(log_in(&app, "203.0.113.2", ANN, PASSWORD).await.status, 303);
    assert_eq!(log_in(&app, "203.0.113.1", ANN, PASSWORD).await.status, 429);
}

#[tokio::test]
async fn an_address_that_nobody_has_waits_as_a_known_one() {
    let app = app().await;
    app.customer(ANN).await;
    guess_until_throttled(&app, "203.0.113.1").await;
    for _ in 0..FREE_HERE {
        assert_eq!(log_in(&app, "203.0.113.1", BOB, WRONG).await.status, 401);
    }
    assert_eq!(log_in(&app, "203.0.113.1", BOB, WRONG).await.status, 429);
}

#[tokio::test]
async fn one_address_may_not_try_many_accounts() {
    let app = app().await;
    app.customer(ANN).await;
    assert_eq!(log_in(&app, "203.0.113.1", BOB, WRONG).await.status, 401);
    set_tries(&app, "login-address", FREE_ADDRESS - 2).await;
    assert_eq!(log_in(&app, "203.0.113.1", "carol@example.com", WRONG).await.status, 401);
    assert_eq!(log_in(&app, "203.0.113.1", "no address", WRONG).await.status, 401);
    assert_eq!(log_in(&app, "203.0.113.1", ANN, PASSWORD).await.status, 429);
    assert_eq!(log_in(&app, "203.0.113.1", "no address", WRONG).await.status, 429);
    assert_eq!(log_in(&app, "203.0.113.2", ANN, PASSWORD).await.status, 303);
}

#[tokio::test]
async fn one_account_may_not_be_tried_from_many_addresses() {
    let app = app().await;
    app.customer(ANN).await;
    app.customer(BOB).await;
    assert_eq!(log_in(&app, "203.0.113.1", ANN, WRONG).await.status, 401);
    set_tries(&app, "login-account", FREE_ACCOUNT - 2).await;
    for address in ["203.0.113.2", "203.0.113.3"] {
        assert_eq!(log_in(&app, address, ANN, WRONG).await.status, 401);
    }
    assert_eq!(log_in(&app, "203.0.113.4", ANN, PASSWORD).await.status, 429);
    assert_eq!(log_in(&app, "203.0.113.4", BOB, PASSWORD).await.status, 303);
}

#[tokio::test]
async fn a_stranger_does_not_lock_the_owner_out_of_a_browser_that_signed_in_before() {
    let app = app().await;
    app.customer(ANN).await;
    let mut at_home = app.visitor();
    assert_eq!(log_in_with(&mut at_home, "203.0.113.1", ANN, PASSWORD).await.status, 303);
    at_home.post("/logout", &[]).await;
    guess_until_throttled(&app, "203.0.113.9").await;
    set_tries(&app, "login-account", FREE_ACCOUNT - 1).await;
    assert_eq!(log_in(&app, "203.0.113.8", ANN, WRONG).await.status, 401);
    assert_eq!(log_in(&app, "203.0.113.1", ANN, PASSWORD).await.status, 429, "every other browser waits");
    assert_eq!(log_in_with(&mut at_home, "203.0.113.1", ANN, PASSWORD).await.status, 303);
    at_home.post("/logout", &[]).await;
    assert_eq!(log_in_with(&mut at_home, "203.0.113.9", ANN, PASSWORD).await.status, 303, "wherever it is taken");
}

#[tokio::test]
async fn a_browser_that_signed_in_before_may_not_guess_on_either() {
    let app = app().await;
    app.customer(BOB).await;
    let mut browser = app.customer(ANN).await;
    browser.post("/logout", &[]).await;
    for _ in 0..FREE_HERE {
        assert_eq!(log_in_with(&mut browser, "203.0.113.1", ANN, WRONG).await.status, 401);
    }
    assert_eq!(log_in_with(&mut browser, "203.0.113.1", ANN, WRONG).await.status, 429);
    for tried in 1..=FREE_HERE + 1 {
        let status = log_in_with(&mut browser, "203.0.113.1", BOB, WRONG).await.status;
        assert_eq!(status, if tried > FREE_HERE { 429 } else { 401 }, "an account that does not know the browser");
    }
}

#[tokio::test]
async fn a_cookie_of_no_known_browser_spares_no_wait() {
    let app = app().await;
    app.customer(ANN).await;
    guess_until_throttled(&app, "203.0.113.1").await;
    for made_up in ["a".repeat(64), "0".repeat(64), "x".into(), String::new()] {
        let request = app.request(Method::POST, "/login").header("x-forwarded-for", "203.0.113.1");
        let request = request.header("cookie", format!("__Host-browser={made_up}"));
        assert_eq!(http::send(request.form(&[("email", ANN), ("password", PASSWORD)])).await.status, 429);
    }
}

#[tokio::test]
async fn ipv6_addresses_of_one_network_count_as_one() {
    let app = app().await;
    app.customer(ANN).await;
    for host in 1..=FREE_HERE {
        assert_eq!(log_in(&app, &format!("2001:db8:1:2:{host}::{host}"), ANN, WRONG).await.status, 401);
    }
    assert_eq!(log_in(&app, "2001:db8:1:2:ffff::1", ANN, PASSWORD).await.status, 429);
    assert_eq!(log_in(&app, "2001:db8:1:3::1", ANN, PASSWORD).await.status, 303);
}

#[tokio::test]
async fn who_is_no_trusted_proxy_cannot_pretend_to_be_elsewhere() {
    let app = TestApp::start().await;
    app.customer(ANN).await;
    for host in 1..=FREE_HERE {
        assert_eq!(log_in(&app, &format!("203.0.113.{host}"), ANN, WRONG).await.status, 401);
    }
    assert_eq!(log_in(&app, "203.0.113.100", ANN, PASSWORD).await.status, 429);
}

#[tokio::test]
async fn many_guesses_at_once_get_no_further_than_one_after_the_other() {
    let app = app().await;
    app.customer(ANN).await;
    let answers = join_all((0..40).map(|_| log_in(&app, "203.0.113.1", ANN, WRONG))).await;
    let with = |status| answers.iter().filter(|answer| answer.status == status).count();
    assert_eq!((with(401), with(429)), (FREE_HERE, 40 - FREE_HERE));
}

#[tokio::test]
async fn a_right_password_gives_the_tries_back() {
    let app = app().await;
    app.customer(ANN).await;
    for _ in 0..2 {
        for _ in 1..FREE_HERE {
            assert_eq!(log_in(&app, "203.0.113.1", ANN, WRONG).await.status, 401);
        }
        assert_eq!(log_in(&app, "203.0.113.1", ANN, PASSWORD).await.status, 303);
    }
}

#[tokio::test]
async fn right_passwords_are_never_too_many() {
    let app = app().await;
    app.customer(ANN).await;
    assert_eq!(log_in(&app, "203.0.113.1", ANN, WRONG).await.status, 401);
    set_tries(&app, "login-address", FREE_ADDRESS - 2).await;
    set_tries(&app, "login-account", FREE_ACCOUNT - 2).await;
    for _ in 0..3 {
        assert_eq!(log_in(&app, "203.0.113.1", ANN, PASSWORD).await.status, 303);
    }
}

#[tokio::test]
async fn sign_ups_from_one_address_are_limited_those_that_find_an_address_taken_included() {
    let app = app().await;
    app.customer(ANN).await;
    let sign_up = async |address: &str, email: &str| {
        let request = app.request(Method::POST, "/signup").header("x-forwarded-for", address);
        http::send(request.form(&[("email", email), ("password", PASSWORD)])).await
    };
    assert_eq!(sign_up("203.0.113.1", ANN).await.status, 422);
    set_tries(&app, "sign-up", FREE_SIGN_UPS - 2).await;
    assert_eq!(sign_up("203.0.113.1", ANN).await.status, 422);
    assert_eq!(sign_up("203.0.113.1", BOB).await.status, 303);
    let refused = sign_up("203.0.113.1", "carol@example.com").await;
    assert!(refused.is_page(429) && retry_after(&refused) <= 60);
    assert_eq!(sign_up("203.0.113.2", "carol@example.com").await.status, 303);
}

#[tokio::test]
async fn mail_to_one_address_is_limited_whoever_it_belongs_to() {
    let app = app().await;
    app.customer(ANN).await;
    let ask = async |address: &str, email: &str| {
        let request = app.request(Method::POST, "/password/forgot").header("x-forwarded-for", address);
        http::send(request.form(&[("email", email)])).await
    };
    for email in [ANN, "nobody@example.com"] {
        for _ in 0..5 {
            assert_eq!(ask("203.0.113.1", email).await.leads_to(), (303, "/password/forgot?sent=1"));
        }
        let refused = ask("203.0.113.1", email).await;
        assert!(refused.is_page(429) && retry_after(&refused) <= 60);
        assert!(refused.text().contains("try again in"), "{}", refused.text());
        assert_eq!(ask("203.0.113.2", email).await.status, 303);
        set_tries(&app, "mail-account", 19).await;
        assert_eq!(ask("203.0.113.3", email).await.status, 303);
        assert_eq!(ask("203.0.113.4", email).await.status, 429);
    }
}

#[tokio::test]
async fn links_that_are_asked_for_in_the_account_are_limited_alike() {
    let app = app().await;
    let mut visitor = app.customer(ANN).await;
    // The first of five came with the sign-up.
    for _ in 0..4 {
        assert_eq!(visitor.post("/account/verification", &[]).await.status, 303);
    }
    assert!(visitor.post("/account/verification", &[]).await.is_page(429));
    let fields = [("email", "new@example.com")];
    for _ in 0..5 {
        assert_eq!(visitor.post("/account/email", &fields).await.leads_to(), (303, "/account#email"));
    }
    assert!(visitor.post("/account/email", &fields).await.is_page(429));
}

#[tokio::test]
async fn the_api_counts_with_the_pages_and_answers_in_its_own_way() {
    let app = TestApp::start().await;
    app.customer(ANN).await;
    let wrong = json!({ "email": ANN, "password": WRONG });
    for _ in 0..FREE_HERE / 2 {
        assert_eq!(app.api_post("/api/login", &wrong).await.status, 401);
        assert_eq!(log_in(&app, "127.0.0.1", ANN, WRONG).await.status, 401);
    }
    let refused = app.api_post("/api/login", &json!({ "email": ANN, "password": PASSWORD })).await;
    assert!(refused.is_problem(429) && retry_after(&refused) <= 30);
    assert_eq!(log_in(&app, "127.0.0.1", ANN, PASSWORD).await.status, 429);
    set_tries(&app, "sign-up", FREE_SIGN_UPS).await;
    let taken = json!({ "email": ANN, "password": PASSWORD });
    assert_eq!(app.api_post("/api/createNewUser", &taken).await.status, 422);
    let refused = app.api_post("/api/createNewUser", &json!({ "email": BOB, "password": PASSWORD })).await;
    assert!(refused.is_problem(429) && retry_after(&refused) <= 120);
}

#[tokio::test]
async fn counters_tell_nothing_of_whom_they_count() {
    let app = app().await;
    let mut browser = app.customer(ANN).await;
    browser.post("/account/delete", &[("password", WRONG)]).await;
    browser.post("/logout", &[]).await;
    log_in_with(&mut browser, "203.0.113.1", ANN, WRONG).await;
    log_in(&app, "203.0.113.1", ANN, WRONG).await;
    app.visitor().post("/password/forgot", &[("email", ANN)]).await;
    let keys = sqlx::query_scalar("SELECT key FROM throttles").fetch_all(&app.database().await).await;
    let keys: Vec<String> = keys.unwrap();
    assert_eq!(keys.len(), 10, "{keys:?}");
    for key in keys {
        let (kind, digest) = key.split_once(':').unwrap();
        assert!(kind.bytes().all(|byte| byte.is_ascii_lowercase() || byte == b'-'), "{key}");
        assert!(digest.len() == 32 && digest.bytes().all(|byte| byte.is_ascii_hexdigit()), "{key}");
    }
}

#[tokio::test]
async fn new_passwords_in_one_account_are_limited_because_each_sends_mail() {
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
    assert_eq!(log_in(&app, "203.0.113.1", ANN, current).await.status, 303, "the password that was refused holds");
}

#[tokio::test]
async fn nobody_uses_up_the_mail_that_an_owner_may_ask_for() {
    let app = app().await;
    app.customer(ANN).await;
    for number in 1..=4 {
        let mut stranger = app.customer(&format!("stranger{number}@example.com")).await;
        for sent in 1..=5 {
            let request = stranger.request(Method::POST, "/account/email");
            let request = request.header("x-forwarded-for", format!("203.0.113.{number}")).form(&[("email", ANN)]);
            // Five to one address, whoever asks; the first came with the sign-up.
            let expected = if number == 1 && sent < 5 { 303 } else { 429 };
            assert_eq!(stranger.send(request).await.status, expected, "{number}");
        }
    }
    let asked = app.request(Method::POST, "/password/forgot").header("x-forwarded-for", "203.0.113.9");
    let answer = http::send(asked.form(&[("email", ANN)])).await;
    assert_eq!(answer.leads_to(), (303, "/password/forgot?sent=1"));
}

#[tokio::test]
async fn an_account_knows_its_latest_browsers_and_no_more() {
    let app = app().await;
    app.customer(ANN).await;
    for _ in 0..25 {
        assert_eq!(log_in(&app, "203.0.113.1", ANN, PASSWORD).await.status, 303);
    }
    let database = app.database().await;
    let known: i64 = sqlx::query_scalar("SELECT COUNT(*) FROM known_browsers").fetch_one(&database).await.unwrap();
    assert_eq!(known, 20);
}
