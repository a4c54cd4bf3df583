//! What the login page says after a session has ended.

use strum::{EnumString, IntoStaticStr, VariantArray};

use crate::web::Notice;

#[derive(Clone, Copy, Debug, PartialEq, Eq, EnumString, IntoStaticStr, VariantArray)]
pub enum SessionNotice {
    #[strum(serialize = "session-over")]
    Expired,
}

impl Notice for SessionNotice {
    fn text(self) -> &'static str {
        match self {
            Self::Expired => "Your session has expired. Log in to continue.",
        }
    }
}
