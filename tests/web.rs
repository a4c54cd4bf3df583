//! What every answer has, whatever was asked.

use std::time::{Duration, Instant};

use reqwest::{Method, RequestBuilder};

use crate::app::{PASSWORD, TestApp};
use crate::http::{self, Answer, send_raw};
use crate::orders::numbers;
use crate::place::Place;

const HTTPS: [(&str, &str); 5] = [
    ("APP_ENV", "production"),
    ("PUBLIC_URL", "https://shop.example"),
    ("MAIL_URL", "file://mail"),
    ("LOG_FORMAT", "json"),
    ("RUST_LOG", "info"),
];

/// Requests that together bring out every kind of answer, and the status of each.
fn every_kind(app: &TestApp) -> Vec<(&'static str, u16, RequestBuilder)> {
    let get = |path| app.request(Method::GET, path);
    let post = |path| app.request(Method::POST, path);
    vec![
        ("front page", 200, get("/")),
        ("login", 200, get("/login")),
        ("redirect", 303, get("/orders")),
        ("nothing there", 404, get("/nothing/here")),
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
        ("API, nothing there", 404, get("/api/nothing")),
    ]
}

#[tokio::test]
async fn every_response_has_security_headers() {
    let app = TestApp::start().await;
    for (what, status, request) in every_kind(&app) {
        let answer = http::send(request).await;
        assert_eq!(answer.status, status, "{what}");
        assert_secure(what, &answer);
        assert_eq!(answer.header("strict-transport-security"), None, "{what}: over plain HTTP it means nothing");
    }
}

fn assert_secure(what: &str, answer: &Answer) {
    let policy = answer.header("content-security-policy").unwrap_or_else(|| panic!("{what}: no policy"));
    assert!(policy.starts_with("default-src 'none'"), "{what}: {policy}");
    assert!(policy.contains("frame-ancestors 'none'") && !policy.contains("unsafe"), "{what}: {policy}");
    assert_eq!(answer.header("x-content-type-options"), Some("nosniff"), "{what}");
    for name in ["referrer-policy", "permissions-policy", "cross-origin-opener-policy", "cross-origin-resource-policy"]
    {
        assert!(answer.header(name).is_some_and(|value| !value.is_empty()), "{what}: no {name}");
    }
    for name in ["server", "x-powered-by", "access-control-allow-origin"] {
        assert_eq!(answer.header(name), None, "{what}");
    }
}

#[tokio::test]
async fn every_error_is_a_page_in_the_layout() {
    let app = TestApp::start().await;
    for (what, status, request) in
        every_kind(&app).into_iter().filter(|(what, status, _)| *status >= 400 && !what.starts_with("API"))
    {
        let answer = http::send(request).await;
        assert!(answer.is_page(status), "{what}: {:?}", answer.text());
        assert!(answer.text().contains("<h1"), "{what}");
    }
}

