//! The types of an order. A value that parsed is valid: its id and number can stand in a URL, its amounts have one currency.

use serde::{Deserialize, Serialize};

use super::cancellation::Cancellation;
use super::status::{FulfillmentStatus, OrderStatus, PaymentStatus};
use crate::domain::{Currency, Money, UnixSeconds};

const MAX_ID_BYTES: usize = 64;
/// Shopify's limit.
const MAX_NAME_CHARS: usize = 255;
/// Of `-2`.
const MAX_SUFFIX_CHARS: usize = 11;

/// The primary key of an order, a UUID. It is part of cursors, so it holds only letters, digits and `-`.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct OrderId(String);

impl OrderId {
    pub fn parse(text: &str) -> Option<Self> {
        let is_plain = text.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'-');
        (is_plain && (1..=MAX_ID_BYTES).contains(&text.len())).then(|| Self(text.to_owned()))
    }

    pub fn as_str(&self) -> &str {
        &self.0
    }
}

/// An order's number in URLs and in the API, unique for each customer: the name without a leading `#`, with `-2` when the customer has
/// another order of this name.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct OrderNumber(String);

impl OrderNumber {
    /// Any printable text except `.` and `..`, which browsers remove from a path.
    pub fn parse(text: &str) -> Option<Self> {
        let is_path_segment = !matches!(text, "" | "." | "..") && text.trim() == text;
        let is_printable = !text.chars().any(char::is_control);
        let fits = text.chars().count() <= MAX_NAME_CHARS + MAX_SUFFIX_CHARS;
        (is_path_segment && is_printable && fits).then(|| Self(text.to_owned()))
    }

    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// The number of the n-th order of one customer that has this number.
    #[must_use]
    pub fn with_suffix(&self, n: u32) -> Self {
        Self(format!("{}-{n}", self.0))
    }
}

/// An order's name as the shop writes it, for pages and mail: `#10248`, `EU-1001`, `Order 7/2024`.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct OrderName(String);

impl OrderName {
    /// Any printable text up to 255 characters.
    pub fn parse(text: &str) -> Option<Self> {
        let name = Self(text.to_owned());
        let fits = text.chars().count() <= MAX_NAME_CHARS;
        (fits && OrderNumber::parse(name.without_hash()).is_some()).then_some(name)
    }

    /// The name as the shop counts its orders: `10248`.
    pub fn without_hash(&self) -> &str {
        without_hash(&self.0)
    }

    pub fn number(&self) -> OrderNumber {
        OrderNumber(self.without_hash().to_owned())
    }

    pub fn as_str(&self) -> &str {
        &self.0
    }
}

/// The text of an order name without its first `#`; `#` alone keeps it.
pub(super) fn without_hash(name: &str) -> &str {
    name.strip_prefix('#').map(str::trim_start).filter(|rest| !rest.is_empty()).unwrap_or(name)
}

impl std::fmt::Display for OrderName {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(&self.0)
    }
}

/// An order without its lines.
#[derive(Clone, Debug)]
pub struct Order {
    pub id: OrderId,
    pub number: OrderNumber,
    pub name: OrderName,
    pub placed_at: UnixSeconds,
    pub paid_at: Option<UnixSeconds>,
    pub fulfilled_at: Option<UnixSeconds>,
    pub cancelled_at: Option<UnixSeconds>,
    pub payment_status: PaymentStatus,
    pub fulfillment_status: FulfillmentStatus,
    pub subtotal: Money,
    pub shipping: Money,
    pub taxes: Money,
    pub discount: Money,
    pub refunded: Money,
    pub total: Money,
    pub line_count: i64,
    pub status: OrderStatus,
    pub cancellation: Option<Cancellation>,
    /// The number of the order that this one repeats, in orders that an earlier version copied.
    pub reordered_from: Option<OrderNumber>,
}

impl Order {
    pub fn currency(&self) -> Currency {
        self.total.currency()
    }

    /// Whether the customer may request a cancellation.
    pub fn can_be_cancelled(&self) -> bool {
        self.status.can_be_cancelled() && self.cancellation.is_none()
    }

    /// The request for a cancellation, until the shop has answered it, or an import has settled it: the order was sent or cancelled.
    pub fn pending_cancellation(&self) -> Option<&Cancellation> {
        self.open_cancellation().filter(|cancellation| cancellation.answer.is_none())
    }

