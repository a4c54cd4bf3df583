//! Asking for the password again before what could take an account over.

use crate::app::{PASSWORD, TestApp};
use crate::http::{Answer, Visitor};
use crate::token::Token;

const ANN: &str = "ann@example.com";

/// Each form that asks, with what it holds.
const ASKS: [(&str, &[(&str, &str)]); 4] = [
    ("/account/email", &[("email", "new@example.com")]),
    ("/account/sessions/end", &[("session", "01890000-0000-7000-8000-000000000000")]),
    ("/account/sessions/end-others", &[]),
    ("/account/export", &[]),
];

/// A customer who gave the password so many seconds ago.
async fn customer_of(app: &TestApp, seconds_ago: i64) -> Visitor {
    let visitor = app.customer(ANN).await;
    let set_back = sqlx::query("UPDATE sessions SET confirmed_at = confirmed_at - $1").bind(seconds_ago);
    set_back.execute(&app.database().await).await.unwrap();
    visitor
}

fn with_password<'a>(fields: &[(&'a str, &'a str)], password: &'a str) -> Vec<(&'a str, &'a str)> {
    fields.iter().copied().chain([("password", password)]).collect()
}

fn went_on(answer: &Answer) -> bool {
    let (status, leads_to) = answer.leads_to();
    status == 200 && answer.header("content-disposition").is_some()
        || status == 303 && leads_to.starts_with("/account#")
}

async fn count(app: &TestApp, sql: &'static str) -> i64 {
    sqlx::query_scalar(sql).fetch_one(&app.database().await).await.unwrap()
}

#[tokio::test]
async fn within_ten_minutes_of_giving_it_nothing_asks_for_the_password() {
    let app = TestApp::start().await;
    let mut visitor = customer_of(&app, 590).await;
    for (path, fields) in ASKS {
        let answer = visitor.post(path, fields).await;
        assert!(went_on(&answer), "{path}: {}", answer.status);
    }
}

#[tokio::test]
async fn after_ten_minutes_the_password_is_asked_for_and_what_was_typed_goes_along() {
    let app = TestApp::start().await;
    let mut visitor = customer_of(&app, 601).await;
    for (path, fields) in ASKS {
        let answer = visitor.post(path, fields).await;
        assert!(answer.is_page(422), "{path}: {}", answer.status);
        let page = answer.text();
        assert!(page.contains(&format!("action=\"{path}\"")) && page.contains("name=\"password\""), "{path}");
        for (name, value) in fields {
            assert!(page.contains(&format!("type=\"hidden\" name=\"{name}\" value=\"{value}\"")), "{path}");
        }
        assert!(!page.contains("role=\"alert\""), "{path}: nothing is wrong yet");
    }
    let mail = "SELECT COUNT(*) FROM mail_queue WHERE recipient = 'new@example.com'";
    assert_eq!(count(&app, mail).await, 0, "it went on without the password");
    let done = "SELECT COUNT(*) FROM activity WHERE event IN ('other-sessions-ended', 'data-downloaded')";
    assert_eq!(count(&app, done).await, 0, "it went on without the password");
}

#[tokio::test]
async fn a_wrong_password_asks_once_more_and_is_noted() {
    let app = TestApp::start().await;
    let mut visitor = customer_of(&app, 601).await;
    for (path, fields) in ASKS {
        let answer = visitor.post(path, &with_password(fields, "not my password")).await;
        assert!(answer.is_page(422) && answer.text().contains("id=\"password-error\""), "{path}");
        assert!(!answer.text().contains("not my password"), "{path}: the password came back");
        for (name, value) in fields {
            assert!(answer.text().contains(&format!("name=\"{name}\" value=\"{value}\"")), "{path}: {name} is lost");
        }
    }
    assert_eq!(count(&app, "SELECT COUNT(*) FROM activity WHERE event = 'confirm-failed'").await, 4);
}

#[tokio::test]
async fn wrong_passwords_in_the_account_are_counted_wherever_they_are_asked_for() {
    let app = TestApp::start().await;
    let mut visitor = customer_of(&app, 601).await;
    for (path, fields) in ASKS {
        visitor.post(path, &with_password(fields, "not my password")).await;
    }
    for _ in 0..3 {
        visitor.post("/account/delete", &[("password", "not my password")]).await;
        let change = [("current_password", "not my password"), ("new_password", "eleven brass owls in a row")];
        visitor.post("/account/password", &change).await;
    }
    let answer = visitor.post("/account/export", &[("password", PASSWORD)]).await;
    assert!(answer.is_page(429) && answer.header("retry-after").is_some(), "{}", answer.status);
    let other = app.customer("bob@example.com").await.post("/account/delete", &[("password", "not my password")]).await;
    assert_eq!(other.status, 422, "another account waits for it");
}

#[tokio::test]
async fn the_right_password_goes_on_and_is_enough_for_ten_more_minutes() {
    let app = TestApp::start().await;
    for (path, fields) in ASKS {
        let mut visitor = customer_of(&app, 601).await;
        let before = visitor.token();
        let answer = visitor.post(path, &with_password(fields, PASSWORD)).await;
        assert!(went_on(&answer), "{path}: {}", answer.status);
        let session = |token: &str| Token::read(token).claims["sid"].clone();
        assert_ne!(session(&visitor.token()), session(&before), "{path}: the session kept its id");
        let old = app.get_with_cookie("/account", &format!("__Host-session={before}")).await;
        assert_eq!(old.status, 303, "{path}: a token from before still works");
        assert!(went_on(&visitor.post("/account/export", &[]).await), "{path}: it asked again at once");
        visitor.post("/account/delete", &[("password", PASSWORD)]).await;
    }
}

#[tokio::test]
async fn a_session_kept_for_long_stays_so_after_the_password_was_given_again() {
    let app = TestApp::start().await;
    customer_of(&app, 0).await;
    let mut visitor = app.visitor();
    visitor.post("/login", &[("email", ANN), ("password", PASSWORD), ("remember", "on")]).await;
    let end = Token::read(&visitor.token()).time("exp");
    sqlx::query("UPDATE sessions SET confirmed_at = 0").execute(&app.database().await).await.unwrap();
    let answer = visitor.post("/account/export", &[("password", PASSWORD)]).await;
    let (token, attributes) = answer.session_cookie().unwrap();
    assert_eq!(Token::read(&token).time("exp"), end);
    assert!(attributes.iter().any(|attribute| attribute.starts_with("Max-Age=25")), "{attributes:?}");
}

#[tokio::test]
async fn a_session_that_ended_meanwhile_is_not_brought_back_by_the_password() {
    let app = TestApp::start().await;
    let mut visitor = customer_of(&app, 601).await;
    let mut other = app.visitor();
    other.post("/login", &[("email", ANN), ("password", PASSWORD)]).await;
    other.post("/account/sessions/end-others", &[]).await;
    let answer = visitor.post("/account/export", &[("password", PASSWORD)]).await;
    assert_eq!(answer.leads_to(), (303, "/login"));
    assert!(other.get("/account").await.is_page(200));
}
