//! Mail about orders: to the customer, and to the shop, which has to answer requests.
//!
//! Numbers, names and reasons are text of the shop or the customer: one line each, without characters that change the order of others.

use serde::{Deserialize, Serialize};

use super::content::{EmailText, RequestOrigin, Sender};
use crate::web::escape::without_bidi_controls;

/// Lines in a mail, and characters of each.
const MAX_LINES: usize = 30;
const MAX_LINE_CHARS: usize = 120;
/// Orders that a subject names.
const MAX_SUBJECT_ORDERS: usize = 3;

/// To the customer. The JSON is stored in the queue, see `message.rs`.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub enum AboutOrder {
    #[serde(rename = "CancellationAsked")]
    CancellationRequested {
        #[serde(rename = "occasion")]
        origin: RequestOrigin,
        number: String,
        /// Of the order's page. Empty in messages of an earlier version, like the reason.
        #[serde(default)]
        path: String,
        #[serde(default)]
        reason: String,
    },
    CancellationWithdrawn {
        origin: RequestOrigin,
        number: String,
        path: String,
    },
    CancellationAnswered {
        number: String,
        path: String,
        is_accepted: bool,
    },
    ReorderRequested {
        origin: RequestOrigin,
        number: String,
        path: String,
        lines: Vec<String>,
    },
    /// Of an earlier version.
    PlacedAgain {
        #[serde(rename = "occasion")]
        origin: RequestOrigin,
        /// The new order's number.
        number: String,
        /// The number of the order that it repeats.
        copy_of: String,
        /// One entry per order line.
        lines: Vec<String>,
        total: String,
    },
    /// What an import changed, for customers who want such mail.
    StatesChanged {
        orders: Vec<ChangedOrder>,
        /// Further orders, which are not listed.
        more: usize,
    },
}

/// An order whose state an import changed.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct ChangedOrder {
    pub number: String,
    pub path: String,
    /// In lower case: `sent`.
    pub state: String,
}

/// To the shop, at `SHOP_CONTACT`. Of several orders with one number, the number contains what tells the order apart.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub enum ToShop {
    CancellationRequested { origin: RequestOrigin, number: String, customer: String, reason: String },
    CancellationWithdrawn { origin: RequestOrigin, number: String, customer: String },
    ReorderRequested { origin: RequestOrigin, number: String, customer: String, lines: Vec<String> },
}

/// Lines for a mail: short, and with a count of those that are left out.
pub fn mail_lines(lines: impl ExactSizeIterator<Item = String>) -> Vec<String> {
    let count = lines.len();
    let mut shown: Vec<String> = lines.take(MAX_LINES).map(|line| mail_line(&line)).collect();
    if count > MAX_LINES {
        shown.push(format!("and {} more", count - MAX_LINES));
    }
    shown
}

/// A text as one short line. Without its line breaks a name cannot forge further lines of the mail.
fn mail_line(text: &str) -> String {
    let text = without_bidi_controls(text);
    let mut letters = text.chars().map(|letter| if letter.is_control() { ' ' } else { letter });
    let mut line: String = letters.by_ref().take(MAX_LINE_CHARS).collect();
    if letters.next().is_some() {
        line.push('…');
    }
    line
}

fn subject(text: &str) -> String {
    mail_line(text)
}

