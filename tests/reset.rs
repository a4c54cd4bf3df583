//! Password reset.

use crate::app::{ANN, BOB, OTHER_PASSWORD, PASSWORD, TestApp};
use crate::http::{Response, Visitor};
use crate::mailbox::{self, RESET, SentMail};
use crate::shop::order;

const CHANGED: &str = "Your password was changed";

async fn request_reset(app: &TestApp, email: &str) -> Response {
    app.visitor().post("/password/forgot", &[("email", email)]).await
}

/// A customer and a reset mail.
async fn ann_with_mail(app: &TestApp) -> (Visitor, SentMail) {
    let visitor = app.customer(ANN).await;
    assert_eq!(request_reset(app, ANN).await.status, 303);
    (visitor, mailbox::mail_to(app, ANN, RESET).await)
}

async fn reset_password(app: &TestApp, token: &str, password: &str) -> Response {
    app.visitor().post("/password/reset", &[("token", token), ("password", password)]).await
}

fn is_expired(response: &Response) -> bool {
    response.is_page(422) && response.text().contains("This link no longer works")
}

#[tokio::test]
async fn reset_request_looks_the_same_for_unknown_addresses() {
    let app = TestApp::start().await;
    app.customer(ANN).await;
    let (known, unknown) = (request_reset(&app, ANN).await, request_reset(&app, BOB).await);
    let names = |response: &Response| response.headers.iter().map(|(name, _)| name.clone()).collect::<Vec<_>>();
    assert_eq!(known.redirect(), (303, "/password/forgot?sent=1"));
    assert_eq!((known.redirect(), known.text(), names(&known)), (unknown.redirect(), unknown.text(), names(&unknown)));
    let page = app.get("/password/forgot?sent=1").await;
    assert!(page.is_page(200) && page.text().contains("Check your inbox"));
    mailbox::wait_for_empty_queue(&app).await;
    assert_eq!(mailbox::mails_to(&app, ANN, RESET).len(), 1);
    assert!(mailbox::mails(&app).iter().all(|mail| mail.to == ANN), "an unknown address got mail");
}

#[tokio::test]
async fn reset_request_rejects_malformed_addresses() {
    let app = TestApp::start().await;
    for typed in ["", "ann@", "a@b.example\r\nBcc: c@d.example"] {
        let response = request_reset(&app, typed).await;
        assert!(
            response.is_page(422) && response.text().contains("id=\"email-error\""),
            "{typed:?}: {}",
            response.status
        );
    }
    assert!(request_reset(&app, "ann@").await.text().contains("value=\"ann@\""), "the input is lost");
}

#[tokio::test]
async fn reset_token_is_single_use_and_expires_after_30_minutes() {
    let app = TestApp::start().await;
    let (_, mail) = ann_with_mail(&app).await;
    let token = mail.token();
    assert!(token.len() == 64 && token.bytes().all(|byte| byte.is_ascii_hexdigit()), "{token}");
    let database = app.database().await;
    let lifetime = "SELECT expires_at - created_at FROM email_tokens WHERE purpose = 'reset'";
    assert_eq!(sqlx::query_scalar::<_, i64>(lifetime).fetch_one(&database).await.unwrap(), 1800);
    let set_expiry = |at: i64| sqlx::query("UPDATE email_tokens SET expires_at = $1").bind(at).execute(&database);
    set_expiry(crate::token::now()).await.unwrap();
    assert_eq!(app.get(mail.path()).await.status, 404);
    assert!(is_expired(&reset_password(&app, token, OTHER_PASSWORD).await), "an expired token was valid");
    set_expiry(crate::token::now() + 60).await.unwrap();
    assert_eq!(reset_password(&app, token, OTHER_PASSWORD).await.redirect(), (303, "/login"));
    assert_eq!(app.get(mail.path()).await.status, 404);
    assert!(is_expired(&reset_password(&app, token, OTHER_PASSWORD).await), "the token was valid twice");
}

#[tokio::test]
async fn reset_token_is_single_use_under_concurrency() {
    let app = TestApp::start().await;
    let (_, mail) = ann_with_mail(&app).await;
    let passwords: Vec<String> = (0..4).map(|number| format!("{OTHER_PASSWORD} number {number}")).collect();
    let attempts = passwords.iter().map(|password| reset_password(&app, mail.token(), password));
    let responses = futures_util::future::join_all(attempts).await;
    let successful: Vec<usize> = (0..4).filter(|index| responses[*index].status == 303).collect();
    assert!(
        successful.len() == 1 && responses.iter().filter(|response| is_expired(response)).count() == 3,
        "{successful:?}"
    );
    assert_eq!(app.log_in(ANN, &passwords[successful[0]]).await.status, 303);
}

