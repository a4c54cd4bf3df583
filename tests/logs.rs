//! The log: security events, format, no secrets.

use reqwest::Method;
use serde_json::{Value, json};

use crate::app::{ANN, PASSWORD, TestApp};
use crate::http;

const WRONG: &str = "sunflower-sonata-in-b-flat";

#[tokio::test]
async fn log_has_no_password_token_or_cookie_at_any_level() {
    for level in ["info", "debug", "trace"] {
        let mut app = TestApp::start_with(&[("RUST_LOG", level)]).await;
        let mut visitor = app.customer(ANN).await;
        let mut secrets = vec![
            visitor.token(),
            PASSWORD.to_owned(),
            PASSWORD.replace(' ', "+"),
            WRONG.to_owned(),
            "argon2id".to_owned(),
        ];
        visitor.get("/orders").await;
        visitor.post("/logout", &[]).await;
        app.log_in(ANN, WRONG).await;
        app.visitor().post("/signup", &[("email", "nobody"), ("password", WRONG)]).await;
        let login = [("email", ANN), ("password", PASSWORD), ("remember", "on")];
        visitor.post("/login", &login).await;
        secrets.push(visitor.token());
        let token = app.api_token(ANN).await;
        app.api_get("/api/userOrders", &token).await;
        app.api_post("/api/login", &json!({ "email": ANN, "password": [WRONG] })).await;
        http::send(app.request(Method::POST, "/api/logout").bearer_auth(&token)).await;
        app.get(&format!("/login?next=/{WRONG}")).await;
        for path in ["/password/reset", "/verify", "/not-me"] {
            assert_eq!(app.get(&format!("{path}?token={WRONG}")).await.status, 404, "{path}");
            let fields = [("token", WRONG), ("password", WRONG)];
            assert_eq!(app.visitor().post(path, &fields).await.status, 422, "{path}");
        }
        secrets.push(token);
        // The log is complete after the exit.
        app.stop_with("TERM");
        let logs = app.logs();
        let paths = ["/login", "/signup", "/orders", "/logout", "/password/reset", "/verify", "/api/login"];
        let missing = paths.iter().find(|path| !logs.contains(**path));
        assert_eq!(missing, None, "a request is missing in the log at {level}");
        for secret in secrets {
            // The signature is a secret too.
            let tail = secret.rsplit('.').next().unwrap();
            let line = logs.lines().find(|line| line.contains(tail));
            assert!(line.is_none(), "the log at {level} contains {secret:?}: {}", line.unwrap());
        }
    }
}

#[tokio::test]
async fn json_log_has_one_object_a_line_with_request_id() {
    let mut app = TestApp::start_with(&[("LOG_FORMAT", "json")]).await;
    let id = app.get("/login").await.header("x-request-id").unwrap().to_owned();
    app.get("/nothing%0ahere").await;
    app.log_in("a\nb", WRONG).await;
    app.stop_with("TERM");
    let lines = json_lines(&app);
    let answered = lines.iter().find(|line| line["span"]["id"] == id.as_str() && line["message"] == "answered");
    let answered = answered.unwrap_or_else(|| panic!("no line of {id}: {lines:#?}"));
    assert_eq!((&answered["span"]["path"], &answered["status"]), (&json!("/login"), &json!(200)));
    assert!(lines.iter().any(|line| line["message"] == "stopped"), "the last line is missing: {lines:#?}");
}

/// The lines of standard error; each must be a JSON object.
fn json_lines(app: &TestApp) -> Vec<Value> {
    let log = std::fs::read_to_string(app.path().join("stderr.log")).unwrap();
    let read = |line| serde_json::from_str(line).unwrap_or_else(|error| panic!("{error} in the line {line:?}"));
    let lines: Vec<Value> = log.lines().map(read).collect();
    assert!(lines.iter().all(Value::is_object), "{log}");
    lines
}

#[tokio::test]
async fn client_input_cannot_forge_log_lines() {
    let mut app = TestApp::start().await;
    let forged = "2030-01-01T00:00:00Z ERROR forged";
    app.get("/nothing%0a2030-01-01T00:00:00Z%20ERROR%20forged").await;
    let agent = format!(
        "GET /nothing%1b%5b2J HTTP/1.1\r\nHost: localhost:{}\r\nUser-Agent: x\u{1b}[2J\r\nConnection: close\r\n\r\n",
        app.port
    );
    http::send_raw(app.port, agent.as_bytes());
    app.log_in(&format!("x\n{forged}"), WRONG).await;
    app.stop_with("TERM");
    let logs = app.logs();
    assert!(logs.contains("/nothing") && logs.contains("/login"), "the requests are missing in the log:\n{logs}");
    assert!(!logs.lines().any(|line| line.starts_with(forged)) && !logs.contains("\u{1b}[2J"), "{logs}");
}

