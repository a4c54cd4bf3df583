//! Headers of every response, host check, CSRF protection, methods.

use reqwest::{Method, RequestBuilder};

use crate::app::{ANN, PASSWORD, TestApp};
use crate::http::{self, Response, send_raw};
use crate::orders::numbers;

const HTTPS: [(&str, &str); 5] = [
    ("APP_ENV", "production"),
    ("PUBLIC_URL", "https://shop.example"),
    ("MAIL_URL", "file://mail"),
    ("LOG_FORMAT", "json"),
    ("RUST_LOG", "info"),
];

/// A request for each kind of response, with its status.
fn each_kind(app: &TestApp) -> Vec<(&'static str, u16, RequestBuilder)> {
    let get = |path| app.request(Method::GET, path);
    let post = |path| app.request(Method::POST, path);
    vec![
        ("front page", 200, get("/")),
        ("login", 200, get("/login")),
        ("redirect", 303, get("/orders")),
        ("missing page", 404, get("/nothing/here")),
        ("wrong method", 405, app.request(Method::DELETE, "/login")),
        ("wrong credentials", 401, post("/login").form(&[("email", "a@example.com"), ("password", "x")])),
        ("wrong form", 422, post("/signup").form(&[("email", "a"), ("password", "x")])),
        ("too large", 413, post("/login").form(&[("email", "a".repeat(2_000_000))])),
        ("forged", 403, post("/login").header("sec-fetch-site", "cross-site")),
        ("another host", 421, get("/").header("host", "evil.example")),
        ("static file", 200, get("/static/site.css")),
        ("no such static file", 404, get("/static/nothing.css")),
        ("liveness", 200, get("/healthz")),
        ("readiness", 200, get("/readyz")),
        ("API without a token", 401, get("/api/userOrders")),
        ("API with a bad token", 403, get("/api/userOrders").bearer_auth("x")),
        ("API document", 200, get("/api/openapi.json")),
        ("missing API path", 404, get("/api/nothing")),
    ]
}

#[tokio::test]
async fn every_response_has_security_headers() {
    let app = TestApp::start().await;
    for (what, status, request) in each_kind(&app) {
        let response = http::send(request).await;
        assert_eq!(response.status, status, "{what}");
        assert_secure(what, &response);
        assert_eq!(response.header("strict-transport-security"), None, "{what}: HSTS over plain HTTP");
    }
}

fn assert_secure(what: &str, response: &Response) {
    let policy = response.header("content-security-policy").unwrap_or_else(|| panic!("{what}: no policy"));
    assert!(policy.starts_with("default-src 'none'"), "{what}: {policy}");
    assert!(policy.contains("frame-ancestors 'none'") && !policy.contains("unsafe"), "{what}: {policy}");
    assert_eq!(response.header("x-content-type-options"), Some("nosniff"), "{what}");
    for name in ["referrer-policy", "permissions-policy", "cross-origin-opener-policy", "cross-origin-resource-policy"]
    {
        assert!(response.header(name).is_some_and(|value| !value.is_empty()), "{what}: no {name}");
    }
    for name in ["server", "x-powered-by", "access-control-allow-origin"] {
        assert_eq!(response.header(name), None, "{what}");
    }
}

#[tokio::test]
async fn request_id_is_unique_and_logged() {
    let app = TestApp::start().await;
    let mut ids = Vec::new();
    for (what, _, request) in each_kind(&app) {
        let response = http::send(request).await;
        ids.push(response.header("x-request-id").unwrap_or_else(|| panic!("{what} has none")).to_owned());
    }
    let logs = app.logs();
    for id in &ids {
        assert!(id.len() >= 8 && logs.contains(id.as_str()), "{id} is not in the log");
    }
    let count = ids.len();
    ids.sort();
    ids.dedup();
    assert_eq!(ids.len(), count);
}