#[tokio::test]
async fn request_id_is_unique_and_logged() {
    let app = TestApp::start().await;
    let mut ids = Vec::new();
    for (what, _, request) in every_kind(&app) {
        let answer = http::send(request).await;
        ids.push(answer.header("x-request-id").unwrap_or_else(|| panic!("{what} has none")).to_owned());
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
    let answer = http::send(app.request(Method::GET, "/login").header("host", "shop.example")).await;
    assert!(answer.is_page(200));
    assert!(answer.header("strict-transport-security").unwrap().starts_with("max-age="));
    let localhost = app.get("/login").await;
    assert_eq!(localhost.status, 421, "in production no loopback name is taken");
}

#[tokio::test]
async fn head_has_the_headers_of_get_and_no_body() {
    let app = TestApp::start().await;
    let token = app.customer("ann@example.com").await.token();
    for path in [
        "/",
        "/login",
        "/orders",
        "/nothing",
        "/static/site.css",
        "/healthz",
        "/readyz",
        "/api/openapi.json",
        "/api/userOrders",
    ] {
        // Straight from the socket: clients do not read what follows the head of such an answer.
        let ask = |method: &str| {
            let request = format!(
                "{method} {path} HTTP/1.1\r\nHost: localhost:{}\r\nConnection: close\r\nCookie: __Host-session={token}\r\n\r\n",
                app.port
            );
            send_raw(app.port, request.as_bytes()).unwrap()
        };
        let (get, head) = (ask("GET"), ask("HEAD"));
        for name in ["content-type", "location", "content-length", "cache-control", "www-authenticate"] {
            assert_eq!(head.header(name), get.header(name), "{path}: {name}");
        }
        assert_eq!(head.status, get.status, "{path}");
        assert_eq!(get.body.is_empty(), get.status == 303, "{path}: GET has {} bytes", get.body.len());
        assert_eq!(head.body.len(), 0, "a body follows the head of {path}: {}", head.text());
    }
}

#[tokio::test]
async fn wrong_method_is_405_with_allow() {
    let app = TestApp::start().await;
    let token = app.customer("ann@example.com").await.token();
    for (method, path, right) in [
        (Method::DELETE, "/login", vec!["GET", "POST"]),
        (Method::PUT, "/signup", vec!["GET", "POST"]),
        (Method::GET, "/logout", vec!["POST"]),
        (Method::POST, "/orders", vec!["GET"]),
        (Method::PATCH, "/orders/1", vec!["GET"]),
        (Method::POST, "/healthz", vec!["GET"]),
    ] {
        let request = app.request(method.clone(), path).header("cookie", format!("__Host-session={token}"));
        let answer = http::send(request).await;
        assert_eq!(answer.status, 405, "{method} {path}");
        let allowed = answer.header("allow").unwrap_or_else(|| panic!("{method} {path}: no Allow"));
        assert!(right.iter().all(|one| allowed.contains(one)), "{method} {path}: {allowed}");
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
            let answer = to(path, host.clone()).await;
            assert!(answer.is_page(421), "{host} {path}: {}", answer.status);
            assert!(!answer.text().contains("evil.example"));
        }
        assert_eq!((to("/healthz", host.clone()).await.status, to("/readyz", host).await.status), (200, 200));
    }
    let none = send_raw(app.port, b"GET /login HTTP/1.0\r\n\r\n").unwrap();
    assert_eq!(none.status, 421, "without a host");
    let twice = format!(
        "GET /login HTTP/1.1\r\nHost: localhost:{}\r\nHost: evil.example\r\nConnection: close\r\n\r\n",
        app.port
    );
    assert_eq!(send_raw(app.port, twice.as_bytes()).unwrap().status, 400, "two hosts");
    let target =
        format!("GET http://evil.example/login HTTP/1.1\r\nHost: localhost:{}\r\nConnection: close\r\n\r\n", app.port);
    assert_eq!(send_raw(app.port, target.as_bytes()).unwrap().status, 421, "another host in the request line");
}

