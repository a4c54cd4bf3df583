//! Many open connections from one client, and what is left for others.

use std::io::{ErrorKind, Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::time::{Duration, Instant};

use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};
use socket2::{Domain, Socket, Type};

use crate::app::TestApp;
use crate::place::Place;
use crate::tls::{Pair, https_place};

/// More than the usual 1,024 descriptors.
const MANY: usize = 1_100;

/// This process needs them, too.
pub fn allow_many_connections() {
    let Rlimit { maximum, .. } = getrlimit(Resource::Nofile);
    setrlimit(Resource::Nofile, Rlimit { current: maximum, maximum }).unwrap();
}

/// A connection from another address of this computer, as from another client.
pub fn connect_from(address: [u8; 4], port: u16) -> TcpStream {
    let socket = Socket::new(Domain::IPV4, Type::STREAM, None).unwrap();
    socket.bind(&SocketAddr::from((address, 0)).into()).unwrap();
    socket.connect(&SocketAddr::from(([127, 0, 0, 1], port)).into()).unwrap();
    let stream = TcpStream::from(socket);
    stream.set_read_timeout(Some(Duration::from_secs(30))).unwrap();
    stream
}

/// Gets the front page over a connection of its own; answers how long that took.
fn time_page(address: [u8; 4], port: u16) -> Duration {
    let began = Instant::now();
    let mut stream = connect_from(address, port);
    write!(stream, "GET /login HTTP/1.1\r\nHost: localhost:{port}\r\nConnection: close\r\n\r\n").unwrap();
    let mut answer = String::new();
    stream.read_to_string(&mut answer).unwrap();
    assert!(answer.starts_with("HTTP/1.1 200") && answer.ends_with("</html>"), "{answer}");
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
async fn silent_connections_of_one_client_leave_room_for_others() {
    allow_many_connections();
    let mut place = Place::new().await;
    place.limit_descriptors(1_024);
    let app = TestApp::start_in(place).await;
    let silent: Vec<_> = (0..MANY).map(|_| connect_from([127, 0, 0, 1], app.port)).collect();
    for _ in 0..5 {
        let took = time_page([127, 0, 0, 2], app.port);
        assert!(took < Duration::from_secs(3), "the page took {took:?}");
    }
    let open = count_open(&silent);
    assert!((50..=MANY / 4).contains(&open), "{open} of {MANY} silent connections are open");
    assert!(app.logs().contains("connection refused: too many are open"), "{}", app.logs());
    // The silent ones end, too, and then their client is served again.
    let began = Instant::now();
    while count_open(&silent) > 0 {
        assert!(began.elapsed() < Duration::from_secs(25), "{} are open", count_open(&silent));
        std::thread::sleep(Duration::from_millis(200));
    }
    time_page([127, 0, 0, 1], app.port);
}

#[tokio::test]
async fn silent_connections_are_no_matter_with_the_usual_descriptors() {
    allow_many_connections();
    let app = TestApp::start().await;
    let silent: Vec<_> = (0..MANY).map(|_| connect_from([127, 0, 0, 1], app.port)).collect();
    for address in [[127, 0, 0, 1], [127, 0, 0, 2]] {
        let took = time_page(address, app.port);
        assert!(took < Duration::from_secs(3), "the page took {took:?}");
    }
    drop(silent);
}

/// The limits hold before the TLS handshake, of which only so many go on at a time.
#[tokio::test]
async fn silent_connections_before_the_tls_handshake_leave_room_for_others() {
    allow_many_connections();
    let pair = Pair::new();
    let mut place = https_place(&pair).await;
    place.limit_descriptors(1_024);
    let app = TestApp::start_in(place).await;
    let silent: Vec<_> = (0..MANY).map(|_| connect_from([127, 0, 0, 1], app.port)).collect();
    let began = Instant::now();
    let mut tls = pair.connect(connect_from([127, 0, 0, 2], app.port));
    write!(tls, "GET /login HTTP/1.1\r\nHost: localhost:{}\r\nConnection: close\r\n\r\n", app.port).unwrap();
    let mut answer = String::new();
    tls.read_to_string(&mut answer).unwrap();
    assert!(answer.starts_with("HTTP/1.1 200"), "{answer}");
    assert!(began.elapsed() < Duration::from_secs(3), "the page took {:?}", began.elapsed());
    assert!(count_open(&silent) <= MANY / 4);
}

#[tokio::test]
async fn trusted_proxy_has_no_share() {
    allow_many_connections();
    let mut place = Place::new().await;
    place.limit_descriptors(1_024);
    place.set("TRUSTED_PROXIES", "127.0.0.1");
    let app = TestApp::start_in(place).await;
    let silent: Vec<_> = (0..200).map(|_| connect_from([127, 0, 0, 1], app.port)).collect();
    time_page([127, 0, 0, 2], app.port);
    assert_eq!(count_open(&silent), 200);
}