#[tokio::test]
async fn hsts_is_sent_when_the_origin_is_https() {
    let app = TestApp::start_with(&HTTPS).await;
    let response = http::send(app.request(Method::GET, "/login").header("host", "shop.example")).await;
    assert!(response.is_page(200));
    assert!(response.header("strict-transport-security").unwrap().starts_with("max-age="));
    let localhost = app.get("/login").await;
    assert_eq!(localhost.status, 421, "a loopback host is accepted in production");
}

#[tokio::test]
async fn head_has_the_headers_of_get_and_no_body() {
    let app = TestApp::start().await;
    let token = app.customer(ANN).await.token();
    for path in [
        "/",
        "/login",
        "/orders",
        "/nothing",
        "/static/site.css",
        "/orders.csv",
        "/healthz",
        "/readyz",
        "/api/openapi.json",
        "/api/userOrders",
    ] {
        // Over a socket, because clients do not read a body after such a head.
        let send = |method: &str| {
            let request = format!(
                "{method} {path} HTTP/1.1\r\nHost: localhost:{}\r\nConnection: close\r\nCookie: __Host-session={token}\r\n\r\n",
                app.port
            );
            send_raw(app.port, request.as_bytes()).unwrap()
        };
        let (get, head) = (send("GET"), send("HEAD"));
        let names =
            ["content-type", "content-disposition", "location", "content-length", "cache-control", "www-authenticate"];
        for name in names {
            assert_eq!(head.header(name), get.header(name), "{path}: {name}");
        }
        assert_eq!(head.status, get.status, "{path}");
        assert_eq!(get.body.is_empty(), get.status == 303, "{path}: GET has {} bytes", get.body.len());
        assert_eq!(head.body.len(), 0, "HEAD {path} has a body: {}", head.text());
    }
}

#[tokio::test]
async fn wrong_method_is_405_with_allow() {
    let app = TestApp::start().await;
    let token = app.customer(ANN).await.token();
    for (method, path, expected) in [
        (Method::DELETE, "/login", vec!["GET", "POST"]),
        (Method::PUT, "/signup", vec!["GET", "POST"]),
        (Method::GET, "/logout", vec!["POST"]),
        (Method::POST, "/orders", vec!["GET"]),
        (Method::PATCH, "/orders/1", vec!["GET"]),
        (Method::POST, "/healthz", vec!["GET"]),
    ] {
        let request = app.request(method.clone(), path).header("cookie", format!("__Host-session={token}"));
        let response = http::send(request).await;
        assert_eq!(response.status, 405, "{method} {path}");
        let allowed = response.header("allow").unwrap_or_else(|| panic!("{method} {path}: no Allow"));
        assert!(expected.iter().all(|one| allowed.contains(one)), "{method} {path}: {allowed}");
    }
}

#[tokio::test]
async fn requests_for_other_hosts_are_421() {
    let app = TestApp::start().await;
    let to = |path, host: String| http::send(app.request(Method::GET, path).header("host", host));
    for name in ["localhost", "127.0.0.1", "[::1]", "LOCALHOST"] {
        assert_eq!(to("/login", format!("{name}:{}", app.port)).await.status, 200, "{name}");
    }
    let others = [
        "evil.example".to_owned(),
        format!("evil.example:{}", app.port),
        "localhost".to_owned(),
        format!("localhost:{}", app.port - 1),
        format!("localhost.evil.example:{}", app.port),
        format!("localhost:{}@evil.example", app.port),
    ];
    for host in others {
        for path in ["/login", "/nothing", "/static/site.css", "/orders"] {
            let response = to(path, host.clone()).await;
            assert!(response.is_page(421), "{host} {path}: {}", response.status);
            assert!(!response.text().contains("evil.example"));
        }
        assert_eq!((to("/healthz", host.clone()).await.status, to("/readyz", host).await.status), (200, 200));
    }
}

