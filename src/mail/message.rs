//! Every mail that the program sends, and its text.

use serde::{Deserialize, Serialize};

use super::content::{EmailContent, EmailText, RequestOrigin, Sender};
use super::factor_messages::AboutFactors;
use super::order_messages::{AboutOrder, ToShop};
use super::tokens::Purpose;
use crate::config::ShopContact;

/// Every mail. The JSON of a variant is stored in the queue, so its names and fields must stay readable: renamed ones keep their old
/// names there.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub enum Message {
    /// Confirm the address of a new account.
    Verify(RequestOrigin),
    /// Set a new password. Also queued for an unknown address, and then not sent.
    Reset(RequestOrigin),
    /// Confirm the new address of an account.
    ConfirmNewAddress(RequestOrigin),
    /// To the old address, before the change.
    #[serde(rename = "AddressChangeAsked")]
    AddressChangeRequested {
        #[serde(rename = "occasion")]
        origin: RequestOrigin,
        /// The new address.
        to: String,
    },
    /// To the old address, after the change.
    AddressChanged {
        #[serde(rename = "occasion")]
        origin: RequestOrigin,
        /// The new address.
        to: String,
    },
    PasswordChanged(RequestOrigin),
    /// A login from a browser, or with the API from a network, that the account did not know.
    NewLogin(RequestOrigin),
    /// A login with a password that is in the list of breached ones.
    BreachedPassword(RequestOrigin),
    /// After a recovery link was used: set a new password, because the old one was made unusable.
    ResetAfterRecovery(RequestOrigin),
    AccountDeleted(RequestOrigin),
    AboutFactors(AboutFactors),
    AboutOrder(AboutOrder),
    ToShop(ToShop),
}

/// The label of a recovery link.
const NOT_ME: &str = "This was not me";
const CHOOSE_PASSWORD: &str = "choose a new password at once: follow \"Forgot your password?\" on the login page";

/// `otherwise` is the advice when the change can no longer be undone.
fn if_not_you(has_link: bool, otherwise: &str) -> String {
    if !has_link {
        return format!("If this was not you, {otherwise}.");
    }
    "If this was not you, open this link and press the button there. The account then has this address again, all browsers and apps are logged out, the password stops working, and we send you a link to choose a new one.".to_owned()
}

fn contact_the_shop(contact: Option<&ShopContact>) -> String {
    contact
        .map_or_else(|| "contact the shop at once".to_owned(), |contact| format!("contact the shop at once: {contact}"))
}

fn after_recovery_link(has_link: bool) -> Vec<String> {
    let after = "The link works once, within 7 days. If this was you, there is nothing to do.";
    has_link.then(|| after.to_owned()).into_iter().collect()
}

/// The mail of `order-portal check --mail`.
pub(super) fn test_message(sender: &Sender) -> Result<EmailContent, askama::Error> {
    let before = format!("This is a test message from {} at {}. Mail delivery works.", sender.shop.name, sender.site);
    EmailText { subject: "Test message".to_owned(), before: vec![before], ..EmailText::default() }.render(sender)
}

/// Without a link that gives access: it leads to the page that asks for the login.
fn breached_password(origin: &RequestOrigin, sender: &Sender) -> EmailText {
    EmailText {
        subject: "Your password was stolen from another site".to_owned(),
        before: vec![
            "The password of your account is in a list of passwords that were stolen from other sites. Attackers try these first. Choose a new one that you use nowhere else.".to_owned(),
            format!("Noticed at a login: {}.", origin.describe(&sender.zone)),
        ],
        link: Some(("Change the password".to_owned(), format!("{}/account#password", sender.site))),
        after: vec![format!("Until then you can log in as before. If that login was not you, {CHOOSE_PASSWORD}.")],
        unsubscribe: None,
    }
}

impl Message {
    /// The purpose of the token in its link; `None` without such a link.
    pub fn purpose(&self) -> Option<Purpose> {
        match self {
            Self::Verify(_) => Some(Purpose::Verify),
            Self::Reset(_) | Self::ResetAfterRecovery(_) => Some(Purpose::Reset),
            Self::ConfirmNewAddress(_) => Some(Purpose::ChangeEmail),
            Self::AddressChangeRequested { .. }
            | Self::AddressChanged { .. }
            | Self::PasswordChanged(_)
            | Self::NewLogin(_)
            | Self::BreachedPassword(_)
            | Self::AccountDeleted(_)
            | Self::AboutFactors(_)
            | Self::AboutOrder(_)
            | Self::ToShop(_) => None,
        }
    }

    /// Whether it has a link that undoes the change.
    pub fn has_recovery_link(&self) -> bool {
        matches!(
            self,
            Self::AddressChanged { .. } | Self::PasswordChanged(_) | Self::NewLogin(_) | Self::AboutFactors(_)
        )
    }

    /// What distinguishes it from other messages about the same event, besides a new address.
    pub fn detail(&self) -> &str {
        if let Self::AboutFactors(message) = self { message.detail() } else { "" }
    }