    /// The request for a cancellation with or without an answer, until an import has settled it.
    pub fn open_cancellation(&self) -> Option<&Cancellation> {
        self.cancellation.as_ref().filter(|_| self.status.can_be_cancelled())
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
    /// The fulfilment state of the line in the shop's word; may be empty.
    pub fulfillment_status: String,
}

impl OrderLine {
    /// The price of the line; `None` when it does not fit 64 bits, which the limits of an import exclude.
    pub fn amount(&self) -> Option<Money> {
        self.unit_price.checked_mul(self.quantity)?.checked_sub(self.discount)
    }
}

/// The shipping address of an order; unknown parts are empty.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, sqlx::FromRow, utoipa::ToSchema)]
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

/// What only the page of one order shows. Unknown texts are empty. Stored as JSON: a new field needs no migration.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct OrderDetails {
    #[serde(skip_serializing_if = "BillingAddress::is_empty")]
    pub billing_address: BillingAddress,
    #[serde(skip_serializing_if = "String::is_empty")]
    pub billing_province_name: String,
    #[serde(skip_serializing_if = "String::is_empty")]
    pub shipping_province_name: String,
    #[serde(skip_serializing_if = "String::is_empty")]
    pub shipping_method: String,
    #[serde(skip_serializing_if = "String::is_empty")]
    pub payment_method: String,
    #[serde(skip_serializing_if = "String::is_empty")]
    pub discount_code: String,
    /// By name, as the shop prints them.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub taxes: Vec<NamedTax>,
    /// Minor units, as the next two.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub duties: Option<i64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub tip: Option<i64>,
    /// What is still to be paid.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub outstanding: Option<i64>,
    #[serde(skip_serializing_if = "String::is_empty")]
    pub tracking_company: String,
    #[serde(skip_serializing_if = "String::is_empty")]
    pub tracking_number: String,
    /// An https URL.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub tracking_url: String,
    /// Of the customer or the shop, as the export has it.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub note: String,
}

/// A tax with its name, such as `DE MwSt 19%`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct NamedTax {
    pub name: String,
    /// Minor units.
    pub amount: i64,
}

/// The billing address; unknown parts are empty.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, utoipa::ToSchema)]
#[serde(default)]
pub struct BillingAddress {
    pub name: String,
    pub company: String,
    pub address1: String,
    pub address2: String,
    pub zip: String,
    pub city: String,
    pub province: String,
    pub country: String,
    pub phone: String,
}

impl BillingAddress {
    pub fn is_empty(&self) -> bool {
        *self == Self::default()
    }
}

/// An order with its lines and address.
#[derive(Clone, Debug)]
pub struct OrderDetail {
    pub order: Order,
    /// In the shop's order.
    pub lines: Vec<OrderLine>,
    pub address: ShippingAddress,
    pub details: OrderDetails,
    /// The shop if the customer has orders of several; empty for the one that imports give no name.
    pub shop: Option<String>,
}

impl OrderDetail {
    /// What the customer sees of the shop; `unnamed` is the name of the one that imports give none.
    pub fn shop_name<'a>(&'a self, unnamed: &'a str) -> Option<&'a str> {
        self.shop.as_deref().map(|shop| if shop.is_empty() { unnamed } else { shop })
    }
}

#[cfg(test)]
pub(super) mod tests {
    use super::*;

    /// An order with these payment and fulfilment states and amounts of zero, placed ten seconds after 1970.
    pub(in crate::orders) fn order(payment: &str, fulfillment: &str) -> Order {
        let zero = Money::zero(Currency::parse("USD").unwrap());
        let (payment_status, fulfillment_status) = (payment.parse().unwrap(), fulfillment.parse().unwrap());
        Order {
            id: OrderId::parse("0190-ab").unwrap(),
            number: OrderNumber::parse("10248").unwrap(),
            name: OrderName::parse("#10248").unwrap(),
            placed_at: UnixSeconds::new(10),
            paid_at: None,
            fulfilled_at: None,
            cancelled_at: None,
            payment_status,
            fulfillment_status,
            subtotal: zero,
            shipping: zero,
            taxes: zero,
            discount: zero,
            refunded: zero,
            total: zero,
            line_count: 1,
            status: OrderStatus::derive(payment_status, fulfillment_status, false),
            cancellation: None,
            reordered_from: None,
        }
    }

    #[test]
    fn order_name_is_any_printable_text() {
        let names = [
            ("#10248", "10248"),
            ("10248", "10248"),
            ("EU-1001", "EU-1001"),
            ("#1001.2", "1001.2"),
            ("# 7", "7"),
            ("##7", "#7"),
            ("#", "#"),
            ("Order 7/2024 n° 3?%", "Order 7/2024 n° 3?%"),
            ("注文1", "注文1"),
        ];
        for (name, number) in names {
            let name = OrderName::parse(name).unwrap();
            assert_eq!(name.number().as_str(), number);
            assert_eq!(OrderNumber::parse(number), Some(name.number()));
        }
        assert!(OrderName::parse(&"9".repeat(255)).is_some());
        for text in ["", ".", "..", "#.", " a", "a\0", "a\nb", &"9".repeat(256)] {
            assert_eq!(OrderName::parse(text), None, "{text:?}");
        }
    }

    #[test]
    fn suffix_of_the_longest_number_parses() {
        let number = OrderName::parse(&"9".repeat(255)).unwrap().number().with_suffix(u32::MAX);
        assert_eq!(OrderNumber::parse(number.as_str()), Some(number));
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
    fn line_amount_is_price_times_quantity_less_discount() {
        let usd = |minor| Money::new(minor, Currency::parse("USD").unwrap());
        let line = |quantity, price, discount| OrderLine {
            sku: String::new(),
            name: String::new(),
            quantity,
            unit_price: usd(price),
            discount: usd(discount),
            fulfillment_status: String::new(),
        };
        assert_eq!(line(3, 250, 50).amount(), Some(usd(700)));
        assert_eq!(line(2, i64::MAX, 0).amount(), None);
    }
}
