//! Graceful shutdown: readiness during the drain, no interrupted request, a second signal.

use std::io::{ErrorKind, Read, Write};
use std::net::TcpStream;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use crate::app::{PASSWORD, TestApp};
use crate::http::{self, send_raw};

const ROUNDS: usize = 10;

/// The outcome of one request on one connection.
enum Exchange {
    /// A complete response; `closes` if it has `Connection: close`.
    Complete { closes: bool },
    /// The connection ended before the first byte of a response.
    Nothing(String),
    /// The connection ended within a response.
    Cut(String),
}

fn exchange(stream: &mut TcpStream, request: &[u8]) -> Exchange {
    if let Err(error) = stream.write_all(request) {
        return Exchange::Nothing(error.to_string());
    }
    let (mut received, mut buffer) = (Vec::new(), [0; 16 * 1024]);
    loop {
        let ended = match stream.read(&mut buffer) {
            Ok(0) => "closed".to_owned(),
            Ok(read) => {
                received.extend_from_slice(&buffer[..read]);
                if let Some(closes) = complete_response(&received) {
                    return Exchange::Complete { closes };
                }
                continue;
            }
            Err(error) if error.kind() == ErrorKind::Interrupted => continue,
            Err(error) => error.to_string(),
        };
        return if received.is_empty() { Exchange::Nothing(ended) } else { Exchange::Cut(ended) };
    }
}

/// Whether a response has `Connection: close`; `None` while it is incomplete.
fn complete_response(received: &[u8]) -> Option<bool> {
    let end = received.windows(4).position(|four| four == b"\r\n\r\n")?;
    let head = String::from_utf8_lossy(&received[..end]).to_ascii_lowercase();
    let length: usize = head.lines().find_map(|line| line.strip_prefix("content-length: "))?.trim().parse().unwrap();
    (received.len() >= end + 4 + length).then(|| head.contains("\r\nconnection: close"))
}

fn connect(port: u16) -> Option<TcpStream> {
    let stream = TcpStream::connect(("127.0.0.1", port)).ok()?;
    stream.set_read_timeout(Some(Duration::from_secs(20))).unwrap();
    Some(stream)
}

#[derive(Clone, Default)]
struct Load {
    answered: Arc<AtomicUsize>,
    is_over: Arc<AtomicBool>,
}

impl Load {
    /// A connection for each request until the server refuses connections. Returns the first interrupted request.
    fn new_connections(&self, port: u16) -> JoinHandle<Option<String>> {
        let load = self.clone();
        let request = format!("GET /login HTTP/1.1\r\nHost: localhost:{port}\r\nConnection: close\r\n\r\n");
        std::thread::spawn(move || {
            while let Some(mut stream) = connect(port) {
                match exchange(&mut stream, request.as_bytes()) {
                    Exchange::Complete { .. } => load.answered.fetch_add(1, Ordering::Relaxed),
                    Exchange::Nothing(ended) => return Some(format!("no response on a new connection: {ended}")),
                    Exchange::Cut(ended) => {
                        return Some(format!("an incomplete response on a new connection: {ended}"));
                    }
                };
            }
            None
        })
    }

    /// Many requests on each connection until the server refuses connections. The server may close an idle connection at the moment of
    /// a request (RFC 9112 section 9.3.1), but not within a response.
    fn persistent_connections(&self, port: u16) -> JoinHandle<Option<String>> {
        let load = self.clone();
        let request = format!("GET /login HTTP/1.1\r\nHost: localhost:{port}\r\n\r\n");
        std::thread::spawn(move || {
            while let Some(mut stream) = connect(port) {
                for number in 0.. {
                    match exchange(&mut stream, request.as_bytes()) {
                        Exchange::Complete { closes: false } => {}
                        Exchange::Complete { closes: true } => break,
                        Exchange::Nothing(_) if number > 0 => break,
                        Exchange::Nothing(ended) => return Some(format!("no response to a first request: {ended}")),
                        Exchange::Cut(ended) => return Some(format!("an incomplete response: {ended}")),
                    }
                    load.answered.fetch_add(1, Ordering::Relaxed);
                    std::thread::sleep(Duration::from_millis(5));
                }
            }
            None
        })
    }

