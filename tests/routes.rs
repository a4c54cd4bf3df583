//! Every route: its response without a session, with a revoked session, and with a valid one.

use std::collections::BTreeSet;
use std::path::Path;

use reqwest::{Method, RequestBuilder};
use serde_json::json;

use crate::app::{ANN, PASSWORD, TestApp};
use crate::http::{self, Response, Visitor};
use crate::layout_rules::{code_of, rust_files, source};
use crate::mailbox::{self, CONFIRM};
use crate::orders::numbers;
use crate::sandbox::free_port;

/// Status and `Location`; `LOGIN` is the login page with the path as `next`.
type Expected = (u16, &'static str);
const LOGIN: &str = "/login?next=…";

struct Route {
    method: Method,
    /// The registered path with its scopes.
    pattern: &'static str,
    anonymous: Expected,
    revoked: Expected,
    customer: Expected,
}

const fn route(
    method: Method,
    pattern: &'static str,
    anonymous: Expected,
    revoked: Expected,
    customer: Expected,
) -> Route {
    Route { method, pattern, anonymous, revoked, customer }
}

/// The same response for all.
const fn public(method: Method, pattern: &'static str, expected: Expected) -> Route {
    route(method, pattern, expected, expected, expected)
}

/// Redirects a customer to the orders.
const fn for_anonymous(method: Method, pattern: &'static str, anonymous: Expected) -> Route {
    route(method, pattern, anonymous, anonymous, (303, "/orders"))
}

/// Redirects to the login without a valid session, with `next`.
const fn for_customers(method: Method, pattern: &'static str, customer: Expected) -> Route {
    route(method, pattern, (303, LOGIN), (303, LOGIN), customer)
}

/// Requires a bearer token: 401 without one, 403 with a revoked one.
const fn for_tokens(method: Method, pattern: &'static str, customer: Expected) -> Route {
    route(method, pattern, (401, ""), (403, ""), customer)
}

/// The forms have only invalid values, so that a POST changes nothing.
static ROUTES: [Route; 92] = [
    for_anonymous(Method::GET, "/", (200, "")),
    for_anonymous(Method::GET, "/signup", (200, "")),
    for_anonymous(Method::POST, "/signup", (422, "")),
    for_anonymous(Method::GET, "/login", (200, "")),
    for_anonymous(Method::POST, "/login", (401, "")),
    // Without a password before.
    for_anonymous(Method::GET, "/login/code", (303, "/login")),
    for_anonymous(Method::POST, "/login/code", (303, "/login")),
    public(Method::POST, "/login/passkey/start", (200, "")),
    public(Method::POST, "/login/passkey/finish", (415, "")),
    public(Method::POST, "/logout", (303, "/login")),
    public(Method::POST, "/password/strength", (200, "")),
    public(Method::GET, "/password/forgot", (200, "")),
    public(Method::POST, "/password/forgot", (422, "")),
    public(Method::GET, "/password/reset", (404, "")),
    public(Method::POST, "/password/reset", (422, "")),
    public(Method::GET, "/verify", (404, "")),
    public(Method::POST, "/verify", (422, "")),
    public(Method::GET, "/not-me", (404, "")),
    public(Method::POST, "/not-me", (422, "")),
    for_customers(Method::GET, "/account", (200, "")),
    for_customers(Method::GET, "/account/verification", (303, "/account#email")),
    for_customers(Method::POST, "/account/verification", (303, "/orders")),
    for_customers(Method::GET, "/account/password", (303, "/account#password")),
    for_customers(Method::POST, "/account/password", (422, "")),
    for_customers(Method::GET, "/account/email", (303, "/account#email")),
    for_customers(Method::POST, "/account/email", (422, "")),
    for_customers(Method::GET, "/account/sessions/end", (303, "/account#sessions")),
    for_customers(Method::POST, "/account/sessions/end", (303, "/account#sessions")),
    for_customers(Method::GET, "/account/sessions/end-others", (303, "/account#sessions")),
    for_customers(Method::POST, "/account/sessions/end-others", (303, "/account#sessions")),
    for_customers(Method::GET, "/account/activity", (200, "")),
    for_customers(Method::GET, "/account/export", (303, "/account#data")),
    for_customers(Method::POST, "/account/export", (422, "")),
    for_customers(Method::GET, "/account/delete", (200, "")),
    for_customers(Method::POST, "/account/delete", (422, "")),
    for_customers(Method::GET, "/account/order-mails", (303, "/account#order-mails")),
    for_customers(Method::POST, "/account/order-mails", (400, "")),
    for_customers(Method::GET, "/account/time-zone", (200, "")),
    for_customers(Method::POST, "/account/time-zone", (422, "")),
    for_customers(Method::GET, "/account/mfa", (200, "")),
    for_customers(Method::GET, "/account/mfa/start", (303, "/account/mfa")),
    // The account is unconfirmed.
    for_customers(Method::POST, "/account/mfa/start", (422, "")),
    for_customers(Method::GET, "/account/mfa/confirm", (303, "/account/mfa")),
    for_customers(Method::POST, "/account/mfa/confirm", (303, "/account/mfa")),
    for_customers(Method::GET, "/account/mfa/disable", (303, "/account/mfa")),
    for_customers(Method::POST, "/account/mfa/disable", (303, "/account/mfa")),
    for_customers(Method::GET, "/account/mfa/recovery-codes", (303, "/account/mfa")),
    for_customers(Method::POST, "/account/mfa/recovery-codes", (303, "/account/mfa")),
    for_customers(Method::GET, "/account/passkeys", (200, "")),
    for_customers(Method::GET, "/account/passkeys/start", (303, "/account/passkeys")),
    for_customers(Method::POST, "/account/passkeys/start", (422, "")),
    for_customers(Method::GET, "/account/passkeys/finish", (303, "/account/passkeys")),
    for_customers(Method::POST, "/account/passkeys/finish", (415, "")),
    for_customers(Method::GET, "/account/passkeys/reauthenticate", (303, "/account/passkeys")),
    for_customers(Method::POST, "/account/passkeys/reauthenticate", (200, "")),
    for_customers(Method::GET, "/account/passkeys/{id}", (404, "")),
    for_customers(Method::GET, "/account/passkeys/{id}/rename", (303, "/account/passkeys")),
    for_customers(Method::POST, "/account/passkeys/{id}/rename", (400, "")),
    for_customers(Method::GET, "/account/passkeys/{id}/remove", (303, "/account/passkeys")),
    for_customers(Method::POST, "/account/passkeys/{id}/remove", (404, "")),
    for_customers(Method::GET, "/account/session/extend", (303, "/account")),
    for_customers(Method::POST, "/account/session/extend", (200, "")),
    for_customers(Method::GET, "/account/stay", (303, "/account")),
    for_customers(Method::POST, "/account/stay", (200, "")),
    for_customers(Method::GET, "/orders", (200, "")),
    for_customers(Method::GET, "/orders/{number}", (200, "")),
    for_customers(Method::GET, "/orders/{number}/cancel", (200, "")),
    for_customers(Method::POST, "/orders/{number}/cancel", (400, "")),
    for_customers(Method::GET, "/orders/{number}/cancel/undo", (303, "/orders/{number}")),
    for_customers(Method::POST, "/orders/{number}/cancel/undo", (303, "/orders/{number}")),
    for_customers(Method::GET, "/orders/{number}/again", (200, "")),
    // The account is unconfirmed.
    for_customers(Method::POST, "/orders/{number}/again", (303, "/orders/{number}/again")),
    for_customers(Method::GET, "/orders.csv", (200, "")),
    public(Method::GET, "/.well-known/passkey-endpoints", (200, "")),
    public(Method::GET, "/.well-known/change-password", (302, "/account#password")),
    public(Method::GET, "/healthz", (200, "")),
    public(Method::GET, "/readyz", (200, "")),
    public(Method::GET, "/robots.txt", (200, "")),
    public(Method::GET, "/favicon.ico", (200, "")),
    // Without `SECURITY_CONTACT`.
    public(Method::GET, "/.well-known/security.txt", (404, "")),
    public(Method::GET, "/dev/mail", (200, "")),
    public(Method::GET, "/dev/mail/{id}", (200, "")),
    public(Method::GET, "/dev/mail/{id}/html", (200, "")),
    public(Method::POST, "/api/createNewUser", (422, "")),
    public(Method::POST, "/api/login", (401, "")),
    for_tokens(Method::POST, "/api/logout", (204, "")),
    for_tokens(Method::GET, "/api/session", (200, "")),
    for_tokens(Method::GET, "/api/userOrders", (200, "")),
    for_tokens(Method::GET, "/api/userOrders/{number}", (200, "")),
    public(Method::GET, "/api/openapi.json", (200, "")),
    // Only on its own listener.
    public(Method::GET, "/metrics", (404, "")),
    public(Method::GET, "/static/site.css", (200, "")),
];

/// The patterns of POST routes that require a session.
pub fn guarded_posts() -> BTreeSet<String> {
    let posts = ROUTES.iter().filter(|route| route.method == Method::POST && route.anonymous == (303, LOGIN));
    posts.map(|route| route.pattern.to_owned()).collect()
}

/// The scopes, and the functions that register routes in one.
const SCOPES: [&str; 4] = ["", "/static", "/account", "/orders"];
const CONFIGURED_IN: [(&str, &str); 4] = [
    ("accounts/mod.rs configure_account", "/account"),
    ("accounts/mfa/mod.rs configure_account", "/account"),
    ("accounts/mfa/passkeys/mod.rs configure_account", "/account"),
    ("orders/mod.rs configure", "/orders"),
];

fn is_api(path: &str) -> bool {
    path.starts_with("/api/")
}

/// A session cookie for the pages and a bearer token for the API.
#[derive(Default)]
struct Credentials {
    cookie: Option<String>,
    bearer: Option<String>,
}

impl Credentials {
    async fn new_sessions(app: &TestApp) -> Self {
        let visitor = app.new_session(ANN, PASSWORD).await;
        Self { cookie: Some(visitor.token()), bearer: Some(app.api_token(ANN).await) }
    }

    async fn revoked(app: &TestApp) -> Self {
        let credentials = Self::new_sessions(app).await;
        for path in ["/logout", "/api/logout"] {
            credentials.send(app, Method::POST, path).await;
        }
        credentials
    }

    async fn send(&self, app: &TestApp, method: Method, path: &str) -> Response {
        if method == Method::HEAD {
            return self.send_head(app, path);
        }
        http::send(self.request(app, &method, path)).await
    }

    fn request(&self, app: &TestApp, method: &Method, path: &str) -> RequestBuilder {
        let mut request = app.request(method.clone(), path);
        if let Some(token) = self.cookie.as_ref().filter(|_| !is_api(path)) {
            request = request.header("cookie", format!("__Host-session={token}"));
        }
        if let Some(token) = self.bearer.as_ref().filter(|_| is_api(path)) {
            request = request.bearer_auth(token);
        }
        if *method == Method::POST && is_api(path) {
            request = request.json(&json!({ "email": "nobody", "password": "x" }));
        } else if *method == Method::POST {
            let names = ["email", "password", "current_password", "new_password", "token", "key", "zone", "session"];
            request = request.form(&names.map(|name| (name, "?")));
        }
        request
    }

    /// Over a socket, because a client does not read a body after such a head.
    fn send_head(&self, app: &TestApp, path: &str) -> Response {
        let credentials = match (&self.cookie, &self.bearer) {
            (Some(token), _) if !is_api(path) => format!("Cookie: __Host-session={token}\r\n"),
            (_, Some(token)) if is_api(path) => format!("Authorization: Bearer {token}\r\n"),
            _ => String::new(),
        };
        let host = format!("Host: localhost:{}\r\nConnection: close\r\n", app.port);
        http::send_raw(app.port, format!("HEAD {path} HTTP/1.1\r\n{host}{credentials}\r\n").as_bytes()).unwrap()
    }
}

/// A server with a customer who has orders and a mail, and the failures up to now.
struct RouteCheck {
    app: TestApp,
    number: String,
    mail: String,
    failures: Vec<String>,
}

impl RouteCheck {
    async fn new(settings: &[(&str, &str)]) -> Self {
        let app = TestApp::start_with(&[&[("DEMO_ORDERS", "true")], settings].concat()).await;
        let mut ann: Visitor = app.customer(ANN).await;
        let number = numbers(&ann.get("/orders").await.text())[0].clone();
        mailbox::mail_to(&app, ANN, CONFIRM).await;
        let mails = std::fs::read_dir(app.path().join("data/mail")).unwrap().map(|entry| entry.unwrap().path());
        let mail = mails.filter_map(|path| Some(path.file_name()?.to_str()?.strip_suffix(".eml")?.to_owned())).next();
        Self { app, number, mail: mail.unwrap(), failures: Vec::new() }
    }

    fn path_of(&self, pattern: &str) -> String {
        pattern.replace("{number}", &self.number).replace("{id}", &self.mail)
    }

    async fn expect(
        &mut self,
        who: &str,
        credentials: &Credentials,
        method: Method,
        pattern: &str,
        expected: Expected,
    ) {
        let path = self.path_of(pattern);
        let location = match expected.1 {
            LOGIN => format!("/login?next={}", path.replace('/', "%2F")),
            other => self.path_of(other),
        };
        let response = credentials.send(&self.app, method.clone(), &path).await;
        if response.redirect() != (expected.0, location.as_str()) {
            self.failures.push(format!("{method} {pattern}, {who}: {:?}, expected {expected:?}", response.redirect()));
        }
        let has_body = response.status >= 400 && method != Method::HEAD;
        let is_explained = |response: &Response| {
            // An answer to a script.
            let is_json = response.header("content-type") == Some("application/json");
            match is_api(pattern) {
                true => response.is_problem(response.status),
                false if is_json => response.json()["error"].is_string(),
                false => response.is_page(response.status),
            }
        };
        if has_body && !is_explained(&response) {
            self.failures.push(format!(
                "{method} {pattern}, {who}: {} without an error page: {}",
                response.status,
                response.text()
            ));
        }
        if method == Method::HEAD && !response.body.is_empty() {
            self.failures.push(format!("HEAD {pattern}, {who}: a body of {} bytes", response.body.len()));
        }
    }
}

#[tokio::test]
async fn every_route_responds_as_in_the_table() {
    let port = free_port();
    let mut routes = RouteCheck::new(&[("METRICS_ADDR", &format!("127.0.0.1:{port}"))]).await;
    let revoked = Credentials::revoked(&routes.app).await;
    for route in &ROUTES {
        let customer = Credentials::new_sessions(&routes.app).await;
        for (who, credentials, expected) in [
            ("anonymous", &Credentials::default(), route.anonymous),
            ("revoked", &revoked, route.revoked),
            ("customer", &customer, route.customer),
        ] {
            routes.expect(who, credentials, route.method.clone(), route.pattern, expected).await;
            if route.method == Method::GET {
                routes.expect(who, credentials, Method::HEAD, route.pattern, expected).await;
            }
        }
    }
    let is_route =
        |method: Method, pattern| ROUTES.iter().any(|route| route.method == method && route.pattern == pattern);
    let customer = Credentials::new_sessions(&routes.app).await;
    for route in ROUTES.iter().filter(|route| route.method == Method::POST && !is_route(Method::GET, route.pattern)) {
        for method in [Method::GET, Method::HEAD] {
            routes.expect("customer", &customer, method, route.pattern, (405, "")).await;
        }
    }
    assert!(routes.failures.is_empty(), "{:#?}", routes.failures);
    let metrics = format!("GET /metrics HTTP/1.1\r\nHost: localhost:{port}\r\nConnection: close\r\n\r\n");
    let metrics = http::send_raw(port, metrics.as_bytes()).unwrap().text();
    // Each route of the table has handled a request.
    for route in ROUTES.iter().filter(|route| !["/metrics", "/static/site.css"].contains(&route.pattern)) {
        let counter = format!("http_requests_total{{method=\"{}\",route=\"{}\"", route.method, route.pattern);
        assert!(metrics.contains(&counter), "{counter} is missing");
    }
}

#[tokio::test]
async fn csrf_protection_covers_every_post_route() {
    let routes = RouteCheck::new(&[]).await;
    let customer = Credentials::new_sessions(&routes.app).await;
    for route in ROUTES.iter().filter(|route| route.method == Method::POST) {
        let request = customer.request(&routes.app, &Method::POST, &routes.path_of(route.pattern));
        for (name, value) in [("sec-fetch-site", "cross-site"), ("origin", "https://evil.example")] {
            let response = http::send(request.try_clone().unwrap().header(name, value)).await;
            assert_eq!(response.status, 403, "{} with {name}: {value}", route.pattern);
        }
    }
    let session = routes.app.get_with_token("/orders", &customer.cookie.unwrap()).await;
    assert_eq!(session.status, 200, "a cross-site request has logged out");
}

/// The methods and patterns that a file registers.
fn registered(file: &Path) -> Vec<(Method, String)> {
    let text = code_of(file);
    let name = file.strip_prefix(source()).unwrap().display().to_string();
    let mut found = Vec::new();
    for (at, _) in text.match_indices("web::resource(\"") {
        let function = text[..at].rsplit("fn ").next().unwrap().split(['(', '<']).next().unwrap();
        let scope = CONFIGURED_IN.iter().find(|(location, _)| *location == format!("{name} {function}"));
        let mut rest = text[at..].splitn(3, '"').skip(1);
        let pattern = format!("{}{}", scope.map_or("", |(_, scope)| scope), rest.next().unwrap());
        let methods = rest.next().unwrap();
        let end = methods.find("web::").into_iter().chain(methods.find("\n}")).min().unwrap_or(methods.len());
        for (call, method) in [(".get(", Method::GET), (".post(", Method::POST)] {
            if methods[..end].contains(call) {
                found.push((method, pattern.clone()));
            }
        }
    }
    let redirects = text.split("web::redirect(\"").skip(1).map(|rest| rest.split('"').next().unwrap().to_owned());
    found.extend(redirects.map(|pattern| (Method::GET, pattern)));
    found
}

#[test]
fn route_table_has_every_registered_route() {
    let files = rust_files(&source());
    let in_source: BTreeSet<String> =
        files.iter().flat_map(|file| registered(file)).map(|(method, pattern)| format!("{method} {pattern}")).collect();
    // Static files are a scope without resources.
    let in_table = ROUTES.iter().filter(|route| !route.pattern.starts_with("/static"));
    let in_table: BTreeSet<String> = in_table.map(|route| format!("{} {}", route.method, route.pattern)).collect();
    assert_eq!(in_source, in_table);
    for file in &files {
        let text = code_of(file);
        let strings = |call: &str| text.matches(&format!("{call}\"")).count();
        for call in ["web::resource(", "web::redirect(", "web::scope("] {
            assert_eq!(
                text.matches(call).count(),
                strings(call),
                "{}: {call}…) without a literal path",
                file.display()
            );
        }
        for call in [".route(", "web::patch(", "web::put(", "web::delete(", "#[get(", "#[post("] {
            assert!(!text.contains(call), "{}: {call}…) is not supported by this test", file.display());
        }
        for scope in text.split("web::scope(\"").skip(1).map(|rest| rest.split('"').next().unwrap()) {
            assert!(SCOPES.contains(&scope), "{}: the scope {scope} is not in SCOPES", file.display());
        }
    }
}
