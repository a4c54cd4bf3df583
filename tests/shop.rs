//! Generates order exports in Shopify's layout.

use std::collections::BTreeMap;

/// The columns of an export in order, including those that the import ignores.
pub const COLUMNS: [&str; 36] = [
    "Name",
    "Email",
    "Financial Status",
    "Paid at",
    "Fulfillment Status",
    "Fulfilled at",
    "Accepts Marketing",
    "Currency",
    "Subtotal",
    "Shipping",
    "Taxes",
    "Total",
    "Discount Code",
    "Discount Amount",
    "Shipping Method",
    "Created at",
    "Lineitem quantity",
    "Lineitem name",
    "Lineitem price",
    "Lineitem compare at price",
    "Lineitem sku",
    "Lineitem requires shipping",
    "Lineitem taxable",
    "Lineitem fulfillment status",
    "Shipping Name",
    "Shipping Address1",
    "Shipping Address2",
    "Shipping Company",
    "Shipping City",
    "Shipping Zip",
    "Shipping Province",
    "Shipping Country",
    "Shipping Phone",
    "Cancelled at",
    "Refunded Amount",
    "Lineitem discount",
];

/// The non-empty columns of a row.
#[derive(Clone, Debug, Default)]
pub struct Row(BTreeMap<String, String>);

impl Row {
    #[must_use]
    pub fn with(mut self, column: &str, value: &str) -> Self {
        self.0.insert(column.to_owned(), value.to_owned());
        self
    }
}

/// The first row of an order: two notebooks at 12.50, paid and sent.
pub fn order(number: &str, email: &str) -> Row {
    let fields = [
        ("Name", number),
        ("Email", email),
        ("Financial Status", "paid"),
        ("Paid at", "2024-03-01 10:05:00 +0000"),
        ("Fulfillment Status", "fulfilled"),
        ("Fulfilled at", "2024-03-03 09:00:00 +0000"),
        ("Currency", "EUR"),
        ("Subtotal", "25.00"),
        ("Shipping", "4.90"),
        ("Taxes", "0.00"),
        ("Total", "29.90"),
        ("Discount Amount", "0.00"),
        ("Created at", "2024-03-01 10:00:00 +0000"),
        ("Lineitem quantity", "2"),
        ("Lineitem name", "Notebook, ruled"),
        ("Lineitem price", "12.50"),
        ("Lineitem sku", "NB-1"),
        ("Lineitem discount", "0.00"),
        ("Shipping Name", "Ann Example"),
        ("Shipping Address1", "Long Lane 5"),
        ("Shipping City", "Reims"),
        ("Shipping Zip", "'51100"),
        ("Shipping Country", "FR"),
        ("Refunded Amount", "0.00"),
    ];
    fields.into_iter().fold(Row::default(), |row, (column, value)| row.with(column, value))
}

/// An order that can be cancelled.
pub fn unsent(number: &str, email: &str) -> Row {
    order(number, email).with("Fulfillment Status", "unfulfilled").with("Fulfilled at", "")
}

/// An order with discounts, taxes and a partial refund.
pub fn partly_refunded(number: &str, email: &str) -> Row {
    order(number, email)
        .with("Discount Amount", "3.00")
        .with("Taxes", "1.00")
        .with("Total", "27.90")
        .with("Financial Status", "partially_refunded")
        .with("Refunded Amount", "5.00")
        .with("Lineitem discount", "1.50")
}

/// A further row of an order: one line item.
pub fn line(number: &str, email: &str, name: &str) -> Row {
    let fields = [
        ("Name", number),
        ("Email", email),
        ("Lineitem quantity", "1"),
        ("Lineitem name", name),
        ("Lineitem price", "3.00"),
        ("Created at", "2024-03-01 10:00:00 +0000"),
        ("Lineitem discount", "0.00"),
    ];
    fields.into_iter().fold(Row::default(), |row, (column, value)| row.with(column, value))
}

pub fn export(rows: &[Row]) -> String {
    export_of(&COLUMNS, rows)
}

/// An export with these columns in this order.
pub fn export_of(columns: &[&str], rows: &[Row]) -> String {
    let mut writer = csv::Writer::from_writer(Vec::new());
    writer.write_record(columns).unwrap();
    for row in rows {
        writer.write_record(columns.iter().map(|column| row.0.get(*column).map_or("", String::as_str))).unwrap();
    }
    String::from_utf8(writer.into_inner().unwrap()).unwrap()
}

/// Orders an hour apart with different totals; the last is the newest.
pub fn orders(count: u32, email: &str) -> Vec<Row> {
    let order_at = |index: u32| {
        let at = format!("2024-{:02}-{:02} {:02}:00:00 +0000", 1 + index / 240, 1 + index / 24 % 10, index % 24);
        let total = format!("{}.05", 10 + index);
        order(&format!("#{}", 5000 + index), email).with("Created at", &at).with("Total", &total)
    };
    (0..count).map(order_at).collect()
}
