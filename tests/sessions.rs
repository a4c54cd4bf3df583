//! Lifetimes and renewal of sessions.

use crate::app::{ANN, BOB, PASSWORD, TestApp};
use crate::http::Response;
use crate::sandbox::SECRET;
use crate::token::{Token, now};

/// The token with other times: issued `ago` seconds ago, valid for another `until` seconds.
fn aged(token: &str, ago: i64, until: i64) -> String {
    Token::read(token).with("iat", now() - ago).with("nbf", now() - ago).with("exp", now() + until).signed()
}

async fn orders_with(app: &TestApp, token: &str) -> Response {
    let response = app.get_with_token("/orders", token).await;
    assert!(response.is_page(200), "{}", response.status);
    response
}

#[tokio::test]
async fn token_is_renewed_after_half_of_its_lifetime() {
    let app = TestApp::start().await;
    let token = app.customer(ANN).await.token();
    let young = orders_with(&app, &aged(&token, 800, 1000)).await;
    assert!(young.session_cookie().is_none(), "renewed too visitor");
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
    let token = app.customer(ANN).await.token();
    let end = now() + 60;
    sqlx::query("UPDATE sessions SET expires_at = $1").bind(end).execute(&app.database().await).await.unwrap();
    let response = orders_with(&app, &aged(&token, 1000, 20)).await;
    assert_eq!(Token::read(&response.session_cookie().unwrap().0).time("exp"), end);
}

/// The seconds until the session ends, and whether the page may offer to extend it.
fn session_end(response: &Response) -> (i64, bool) {
    let timing = response.header("server-timing").unwrap().strip_prefix("session;dur=").unwrap();
    let (milliseconds, description) = timing.split_once(';').unwrap_or((timing, ""));
    (milliseconds.parse::<i64>().unwrap() / 1000, description == "desc=extendable")
}

#[tokio::test]
async fn page_shows_the_session_end_after_renewal() {
    let app = TestApp::start().await;
    let token = app.customer(ANN).await.token();
    for (ago, until, expected) in [(800, 1000, 1000), (1000, 800, 1800)] {
        let (seconds, can_stay) = session_end(&orders_with(&app, &aged(&token, ago, until)).await);
        assert!((expected - 5..=expected).contains(&seconds) && can_stay, "{seconds} seconds, expected {expected}");
    }
    let end = now() + 60;
    sqlx::query("UPDATE sessions SET expires_at = $1").bind(end).execute(&app.database().await).await.unwrap();
    let (seconds, can_stay) = session_end(&orders_with(&app, &aged(&token, 1000, 20)).await);
    assert!((55..=60).contains(&seconds) && !can_stay, "{seconds} seconds");
}

#[tokio::test]
async fn cookie_set_by_a_handler_replaces_the_renewed_one() {
    let app = TestApp::start().await;
    let token = aged(&app.customer(ANN).await.token(), 1000, 800);
    let post = async |path: &str| {
        let mut visitor = app.visitor();
        visitor.set_session_token(&token);
        visitor.post(path, &[]).await
    };
    // This handler sets only a notice, so renewal adds the session cookie.
    let others_ended = post("/account/sessions/end-others").await;
    assert_eq!(others_ended.redirect(), (303, "/account#sessions"));
    assert_eq!(others_ended.header_values("set-cookie").len(), 2, "{:?}", others_ended.header_values("set-cookie"));
    assert_eq!(
        Token::read(&others_ended.session_cookie().expect("not renewed").0).claims["sid"],
        Token::read(&token).claims["sid"]
    );
    // This handler renews the token itself.
    let extended = post("/account/session/extend").await;
    assert_eq!(
        (extended.status, extended.header_values("set-cookie").len()),
        (200, 1),
        "{:?}",
        extended.header_values("set-cookie")
    );
    let logout = post("/logout").await;
    assert_eq!(logout.redirect(), (303, "/login"));
    let (value, attributes) = logout.session_cookie().expect("the cookie is not removed");
    assert!(value.is_empty() && attributes.iter().any(|attribute| attribute == "Max-Age=0"), "{value} {attributes:?}");
}

