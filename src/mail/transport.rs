//! The way out: an SMTP server, or files in a folder.

use std::io::Write;
use std::path::{Path, PathBuf};
use std::time::Duration;

use lettre::address::Envelope;
use lettre::message::header::{HeaderName, HeaderValue};
use lettre::message::{Mailbox, MultiPart};
use lettre::transport::smtp::response::Category;
use lettre::{AsyncSmtpTransport, AsyncTransport, Tokio1Executor};

use super::Email;
use super::address::local_part_as_sent;
use super::message::{Letter, test_letter};
use crate::config::{Config, MailUrl, StartTls};
use crate::private_files::make_private_folder;

/// How long it may take to reach a mail server.
const CONNECTS_WITHIN: Duration = Duration::from_secs(10);
/// How long a mail server may take for one letter; lettre limits the connecting alone. Less than the lease of a message.
const SENDS_WITHIN: Duration = Duration::from_secs(60);
/// How long it may take to greet and to accept the credentials.
const GREETS_WITHIN: Duration = Duration::from_secs(15);

/// Carries letters out of the house. Clones share connections.
#[derive(Clone)]
pub struct Transport {
    way: Way,
    from: Mailbox,
    /// What ids of messages end in.
    domain: String,
}

#[derive(Clone)]
enum Way {
    Folder(PathBuf),
    Smtp(AsyncSmtpTransport<Tokio1Executor>),
}

/// Why a letter did not leave.
#[derive(Debug, thiserror::Error)]
pub enum TransportError {
    /// It never will: the server does not take it, or it cannot be written.
    #[error("refused: {0}")]
    Refused(String),
    /// This letter not now; others may.
    #[error("put off: {0}")]
    PutOff(String),
    /// Nothing leaves at present.
    #[error("{0}")]
    Down(String),
}

impl Transport {
    /// The way that `MAIL_URL` names.
    ///
    /// # Errors
    /// What is wrong with the settings; a server that is down is not.
    pub fn new(config: &Config) -> Result<Self, String> {
        let from = config.mail_from.clone();
        let domain = from.email.domain().to_owned();
        let way = match &config.mail_url {
            MailUrl::File(folder) => Way::Folder(folder.clone()),
            MailUrl::Smtp(url, start_tls) => Way::Smtp(smtp(url, *start_tls)?),
        };
        Ok(Self { way, from, domain })
    }

    /// The folder that letters are written to, if this is no server.
    pub fn folder(&self) -> Option<&Path> {
        match &self.way {
            Way::Folder(folder) => Some(folder),
            Way::Smtp(_) => None,
        }
    }

    /// Whether letters could leave now: the folder can be written, the server greets and takes the credentials.
    ///
    /// # Errors
    /// Why not.
    pub async fn check(&self) -> Result<(), String> {
        match &self.way {
            Way::Folder(folder) => {
                make_private_folder(folder).map_err(|error| format!("{}: {error}", folder.display()))
            }
            Way::Smtp(smtp) => match tokio::time::timeout(GREETS_WITHIN, smtp.test_connection()).await {
                Ok(Ok(true)) => Ok(()),
                Ok(Ok(false)) => Err("the server hung up".to_owned()),
                Ok(Err(error)) => Err(explain(&error)),
                Err(_) => Err(does_not_answer(GREETS_WITHIN)),
            },
        }
    }

    /// Hands over a message that says that mail works.
    ///
    /// # Errors
    /// Why it did not leave.
    pub async fn send_test(&self, id: &str, to: &Email, site: &str) -> Result<(), TransportError> {
        let letter = test_letter(site).map_err(|error| TransportError::Refused(error.to_string()))?;
        self.send(id, to.as_str(), letter).await
    }

