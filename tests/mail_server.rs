//! A mail server on loopback (RFC 5321) with the failures that the tests need.
//!
//! It runs in threads, so that it responds while a test waits for a command.

use std::io::{BufRead, BufReader, Read, Write};
use std::net::{Shutdown, TcpListener, TcpStream};
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread::JoinHandle;
use std::time::Duration;

use rustls::pki_types::PrivateKeyDer;
use rustls::{ServerConfig, ServerConnection, StreamOwned};

use crate::mailbox::{self, SentMail};
use crate::sandbox::free_port;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Mode {
    Accept,
    /// 451 for every recipient; the reply contains the address, as most servers do.
    Defer,
    /// 550 for every recipient; the reply contains the address.
    RejectRecipient,
    /// 554 after the message; the reply quotes its link, as spam filters do.
    RejectContent,
    /// 535 for every password.
    RejectCredentials,
    /// Accepts connections and sends nothing.
    Silent,
    /// Sends no reply for recipients whose address starts with "slow".
    StallSlowRecipients,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Tls {
    Off,
    /// From the first byte.
    Implicit,
    /// By STARTTLS.
    Upgrade,
}

pub struct MailServer {
    pub port: u16,
    /// The self-signed certificate as PEM.
    pub certificate: String,
    shared: Arc<Shared>,
    listener: Option<JoinHandle<()>>,
}

struct Shared {
    tls: Tls,
    config: Arc<ServerConfig>,
    mode: Mutex<Mode>,
    accepted: Mutex<Vec<SentMail>>,
    rejected: Mutex<Vec<SentMail>>,
    received: Mutex<Vec<u8>>,
    connections: Mutex<Vec<TcpStream>>,
    stalled_clients: AtomicUsize,
    is_stopping: AtomicBool,
}

impl MailServer {
    pub fn start() -> Self {
        Self::start_with(Tls::Off)
    }

    pub fn start_with(tls: Tls) -> Self {
        let (certificate, config) = self_signed();
        let shared = Shared {
            tls,
            config,
            mode: Mutex::new(Mode::Accept),
            accepted: Mutex::default(),
            rejected: Mutex::default(),
            received: Mutex::default(),
            connections: Mutex::default(),
            stalled_clients: AtomicUsize::new(0),
            is_stopping: AtomicBool::new(false),
        };
        let mut server = Self { port: free_port(), certificate, shared: Arc::new(shared), listener: None };
        server.listen();
        server
    }

    pub fn listen(&mut self) {
        let listener = TcpListener::bind(("127.0.0.1", self.port)).unwrap();
        self.shared.is_stopping.store(false, Ordering::SeqCst);
        let shared = Arc::clone(&self.shared);
        self.listener = Some(std::thread::spawn(move || {
            for stream in listener.incoming().flatten() {
                if shared.is_stopping.load(Ordering::SeqCst) {
                    return;
                }
                shared.connections.lock().unwrap().push(stream.try_clone().unwrap());
                let shared = Arc::clone(&shared);
                // A client that disconnects ends only its own connection.
                std::thread::spawn(move || serve_connection(&shared, stream).ok());
            }
        }));
    }

    /// Closes all connections and the listener.
    pub fn stop(&mut self) {
        let Some(listener) = self.listener.take() else {
            return;
        };
        self.shared.is_stopping.store(true, Ordering::SeqCst);
        TcpStream::connect(("127.0.0.1", self.port)).ok();
        // Also called on drop, so it must not panic.
        listener.join().ok();
        let mut connections = self.shared.connections.lock().unwrap_or_else(PoisonError::into_inner);
        for connection in connections.drain(..) {
            connection.shutdown(Shutdown::Both).ok();
        }
    }

    pub fn set_mode(&self, mode: Mode) {
        *self.shared.mode.lock().unwrap() = mode;
    }

    pub fn url(&self) -> String {
        let scheme = if self.shared.tls == Tls::Implicit { "smtps" } else { "smtp" };
        format!("{scheme}://127.0.0.1:{}", self.port)
    }

    /// The accepted mail, in order.
    pub fn mails(&self) -> Vec<SentMail> {
        self.shared.accepted.lock().unwrap().clone()
    }

    /// The mail that was read and rejected.
    pub fn rejected(&self) -> Vec<SentMail> {
        self.shared.rejected.lock().unwrap().clone()
    }

    pub async fn wait_for_mails(&self, count: usize) -> Vec<SentMail> {
        mailbox::wait_for(&format!("{count} mails"), || Some(self.mails()).filter(|accepted| accepted.len() >= count))
            .await
    }

    pub fn has_connections(&self) -> bool {
        !self.shared.connections.lock().unwrap().is_empty()
    }

    /// The clients that wait for a reply without end.
    pub fn stalled_clients(&self) -> usize {
        self.shared.stalled_clients.load(Ordering::SeqCst)
    }

    /// All bytes from clients as they were on the wire, encrypted or not.
    pub fn received(&self) -> String {
        String::from_utf8_lossy(&self.shared.received.lock().unwrap()).into_owned()
    }
}

impl Drop for MailServer {
    fn drop(&mut self) {
        self.stop();
    }
}

fn self_signed() -> (String, Arc<ServerConfig>) {
    let made = rcgen::generate_simple_self_signed(["127.0.0.1".to_owned()]).unwrap();
    let key = PrivateKeyDer::try_from(made.signing_key.serialize_der()).unwrap();
    let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
    let builder = ServerConfig::builder_with_provider(provider).with_safe_default_protocol_versions().unwrap();
    let config = builder.with_no_client_auth().with_single_cert(vec![made.cert.der().clone()], key).unwrap();
    (made.cert.pem(), Arc::new(config))
}

trait Stream: Read + Write + Send {}

impl<T: Read + Write + Send> Stream for T {}

/// Records what it reads.
struct RecordingStream {
    stream: TcpStream,
    shared: Arc<Shared>,
}

impl Read for RecordingStream {
    fn read(&mut self, buffer: &mut [u8]) -> std::io::Result<usize> {
        let length = self.stream.read(buffer)?;
        self.shared.received.lock().unwrap().extend_from_slice(&buffer[..length]);
        Ok(length)
    }
}

impl Write for RecordingStream {
    fn write(&mut self, buffer: &[u8]) -> std::io::Result<usize> {
        self.stream.write(buffer)
    }

    fn flush(&mut self) -> std::io::Result<()> {
        self.stream.flush()
    }
}

fn encrypted(shared: &Shared, stream: Box<dyn Stream>) -> Box<dyn Stream> {
    Box::new(StreamOwned::new(ServerConnection::new(Arc::clone(&shared.config)).unwrap(), stream))
}

fn serve_connection(shared: &Arc<Shared>, stream: TcpStream) -> std::io::Result<()> {
    let mut stream: Box<dyn Stream> = Box::new(RecordingStream { stream, shared: Arc::clone(shared) });
    if *shared.mode.lock().unwrap() == Mode::Silent {
        return stream.read_to_end(&mut Vec::new()).map(drop);
    }
    if shared.tls == Tls::Implicit {
        stream = encrypted(shared, stream);
    }
    let mut connection = BufReader::new(stream);
    let mut offers_starttls = shared.tls == Tls::Upgrade;
    let mut recipients = Vec::new();
    reply(&mut connection, "220 mail.example ESMTP")?;
    loop {
        let mut command = String::new();
        if connection.read_line(&mut command)? == 0 {
            return Ok(());
        }
        let verb = command.get(..4).unwrap_or_default().to_ascii_uppercase();
        let mode = *shared.mode.lock().unwrap();
        match (verb.as_str(), mode) {
            ("EHLO", _) if offers_starttls => reply(&mut connection, "250-mail.example\r\n250 STARTTLS")?,
            ("EHLO", _) => {
                reply(&mut connection, "250-mail.example\r\n250-8BITMIME\r\n250-SMTPUTF8\r\n250 AUTH PLAIN LOGIN")?;
            }
            ("STAR", _) if offers_starttls => {
                reply(&mut connection, "220 2.0.0 go ahead")?;
                connection = BufReader::new(encrypted(shared, connection.into_inner()));
                offers_starttls = false;
            }
            ("AUTH", Mode::RejectCredentials) => {
                reply(&mut connection, "535 5.7.8 Authentication credentials invalid")?;
            }
            ("AUTH", _) => reply(&mut connection, "235 2.7.0 welcome")?,
            ("MAIL", _) => {
                recipients.clear();
                reply(&mut connection, "250 2.1.0 ok")?;
            }
            ("RCPT", Mode::Defer) => {
                reply(&mut connection, &format!("451 4.7.1 <{}>: greylisted", address_in(&command)))?;
            }
            ("RCPT", Mode::RejectRecipient) => {
                reply(&mut connection, &format!("550 5.1.1 <{}>: User unknown", address_in(&command)))?;
            }
            ("RCPT", Mode::StallSlowRecipients) if address_in(&command).starts_with("slow") => {
                shared.stalled_clients.fetch_add(1, Ordering::SeqCst);
                return connection.read_to_end(&mut Vec::new()).map(drop);
            }
            ("RCPT", _) => {
                recipients.push(address_in(&command));
                reply(&mut connection, "250 2.1.5 ok")?;
            }
            ("DATA", _) => receive_mail(shared, &mut connection, &recipients)?,
            ("NOOP" | "RSET", _) => reply(&mut connection, "250 2.0.0 ok")?,
            ("QUIT", _) => return reply(&mut connection, "221 2.0.0 bye"),
            _ => reply(&mut connection, "500 5.5.2 what?")?,
        }
    }
}

fn receive_mail(
    shared: &Shared,
    connection: &mut BufReader<Box<dyn Stream>>,
    recipients: &[String],
) -> std::io::Result<()> {
    reply(connection, "354 go ahead")?;
    let mut data = Vec::new();
    loop {
        let mut line = Vec::new();
        if connection.read_until(b'\n', &mut line)? == 0 {
            return Ok(());
        }
        match line.as_slice() {
            b".\r\n" => break,
            [b'.', rest @ ..] => data.extend_from_slice(rest),
            line => data.extend_from_slice(line),
        }
    }
    let mail = SentMail::read(&data);
    assert!(recipients == [mail.to.as_str()], "envelope and header have different recipients");
    if *shared.mode.lock().unwrap() == Mode::RejectContent {
        let quoted = format!("554 5.7.1 <{}>: spam: {} {}", mail.to, mail.url(), mail.token());
        shared.rejected.lock().unwrap().push(mail);
        return reply(connection, &quoted);
    }
    // Makes deliveries of two clients overlap.
    std::thread::sleep(Duration::from_millis(10));
    shared.accepted.lock().unwrap().push(mail);
    reply(connection, "250 2.0.0 accepted")
}

fn address_in(command: &str) -> String {
    command.split_once('<').and_then(|(_, rest)| rest.split_once('>')).map(|(address, _)| address.to_owned()).unwrap()
}

fn reply(connection: &mut BufReader<Box<dyn Stream>>, text: &str) -> std::io::Result<()> {
    connection.get_mut().write_all(format!("{text}\r\n").as_bytes())?;
    connection.get_mut().flush()
}
