//! An order and its parts.

use super::money::{Currency, Money};
use crate::clock::UnixSeconds;

/// The longest order number that is taken, in bytes.
const LONGEST_NUMBER: usize = 64;

/// An order's number without the `#` that it is shown with: it stands in addresses, so it holds nothing that an address
/// would take for a part of its own.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct OrderNumber(String);

impl OrderNumber {
    /// Reads `10248`, `EU-1001`, `1001.2`: letters and digits of any script, with `-`, `_` and `.` between them.
    pub fn parse(text: &str) -> Option<Self> {
        let is_plain = text.chars().all(|letter| letter.is_alphanumeric() || "-_.".contains(letter));
        let has_substance = text.chars().any(char::is_alphanumeric);
        (is_plain && has_substance && text.len() <= LONGEST_NUMBER).then(|| Self(text.to_owned()))
    }

    /// As in addresses and in JSON: without the `#`.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

/// Where an order is, in one word for people.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Status {
    /// The shop knows of it; nothing is paid.
    Placed,
    /// Paid, not sent.
    Processing,
    /// Some of it is on its way.
    PartlySent,
    /// All of it is on its way.
    Sent,
    /// It arrived.
    Delivered,
    /// It was called off.
    Cancelled,
    /// All the money went back.
    Refunded,
}

impl Status {
    /// All of them, as an order goes through them.
    pub const ALL: [Self; 7] = [
        Self::Placed,
        Self::Processing,
        Self::PartlySent,
        Self::Sent,
        Self::Delivered,
        Self::Cancelled,
        Self::Refunded,
    ];

    /// Reads what [`as_str`](Self::as_str) writes.
    pub fn parse(word: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|status| status.as_str() == word)
    }

    /// Whether nothing of the order has left the shop yet, so that it can still be called off.
    pub fn can_be_cancelled(self) -> bool {
        matches!(self, Self::Placed | Self::Processing)
    }

    /// From Shopify's words for payment and fulfilment.
    pub fn of(payment: &str, fulfillment: &str, is_cancelled: bool) -> Self {
        match (payment, fulfillment) {
            _ if is_cancelled => Self::Cancelled,
            ("refunded", _) => Self::Refunded,
            (_, "delivered") => Self::Delivered,
            (_, "fulfilled") => Self::Sent,
            (_, "partial" | "partially_fulfilled") => Self::PartlySent,
            ("paid" | "partially_refunded", _) => Self::Processing,
            _ => Self::Placed,
        }
    }

    /// As in JSON.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Placed => "placed",
            Self::Processing => "processing",
            Self::PartlySent => "partly_sent",
            Self::Sent => "sent",
            Self::Delivered => "delivered",
            Self::Cancelled => "cancelled",
            Self::Refunded => "refunded",
        }
    }

    /// As on pages.
    pub fn label(self) -> &'static str {
        match self {
            Self::Placed => "Placed",
            Self::Processing => "Processing",
            Self::PartlySent => "Partly sent",
            Self::Sent => "Sent",
            Self::Delivered => "Delivered",
            Self::Cancelled => "Cancelled",
            Self::Refunded => "Refunded",
        }
    }
}

/// An order without its lines, as lists show it.
#[derive(Clone, Debug)]
pub struct Order {
    /// The row's id.
    pub id: String,
    /// The number that the customer knows.
    pub number: OrderNumber,
    /// When it was placed.
    pub placed_at: UnixSeconds,
    /// When it was paid.
    pub paid_at: Option<UnixSeconds>,
    /// When all of it was sent.
    pub fulfilled_at: Option<UnixSeconds>,
    /// When it was called off.
    pub cancelled_at: Option<UnixSeconds>,
    /// Shopify's word for the payment.
    pub payment_status: String,
    /// Shopify's word for the fulfilment.
    pub fulfillment_status: String,
    /// What the lines cost, less their own discounts.
    pub subtotal: Money,
    /// What sending costs.
    pub shipping: Money,
    /// Taxes that come on top.
    pub taxes: Money,
    /// What is taken off the whole order.
    pub discount: Money,
    /// What went back to the customer.
    pub refunded: Money,
    /// What the customer was asked for.
    pub total: Money,
    /// How many lines it has.
    pub line_count: i64,
    /// Where it is.
    pub status: Status,
    /// When the customer asked for it to be called off.
    pub cancellation_asked_at: Option<UnixSeconds>,
    /// The number of the order that this one repeats.
    pub copy_of: Option<OrderNumber>,
}