#[tokio::test]
async fn csrf_protection_rejects_cross_site_posts() {
    let app = TestApp::start().await;
    let own = format!("http://localhost:{}", app.port);
    let same_host = app.origin();
    let rejected: [&[(&str, &str)]; 8] = [
        &[("sec-fetch-site", "cross-site")],
        &[("sec-fetch-site", "same-site")],
        &[("sec-fetch-site", "nonsense")],
        &[("sec-fetch-site", "cross-site"), ("origin", &own)],
        &[("origin", "https://evil.example")],
        &[("origin", "null")],
        &[("origin", "http://localhost")],
        &[("origin", "http://localhost.evil.example")],
    ];
    let accepted: [&[(&str, &str)]; 6] = [
        &[],
        &[("sec-fetch-site", "same-origin")],
        &[("sec-fetch-site", "none")],
        &[("origin", &own)],
        &[("origin", &same_host)],
        &[("sec-fetch-site", "same-origin"), ("origin", &own)],
    ];
    let sign_up = |number: usize, headers: &[(&str, &str)]| {
        let fields = [("email", format!("customer{number}@example.com")), ("password", PASSWORD.to_owned())];
        let request = app.request(Method::POST, "/signup").form(&fields);
        http::send(headers.iter().fold(request, |request, (name, value)| request.header(*name, *value)))
    };
    for (number, headers) in rejected.into_iter().enumerate() {
        let response = sign_up(number, headers).await;
        assert!(response.is_page(403), "{headers:?}: {}", response.status);
    }
    assert_eq!(app.count("users").await, 0);
    for (number, headers) in accepted.into_iter().enumerate() {
        assert_eq!(sign_up(number, headers).await.status, 303, "{headers:?}");
    }
}

#[tokio::test]
async fn pages_are_small_without_inline_style_or_script() {
    let app = TestApp::start_with(&[("DEMO_ORDERS", "true")]).await;
    let mut visitor = app.customer(ANN).await;
    let orders = visitor.get("/orders").await.text();
    let order =
        orders.split("href=\"").map(|rest| rest.split('"').next().unwrap()).find(|path| path.starts_with("/orders/"));
    let mut pages = vec![orders.clone(), visitor.get(order.unwrap()).await.text()];
    for path in ["/", "/login", "/signup", "/nothing"] {
        pages.push(app.get(path).await.text());
    }
    let mut titles = Vec::new();
    for page in &pages {
        assert!(page.len() < 15 * 1024, "{} bytes", page.len());
        assert!(!page.contains("<style") && !page.contains(" style="));
        assert_eq!(page.matches("<script").count(), page.matches("<script src=\"/static/").count());
        assert!(page.contains("class=\"skip\" href=\"#main\""));
        titles.push(page.split("<title>").nth(1).unwrap().split("</title>").next().unwrap());
    }
    let count = titles.len();
    titles.sort_unstable();
    titles.dedup();
    assert_eq!(titles.len(), count, "two pages share a title: {titles:?}");
}

#[tokio::test]
async fn guarded_pages_are_no_store() {
    let app = TestApp::start_with(&[("DEMO_ORDERS", "true")]).await;
    let mut visitor = app.customer(ANN).await;
    let order = format!("/orders/{}", numbers(&visitor.get("/orders").await.text())[0]);
    for path in ["/account", "/account/activity", "/account/delete", "/account/time-zone", "/orders", &order] {
        let response = visitor.get(path).await;
        assert!(response.is_page(200), "{path}: {}", response.status);
        assert_eq!(response.header("cache-control"), Some("no-store"), "{path}");
    }
    let spreadsheet = visitor.get("/orders.csv").await;
    assert_eq!((spreadsheet.status, spreadsheet.header("cache-control")), (200, Some("no-store")));
    let missing = visitor.get("/orders/no-such-order").await;
    assert!(missing.is_page(404));
    assert_eq!(missing.header("cache-control"), Some("no-store"));
}