#[tokio::test]
async fn new_password_revokes_all_tokens() {
    let app = TestApp::start().await;
    let mut visitor = app.customer(ANN).await;
    for _ in 0..2 {
        request_reset(&app, ANN).await;
        // As after twelve minutes.
        app.execute("DELETE FROM rate_limits").await;
    }
    mailbox::wait_for_empty_queue(&app).await;
    let mails = mailbox::mails_to(&app, ANN, RESET);
    assert_eq!(reset_password(&app, mails[0].token(), OTHER_PASSWORD).await.status, 303);
    assert!(
        is_expired(&reset_password(&app, mails[1].token(), PASSWORD).await),
        "valid after another token was consumed"
    );
    visitor.log_in(ANN, OTHER_PASSWORD).await;
    request_reset(&app, ANN).await;
    mailbox::wait_for_empty_queue(&app).await;
    let third = mailbox::mails_to(&app, ANN, RESET).remove(2);
    let fields = [("current_password", OTHER_PASSWORD), ("new_password", PASSWORD)];
    assert_eq!(visitor.post("/account/password", &fields).await.status, 303);
    assert!(
        is_expired(&reset_password(&app, third.token(), OTHER_PASSWORD).await),
        "valid after the password was changed"
    );
    request_reset(&app, ANN).await;
    mailbox::wait_for_empty_queue(&app).await;
    assert_eq!(mailbox::mails_to(&app, ANN, RESET).len(), 4, "the owner got no new link after the revocation");
    assert_eq!(app.log_in(ANN, PASSWORD).await.status, 303);
}

#[tokio::test]
async fn reset_with_a_weak_password_keeps_the_token_valid() {
    let app = TestApp::start().await;
    let (_, mail) = ann_with_mail(&app).await;
    for weak in ["", "sh0rt!q", "qwertyuiop", ANN, &"x".repeat(257)] {
        let response = reset_password(&app, mail.token(), weak).await;
        assert!(
            response.is_page(422) && response.text().contains("id=\"password-error\""),
            "{weak:?}: {}",
            response.status
        );
        assert!(response.text().contains(mail.token()), "the form has lost the token");
        assert_eq!(response.header("referrer-policy"), Some("strict-origin"));
        assert!(weak.is_empty() || weak == ANN || !response.text().contains(weak), "the page contains the password");
    }
    assert_eq!(reset_password(&app, mail.token(), OTHER_PASSWORD).await.redirect(), (303, "/login"));
}

#[tokio::test]
async fn reset_revokes_all_sessions_and_sends_a_notice() {
    let app = TestApp::start().await;
    let (mut visitor, mail) = ann_with_mail(&app).await;
    let mut other = app.visitor();
    other.post("/login", &[("email", ANN), ("password", PASSWORD), ("remember", "on")]).await;
    let token = app.api_token(ANN).await;
    let mut bob = app.customer(BOB).await;
    assert_eq!(reset_password(&app, mail.token(), OTHER_PASSWORD).await.redirect(), (303, "/login"));
    for session in [&mut visitor, &mut other] {
        assert_eq!(session.get("/orders").await.redirect(), (303, "/login?next=%2Forders"));
    }
    assert_eq!(app.api_get("/api/userOrders", &token).await.status, 403);
    assert!(bob.get("/orders").await.is_page(200), "another customer was logged out");
    assert_eq!((app.log_in(ANN, PASSWORD).await.status, app.log_in(ANN, OTHER_PASSWORD).await.status), (401, 303));
    let notice = mailbox::mail_to(&app, ANN, CHANGED).await;
    assert!(notice.path().starts_with("/not-me?token="), "{}", notice.text);
}

#[tokio::test]
async fn reset_confirms_the_address() {
    let app = TestApp::start().await;
    app.import(&[order("#7001", ANN)]);
    let (_, mail) = ann_with_mail(&app).await;
    reset_password(&app, mail.token(), OTHER_PASSWORD).await;
    let mut visitor = app.new_session(ANN, OTHER_PASSWORD).await;
    assert!(visitor.get("/orders/7001").await.is_page(200));
}

