//! Clients that do not read, or stop in the middle of a request.

use std::io::{ErrorKind, Read, Write};
use std::net::TcpStream;
use std::time::{Duration, Instant};

use crate::app::TestApp;
use crate::connections::connect_from;
use crate::http::send_raw;
use crate::tls::{self, Certificate};

/// The number of open sockets of the server.
fn sockets(app: &TestApp) -> usize {
    let descriptors = std::fs::read_dir(format!("/proc/{}/fd", app.pid())).unwrap();
    let targets = descriptors.flatten().filter_map(|entry| std::fs::read_link(entry.path()).ok());
    targets.filter(|target| target.to_string_lossy().starts_with("socket:")).count()
}

/// Waits until the server has at most `count` sockets; returns the time.
fn wait_for_sockets(app: &TestApp, count: usize) -> Duration {
    let began = Instant::now();
    while sockets(app) > count {
        assert!(began.elapsed() < Duration::from_secs(70), "{} sockets are open, {count} were", sockets(app));
        std::thread::sleep(Duration::from_millis(100));
    }
    began.elapsed()
}

/// Requests more than fits into the buffers, and reads nothing.
fn send_without_reading(stream: &mut impl Write, port: u16) {
    let request = format!("GET /static/site.css HTTP/1.1\r\nHost: localhost:{port}\r\n\r\n");
    stream.write_all(request.repeat(1_000).as_bytes()).ok();
}

#[tokio::test]
async fn client_that_does_not_read_is_disconnected() {
    let app = TestApp::start().await;
    let idle = sockets(&app);
    let mut slow: Vec<TcpStream> = (0..20).map(|_| connect_from([127, 0, 0, 1], app.port)).collect();
    for stream in &mut slow {
        stream.set_write_timeout(Some(Duration::from_secs(1))).unwrap();
        send_without_reading(stream, app.port);
    }
    std::thread::sleep(Duration::from_secs(15));
    // The client of the start may have closed its connection.
    assert!(sockets(&app) >= idle + 15, "disconnected too early");
    wait_for_sockets(&app, idle);
}

#[tokio::test]
async fn tls_client_that_does_not_read_is_disconnected() {
    let certificate = Certificate::new();
    let app = tls::start(&certificate).await;
    let idle = sockets(&app);
    let mut slow: Vec<_> = (0..5).map(|_| certificate.connect(connect_from([127, 0, 0, 1], app.port))).collect();
    for stream in &mut slow {
        stream.sock.set_write_timeout(Some(Duration::from_secs(1))).unwrap();
        send_without_reading(stream, app.port);
    }
    wait_for_sockets(&app, idle);
}

/// actix-http parses everything received; each request takes one or two kilobytes.
#[tokio::test]
async fn pipelined_requests_of_slow_clients_take_little_memory() {
    let app = TestApp::start().await;
    let before = app.memory();
    let request = format!("GET /static/site.css HTTP/1.1\r\nHost: localhost:{}\r\n\r\n", app.port);
    let mut slow: Vec<TcpStream> = (0..100).map(|_| connect_from([127, 0, 0, 1], app.port)).collect();
    for stream in &mut slow {
        stream.set_nonblocking(true).unwrap();
        let mut requests = request.repeat(4_000).into_bytes();
        while let Ok(1..) = stream.write(&requests).map(|sent| requests.drain(..sent).count()) {}
    }
    std::thread::sleep(Duration::from_secs(5));
    let above = app.memory().saturating_sub(before) / 1024;
    assert!(above <= 64, "{above} MiB for 100 clients");
}

