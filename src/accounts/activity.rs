//! What happened to an account, for its owner to see: signs of someone else are found by whoever knows what they did themselves.

use std::net::{IpAddr, Ipv4Addr};

use super::store::activity as store;
use crate::clock::UnixSeconds;
use crate::web::Client;

/// How long it is kept, in seconds: 90 days.
pub(super) const KEPT: i64 = 90 * 86_400;

/// What happened.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Event {
    SignedUp,
    SignedIn,
    SignInFailed,
    LoggedOut,
    ConfirmFailed,
    AddressVerified,
    AddressChangeAsked,
    AddressChanged,
    PasswordResetAsked,
    PasswordReset,
    PasswordChanged,
    AddressRestored,
    AccountSecured,
    SessionEnded,
    OtherSessionsEnded,
    DataDownloaded,
    AccountDisabled,
    AccountEnabled,
}

/// Each with the word that the database holds, the words that people read, and the message in the log.
const WORDS: [(Event, &str, &str, &str); 18] = [
    (Event::SignedUp, "signed-up", "Signed up", "account created"),
    (Event::SignedIn, "signed-in", "Logged in", "login succeeded"),
    (Event::SignInFailed, "sign-in-failed", "Wrong password at login", "login failed"),
    (Event::LoggedOut, "logged-out", "Logged out", "session revoked"),
    (Event::ConfirmFailed, "confirm-failed", "Wrong password in the account", "reauthentication failed"),
    (Event::AddressVerified, "address-verified", "E-mail address confirmed", "address confirmed"),
    (
        Event::AddressChangeAsked,
        "address-change-asked",
        "Change of the e-mail address asked for",
        "address change requested",
    ),
    (Event::AddressChanged, "address-changed", "E-mail address changed", "address changed"),
    (Event::PasswordResetAsked, "password-reset-asked", "New password asked for by mail", "password reset requested"),
    (Event::PasswordReset, "password-reset", "Password set anew by mail", "password changed"),
    (Event::PasswordChanged, "password-changed", "Password changed", "password changed"),
    (
        Event::AddressRestored,
        "address-restored",
        "E-mail address restored by the link in a security mail",
        "address restored by recovery link",
    ),
    (
        Event::AccountSecured,
        "account-secured",
        "Account secured by the link in a security mail",
        "account secured by recovery link",
    ),
    (Event::SessionEnded, "session-ended", "A session ended from the account page", "session revoked"),
    (Event::OtherSessionsEnded, "other-sessions-ended", "All other sessions ended", "session revoked"),
    (Event::DataDownloaded, "data-downloaded", "Data downloaded", "data exported"),
    (Event::AccountDisabled, "account-disabled", "Account disabled", "account disabled"),
    (Event::AccountEnabled, "account-enabled", "Account enabled", "account enabled"),
];

impl Event {
    pub(super) fn code(self) -> &'static str {
        self.row().1
    }

    fn row(self) -> (Self, &'static str, &'static str, &'static str) {
        WORDS.into_iter().find(|(event, ..)| *event == self).unwrap_or((self, "", "", ""))
    }

    /// Logs it (ASVS 5.0 V16.3), for an account where one is known. The request's span adds the client's address. What the
    /// operator does by command is said by that command.
    pub(super) fn log(self, user_id: Option<&str>, client: &Client) {
        if client.address != NOWHERE {
            let (_, event, _, message) = self.row();
            tracing::info!(event, user = user_id, "{message}");
        }
    }
}

/// The words for what the database holds; an event of a newer program reads as its code.
pub(super) fn in_words(code: &str) -> &str {
    WORDS.iter().find(|(_, known, ..)| *known == code).map_or(code, |(_, _, words, _)| words)
}

/// Where the operator's commands are written down to come from: no request does.
const NOWHERE: IpAddr = IpAddr::V4(Ipv4Addr::UNSPECIFIED);

/// Who did what the operator does by command.
pub(super) fn operator() -> Client {
    Client { address: NOWHERE, user_agent: "operator".to_owned() }
}

impl Happened {
    /// Whether the operator did it. A program may call itself what it likes, so its name does not count.
    pub(super) fn is_by_operator(&self) -> bool {
        self.client_address == NOWHERE.to_string()
    }
}

/// One event as it is written.
pub(super) struct Entry<'a> {
    pub id: String,
    pub event: Event,
    pub client: &'a Client,
    pub at: UnixSeconds,
}

pub(super) use store::{Happened, delete_old, delete_unowned, list, record, record_for_address};
