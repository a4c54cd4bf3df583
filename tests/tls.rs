//! HTTPS without a proxy, and certificates replaced while the server runs.

use std::io::{Read, Write};
use std::net::TcpStream;
use std::sync::Arc;
use std::time::{Duration, Instant};

use rustls::pki_types::CertificateDer;
use rustls::pki_types::pem::PemObject;
use rustls::{ClientConfig, ClientConnection, RootCertStore, StreamOwned};

use crate::app::{ANN, TestApp};
use crate::http::send_raw;
use crate::sandbox::Sandbox;

/// A self-signed certificate for localhost and its key.
pub struct Certificate {
    pub cert: String,
    pub key: String,
}

impl Certificate {
    pub fn new() -> Self {
        let made = rcgen::generate_simple_self_signed(["localhost".to_owned()]).unwrap();
        Self { cert: made.cert.pem(), key: made.signing_key.serialize_pem() }
    }

    /// One that expires at this time.
    pub fn expiring(at: time::OffsetDateTime) -> Self {
        let mut parameters = rcgen::CertificateParams::new(["localhost".to_owned()]).unwrap();
        parameters.not_after = at;
        let key = rcgen::KeyPair::generate().unwrap();
        Self { cert: parameters.self_signed(&key).unwrap().pem(), key: key.serialize_pem() }
    }

    pub fn write(&self, sandbox: &Sandbox) {
        sandbox.write("cert.pem", &self.cert);
        sandbox.write("key.pem", &self.key);
    }

    fn der(&self) -> CertificateDer<'static> {
        CertificateDer::from_pem_slice(self.cert.as_bytes()).unwrap()
    }

    /// A TLS handshake with a server that has this certificate.
    pub fn connect(&self, stream: TcpStream) -> Tls {
        handshake(stream, &[self], &["http/1.1"])
    }
}

pub type Tls = StreamOwned<ClientConnection, TcpStream>;

/// A connection of a client that trusts these certificates.
fn connect(port: u16, trusted: &[&Certificate]) -> Tls {
    connect_offering(port, trusted, &["http/1.1"])
}

fn connect_offering(port: u16, trusted: &[&Certificate], protocols: &[&str]) -> Tls {
    let stream = TcpStream::connect(("127.0.0.1", port)).unwrap();
    stream.set_read_timeout(Some(Duration::from_secs(10))).unwrap();
    handshake(stream, trusted, protocols)
}

fn handshake(stream: TcpStream, trusted: &[&Certificate], protocols: &[&str]) -> Tls {
    let mut roots = RootCertStore::empty();
    trusted.iter().for_each(|certificate| roots.add(certificate.der()).unwrap());
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

/// Whether `/healthz` responds.
fn responds(tls: &mut Tls, port: u16) -> bool {
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

/// Whether a new connection gets this certificate.
fn serves(app: &TestApp, certificate: &Certificate, trusted: &[&Certificate]) -> bool {
    let mut tls = connect(app.port, trusted);
    assert!(responds(&mut tls, app.port));
    tls.conn.peer_certificates().unwrap()[0] == certificate.der()
}

fn wait_for(what: &str, timeout: Duration, mut condition: impl FnMut() -> bool) {
    let began = Instant::now();
    while !condition() {
        assert!(began.elapsed() < timeout, "not within {timeout:?}: {what}");
        std::thread::sleep(Duration::from_millis(50));
    }
}

pub async fn start(certificate: &Certificate) -> TestApp {
    TestApp::start_in(https_sandbox(certificate).await).await
}

/// A sandbox whose server has this certificate.
pub async fn https_sandbox(certificate: &Certificate) -> Sandbox {
    let mut sandbox = Sandbox::new().await;
    certificate.write(&sandbox);
    sandbox.set("TLS_CERT", "cert.pem");
    sandbox.set("TLS_KEY", "key.pem");
    let origin = format!("https://localhost:{}", sandbox.port);
    sandbox.set("PUBLIC_URL", &origin);
    sandbox
}

#[tokio::test]
async fn sighup_reloads_certificate_and_keeps_connections() {
    let (first, second) = (Certificate::new(), Certificate::new());
    let both = [&first, &second];
    let mut app = start(&first).await;
    let mut open = connect(app.port, &both);
    assert!(responds(&mut open, app.port) && serves(&app, &first, &both));
    second.write(&app);
    app.signal("HUP");
    wait_for("the new certificate", Duration::from_secs(8), || serves(&app, &second, &both));
    wait_for("the log line", Duration::from_secs(5), || app.logs().contains("SIGHUP"));
    assert!(app.logs().contains("certificate reloaded"), "{}", app.logs());
    assert!(responds(&mut open, app.port), "an open connection was closed");
    drop(open);
    assert_eq!(app.stop_with("TERM").code(), Some(0));
}

#[tokio::test]
async fn changed_certificate_files_are_noticed_without_signal() {
    let (first, second) = (Certificate::new(), Certificate::new());
    let both = [&first, &second];
    let app = start(&first).await;
    assert!(serves(&app, &first, &both));
    second.write(&app);
    wait_for("the new certificate", Duration::from_secs(15), || serves(&app, &second, &both));
    assert!(!app.logs().contains("SIGHUP"), "{}", app.logs());
}

#[tokio::test]
async fn invalid_certificate_keeps_the_former_one() {
    let (first, second) = (Certificate::new(), Certificate::new());
    let both = [&first, &second];
    let app = start(&first).await;
    let errors = || app.logs().lines().filter(|line| line.contains("ERROR")).count();
    let invalid = [
        ("nonsense".to_owned(), first.key.clone()),
        (second.cert.clone(), first.key.clone()),
        (String::new(), String::new()),
        (first.cert.replace('A', "-"), first.key.clone()),
    ];
    for (number, (cert, key)) in invalid.iter().enumerate() {
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
    assert!(!app.logs().contains(&inner), "the log contains the key");
    second.write(&app);
    app.signal("HUP");
    wait_for("the new certificate", Duration::from_secs(10), || serves(&app, &second, &both));
}

/// See docs/decisions/http2-only-through-a-proxy.md.
#[tokio::test]
async fn http2_is_not_negotiated() {
    let certificate = Certificate::new();
    let app = start(&certificate).await;
    let mut tls = connect_offering(app.port, &[&certificate], &["h2", "http/1.1"]);
    assert_eq!(tls.conn.alpn_protocol(), Some(&b"http/1.1"[..]));
    assert!(responds(&mut tls, app.port));
    // A client that sends the HTTP/2 preface without negotiation, with TLS and without.
    let settings = [0, 0, 0, 4, 0, 0, 0, 0, 0];
    let preface = [b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n", &settings[..]].concat();
    let mut tls = connect_offering(app.port, &[&certificate], &["http/1.1"]);
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
    let mut customer = app.customer(ANN).await;
    for _ in 0..3 {
        app.signal("HUP");
        tokio::time::sleep(Duration::from_millis(200)).await;
        assert!(customer.get("/orders").await.is_page(200));
    }
}
