//! Password reset.

use crate::app::{PASSWORD, TestApp};
use crate::http::{Answer, Visitor};
use crate::mailbox::{self, NEW_PASSWORD, SentMail};
use crate::shop::{export, order};

const ANN: &str = "ann@example.com";
const OTHER: &str = "a quiet harbour at dusk";
const CHANGED: &str = "Your password was changed";

async fn ask(app: &TestApp, email: &str) -> Answer {
    app.visitor().post("/password/forgot", &[("email", email)]).await
}

/// An account and its reset mail.
async fn ann_with_mail(app: &TestApp) -> (Visitor, SentMail) {
    let visitor = app.customer(ANN).await;
    assert_eq!(ask(app, ANN).await.status, 303);
    (visitor, mailbox::mail_to(app, ANN, NEW_PASSWORD).await)
}

async fn choose(app: &TestApp, token: &str, password: &str) -> Answer {
    app.visitor().post("/password/reset", &[("token", token), ("password", password)]).await
}

async fn log_in(app: &TestApp, password: &str) -> u16 {
    app.visitor().post("/login", &[("email", ANN), ("password", password)]).await.status
}

fn is_dead(answer: &Answer) -> bool {
    answer.is_page(422) && answer.text().contains("That link no longer works")
}

#[tokio::test]
async fn reset_request_looks_the_same_for_unknown_addresses() {
    let app = TestApp::start().await;
    app.customer(ANN).await;
    let (known, unknown) = (ask(&app, ANN).await, ask(&app, "bob@example.com").await);
    let names = |answer: &Answer| answer.headers.iter().map(|(name, _)| name.clone()).collect::<Vec<_>>();
    assert_eq!(known.leads_to(), (303, "/password/forgot?sent=1"));
    assert_eq!((known.leads_to(), known.text(), names(&known)), (unknown.leads_to(), unknown.text(), names(&unknown)));
    let page = app.get("/password/forgot?sent=1").await;
    assert!(page.is_page(200) && page.text().contains("Check your inbox"));
    mailbox::all_gone(&app).await;
    assert_eq!(mailbox::mails_to(&app, ANN, NEW_PASSWORD).len(), 1);
    assert!(mailbox::mails(&app).iter().all(|mail| mail.to == ANN), "an unknown address got mail");
}

#[tokio::test]
async fn reset_request_rejects_malformed_addresses() {
    let app = TestApp::start().await;
    for typed in ["", "ann@", "a@b.example\r\nBcc: c@d.example"] {
        let answer = ask(&app, typed).await;
        assert!(answer.is_page(422) && answer.text().contains("id=\"email-error\""), "{typed:?}: {}", answer.status);
    }
    assert!(ask(&app, "ann@").await.text().contains("value=\"ann@\""), "the input is lost");
}

#[tokio::test]
async fn reset_token_is_single_use_and_expires_after_30_minutes() {
    let app = TestApp::start().await;
    let (_, mail) = ann_with_mail(&app).await;
    let token = mail.token();
    assert!(token.len() == 64 && token.bytes().all(|byte| byte.is_ascii_hexdigit()), "{token}");
    let database = app.database().await;
    let lasts = "SELECT expires_at - created_at FROM email_tokens WHERE purpose = 'reset'";
    assert_eq!(sqlx::query_scalar::<_, i64>(lasts).fetch_one(&database).await.unwrap(), 1800);
    let end = |at: i64| sqlx::query("UPDATE email_tokens SET expires_at = $1").bind(at).execute(&database);
    end(crate::token::now()).await.unwrap();
    assert_eq!(app.get(mail.path()).await.status, 404);
    assert!(is_dead(&choose(&app, token, OTHER).await), "an expired token was valid");
    end(crate::token::now() + 60).await.unwrap();
    assert_eq!(choose(&app, token, OTHER).await.leads_to(), (303, "/login"));
    assert_eq!(app.get(mail.path()).await.status, 404);
    assert!(is_dead(&choose(&app, token, OTHER).await), "the token was valid twice");
}

#[tokio::test]
async fn reset_token_is_single_use_under_concurrency() {
    let app = TestApp::start().await;
    let (_, mail) = ann_with_mail(&app).await;
    let passwords: Vec<String> = (0..4).map(|number| format!("{OTHER} number {number}")).collect();
    let presses = passwords.iter().map(|password| choose(&app, mail.token(), password));
    let answers = futures_util::future::join_all(presses).await;
    let won: Vec<usize> = (0..4).filter(|index| answers[*index].status == 303).collect();
    assert!(won.len() == 1 && answers.iter().filter(|answer| is_dead(answer)).count() == 3, "{won:?}");
    assert_eq!(log_in(&app, &passwords[won[0]]).await, 303);
}

