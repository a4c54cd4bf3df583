//! Wrong codes: limits, and what the owner hears of them.

use serde_json::json;

use super::{WRONG_CODE, after_password, send_code, two_step_customer};
use crate::app::{ANN, BOB, PASSWORD, TestApp};
use crate::mailbox;

/// Behind a proxy each address is a network of its own.
const PROXY: (&str, &str) = ("TRUSTED_PROXIES", "127.0.0.1");

async fn try_from_network(app: &TestApp, network: &str, code: &str) -> (u16, Option<String>) {
    let body = json!({ "email": ANN, "password": PASSWORD, "code": code });
    let request = app.request(reqwest::Method::POST, "/api/login").header("x-forwarded-for", network);
    let response = crate::http::send(request.json(&body)).await;
    (response.status, response.header("retry-after").map(str::to_owned))
}

#[tokio::test]
async fn wrong_codes_are_counted_across_logins_and_api() {
    let app = TestApp::start().await;
    let (_, authenticator, codes) = two_step_customer(&app, ANN).await;
    let wrong = authenticator.wrong_code();
    let mut visitor = after_password(&app, ANN, PASSWORD).await;
    for _ in 0..5 {
        send_code(&mut visitor, &wrong).await;
    }
    let mut visitor = after_password(&app, ANN, PASSWORD).await;
    for _ in 0..3 {
        assert_eq!(send_code(&mut visitor, &wrong).await.status, 401);
    }
    for _ in 0..2 {
        let body = json!({ "email": ANN, "password": PASSWORD, "code": wrong });
        assert_eq!(app.api_post("/api/login", &body).await.status, 401);
    }
    let page = send_code(&mut visitor, &codes[0]).await;
    assert!(page.is_page(429) && page.header("retry-after").is_some(), "{}", page.status);
    assert!(page.text().contains("Too many wrong codes"), "{}", page.text());
    let body = json!({ "email": ANN, "password": PASSWORD, "code": codes[0] });
    assert!(app.api_post("/api/login", &body).await.is_problem(429));
    assert_eq!(app.count("recovery_codes").await, 10);
    assert_eq!(app.count("audit_events WHERE event = 'wrong-code'").await, 10);

    mailbox::wait_for_empty_queue(&app).await;
    assert_eq!(mailbox::mails_to(&app, ANN, WRONG_CODE).len(), 1, "more than one mail a day");
    let mail = mailbox::mail_to(&app, ANN, WRONG_CODE).await;
    assert!(mail.path().starts_with("/not-me?token="), "{}", mail.text);
    for (hours, mails) in [(1, 1), (24, 2)] {
        let seconds = hours * 3600;
        let later = format!(
            "UPDATE rate_limits SET blocked_until = blocked_until - {seconds}, resets_at = resets_at - {seconds}"
        );
        app.execute(&later).await;
        send_code(&mut visitor, &wrong).await;
        mailbox::wait_for_empty_queue(&app).await;
        assert_eq!(mailbox::mails_to(&app, ANN, WRONG_CODE).len(), mails, "after {hours} hours");
    }
}

#[tokio::test]
async fn attackers_wrong_codes_do_not_limit_a_trusted_network() {
    let app = TestApp::start_with(&[PROXY]).await;
    let (_, authenticator, _) = two_step_customer(&app, ANN).await;
    let wrong = authenticator.wrong_code();
    for _ in 0..10 {
        assert_eq!(try_from_network(&app, "203.0.113.9", &wrong).await.0, 401);
    }
    let (status, retry_after) = try_from_network(&app, "203.0.113.9", &wrong).await;
    assert!(status == 429 && retry_after.is_some(), "{status}");
    assert_eq!(try_from_network(&app, "203.0.113.10", &wrong).await.0, 401, "another network");
    let mut owner = after_password(&app, ANN, PASSWORD).await;
    assert_eq!(send_code(&mut owner, &authenticator.fresh_code(&app).await).await.status, 303, "the owner is limited");
}

#[tokio::test]
async fn wrong_codes_from_many_networks_are_limited_for_the_account() {
    let app = TestApp::start_with(&[PROXY]).await;
    let (_, authenticator, _) = two_step_customer(&app, ANN).await;
    let wrong = authenticator.wrong_code();
    let mut limited_after = None;
    for attempt in 0..60 {
        let (status, _) = try_from_network(&app, &format!("203.0.113.{}", attempt / 4), &wrong).await;
        if status == 429 {
            limited_after = Some(attempt);
            break;
        }
        assert_eq!(status, 401, "attempt {attempt}");
    }
    assert_eq!(limited_after, Some(50));
}

#[tokio::test]
async fn password_counter_is_reset_by_the_second_step_only() {
    let app = TestApp::start().await;
    let (_, authenticator, _) = two_step_customer(&app, ANN).await;
    for _ in 0..10 {
        after_password(&app, ANN, PASSWORD).await;
    }
    assert_eq!(app.log_in(ANN, PASSWORD).await.status, 429, "a password without code resets the limit");
    app.execute("UPDATE rate_limits SET attempts = 5, blocked_until = 0").await;
    let mut visitor = after_password(&app, ANN, PASSWORD).await;
    assert_eq!(send_code(&mut visitor, &authenticator.fresh_code(&app).await).await.status, 303);
    for limit in ["login-known-network", "code-known-network"] {
        assert_eq!(app.count(&format!("rate_limits WHERE key LIKE '{limit}:%' AND attempts > 0")).await, 0, "{limit}");
    }
}

#[tokio::test]
async fn reset_by_mail_lifts_the_limits_of_codes() {
    let app = TestApp::start().await;
    let (_, authenticator, codes) = two_step_customer(&app, ANN).await;
    app.verified_customer(BOB).await;
    for _ in 0..2 {
        let mut visitor = after_password(&app, ANN, PASSWORD).await;
        for _ in 0..5 {
            send_code(&mut visitor, &authenticator.wrong_code()).await;
        }
    }
    let mut visitor = after_password(&app, ANN, PASSWORD).await;
    assert_eq!(send_code(&mut visitor, &codes[0]).await.status, 429);
    let mut visitor = app.visitor();
    visitor.post("/password/forgot", &[("email", ANN)]).await;
    let reset = mailbox::mail_to(&app, ANN, mailbox::RESET).await;
    let fields = [("token", reset.token()), ("password", crate::app::NEW_PASSWORD)];
    assert_eq!(visitor.post("/password/reset", &fields).await.redirect(), (303, "/login"));
    assert_eq!(visitor.log_in(ANN, crate::app::NEW_PASSWORD).await.redirect(), (303, "/login/code"));
    assert_eq!(send_code(&mut visitor, &codes[0]).await.redirect(), (303, "/orders"));
}
