//! The audit events of an account, shown to its owner, who can recognize events that somebody else caused. Each is also logged (ASVS 5.0
//! V16.3).

mod store;

use std::net::{IpAddr, Ipv4Addr};

use strum::{EnumString, IntoStaticStr};

use crate::domain::{UnixSeconds, days};
use crate::web::Client;

pub(super) use store::{delete_old, delete_unowned, list, record, record_for_address};

/// How long events are kept.
#[derive(Clone, Copy, Debug)]
pub struct AuditRetention {
    days: u64,
}

impl AuditRetention {
    pub fn of_days(days: u64) -> Self {
        Self { days }
    }

    /// Events up to this time are not shown, and maintenance deletes them.
    pub(super) fn until(self, now: UnixSeconds) -> UnixSeconds {
        now - days(self.days)
    }

    /// For "in the last …".
    pub(super) fn in_words(self) -> String {
        if self.days == 1 { "day".to_owned() } else { format!("{} days", self.days) }
    }
}

/// The code in the database is the name; a renamed event keeps its older code.
#[derive(Clone, Copy, Debug, PartialEq, Eq, EnumString, IntoStaticStr)]
#[strum(serialize_all = "kebab-case")]
pub(super) enum Event {
    SignedUp,
    #[strum(serialize = "signed-in")]
    LoggedIn,
    #[strum(serialize = "sign-in-failed")]
    LoginFailed,
    LoggedOut,
    #[strum(serialize = "confirm-failed")]
    ReauthenticationFailed,
    #[strum(serialize = "address-verified")]
    EmailVerified,
    #[strum(serialize = "address-change-asked")]
    EmailChangeRequested,
    #[strum(serialize = "address-changed")]
    EmailChanged,
    #[strum(serialize = "password-reset-asked")]
    PasswordResetRequested,
    PasswordReset,
    PasswordChanged,
    #[strum(serialize = "address-restored")]
    EmailRestored,
    AccountSecured,
    #[strum(serialize = "session-ended")]
    SessionRevoked,
    #[strum(serialize = "other-sessions-ended")]
    OtherSessionsRevoked,
    #[strum(serialize = "data-downloaded")]
    DataExported,
    /// A wrong code after a correct password.
    WrongCode,
    TotpAdded,
    TotpRemoved,
    RecoveryCodesReplaced,
    RecoveryCodeUsed,
    LoggedInWithPasskey,
    PasskeyAdded,
    PasskeyRenamed,
    PasskeyRemoved,
    /// Refused, because its signature counter did not increase.
    PasskeyCopied,
    /// All factors removed by the operator.
    FactorsReset,
    AccountDisabled,
    AccountEnabled,
    /// An order that the operator gave to the account.
    OrderLinked,
}

impl Event {
    pub(super) fn code(self) -> &'static str {
        self.into()
    }

    /// The label on the page, and the message in the log.
    fn texts(self) -> (&'static str, &'static str) {
        match self {
            Self::SignedUp => ("Signed up", "account created"),
            Self::LoggedIn => ("Logged in", "login succeeded"),
            Self::LoginFailed => ("Failed login", "login failed"),
            Self::LoggedOut => ("Logged out", "session revoked"),
            Self::ReauthenticationFailed => ("Wrong password entered", "reauthentication failed"),
            Self::EmailVerified => ("Email address confirmed", "address confirmed"),
            Self::EmailChangeRequested => ("Email address change requested", "address change requested"),
            Self::EmailChanged => ("Email address changed", "address changed"),
            Self::PasswordResetRequested => ("Password reset requested", "password reset requested"),
            Self::PasswordReset => ("Password reset", "password changed"),
            Self::PasswordChanged => ("Password changed", "password changed"),
            Self::EmailRestored => {
                ("Email address restored by the link in a security email", "address restored by recovery link")
            }
            Self::AccountSecured => {
                ("Account secured by the link in a security email", "account secured by recovery link")
            }
            Self::SessionRevoked => ("Logged out of another browser or app", "session revoked"),
            Self::OtherSessionsRevoked => ("Logged out everywhere else", "session revoked"),
            Self::DataExported => ("Data downloaded", "data exported"),
            Self::WrongCode => ("Wrong login code entered after the password", "wrong code"),
            Self::TotpAdded => ("Two-step login turned on", "factor added"),
            Self::TotpRemoved => ("Two-step login turned off", "factor removed"),
            Self::RecoveryCodesReplaced => ("New recovery codes created", "recovery codes replaced"),
            Self::RecoveryCodeUsed => ("Recovery code used", "recovery code used"),
            Self::LoggedInWithPasskey => ("Logged in with a passkey", "login succeeded"),
            Self::PasskeyAdded => ("Passkey added", "factor added"),
            Self::PasskeyRenamed => ("Passkey renamed", "factor renamed"),
            Self::PasskeyRemoved => ("Passkey removed", "factor removed"),
            Self::PasskeyCopied => ("Passkey refused, because it may have been copied", "passkey may have been copied"),
            Self::FactorsReset => ("Passkeys and two-step login removed", "factors reset"),
            Self::AccountDisabled => ("Account disabled", "account disabled"),
            Self::AccountEnabled => ("Account enabled", "account enabled"),
            Self::OrderLinked => ("Order added to the account", "order linked"),
        }
    }

    /// Logs the event, with the account if it is known. The request's span adds the client's address. Commands of the operator print their
    /// result instead.
    pub(super) fn log(self, user_id: Option<&str>, client: &Client) {
        if client.address != OPERATOR_ADDRESS {
            let (_, message) = self.texts();
            tracing::info!(event = self.code(), user = user_id, "{message}");
        }
    }
}

/// The label of a code in the database. An event of a newer version shows its code.
pub(super) fn label(code: &str) -> &str {
    code.parse().map_or(code, |event: Event| event.texts().0)
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
