//! The audit events of an account, shown to its owner, who can recognize events that somebody else caused. Each is also logged (ASVS 5.0
//! V16.3).

mod store;

use std::net::{IpAddr, Ipv4Addr};
use std::time::Duration;

use crate::domain::{UnixSeconds, days};
use crate::web::Client;

pub(super) use store::{delete_old, delete_unowned, list, record, record_for_address};

const RETENTION: Duration = days(90);

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Event {
    SignedUp,
    LoggedIn,
    LoginFailed,
    LoggedOut,
    ReauthenticationFailed,
    EmailVerified,
    EmailChangeRequested,
    EmailChanged,
    PasswordResetRequested,
    PasswordReset,
    PasswordChanged,
    EmailRestored,
    AccountSecured,
    SessionRevoked,
    OtherSessionsRevoked,
    DataExported,
    AccountDisabled,
    AccountEnabled,
}

/// Each event with its code in the database, its label on the page, and its message in the log.
const EVENTS: [(Event, &str, &str, &str); 18] = [
    (Event::SignedUp, "signed-up", "Signed up", "account created"),
    (Event::LoggedIn, "signed-in", "Logged in", "login succeeded"),
    (Event::LoginFailed, "sign-in-failed", "Wrong password at login", "login failed"),
    (Event::LoggedOut, "logged-out", "Logged out", "session revoked"),
    (Event::ReauthenticationFailed, "confirm-failed", "Wrong password in the account", "reauthentication failed"),
    (Event::EmailVerified, "address-verified", "E-mail address confirmed", "address confirmed"),
    (
        Event::EmailChangeRequested,
        "address-change-asked",
        "Change of the e-mail address asked for",
        "address change requested",
    ),
    (Event::EmailChanged, "address-changed", "E-mail address changed", "address changed"),
    (
        Event::PasswordResetRequested,
        "password-reset-asked",
        "New password asked for by mail",
        "password reset requested",
    ),
    (Event::PasswordReset, "password-reset", "Password set anew by mail", "password changed"),
    (Event::PasswordChanged, "password-changed", "Password changed", "password changed"),
    (
        Event::EmailRestored,
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
    (Event::SessionRevoked, "session-ended", "A session ended from the account page", "session revoked"),
    (Event::OtherSessionsRevoked, "other-sessions-ended", "All other sessions ended", "session revoked"),
    (Event::DataExported, "data-downloaded", "Data downloaded", "data exported"),
    (Event::AccountDisabled, "account-disabled", "Account disabled", "account disabled"),
    (Event::AccountEnabled, "account-enabled", "Account enabled", "account enabled"),
];

impl Event {
    pub(super) fn code(self) -> &'static str {
        EVENTS[self as usize].1
    }

    /// Logs the event, with the account if it is known. The request's span adds the client's address. Commands of the operator print their
    /// result instead.
    pub(super) fn log(self, user_id: Option<&str>, client: &Client) {
        if client.address != OPERATOR_ADDRESS {
            let (_, event, _, message) = EVENTS[self as usize];
            tracing::info!(event, user = user_id, "{message}");
        }
    }
}

/// The label of a code in the database. An event of a newer version shows its code.
pub(super) fn label(code: &str) -> &str {
    EVENTS.iter().find(|(_, known, ..)| *known == code).map_or(code, |(_, _, label, _)| label)
}

/// Stored as the address of commands: no request comes from it.
const OPERATOR_ADDRESS: IpAddr = IpAddr::V4(Ipv4Addr::UNSPECIFIED);

/// The client of events that the operator causes by a command.
pub(super) fn operator() -> Client {
    Client { address: OPERATOR_ADDRESS, user_agent: "operator".to_owned() }
}

/// An event to be stored.
pub(super) struct NewAuditEvent<'a> {
    pub id: String,
    pub event: Event,
    pub client: &'a Client,
    pub at: UnixSeconds,
}

/// A stored event.
#[derive(sqlx::FromRow)]
pub(super) struct AuditEvent {
    /// The code of an [`Event`], possibly of a newer version.
    pub event: String,
    pub client_address: String,
    pub user_agent: String,
    pub at: UnixSeconds,
}

impl AuditEvent {
    /// Only the address counts: a program can send any user agent.
    pub(super) fn is_by_operator(&self) -> bool {
        self.client_address == OPERATOR_ADDRESS.to_string()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn event_table_is_in_the_order_of_the_enum() {
        for (index, (event, code, text, _)) in EVENTS.into_iter().enumerate() {
            assert_eq!((event as usize, event.code(), label(code)), (index, code, text));
        }
    }
}
