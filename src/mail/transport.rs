//! Sends mail: to an SMTP server, or as files into a directory.

use std::io::Write;
use std::path::{Path, PathBuf};
use std::time::Duration;

use lettre::address::Envelope;
use lettre::message::header::{HeaderName, HeaderValue};
use lettre::message::{Mailbox, MultiPart};
use lettre::transport::smtp::response::Category;
use lettre::{AsyncSmtpTransport, AsyncTransport, Tokio1Executor};

use super::content::{EmailContent, Sender};
use super::message::test_message;
use crate::config::{Config, MailUrl, StartTls};
use crate::domain::{Email, quote_local_part};
use crate::private_files::make_private_folder;

const CONNECT_TIMEOUT: Duration = Duration::from_secs(10);
/// For one whole mail; lettre limits only the connecting. Less than the lease of a message.
const SEND_TIMEOUT: Duration = Duration::from_secs(60);
/// For connecting and authenticating.
const CHECK_TIMEOUT: Duration = Duration::from_secs(15);

/// Sends mail. Clones share connections.
#[derive(Clone)]
pub struct Transport {
    backend: Backend,
    from: Mailbox,
    /// The right side of `Message-ID`.
    domain: String,
}

#[derive(Clone)]
enum Backend {
    Directory(PathBuf),
    Smtp(AsyncSmtpTransport<Tokio1Executor>),
}

/// Why a mail was not sent.
#[derive(Debug, thiserror::Error)]
pub enum TransportError {
    /// Permanent: the server rejects it, or it cannot be built.
    #[error("refused: {0}")]
    Refused(String),
    /// Temporary, for this mail.
    #[error("temporarily refused: {0}")]
    Deferred(String),
    /// Temporary, for all mail: no connection, no answer, or rejected credentials.
    #[error("{0}")]
    Unavailable(String),
}

impl Transport {
    /// The backend of `MAIL_URL`.
    ///
    /// # Errors
    /// Invalid settings. An unavailable server is no error.
    pub fn new(config: &Config) -> Result<Self, String> {
        let from = config.mail_from.clone();
        let domain = from.email.domain().to_owned();
        let backend = match &config.mail_url {
            MailUrl::File(directory) => Backend::Directory(directory.clone()),
            MailUrl::Smtp(url, start_tls) => Backend::Smtp(smtp(url, *start_tls)?),
        };
        Ok(Self { backend, from, domain })
    }

    /// The directory that mail is written to; `None` for SMTP.
    pub fn directory(&self) -> Option<&Path> {
        match &self.backend {
            Backend::Directory(directory) => Some(directory),
            Backend::Smtp(_) => None,
        }
    }

    /// Checks that mail could be sent now: the directory is writable, or the server accepts the credentials.
    pub async fn check(&self) -> Result<(), String> {
        match &self.backend {
            Backend::Directory(directory) => {
                make_private_folder(directory).map_err(|error| format!("{}: {error}", directory.display()))
            }
            Backend::Smtp(smtp) => match tokio::time::timeout(CHECK_TIMEOUT, smtp.test_connection()).await {
                Ok(Ok(true)) => Ok(()),
                Ok(Ok(false)) => Err("the server hung up".to_owned()),
                Ok(Err(error)) => Err(describe(&error)),
                Err(_) => Err(no_answer(CHECK_TIMEOUT)),
            },
        }
    }

    /// Sends a test mail.
    pub async fn send_test(&self, id: &str, to: &Email, sender: &Sender) -> Result<(), TransportError> {
        let content = test_message(sender).map_err(|error| TransportError::Refused(error.to_string()))?;
        self.send(id, to.as_str(), content).await
    }

