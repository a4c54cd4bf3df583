//! An order as JSON, for the API and the data export.

use serde::Serialize;
use strum::VariantArray;
use utoipa::openapi::{ObjectBuilder, RefOr, Schema, Type};
use utoipa::{PartialSchema, ToSchema};

use super::order::{BillingAddress, NamedTax, Order, OrderDetail, OrderDetails, OrderLine, ShippingAddress};
use super::status::OrderStatus;
use crate::domain::UnixSeconds;

/// An order without its lines. Times are RFC 3339, amounts are integers in the currency's minor unit.
#[derive(Serialize, ToSchema)]
pub struct OrderSummary {
    #[schema(example = "10248")]
    number: String,
    /// `processing` is paid and not sent.
    #[schema(value_type = StatusWord)]
    status: &'static str,
    /// Shopify's payment state.
    #[schema(example = "paid")]
    payment_status: &'static str,
    /// Shopify's fulfilment state.
    #[schema(example = "fulfilled")]
    fulfillment_status: &'static str,
    #[schema(example = "1996-07-04T12:00:00Z", format = "date-time")]
    placed_at: String,
    #[schema(format = "date-time")]
    paid_at: Option<String>,
    #[schema(format = "date-time")]
    fulfilled_at: Option<String>,
    #[schema(format = "date-time")]
    cancelled_at: Option<String>,
    /// When the customer asked the shop to cancel the order.
    #[schema(format = "date-time")]
    cancellation_requested_at: Option<String>,
    /// The shop's answer: `accepted` or `declined`. The status changes only with the shop's next export.
    #[schema(example = "accepted")]
    cancellation_answer: Option<&'static str>,
    /// ISO 4217.
    #[schema(example = "USD")]
    currency: &'static str,
    subtotal: i64,
    shipping: i64,
    taxes: i64,
    discount: i64,
    #[schema(example = 47238)]
    total: i64,
    /// What was paid back.
    refunded: i64,
    line_count: i64,
}

/// The schema of a status.
struct StatusWord;

impl PartialSchema for StatusWord {
    fn schema() -> RefOr<Schema> {
        let words = OrderStatus::VARIANTS.iter().map(|status| status.as_str());
        ObjectBuilder::new().schema_type(Type::String).enum_values(Some(words)).examples(["sent"]).into()
    }
}

impl ToSchema for StatusWord {}

/// An order with its lines and its shipping address.
#[derive(Serialize, ToSchema)]
pub struct OrderResponse {
    #[serde(flatten)]
    order: OrderSummary,
    lines: Vec<Line>,
    shipping_address: ShippingAddress,
    #[serde(flatten)]
    details: Details,
    /// The name of the shop; absent unless the customer has orders of several shops.
    #[serde(skip_serializing_if = "Option::is_none")]
    shop: Option<String>,
}

/// What an export says about an order besides; texts are empty and amounts null when it does not.
#[derive(Serialize, ToSchema)]
pub struct Details {
    billing_address: BillingAddress,
    billing_province_name: String,
    shipping_province_name: String,
    shipping_method: String,
    payment_method: String,
    discount_code: String,
    /// The taxes by name.
    tax_lines: Vec<TaxLine>,
    duties: Option<i64>,
    tip: Option<i64>,
    /// What is still to be paid.
    outstanding: Option<i64>,
    tracking: Tracking,
    /// The note of the order; absent where there is none or the shop does not show it.
    #[serde(skip_serializing_if = "String::is_empty")]
    note: String,
}

/// A tax with the shop's name for it.
#[derive(Serialize, ToSchema)]
pub struct TaxLine {
    #[schema(example = "DE MwSt 19%")]
    name: String,
    amount: i64,
}

/// The parcel.
#[derive(Serialize, ToSchema)]
pub struct Tracking {
    company: String,
    number: String,
    /// An https URL, or empty.
    url: String,
}

/// One line of an order.
#[derive(Serialize, ToSchema)]
pub struct Line {
    sku: String,
    name: String,
    quantity: i64,
    unit_price: i64,
    /// The discount on the whole line.
    discount: i64,
    /// Shopify's fulfilment state of the line; may be empty.
    fulfillment_status: String,
}

impl OrderResponse {
    /// `unnamed_shop` is the name of the shop that imports give none.
    pub fn new(detail: OrderDetail, unnamed_shop: &str) -> Self {
        Self {
            shop: detail.shop_name(unnamed_shop).map(str::to_owned),
            order: detail.order.into(),
            lines: detail.lines.into_iter().map(Line::from).collect(),
            shipping_address: detail.address,
            details: detail.details.into(),
        }
    }

    /// Without the note, which only some shops show.
    #[must_use]
    pub fn without_note(mut self) -> Self {
        self.details.note.clear();
        self
    }
}

impl From<OrderDetails> for Details {
    fn from(details: OrderDetails) -> Self {
        let tax_line = |tax: NamedTax| TaxLine { name: tax.name, amount: tax.amount };
        Self {
            billing_address: details.billing_address,
            billing_province_name: details.billing_province_name,
            shipping_province_name: details.shipping_province_name,
            shipping_method: details.shipping_method,
            payment_method: details.payment_method,
            discount_code: details.discount_code,
            tax_lines: details.taxes.into_iter().map(tax_line).collect(),
            duties: details.duties,
            tip: details.tip,
            outstanding: details.outstanding,
            tracking: Tracking {
                company: details.tracking_company,
                number: details.tracking_number,
                url: details.tracking_url,
            },
            note: details.note,
        }
    }
}

impl From<Order> for OrderSummary {
    fn from(order: Order) -> Self {
        let time = |at: Option<UnixSeconds>| at.map(|at| at.to_string());
        let currency = order.currency().code();
        Self {
            number: order.number.as_str().to_owned(),
            status: order.status.as_str(),
            placed_at: order.placed_at.to_string(),
            paid_at: time(order.paid_at),
            fulfilled_at: time(order.fulfilled_at),
            cancelled_at: time(order.cancelled_at),
            cancellation_requested_at: time(order.cancellation.as_ref().map(|cancellation| cancellation.requested_at)),
            cancellation_answer: order
                .cancellation
                .and_then(|cancellation| cancellation.answer)
                .map(|answer| answer.verdict.as_str()),
            currency,
            subtotal: order.subtotal.minor(),
            shipping: order.shipping.minor(),
            taxes: order.taxes.minor(),
            discount: order.discount.minor(),
            total: order.total.minor(),
            refunded: order.refunded.minor(),
            line_count: order.line_count,
            payment_status: order.payment_status.as_str(),
            fulfillment_status: order.fulfillment_status.as_str(),
        }
    }
}

impl From<OrderLine> for Line {
    fn from(line: OrderLine) -> Self {
        Self {
            sku: line.sku,
            name: line.name,
            quantity: line.quantity,
            unit_price: line.unit_price.minor(),
            discount: line.discount.minor(),
            fulfillment_status: line.fulfillment_status,
        }
    }
}
