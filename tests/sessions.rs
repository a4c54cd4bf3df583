//! Lifetimes and renewal of sessions.

use crate::app::{PASSWORD, TestApp};
use crate::http::Answer;
use crate::place::SECRET;
use crate::token::{Token, now};

/// The customer's token with other times: issued `ago` seconds ago, valid for `until` more seconds.
fn aged(token: &str, ago: i64, until: i64) -> String {
    Token::read(token).with("iat", now() - ago).with("nbf", now() - ago).with("exp", now() + until).signed()
}

async fn orders_with(app: &TestApp, token: &str) -> Answer {
    let answer = app.get_with_cookie("/orders", &format!("__Host-session={token}")).await;
    assert!(answer.is_page(200), "{}", answer.status);
    answer
}

#[tokio::test]
async fn token_is_renewed_after_half_of_its_lifetime() {
    let app = TestApp::start().await;
    let token = app.customer("ann@example.com").await.token();
    let young = orders_with(&app, &aged(&token, 800, 1000)).await;
    assert!(young.session_cookie().is_none(), "renewed too early");
    let old = orders_with(&app, &aged(&token, 1000, 800)).await;
    let (renewed, attributes) = old.session_cookie().expect("not renewed");
    assert_eq!(attributes, ["HttpOnly", "Path=/", "SameSite=Strict", "Secure"]);
    let renewed = Token::read(&renewed);
    assert!((renewed.time("exp") - now() - 1800).abs() <= 2);
    assert_eq!(renewed.claims["sid"], Token::read(&token).claims["sid"]);
    orders_with(&app, &renewed.signed()).await;
}

#[tokio::test]
async fn renewal_ends_with_the_session() {
    let app = TestApp::start().await;
    let token = app.customer("ann@example.com").await.token();
    let end = now() + 60;
    sqlx::query("UPDATE sessions SET expires_at = $1").bind(end).execute(&app.database().await).await.unwrap();
    let answer = orders_with(&app, &aged(&token, 1000, 20)).await;
    assert_eq!(Token::read(&answer.session_cookie().unwrap().0).time("exp"), end);
}

/// The seconds until the session ends, and whether the page may offer to extend it.
fn session_end(answer: &Answer) -> (i64, bool) {
    let timing = answer.header("server-timing").unwrap().strip_prefix("session;dur=").unwrap();
    let (milliseconds, description) = timing.split_once(';').unwrap_or((timing, ""));
    (milliseconds.parse::<i64>().unwrap() / 1000, description == "desc=extendable")
}

#[tokio::test]
async fn page_shows_the_session_end_after_renewal() {
    let app = TestApp::start().await;
    let token = app.customer("ann@example.com").await.token();
    for (ago, until, expected) in [(800, 1000, 1000), (1000, 800, 1800)] {
        let (seconds, can_stay) = session_end(&orders_with(&app, &aged(&token, ago, until)).await);
        assert!((expected - 5..=expected).contains(&seconds) && can_stay, "{seconds} seconds in place of {expected}");
    }
    let end = now() + 60;
    sqlx::query("UPDATE sessions SET expires_at = $1").bind(end).execute(&app.database().await).await.unwrap();
    let (seconds, can_stay) = session_end(&orders_with(&app, &aged(&token, 1000, 20)).await);
    assert!((55..=60).contains(&seconds) && !can_stay, "{seconds} seconds, and no more can be had");
}

#[tokio::test]
async fn cookie_set_by_a_handler_replaces_the_renewed_one() {
    let app = TestApp::start().await;
    let token = aged(&app.customer("ann@example.com").await.token(), 1000, 800);
    let post = async |path: &str| {
        let mut visitor = app.visitor();
        visitor.bring(&token);
        visitor.post(path, &[]).await
    };
    // This handler sets only a notice, so renewal adds the session cookie.
    let ended = post("/account/sessions/end-others").await;
    assert_eq!(ended.leads_to(), (303, "/account#sessions"));
    assert_eq!(ended.all("set-cookie").len(), 2, "{:?}", ended.all("set-cookie"));
    assert_eq!(
        Token::read(&ended.session_cookie().expect("not renewed").0).claims["sid"],
        Token::read(&token).claims["sid"]
    );
    // This handler renews the token itself.
    let extended = post("/account/session/extend").await;
    assert_eq!((extended.status, extended.all("set-cookie").len()), (200, 1), "{:?}", extended.all("set-cookie"));
    let left = post("/logout").await;
    assert_eq!(left.leads_to(), (303, "/login"));
    let (value, attributes) = left.session_cookie().expect("the cookie stays");
    assert!(value.is_empty() && attributes.iter().any(|attribute| attribute == "Max-Age=0"), "{value} {attributes:?}");
}

#[tokio::test]
async fn expired_session_is_rejected_with_a_valid_token() {
    let app = TestApp::start().await;
    let mut visitor = app.customer("ann@example.com").await;
    sqlx::query("UPDATE sessions SET expires_at = $1").bind(now()).execute(&app.database().await).await.unwrap();
    assert_eq!(visitor.get("/orders").await.status, 303);
}