impl AboutOrder {
    pub(super) fn kind(&self) -> &'static str {
        match self {
            Self::CancellationRequested { .. } => "cancellation requested",
            Self::CancellationWithdrawn { .. } => "cancellation request withdrawn",
            Self::CancellationAnswered { .. } => "cancellation answered",
            Self::ReorderRequested { .. } => "reorder requested",
            Self::PlacedAgain { .. } => "order placed again",
            Self::StatesChanged { .. } => "order changed",
        }
    }

    pub(super) fn text(&self, sender: &Sender) -> EmailText {
        let link = |number: &str, path: &str| {
            (!path.is_empty()).then(|| (format!("View order {}", mail_line(number)), format!("{}{path}", sender.site)))
        };
        match self {
            Self::CancellationRequested { origin, number, path, reason } => {
                let reason = (!reason.is_empty()).then(|| format!("Your reason: {reason}"));
                let before = [
                    Some(format!(
                        "You asked {} to cancel order {number}. The order stays as it is until the shop answers. Until then you can withdraw the request on the order's page.",
                        sender.shop.name
                    )),
                    reason,
                    Some(format!("Requested: {}.", origin.describe(&sender.zone))),
                ];
                EmailText {
                    subject: subject(&format!("Cancellation requested: order {number}")),
                    before: before.into_iter().flatten().collect(),
                    link: link(number, path),
                    ..EmailText::default()
                }
            }
            Self::CancellationWithdrawn { origin, number, path } => EmailText {
                subject: subject(&format!("Cancellation request withdrawn: order {number}")),
                before: vec![
                    format!("You withdrew your request to cancel order {number}. The order stays as it is."),
                    format!("Withdrawn: {}.", origin.describe(&sender.zone)),
                ],
                link: link(number, path),
                ..EmailText::default()
            },
            Self::CancellationAnswered { number, path, is_accepted } => {
                let shop = &sender.shop.name;
                let (subject_text, before) = match is_accepted {
                    true => (
                        format!("Cancellation accepted: order {number}"),
                        format!(
                            "{shop} accepted your request to cancel order {number}. The order's page shows it as cancelled with the shop's next update."
                        ),
                    ),
                    false => (
                        format!("Cancellation declined: order {number}"),
                        format!(
                            "{shop} declined your request to cancel order {number}. Contact the shop if you have questions."
                        ),
                    ),
                };
                EmailText {
                    subject: subject(&subject_text),
                    before: vec![before],
                    link: link(number, path),
                    ..EmailText::default()
                }
            }
            Self::ReorderRequested { origin, number, path, lines } => {
                let before = [format!("You asked {} for these products of order {number} again:", sender.shop.name)];
                let after = [
                    "This is a request, not an order. The shop contacts you about prices, payment and delivery."
                        .to_owned(),
                    format!("Requested: {}.", origin.describe(&sender.zone)),
                ];
                EmailText {
                    subject: subject(&format!("Request to order again: order {number}")),
                    before: before.into_iter().chain(lines.iter().cloned()).chain(after).collect(),
                    link: link(number, path),
                    ..EmailText::default()
                }
            }
            Self::PlacedAgain { origin, number, copy_of, lines, total } => {
                let before = [format!("Order {number} is placed: the same as order {copy_of}.")];
                let after = [
                    format!("Total: {total}. The shop confirms what it can send."),
                    format!("Placed: {}.", origin.describe(&sender.zone)),
                ];
                EmailText {
                    subject: subject(&format!("Order {number} is placed")),
                    before: before.into_iter().chain(lines.iter().cloned()).chain(after).collect(),
                    ..EmailText::default()
                }
            }
            Self::StatesChanged { orders, more } => states_changed(orders, *more, sender),
        }
    }
}

fn states_changed(orders: &[ChangedOrder], more: usize, sender: &Sender) -> EmailText {
    let shop = &sender.shop.name;
    let (subject_text, before, link) = match orders {
        [ChangedOrder { number, path, state }] if more == 0 => (
            format!("Order {number}: {state}"),
            vec![format!("{shop} updated your order {number}. It is now {state}.")],
            (format!("View order {}", mail_line(number)), path.as_str()),
        ),
        _ => {
            let named: Vec<&str> = orders.iter().take(MAX_SUBJECT_ORDERS).map(|order| order.number.as_str()).collect();
            let unnamed = orders.len() - named.len() + more;
            let rest = if unnamed > 0 { format!(" and {unnamed} more") } else { String::new() };
            let states =
                orders.iter().map(|ChangedOrder { number, state, .. }| format!("{}: {state}", mail_line(number)));
            let mut before = vec![format!("{shop} updated your orders:")];
            before.extend(states);
            before.extend((more > 0).then(|| format!("and {more} more")));
            (
                format!("Orders {}{rest}: new status", named.join(", ")),
                before,
                ("View your orders".to_owned(), "/orders"),
            )
        }
    };
    EmailText {
        subject: subject(&subject_text),
        before,
        link: Some((link.0, format!("{}{}", sender.site, link.1))),
        after: Vec::new(),
        unsubscribe: Some(format!("{}/account#order-mails", sender.site)),
    }
}