#[tokio::test]
async fn libraries_with_tokens_are_capped_at_warn() {
    let filter = "info,actix_http::h1=trace,actix_http::h1::dispatcher=trace,sqlx::query=trace";
    let mut app = TestApp::start_with(&[("RUST_LOG", filter), ("LOG_FORMAT", "json")]).await;
    app.customer(ANN).await.get("/orders").await;
    app.stop_with("TERM");
    let lines = json_lines(&app);
    assert!(lines.iter().any(|line| line["target"].as_str().is_some_and(|target| target.starts_with("order_portal"))));
    let loud = |line: &&Value| {
        let target = line["target"].as_str().unwrap_or_default();
        (target.starts_with("actix_http") || target.starts_with("sqlx"))
            && line["level"] != "WARN"
            && line["level"] != "ERROR"
    };
    let loudest = lines.iter().find(loud);
    assert!(loudest.is_none(), "{}", loudest.unwrap());
}

/// The log filter of the database driver must not affect other lines.
#[tokio::test]
async fn every_request_is_logged_at_trace_level() {
    let app = TestApp::start_with(&[("RUST_LOG", "trace"), ("LOG_FORMAT", "json")]).await;
    let mut ann = app.customer(ANN).await;
    for _ in 0..20 {
        ann.get("/orders").await;
        ann.get("/account").await;
    }
    let logs = app.logs();
    for path in ["/orders", "/account"] {
        let answered = logs
            .lines()
            .filter(|line| line.contains("\"message\":\"answered\"") && line.contains(&format!("\"path\":\"{path}\"")));
        assert_eq!(answered.count(), 20, "{path}");
    }
    assert!(logs.contains("\"message\":\"serving\"") && logs.contains("migration applied"), "{logs}");
}

/// ASVS 5.0 V16.2.1 and V16.3.
#[tokio::test]
async fn security_events_have_a_fixed_message_client_and_account() {
    let settings = [("LOG_FORMAT", "json"), ("TRUSTED_PROXIES", "127.0.0.1")];
    let mut app = TestApp::start_with(&settings).await;
    let from = |path: &str| app.request(Method::POST, path).header("x-forwarded-for", "203.0.113.9");
    let mut ann = app.customer(ANN).await;
    let mut other = app.visitor();
    let valid = [("email", ANN), ("password", PASSWORD)];
    other.post("/login", &valid).await;
    let revoked = ann.token();
    for _ in 0..12 {
        http::send(from("/login").form(&[("email", ANN), ("password", WRONG)])).await;
    }
    for email in ["unknown@example.com", "no address"] {
        http::send(from("/login").form(&[("email", email), ("password", WRONG)])).await;
    }
    http::send(from("/password/forgot").form(&[("email", ANN)])).await;
    http::send(from("/login").header("origin", "https://other.example").form(&valid)).await;
    for token in [format!("{}x", ann.token()), "nonsense".to_owned()] {
        app.get_with_token("/orders", &token).await;
        app.api_get("/api/userOrders", &token).await;
    }
    ann.post("/account/sessions/end-others", &[]).await;
    let passwords = [("current_password", WRONG), ("new_password", "eleven quiet otters in a row")];
    ann.post("/account/password", &passwords).await;
    ann.post("/account/password", &[("current_password", PASSWORD), passwords[1]]).await;
    ann.post("/logout", &[]).await;
    app.get_with_token("/orders", &revoked).await;
    let account: String = sqlx::query_scalar("SELECT id FROM users").fetch_one(&app.database().await).await.unwrap();
    app.stop_with("TERM");

    let lines = json_lines(&app);
    let known = Some(account.as_str());
    let expected = [
        ("account created", known, "127.0.0.1"),
        ("login succeeded", known, "127.0.0.1"),
        ("login failed", known, "203.0.113.9"),
        ("login failed", None, "203.0.113.9"),
        ("rate limited", None, "203.0.113.9"),
        ("password reset requested", known, "203.0.113.9"),
        ("CSRF refused", None, "203.0.113.9"),
        ("token refused", None, "127.0.0.1"),
        ("token refused", known, "127.0.0.1"),
        ("reauthentication failed", known, "127.0.0.1"),
        ("password changed", known, "127.0.0.1"),
        ("session revoked", known, "127.0.0.1"),
    ];
    for (message, user, client) in expected {
        let is_it = |line: &&Value| {
            line["message"] == message && line["user"].as_str() == user && line["span"]["client"] == client
        };
        assert!(lines.iter().any(|line| is_it(&line)), "no {message:?} of {user:?} from {client}: {lines:#?}");
    }
    let count = |message: &str| lines.iter().filter(|line| line["message"] == message).count();
    assert_eq!((count("login failed"), count("rate limited")), (12, 2), "one line for each");
    let log = std::fs::read_to_string(app.path().join("stderr.log")).unwrap();
    assert!(!log.contains('@'), "the log contains an email address:\n{log}");
}

#[tokio::test]
async fn audit_event_of_a_failed_transaction_is_not_logged() {
    let mut app = TestApp::start_with(&[("LOG_FORMAT", "json")]).await;
    let mut ann = app.customer(ANN).await;
    ann.post("/logout", &[]).await;
    // A login with a trusted browser writes the network after the audit event.
    app.execute("DROP TABLE trusted_networks").await;
    assert_eq!(ann.log_in(ANN, PASSWORD).await.status, 500);
    app.stop_with("TERM");
    let lines = json_lines(&app);
    assert!(lines.iter().any(|line| line["message"] == "account created"));
    assert!(!lines.iter().any(|line| line["message"] == "login succeeded"), "{lines:#?}");
}