    /// Sends a mail. `id` becomes its `Message-ID`, so that a server can recognize a repetition.
    pub(super) async fn send(&self, id: &str, to: &str, content: EmailContent) -> Result<(), TransportError> {
        let refused = |error: &dyn std::fmt::Display| TransportError::Refused(error.to_string());
        let to = mailbox(to).ok_or_else(|| TransportError::Refused("the address cannot be written to".into()))?;
        // An envelope derived from the headers would lose the quotes of a local part.
        let envelope = Envelope::new(Some(self.from.email.clone()), vec![to.email.clone()]);
        // Without angle brackets most mail programs read a quoted local part as a name.
        let quoted = to.email.user().starts_with('"').then(|| format!("<{}>", to.email));
        let mut message = lettre::Message::builder()
            .envelope(envelope.map_err(|error| refused(&error))?)
            .from(self.from.clone())
            .to(to)
            .subject(content.subject)
            .message_id(Some(format!("<{id}@{}>", self.domain)))
            .multipart(MultiPart::alternative_plain_html(content.text, content.html))
            .map_err(|error| refused(&error))?;
        // RFC 3834 section 5: no automatic replies.
        let automatic = HeaderName::new_from_ascii_str("Auto-Submitted");
        message.headers_mut().insert_raw(HeaderValue::new(automatic, "auto-generated".to_owned()));
        if let Some(to) = quoted {
            message.headers_mut().insert_raw(HeaderValue::new(HeaderName::new_from_ascii_str("To"), to));
        }
        match &self.backend {
            Backend::Directory(directory) => write(directory, id, &message.formatted())
                .map_err(|error| TransportError::Unavailable(error.to_string())),
            Backend::Smtp(smtp) => match tokio::time::timeout(SEND_TIMEOUT, smtp.send(message)).await {
                Ok(sent) => sent.map(drop).map_err(|error| classify(&error)),
                Err(_) => Err(TransportError::Unavailable(no_answer(SEND_TIMEOUT))),
            },
        }
    }
}

fn mailbox(address: &str) -> Option<Mailbox> {
    let (local, domain) = address.rsplit_once('@')?;
    let address = lettre::Address::new(quote_local_part(local), domain).ok()?;
    Some(Mailbox::new(None, address))
}

fn no_answer(within: Duration) -> String {
    format!("the server did not answer within {} seconds", within.as_secs())
}

fn smtp(url: &url::Url, start_tls: StartTls) -> Result<AsyncSmtpTransport<Tokio1Executor>, String> {
    let mut url = url.clone();
    if url.scheme() == "smtp" && start_tls == StartTls::Required {
        url.set_query(Some("tls=required"));
    }
    let builder = AsyncSmtpTransport::<Tokio1Executor>::from_url(url.as_str())
        .map_err(|error| format!("MAIL_URL cannot be used: {}", describe(&error)))?;
    Ok(builder.timeout(Some(CONNECT_TIMEOUT)).build())
}

/// Only the status codes are kept: the text of a server usually has the recipient's address, and some servers quote the mail.
fn classify(error: &lettre::transport::smtp::Error) -> TransportError {
    let Some(code) = error.status() else {
        return TransportError::Unavailable(describe(error));
    };
    let words = std::error::Error::source(error).map(ToString::to_string).unwrap_or_default();
    let answer = match words.split_whitespace().next().filter(|word| is_enhanced_status(word)) {
        Some(enhanced) => format!("the server answered {code} {enhanced}"),
        None => format!("the server answered {code}"),
    };
    match (error.is_permanent(), code.category) {
        // 53x (RFC 4954 section 6) is about the credentials, so the next mail would fail, too.
        (true, Category::Unspecified3) => TransportError::Unavailable(answer),
        (true, _) => TransportError::Refused(answer),
        (false, _) => TransportError::Deferred(answer),
    }
}

/// `5.1.1` and the like (RFC 3463).
fn is_enhanced_status(word: &str) -> bool {
    let is_number = |part: &str| (1..=3).contains(&part.len()) && part.bytes().all(|byte| byte.is_ascii_digit());
    word.split('.').count() == 3 && word.split('.').all(is_number)
}

/// The error with its causes.
fn describe(error: &lettre::transport::smtp::Error) -> String {
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

/// Renames a complete temporary file, so that no reader sees a partial mail.
fn write(directory: &Path, id: &str, mail: &[u8]) -> std::io::Result<()> {
    make_private_folder(directory)?;
    let mut file = tempfile::NamedTempFile::new_in(directory)?;
    file.write_all(mail)?;
    file.persist(directory.join(format!("{id}.eml")))?;
    Ok(())
}
