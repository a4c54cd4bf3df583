//! Compressed answers and what they take.

use std::io::{Read, Write};
use std::sync::{Arc, Barrier};
use std::time::Duration;

use reqwest::Method;

use crate::app::TestApp;
use crate::connections::{allow_many_connections, connect_from};
use crate::http::{self, send_raw};

/// Gets the path over so many connections at once, several times on each.
fn flood(port: u16, connections: usize, path: &'static str, encoding: &'static str) {
    let barrier = Arc::new(Barrier::new(connections));
    let clients: Vec<_> = (0..connections)
        .map(|_| {
            let barrier = barrier.clone();
            let client = move || {
                let mut stream = connect_from([127, 0, 0, 1], port);
                let head = format!("GET {path} HTTP/1.1\r\nHost: localhost:{port}\r\nAccept-Encoding: {encoding}\r\n");
                barrier.wait();
                stream.write_all(format!("{head}\r\n{head}\r\n{head}Connection: close\r\n\r\n").as_bytes()).unwrap();
                let mut answers = Vec::new();
                stream.read_to_end(&mut answers).unwrap();
                let heads = answers.windows(12).filter(|bytes| *bytes == b"HTTP/1.1 200").count();
                assert_eq!(heads, 3, "{path} {encoding}");
            };
            std::thread::Builder::new().stack_size(256 * 1024).spawn(client).unwrap()
        })
        .collect();
    clients.into_iter().for_each(|client| client.join().unwrap());
}

#[tokio::test]
async fn compression_takes_no_more_memory_for_many_clients() {
    allow_many_connections();
    let app = TestApp::start().await;
    let floods = [("/static/site.css", "br"), ("/static/site.css", "gzip"), ("/login", "br"), ("/login", "gzip")];
    for (path, encoding) in floods {
        flood(app.port, 2, path, encoding);
    }
    let idle = app.memory();
    let port = app.port;
    for (path, encoding) in floods {
        let flooded = std::thread::spawn(move || flood(port, 256, path, encoding));
        let mut most = 0;
        while !flooded.is_finished() {
            most = most.max(app.memory());
            std::thread::sleep(Duration::from_millis(5));
        }
        flooded.join().unwrap();
        let above = most.saturating_sub(idle) / 1024;
        assert!(above <= 64, "{path} as {encoding}: {above} MiB above {} MiB", idle / 1024);
    }
}

#[tokio::test]
async fn page_varies_with_accept_encoding() {
    let app = TestApp::start().await;
    for path in ["/login", "/nothing", "/api/openapi.json"] {
        for encoding in ["", "identity", "br", "gzip;q=0.5", "identity;q=0"] {
            let answer = http::send(app.request(Method::GET, path).header("accept-encoding", encoding)).await;
            assert_eq!(answer.header("vary"), Some("Accept-Encoding"), "{path} {encoding:?}");
            assert_eq!(answer.header("content-length"), Some(answer.body.len().to_string().as_str()));
        }
    }
}

/// What cannot be compressed is sent as it is, not refused.
#[tokio::test]
async fn client_that_takes_nothing_is_answered_anyway() {
    let app = TestApp::start().await;
    for encoding in ["identity;q=0", "*;q=0", "gzip;q=0, identity;q=0", "zstd, identity;q=0"] {
        let get = |path| http::send(app.request(Method::GET, path).header("accept-encoding", encoding));
        assert_eq!(get("/orders").await.leads_to(), (303, "/login?next=%2Forders"), "{encoding}");
        assert!(get("/login").await.is_page(200), "{encoding}");
        assert_eq!(get("/static/site.css").await.status, 200, "{encoding}");
        assert!(get("/api/userOrders").await.is_problem(401), "{encoding}");
    }
}

/// w3m, among others, speaks HTTP/1.0.
#[tokio::test]
async fn http_10_is_answered_without_chunks() {
    let app = TestApp::start_with(&[("DEMO_ORDERS", "true")]).await;
    let token = app.customer("ann@example.com").await.token();
    for path in ["/account", "/orders", "/orders.csv", "/static/site.css", "/nothing", "/api/openapi.json"] {
        for encoding in ["identity", "gzip, br"] {
            // What has a length may be kept, and then reading to the end would wait for its end.
            let connection = if path == "/orders.csv" { "keep-alive" } else { "close" };
            let request = format!(
                "GET {path} HTTP/1.0\r\nHost: localhost:{}\r\nCookie: __Host-session={token}\r\nAccept-Encoding: {encoding}\r\nConnection: {connection}\r\n\r\n",
                app.port
            );
            let answer = send_raw(app.port, request.as_bytes()).unwrap();
            assert_eq!(answer.status, if path == "/nothing" { 404 } else { 200 }, "{path} {encoding}");
            assert_eq!(answer.header("transfer-encoding"), None, "{path} {encoding}");
            if path == "/orders.csv" {
                let text = answer.text();
                assert!(text.starts_with("\u{feff}") || text.starts_with("Order"), "{text}");
                assert!(text.lines().count() > 20 && text.ends_with("\r\n"), "{text}");
            } else {
                assert!(!answer.body.is_empty(), "{path}");
                assert_eq!(answer.header("content-length"), Some(answer.body.len().to_string().as_str()), "{path}");
            }
        }
    }
}
