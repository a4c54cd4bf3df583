//! How the server stops: balancers are told, no accepted request is cut, a second signal ends the wait.

use std::io::{ErrorKind, Read, Write};
use std::net::TcpStream;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use crate::app::TestApp;
use crate::http::send_raw;

const ROUNDS: usize = 10;

/// What one request on one connection came to.
enum Exchange {
    /// A whole answer; whether it announced that the connection closes.
    Whole { closes: bool },
    /// The connection ended before the first byte of an answer.
    Nothing(String),
    /// The connection ended within the answer.
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
                if let Some(closes) = whole_answer(&received) {
                    return Exchange::Whole { closes };
                }
                continue;
            }
            Err(error) if error.kind() == ErrorKind::Interrupted => continue,
            Err(error) => error.to_string(),
        };
        return if received.is_empty() { Exchange::Nothing(ended) } else { Exchange::Cut(ended) };
    }
}

/// Whether the answer closes its connection, once it is whole.
fn whole_answer(received: &[u8]) -> Option<bool> {
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
    /// A connection for each request, until the server refuses connections. Answers what was cut.
    fn fresh_connections(&self, port: u16) -> JoinHandle<Option<String>> {
        let load = self.clone();
        let request = format!("GET /login HTTP/1.1\r\nHost: localhost:{port}\r\nConnection: close\r\n\r\n");
        std::thread::spawn(move || {
            while let Some(mut stream) = connect(port) {
                match exchange(&mut stream, request.as_bytes()) {
                    Exchange::Whole { .. } => load.answered.fetch_add(1, Ordering::Relaxed),
                    Exchange::Nothing(ended) => return Some(format!("no answer on a fresh connection: {ended}")),
                    Exchange::Cut(ended) => return Some(format!("half an answer on a fresh connection: {ended}")),
                };
            }
            None
        })
    }

    /// Many requests on each connection, until the server refuses connections. The server may close an idle connection
    /// just when a request is sent on it (RFC 9112 section 9.3.1); then it must not have answered a part.
    fn kept_connections(&self, port: u16) -> JoinHandle<Option<String>> {
        let load = self.clone();
        let request = format!("GET /login HTTP/1.1\r\nHost: localhost:{port}\r\n\r\n");
        std::thread::spawn(move || {
            while let Some(mut stream) = connect(port) {
                for number in 0.. {
                    match exchange(&mut stream, request.as_bytes()) {
                        Exchange::Whole { closes: false } => {}
                        Exchange::Whole { closes: true } => break,
                        Exchange::Nothing(_) if number > 0 => break,
                        Exchange::Nothing(ended) => return Some(format!("no answer to a first request: {ended}")),
                        Exchange::Cut(ended) => return Some(format!("half an answer: {ended}")),
                    }
                    load.answered.fetch_add(1, Ordering::Relaxed);
                    std::thread::sleep(Duration::from_millis(5));
                }
            }
            None
        })
    }

    /// Connections that are there at the stop and send their first request a while after it.
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
                Exchange::Whole { closes: true } => None,
                Exchange::Whole { closes: false } => Some("the answer announces no close".to_owned()),
                Exchange::Nothing(ended) | Exchange::Cut(ended) => Some(format!("a late first request: {ended}")),
            }
        })
    }
}

#[tokio::test]
async fn stop_cuts_no_accepted_request_under_load() {
    let mut app = TestApp::start().await;
    for round in 0..ROUNDS {
        let load = Load::default();
        let mut clients: Vec<_> = (0..6).map(|_| load.fresh_connections(app.port)).collect();
        clients.extend((0..6).map(|_| load.kept_connections(app.port)));
        clients.push(load.late_request(app.port));
        let began = Instant::now();
        while load.answered.load(Ordering::Relaxed) < 60 {
            assert!(began.elapsed() < Duration::from_secs(30), "there is no load");
            std::thread::sleep(Duration::from_millis(5));
        }
        app.signal("TERM");
        load.is_over.store(true, Ordering::Relaxed);
        let cut: Vec<String> = clients.into_iter().filter_map(|client| client.join().unwrap()).collect();
        assert!(cut.is_empty(), "round {round}: {cut:?}");
        assert_eq!(app.wait().code(), Some(0), "{}", app.logs());
        assert!(!app.logs().contains("requests cut"), "{}", app.logs());
        app.start_again().await;
    }
}