#[tokio::test]
async fn csrf_protection_rejects_cross_site_posts() {
    let app = TestApp::start().await;
    let own = format!("http://localhost:{}", app.port);
    let same_host = app.origin();
    let refused: [&[(&str, &str)]; 8] = [
        &[("sec-fetch-site", "cross-site")],
        &[("sec-fetch-site", "same-site")],
        &[("sec-fetch-site", "nonsense")],
        &[("sec-fetch-site", "cross-site"), ("origin", &own)],
        &[("origin", "https://evil.example")],
        &[("origin", "null")],
        &[("origin", "http://localhost")],
        &[("origin", "http://localhost.evil.example")],
    ];
    let taken: [&[(&str, &str)]; 6] = [
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
    for (number, headers) in refused.into_iter().enumerate() {
        let answer = sign_up(number, headers).await;
        assert!(answer.is_page(403), "{headers:?}: {}", answer.status);
    }
    let made: i64 = sqlx::query_scalar("SELECT COUNT(*) FROM users").fetch_one(&app.database().await).await.unwrap();
    assert_eq!(made, 0);
    for (number, headers) in taken.into_iter().enumerate() {
        assert_eq!(sign_up(number, headers).await.status, 303, "{headers:?}");
    }
}

#[tokio::test]
async fn static_files_with_content_hash_are_cached_for_a_year() {
    let app = TestApp::start().await;
    let page = app.get("/login").await.text();
    for name in ["site.css", "site.js", "icon.svg"] {
        let address = page
            .split('"')
            .find(|part| part.starts_with(&format!("/static/{name}")))
            .unwrap_or_else(|| panic!("no {name}"));
        let file = app.get(address).await;
        assert_eq!(file.status, 200);
        let keep = file.header("cache-control").unwrap();
        assert!(keep.contains("max-age=31536000") && keep.contains("immutable"), "{keep}");
        let tag = file.header("etag").unwrap().to_owned();
        let again = http::send(app.request(Method::GET, address).header("if-none-match", tag)).await;
        assert_eq!((again.status, again.body.len()), (304, 0));
    }
    for address in ["/static/site.css", "/static/site.css?v=0123456789abcdef"] {
        let keep = app.get(address).await.header("cache-control").unwrap().to_owned();
        assert!(!keep.contains("31536000"), "{address}: {keep}");
    }
    let css = app.get("/static/site.css").await;
    assert!(css.header("content-type").unwrap().starts_with("text/css"));
}

#[tokio::test]
async fn only_static_files_are_served() {
    let app = TestApp::start().await;
    for (path, status) in [
        ("/static/", 404),
        ("/static", 404),
        ("/static/../Cargo.toml", 404),
        ("/static/%2e%2e/Cargo.toml", 404),
        ("/static/..%2fCargo.toml", 400),
        ("/static/%2e%2e%2f%2e%2e%2fetc/passwd", 400),
        ("/static//etc/passwd", 404),
        ("/static/..\\Cargo.toml", 400),
        ("/static/%00", 404),
        ("/static/.env", 400),
        ("/.env", 404),
        ("/Cargo.toml", 404),
        ("/data/portal.db", 404),
    ] {
        let request = format!("GET {path} HTTP/1.1\r\nHost: localhost:{}\r\nConnection: close\r\n\r\n", app.port);
        let answer = send_raw(app.port, request.as_bytes()).unwrap();
        assert!(answer.is_page(status), "{path}: {} {}", answer.status, answer.text());
    }
}

#[tokio::test]
async fn text_is_compressed_when_accepted() {
    let app = TestApp::start().await;
    for path in ["/login", "/static/site.css", "/api/openapi.json"] {
        for encoding in ["gzip", "br"] {
            let answer = http::send(app.request(Method::GET, path).header("accept-encoding", encoding)).await;
            assert_eq!(answer.header("content-encoding"), Some(encoding), "{path}");
            assert!(answer.all("vary").join(",").to_lowercase().contains("accept-encoding"), "{path}");
        }
        let plain = app.get(path).await;
        assert_eq!(plain.header("content-encoding"), None, "{path}");
    }
}

#[tokio::test]
async fn pages_are_small_without_inline_style_or_script() {
    let app = TestApp::start_with(&[("DEMO_ORDERS", "true")]).await;
    let mut visitor = app.customer("ann@example.com").await;
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
        assert!(!page.contains("<style") && !page.contains(" style=") && !page.contains("javascript:"));
        assert_eq!(page.matches("<script").count(), page.matches("<script src=\"/static/").count());
        for event in ["onclick", "onload", "onsubmit", "onerror"] {
            assert!(!page.contains(&format!(" {event}=")));
        }
        assert_eq!(page.matches("<h1").count(), 1);
        assert!(page.contains("<html lang=\"en\"") && page.contains("class=\"skip\" href=\"#main\""));
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
    let mut visitor = app.customer("ann@example.com").await;
    let order = format!("/orders/{}", numbers(&visitor.get("/orders").await.text())[0]);
    for path in ["/account", "/account/activity", "/account/delete", "/account/time-zone", "/orders", &order] {
        let answer = visitor.get(path).await;
        assert!(answer.is_page(200), "{path}: {}", answer.status);
        assert_eq!(answer.header("cache-control"), Some("no-store"), "{path}");
    }
    let spreadsheet = visitor.get("/orders.csv").await;
    assert_eq!((spreadsheet.status, spreadsheet.header("cache-control")), (200, Some("no-store")));
    let missing = visitor.get("/orders/no-such-order").await;
    assert!(missing.is_page(404));
    assert_eq!(missing.header("cache-control"), Some("no-store"));
}

#[tokio::test]
async fn health_checks_report_process_and_database() {
    let app = TestApp::start().await;
    assert_eq!(app.get("/healthz").await.status, 200);
    assert_eq!(app.get("/readyz").await.status, 200);
}

#[tokio::test]
async fn well_known_change_password_redirects() {
    let app = TestApp::start().await;
    assert_eq!(app.get("/.well-known/change-password").await.leads_to(), (302, "/account#password"));
}

#[tokio::test]
async fn slow_clients_are_cut_off() {
    let app = TestApp::start().await;
    let cases = [
        "GET / HTTP/1.1\r\nHost: loc".to_owned(),
        format!(
            "POST /login HTTP/1.1\r\nHost: localhost:{}\r\nContent-Type: application/x-www-form-urlencoded\r\nContent-Length: 100\r\n\r\nemail=a",
            app.port
        ),
    ];
    let port = app.port;
    let waiting: Vec<_> = cases
        .into_iter()
        .map(|request| {
            std::thread::spawn(move || {
                let began = Instant::now();
                let answer = send_raw(port, request.as_bytes());
                (request, began.elapsed(), answer.map(|answer| answer.status))
            })
        })
        .collect();
    for thread in waiting {
        let (request, took, status) = thread.join().unwrap();
        assert!(took < Duration::from_secs(25), "{request:?} was waited for {took:?}");
        assert_eq!(status, Some(408), "{request:?}");
    }
}

#[tokio::test]
async fn malformed_request_is_refused_and_never_500() {
    let app = TestApp::start().await;
    let host = format!("Host: localhost:{}\r\nConnection: close\r\n", app.port);
    let long = "a".repeat(300_000);
    let requests = [
        (400, "\0\0\0\0\r\n\r\n".to_owned()),
        (400, "GET\r\n\r\n".to_owned()),
        (400, "GET / HTTP/9.9\r\n\r\n".to_owned()),
        (404, format!("GET /%zz HTTP/1.1\r\n{host}\r\n")),
        (200, format!("GET /?%zz&&==&a=%ff HTTP/1.1\r\n{host}\r\n")),
        (404, format!("GET // HTTP/1.1\r\n{host}\r\n")),
        (200, format!("GET /login?next=%ff HTTP/1.1\r\n{host}\r\n")),
        (404, format!("GET * HTTP/1.1\r\n{host}\r\n")),
        (404, format!("OPTIONS * HTTP/1.1\r\n{host}\r\n")),
        (405, format!("TRACE / HTTP/1.1\r\n{host}\r\n")),
        (405, format!("FOO / HTTP/1.1\r\n{host}\r\n")),
        (303, format!("GET /orders HTTP/1.1\r\n{host}Cookie: \u{fc}=\u{fc}; ;;=\r\n\r\n")),
        (
            200,
            format!(
                "GET /orders HTTP/1.1\r\n{host}Sec-Fetch-Site: cross-site\r\nSec-Fetch-Mode: navigate\r\nAccept: */*, \u{ff}\r\n\r\n"
            ),
        ),
        (400, format!("POST /login HTTP/1.1\r\n{host}Content-Length: -1\r\n\r\n")),
        (
            400,
            format!("POST /login HTTP/1.1\r\n{host}Content-Length: 5\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n"),
        ),
        (
            400,
            format!(
                "POST /login HTTP/1.1\r\n{host}Content-Type: application/x-www-form-urlencoded\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\n\r\n"
            ),
        ),
        (415, format!("POST /login HTTP/1.1\r\n{host}Content-Type: multipart/form-data\r\nContent-Length: 1\r\n\r\nx")),
        (
            415,
            format!(
                "POST /login HTTP/1.1\r\n{host}Content-Type: application/x-www-form-urlencoded; charset=nonsense\r\nContent-Length: 1\r\n\r\nx"
            ),
        ),
        (
            400,
            format!(
                "POST /login HTTP/1.1\r\n{host}Content-Encoding: gzip\r\nContent-Type: application/x-www-form-urlencoded\r\nContent-Length: 1\r\n\r\nx"
            ),
        ),
        (303, format!("POST /orders HTTP/1.1\r\n{host}Content-Length: 0\r\n\r\n")),
        (416, format!("GET /static/site.css HTTP/1.1\r\n{host}Range: bytes=9-1,-0,999999999-\r\n\r\n")),
        (
            200,
            format!("GET /static/site.css HTTP/1.1\r\n{host}If-Modified-Since: never\r\nIf-None-Match: \"\"\"\r\n\r\n"),
        ),
    ];
    for (status, request) in requests {
        let answer = send_raw(app.port, request.as_bytes()).unwrap_or_else(|| panic!("no answer to {request:?}"));
        assert_eq!(answer.status, status, "{request:?}");
    }
    // The server may close before all is sent, and then its answer is lost on the way.
    for request in [format!("GET /{long} HTTP/1.1\r\n{host}\r\n"), format!("GET / HTTP/1.1\r\n{host}X: {long}\r\n\r\n")]
    {
        let status = send_raw(app.port, request.as_bytes()).map_or(431, |answer| answer.status);
        assert_eq!(status, 431, "{} bytes of head", request.len());
    }
    assert_eq!(app.get("/healthz").await.status, 200);
    assert!(!app.logs().contains("panicked"), "{}", app.logs());
}

#[tokio::test]
async fn start_without_static_files_fails() {
    let mut place = Place::new().await;
    place.set("STATIC_DIR", "nowhere");
    let ran = place.run(&["serve"]);
    assert!(ran.status == 1 && ran.stderr.contains("nowhere") && ran.stderr.contains("STATIC_DIR"), "{ran:?}");
}
