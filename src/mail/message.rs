//! What is said by mail, and how it reads.

use askama::Template;
use serde::{Deserialize, Serialize};

use super::links::Purpose;
use crate::clock::UnixSeconds;
use crate::web::{Client, Zone, words};

/// When something was done and from where, for the reader to judge whether it was them.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Occasion {
    at: UnixSeconds,
    address: String,
    device: String,
}

impl Occasion {
    /// Now, by that client.
    pub fn new(at: UnixSeconds, client: &Client) -> Self {
        Self { at, address: client.address.to_string(), device: client.device() }
    }

    /// Now, by the shop's operator.
    pub fn by_shop(at: UnixSeconds) -> Self {
        Self { at, address: String::new(), device: "the shop".to_owned() }
    }

    fn in_words(&self) -> String {
        if self.address.is_empty() {
            return format!("{} UTC, by {}", words::moment(self.at, &Zone::utc()), self.device);
        }
        format!("{} UTC, from {} ({})", words::moment(self.at, &Zone::utc()), self.address, self.device)
    }
}

/// Every message that leaves the site.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub enum Message {
    /// To a new account: is the address theirs?
    Verify(Occasion),
    /// To whoever forgot the password, if there is an account.
    Reset(Occasion),
    /// To a new address: is it theirs?
    ConfirmNewAddress(Occasion),
    /// To the old address, before anything has changed.
    AddressChangeAsked {
        /// By whom.
        occasion: Occasion,
        /// The new address.
        to: String,
    },
    /// To the old address, afterwards.
    AddressChanged {
        /// By whom.
        occasion: Occasion,
        /// The new address.
        to: String,
    },
    /// The password was changed.
    PasswordChanged(Occasion),
    /// To whoever used a recovery link: a new password in place of the one that was made unusable.
    ResetAfterRecovery(Occasion),
    /// The account is gone.
    AccountDeleted(Occasion),
    /// What the customer did to an order.
    AboutOrder(AboutOrder),
}

/// What a customer did to an order, said back to them.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub enum AboutOrder {
    /// The shop was asked to call it off.
    CancellationAsked {
        /// By whom.
        occasion: Occasion,
        /// The order's number.
        number: String,
    },
    /// It was placed once more.
    PlacedAgain {
        /// By whom.
        occasion: Occasion,
        /// The new order's number.
        number: String,
        /// The number of the order that it repeats.
        copy_of: String,
        /// What it holds, line by line.
        lines: Vec<String>,
        /// What it costs.
        total: String,
    },
}

/// A message as it is sent.
pub(super) struct Letter {
    pub subject: String,
    pub text: String,
    pub html: String,
}

#[derive(Template)]
#[template(path = "mail/message.txt")]
struct TextPart<'a> {
    words: &'a Words,
    site: &'a str,
}

#[derive(Template)]
#[template(path = "mail/message.html")]
struct HtmlPart<'a> {
    words: &'a Words,
    site: &'a str,
}

struct Words {
    subject: &'static str,
    before: Vec<String>,
    link: Option<(&'static str, String)>,
    after: Vec<String>,
}

/// What the link says by which someone undoes what they did not do.
const NOT_ME: &str = "This was not me";

/// `otherwise` is for events that are too old to be undone.
fn if_not_you(has_link: bool, otherwise: &str) -> String {
    if !has_link {
        return format!("If this was not you, {otherwise}.");
    }
    "If this was not you, take the account back: open this link and press the button there. The account then has this address, whatever was changed since; every session ends, the password stops working, and we send you a link for a new one.".to_owned()
}

fn after_recovery_link(has_link: bool) -> Vec<String> {
    let after = "The link works once, within 7 days. If this was you, there is nothing to do.";
    has_link.then(|| after.to_owned()).into_iter().collect()
}

impl Words {
    fn write(&self, site: &str) -> Result<Letter, askama::Error> {
        Ok(Letter {
            subject: self.subject.to_owned(),
            text: TextPart { words: self, site }.render()?,
            html: HtmlPart { words: self, site }.render()?,
        })
    }
}

/// What `order-portal check --mail` sends.
pub(super) fn test_letter(site: &str) -> Result<Letter, askama::Error> {
    let before = format!("This is a test message of {site}. It arrived, so mail works.");
    Words { subject: "Test message", before: vec![before], link: None, after: Vec::new() }.write(site)
}

impl Message {
    /// What the link in it is for; `None` when it has none.
    pub fn purpose(&self) -> Option<Purpose> {
        match self {
            Self::Verify(_) => Some(Purpose::Verify),
            Self::Reset(_) | Self::ResetAfterRecovery(_) => Some(Purpose::Reset),
            Self::ConfirmNewAddress(_) => Some(Purpose::ChangeEmail),
            _ => None,
        }
    }

    /// Whether its reader can undo what it tells of, by a link in it.
    pub fn has_recovery_link(&self) -> bool {
        matches!(self, Self::AddressChanged { .. } | Self::PasswordChanged(_))
    }

    /// What a message in the queue is about, in a word or two; of one that a newer version queued, that version's name for it.
    pub(super) fn kind_of(json: &str) -> String {
        match serde_json::from_str::<Self>(json) {
            Ok(message) => message.kind().to_owned(),
            Err(_) => {
                let value = serde_json::from_str::<serde_json::Value>(json).ok();
                let name = value.as_ref().and_then(|value| value.as_object()?.keys().next());
                let name = name.map_or_else(|| "unknown".into(), |name| name.escape_debug().to_string());
                format!("{name} (newer version)")
            }
        }
    }

