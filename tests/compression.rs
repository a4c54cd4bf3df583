//! Compression: negotiation and memory.

use std::io::{Read, Write};
use std::sync::{Arc, Barrier};
use std::time::Duration;

use reqwest::Method;

use crate::app::{ANN, TestApp};
use crate::connections::{connect_from, raise_descriptor_limit};
use crate::http::{self, send_raw};

/// Requests the path three times over each of many concurrent connections.
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
                let mut responses = Vec::new();
                stream.read_to_end(&mut responses).unwrap();
                let heads = responses.windows(12).filter(|bytes| *bytes == b"HTTP/1.1 200").count();
                assert_eq!(heads, 3, "{path} {encoding}");
            };
            std::thread::Builder::new().stack_size(256 * 1024).spawn(client).unwrap()
        })
        .collect();
    clients.into_iter().for_each(|client| client.join().unwrap());
}

#[tokio::test]
async fn compression_for_many_clients_takes_bounded_memory() {
    raise_descriptor_limit();
    let app = TestApp::start().await;
    let floods = [("/static/site.css", "br"), ("/static/site.css", "gzip"), ("/login", "br"), ("/login", "gzip")];
    for (path, encoding) in floods {
        flood(app.port, 2, path, encoding);
    }
    let idle = app.memory();
    let port = app.port;
    for (path, encoding) in floods {
        let clients = std::thread::spawn(move || flood(port, 256, path, encoding));
        let mut peak = 0;
        while !clients.is_finished() {
            peak = peak.max(app.memory());
            std::thread::sleep(Duration::from_millis(5));
        }
        clients.join().unwrap();
        let above = peak.saturating_sub(idle) / 1024;
        assert!(above <= 64, "{path} as {encoding}: {above} MiB above {} MiB", idle / 1024);
    }
}

#[tokio::test]
async fn compression_follows_accept_encoding() {
    let app = TestApp::start().await;
    for path in ["/login", "/nothing", "/api/openapi.json"] {
        for (accepted, encoding) in
            [("", None), ("identity", None), ("br", Some("br")), ("gzip;q=0.5", Some("gzip")), ("identity;q=0", None)]
        {
            let response = http::send(app.request(Method::GET, path).header("accept-encoding", accepted)).await;
            assert_eq!(response.header("content-encoding"), encoding, "{path} {accepted:?}");
            assert_eq!(response.header("vary"), Some("Accept-Encoding"), "{path} {accepted:?}");
            assert_eq!(response.header("content-length"), Some(response.body.len().to_string().as_str()));
        }
    }
}

/// A 406 would help no client.
#[tokio::test]
async fn client_that_accepts_no_encoding_gets_plain_content() {
    let app = TestApp::start().await;
    for encoding in ["identity;q=0", "*;q=0", "gzip;q=0, identity;q=0", "zstd, identity;q=0"] {
        let get = |path| http::send(app.request(Method::GET, path).header("accept-encoding", encoding));
        assert_eq!(get("/orders").await.redirect(), (303, "/login?next=%2Forders"), "{encoding}");
        assert!(get("/login").await.is_page(200), "{encoding}");
        assert_eq!(get("/static/site.css").await.status, 200, "{encoding}");
        assert!(get("/api/userOrders").await.is_problem(401), "{encoding}");
    }
}

/// w3m and others use HTTP/1.0.
#[tokio::test]
async fn http_1_0_response_is_not_chunked() {
    let app = TestApp::start_with(&[("DEMO_ORDERS", "true")]).await;
    let token = app.customer(ANN).await.token();
    for path in ["/account", "/orders", "/orders.csv", "/static/site.css", "/nothing", "/api/openapi.json"] {
        for encoding in ["identity", "gzip, br"] {
            // A response with a length could keep the connection open, and `send_raw` reads until the close.
            let connection = if path == "/orders.csv" { "keep-alive" } else { "close" };
            let request = format!(
                "GET {path} HTTP/1.0\r\nHost: localhost:{}\r\nCookie: __Host-session={token}\r\nAccept-Encoding: {encoding}\r\nConnection: {connection}\r\n\r\n",
                app.port
            );
            let response = send_raw(app.port, request.as_bytes()).unwrap();
            assert_eq!(response.status, if path == "/nothing" { 404 } else { 200 }, "{path} {encoding}");
            assert_eq!(response.header("transfer-encoding"), None, "{path} {encoding}");
            if path == "/orders.csv" {
                let text = response.text();
                assert!(text.starts_with("\u{feff}") || text.starts_with("Order"), "{text}");
                assert!(text.lines().count() > 20 && text.ends_with("\r\n"), "{text}");
            } else {
                assert!(!response.body.is_empty(), "{path}");
                assert_eq!(response.header("content-length"), Some(response.body.len().to_string().as_str()), "{path}");
            }
        }
    }
}