    /// A short name of a message in the queue. For a message of a newer version, the variant's name.
    pub(super) fn kind_of_json(json: &str) -> String {
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
            Self::AddressChangeRequested { .. } => "address change requested",
            Self::AddressChanged { .. } => "address changed",
            Self::PasswordChanged(_) => "password changed",
            Self::NewLogin(_) => "new login",
            Self::BreachedPassword(_) => "breached password",
            Self::AccountDeleted(_) => "account deleted",
            Self::AboutFactors(_) => "two-step login",
            Self::AboutOrder(message) => message.kind(),
            Self::ToShop(message) => message.kind(),
        }
    }

    /// Renders the mail with the URL of its link.
    pub(super) fn render(&self, sender: &Sender, link: Option<&str>) -> Result<EmailContent, askama::Error> {
        self.text(link, sender).render(sender)
    }

    fn text(&self, link: Option<&str>, sender: &Sender) -> EmailText {
        let (has_link, contact, zone) = (link.is_some(), sender.shop.contact.as_ref(), &sender.zone);
        let text = |subject: &str, before: Vec<String>, label: &str, after: Vec<String>| EmailText {
            subject: subject.to_owned(),
            before,
            link: link.map(|link| (label.to_owned(), link.to_owned())),
            after,
            unsubscribe: None,
        };
        let security_notice = |subject: &str, what: String, when: String, otherwise: &str| {
            text(subject, vec![what, when, if_not_you(has_link, otherwise)], NOT_ME, after_recovery_link(has_link))
        };
        match self {
            Self::Verify(origin) => text(
                "Confirm your email address",
                vec![
                    "An account was created with this email address. Confirm the address to see your orders in the account. You need to be logged in, or to enter the account's password.".to_owned(),
                    format!("Created: {}.", origin.describe(zone)),
                ],
                "Confirm the address",
                vec!["The link works once and expires after 24 hours. If you did not create the account, you can ignore this email, or open the link to take over the account. Whoever created it cannot see your orders.".to_owned()],
            ),
            Self::Reset(origin) => text(
                "Choose a new password",
                vec![
                    "A new password was requested for your account.".to_owned(),
                    format!("Requested: {}.", origin.describe(zone)),
                ],
                "Choose a new password",
                vec!["The link works once and expires after 30 minutes. If you did not request this, you can ignore this email. Your password stays the same.".to_owned()],
            ),
            Self::ConfirmNewAddress(origin) => text(
                "Confirm your new email address",
                vec![
                    "A customer wants to change their account to this email address. Confirm the address to complete the change. You need to be logged in, or to enter the account's password.".to_owned(),
                    format!("Requested: {}.", origin.describe(zone)),
                ],
                "Confirm the address",
                vec!["The link works once and expires after 24 hours. If you did not request this, you can ignore this email. Nothing changes.".to_owned()],
            ),
            Self::AddressChangeRequested { origin, to } => text(
                "Email address change requested",
                vec![
                    format!("A change of your account's email address to {to} was requested. It takes effect when that address is confirmed."),
                    format!("Requested: {}.", origin.describe(zone)),
                    "If this was not you, log in now and change your password. That cancels the change.".to_owned(),
                ],
                "",
                Vec::new(),
            ),
            Self::AddressChanged { origin, to } => security_notice(
                "Your email address was changed",
                format!("The email address of your account was changed from this address to {to}."),
                format!("Confirmed: {}.", origin.describe(zone)),
                &contact_the_shop(contact),
            ),
            Self::PasswordChanged(origin) => security_notice(
                "Your password was changed",
                "The password of your account was changed. All other browsers and apps were logged out.".to_owned(),
                format!("Changed: {}.", origin.describe(zone)),
                CHOOSE_PASSWORD,
            ),
            Self::NewLogin(origin) => security_notice(
                "New login to your account",
                "There was a login to your account from a new browser or network.".to_owned(),
                format!("Logged in: {}.", origin.describe(zone)),
                CHOOSE_PASSWORD,
            ),
            Self::BreachedPassword(origin) => breached_password(origin, sender),
            Self::ResetAfterRecovery(origin) => text(
                "Choose a new password",
                vec![
                    "Your account was secured. All browsers and apps were logged out, the old password no longer works, and passkeys and two-step login that were added since then are removed. Choose a new password to log in again.".to_owned(),
                    format!("Requested: {}.", origin.describe(zone)),
                ],
                "Choose a new password",
                vec!["The link works once and expires after 30 minutes. To get another one, follow \"Forgot your password?\" on the login page.".to_owned()],
            ),
            Self::AccountDeleted(origin) => text(
                "Your account was deleted",
                vec![
                    "Your account and its data were deleted. The shop keeps its own record of your orders.".to_owned(),
                    format!("Deleted: {}.", origin.describe(zone)),
                ],
                "",
                Vec::new(),
            ),
            Self::AboutFactors(it) => security_notice(it.subject(), it.text(), it.when(zone), CHOOSE_PASSWORD),
            Self::AboutOrder(message) => message.text(sender),
            Self::ToShop(message) => message.text(sender),
        }
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use super::*;
    use crate::config::Shop;
    use crate::domain::{UnixSeconds, Zone};

    #[test]
    fn advice_to_contact_the_shop_names_its_contact() {
        let origin = RequestOrigin::operator(UnixSeconds::new(0));
        let changed = Message::AddressChanged { origin, to: "new@example.com".to_owned() };
        let shop =
            Shop { contact: Some("help@shop.example".parse().map(ShopContact::Address).unwrap()), ..Shop::default() };
        for (shop, advice) in [
            (Shop::default(), "If this was not you, contact the shop at once."),
            (shop, "If this was not you, contact the shop at once: help@shop.example."),
        ] {
            let sender = Sender { site: "https://orders.example".to_owned(), shop: Arc::new(shop), zone: Zone::utc() };
            let email = changed.render(&sender, None).unwrap();
            assert!(email.text.contains(advice) && email.html.contains(advice), "{}", email.text);
        }
    }
}
