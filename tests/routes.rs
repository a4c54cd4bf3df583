//! Every route of the program: what it answers to someone who is not logged in, to a session that was revoked, and to a customer.

use std::collections::BTreeSet;
use std::path::Path;

use reqwest::Method;
use serde_json::json;

use crate::app::{PASSWORD, TestApp};
use crate::http::{self, Answer, Visitor};
use crate::layout_rules::{code_of, rust_files, source};
use crate::mailbox::{self, CONFIRM};
use crate::orders::numbers;
use crate::place::free_port;

const ANN: &str = "ann@example.com";

/// Status and where it leads to; `LOGIN` is the login page, which leads back.
type Answered = (u16, &'static str);
const LOGIN: &str = "/login?next=…";

struct Route {
    method: Method,
    /// As it is registered, with the scopes it stands in.
    pattern: &'static str,
    anonymous: Answered,
    revoked: Answered,
    customer: Answered,
}

const fn route(
    method: Method,
    pattern: &'static str,
    anonymous: Answered,
    revoked: Answered,
    customer: Answered,
) -> Route {
    Route { method, pattern, anonymous, revoked, customer }
}

/// The same for everyone.
const fn open(method: Method, pattern: &'static str, answered: Answered) -> Route {
    route(method, pattern, answered, answered, answered)
}

/// For those who are not logged in; a customer is sent to the orders.
const fn entrance(method: Method, pattern: &'static str, anonymous: Answered) -> Route {
    route(method, pattern, anonymous, anonymous, (303, "/orders"))
}

/// For customers; everyone else is sent to log in, and from a page comes back.
const fn guarded(method: Method, pattern: &'static str, customer: Answered) -> Route {
    let login = if matches!(method, Method::GET) { (303, LOGIN) } else { (303, "/login") };
    route(method, pattern, login, login, customer)
}

/// For bearer tokens: 401 without one, 403 with one that was revoked.
const fn bearer(method: Method, pattern: &'static str, customer: Answered) -> Route {
    route(method, pattern, (401, ""), (403, ""), customer)
}

/// The forms hold no valid value: what lets nobody pass answers 303, what was let pass says what is wrong or does nothing.
static ROUTES: [Route; 60] = [
    entrance(Method::GET, "/", (200, "")),
    entrance(Method::GET, "/signup", (200, "")),
    entrance(Method::POST, "/signup", (422, "")),
    entrance(Method::GET, "/login", (200, "")),
    entrance(Method::POST, "/login", (401, "")),
    open(Method::POST, "/logout", (303, "/login")),
    open(Method::POST, "/password/strength", (200, "")),
    open(Method::GET, "/password/forgot", (200, "")),
    open(Method::POST, "/password/forgot", (422, "")),
    open(Method::GET, "/password/reset", (404, "")),
    open(Method::POST, "/password/reset", (422, "")),
    open(Method::GET, "/verify", (404, "")),
    open(Method::POST, "/verify", (422, "")),
    open(Method::GET, "/not-me", (404, "")),
    open(Method::POST, "/not-me", (422, "")),
    guarded(Method::GET, "/account", (200, "")),
    guarded(Method::GET, "/account/verification", (303, "/account#email")),
    guarded(Method::POST, "/account/verification", (303, "/orders")),
    guarded(Method::GET, "/account/password", (303, "/account#password")),
    guarded(Method::POST, "/account/password", (422, "")),
    guarded(Method::GET, "/account/email", (303, "/account#email")),
    guarded(Method::POST, "/account/email", (422, "")),
    guarded(Method::GET, "/account/sessions/end", (303, "/account#sessions")),
    guarded(Method::POST, "/account/sessions/end", (303, "/account#sessions")),
    guarded(Method::GET, "/account/sessions/end-others", (303, "/account#sessions")),
    guarded(Method::POST, "/account/sessions/end-others", (303, "/account#sessions")),
    guarded(Method::GET, "/account/activity", (200, "")),
    guarded(Method::GET, "/account/export", (303, "/account#data")),
    guarded(Method::POST, "/account/export", (422, "")),
    guarded(Method::GET, "/account/delete", (200, "")),
    guarded(Method::POST, "/account/delete", (422, "")),
    guarded(Method::GET, "/account/time-zone", (200, "")),
    guarded(Method::POST, "/account/time-zone", (422, "")),
    guarded(Method::POST, "/account/session/extend", (200, "")),
    guarded(Method::POST, "/account/stay", (200, "")),
    guarded(Method::GET, "/orders", (200, "")),
    guarded(Method::GET, "/orders/{number}", (200, "")),
    guarded(Method::GET, "/orders/{number}/cancel", (303, "/orders/{number}")),
    guarded(Method::POST, "/orders/{number}/cancel", (400, "")),
    guarded(Method::GET, "/orders/{number}/again", (303, "/orders/{number}")),
    guarded(Method::POST, "/orders/{number}/again", (400, "")),
    guarded(Method::GET, "/orders.csv", (200, "")),
    open(Method::GET, "/.well-known/change-password", (302, "/account#password")),
    open(Method::GET, "/healthz", (200, "")),
    open(Method::GET, "/readyz", (200, "")),
    open(Method::GET, "/robots.txt", (200, "")),
    open(Method::GET, "/favicon.ico", (200, "")),
    // Not set.
    open(Method::GET, "/.well-known/security.txt", (404, "")),
    open(Method::GET, "/dev/mail", (200, "")),
    open(Method::GET, "/dev/mail/{id}", (200, "")),
    open(Method::GET, "/dev/mail/{id}/html", (200, "")),
    open(Method::POST, "/api/createNewUser", (422, "")),
    open(Method::POST, "/api/login", (401, "")),
    bearer(Method::POST, "/api/logout", (204, "")),
    bearer(Method::GET, "/api/session", (200, "")),
    bearer(Method::GET, "/api/userOrders", (200, "")),
    bearer(Method::GET, "/api/userOrders/{number}", (200, "")),
    open(Method::GET, "/api/openapi.json", (200, "")),
    // On its own listener alone.
    open(Method::GET, "/metrics", (404, "")),
    open(Method::GET, "/static/site.css", (200, "")),
];

/// The patterns of forms that need a user.
pub fn guarded_posts() -> BTreeSet<String> {
    let posts = ROUTES.iter().filter(|route| route.method == Method::POST && route.anonymous == (303, "/login"));
    posts.filter(|route| route.pattern != "/logout").map(|route| route.pattern.to_owned()).collect()
}

/// Scopes, and the functions whose routes stand in one.
const SCOPES: [&str; 4] = ["", "/static", "/account", "/orders"];
const CONFIGURED_IN: [(&str, &str); 2] =
    [("accounts/mod.rs configure_account", "/account"), ("orders/mod.rs configure", "/orders")];

fn is_api(path: &str) -> bool {
    path.starts_with("/api/")
}

/// Who asks: a cookie for the pages, a bearer token for the API.
#[derive(Default)]
struct Credentials {
    cookie: Option<String>,
    bearer: Option<String>,
}

impl Credentials {
    async fn of_new_sessions(app: &TestApp) -> Self {
        let mut visitor = app.visitor();
        let login = visitor.post("/login", &[("email", ANN), ("password", PASSWORD)]).await;
        assert_eq!(login.leads_to(), (303, "/orders"));
        Self { cookie: Some(visitor.token()), bearer: Some(app.api_token(ANN).await) }
    }

    async fn revoked(app: &TestApp) -> Self {
        let credentials = Self::of_new_sessions(app).await;
        for path in ["/logout", "/api/logout"] {
            credentials.send(app, Method::POST, path).await;
        }
        credentials
    }

    async fn send(&self, app: &TestApp, method: Method, path: &str) -> Answer {
        if method == Method::HEAD {
            return self.send_head(app, path);
        }
        let mut request = app.request(method.clone(), path);
        if let Some(token) = self.cookie.as_ref().filter(|_| !is_api(path)) {
            request = request.header("cookie", format!("__Host-session={token}"));
        }
        if let Some(token) = self.bearer.as_ref().filter(|_| is_api(path)) {
            request = request.bearer_auth(token);
        }
        if method == Method::POST && is_api(path) {
            request = request.json(&json!({ "email": "nobody", "password": "x" }));
        } else if method == Method::POST {
            let names = ["email", "password", "current_password", "new_password", "token", "key", "zone", "session"];
            request = request.form(&names.map(|name| (name, "x")));
        }
        http::send(request).await
    }

    /// Straight over a socket: a client does not read what follows the head of such an answer.
    fn send_head(&self, app: &TestApp, path: &str) -> Answer {
        let credentials = match (&self.cookie, &self.bearer) {
            (Some(token), _) if !is_api(path) => format!("Cookie: __Host-session={token}\r\n"),
            (_, Some(token)) if is_api(path) => format!("Authorization: Bearer {token}\r\n"),
            _ => String::new(),
        };
        let host = format!("Host: localhost:{}\r\nConnection: close\r\n", app.port);
        http::send_raw(app.port, format!("HEAD {path} HTTP/1.1\r\n{host}{credentials}\r\n").as_bytes()).unwrap()
    }
}

/// A running program with a customer, who has orders and a mail.
struct Walk {
    app: TestApp,
    number: String,
    mail: String,
    wrong: Vec<String>,
}

impl Walk {
    async fn new(settings: &[(&str, &str)]) -> Self {
        let app = TestApp::start_with(&[&[("DEMO_ORDERS", "true")], settings].concat()).await;
        let mut ann: Visitor = app.customer(ANN).await;
        let number = numbers(&ann.get("/orders").await.text())[0].clone();
        mailbox::mail_to(&app, ANN, CONFIRM).await;
        let mails = std::fs::read_dir(app.path().join("data/mail")).unwrap().map(|entry| entry.unwrap().path());
        let mail = mails.filter_map(|path| Some(path.file_name()?.to_str()?.strip_suffix(".eml")?.to_owned())).next();
        Self { app, number, mail: mail.unwrap(), wrong: Vec::new() }
    }

    fn fill_in(&self, pattern: &str) -> String {
        pattern.replace("{number}", &self.number).replace("{id}", &self.mail)
    }

    async fn expect(
        &mut self,
        who: &str,
        credentials: &Credentials,
        method: Method,
        pattern: &str,
        expected: Answered,
    ) {
        let path = self.fill_in(pattern);
        let leads_to = match expected.1 {
            LOGIN => format!("/login?next={}", path.replace('/', "%2F")),
            other => self.fill_in(other),
        };
        let answer = credentials.send(&self.app, method.clone(), &path).await;
        if answer.leads_to() != (expected.0, leads_to.as_str()) {
            self.wrong.push(format!("{method} {pattern}, {who}: {:?} in place of {expected:?}", answer.leads_to()));
        }
        let has_body = answer.status >= 400 && method != Method::HEAD;
        let is_explained = |answer: &Answer| {
            if is_api(pattern) { answer.is_problem(answer.status) } else { answer.is_page(answer.status) }
        };
        if has_body && !is_explained(&answer) {
            self.wrong.push(format!("{method} {pattern}, {who}: {} without a page: {}", answer.status, answer.text()));
        }
        if method == Method::HEAD && !answer.body.is_empty() {
            self.wrong.push(format!("HEAD {pattern}, {who}: a body of {} bytes", answer.body.len()));
        }
    }
}

#[tokio::test]
async fn every_route_answers_each_kind_of_visitor_as_the_table_says() {
    let port = free_port();
    let mut walk = Walk::new(&[("METRICS_ADDR", &format!("127.0.0.1:{port}"))]).await;
    let revoked = Credentials::revoked(&walk.app).await;
    for route in &ROUTES {
        let customer = Credentials::of_new_sessions(&walk.app).await;
        for (who, credentials, expected) in [
            ("anonymous", &Credentials::default(), route.anonymous),
            ("revoked", &revoked, route.revoked),
            ("customer", &customer, route.customer),
        ] {
            walk.expect(who, credentials, route.method.clone(), route.pattern, expected).await;
            if route.method == Method::GET {
                walk.expect(who, credentials, Method::HEAD, route.pattern, expected).await;
            }
        }
    }
    let has = |method: Method, pattern| ROUTES.iter().any(|route| route.method == method && route.pattern == pattern);
    let customer = Credentials::of_new_sessions(&walk.app).await;
    for route in ROUTES.iter().filter(|route| route.method == Method::POST && !has(Method::GET, route.pattern)) {
        for method in [Method::GET, Method::HEAD] {
            walk.expect("customer", &customer, method, route.pattern, (405, "")).await;
        }
    }
    assert!(walk.wrong.is_empty(), "{:#?}", walk.wrong);
    let metrics = format!("GET /metrics HTTP/1.1\r\nHost: localhost:{port}\r\nConnection: close\r\n\r\n");
    let metrics = http::send_raw(port, metrics.as_bytes()).unwrap().text();
    // What the table calls a route is one of the program's, and was asked for.
    for route in ROUTES.iter().filter(|route| !["/metrics", "/static/site.css"].contains(&route.pattern)) {
        let counted = format!("http_requests_total{{method=\"{}\",route=\"{}\"", route.method, route.pattern);
        assert!(metrics.contains(&counted), "{counted} was never answered");
    }
}

/// Each method and pattern that a file registers.
fn registered(file: &Path) -> Vec<(Method, String)> {
    let text = code_of(file);
    let name = file.strip_prefix(source()).unwrap().display().to_string();
    let mut found = Vec::new();
    for (at, _) in text.match_indices("web::resource(\"") {
        let function = text[..at].rsplit("fn ").next().unwrap().split(['(', '<']).next().unwrap();
        let scope = CONFIGURED_IN.iter().find(|(place, _)| *place == format!("{name} {function}"));
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
fn route_table_names_every_route_that_the_source_registers() {
    let files = rust_files(&source());
    let in_source: BTreeSet<String> =
        files.iter().flat_map(|file| registered(file)).map(|(method, pattern)| format!("{method} {pattern}")).collect();
    // Static files are a scope of their own, without resources.
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
                "{}: a {call}…) whose address is not a literal",
                file.display()
            );
        }
        for call in [".route(", "web::patch(", "web::put(", "web::delete(", "#[get(", "#[post("] {
            assert!(
                !text.contains(call),
                "{} registers a route by {call}…), which the table's check does not see",
                file.display()
            );
        }
        for scope in text.split("web::scope(\"").skip(1).map(|rest| rest.split('"').next().unwrap()) {
            assert!(SCOPES.contains(&scope), "{}: the scope {scope} is not in the table's check", file.display());
        }
    }
}
