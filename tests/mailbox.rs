//! The mail that the program has sent, read from its directory.

use std::time::{Duration, Instant};

use mail_parser::MessageParser;

use crate::place::Place;

pub const CONFIRM: &str = "Confirm your e-mail address";
pub const CONFIRM_NEW: &str = "Confirm your new e-mail address";
pub const NEW_PASSWORD: &str = "Choose a new password";

const ARRIVES_WITHIN: Duration = Duration::from_secs(30);
const LOOK_AGAIN: Duration = Duration::from_millis(25);

/// A decoded mail.
#[derive(Clone, Debug)]
pub struct SentMail {
    pub to: String,
    pub subject: String,
    pub text: String,
    pub html: String,
    /// With its headers.
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

    /// The URL of its only link with a token.
    pub fn url(&self) -> &str {
        let mut urls = self.text.lines().filter(|line| line.starts_with("http") && line.contains("?token="));
        let url = urls.next().unwrap_or_else(|| panic!("no link in: {}", self.text));
        assert!(urls.next().is_none(), "two links in: {}", self.text);
        url
    }

    /// The same without the origin.
    pub fn path(&self) -> &str {
        let url = self.url();
        &url[url.find("//").and_then(|start| url[start + 2..].find('/').map(|slash| start + 2 + slash)).unwrap()..]
    }

    pub fn token(&self) -> &str {
        self.url().split_once("?token=").unwrap().1
    }
}

/// All mails, oldest first.
pub fn mails(place: &Place) -> Vec<SentMail> {
    let folder = std::fs::read_dir(place.path().join("data/mail")).into_iter().flatten().flatten();
    let mut files: Vec<_> = folder.map(|entry| entry.path()).filter(|path| path.extension().is_some()).collect();
    files.sort();
    files.iter().filter(|path| path.extension().unwrap() == "eml").map(|path| SentMail::read(&read(path))).collect()
}

fn read(path: &std::path::Path) -> Vec<u8> {
    std::fs::read(path).unwrap()
}

pub fn mails_to(place: &Place, to: &str, subject: &str) -> Vec<SentMail> {
    mails(place).into_iter().filter(|mail| mail.to == to && mail.subject == subject).collect()
}

/// Waits for the only mail with that subject to that address.
pub async fn mail_to(place: &Place, to: &str, subject: &str) -> SentMail {
    let what = format!("\"{subject}\" to {to}");
    let mut found = until(&what, || Some(mails_to(place, to, subject)).filter(|found| !found.is_empty())).await;
    assert_eq!(found.len(), 1, "{what}");
    found.remove(0)
}

/// Waits until the queue is empty, except failed mail.
pub async fn all_gone(place: &Place) {
    let database = place.database().await;
    let began = Instant::now();
    loop {
        let waiting: i64 = sqlx::query_scalar("SELECT COUNT(*) FROM mail_queue WHERE failed_at IS NULL")
            .fetch_one(&database)
            .await
            .unwrap();
        if waiting == 0 {
            return;
        }
        assert!(began.elapsed() < ARRIVES_WITHIN, "{waiting} mails are still in the queue");
        tokio::time::sleep(LOOK_AGAIN).await;
    }
}

/// Repeats `look` until it returns something.
pub async fn until<T>(what: &str, look: impl Fn() -> Option<T>) -> T {
    let began = Instant::now();
    loop {
        if let Some(found) = look() {
            return found;
        }
        assert!(began.elapsed() < ARRIVES_WITHIN, "still missing: {what}");
        tokio::time::sleep(LOOK_AGAIN).await;
    }
}