    /// A connection that is open at the stop and sends its first request later.
    fn late_request(&self, port: u16) -> JoinHandle<Option<String>> {
        let load = self.clone();
        let request = format!("GET /login HTTP/1.1\r\nHost: localhost:{port}\r\n\r\n");
        std::thread::spawn(move || {
            let mut stream = connect(port).unwrap();
            while !load.is_over.load(Ordering::Relaxed) {
                std::thread::sleep(Duration::from_millis(5));
            }
            std::thread::sleep(Duration::from_millis(700));
            match exchange(&mut stream, request.as_bytes()) {
                Exchange::Complete { closes: true } => None,
                Exchange::Complete { closes: false } => Some("the response has no Connection: close".to_owned()),
                Exchange::Nothing(ended) | Exchange::Cut(ended) => Some(format!("a late first request: {ended}")),
            }
        })
    }
}

#[tokio::test]
async fn stop_interrupts_no_accepted_request_under_load() {
    let mut app = TestApp::start().await;
    for round in 0..ROUNDS {
        let load = Load::default();
        let mut clients: Vec<_> = (0..6).map(|_| load.new_connections(app.port)).collect();
        clients.extend((0..6).map(|_| load.persistent_connections(app.port)));
        clients.push(load.late_request(app.port));
        let began = Instant::now();
        while load.answered.load(Ordering::Relaxed) < 60 {
            assert!(began.elapsed() < Duration::from_secs(30), "no load");
            std::thread::sleep(Duration::from_millis(5));
        }
        app.signal("TERM");
        load.is_over.store(true, Ordering::Relaxed);
        let interrupted: Vec<String> = clients.into_iter().filter_map(|client| client.join().unwrap()).collect();
        assert!(interrupted.is_empty(), "round {round}: {interrupted:?}");
        assert_eq!(app.wait().code(), Some(0), "{}", app.logs());
        assert!(!app.logs().contains("requests cut"), "{}", app.logs());
        app.restart().await;
    }
}

fn get(port: u16, path: &str) -> http::Response {
    let request = format!("GET {path} HTTP/1.1\r\nHost: localhost:{port}\r\n\r\n");
    send_raw(port, request.as_bytes()).unwrap_or_else(|| panic!("no response for {path}"))
}

#[tokio::test]
async fn draining_server_is_unready_serves_and_announces_close() {
    let metrics = crate::sandbox::free_port();
    let settings = [("DRAIN_SECONDS", "2"), ("METRICS_ADDR", &format!("127.0.0.1:{metrics}"))];
    let mut app = TestApp::start_with(&settings).await;
    assert_eq!(app.get("/readyz").await.status, 200);
    assert_eq!(app.get("/healthz").await.header("connection"), None);
    app.signal("TERM");
    let signalled_at = Instant::now();
    while app.get("/readyz").await.status == 200 {
        assert!(signalled_at.elapsed() < Duration::from_secs(1), "still ready");
    }
    while signalled_at.elapsed() < Duration::from_millis(1500) {
        // Each reads until the server closes the connection, which happens at once.
        let began = Instant::now();
        let (ready, lives, page) = (get(app.port, "/readyz"), get(app.port, "/healthz"), get(app.port, "/login"));
        assert_eq!((ready.status, lives.status, page.status), (503, 200, 200));
        for response in [ready, lives, page] {
            assert_eq!(response.header("connection"), Some("close"));
        }
        assert!(began.elapsed() < Duration::from_secs(1), "the connections stayed open");
        let request = format!("GET /metrics HTTP/1.1\r\nHost: localhost:{metrics}\r\nConnection: close\r\n\r\n");
        assert_eq!(send_raw(metrics, request.as_bytes()).unwrap().status, 200);
        std::thread::sleep(Duration::from_millis(100));
    }
    assert_eq!(app.wait().code(), Some(0), "{}", app.logs());
    assert!(signalled_at.elapsed() >= Duration::from_secs(2), "{:?}", signalled_at.elapsed());
    assert!(TcpStream::connect(("127.0.0.1", app.port)).is_err());
}

const LOGIN: &str = "email=ann%40example.com&password=not-the-password";

/// The head of a login whose body is [`LOGIN`].
fn login_head(port: u16) -> String {
    format!(
        "POST /login HTTP/1.1\r\nHost: localhost:{port}\r\nOrigin: http://localhost:{port}\r\nContent-Length: {}\r\n\
         Content-Type: application/x-www-form-urlencoded\r\n\r\n",
        LOGIN.len()
    )
}