#[tokio::test]
async fn new_password_revokes_all_tokens() {
    let app = TestApp::start().await;
    let mut visitor = app.customer(ANN).await;
    for _ in 0..2 {
        ask(&app, ANN).await;
        // As if twelve minutes had passed.
        sqlx::query("DELETE FROM rate_limits").execute(&app.database().await).await.unwrap();
    }
    mailbox::all_gone(&app).await;
    let mails = mailbox::mails_to(&app, ANN, NEW_PASSWORD);
    assert_eq!(choose(&app, mails[0].token(), OTHER).await.status, 303);
    assert!(is_dead(&choose(&app, mails[1].token(), PASSWORD).await), "valid after another token was consumed");
    visitor.post("/login", &[("email", ANN), ("password", OTHER)]).await;
    ask(&app, ANN).await;
    mailbox::all_gone(&app).await;
    let third = mailbox::mails_to(&app, ANN, NEW_PASSWORD).remove(2);
    let fields = [("current_password", OTHER), ("new_password", PASSWORD)];
    assert_eq!(visitor.post("/account/password", &fields).await.status, 303);
    assert!(is_dead(&choose(&app, third.token(), OTHER).await), "valid after the password was changed");
    ask(&app, ANN).await;
    mailbox::all_gone(&app).await;
    assert_eq!(mailbox::mails_to(&app, ANN, NEW_PASSWORD).len(), 4, "the owner, whose link was revoked, gets none");
    assert_eq!(log_in(&app, PASSWORD).await, 303);
}

#[tokio::test]
async fn reset_with_a_weak_password_keeps_the_token_valid() {
    let app = TestApp::start().await;
    let (_, mail) = ann_with_mail(&app).await;
    for weak in ["", "sh0rt!q", "qwertyuiop", ANN, &"x".repeat(257)] {
        let answer = choose(&app, mail.token(), weak).await;
        assert!(answer.is_page(422) && answer.text().contains("id=\"password-error\""), "{weak:?}: {}", answer.status);
        assert!(answer.text().contains(mail.token()), "the form cannot be sent again");
        assert_eq!(answer.header("referrer-policy"), Some("strict-origin"));
        assert!(weak.is_empty() || weak == ANN || !answer.text().contains(weak), "the page contains the password");
    }
    assert_eq!(choose(&app, mail.token(), OTHER).await.leads_to(), (303, "/login"));
}

#[tokio::test]
async fn reset_revokes_all_sessions_and_sends_a_notice() {
    let app = TestApp::start().await;
    let (mut here, mail) = ann_with_mail(&app).await;
    let mut elsewhere = app.visitor();
    elsewhere.post("/login", &[("email", ANN), ("password", PASSWORD), ("remember", "on")]).await;
    let script = app.api_token(ANN).await;
    let mut bob = app.customer("bob@example.com").await;
    assert_eq!(choose(&app, mail.token(), OTHER).await.leads_to(), (303, "/login"));
    for visitor in [&mut here, &mut elsewhere] {
        assert_eq!(visitor.get("/orders").await.leads_to(), (303, "/login?next=%2Forders"));
    }
    assert_eq!(app.api_get("/api/userOrders", &script).await.status, 403);
    assert!(bob.get("/orders").await.is_page(200), "another customer was logged out");
    assert_eq!((log_in(&app, PASSWORD).await, log_in(&app, OTHER).await), (401, 303));
    let told = mailbox::mail_to(&app, ANN, CHANGED).await;
    assert!(told.path().starts_with("/not-me?token="), "{}", told.text);
}

#[tokio::test]
async fn reset_confirms_the_address() {
    let app = TestApp::start().await;
    let file = app.write("orders.csv", export(&[order("#7001", ANN)]));
    app.done(&["import", &file]);
    let (_, mail) = ann_with_mail(&app).await;
    choose(&app, mail.token(), OTHER).await;
    let mut visitor = app.visitor();
    visitor.post("/login", &[("email", ANN), ("password", OTHER)]).await;
    assert!(visitor.get("/orders/7001").await.is_page(200));
}

#[tokio::test]
async fn disabled_account_gets_no_token_and_its_old_one_is_invalid() {
    let app = TestApp::start().await;
    let (_, mail) = ann_with_mail(&app).await;
    app.done(&["user", "disable", ANN]);
    assert_eq!(ask(&app, ANN).await.leads_to(), (303, "/password/forgot?sent=1"));
    mailbox::all_gone(&app).await;
    assert_eq!(mailbox::mails_to(&app, ANN, NEW_PASSWORD).len(), 1);
    assert_eq!(app.get(mail.path()).await.status, 404);
    assert!(is_dead(&choose(&app, mail.token(), OTHER).await));
    app.done(&["user", "enable", ANN]);
    assert_eq!(log_in(&app, PASSWORD).await, 303);
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
    choose(&app, mail.token(), "short").await;
    choose(&app, mail.token(), OTHER).await;
    choose(&app, mail.token(), OTHER).await;
    visitor.post("/verify", &[("token", verify.token())]).await;
    visitor.post("/verify", &[("token", verify.token())]).await;
    let logs = app.logs();
    assert!(logs.contains("/password/reset") && logs.contains("/verify"), "the log is empty");
    for secret in [mail.token(), verify.token(), OTHER] {
        let line = logs.lines().find(|line| line.contains(secret));
        assert!(line.is_none(), "{secret:?} stands in the log: {}", line.unwrap());
    }
}
