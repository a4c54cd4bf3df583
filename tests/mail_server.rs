//! A small mail server on loopback (RFC 5321) that can fail in the ways that a test needs.
//!
//! It runs in threads, so that it answers while a test waits for a command.

use std::io::{BufRead, BufReader, Read, Write};
use std::net::{Shutdown, TcpListener, TcpStream};
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread::JoinHandle;
use std::time::Duration;

use rustls::pki_types::PrivateKeyDer;
use rustls::{ServerConfig, ServerConnection, StreamOwned};

use crate::mailbox::{self, SentMail};
use crate::place::free_port;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Mood {
    Takes,
    /// 451 for every recipient, with the address, as most servers do.
    PutsOff,
    /// 550 for every recipient, with the address.
    Refuses,
    /// 554 after the mail, quoting its link, as filters do.
    RefusesContent,
    /// 535 for every password.
    DoubtsPassword,
    /// Accepts connections and never answers.
    Silent,
    /// Does not answer for recipients whose address starts with "slow".
    KeepsSlowOnesWaiting,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Tls {
    Never,
    FromTheStart,
    Offered,
}

pub struct MailServer {
    pub port: u16,
    /// Its self-signed certificate.
    pub certificate: String,
    shared: Arc<Shared>,
    listens: Option<JoinHandle<()>>,
}

struct Shared {
    tls: Tls,
    config: Arc<ServerConfig>,
    mood: Mutex<Mood>,
    taken: Mutex<Vec<SentMail>>,
    refused: Mutex<Vec<SentMail>>,
    wire: Mutex<Vec<u8>>,
    connections: Mutex<Vec<TcpStream>>,
    kept_waiting: AtomicUsize,
    stops: AtomicBool,
}

impl MailServer {
    pub fn start() -> Self {
        Self::start_with(Tls::Never)
    }

    pub fn start_with(tls: Tls) -> Self {
        let (certificate, config) = self_signed();
        let shared = Shared {
            tls,
            config,
            mood: Mutex::new(Mood::Takes),
            taken: Mutex::default(),
            refused: Mutex::default(),
            wire: Mutex::default(),
            connections: Mutex::default(),
            kept_waiting: AtomicUsize::new(0),
            stops: AtomicBool::new(false),
        };
        let mut server = Self { port: free_port(), certificate, shared: Arc::new(shared), listens: None };
        server.start_again();
        server
    }

    pub fn start_again(&mut self) {
        let listener = TcpListener::bind(("127.0.0.1", self.port)).unwrap();
        self.shared.stops.store(false, Ordering::SeqCst);
        let shared = Arc::clone(&self.shared);
        self.listens = Some(std::thread::spawn(move || {
            for stream in listener.incoming().flatten() {
                if shared.stops.load(Ordering::SeqCst) {
                    return;
                }
                shared.connections.lock().unwrap().push(stream.try_clone().unwrap());
                let shared = Arc::clone(&shared);
                // A client that disconnects ends only its own conversation.
                std::thread::spawn(move || attend(&shared, stream).ok());
            }
        }));
    }

    /// Closes all connections and the listener.
    pub fn stop(&mut self) {
        let Some(listens) = self.listens.take() else {
            return;
        };
        self.shared.stops.store(true, Ordering::SeqCst);
        TcpStream::connect(("127.0.0.1", self.port)).ok();
        // Also called on drop, so it must not panic.
        listens.join().ok();
        let mut connections = self.shared.connections.lock().unwrap_or_else(PoisonError::into_inner);
        for connection in connections.drain(..) {
            connection.shutdown(Shutdown::Both).ok();
        }
    }

    pub fn is_now(&self, mood: Mood) {
        *self.shared.mood.lock().unwrap() = mood;
    }

    pub fn url(&self) -> String {
        let scheme = if self.shared.tls == Tls::FromTheStart { "smtps" } else { "smtp" };
        format!("{scheme}://127.0.0.1:{}", self.port)
    }

    /// The accepted mail, in order.
    pub fn mails(&self) -> Vec<SentMail> {
        self.shared.taken.lock().unwrap().clone()
    }

    /// The mail that was read and rejected.
    pub fn refused(&self) -> Vec<SentMail> {
        self.shared.refused.lock().unwrap().clone()
    }

    pub async fn has_taken(&self, count: usize) -> Vec<SentMail> {
        mailbox::until(&format!("{count} mails"), || Some(self.mails()).filter(|taken| taken.len() >= count)).await
    }

    pub fn is_spoken_to(&self) -> bool {
        !self.shared.connections.lock().unwrap().is_empty()
    }

    /// How many clients have got no answer.
    pub fn kept_waiting(&self) -> usize {
        self.shared.kept_waiting.load(Ordering::SeqCst)
    }

    /// All bytes that clients have sent, unencrypted or not.
    pub fn overheard(&self) -> String {
        String::from_utf8_lossy(&self.shared.wire.lock().unwrap()).into_owned()
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

trait Line: Read + Write + Send {}

impl<T: Read + Write + Send> Line for T {}

/// Records what it reads.
struct Tapped {
    stream: TcpStream,
    shared: Arc<Shared>,
}

impl Read for Tapped {
    fn read(&mut self, buffer: &mut [u8]) -> std::io::Result<usize> {
        let length = self.stream.read(buffer)?;
        self.shared.wire.lock().unwrap().extend_from_slice(&buffer[..length]);
        Ok(length)
    }
}

impl Write for Tapped {
    fn write(&mut self, buffer: &[u8]) -> std::io::Result<usize> {
        self.stream.write(buffer)
    }

    fn flush(&mut self) -> std::io::Result<()> {
        self.stream.flush()
    }
}

fn encrypted(shared: &Shared, line: Box<dyn Line>) -> Box<dyn Line> {
    Box::new(StreamOwned::new(ServerConnection::new(Arc::clone(&shared.config)).unwrap(), line))
}

fn attend(shared: &Arc<Shared>, stream: TcpStream) -> std::io::Result<()> {
    let mut line: Box<dyn Line> = Box::new(Tapped { stream, shared: Arc::clone(shared) });
    if *shared.mood.lock().unwrap() == Mood::Silent {
        return line.read_to_end(&mut Vec::new()).map(drop);
    }
    if shared.tls == Tls::FromTheStart {
        line = encrypted(shared, line);
    }
    let mut talk = BufReader::new(line);
    let mut offers_tls = shared.tls == Tls::Offered;
    let mut recipients = Vec::new();
    say(&mut talk, "220 mail.example ESMTP")?;
    loop {
        let mut command = String::new();
        if talk.read_line(&mut command)? == 0 {
            return Ok(());
        }
        let verb = command.get(..4).unwrap_or_default().to_ascii_uppercase();
        let mood = *shared.mood.lock().unwrap();
        match (verb.as_str(), mood) {
            ("EHLO", _) if offers_tls => say(&mut talk, "250-mail.example\r\n250 STARTTLS")?,
            ("EHLO", _) => say(&mut talk, "250-mail.example\r\n250-8BITMIME\r\n250-SMTPUTF8\r\n250 AUTH PLAIN LOGIN")?,
            ("STAR", _) if offers_tls => {
                say(&mut talk, "220 2.0.0 go ahead")?;
                talk = BufReader::new(encrypted(shared, talk.into_inner()));
                offers_tls = false;
            }
            ("AUTH", Mood::DoubtsPassword) => say(&mut talk, "535 5.7.8 Authentication credentials invalid")?,
            ("AUTH", _) => say(&mut talk, "235 2.7.0 welcome")?,
            ("MAIL", _) => {
                recipients.clear();
                say(&mut talk, "250 2.1.0 ok")?;
            }
            ("RCPT", Mood::PutsOff) => say(&mut talk, &format!("451 4.7.1 <{}>: greylisted", address_in(&command)))?,
            ("RCPT", Mood::Refuses) => {
                say(&mut talk, &format!("550 5.1.1 <{}>: User unknown", address_in(&command)))?;
            }
            ("RCPT", Mood::KeepsSlowOnesWaiting) if address_in(&command).starts_with("slow") => {
                shared.kept_waiting.fetch_add(1, Ordering::SeqCst);
                return talk.read_to_end(&mut Vec::new()).map(drop);
            }
            ("RCPT", _) => {
                recipients.push(address_in(&command));
                say(&mut talk, "250 2.1.5 ok")?;
            }
            ("DATA", _) => receive_mail(shared, &mut talk, &recipients)?,
            ("NOOP" | "RSET", _) => say(&mut talk, "250 2.0.0 ok")?,
            ("QUIT", _) => return say(&mut talk, "221 2.0.0 bye"),
            _ => say(&mut talk, "500 5.5.2 what?")?,
        }
    }
}

fn receive_mail(shared: &Shared, talk: &mut BufReader<Box<dyn Line>>, recipients: &[String]) -> std::io::Result<()> {
    say(talk, "354 go ahead")?;
    let mut data = Vec::new();
    loop {
        let mut line = Vec::new();
        if talk.read_until(b'\n', &mut line)? == 0 {
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
    if *shared.mood.lock().unwrap() == Mood::RefusesContent {
        let quoted = format!("554 5.7.1 <{}>: spam: {} {}", mail.to, mail.url(), mail.token());
        shared.refused.lock().unwrap().push(mail);
        return say(talk, &quoted);
    }
    // Slow enough that two clients overlap here.
    std::thread::sleep(Duration::from_millis(10));
    shared.taken.lock().unwrap().push(mail);
    say(talk, "250 2.0.0 taken")
}

fn address_in(command: &str) -> String {
    command.split_once('<').and_then(|(_, rest)| rest.split_once('>')).map(|(address, _)| address.to_owned()).unwrap()
}

fn say(talk: &mut BufReader<Box<dyn Line>>, words: &str) -> std::io::Result<()> {
    talk.get_mut().write_all(format!("{words}\r\n").as_bytes())?;
    talk.get_mut().flush()
}
