//! Requests whose head arrives before their session ends, and whose body arrives later.

use std::collections::BTreeSet;
use std::time::Duration;

use sqlx::AnyPool;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

use crate::app::{ANN, PASSWORD, TestApp};
use crate::http::Response;
use crate::mailbox;
use crate::orders::numbers;
use crate::routes::guarded_posts;

/// The content type of a body.
fn content_type(body: &str) -> &'static str {
    if body.starts_with('{') { "application/json" } else { "application/x-www-form-urlencoded" }
}

/// A request without its body.
pub struct DelayedRequest {
    stream: TcpStream,
    body: String,
}

impl DelayedRequest {
    /// Sends the head of a form, with the session cookie.
    pub async fn send_head(app: &TestApp, token: &str, path: &str, body: &str) -> Self {
        Self::with_header(app, &format!("Cookie: __Host-session={token}"), path, body).await
    }

    async fn with_header(app: &TestApp, header: &str, path: &str, body: &str) -> Self {
        let mut stream = TcpStream::connect(("127.0.0.1", app.port)).await.unwrap();
        let head = format!(
            "POST {path} HTTP/1.1\r\nHost: 127.0.0.1:{}\r\n{header}\r\nConnection: close\r\n\
             Content-Type: {}\r\nContent-Length: {}\r\n\r\n",
            app.port,
            content_type(body),
            body.len()
        );
        stream.write_all(head.as_bytes()).await.unwrap();
        Self { stream, body: body.to_owned() }
    }

    /// Sends the body and reads the response.
    pub async fn send_body(mut self) -> Response {
        self.stream.write_all(self.body.as_bytes()).await.unwrap();
        let mut received = Vec::new();
        self.stream.read_to_end(&mut received).await.unwrap();
        let text = String::from_utf8_lossy(&received).into_owned();
        let (head, body) = text.split_once("\r\n\r\n").unwrap();
        let mut lines = head.split("\r\n");
        let status = lines.next().unwrap().split(' ').nth(1).unwrap().parse().unwrap();
        let headers = lines.filter_map(|line| line.split_once(": "));
        Response {
            status,
            headers: headers.map(|(name, value)| (name.to_owned(), value.to_owned())).collect(),
            body: body.as_bytes().to_vec(),
        }
    }
}

/// Waits until the server has read the heads.
pub async fn wait_until_heads_are_read(app: &TestApp) {
    app.get("/healthz").await;
    tokio::time::sleep(Duration::from_millis(500)).await;
}

/// The answer of an authenticator, in form.
const REGISTRATION: &str = r#"{"state":"x","credential":{"id":"AA","rawId":"AA","type":"public-key","response":{"attestationObject":"AA","clientDataJSON":"AA"},"extensions":{}}}"#;

/// A valid form for each route that requires a session.
fn forms(number: &str, other_session: &str) -> Vec<(String, String)> {
    let password = PASSWORD.replace(' ', "+");
    let form = |pattern: &str, body: String| (pattern.replace("{number}", number), body);
    vec![
        form("/account/verification", "next=%2Forders".to_owned()),
        form("/account/password", format!("current_password={password}&new_password=a+quiet+harbour+at+dusk")),
        form("/account/email", format!("email=evil%40example.com&password={password}")),
        form("/account/sessions/end", format!("session={other_session}")),
        form("/account/sessions/end-others", "x=1".to_owned()),
        form("/account/export", format!("password={password}")),
        form("/account/delete", format!("password={password}")),
        form("/account/time-zone", "zone=Europe%2FParis".to_owned()),
        form("/account/order-mails", "order_mails=off".to_owned()),
        form("/account/mfa/start", format!("password={password}")),
        form("/account/mfa/confirm", "code=123456".to_owned()),
        form("/account/mfa/disable", format!("password={password}&code=123456")),
        form("/account/mfa/recovery-codes", format!("password={password}&code=123456")),
        form("/account/passkeys/start", format!("password={password}")),
        form("/account/passkeys/finish", REGISTRATION.to_owned()),
        form("/account/passkeys/reauthenticate", "x=1".to_owned()),
        form("/account/passkeys/{id}/rename", "name=Telephone".to_owned()),
        form("/account/passkeys/{id}/remove", format!("password={password}")),
        form("/account/session/extend", "x=1".to_owned()),
        form("/account/stay", "x=1".to_owned()),
        form("/orders/{number}/cancel", "key=delayed-cancel".to_owned()),
        form("/orders/{number}/cancel/undo", "x=1".to_owned()),
        form("/orders/{number}/again", "key=delayed-again".to_owned()),
    ]
}

