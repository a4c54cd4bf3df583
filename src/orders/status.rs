//! The states of an order: payment and fulfilment in Shopify's words, and the one word for people that follows from them.

/// Shopify's `OrderDisplayFinancialStatus`; exports also have "unpaid", the older word for pending.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
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
    pub const ALL: [Self; 9] = [
        Self::Authorized,
        Self::Expired,
        Self::Paid,
        Self::PartiallyPaid,
        Self::PartiallyRefunded,
        Self::Pending,
        Self::Refunded,
        Self::Unpaid,
        Self::Voided,
    ];

    pub fn parse(code: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|status| status.as_str() == code)
    }

    /// The code in the database and in JSON.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Authorized => "authorized",
            Self::Expired => "expired",
            Self::Paid => "paid",
            Self::PartiallyPaid => "partially_paid",
            Self::PartiallyRefunded => "partially_refunded",
            Self::Pending => "pending",
            Self::Refunded => "refunded",
            Self::Unpaid => "unpaid",
            Self::Voided => "voided",
        }
    }

    /// Whether the whole order was paid, also if money went back later.
    pub fn was_paid(self) -> bool {
        matches!(self, Self::Paid | Self::PartiallyRefunded | Self::Refunded)
    }
}

/// Shopify's `OrderDisplayFulfillmentStatus`, "partial" as exports write it, and "delivered".
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
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
    pub const ALL: [Self; 12] = [
        Self::Delivered,
        Self::Fulfilled,
        Self::InProgress,
        Self::OnHold,
        Self::Open,
        Self::Partial,
        Self::PartiallyFulfilled,
        Self::PendingFulfillment,
        Self::RequestDeclined,
        Self::Restocked,
        Self::Scheduled,
        Self::Unfulfilled,
    ];

    pub fn parse(code: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|status| status.as_str() == code)
    }

    /// The code in the database and in JSON.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Delivered => "delivered",
            Self::Fulfilled => "fulfilled",
            Self::InProgress => "in_progress",
            Self::OnHold => "on_hold",
            Self::Open => "open",
            Self::Partial => "partial",
            Self::PartiallyFulfilled => "partially_fulfilled",
            Self::PendingFulfillment => "pending_fulfillment",
            Self::RequestDeclined => "request_declined",
            Self::Restocked => "restocked",
            Self::Scheduled => "scheduled",
            Self::Unfulfilled => "unfulfilled",
        }
    }
}

/// The state of an order in one word, derived from the shop's payment and fulfilment states.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
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
    /// In the order of an order's life.
    pub const ALL: [Self; 9] = [
        Self::Placed,
        Self::Processing,
        Self::PartlySent,
        Self::Sent,
        Self::Delivered,
        Self::Cancelled,
        Self::Refunded,
        Self::PaymentVoided,
        Self::Expired,
    ];

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

    /// Code and label.
    fn words(self) -> (&'static str, &'static str) {
        match self {
            Self::Placed => ("placed", "Placed"),
            Self::Processing => ("processing", "Processing"),
            Self::PartlySent => ("partly_sent", "Partly sent"),
            Self::Sent => ("sent", "Sent"),
            Self::Delivered => ("delivered", "Delivered"),
            Self::Cancelled => ("cancelled", "Cancelled"),
            Self::Refunded => ("refunded", "Refunded"),
            Self::PaymentVoided => ("payment_voided", "Payment voided"),
            Self::Expired => ("expired", "Expired"),
        }
    }

    pub fn parse(code: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|status| status.as_str() == code)
    }

    /// The code in the database, in URLs and in JSON.
    pub fn as_str(self) -> &'static str {
        self.words().0
    }

    pub fn label(self) -> &'static str {
        self.words().1
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
            let payment = PaymentStatus::parse(payment).unwrap();
            let fulfillment = FulfillmentStatus::parse(fulfillment).unwrap();
            assert_eq!(OrderStatus::derive(payment, fulfillment, false), status, "{payment:?} {fulfillment:?}");
            assert_eq!(OrderStatus::derive(payment, fulfillment, true), OrderStatus::Cancelled);
        }
    }

    #[test]
    fn codes_parse_to_their_status() {
        assert!(PaymentStatus::ALL.iter().all(|status| PaymentStatus::parse(status.as_str()) == Some(*status)));
        assert!(FulfillmentStatus::ALL.iter().all(|status| FulfillmentStatus::parse(status.as_str()) == Some(*status)));
        assert!(OrderStatus::ALL.iter().all(|status| OrderStatus::parse(status.as_str()) == Some(*status)));
    }
}