#[tokio::test]
async fn client_that_reads_slowly_gets_everything() {
    let app = TestApp::start().await;
    let mut stream = connect_from([127, 0, 0, 1], app.port);
    stream.set_write_timeout(Some(Duration::from_secs(30))).unwrap();
    let mut writer = stream.try_clone().unwrap();
    let count = 300;
    let port = app.port;
    let sent = std::thread::spawn(move || {
        let request = format!("GET /static/site.css HTTP/1.1\r\nHost: localhost:{port}\r\n\r\n");
        writer.write_all(request.repeat(count - 1).as_bytes()).unwrap();
        writer.write_all(request.replace("\r\n\r\n", "\r\nConnection: close\r\n\r\n").as_bytes()).unwrap();
    });
    let css = std::fs::read(concat!(env!("CARGO_MANIFEST_DIR"), "/static/site.css")).unwrap();
    let (mut received, mut buffer, began) = (0, vec![0; css.len() * 6], Instant::now());
    loop {
        let read = stream.read(&mut buffer).unwrap();
        if read == 0 {
            break;
        }
        received += read;
        std::thread::sleep(Duration::from_millis(if began.elapsed() < Duration::from_secs(35) { 500 } else { 5 }));
    }
    sent.join().unwrap();
    assert!(received > count * css.len(), "{received} bytes");
}

/// actix-http limits the time of the first head only.
#[tokio::test]
async fn incomplete_later_request_is_disconnected() {
    let app = TestApp::start().await;
    let mut stream = connect_from([127, 0, 0, 1], app.port);
    stream.set_read_timeout(Some(Duration::from_secs(60))).unwrap();
    let request = format!("GET /healthz HTTP/1.1\r\nHost: localhost:{}\r\n\r\n", app.port);
    stream.write_all(request.as_bytes()).unwrap();
    assert!(stream.read(&mut [0; 4096]).unwrap() > 0);
    // Only the beginning of the next request.
    std::thread::sleep(Duration::from_millis(500));
    stream.write_all(b"GET /he").unwrap();
    let closed = stream.read(&mut [0; 16]);
    assert!(!matches!(&closed, Ok(1..)) && !is_timeout(&closed), "{closed:?}");
}

fn is_timeout(result: &std::io::Result<usize>) -> bool {
    result.as_ref().is_err_and(|error| matches!(error.kind(), ErrorKind::WouldBlock | ErrorKind::TimedOut))
}

/// No single pause is longer than the timeout.
#[tokio::test]
async fn later_head_sent_byte_by_byte_is_disconnected() {
    let app = TestApp::start().await;
    let mut stream = connect_from([127, 0, 0, 1], app.port);
    let request = format!("GET /healthz HTTP/1.1\r\nHost: localhost:{}\r\n\r\n", app.port);
    stream.write_all(request.as_bytes()).unwrap();
    assert!(stream.read(&mut [0; 4096]).unwrap() > 0);
    stream.set_read_timeout(Some(Duration::from_secs(5))).unwrap();
    let began = Instant::now();
    loop {
        stream.write_all(b"G").ok();
        match stream.read(&mut [0; 16]) {
            Err(error) if is_timeout(&Err(std::io::Error::from(error.kind()))) => {}
            closed => {
                assert!(!matches!(closed, Ok(1..)), "{closed:?}");
                break;
            }
        }
        assert!(began.elapsed() < Duration::from_secs(100), "the connection is still open");
    }
}

#[tokio::test]
async fn incomplete_first_request_gets_408() {
    let app = TestApp::start().await;
    let cases = [
        "GET / HTTP/1.1\r\nHost: loc".to_owned(),
        format!(
            "POST /login HTTP/1.1\r\nHost: localhost:{}\r\nContent-Type: application/x-www-form-urlencoded\r\nContent-Length: 100\r\n\r\nemail=a",
            app.port
        ),
    ];
    let port = app.port;
    let threads: Vec<_> = cases
        .into_iter()
        .map(|request| {
            std::thread::spawn(move || {
                let began = Instant::now();
                let response = send_raw(port, request.as_bytes());
                (request, began.elapsed(), response.map(|response| response.status))
            })
        })
        .collect();
    for thread in threads {
        let (request, took, status) = thread.join().unwrap();
        assert!(took < Duration::from_secs(25), "{request:?} took {took:?}");
        assert_eq!(status, Some(408), "{request:?}");
    }
}