    /// Hands a letter over. `id` names it, so that a server can tell a repetition.
    pub(super) async fn send(&self, id: &str, to: &str, letter: Letter) -> Result<(), TransportError> {
        let refused = |error: &dyn std::fmt::Display| TransportError::Refused(error.to_string());
        let to = mailbox(to).ok_or_else(|| TransportError::Refused("the address cannot be written to".into()))?;
        // Derived from the headers, it would lose the quotes of a local part.
        let envelope = Envelope::new(Some(self.from.email.clone()), vec![to.email.clone()]);
        // Without angle brackets most readers take a quoted local part for a name.
        let quoted = to.email.user().starts_with('"').then(|| format!("<{}>", to.email));
        let mut message = lettre::Message::builder()
            .envelope(envelope.map_err(|error| refused(&error))?)
            .from(self.from.clone())
            .to(to)
            .subject(letter.subject)
            .message_id(Some(format!("<{id}@{}>", self.domain)))
            .multipart(MultiPart::alternative_plain_html(letter.text, letter.html))
            .map_err(|error| refused(&error))?;
        // RFC 3834 section 5: no holiday notices, please.
        let automatic = HeaderName::new_from_ascii_str("Auto-Submitted");
        message.headers_mut().insert_raw(HeaderValue::new(automatic, "auto-generated".to_owned()));
        if let Some(to) = quoted {
            message.headers_mut().insert_raw(HeaderValue::new(HeaderName::new_from_ascii_str("To"), to));
        }
        match &self.way {
            Way::Folder(folder) => {
                write(folder, id, &message.formatted()).map_err(|error| TransportError::Down(error.to_string()))
            }
            Way::Smtp(smtp) => match tokio::time::timeout(SENDS_WITHIN, smtp.send(message)).await {
                Ok(sent) => sent.map(drop).map_err(|error| why(&error)),
                Err(_) => Err(TransportError::Down(does_not_answer(SENDS_WITHIN))),
            },
        }
    }
}

fn mailbox(address: &str) -> Option<Mailbox> {
    let (local, domain) = address.rsplit_once('@')?;
    let address = lettre::Address::new(local_part_as_sent(local), domain).ok()?;
    Some(Mailbox::new(None, address))
}

fn does_not_answer(within: Duration) -> String {
    format!("the server did not answer within {} seconds", within.as_secs())
}

fn smtp(url: &url::Url, start_tls: StartTls) -> Result<AsyncSmtpTransport<Tokio1Executor>, String> {
    let mut url = url.clone();
    if url.scheme() == "smtp" && start_tls == StartTls::Required {
        url.set_query(Some("tls=required"));
    }
    let builder = AsyncSmtpTransport::<Tokio1Executor>::from_url(url.as_str())
        .map_err(|error| format!("MAIL_URL cannot be used: {}", explain(&error)))?;
    Ok(builder.timeout(Some(CONNECTS_WITHIN)).build())
}

/// What becomes of a letter after `error`. A server's words stay out of the log: most name the recipient, some quote the letter.
fn why(error: &lettre::transport::smtp::Error) -> TransportError {
    let Some(code) = error.status() else {
        return TransportError::Down(explain(error));
    };
    let words = std::error::Error::source(error).map(ToString::to_string).unwrap_or_default();
    let answer = match words.split_whitespace().next().filter(|word| is_enhanced_status(word)) {
        Some(enhanced) => format!("the server answered {code} {enhanced}"),
        None => format!("the server answered {code}"),
    };
    match (error.is_permanent(), code.category) {
        // 53x (RFC 4954 section 6) is about our credentials, which the next letter would bring as well.
        (true, Category::Unspecified3) => TransportError::Down(answer),
        (true, _) => TransportError::Refused(answer),
        (false, _) => TransportError::PutOff(answer),
    }
}

/// `5.1.1` and the like (RFC 3463).
fn is_enhanced_status(word: &str) -> bool {
    let is_number = |part: &str| (1..=3).contains(&part.len()) && part.bytes().all(|byte| byte.is_ascii_digit());
    word.split('.').count() == 3 && word.split('.').all(is_number)
}

/// The error with its causes, for whoever set the server up.
fn explain(error: &lettre::transport::smtp::Error) -> String {
    let mut words = error.to_string();
    let mut cause = std::error::Error::source(error);
    while let Some(inner) = cause {
        let inner_words = inner.to_string();
        if !words.contains(&inner_words) {
            words = format!("{words}: {inner_words}");
        }
        cause = inner.source();
    }
    words
}

/// Written under another name first, so that nobody finds half a letter.
fn write(folder: &Path, id: &str, letter: &[u8]) -> std::io::Result<()> {
    make_private_folder(folder)?;
    let mut file = tempfile::NamedTempFile::new_in(folder)?;
    file.write_all(letter)?;
    file.persist(folder.join(format!("{id}.eml")))?;
    Ok(())
}
