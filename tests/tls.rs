//! HTTPS served directly, and certificates that are replaced while it runs.

use std::io::{Read, Write};
use std::net::TcpStream;
use std::sync::Arc;
use std::time::{Duration, Instant};

use rustls::pki_types::CertificateDer;
use rustls::pki_types::pem::PemObject;
use rustls::{ClientConfig, ClientConnection, RootCertStore, StreamOwned};

use crate::app::TestApp;
use crate::http::send_raw;
use crate::place::Place;

/// A certificate for this computer that signs itself, and its key.
pub struct Pair {
    cert: String,
    key: String,
}

impl Pair {
    pub fn new() -> Self {
        let made = rcgen::generate_simple_self_signed(["localhost".to_owned()]).unwrap();
        Self { cert: made.cert.pem(), key: made.signing_key.serialize_pem() }
    }

    fn write(&self, place: &Place) {
        place.write("cert.pem", &self.cert);
        place.write("key.pem", &self.key);
    }

    fn der(&self) -> CertificateDer<'static> {
        CertificateDer::from_pem_slice(self.cert.as_bytes()).unwrap()
    }

    /// TLS on a connection to a server that has this certificate.
    pub fn connect(&self, stream: TcpStream) -> Tls {
        handshake(stream, &[self], &["http/1.1"])
    }
}

pub type Tls = StreamOwned<ClientConnection, TcpStream>;

/// A connection by a client that trusts all of these certificates.
fn connect(port: u16, trusted: &[&Pair]) -> Tls {
    connect_offering(port, trusted, &["http/1.1"])
}

fn connect_offering(port: u16, trusted: &[&Pair], protocols: &[&str]) -> Tls {
    let stream = TcpStream::connect(("127.0.0.1", port)).unwrap();
    stream.set_read_timeout(Some(Duration::from_secs(10))).unwrap();
    handshake(stream, trusted, protocols)
}

fn handshake(stream: TcpStream, trusted: &[&Pair], protocols: &[&str]) -> Tls {
    let mut roots = RootCertStore::empty();
    trusted.iter().for_each(|pair| roots.add(pair.der()).unwrap());
    let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
    let builder = ClientConfig::builder_with_provider(provider).with_safe_default_protocol_versions().unwrap();
    let mut config = builder.with_root_certificates(roots).with_no_client_auth();
    config.alpn_protocols = protocols.iter().map(|name| name.as_bytes().to_vec()).collect();
    let connection = ClientConnection::new(Arc::new(config), "localhost".try_into().unwrap()).unwrap();
    let mut tls = StreamOwned::new(connection, stream);
    while tls.conn.is_handshaking() {
        tls.conn.complete_io(&mut tls.sock).unwrap();
    }
    tls
}

/// Asks for `/healthz` and reads the answer.
fn is_answered(tls: &mut Tls, port: u16) -> bool {
    let request = format!("GET /healthz HTTP/1.1\r\nHost: localhost:{port}\r\n\r\n");
    tls.write_all(request.as_bytes()).unwrap();
    let (mut received, mut buffer) = (String::new(), [0; 4096]);
    while !received.ends_with("\r\n\r\nok\n") {
        let read = tls.read(&mut buffer).unwrap();
        if read == 0 {
            return false;
        }
        received.push_str(std::str::from_utf8(&buffer[..read]).unwrap());
    }
    received.starts_with("HTTP/1.1 200")
}

/// Whether new connections get this certificate.
fn serves(app: &TestApp, pair: &Pair, trusted: &[&Pair]) -> bool {
    let mut tls = connect(app.port, trusted);
    assert!(is_answered(&mut tls, app.port));
    tls.conn.peer_certificates().unwrap()[0] == pair.der()
}

fn wait_for(what: &str, within: Duration, mut is_so: impl FnMut() -> bool) {
    let began = Instant::now();
    while !is_so() {
        assert!(began.elapsed() < within, "not within {within:?}: {what}");
        std::thread::sleep(Duration::from_millis(50));
    }
}

pub async fn start(pair: &Pair) -> TestApp {
    TestApp::start_in(https_place(pair).await).await
}

/// Where a program serves HTTPS with that certificate.
pub async fn https_place(pair: &Pair) -> Place {
    let mut place = Place::new().await;
    pair.write(&place);
    place.set("TLS_CERT", "cert.pem");
    place.set("TLS_KEY", "key.pem");
    let origin = format!("https://localhost:{}", place.port);
    place.set("PUBLIC_URL", &origin);
    place
}

