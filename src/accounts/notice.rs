//! What the page after a form of the account says.

use strum::{EnumString, IntoStaticStr, VariantArray};

use crate::web::{Notice, NoticeLink};

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
    /// Too many wrong codes.
    LoginEnded,
    SetupExpired,
    #[strum(serialize = "two-step-login-off")]
    TotpOff,
    PasskeyOffered,
    PasskeyAdded,
    PasskeyRenamed,
    PasskeyRemoved,
    AccountSecured,
    AccountDeleted,
    #[strum(serialize = "zone-changed")]
    TimeZoneChanged,
    OrderMailsOn,
    OrderMailsOff,
}

impl Notice for AccountNotice {
    fn text(self) -> &'static str {
        match self {
            Self::LoggedOut => "You are logged out.",
            Self::SignedUp => "Your account was created.",
            Self::EmailVerified => "Your email address is confirmed.",
            Self::VerificationSent => "We sent you a new link. It should arrive within a few minutes.",
            Self::EmailChangeRequested => {
                "We sent a confirmation link to your new email address. Open it to complete the change."
            }
            Self::PasswordChanged => "Your password was changed. All other browsers were logged out.",
            Self::PasswordReset => "Your password was changed. Log in with your new password.",
            Self::SessionRevoked => "That browser or app was logged out.",
            Self::OtherSessionsRevoked => "All other browsers and apps were logged out.",
            Self::AccountSecured => {
                "Your account is secured. All browsers and apps were logged out, and the old password no longer works. We sent you a link to choose a new one."
            }
            Self::LoginEnded => "This login has ended. Log in again with your password.",
            Self::SetupExpired => "The setup has expired. Start it again.",
            Self::TotpOff => "Two-step login is off.",
            Self::PasskeyOffered => "Log in faster next time:",
            Self::PasskeyAdded => "The passkey was added. You can log in with it from now on.",
            Self::PasskeyRenamed => "The passkey was renamed.",
            Self::PasskeyRemoved => {
                "The passkey was removed. Browsers that are logged in stay so: log them out on the account page."
            }
            Self::AccountDeleted => "Your account was deleted.",
            Self::TimeZoneChanged => "Your time zone was changed.",
            Self::OrderMailsOn => "Order emails are on.",
            Self::OrderMailsOff => "Order emails are off.",
        }
    }

    fn link(self) -> Option<NoticeLink> {
        let link = NoticeLink { label: "add a passkey", path: "/account/passkeys" };
        (self == Self::PasskeyOffered).then_some(link)
    }
}
