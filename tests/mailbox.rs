//! Delivered mail, read from the directory of `MAIL_URL`.

use std::time::{Duration, Instant};

use mail_parser::MessageParser;

use crate::sandbox::Sandbox;

pub const CONFIRM: &str = "Confirm your email address";
pub const CONFIRM_NEW: &str = "Confirm your new email address";
pub const RESET: &str = "Choose a new password";

const MAIL_TIMEOUT: Duration = Duration::from_secs(30);
const POLL_INTERVAL: Duration = Duration::from_millis(25);

/// A decoded mail.
#[derive(Clone, Debug)]
pub struct SentMail {
    pub to: String,
    pub subject: String,
    pub text: String,
    pub html: String,
    /// The undecoded message with its headers.
    pub raw: String,
}

impl SentMail {
    pub fn read(raw: &[u8]) -> Self {
        let mail = MessageParser::default().parse(raw).unwrap();
        let to = mail.to().unwrap().first().unwrap().address().unwrap();
        Self {
            to: to.to_owned(),
            subject: mail.subject().unwrap().to_owned(),
            text: mail.body_text(0).unwrap().into_owned(),
            html: mail.body_html(0).unwrap().into_owned(),
            raw: String::from_utf8_lossy(raw).into_owned(),
        }
    }

    /// The only URL with a token.
    pub fn url(&self) -> &str {
        let mut urls = self.text.lines().filter(|line| line.starts_with("http") && line.contains("?token="));
        let url = urls.next().unwrap_or_else(|| panic!("no link in: {}", self.text));
        assert!(urls.next().is_none(), "two links in: {}", self.text);
        url
    }

    /// The URL without the origin.
    pub fn path(&self) -> &str {
        let url = self.url();
        &url[url.find("//").and_then(|start| url[start + 2..].find('/').map(|slash| start + 2 + slash)).unwrap()..]
    }

    pub fn token(&self) -> &str {
        self.url().split_once("?token=").unwrap().1
    }
}

/// All mails, oldest first.
pub fn mails(sandbox: &Sandbox) -> Vec<SentMail> {
    let entries = std::fs::read_dir(sandbox.path().join("data/mail")).into_iter().flatten().flatten();
    let mut files: Vec<_> = entries.map(|entry| entry.path()).collect();
    files.retain(|path| path.extension().is_some_and(|extension| extension == "eml"));
    files.sort();
    files.iter().map(|path| SentMail::read(&std::fs::read(path).unwrap())).collect()
}

pub fn mails_to(sandbox: &Sandbox, to: &str, subject: &str) -> Vec<SentMail> {
    mails(sandbox).into_iter().filter(|mail| mail.to == to && mail.subject == subject).collect()
}

/// Waits for the only mail to that address with that subject.
pub async fn mail_to(sandbox: &Sandbox, to: &str, subject: &str) -> SentMail {
    let what = format!("\"{subject}\" to {to}");
    let mut found = wait_for(&what, || Some(mails_to(sandbox, to, subject)).filter(|found| !found.is_empty())).await;
    assert_eq!(found.len(), 1, "{what}");
    found.remove(0)
}

/// Waits until the queue has only failed mail.
pub async fn wait_for_empty_queue(sandbox: &Sandbox) {
    let database = sandbox.database().await;
    let began = Instant::now();
    loop {
        let queued: i64 = sqlx::query_scalar("SELECT COUNT(*) FROM mail_queue WHERE failed_at IS NULL")
            .fetch_one(&database)
            .await
            .unwrap();
        if queued == 0 {
            return;
        }
        assert!(began.elapsed() < MAIL_TIMEOUT, "{queued} mails are still in the queue");
        tokio::time::sleep(POLL_INTERVAL).await;
    }
}

/// Repeats `find` until it returns a value.
pub async fn wait_for<T>(what: &str, find: impl Fn() -> Option<T>) -> T {
    let began = Instant::now();
    loop {
        if let Some(found) = find() {
            return found;
        }
        assert!(began.elapsed() < MAIL_TIMEOUT, "still missing: {what}");
        tokio::time::sleep(POLL_INTERVAL).await;
    }
}