#[tokio::test]
async fn disabled_account_gets_no_token_and_its_old_one_is_invalid() {
    let app = TestApp::start().await;
    let (_, mail) = ann_with_mail(&app).await;
    app.run_ok(&["user", "disable", ANN]);
    assert_eq!(request_reset(&app, ANN).await.redirect(), (303, "/password/forgot?sent=1"));
    mailbox::wait_for_empty_queue(&app).await;
    assert_eq!(mailbox::mails_to(&app, ANN, RESET).len(), 1);
    assert_eq!(app.get(mail.path()).await.status, 404);
    assert!(is_expired(&reset_password(&app, mail.token(), OTHER_PASSWORD).await));
    app.run_ok(&["user", "enable", ANN]);
    assert_eq!(app.log_in(ANN, PASSWORD).await.status, 303);
}

#[tokio::test]
async fn token_pages_are_not_cached_and_send_no_referrer_path() {
    let app = TestApp::start().await;
    let (_, mail) = ann_with_mail(&app).await;
    let verify = mailbox::mail_to(&app, ANN, mailbox::CONFIRM).await;
    for path in [mail.path(), verify.path()] {
        let page = app.get(path).await;
        assert!(page.is_page(200) && page.text().contains("name=\"token\""));
        assert_eq!(page.header("referrer-policy"), Some("strict-origin"));
        assert_eq!(page.header("cache-control"), Some("no-store"));
        let outside = page.text().split('"').any(|part| part.starts_with("http") && !part.contains("localhost"));
        assert!(!outside, "{}", page.text());
    }
}

#[tokio::test]
async fn token_is_in_no_log_line_at_any_level() {
    let app = TestApp::start_with(&[("RUST_LOG", "trace")]).await;
    let (mut visitor, mail) = ann_with_mail(&app).await;
    let verify = mailbox::mail_to(&app, ANN, mailbox::CONFIRM).await;
    for mail in [&mail, &verify] {
        app.get(mail.path()).await;
        crate::http::send(app.request(reqwest::Method::HEAD, mail.path())).await;
        crate::http::send(app.request(reqwest::Method::DELETE, mail.path())).await;
        app.get(&format!("{}x", mail.path())).await;
    }
    reset_password(&app, mail.token(), "short").await;
    reset_password(&app, mail.token(), OTHER_PASSWORD).await;
    reset_password(&app, mail.token(), OTHER_PASSWORD).await;
    visitor.post("/verify", &[("token", verify.token())]).await;
    visitor.post("/verify", &[("token", verify.token())]).await;
    let logs = app.logs();
    assert!(logs.contains("/password/reset") && logs.contains("/verify"), "the log is empty");
    for secret in [mail.token(), verify.token(), OTHER_PASSWORD] {
        let line = logs.lines().find(|line| line.contains(secret));
        assert!(line.is_none(), "the log contains {secret:?}: {}", line.unwrap());
    }
}

#[tokio::test]
async fn login_page_after_a_reset_has_the_address() {
    let app = TestApp::start().await;
    let (_, mail) = ann_with_mail(&app).await;
    let mut visitor = app.visitor();
    let rejected = visitor.post("/password/reset", &[("token", mail.token()), ("password", "short")]).await;
    assert!(rejected.is_page(422) && !visitor.get("/login").await.text().contains(ANN));
    let done = visitor.post("/password/reset", &[("token", mail.token()), ("password", OTHER_PASSWORD)]).await;
    let cookies = done.header_values("set-cookie");
    let cookie = cookies.iter().find(|cookie| cookie.starts_with("__Host-login-email=")).unwrap();
    for part in ["; HttpOnly", "; Secure", "; SameSite=Strict", "; Path=/", "; Max-Age=60"] {
        assert!(cookie.contains(part), "{cookie}");
    }
    let login = visitor.get("/login").await.text();
    assert!(login.contains(&format!("value=\"{ANN}\"")), "{login}");
    assert!(!app.get("/login").await.text().contains(ANN));
    let forged = app.request(reqwest::Method::GET, "/login").header("cookie", "__Host-login-email=%22%3E%3Cb%3E");
    assert!(!crate::http::send(forged).await.text().contains("<b>"));
}
