//! The types of an order. A value that parsed is valid: its id and number can stand in a URL, its amounts have one currency.

use strum::{EnumString, IntoStaticStr, VariantArray};

use crate::clock::Clock;
use crate::domain::{Currency, Money, UnixSeconds};

const MAX_ID_BYTES: usize = 64;
const MAX_NUMBER_BYTES: usize = 64;

/// The primary key of an order, a UUID. It is part of cursors, so it holds only letters, digits and `-`.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct OrderId(String);

impl OrderId {
    pub fn generate(clock: &Clock) -> Self {
        Self(clock.new_id())
    }

    pub fn parse(text: &str) -> Option<Self> {
        let is_plain = text.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'-');
        (is_plain && (1..=MAX_ID_BYTES).contains(&text.len())).then(|| Self(text.to_owned()))
    }

    pub fn as_str(&self) -> &str {
        &self.0
    }
}

/// An order's number without the `#` that pages show. It is part of URLs, so it holds no character that has a meaning there.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct OrderNumber(String);

impl OrderNumber {
    /// Parses `10248`, `EU-1001`, `1001.2`: letters and digits of any script, `-`, `_` and `.`.
    pub fn parse(text: &str) -> Option<Self> {
        let is_plain = text.chars().all(|letter| letter.is_alphanumeric() || "-_.".contains(letter));
        let has_alphanumeric = text.chars().any(char::is_alphanumeric);
        (is_plain && has_alphanumeric && text.len() <= MAX_NUMBER_BYTES).then(|| Self(text.to_owned()))
    }

    /// The form in URLs and in JSON: without the `#`.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

/// The form on pages and in mail: `#10248`.
impl std::fmt::Display for OrderNumber {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "#{}", self.0)
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
}

impl OrderStatus {
    /// Derives the status from Shopify's payment and fulfilment states.
    pub fn derive(payment: &str, fulfillment: &str, is_cancelled: bool) -> Self {
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
        }
    }

    /// Whether nothing was sent yet.
    pub fn can_be_cancelled(self) -> bool {
        matches!(self, Self::Placed | Self::Processing)
    }
}

/// An order without its lines.
#[derive(Clone, Debug)]
pub struct Order {
    pub id: OrderId,
    pub number: OrderNumber,
    pub placed_at: UnixSeconds,
    pub paid_at: Option<UnixSeconds>,
    pub fulfilled_at: Option<UnixSeconds>,
    pub cancelled_at: Option<UnixSeconds>,
    /// Shopify's payment state.
    pub payment_status: String,
    /// Shopify's fulfilment state.
    pub fulfillment_status: String,
    pub subtotal: Money,
    pub shipping: Money,
    pub taxes: Money,
    pub discount: Money,
    pub refunded: Money,
    pub total: Money,
    pub line_count: i64,
    pub status: OrderStatus,
    /// When the customer requested the cancellation.
    pub cancellation_asked_at: Option<UnixSeconds>,
    /// The number of the order that this one repeats.
    pub reordered_from: Option<OrderNumber>,
}

impl Order {
    pub fn currency(&self) -> Currency {
        self.total.currency()
    }

    /// Whether the customer may request a cancellation.
    pub fn can_be_cancelled(&self) -> bool {
        self.status.can_be_cancelled() && self.cancellation_asked_at.is_none()
    }

    /// When the customer requested a cancellation that the shop has neither made nor overtaken by sending the order.
    pub fn pending_cancellation(&self) -> Option<UnixSeconds> {
        self.cancellation_asked_at.filter(|_| self.status.can_be_cancelled())
    }
}

#[derive(Clone, Debug)]
pub struct OrderLine {
    /// The shop's article number; may be empty.
    pub sku: String,
    pub name: String,
    pub quantity: i64,
    pub unit_price: Money,
    /// The discount on the whole line.
    pub discount: Money,
}

impl OrderLine {
    /// The price of the line; `None` when it does not fit 64 bits, which the limits of an import exclude.
    pub fn amount(&self) -> Option<Money> {
        self.unit_price.checked_mul(self.quantity)?.checked_sub(self.discount)
    }
}

