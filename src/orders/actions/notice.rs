//! What the order page says after a request to the shop.

use strum::{EnumString, IntoStaticStr, VariantArray};

use crate::web::Notice;

#[derive(Clone, Copy, Debug, PartialEq, Eq, EnumString, IntoStaticStr, VariantArray)]
#[strum(serialize_all = "kebab-case")]
pub enum OrderNotice {
    #[strum(serialize = "cancellation-asked")]
    CancellationRequested,
    CancellationWithdrawn,
    ReorderRequested,
    ConfirmFirst,
}

impl Notice for OrderNotice {
    fn text(self) -> &'static str {
        match self {
            Self::CancellationRequested => {
                "Your cancellation request was sent to the shop. Its answer will appear here."
            }
            Self::CancellationWithdrawn => "Your cancellation request was withdrawn. The order stays as it is.",
            Self::ReorderRequested => {
                "Your request was sent to the shop. The shop will contact you about prices, payment and delivery."
            }
            Self::ConfirmFirst => {
                "Nothing was sent. Confirm your email address first: use the link that we sent you, or send it again."
            }
        }
    }
}