#[tokio::test]
async fn request_with_unfinished_body_at_the_stop_is_answered() {
    let mut app = TestApp::start().await;
    let head = login_head(app.port);
    let mut stream = connect(app.port).unwrap();
    stream.write_all(head.as_bytes()).unwrap();
    stream.write_all(&LOGIN.as_bytes()[..10]).unwrap();
    std::thread::sleep(Duration::from_millis(200));
    app.signal("TERM");
    std::thread::sleep(Duration::from_secs(4));
    assert!(TcpStream::connect(("127.0.0.1", app.port)).is_err(), "the server accepts new connections");
    stream.write_all(&LOGIN.as_bytes()[10..]).unwrap();
    let mut response = String::new();
    stream.read_to_string(&mut response).unwrap();
    assert!(response.starts_with("HTTP/1.1 401") && response.trim_end().ends_with("</html>"), "{response}");
    assert_eq!(app.wait().code(), Some(0), "{}", app.logs());
}

#[tokio::test]
async fn second_signal_stops_at_once() {
    for (first, second) in [("TERM", "TERM"), ("INT", "INT"), ("TERM", "INT")] {
        let mut app = TestApp::start_with(&[("DRAIN_SECONDS", "300")]).await;
        app.signal(first);
        std::thread::sleep(Duration::from_millis(500));
        assert_eq!(app.get("/healthz").await.status, 200, "{first} alone stopped the server");
        let signalled_at = Instant::now();
        assert_eq!(app.stop_with(second).code(), Some(0), "{first}, {second}: {}", app.logs());
        assert!(signalled_at.elapsed() < Duration::from_secs(3), "{first}, {second}: {:?}", signalled_at.elapsed());
    }
}

#[tokio::test]
async fn second_signal_interrupts_an_unfinished_request() {
    let mut app = TestApp::start().await;
    let mut stream = connect(app.port).unwrap();
    stream.write_all(login_head(app.port).as_bytes()).unwrap();
    std::thread::sleep(Duration::from_millis(200));
    app.signal("TERM");
    std::thread::sleep(Duration::from_secs(3));
    // The server waits for the body.
    stream.set_read_timeout(Some(Duration::from_millis(100))).unwrap();
    assert_eq!(stream.read(&mut [0; 1]).unwrap_err().kind(), ErrorKind::WouldBlock);
    let signalled_at = Instant::now();
    assert_eq!(app.stop_with("TERM").code(), Some(0), "{}", app.logs());
    assert!(signalled_at.elapsed() < Duration::from_secs(3), "{:?}", signalled_at.elapsed());
}

#[tokio::test]
async fn idle_server_stops_within_3_seconds() {
    let mut app = TestApp::start().await;
    app.get("/login").await;
    let signalled_at = Instant::now();
    app.stop_with("TERM");
    assert!(signalled_at.elapsed() < Duration::from_millis(2500), "{:?}", signalled_at.elapsed());
}

#[tokio::test]
async fn stop_finishes_requests_and_closes_the_database() {
    for signal in ["TERM", "INT"] {
        let mut app = TestApp::start().await;
        let requests = (0..6).map(|number| {
            let fields = [("email", format!("customer{number}@example.com")), ("password", PASSWORD.to_owned())];
            let request = app.request(reqwest::Method::POST, "/signup").form(&fields);
            tokio::spawn(async move { http::send(request).await.status })
        });
        let requests: Vec<_> = requests.collect();
        tokio::time::sleep(Duration::from_millis(60)).await;
        app.signal(signal);
        for request in requests {
            assert_eq!(request.await.unwrap(), 303, "{signal}");
        }
        let status = app.wait();
        assert_eq!(status.code(), Some(0), "{signal}: {}", app.logs());
        assert!(!app.path().join("portal.db-wal").exists(), "the write-ahead log exists");
        assert!(std::net::TcpStream::connect(("127.0.0.1", app.port)).is_err());
        app.restart().await;
        assert_eq!(app.count("users").await, 6);
    }
}

#[tokio::test]
async fn idle_connection_does_not_delay_the_stop() {
    let mut app = TestApp::start().await;
    let _idle = std::net::TcpStream::connect(("127.0.0.1", app.port)).unwrap();
    app.get("/login").await;
    let began = std::time::Instant::now();
    app.stop_with("TERM");
    assert!(began.elapsed() < Duration::from_secs(10), "{:?}", began.elapsed());
}
