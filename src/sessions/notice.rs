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
            Self::Expired => "You were logged out meanwhile. Log in to go on where you were.",
        }
    }
}