#[tokio::test]
async fn last_seen_is_written_at_renewal_and_not_on_every_request() {
    let app = TestApp::start().await;
    let mut visitor = app.customer("ann@example.com").await;
    let database = app.database().await;
    let write = |at: i64| sqlx::query("UPDATE sessions SET last_seen_at = $1").bind(at);
    let read = || sqlx::query_scalar::<_, i64>("SELECT last_seen_at FROM sessions");
    write(now() - 100).execute(&database).await.unwrap();
    let before = read().fetch_one(&database).await.unwrap();
    visitor.get("/orders").await;
    assert_eq!(read().fetch_one(&database).await.unwrap(), before);
    write(now() - 1000).execute(&database).await.unwrap();
    orders_with(&app, &aged(&visitor.token(), 1000, 800)).await;
    assert!(read().fetch_one(&database).await.unwrap() >= now() - 5);
}

#[tokio::test]
async fn remembered_session_has_no_idle_timeout() {
    let app = TestApp::start_with(&[("REMEMBER_ME_DAYS", "7")]).await;
    app.customer("ann@example.com").await;
    let mut visitor = app.visitor();
    let fields = [("email", "ann@example.com"), ("password", PASSWORD), ("remember", "on")];
    let (token, attributes) = visitor.post("/login", &fields).await.session_cookie().unwrap();
    assert_eq!(attributes, ["HttpOnly", "Max-Age=604800", "Path=/", "SameSite=Strict", "Secure"]);
    let token = Token::read(&token);
    assert_eq!(token.time("exp") - token.time("iat"), 604_800);
    assert!(visitor.get("/orders").await.is_page(200));
}

#[tokio::test]
async fn token_lifetime_is_a_setting() {
    let app = TestApp::start_with(&[("TOKEN_TTL_SECONDS", "90")]).await;
    let token = Token::read(&app.customer("ann@example.com").await.token());
    assert_eq!(token.time("exp") - token.time("iat"), 90);
}

#[tokio::test]
async fn idle_session_ends_with_its_token() {
    let app = TestApp::start_with(&[("TOKEN_TTL_SECONDS", "2")]).await;
    let mut visitor = app.customer("ann@example.com").await;
    assert!(visitor.get("/orders").await.is_page(200));
    tokio::time::sleep(std::time::Duration::from_millis(3100)).await;
    assert_eq!(visitor.get("/orders").await.status, 303);
}

const NEXT_SECRET: &str = "the next secret, which is also longer than thirty-two bytes";

/// Rotates the secret: the previous one still verifies.
async fn replace_secret(app: &mut TestApp) {
    app.stop_by("TERM");
    app.set("TOKEN_SECRET", NEXT_SECRET);
    app.set("TOKEN_SECRET_PREVIOUS", &format!("some other secret that was in use once upon a time,{SECRET}"));
    app.start_again().await;
}

#[tokio::test]
async fn secret_rotation_keeps_sessions() {
    let mut app = TestApp::start().await;
    let mut visitor = app.customer("ann@example.com").await;
    let api = app.api_token("ann@example.com").await;
    replace_secret(&mut app).await;
    assert!(visitor.get("/orders").await.is_page(200));
    assert_eq!(app.api_get("/api/session", &api).await.status, 200);
    app.stop_by("TERM");
    app.unset("TOKEN_SECRET_PREVIOUS");
    app.start_again().await;
    assert_eq!(visitor.get("/orders").await.status, 303, "a removed secret verifies");
    assert_eq!(app.api_get("/api/session", &api).await.status, 403);
}

#[tokio::test]
async fn previous_secret_verifies_and_never_signs() {
    let mut app = TestApp::start().await;
    let mut early = app.customer("ann@example.com").await;
    let before = early.token();
    replace_secret(&mut app).await;
    let new = app.customer("bob@example.com").await.token();
    let (renewed, _) = orders_with(&app, &aged(&before, 1000, 800)).await.session_cookie().expect("not renewed");
    early.post("/account/session/extend", &[]).await;
    app.stop_by("TERM");
    app.unset("TOKEN_SECRET_PREVIOUS");
    app.start_again().await;
    for token in [&new, &renewed, &early.token()] {
        assert_ne!(Token::read(token).header["kid"], Token::read(&before).header["kid"]);
        orders_with(&app, token).await;
    }
}

#[tokio::test]
async fn session_ids_are_unique_and_contain_no_user_data() {
    let app = TestApp::start().await;
    let first = Token::read(&app.customer("ann@example.com").await.token());
    let mut visitor = app.visitor();
    visitor.post("/login", &[("email", "ann@example.com"), ("password", PASSWORD)]).await;
    let second = Token::read(&visitor.token());
    assert_eq!(first.claims["sub"], second.claims["sub"]);
    assert_ne!(first.claims["sid"], second.claims["sid"]);
}
