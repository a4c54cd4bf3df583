//! The fields of an order, one entry each: the column of the export, the column of the table, where the value is. Parsing, merging,
//! comparing, reading and writing go through this list, so that a new column is one entry here.

use super::columns::Column;
use super::imported::OrderValues;
use crate::domain::{Currency, Money, UnixSeconds};
use crate::orders::order::NamedTax;
use crate::orders::status::{FulfillmentStatus, PaymentStatus};

pub(super) struct Field {
    pub column: Column,
    pub storage: Storage,
    pub value: Value,
}

#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Storage {
    /// A column of the table `orders`.
    Column(&'static str),
    /// A part of the column `details`.
    Details,
}

/// Where a value is.
pub(super) struct Lens<T> {
    pub get: fn(&OrderValues) -> &T,
    pub get_mut: fn(&mut OrderValues) -> &mut T,
}

pub(super) enum Value {
    Email(Lens<Option<String>>),
    Time(Lens<i64>),
    OptionalTime(Lens<Option<i64>>),
    Payment(Lens<PaymentStatus>),
    Fulfillment(Lens<FulfillmentStatus>),
    Currency(Lens<Currency>),
    Money(Lens<i64>),
    OptionalMoney(Lens<Option<i64>>),
    Text(Lens<String>),
    /// Text with a leading `'`, which exports add so that spreadsheet programs do not parse it as a number.
    Code(Lens<String>),
    /// A link; other schemes than https are dropped.
    Url(Lens<String>),
    Taxes(Lens<Vec<NamedTax>>),
}

use Column as C;
use Storage::{Column as Stored, Details};
use Value as V;

/// An entry of [`FIELDS`].
macro_rules! field {
    ($column:ident, $storage:expr, $kind:ident, $($path:ident).+) => {
        Field {
            column: C::$column,
            storage: $storage,
            value: V::$kind(Lens { get: |values| &values.$($path).+, get_mut: |values| &mut values.$($path).+ }),
        }
    };
}

pub(super) const FIELDS: [Field; 45] = [
    field!(Email, Stored("email"), Email, email),
    field!(Currency, Stored("currency"), Currency, currency),
    field!(CreatedAt, Stored("placed_at"), Time, placed_at),
    field!(PaidAt, Stored("paid_at"), OptionalTime, paid_at),
    field!(FulfilledAt, Stored("fulfilled_at"), OptionalTime, fulfilled_at),
    field!(CancelledAt, Stored("cancelled_at"), OptionalTime, cancelled_at),
    field!(FinancialStatus, Stored("payment_status"), Payment, payment_status),
    field!(FulfillmentStatus, Stored("fulfillment_status"), Fulfillment, fulfillment_status),
    field!(Subtotal, Stored("subtotal"), Money, subtotal),
    field!(Shipping, Stored("shipping"), Money, shipping),
    field!(Taxes, Stored("taxes"), Money, taxes),
    field!(DiscountAmount, Stored("discount"), Money, discount),
    field!(RefundedAmount, Stored("refunded"), Money, refunded),
    field!(Total, Stored("total"), Money, total),
    field!(ShippingName, Stored("ship_name"), Text, address.name),
    field!(ShippingCompany, Stored("ship_company"), Text, address.company),
    field!(ShippingAddress1, Stored("ship_address1"), Text, address.address1),
    field!(ShippingAddress2, Stored("ship_address2"), Text, address.address2),
    field!(ShippingZip, Stored("ship_zip"), Code, address.zip),
    field!(ShippingCity, Stored("ship_city"), Text, address.city),
    field!(ShippingProvince, Stored("ship_province"), Text, address.province),
    field!(ShippingCountry, Stored("ship_country"), Text, address.country),
    field!(ShippingPhone, Stored("ship_phone"), Code, address.phone),
    field!(ShippingProvinceName, Details, Text, details.shipping_province_name),
    field!(BillingName, Details, Text, details.billing_address.name),
    field!(BillingCompany, Details, Text, details.billing_address.company),
    field!(BillingAddress1, Details, Text, details.billing_address.address1),
    field!(BillingAddress2, Details, Text, details.billing_address.address2),
    field!(BillingZip, Details, Code, details.billing_address.zip),
    field!(BillingCity, Details, Text, details.billing_address.city),
    field!(BillingProvince, Details, Text, details.billing_address.province),
    field!(BillingProvinceName, Details, Text, details.billing_province_name),
    field!(BillingCountry, Details, Text, details.billing_address.country),
    field!(BillingPhone, Details, Code, details.billing_address.phone),
    field!(ShippingMethod, Details, Text, details.shipping_method),
    field!(PaymentMethod, Details, Text, details.payment_method),
    field!(DiscountCode, Details, Text, details.discount_code),
    field!(Duties, Details, OptionalMoney, details.duties),
    field!(Tip, Details, OptionalMoney, details.tip),
    field!(Outstanding, Details, OptionalMoney, details.outstanding),
    field!(Tax1Name, Details, Taxes, details.taxes),
    field!(TrackingCompany, Details, Text, details.tracking_company),
    field!(TrackingNumber, Details, Code, details.tracking_number),
    field!(TrackingUrl, Details, Url, details.tracking_url),
    field!(Note, Details, Text, details.note),
];

impl<T: Clone> Lens<T> {
    fn copy(&self, from: &OrderValues, to: &mut OrderValues) {
        (self.get_mut)(to).clone_from((self.get)(from));
    }
}

impl Value {
    pub(super) fn copy(&self, from: &OrderValues, to: &mut OrderValues) {
        match self {
            Self::Email(lens) => lens.copy(from, to),
            Self::Time(lens) | Self::Money(lens) => lens.copy(from, to),
            Self::OptionalTime(lens) | Self::OptionalMoney(lens) => lens.copy(from, to),
            Self::Payment(lens) => lens.copy(from, to),
            Self::Fulfillment(lens) => lens.copy(from, to),
            Self::Currency(lens) => lens.copy(from, to),
            Self::Text(lens) | Self::Code(lens) | Self::Url(lens) => lens.copy(from, to),
            Self::Taxes(lens) => lens.copy(from, to),
        }
    }

    /// The value for the operator; empty when there is none. Different values have different texts.
    pub(super) fn show(&self, values: &OrderValues) -> String {
        let time = |seconds: i64| UnixSeconds::new(seconds).to_string();
        let money = |minor| Money::new(minor, values.currency).to_decimal_string();
        match self {
            Self::Email(lens) => (lens.get)(values).clone().unwrap_or_default(),
            Self::Time(lens) => time(*(lens.get)(values)),
            Self::OptionalTime(lens) => (lens.get)(values).map(time).unwrap_or_default(),
            Self::Payment(lens) => (lens.get)(values).as_str().to_owned(),
            Self::Fulfillment(lens) => (lens.get)(values).as_str().to_owned(),
            Self::Currency(lens) => (lens.get)(values).code().to_owned(),
            Self::Money(lens) => money(*(lens.get)(values)),
            Self::OptionalMoney(lens) => (lens.get)(values).map(money).unwrap_or_default(),
            Self::Text(lens) | Self::Code(lens) | Self::Url(lens) => (lens.get)(values).clone(),
            Self::Taxes(lens) => {
                let taxes = (lens.get)(values).iter().map(|tax| format!("{} {}", tax.name, money(tax.amount)));
                taxes.collect::<Vec<_>>().join(", ")
            }
        }
    }
}