/// All data that the forms can change.
async fn contents(database: &AnyPool) -> Vec<String> {
    let queries = [
        "SELECT id || email || password_hash || COALESCE(time_zone, '') || COALESCE(CAST(order_mails_off_at AS TEXT), '') FROM users ORDER BY id",
        "SELECT id || CAST(last_seen_at AS TEXT) || COALESCE(CAST(revoked_at AS TEXT), '') FROM sessions ORDER BY id",
        "SELECT id || COALESCE(CAST(cancellation_asked_at AS TEXT), '') FROM orders ORDER BY id",
        "SELECT id FROM reorder_requests ORDER BY id",
        "SELECT user_id || key_id || CAST(last_step AS TEXT) FROM totp_factors ORDER BY user_id",
        "SELECT event || id FROM audit_events ORDER BY id",
        "SELECT id FROM mail_queue ORDER BY id",
    ];
    let mut rows = Vec::new();
    for query in queries {
        rows.extend(sqlx::query_scalar::<_, String>(query).fetch_all(database).await.unwrap());
    }
    rows
}

enum End {
    Logout,
    Disable,
}

async fn assert_rejected_after(end: End) {
    let app = TestApp::start_with(&[("DEMO_ORDERS", "true")]).await;
    let number = numbers(&app.customer(ANN).await.get("/orders").await.text())[0].clone();
    mailbox::wait_for_empty_queue(&app).await;
    let database = app.database().await;
    let other: String = sqlx::query_scalar("SELECT id FROM sessions").fetch_one(&database).await.unwrap();
    let mut delayed = Vec::new();
    let mut visitors = Vec::new();
    for (path, body) in forms(&number, &other) {
        let visitor = app.new_session(ANN, PASSWORD).await;
        delayed.push((path.clone(), DelayedRequest::send_head(&app, &visitor.token(), &path, &body).await));
        visitors.push(visitor);
    }
    wait_until_heads_are_read(&app).await;
    match end {
        End::Logout => {
            for visitor in &mut visitors {
                assert_eq!(visitor.post("/logout", &[]).await.redirect(), (303, "/login"));
            }
        }
        End::Disable => {
            app.run_ok(&["user", "disable", ANN]);
        }
    }
    let before = contents(&database).await;
    let mut wrong = Vec::new();
    for (path, delayed) in delayed {
        let response = delayed.send_body().await;
        if response.status != 303 || !response.redirect().1.starts_with("/login") {
            wrong.push(format!("{path}: {:?}", response.redirect()));
        }
    }
    assert!(wrong.is_empty(), "{wrong:#?}");
    assert_eq!(contents(&database).await, before, "data was changed");
}

#[tokio::test]
async fn delayed_forms_are_rejected_after_logout() {
    assert_rejected_after(End::Logout).await;
}

#[tokio::test]
async fn delayed_forms_are_rejected_after_the_account_is_disabled() {
    assert_rejected_after(End::Disable).await;
}

#[test]
fn delayed_form_tests_cover_every_authenticated_route() {
    let covered: BTreeSet<String> = forms("{number}", "").into_iter().map(|(pattern, _)| pattern).collect();
    assert_eq!(covered, guarded_posts());
}

#[tokio::test]
async fn delayed_logout_after_session_end_redirects_to_login() {
    let app = TestApp::start().await;
    let mut visitor = app.customer(ANN).await;
    let delayed = DelayedRequest::send_head(&app, &visitor.token(), "/logout", "x=1").await;
    wait_until_heads_are_read(&app).await;
    visitor.post("/logout", &[]).await;
    assert_eq!(delayed.send_body().await.redirect(), (303, "/login"));
    let logouts = "audit_events WHERE event = 'logged-out'";
    assert_eq!(app.count(logouts).await, 1, "an ended session has a logout event");
}

#[tokio::test]
async fn delayed_api_logout_with_revoked_token_answers_403() {
    let app = TestApp::start().await;
    let token = app.api_account(ANN).await;
    let delayed =
        DelayedRequest::with_header(&app, &format!("Authorization: Bearer {token}"), "/api/logout", "{}").await;
    wait_until_heads_are_read(&app).await;
    app.run_ok(&["user", "disable", ANN]);
    assert_eq!(delayed.send_body().await.status, 403);
}