/// The shipping address of an order; unknown parts are empty.
#[derive(Clone, Debug, Default, PartialEq, Eq, serde::Serialize, sqlx::FromRow, utoipa::ToSchema)]
pub struct ShippingAddress {
    #[sqlx(rename = "ship_name")]
    pub name: String,
    #[sqlx(rename = "ship_company")]
    pub company: String,
    #[sqlx(rename = "ship_address1")]
    pub address1: String,
    #[sqlx(rename = "ship_address2")]
    pub address2: String,
    #[sqlx(rename = "ship_zip")]
    pub zip: String,
    #[sqlx(rename = "ship_city")]
    pub city: String,
    #[sqlx(rename = "ship_province")]
    pub province: String,
    #[sqlx(rename = "ship_country")]
    pub country: String,
    #[sqlx(rename = "ship_phone")]
    pub phone: String,
}

/// An order with its lines and address.
#[derive(Clone, Debug)]
pub struct OrderDetail {
    pub order: Order,
    /// In the shop's order.
    pub lines: Vec<OrderLine>,
    pub address: ShippingAddress,
}

#[cfg(test)]
pub(super) mod tests {
    use super::*;

    /// An order with these payment and fulfilment states and amounts of zero, placed ten seconds after 1970.
    pub(in crate::orders) fn order(payment: &str, fulfillment: &str) -> Order {
        let zero = Money::zero(Currency::parse("USD").unwrap());
        Order {
            id: OrderId::parse("0190-ab").unwrap(),
            number: OrderNumber::parse("10248").unwrap(),
            placed_at: UnixSeconds::new(10),
            paid_at: None,
            fulfilled_at: None,
            cancelled_at: None,
            payment_status: payment.to_owned(),
            fulfillment_status: fulfillment.to_owned(),
            subtotal: zero,
            shipping: zero,
            taxes: zero,
            discount: zero,
            refunded: zero,
            total: zero,
            line_count: 1,
            status: OrderStatus::derive(payment, fulfillment, false),
            cancellation_asked_at: None,
            reordered_from: None,
        }
    }

    #[test]
    fn order_number_accepts_only_characters_without_meaning_in_urls() {
        for text in ["10248", "EU-1001", "1001.2", "S_7", "注文1"] {
            assert_eq!(OrderNumber::parse(text).unwrap().as_str(), text);
        }
        for text in ["", "#1", ".", "..", "-", "a/b", "a\\b", "a b", "a?b", "a%b", "a\0", "a\n", "<b>", &"9".repeat(65)]
        {
            assert_eq!(OrderNumber::parse(text), None, "{text:?}");
        }
    }

    #[test]
    fn order_id_accepts_1_to_64_letters_digits_and_hyphens() {
        for text in ["0190-ab", "a", &"a".repeat(64)] {
            assert_eq!(OrderId::parse(text).unwrap().as_str(), text);
        }
        for text in ["", "a.b", "a b", "a_b", "\u{e9}", &"a".repeat(65)] {
            assert_eq!(OrderId::parse(text), None, "{text:?}");
        }
    }

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
        ];
        for (payment, fulfillment, status) in cases {
            assert_eq!(OrderStatus::derive(payment, fulfillment, false), status, "{payment} {fulfillment}");
            assert_eq!(OrderStatus::derive(payment, fulfillment, true), OrderStatus::Cancelled);
        }
    }

    #[test]
    fn line_amount_is_price_times_quantity_less_discount() {
        let usd = |minor| Money::new(minor, Currency::parse("USD").unwrap());
        let line = |quantity, price, discount| OrderLine {
            sku: String::new(),
            name: String::new(),
            quantity,
            unit_price: usd(price),
            discount: usd(discount),
        };
        assert_eq!(line(3, 250, 50).amount(), Some(usd(700)));
        assert_eq!(line(2, i64::MAX, 0).amount(), None);
    }
}
