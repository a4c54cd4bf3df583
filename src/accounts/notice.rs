//! What the page after a form of the account says.

use strum::{EnumString, IntoStaticStr, VariantArray};

use crate::web::Notice;

#[derive(Clone, Copy, Debug, PartialEq, Eq, EnumString, IntoStaticStr, VariantArray)]
#[strum(serialize_all = "kebab-case")]
pub enum AccountNotice {
    LoggedOut,
    SignedUp,
    #[strum(serialize = "verified")]
    EmailVerified,
    VerificationSent,
    #[strum(serialize = "address-change-asked")]
    EmailChangeRequested,
    PasswordChanged,
    PasswordReset,
    #[strum(serialize = "session-ended")]
    SessionRevoked,
    #[strum(serialize = "others-ended")]
    OtherSessionsRevoked,
    AccountSecured,
    AccountDeleted,
    #[strum(serialize = "zone-changed")]
    TimeZoneChanged,
}

impl Notice for AccountNotice {
    fn text(self) -> &'static str {
        match self {
            Self::LoggedOut => "You are logged out.",
            Self::SignedUp => "Your account is ready. Welcome!",
            Self::EmailVerified => "Thank you: the address is confirmed.",
            Self::VerificationSent => "The link is on its way. It comes within a minute or two.",
            Self::EmailChangeRequested => "We have sent a link to the new address. It changes once you follow it.",
            Self::PasswordChanged => "Your password is changed. Everywhere else you are logged out.",
            Self::PasswordReset => "Your new password is set. Log in with it.",
            Self::SessionRevoked => "That session has ended.",
            Self::OtherSessionsRevoked => "All other sessions have ended.",
            Self::AccountSecured => {
                "The account is secured: every session has ended and its password no longer works. We have sent you a link for a new one."
            }
            Self::AccountDeleted => "Your account is deleted.",
            Self::TimeZoneChanged => "Times are shown for that place from now on.",
        }
    }
}