impl Order {
    /// Whether its customer may ask for it to be called off.
    pub fn can_be_cancelled(&self) -> bool {
        self.status.can_be_cancelled() && self.cancellation_asked_at.is_none()
    }

    /// What its amounts are in.
    pub fn currency(&self) -> Currency {
        self.total.currency()
    }
}

/// One line of an order.
#[derive(Clone, Debug)]
pub struct OrderLine {
    /// The shop's name for the product; may be empty.
    pub sku: String,
    /// The product in words.
    pub name: String,
    /// How many.
    pub quantity: i64,
    /// What one costs.
    pub unit_price: Money,
    /// What is taken off the whole line.
    pub discount: Money,
}

impl OrderLine {
    /// What the line costs.
    pub fn amount(&self) -> Money {
        let full = self.unit_price.minor().saturating_mul(self.quantity);
        Money::new(full.saturating_sub(self.discount.minor()), self.unit_price.currency())
    }
}

/// Where an order goes; parts that are not known are empty.
#[derive(Clone, Debug, Default, PartialEq, Eq, serde::Serialize)]
pub struct Address {
    /// Whom it goes to.
    pub name: String,
    /// Their firm.
    pub company: String,
    /// Street and house.
    pub address1: String,
    /// What else the street needs.
    pub address2: String,
    /// Postcode.
    pub zip: String,
    /// City.
    pub city: String,
    /// Province or state.
    pub province: String,
    /// Country, as the shop writes it.
    pub country: String,
    /// Telephone.
    pub phone: String,
}

/// An order with all that belongs to it.
#[derive(Clone, Debug)]
pub struct OrderDetail {
    /// The order.
    pub order: Order,
    /// Its lines, in the shop's order.
    pub lines: Vec<OrderLine>,
    /// Where it goes.
    pub address: Address,
}

#[cfg(test)]
pub(super) mod tests {
    use super::*;

    /// An order with those words of Shopify's, placed ten seconds after 1970, that cost nothing.
    pub(in crate::orders) fn order(payment: &str, fulfillment: &str) -> Order {
        let nothing = Currency::parse("USD").map(|currency| Money::new(0, currency)).unwrap();
        Order {
            id: "0190-ab".to_owned(),
            number: OrderNumber::parse("10248").unwrap(),
            placed_at: UnixSeconds::new(10),
            paid_at: None,
            fulfilled_at: None,
            cancelled_at: None,
            payment_status: payment.to_owned(),
            fulfillment_status: fulfillment.to_owned(),
            subtotal: nothing,
            shipping: nothing,
            taxes: nothing,
            discount: nothing,
            refunded: nothing,
            total: nothing,
            line_count: 1,
            status: Status::of(payment, fulfillment, false),
            cancellation_asked_at: None,
            copy_of: None,
        }
    }

    #[test]
    fn numbers_stand_in_addresses_as_they_are() {
        for text in ["10248", "EU-1001", "1001.2", "S_7", "注文1"] {
            assert_eq!(OrderNumber::parse(text).unwrap().as_str(), text);
        }
        for text in ["", "#1", ".", "..", "-", "a/b", "a\\b", "a b", "a?b", "a%b", "a\0", "a\n", "<b>", &"9".repeat(65)]
        {
            assert_eq!(OrderNumber::parse(text), None, "{text:?}");
        }
    }

    #[test]
    fn the_last_thing_that_happened_is_the_status() {
        let cases = [
            ("pending", "unfulfilled", Status::Placed),
            ("authorized", "unfulfilled", Status::Placed),
            ("paid", "unfulfilled", Status::Processing),
            ("partially_refunded", "unfulfilled", Status::Processing),
            ("paid", "partial", Status::PartlySent),
            ("pending", "fulfilled", Status::Sent),
            ("paid", "delivered", Status::Delivered),
            ("refunded", "fulfilled", Status::Refunded),
        ];
        for (payment, fulfillment, status) in cases {
            assert_eq!(Status::of(payment, fulfillment, false), status, "{payment} {fulfillment}");
            assert_eq!(Status::of(payment, fulfillment, true), Status::Cancelled);
        }
    }
}
