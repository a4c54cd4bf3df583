//! An order of an export, as parsed.

use serde::{Serialize, Serializer};
use sha2::{Digest, Sha256};

use super::columns::ColumnSet;
use crate::domain::Currency;
use crate::orders::order::{OrderDetails, OrderName, ShippingAddress};
use crate::orders::status::{FulfillmentStatus, PaymentStatus};

/// An order; money in minor units, times in Unix seconds. The content hash covers the serialized form: a change of the fields or of
/// their order makes the next import compare every order with its stored values.
#[derive(Clone, Debug, Serialize)]
pub(in crate::orders) struct ImportedOrder {
    /// The columns that the file has: the values of all others are unknown.
    pub(super) columns: ColumnSet,
    #[serde(skip)]
    pub(super) place: RowPlace,
    /// Shopify's `Id`; empty when unknown.
    pub external_id: String,
    #[serde(serialize_with = "serialize_name")]
    pub name: OrderName,
    pub values: OrderValues,
    pub lines: Vec<LineValues>,
}

/// The row of a file.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct RowPlace {
    /// Index of the file in the import.
    pub file: usize,
    /// Counted from 1, as editors do.
    pub line: u64,
}

/// What an export says about an order besides its identity and its lines.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub(in crate::orders) struct OrderValues {
    pub email: Option<String>,
    pub placed_at: i64,
    pub paid_at: Option<i64>,
    pub fulfilled_at: Option<i64>,
    pub cancelled_at: Option<i64>,
    #[serde(serialize_with = "serialize_payment")]
    pub payment_status: PaymentStatus,
    #[serde(serialize_with = "serialize_fulfillment")]
    pub fulfillment_status: FulfillmentStatus,
    #[serde(serialize_with = "serialize_currency")]
    pub currency: Currency,
    pub subtotal: i64,
    pub shipping: i64,
    pub taxes: i64,
    pub discount: i64,
    pub refunded: i64,
    pub total: i64,
    pub address: ShippingAddress,
    pub details: OrderDetails,
}

impl OrderValues {
    /// Values before the first cell is parsed.
    pub(super) fn new(currency: Currency) -> Self {
        Self {
            email: None,
            placed_at: 0,
            paid_at: None,
            fulfilled_at: None,
            cancelled_at: None,
            payment_status: PaymentStatus::Pending,
            fulfillment_status: FulfillmentStatus::Unfulfilled,
            currency,
            subtotal: 0,
            shipping: 0,
            taxes: 0,
            discount: 0,
            refunded: 0,
            total: 0,
            address: ShippingAddress::default(),
            details: OrderDetails::default(),
        }
    }
}

#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub(in crate::orders) struct LineValues {
    pub sku: String,
    pub name: String,
    pub quantity: i64,
    pub unit_price: i64,
    pub discount: i64,
    pub fulfillment_status: String,
}

impl ImportedOrder {
    /// The SHA-256 of all values of the order: equal if the order did not change since the last import.
    pub(super) fn content_hash(&self) -> Vec<u8> {
        let content = serde_json::to_vec(self).unwrap_or_default();
        Sha256::digest(content).to_vec()
    }
}

fn serialize_name<S: Serializer>(name: &OrderName, serializer: S) -> Result<S::Ok, S::Error> {
    serializer.serialize_str(name.as_str())
}

fn serialize_payment<S: Serializer>(status: &PaymentStatus, serializer: S) -> Result<S::Ok, S::Error> {
    serializer.serialize_str(status.as_str())
}

fn serialize_fulfillment<S: Serializer>(status: &FulfillmentStatus, serializer: S) -> Result<S::Ok, S::Error> {
    serializer.serialize_str(status.as_str())
}

fn serialize_currency<S: Serializer>(currency: &Currency, serializer: S) -> Result<S::Ok, S::Error> {
    serializer.serialize_str(currency.code())
}
