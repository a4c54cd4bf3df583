//! Many open connections of one client leave room for other clients.

use std::io::{ErrorKind, Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::time::{Duration, Instant};

use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};
use socket2::{Domain, Socket, Type};

use crate::app::TestApp;
use crate::sandbox::Sandbox;
use crate::tls::{Certificate, https_sandbox};

/// More than the usual 1,024 descriptors.
const MANY: usize = 1_100;

/// The tests need as many descriptors as the server.
pub fn raise_descriptor_limit() {
    let Rlimit { maximum, .. } = getrlimit(Resource::Nofile);
    setrlimit(Resource::Nofile, Rlimit { current: maximum, maximum }).unwrap();
}

/// A connection from another loopback address, like another client.
pub fn connect_from(address: [u8; 4], port: u16) -> TcpStream {
    let socket = Socket::new(Domain::IPV4, Type::STREAM, None).unwrap();
    socket.bind(&SocketAddr::from((address, 0)).into()).unwrap();
    socket.connect(&SocketAddr::from(([127, 0, 0, 1], port)).into()).unwrap();
    let stream = TcpStream::from(socket);
    stream.set_read_timeout(Some(Duration::from_secs(30))).unwrap();
    stream
}

/// Requests the login page over a new connection; returns the time.
fn time_page(address: [u8; 4], port: u16) -> Duration {
    let began = Instant::now();
    let mut stream = connect_from(address, port);
    write!(stream, "GET /login HTTP/1.1\r\nHost: localhost:{port}\r\nConnection: close\r\n\r\n").unwrap();
    let mut response = String::new();
    stream.read_to_string(&mut response).unwrap();
    assert!(response.starts_with("HTTP/1.1 200") && response.ends_with("</html>"), "{response}");
    began.elapsed()
}

fn is_open(stream: &TcpStream) -> bool {
    stream.set_nonblocking(true).unwrap();
    matches!((&mut &*stream).read(&mut [0; 512]), Err(error) if error.kind() == ErrorKind::WouldBlock)
}

fn count_open(streams: &[TcpStream]) -> usize {
    streams.iter().filter(|stream| is_open(stream)).count()
}

fn descriptor_limit(app: &TestApp) -> (String, String) {
    let limits = std::fs::read_to_string(format!("/proc/{}/limits", app.pid())).unwrap();
    let line = limits.lines().find(|line| line.starts_with("Max open files")).unwrap();
    let mut words = line.split_whitespace().skip(3).map(str::to_owned);
    (words.next().unwrap(), words.next().unwrap())
}

#[tokio::test]
async fn descriptor_limit_is_raised_at_start() {
    let app = TestApp::start().await;
    let (soft, hard) = descriptor_limit(&app);
    assert_eq!(soft, hard);
}

#[tokio::test]
async fn silent_connections_of_a_client_leave_room_for_others() {
    raise_descriptor_limit();
    let mut sandbox = Sandbox::new().await;
    sandbox.limit_descriptors(1_024);
    let app = TestApp::start_in(sandbox).await;
    let silent: Vec<_> = (0..MANY).map(|_| connect_from([127, 0, 0, 1], app.port)).collect();
    for _ in 0..5 {
        let took = time_page([127, 0, 0, 2], app.port);
        assert!(took < Duration::from_secs(3), "the page took {took:?}");
    }
    let open = count_open(&silent);
    assert!((50..=MANY / 4).contains(&open), "{open} of {MANY} silent connections are open");
    assert!(app.logs().contains("connection refused: too many are open"), "{}", app.logs());
    // The silent connections time out, and their client gets pages again.
    let began = Instant::now();
    while count_open(&silent) > 0 {
        assert!(began.elapsed() < Duration::from_secs(25), "{} are open", count_open(&silent));
        std::thread::sleep(Duration::from_millis(200));
    }
    time_page([127, 0, 0, 1], app.port);
}

#[tokio::test]
async fn silent_connections_block_no_page_with_usual_limits() {
    raise_descriptor_limit();
    let app = TestApp::start().await;
    let silent: Vec<_> = (0..MANY).map(|_| connect_from([127, 0, 0, 1], app.port)).collect();
    for address in [[127, 0, 0, 1], [127, 0, 0, 2]] {
        let took = time_page(address, app.port);
        assert!(took < Duration::from_secs(3), "the page took {took:?}");
    }
    drop(silent);
}

/// The limits apply before the TLS handshake; the number of concurrent handshakes is limited.
#[tokio::test]
async fn silent_connections_before_tls_leave_room_for_others() {
    raise_descriptor_limit();
    let certificate = Certificate::new();
    let mut sandbox = https_sandbox(&certificate).await;
    sandbox.limit_descriptors(1_024);
    let app = TestApp::start_in(sandbox).await;
    let silent: Vec<_> = (0..MANY).map(|_| connect_from([127, 0, 0, 1], app.port)).collect();
    let began = Instant::now();
    let mut tls = certificate.connect(connect_from([127, 0, 0, 2], app.port));
    write!(tls, "GET /login HTTP/1.1\r\nHost: localhost:{}\r\nConnection: close\r\n\r\n", app.port).unwrap();
    let mut response = String::new();
    tls.read_to_string(&mut response).unwrap();
    assert!(response.starts_with("HTTP/1.1 200"), "{response}");
    assert!(began.elapsed() < Duration::from_secs(3), "the page took {:?}", began.elapsed());
    assert!(count_open(&silent) <= MANY / 4);
}

#[tokio::test]
async fn trusted_proxy_has_no_connection_limit() {
    raise_descriptor_limit();
    let mut sandbox = Sandbox::new().await;
    sandbox.limit_descriptors(1_024);
    sandbox.set("TRUSTED_PROXIES", "127.0.0.1");
    let app = TestApp::start_in(sandbox).await;
    let silent: Vec<_> = (0..200).map(|_| connect_from([127, 0, 0, 1], app.port)).collect();
    time_page([127, 0, 0, 2], app.port);
    assert_eq!(count_open(&silent), 200);
}
