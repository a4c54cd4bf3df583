//! The columns of an order export: the one list, with the names that exports give them.

/// A column that an import reads.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Column {
    Name,
    Email,
    FinancialStatus,
    FulfillmentStatus,
    Currency,
    Subtotal,
    Shipping,
    Taxes,
    Total,
    CreatedAt,
    LineQuantity,
    LineName,
    LinePrice,
    Id,
    PaidAt,
    FulfilledAt,
    CancelledAt,
    DiscountAmount,
    RefundedAmount,
    LineSku,
    LineDiscount,
    LineFulfillmentStatus,
    ShippingName,
    ShippingLastName,
    ShippingCompany,
    ShippingAddress1,
    ShippingAddress2,
    ShippingZip,
    ShippingCity,
    ShippingProvince,
    ShippingProvinceName,
    ShippingCountry,
    ShippingPhone,
    BillingName,
    BillingLastName,
    BillingCompany,
    BillingAddress1,
    BillingAddress2,
    BillingZip,
    BillingCity,
    BillingProvince,
    BillingProvinceName,
    BillingCountry,
    BillingPhone,
    ShippingMethod,
    PaymentMethod,
    DiscountCode,
    Duties,
    Tip,
    Outstanding,
    Tax1Name,
    Tax1Value,
    Tax2Name,
    Tax2Value,
    Tax3Name,
    Tax3Value,
    Tax4Name,
    Tax4Value,
    Tax5Name,
    Tax5Value,
    TrackingCompany,
    TrackingNumber,
    TrackingUrl,
    Note,
}

use Column as C;

/// Each column with Shopify's name for it, then the names of Squarespace, WooCommerce's order export and common apps. The first
/// [`REQUIRED`] ones are enough for an import.
const NAMES: [(Column, &[&str]); 64] = [
    (C::Name, &["Name", "Order Number", "Order ID"]),
    (C::Email, &["Email", "Email (Billing)"]),
    (C::FinancialStatus, &["Financial Status", "Order Status"]),
    (C::FulfillmentStatus, &["Fulfillment Status", "Order Status"]),
    (C::Currency, &["Currency", "Order Currency", "Currency Code"]),
    (C::Subtotal, &["Subtotal", "Order Subtotal Amount"]),
    (C::Shipping, &["Shipping", "Order Shipping Amount"]),
    (C::Taxes, &["Taxes", "Order Total Tax Amount"]),
    (C::Total, &["Total", "Order Total Amount"]),
    (C::CreatedAt, &["Created at", "Order Date"]),
    (C::LineQuantity, &["Lineitem quantity", "Quantity", "Quantity (- Refund)"]),
    (C::LineName, &["Lineitem name", "Item Name"]),
    (C::LinePrice, &["Lineitem price", "Item Cost"]),
    (C::Id, &["Id"]),
    (C::PaidAt, &["Paid at", "Paid Date"]),
    (C::FulfilledAt, &["Fulfilled at", "Completed Date"]),
    (C::CancelledAt, &["Cancelled at"]),
    (C::DiscountAmount, &["Discount Amount", "Cart Discount Amount"]),
    (C::RefundedAmount, &["Refunded Amount", "Amount Refunded", "Order Refund Amount"]),
    (C::LineSku, &["Lineitem sku", "SKU"]),
    (C::LineDiscount, &["Lineitem discount"]),
    (C::LineFulfillmentStatus, &["Lineitem fulfillment status"]),
    (C::ShippingName, &["Shipping Name", "First Name (Shipping)"]),
    (C::ShippingLastName, &["Last Name (Shipping)"]),
    (C::ShippingCompany, &["Shipping Company", "Company (Shipping)"]),
    (C::ShippingAddress1, &["Shipping Address1", "Address 1&2 (Shipping)"]),
    (C::ShippingAddress2, &["Shipping Address2"]),
    (C::ShippingZip, &["Shipping Zip", "Postcode (Shipping)"]),
    (C::ShippingCity, &["Shipping City", "City (Shipping)"]),
    (C::ShippingProvince, &["Shipping Province", "State Code (Shipping)"]),
    (C::ShippingProvinceName, &["Shipping Province Name"]),
    (C::ShippingCountry, &["Shipping Country", "Country Code (Shipping)"]),
    (C::ShippingPhone, &["Shipping Phone"]),
    (C::BillingName, &["Billing Name", "First Name (Billing)"]),
    (C::BillingLastName, &["Last Name (Billing)"]),
    (C::BillingCompany, &["Billing Company", "Company (Billing)"]),
    (C::BillingAddress1, &["Billing Address1", "Address 1&2 (Billing)"]),
    (C::BillingAddress2, &["Billing Address2"]),
    (C::BillingZip, &["Billing Zip", "Postcode (Billing)"]),
    (C::BillingCity, &["Billing City", "City (Billing)"]),
    (C::BillingProvince, &["Billing Province", "State Code (Billing)"]),
    (C::BillingProvinceName, &["Billing Province Name"]),
    (C::BillingCountry, &["Billing Country", "Country Code (Billing)"]),
    (C::BillingPhone, &["Billing Phone", "Phone (Billing)"]),
    (C::ShippingMethod, &["Shipping Method", "Shipping Method Title"]),
    (C::PaymentMethod, &["Payment Method", "Payment Method Title"]),
    (C::DiscountCode, &["Discount Code", "Coupon Code"]),
    (C::Duties, &["Duties"]),
    (C::Tip, &["Tip", "Tip Amount"]),
    (C::Outstanding, &["Outstanding Balance"]),
    (C::Tax1Name, &["Tax 1 Name"]),
    (C::Tax1Value, &["Tax 1 Value"]),
    (C::Tax2Name, &["Tax 2 Name"]),
    (C::Tax2Value, &["Tax 2 Value"]),
    (C::Tax3Name, &["Tax 3 Name"]),
    (C::Tax3Value, &["Tax 3 Value"]),
    (C::Tax4Name, &["Tax 4 Name"]),
    (C::Tax4Value, &["Tax 4 Value"]),
    (C::Tax5Name, &["Tax 5 Name"]),
    (C::Tax5Value, &["Tax 5 Value"]),
    (C::TrackingCompany, &["Tracking Company"]),
    (C::TrackingNumber, &["Tracking Number"]),
    (C::TrackingUrl, &["Tracking Url", "Tracking URL", "Tracking Link"]),
    (C::Note, &["Notes", "Customer Note"]),
];