    fn kind(&self) -> &'static str {
        match self {
            Self::Verify(_) => "confirm address",
            Self::Reset(_) | Self::ResetAfterRecovery(_) => "reset password",
            Self::ConfirmNewAddress(_) => "confirm new address",
            Self::AddressChangeAsked { .. } => "address change requested",
            Self::AddressChanged { .. } => "address changed",
            Self::PasswordChanged(_) => "password changed",
            Self::AccountDeleted(_) => "account deleted",
            Self::AboutOrder(AboutOrder::CancellationAsked { .. }) => "cancellation requested",
            Self::AboutOrder(AboutOrder::PlacedAgain { .. }) => "order placed again",
        }
    }

    /// The message as it reads at `site`, with the address that its link leads to.
    pub(super) fn write(&self, site: &str, link: Option<String>) -> Result<Letter, askama::Error> {
        self.say(link).write(site)
    }

    fn say(&self, link: Option<String>) -> Words {
        let has_link = link.is_some();
        let said = |subject, before: Vec<String>, label, after: Vec<String>| Words {
            subject,
            before,
            link: link.map(|link| (label, link)),
            after,
        };
        match self {
            Self::Verify(occasion) => said(
                "Confirm your e-mail address",
                vec![
                    "An account was made with this e-mail address. Confirm that the address is yours, and the orders that you placed with it appear in the account. You need to be logged in to the account, or to enter its password.".to_owned(),
                    format!("Made: {}.", occasion.in_words()),
                ],
                "Confirm the address",
                vec!["The link works once, within 24 hours. If you did not make the account, ignore this mail, or open the link to take the account over: whoever made it sees nothing of yours.".to_owned()],
            ),
            Self::Reset(occasion) => said(
                "Choose a new password",
                vec![
                    "Someone asked for a new password for your account.".to_owned(),
                    format!("Asked: {}.", occasion.in_words()),
                ],
                "Choose a new password",
                vec!["The link works once, within 30 minutes. If it was not you who asked, there is nothing to do: your password stays as it is.".to_owned()],
            ),
            Self::ConfirmNewAddress(occasion) => said(
                "Confirm your new e-mail address",
                vec![
                    "An account is to change to this e-mail address. Confirm that the address is yours. You need to be logged in to the account, or to enter its password.".to_owned(),
                    format!("Asked: {}.", occasion.in_words()),
                ],
                "Confirm the address",
                vec!["The link works once, within 24 hours. If it was not you who asked, ignore this mail: nothing changes.".to_owned()],
            ),
            Self::AddressChangeAsked { occasion, to } => said(
                "Your e-mail address is about to change",
                vec![
                    format!("Your account is to change from this e-mail address to {to}, once that address is confirmed."),
                    format!("Asked: {}.", occasion.in_words()),
                    "If it was not you, log in now and change your password: that stops the change.".to_owned(),
                ],
                "",
                Vec::new(),
            ),
            Self::AddressChanged { occasion, to } => said(
                "Your e-mail address was changed",
                vec![
                    format!("Your account has changed from this e-mail address to {to}."),
                    format!("Confirmed: {}.", occasion.in_words()),
                    if_not_you(has_link, "tell the shop at once"),
                ],
                NOT_ME,
                after_recovery_link(has_link),
            ),
            Self::PasswordChanged(occasion) => said(
                "Your password was changed",
                vec![
                    "The password of your account was changed. Everywhere else the account was logged out.".to_owned(),
                    format!("Changed: {}.", occasion.in_words()),
                    if_not_you(has_link, "choose a new password at once: follow \"Forgot your password?\" on the login page"),
                ],
                NOT_ME,
                after_recovery_link(has_link),
            ),
            Self::ResetAfterRecovery(occasion) => said(
                "Choose a new password",
                vec![
                    "Your account was secured: every session has ended, and its password no longer works. Choose a new one to log in again.".to_owned(),
                    format!("Asked: {}.", occasion.in_words()),
                ],
                "Choose a new password",
                vec!["The link works once, within 30 minutes. Later you get another one: follow \"Forgot your password?\" on the login page.".to_owned()],
            ),
            Self::AccountDeleted(occasion) => said(
                "Your account was deleted",
                vec![
                    "Your account and what it held about you are gone. The shop keeps its own record of your orders.".to_owned(),
                    format!("Deleted: {}.", occasion.in_words()),
                ],
                "",
                Vec::new(),
            ),
            Self::AboutOrder(message) => {
                let (subject, before) = message.say();
                said(subject, before, "", Vec::new())
            }
        }
    }
}

impl AboutOrder {
    fn say(&self) -> (&'static str, Vec<String>) {
        match self {
            Self::CancellationAsked { occasion, number } => (
                "You asked to cancel an order",
                vec![
                    format!(
                        "The shop knows that you want to cancel order {number}. Whether it still could be stopped shows with the order."
                    ),
                    format!("Asked: {}.", occasion.in_words()),
                ],
            ),
            Self::PlacedAgain { occasion, number, copy_of, lines, total } => {
                let before = [format!("Order {number} is placed: the same as order {copy_of}.")];
                let after = [
                    format!("Total: {total}. The shop confirms what it can send."),
                    format!("Placed: {}.", occasion.in_words()),
                ];
                ("Your order is placed", before.into_iter().chain(lines.iter().cloned()).chain(after).collect())
            }
        }
    }
}