#[tokio::test]
async fn expired_session_is_rejected_with_a_valid_token() {
    let app = TestApp::start().await;
    let mut visitor = app.customer(ANN).await;
    sqlx::query("UPDATE sessions SET expires_at = $1").bind(now()).execute(&app.database().await).await.unwrap();
    assert_eq!(visitor.get("/orders").await.status, 303);
}

#[tokio::test]
async fn last_seen_is_written_at_renewal_and_not_on_every_request() {
    let app = TestApp::start().await;
    let mut visitor = app.customer(ANN).await;
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
    app.customer(ANN).await;
    let mut visitor = app.visitor();
    let fields = [("email", ANN), ("password", PASSWORD), ("remember", "on")];
    let (token, attributes) = visitor.post("/login", &fields).await.session_cookie().unwrap();
    assert_eq!(attributes, ["HttpOnly", "Max-Age=604800", "Path=/", "SameSite=Strict", "Secure"]);
    let token = Token::read(&token);
    assert_eq!(token.time("exp") - token.time("iat"), 604_800);
    assert!(visitor.get("/orders").await.is_page(200));
}

#[tokio::test]
async fn token_lifetime_is_a_setting() {
    let app = TestApp::start_with(&[("TOKEN_TTL_SECONDS", "90")]).await;
    let token = Token::read(&app.customer(ANN).await.token());
    assert_eq!(token.time("exp") - token.time("iat"), 90);
}

#[tokio::test]
async fn idle_session_ends_with_its_token() {
    let app = TestApp::start_with(&[("TOKEN_TTL_SECONDS", "2")]).await;
    let mut visitor = app.customer(ANN).await;
    assert!(visitor.get("/orders").await.is_page(200));
    tokio::time::sleep(std::time::Duration::from_millis(3100)).await;
    assert_eq!(visitor.get("/orders").await.status, 303);
}

const NEXT_SECRET: &str = "the next secret, which is also longer than thirty-two bytes";

/// Rotates the secret: the previous one still verifies.
async fn replace_secret(app: &mut TestApp) {
    app.stop_with("TERM");
    app.set("TOKEN_SECRET", NEXT_SECRET);
    app.set("TOKEN_SECRET_PREVIOUS", &format!("an older secret that is longer than thirty-two bytes,{SECRET}"));
    app.restart().await;
}

#[tokio::test]
async fn secret_rotation_keeps_sessions() {
    let mut app = TestApp::start().await;
    let mut visitor = app.customer(ANN).await;
    let api = app.api_token(ANN).await;
    replace_secret(&mut app).await;
    assert!(visitor.get("/orders").await.is_page(200));
    assert_eq!(app.api_get("/api/session", &api).await.status, 200);
    app.stop_with("TERM");
    app.unset("TOKEN_SECRET_PREVIOUS");
    app.restart().await;
    assert_eq!(visitor.get("/orders").await.status, 303, "a removed secret verifies");
    assert_eq!(app.api_get("/api/session", &api).await.status, 403);
}

#[tokio::test]
async fn previous_secret_verifies_and_never_signs() {
    let mut app = TestApp::start().await;
    let mut visitor = app.customer(ANN).await;
    let before = visitor.token();
    replace_secret(&mut app).await;
    let new = app.customer(BOB).await.token();
    let (renewed, _) = orders_with(&app, &aged(&before, 1000, 800)).await.session_cookie().expect("not renewed");
    visitor.post("/account/session/extend", &[]).await;
    app.stop_with("TERM");
    app.unset("TOKEN_SECRET_PREVIOUS");
    app.restart().await;
    for token in [&new, &renewed, &visitor.token()] {
        assert_ne!(Token::read(token).header["kid"], Token::read(&before).header["kid"]);
        orders_with(&app, token).await;
    }
}

#[tokio::test]
async fn session_ids_are_unique_and_contain_no_user_data() {
    let app = TestApp::start().await;
    let first = Token::read(&app.customer(ANN).await.token());
    let visitor = app.new_session(ANN, PASSWORD).await;
    let second = Token::read(&visitor.token());
    assert_eq!(first.claims["sub"], second.claims["sub"]);
    assert_ne!(first.claims["sid"], second.claims["sid"]);
}
