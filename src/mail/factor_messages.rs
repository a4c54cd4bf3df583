//! The texts of mail about the factors of the login: two-step login and its recovery codes.

use serde::{Deserialize, Serialize};

use super::content::RequestOrigin;
use crate::domain::Zone;

/// What happened to the factors of an account. Stored in the queue as JSON, like [`Message`](super::Message).
#[derive(Clone, Debug, Serialize, Deserialize)]
pub enum FactorChange {
    TotpAdded,
    TotpRemoved,
    RecoveryCodesReplaced,
    RecoveryCodeUsed {
        left: i64,
    },
    /// A wrong code after a correct password.
    WrongCode,
    PasskeyAdded {
        name: String,
    },
    PasskeyRenamed {
        /// The new name.
        name: String,
    },
    PasskeyRemoved {
        name: String,
    },
    /// All factors removed by the operator.
    Reset,
}

#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct AboutFactors {
    pub origin: RequestOrigin,
    pub change: FactorChange,
}

impl AboutFactors {
    /// What distinguishes it from others of the same kind.
    pub(super) fn detail(&self) -> &str {
        match &self.change {
            FactorChange::PasskeyAdded { name } | FactorChange::PasskeyRemoved { name } => name,
            // Not the new name: each of many renames would send a mail.
            _ => "",
        }
    }

    pub(super) fn subject(&self) -> &'static str {
        match &self.change {
            FactorChange::TotpAdded => "Two-step login is on",
            FactorChange::TotpRemoved => "Two-step login is off",
            FactorChange::RecoveryCodesReplaced => "New recovery codes were created",
            FactorChange::RecoveryCodeUsed { .. } => "A recovery code was used",
            FactorChange::WrongCode => "Someone entered your password and a wrong code",
            FactorChange::PasskeyAdded { .. } => "A passkey was added to your account",
            FactorChange::PasskeyRenamed { .. } => "A passkey of your account was renamed",
            FactorChange::PasskeyRemoved { .. } => "A passkey was removed from your account",
            FactorChange::Reset => "Two-step login was removed from your account",
        }
    }

    pub(super) fn text(&self) -> String {
        match &self.change {
            FactorChange::TotpAdded => {
                "Logging in to your account now needs a code from an authenticator app after the password.".to_owned()
            }
            FactorChange::TotpRemoved => {
                "Logging in to your account no longer needs a code. The recovery codes no longer work.".to_owned()
            }
            FactorChange::RecoveryCodesReplaced => {
                "New recovery codes were created for your account. The earlier ones no longer work.".to_owned()
            }
            FactorChange::RecoveryCodeUsed { left } => {
                let left = match left {
                    0 => "None is left: create new ones on the account page.".to_owned(),
                    1 => "One is left: create new ones on the account page.".to_owned(),
                    left => format!("{left} are left."),
                };
                format!("A recovery code of your account was used in place of a code from the app. {left}")
            }
            FactorChange::WrongCode => {
                "The correct password of your account was entered, and then a wrong code. We send this email at most once a day.".to_owned()
            }
            FactorChange::PasskeyAdded { name } => {
                format!("The passkey \"{name}\" was added to your account. It logs in without the password.")
            }
            FactorChange::PasskeyRenamed { name } => format!("A passkey of your account is now called \"{name}\"."),
            FactorChange::PasskeyRemoved { name } => {
                format!("The passkey \"{name}\" was removed from your account. It no longer logs in.")
            }
            FactorChange::Reset => {
                "The shop removed two-step login from your account, with its recovery codes and all passkeys, and logged you out everywhere. You can log in with your password and turn it on again on the account page.".to_owned()
            }
        }
    }

    pub(super) fn when(&self, zone: &Zone) -> String {
        let label = match &self.change {
            FactorChange::TotpAdded
            | FactorChange::TotpRemoved
            | FactorChange::RecoveryCodesReplaced
            | FactorChange::PasskeyAdded { .. }
            | FactorChange::PasskeyRenamed { .. }
            | FactorChange::PasskeyRemoved { .. }
            | FactorChange::Reset => "Changed",
            FactorChange::RecoveryCodeUsed { .. } => "Used",
            FactorChange::WrongCode => "Entered",
        };
        format!("{label}: {}.", self.origin.describe(zone))
    }
}
