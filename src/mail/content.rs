//! The content of a mail: its text, and the templates around it.

use std::sync::Arc;

use askama::Template;
use serde::{Deserialize, Serialize};

use crate::config::Shop;
use crate::domain::{UnixSeconds, Zone, format_date_time};
use crate::web::{Client, MailColors};

/// When and from where a request came, so that the reader can tell whether it was their own. Stored in the queue as JSON.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct RequestOrigin {
    at: UnixSeconds,
    address: String,
    device: String,
}

impl RequestOrigin {
    pub fn new(at: UnixSeconds, client: &Client) -> Self {
        Self { at, address: client.address.to_string(), device: client.device() }
    }

    pub fn operator(at: UnixSeconds) -> Self {
        Self { at, address: String::new(), device: "the shop".to_owned() }
    }

    pub(super) fn describe(&self, zone: &Zone) -> String {
        let time = format!("{} {}", format_date_time(self.at, zone), zone.describe_at(self.at));
        if self.address.is_empty() {
            return format!("{time}, by {}", self.device);
        }
        format!("{time}, from {} ({})", self.address, self.device)
    }
}

/// The site and the shop in whose name mail is sent.
#[derive(Clone, Debug)]
pub struct Sender {
    /// The public origin.
    pub site: String,
    pub shop: Arc<Shop>,
    /// The zone of times in mail to readers whose own is unknown.
    pub zone: Zone,
}

impl Sender {
    pub(super) fn colors(&self) -> MailColors {
        MailColors::new(self.shop.accent.as_ref())
    }
}

/// The content of a mail as it is sent.
pub(super) struct EmailContent {
    pub subject: String,
    pub text: String,
    pub html: String,
}

#[derive(Template)]
#[template(path = "mail/message.txt")]
struct TextPart<'a> {
    text: &'a EmailText,
    sender: &'a Sender,
}

#[derive(Template)]
#[template(path = "mail/message.html")]
struct HtmlPart<'a> {
    text: &'a EmailText,
    sender: &'a Sender,
}

#[derive(Default)]
pub(super) struct EmailText {
    pub subject: String,
    pub before: Vec<String>,
    /// Label and URL.
    pub link: Option<(String, String)>,
    pub after: Vec<String>,
    /// The page where the customer turns such mail off.
    pub unsubscribe: Option<String>,
}

impl EmailText {
    pub(super) fn render(&self, sender: &Sender) -> Result<EmailContent, askama::Error> {
        Ok(EmailContent {
            subject: self.subject.clone(),
            text: TextPart { text: self, sender }.render()?,
            html: HtmlPart { text: self, sender }.render()?,
        })
    }
}
