//! Names the program that wrote a file which is not an order export with the needed columns.

use super::columns::{Column, is_known_name, normalize};
use crate::domain::Email;

/// A layout, the columns by which it is recognized, and what to do.
struct Layout {
    name: &'static str,
    markers: &'static [&'static str],
    advice: &'static str,
}

const EXPORT_ORDERS: &str = "in Shopify, open Orders and choose Export";
const MAP: &str = "map its columns with --column OURS=THEIRS";
const ORDERS_OF_SHOP: &str = "export the orders of the shop instead";

const LAYOUTS: [Layout; 34] = [
    layout("Shopify's export of customers", &["first name", "last name", "total spent", "total orders"], EXPORT_ORDERS),
    layout("Shopify's export of products", &["handle", "title", "variant sku"], EXPORT_ORDERS),
    layout("Shopify's export of products", &["handle", "title", "variant price"], EXPORT_ORDERS),
    layout("Shopify's export of products", &["title", "url handle"], EXPORT_ORDERS),
    layout("Shopify's export of the inventory", &["handle", "title", "location", "on hand"], EXPORT_ORDERS),
    layout("Shopify's export of transactions", &["order", "kind", "gateway", "amount"], EXPORT_ORDERS),
    layout("Shopify's export of payouts", &["transaction date", "type", "order", "payout status"], EXPORT_ORDERS),
    layout("Shopify's export of payouts", &["payout date", "charges", "refunds"], EXPORT_ORDERS),
    layout("Shopify's export of discount codes", &["code", "times used in total"], EXPORT_ORDERS),
    layout("Shopify's export of gift cards", &["last characters", "initial balance"], EXPORT_ORDERS),
    layout("a report of Shopify", &["gross sales", "net sales"], EXPORT_ORDERS),
    layout("Shopify's export of abandoned checkouts", &["lineitem name", "recovery status"], EXPORT_ORDERS),
    layout("WooCommerce's order report", &["order #", "product(s)", "customer type"], "use its order export plugin"),
    layout("WooCommerce's customer report", &["username", "last active", "aov"], "use its order export plugin"),
    layout("WooCommerce's order export", &["order number", "order status", "order total amount"], MAP),
    layout("a Matrixify export", &["command", "line: type"], MAP),
    layout("a Magento export", &["purchase point", "purchase date", "bill-to name"], MAP),
    layout("a Magento export", &["order #", "purchased on", "bill to name"], MAP),
    layout("a BigCommerce export", &["order id", "order status", "product details"], MAP),
    layout("an Etsy export", &["sale date", "transaction id", "listing id"], MAP),
    layout("an Etsy export", &["sale date", "order id", "order net"], MAP),
    layout("an Amazon export", &["amazon-order-id", "purchase-date"], MAP),
    layout("an Amazon export", &["order-id", "purchase-date", "order-item-id"], MAP),
    layout("an Amazon settlement report", &["settlement id", "order id"], ORDERS_OF_SHOP),
    layout("an eBay export", &["sales record number", "buyer username"], MAP),
    layout("a Wix export", &["order number", "date created", "contact email"], MAP),
    layout("a PrestaShop export", &["id", "reference", "new client", "payment"], MAP),
    layout("a PrestaShop export", &["id", "reference", "customer", "total", "payment"], MAP),
    layout("a Shopware export", &["order number", "order date time"], MAP),
    layout("an Ecwid export", &["order number", "order date", "payment status", "fulfillment status"], MAP),
    layout("a Square export", &["order", "order name", "fulfillment type", "recipient name"], MAP),
    layout("a PayPal report", &["transaction id", "gross", "fee", "net"], ORDERS_OF_SHOP),
    layout("a Stripe export", &["id", "created date (utc)", "amount refunded"], ORDERS_OF_SHOP),
    layout("Shopify's export of draft orders", &["lineitem name", "lineitem price", "created at"], EXPORT_ORDERS),
];

const fn layout(name: &'static str, markers: &'static [&'static str], advice: &'static str) -> Layout {
    Layout { name, markers, advice }
}

/// Columns that every export of orders has, unlike that of drafts.
const STATES: [&str; 2] = ["Financial Status", "Fulfillment Status"];

impl Layout {
    fn matches(&self, names: &[String], missing: &[&str]) -> bool {
        let has_all = self.markers.iter().all(|marker| names.contains(&normalize(marker)));
        let is_of_drafts = self.name.ends_with("draft orders");
        has_all && (!is_of_drafts || STATES.iter().all(|state| missing.contains(state)))
    }
}

/// The message about a file without some of the needed columns; `names` as [`normalize`] returns them.
pub(super) fn missing_columns(names: &[String], missing: &[&str], found: &str) -> String {
    let known = LAYOUTS.iter().find(|layout| layout.matches(names, missing));
    let (what, advice) = match known {
        Some(layout) => (format!("it looks like {}: ", layout.name), layout.advice),
        None if is_quoted_as_a_whole(names) => {
            ("each row is one quoted cell, as some programs save it: ".to_owned(), "export the orders again")
        }
        None if has_other_separator(names) => (
            "its cells are separated by something else than commas, semicolons, tabs or |: ".to_owned(),
            "save it with commas, or name the character in a first line like sep=^",
        ),
        None if is_row_of_values(names) => (
            "its first row has values of an order where the names of the columns should be: ".to_owned(),
            "export the orders again, with the row of column names",
        ),
        None => (String::new(), "export the orders again with all columns, or map them with --column OURS=THEIRS"),
    };
    let noun = if missing.len() == 1 { "column" } else { "columns" };
    let is_mapped = advice.contains("--column") && missing.contains(&"Currency");
    let currency = if is_mapped { " (--column Currency=EUR sets it for all orders)" } else { "" };
    let missing: Vec<String> = missing.iter().map(|name| format!("\"{name}\"")).collect();
    format!(
        "{what}the {noun} {} missing; {found}; {advice}{currency}; order-portal import --help has a sample",
        match missing.as_slice() {
            [one] => format!("{one} is"),
            several => format!("{} are", several.join(", ")),
        },
    )
}

/// Whether the only name has many names in it.
fn has_other_separator(names: &[String]) -> bool {
    let required = || Column::required().map(|column| normalize(column.name()));
    matches!(names, [only] if required().filter(|name| only.contains(name.as_str())).count() >= 5)
}

/// Whether no cell is the name of a column and one is an email address or an order number.
fn is_row_of_values(names: &[String]) -> bool {
    let is_value = |name: &String| {
        let number = name.strip_prefix('#').unwrap_or_default();
        Email::parse(name).is_ok() || (!number.is_empty() && number.bytes().all(|byte| byte.is_ascii_digit()))
    };
    names.iter().any(is_value) && !names.iter().any(|name| is_known_name(name))
}

/// Whether the only name is a list of names.
fn is_quoted_as_a_whole(names: &[String]) -> bool {
    matches!(names, [only] if only.split([',', ';', '\t']).filter(|name| is_known_name(name)).count() >= 5)
}
