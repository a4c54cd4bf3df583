//! The states of an order: payment and fulfilment in Shopify's words, and the one word for people that follows from them.

use strum::{EnumString, IntoStaticStr, VariantArray};

/// Shopify's `OrderDisplayFinancialStatus`; exports also have "unpaid", the older word for pending.
#[derive(Clone, Copy, Debug, PartialEq, Eq, EnumString, IntoStaticStr, VariantArray)]
#[strum(serialize_all = "snake_case")]
pub enum PaymentStatus {
    Authorized,
    Expired,
    Paid,
    PartiallyPaid,
    PartiallyRefunded,
    Pending,
    Refunded,
    Unpaid,
    Voided,
}

impl PaymentStatus {
    /// The code in the database and in JSON.
    pub fn as_str(self) -> &'static str {
        self.into()
    }

    /// Whether the whole order was paid, also if money went back later.
    pub fn was_paid(self) -> bool {
        matches!(self, Self::Paid | Self::PartiallyRefunded | Self::Refunded)
    }
}

/// Shopify's `OrderDisplayFulfillmentStatus`, "partial" as exports write it, and "delivered".
#[derive(Clone, Copy, Debug, PartialEq, Eq, EnumString, IntoStaticStr, VariantArray)]
#[strum(serialize_all = "snake_case")]
pub enum FulfillmentStatus {
    Delivered,
    Fulfilled,
    InProgress,
    OnHold,
    Open,
    Partial,
    PartiallyFulfilled,
    PendingFulfillment,
    RequestDeclined,
    Restocked,
    Scheduled,
    Unfulfilled,
}

impl FulfillmentStatus {
    /// The code in the database and in JSON.
    pub fn as_str(self) -> &'static str {
        self.into()
    }
}

/// The state of an order in one word, derived from the shop's payment and fulfilment states. In the order of an order's life.
#[derive(Clone, Copy, Debug, PartialEq, Eq, EnumString, IntoStaticStr, VariantArray)]
#[strum(serialize_all = "snake_case")]
pub enum OrderStatus {
    Placed,
    /// Paid, not sent.
    Processing,
    PartlySent,
    Sent,
    Delivered,
    Cancelled,
    Refunded,
    PaymentVoided,
    /// The payment was not made in time.
    Expired,
}

impl OrderStatus {
    pub fn derive(payment: PaymentStatus, fulfillment: FulfillmentStatus, is_cancelled: bool) -> Self {
        use FulfillmentStatus as F;
        use PaymentStatus as P;
        match (payment, fulfillment) {
            _ if is_cancelled => Self::Cancelled,
            (_, F::Restocked) => Self::Cancelled,
            (P::Refunded, _) => Self::Refunded,
            (P::Voided, _) => Self::PaymentVoided,
            (P::Expired, _) => Self::Expired,
            (_, F::Delivered) => Self::Delivered,
            (_, F::Fulfilled) => Self::Sent,
            (_, F::Partial | F::PartiallyFulfilled) => Self::PartlySent,
            (P::Paid | P::PartiallyRefunded, _) => Self::Processing,
            _ => Self::Placed,
        }
    }

    /// The code in the database, in URLs and in JSON.
    pub fn as_str(self) -> &'static str {
        self.into()
    }

    pub fn label(self) -> &'static str {
        match self {
            Self::Placed => "Placed",
            Self::Processing => "Processing",
            Self::PartlySent => "Partly sent",
            Self::Sent => "Sent",
            Self::Delivered => "Delivered",
            Self::Cancelled => "Cancelled",
            Self::Refunded => "Refunded",
            Self::PaymentVoided => "Payment voided",
            Self::Expired => "Expired",
        }
    }

    /// Whether nothing was sent yet.
    pub fn can_be_cancelled(self) -> bool {
        matches!(self, Self::Placed | Self::Processing)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn status_is_derived_from_the_latest_state() {
        let cases = [
            ("pending", "unfulfilled", OrderStatus::Placed),
            ("authorized", "unfulfilled", OrderStatus::Placed),
            ("paid", "unfulfilled", OrderStatus::Processing),
            ("partially_refunded", "unfulfilled", OrderStatus::Processing),
            ("paid", "partial", OrderStatus::PartlySent),
            ("pending", "fulfilled", OrderStatus::Sent),
            ("paid", "delivered", OrderStatus::Delivered),
            ("refunded", "fulfilled", OrderStatus::Refunded),
            ("voided", "unfulfilled", OrderStatus::PaymentVoided),
            ("expired", "unfulfilled", OrderStatus::Expired),
            ("refunded", "restocked", OrderStatus::Cancelled),
        ];
        for (payment, fulfillment, status) in cases {
            let (payment, fulfillment) = (payment.parse().unwrap(), fulfillment.parse().unwrap());
            assert_eq!(OrderStatus::derive(payment, fulfillment, false), status, "{payment:?} {fulfillment:?}");
            assert_eq!(OrderStatus::derive(payment, fulfillment, true), OrderStatus::Cancelled);
        }
    }

    #[test]
    fn codes_are_those_of_shopify() {
        assert_eq!(PaymentStatus::PartiallyRefunded.as_str(), "partially_refunded");
        assert_eq!("pending_fulfillment".parse(), Ok(FulfillmentStatus::PendingFulfillment));
        assert_eq!(OrderStatus::PaymentVoided.as_str(), "payment_voided");
        assert!("Paid".parse::<PaymentStatus>().is_err());
    }
}