fn get(port: u16, path: &str) -> crate::http::Answer {
    let request = format!("GET {path} HTTP/1.1\r\nHost: localhost:{port}\r\n\r\n");
    send_raw(port, request.as_bytes()).unwrap_or_else(|| panic!("no answer for {path}"))
}

#[tokio::test]
async fn draining_server_is_unready_serves_and_announces_close() {
    let metrics = crate::place::free_port();
    let settings = [("DRAIN_SECONDS", "2"), ("METRICS_ADDR", &format!("127.0.0.1:{metrics}"))];
    let mut app = TestApp::start_with(&settings).await;
    assert_eq!(app.get("/readyz").await.status, 200);
    assert_eq!(app.get("/healthz").await.header("connection"), None);
    app.signal("TERM");
    let told = Instant::now();
    while app.get("/readyz").await.status == 200 {
        assert!(told.elapsed() < Duration::from_secs(1), "still ready");
    }
    while told.elapsed() < Duration::from_millis(1500) {
        // These read until the server closes, which it does at once.
        let asked = Instant::now();
        let (ready, lives, page) = (get(app.port, "/readyz"), get(app.port, "/healthz"), get(app.port, "/login"));
        assert_eq!((ready.status, lives.status, page.status), (503, 200, 200));
        for answer in [ready, lives, page] {
            assert_eq!(answer.header("connection"), Some("close"));
        }
        assert!(asked.elapsed() < Duration::from_secs(1), "the connections stayed open");
        let request = format!("GET /metrics HTTP/1.1\r\nHost: localhost:{metrics}\r\nConnection: close\r\n\r\n");
        assert_eq!(send_raw(metrics, request.as_bytes()).unwrap().status, 200);
        std::thread::sleep(Duration::from_millis(100));
    }
    assert_eq!(app.wait().code(), Some(0), "{}", app.logs());
    assert!(told.elapsed() >= Duration::from_secs(2), "{:?}", told.elapsed());
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
    assert!(TcpStream::connect(("127.0.0.1", app.port)).is_err(), "the server takes new connections");
    stream.write_all(&LOGIN.as_bytes()[10..]).unwrap();
    let mut answer = String::new();
    stream.read_to_string(&mut answer).unwrap();
    assert!(answer.starts_with("HTTP/1.1 401") && answer.trim_end().ends_with("</html>"), "{answer}");
    assert_eq!(app.wait().code(), Some(0), "{}", app.logs());
}

#[tokio::test]
async fn second_signal_stops_at_once() {
    for (first, second) in [("TERM", "TERM"), ("INT", "INT"), ("TERM", "INT")] {
        let mut app = TestApp::start_with(&[("DRAIN_SECONDS", "300")]).await;
        app.signal(first);
        std::thread::sleep(Duration::from_millis(500));
        assert_eq!(app.get("/healthz").await.status, 200, "{first} alone ended the program");
        let told = Instant::now();
        assert_eq!(app.stop_by(second).code(), Some(0), "{first}, {second}: {}", app.logs());
        assert!(told.elapsed() < Duration::from_secs(3), "{first}, {second}: {:?}", told.elapsed());
    }
}

#[tokio::test]
async fn second_signal_cuts_a_request_that_does_not_end() {
    let mut app = TestApp::start().await;
    let mut stream = connect(app.port).unwrap();
    stream.write_all(login_head(app.port).as_bytes()).unwrap();
    std::thread::sleep(Duration::from_millis(200));
    app.signal("TERM");
    std::thread::sleep(Duration::from_secs(3));
    // The first signal waits for the body.
    stream.set_read_timeout(Some(Duration::from_millis(100))).unwrap();
    assert_eq!(stream.read(&mut [0; 1]).unwrap_err().kind(), ErrorKind::WouldBlock);
    let told = Instant::now();
    assert_eq!(app.stop_by("TERM").code(), Some(0), "{}", app.logs());
    assert!(told.elapsed() < Duration::from_secs(3), "{:?}", told.elapsed());
}

#[tokio::test]
async fn idle_server_stops_soon() {
    let mut app = TestApp::start().await;
    app.get("/login").await;
    let told = Instant::now();
    app.stop_by("TERM");
    assert!(told.elapsed() < Duration::from_millis(2500), "{:?}", told.elapsed());
}
