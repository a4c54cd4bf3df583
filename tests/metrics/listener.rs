//! The listener of the metrics.

use std::time::{Duration, Instant};

use super::{Metrics, start};
use crate::app::{ANN, TestApp};
use crate::connections::connect_from;
use crate::sandbox::Sandbox;
use crate::tls::{Certificate, https_sandbox};

#[tokio::test]
async fn metrics_answer_to_their_own_hosts_alone() {
    let (_app, metrics) = start().await;
    let port = metrics.port;
    for host in [format!("localhost:{port}"), format!("127.0.0.1:{port}"), "192.0.2.7".to_owned(), "[::1]:1".to_owned()]
    {
        assert_eq!(metrics.response(&host).status, 200, "{host}");
    }
    for host in [format!("evil.example:{port}"), format!("127.0.0.1.evil.example:{port}"), String::new()] {
        let response = metrics.response(&host);
        assert_eq!(response.status, 421, "{host}");
        assert!(!response.text().contains("build_info"), "{host}");
    }
}

#[tokio::test]
async fn metrics_contain_no_address_id_or_path() {
    let (app, metrics) = start().await;
    let mut ann = app.customer(ANN).await;
    app.log_in(ANN, "wrong password").await;
    app.import(&[crate::shop::order("7001", ANN)]);
    for path in ["/orders", "/orders/7001", "/nothing/secret-path", "/orders?q=secret-query"] {
        ann.get(path).await;
    }
    let text = metrics.text();
    assert!(text.contains("route=\"/orders/{number}\""), "{text}");
    for personal in [ANN, "example.com", "7001", "secret", "127.0.0.1", &ann.token()] {
        assert!(!text.contains(personal), "{personal}: {text}");
    }
}

#[tokio::test]
async fn open_and_refused_connections_are_counted() {
    crate::connections::raise_descriptor_limit();
    let mut sandbox = Sandbox::new().await;
    sandbox.limit_descriptors(300);
    let metrics = Metrics::enable(&mut sandbox);
    let app = TestApp::start_in(sandbox).await;
    let limit = metrics.value("http_connections_limit");
    assert!((32.0..300.0).contains(&limit), "{limit}");
    let before = metrics.value("http_connections_open");
    let open: Vec<_> = (0..3).map(|_| connect_from([127, 0, 0, 3], app.port)).collect();
    metrics.wait_for("http_connections_open", |count| count >= before + 3.0 - 1.0).await;
    let many: Vec<_> = (0..300).map(|_| connect_from([127, 0, 0, 4], app.port)).collect();
    metrics.wait_for("http_connections_refused_total", |count| count > 200.0).await;
    drop((open, many));
    metrics.wait_for("http_connections_open", |count| count <= 2.0).await;
}

#[tokio::test]
async fn expiry_of_the_certificate_follows_a_reload() {
    const SERIES: &str = "tls_certificate_not_after_timestamp_seconds";
    let first = Certificate::new();
    let mut sandbox = https_sandbox(&first).await;
    let metrics = Metrics::enable(&mut sandbox);
    let app = TestApp::start_in(sandbox).await;
    // rcgen's certificates expire in the year 4096.
    assert_eq!(metrics.value(SERIES), 67_090_118_400.0);
    let expires = time::macros::datetime!(2031-02-03 04:05:06 UTC);
    Certificate::expiring(expires).write(&app);
    app.signal("HUP");
    metrics.wait_for(SERIES, |at| at == expires.unix_timestamp() as f64).await;
    // Without TLS there is no such metric.
    let (_plain, metrics) = start().await;
    assert!(!metrics.text().contains(SERIES));
}

#[tokio::test]
async fn scrapes_do_not_wait_for_each_other() {
    let (_app, metrics) = start().await;
    let began = Instant::now();
    for _ in 0..20 {
        metrics.text();
    }
    assert!(began.elapsed() < Duration::from_secs(5), "20 scrapes took {:?}", began.elapsed());
}