const _: () = assert!(NAMES.len() <= u128::BITS as usize, "a set of columns has a bit for each");

/// The number of required columns.
const REQUIRED: usize = 13;

impl Column {
    pub(super) const COUNT: usize = NAMES.len();

    /// The names and values of the five taxes.
    pub(super) const TAXES: [(Self, Self); 5] = [
        (C::Tax1Name, C::Tax1Value),
        (C::Tax2Name, C::Tax2Value),
        (C::Tax3Name, C::Tax3Value),
        (C::Tax4Name, C::Tax4Value),
        (C::Tax5Name, C::Tax5Value),
    ];

    pub(super) fn all() -> impl Iterator<Item = Self> {
        NAMES.iter().map(|(column, _)| *column)
    }

    pub(super) fn required() -> impl Iterator<Item = Self> {
        Self::all().take(REQUIRED)
    }

    pub(super) fn index(self) -> usize {
        self as usize
    }

    /// Shopify's name, which messages use.
    pub(super) fn name(self) -> &'static str {
        NAMES[self.index()].1[0]
    }

    /// All names in order of preference.
    pub(super) fn names(self) -> &'static [&'static str] {
        NAMES[self.index()].1
    }

    /// The column of that name (Shopify's), in any case.
    pub(super) fn parse(name: &str) -> Option<Self> {
        Self::all().find(|column| column.name().eq_ignore_ascii_case(name.trim()))
    }
}

/// Whether an export has a column of that name.
pub(super) fn is_known_name(name: &str) -> bool {
    let name = normalize(name);
    Column::all().any(|column| column.names().iter().any(|known| normalize(known) == name))
}

/// Names match in any case and with other separators of words: `Created at`, `created_at`, `CreatedAt`.
pub(super) fn normalize(name: &str) -> String {
    // A byte-order mark within a file precedes the quotes of the first name of an appended export.
    let name = name.strip_prefix('\u{feff}').map_or(name, |name| name.trim_matches(['\u{feff}', '"']));
    let is_separator = |letter: char| letter.is_whitespace() || "_-".contains(letter);
    name.chars().filter(|letter| !is_separator(*letter)).flat_map(char::to_lowercase).collect()
}

/// A set of columns.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, serde::Serialize)]
pub(super) struct ColumnSet(u128);

impl ColumnSet {
    pub(super) fn insert(&mut self, column: Column) {
        self.0 |= 1 << column.index();
    }

    pub(super) fn remove(&mut self, column: Column) {
        self.0 &= !(1 << column.index());
    }

    pub(super) fn contains(self, column: Column) -> bool {
        self.0 & (1 << column.index()) != 0
    }

    pub(super) fn union(self, other: Self) -> Self {
        Self(self.0 | other.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn list_is_in_the_order_of_the_columns() {
        assert!(Column::all().enumerate().all(|(index, column)| column.index() == index));
        assert_eq!(Column::required().last(), Some(Column::LinePrice));
    }

    #[test]
    fn names_match_in_any_case_and_separation() {
        for name in
            ["Created at", " CREATED  AT", "created_at", "CreatedAt", "Created\u{a0}at", "\u{feff}\"Created at\""]
        {
            assert!(is_known_name(name), "{name}");
        }
        assert!(!is_known_name("Created") && !is_known_name("\"Created at\""));
    }
}