impl ToShop {
    pub(super) fn kind(&self) -> &'static str {
        match self {
            Self::CancellationRequested { .. } => "cancellation requested, to the shop",
            Self::CancellationWithdrawn { .. } => "cancellation request withdrawn, to the shop",
            Self::ReorderRequested { .. } => "reorder requested, to the shop",
        }
    }

    pub(super) fn text(&self, sender: &Sender) -> EmailText {
        let (subject_text, before) = match self {
            Self::CancellationRequested { origin, number, customer, reason } => (
                format!("Cancellation requested: order {number}"),
                vec![
                    format!("{customer} asks to cancel order {number}."),
                    if reason.is_empty() { "No reason given.".to_owned() } else { format!("Reason: {reason}") },
                    "Answer it with \"order-portal orders cancellations done NUMBER\" or \"order-portal orders cancellations decline NUMBER\". If an Id stands after the order's number, several orders have the number: give the Id in its place. The customer sees the answer on the order's page and gets it by email.".to_owned(),
                    format!("Requested: {}.", origin.describe(&sender.zone)),
                ],
            ),
            Self::CancellationWithdrawn { origin, number, customer } => (
                format!("Cancellation request withdrawn: order {number}"),
                vec![
                    format!("{customer} no longer asks to cancel order {number}."),
                    format!("Withdrawn: {}.", origin.describe(&sender.zone)),
                ],
            ),
            Self::ReorderRequested { origin, number, customer, lines } => {
                let before = [format!("{customer} asks for these products of order {number} again:")];
                let after = [
                    "No order was made. Contact the customer about prices, payment and delivery. \"order-portal orders reorders\" lists all requests.".to_owned(),
                    format!("Requested: {}.", origin.describe(&sender.zone)),
                ];
                (
                    format!("Request to order again: order {number}"),
                    before.into_iter().chain(lines.iter().cloned()).chain(after).collect(),
                )
            }
        };
        EmailText { subject: subject(&subject_text), before, ..EmailText::default() }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::Zone;

    fn sender() -> Sender {
        Sender { site: "https://orders.example".to_owned(), shop: std::sync::Arc::default(), zone: Zone::utc() }
    }

    #[test]
    fn mail_line_has_no_control_characters_and_is_short() {
        assert_eq!(mail_line("Tea\r\nBcc: everyone\u{1b}[31m\u{202e}"), "Tea  Bcc: everyone [31m");
        assert_eq!(mail_line(&"漢".repeat(120)), "漢".repeat(120));
        assert_eq!(mail_line(&"漢".repeat(121)), format!("{}…", "漢".repeat(120)));
    }

    #[test]
    fn lines_after_the_thirtieth_are_counted() {
        let lines = mail_lines((0..32).map(|line| line.to_string()));
        assert_eq!((lines.len(), lines[29].as_str(), lines[30].as_str()), (31, "29", "and 2 more"));
        assert_eq!(mail_lines((0..30).map(|line| line.to_string())).len(), 30);
    }

    #[test]
    fn message_of_an_earlier_version_is_readable() {
        let json = r##"{"CancellationAsked":{"occasion":{"at":0,"address":"","device":"the shop"},"number":"#1"}}"##;
        let sender = sender();
        let text = serde_json::from_str::<AboutOrder>(json).unwrap().text(&sender);
        assert_eq!((text.subject.as_str(), text.link), ("Cancellation requested: order #1", None));
    }

    #[test]
    fn subject_names_up_to_three_changed_orders() {
        let order = |number: &str| ChangedOrder {
            number: number.to_owned(),
            path: format!("/orders/{number}"),
            state: "sent".to_owned(),
        };
        let sender = sender();
        for (numbers, more, subject, url) in [
            (&["1"][..], 0, "Order 1: sent", "https://orders.example/orders/1"),
            (&["1", "2"], 0, "Orders 1, 2: new status", "https://orders.example/orders"),
            (&["1", "2", "3", "4"], 6, "Orders 1, 2, 3 and 7 more: new status", "https://orders.example/orders"),
        ] {
            let orders: Vec<ChangedOrder> = numbers.iter().map(|number| order(number)).collect();
            let text = states_changed(&orders, more, &sender);
            assert_eq!((text.subject.as_str(), text.link.unwrap().1.as_str()), (subject, url));
        }
    }
}
