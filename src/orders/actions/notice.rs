//! What the order page says after a request to the shop.

use strum::{EnumString, IntoStaticStr, VariantArray};

use crate::web::Notice;

#[derive(Clone, Copy, Debug, PartialEq, Eq, EnumString, IntoStaticStr, VariantArray)]
pub enum OrderNotice {
    #[strum(serialize = "cancellation-asked")]
    CancellationRequested,
    #[strum(serialize = "ordered-again")]
    Reordered,
}

impl Notice for OrderNotice {
    fn text(self) -> &'static str {
        match self {
            Self::CancellationRequested => "The shop knows that you want to cancel. Whether it still could shows here.",
            Self::Reordered => "Your order is placed: the same again. The shop takes it from here.",
        }
    }
}