#[tokio::test]
async fn sighup_reloads_certificate_and_keeps_connections() {
    let (first, second) = (Pair::new(), Pair::new());
    let both = [&first, &second];
    let mut app = start(&first).await;
    let mut kept = connect(app.port, &both);
    assert!(is_answered(&mut kept, app.port) && serves(&app, &first, &both));
    second.write(&app);
    app.signal("HUP");
    wait_for("the new certificate", Duration::from_secs(8), || serves(&app, &second, &both));
    wait_for("the log line", Duration::from_secs(5), || app.logs().contains("SIGHUP"));
    assert!(app.logs().contains("certificate reloaded"), "{}", app.logs());
    assert!(is_answered(&mut kept, app.port), "an open connection was closed");
    drop(kept);
    assert_eq!(app.stop_by("TERM").code(), Some(0));
}

#[tokio::test]
async fn changed_certificate_files_are_noticed_without_signal() {
    let (first, second) = (Pair::new(), Pair::new());
    let both = [&first, &second];
    let app = start(&first).await;
    assert!(serves(&app, &first, &both));
    second.write(&app);
    wait_for("the new certificate", Duration::from_secs(15), || serves(&app, &second, &both));
    assert!(!app.logs().contains("SIGHUP"), "{}", app.logs());
}

#[tokio::test]
async fn unusable_certificate_keeps_the_former_one() {
    let (first, second) = (Pair::new(), Pair::new());
    let both = [&first, &second];
    let app = start(&first).await;
    let errors = || app.logs().lines().filter(|line| line.contains("ERROR")).count();
    let unusable = [
        ("nonsense".to_owned(), first.key.clone()),
        (second.cert.clone(), first.key.clone()),
        (String::new(), String::new()),
        (first.cert.replace('A', "-"), first.key.clone()),
    ];
    for (number, (cert, key)) in unusable.iter().enumerate() {
        app.write("cert.pem", cert);
        app.write("key.pem", key);
        app.signal("HUP");
        wait_for(&format!("an error in the log about pair {number}"), Duration::from_secs(10), || errors() > number);
        assert!(serves(&app, &first, &both), "{cert}");
    }
    std::fs::remove_file(app.path().join("key.pem")).unwrap();
    app.signal("HUP");
    wait_for("an error in the log", Duration::from_secs(10), || app.logs().contains("key.pem: No such file"));
    assert!(serves(&app, &first, &both));
    let inner = first.key.lines().nth(1).unwrap().to_owned();
    assert!(!app.logs().contains(&inner), "the key stands in the log");
    second.write(&app);
    app.signal("HUP");
    wait_for("the new certificate", Duration::from_secs(10), || serves(&app, &second, &both));
}

/// docs/decisions/http2-only-through-a-proxy.md says why.
#[tokio::test]
async fn http2_is_not_spoken() {
    let pair = Pair::new();
    let app = start(&pair).await;
    let mut tls = connect_offering(app.port, &[&pair], &["h2", "http/1.1"]);
    assert_eq!(tls.conn.alpn_protocol(), Some(&b"http/1.1"[..]));
    assert!(is_answered(&mut tls, app.port));
    // A client that speaks it unasked, in TLS and without.
    let settings = [0, 0, 0, 4, 0, 0, 0, 0, 0];
    let preface = [b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n", &settings[..]].concat();
    let mut tls = connect_offering(app.port, &[&pair], &["http/1.1"]);
    tls.write_all(&preface).unwrap();
    let mut received = Vec::new();
    tls.read_to_end(&mut received).ok();
    assert!(received.starts_with(b"HTTP/1.1 400"), "{}", String::from_utf8_lossy(&received));
    let plain = TestApp::start().await;
    assert_eq!(send_raw(plain.port, &preface).unwrap().status, 400);
}

#[tokio::test]
async fn sighup_without_tls_is_ignored() {
    let app = TestApp::start().await;
    let mut customer = app.customer("ann@example.com").await;
    for _ in 0..3 {
        app.signal("HUP");
        tokio::time::sleep(Duration::from_millis(200)).await;
        assert!(customer.get("/orders").await.is_page(200));
    }
}
