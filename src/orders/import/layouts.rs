//! Names the program that wrote a file which is not an order export with the needed columns.

/// A layout, the columns by which it is recognized, and what to do.
struct Layout {
    name: &'static str,
    markers: &'static [&'static str],
    advice: &'static str,
}

const EXPORT_ORDERS: &str = "in Shopify, open Orders and choose Export";
const MAP: &str = "map its columns with --column OURS=THEIRS";

const LAYOUTS: [Layout; 16] = [
    layout("Shopify's export of customers", &["first name", "last name", "total spent", "total orders"], EXPORT_ORDERS),
    layout("Shopify's export of products", &["handle", "title", "variant sku"], EXPORT_ORDERS),
    layout("Shopify's export of products", &["handle", "title", "variant price"], EXPORT_ORDERS),
    layout("Shopify's export of transactions", &["order", "kind", "gateway", "amount"], EXPORT_ORDERS),
    layout("Shopify's export of payouts", &["transaction date", "type", "order", "payout status"], EXPORT_ORDERS),
    layout("Shopify's export of discount codes", &["code", "times used in total"], EXPORT_ORDERS),
    layout("WooCommerce's order report", &["order #", "product(s)", "customer type"], "use its order export plugin"),
    layout("WooCommerce's order export", &["order number", "order status", "order total amount"], MAP),
    layout("a Matrixify export", &["command", "line: type"], MAP),
    layout("a Magento export", &["purchase point", "purchase date", "bill-to name"], MAP),
    layout("a BigCommerce export", &["order id", "order status", "product details"], MAP),
    layout("an Etsy export", &["sale date", "transaction id", "listing id"], MAP),
    layout("an Amazon export", &["amazon-order-id", "purchase-date"], MAP),
    layout("an eBay export", &["sales record number", "buyer username"], MAP),
    layout("a Wix export", &["order number", "date created", "contact email"], MAP),
    layout(
        "a Stripe export",
        &["id", "created date (utc)", "amount refunded"],
        "export the orders of the shop instead",
    ),
];

const fn layout(name: &'static str, markers: &'static [&'static str], advice: &'static str) -> Layout {
    Layout { name, markers, advice }
}

/// The message about a file without some of the needed columns; `names` in lower case.
pub(super) fn missing_columns(names: &[String], missing: &[&str], found: &str) -> String {
    let is_in_file = |marker: &&str| names.iter().any(|name| name == marker);
    let known = LAYOUTS.iter().find(|layout| layout.markers.iter().all(is_in_file));
    let (what, advice) = match known {
        Some(layout) => (format!("it looks like {}: ", layout.name), layout.advice),
        None => (String::new(), "export the orders again with all columns, or map them with --column OURS=THEIRS"),
    };
    let noun = if missing.len() == 1 { "column" } else { "columns" };
    let is_currency_missing = missing.contains(&"Currency");
    let currency = if is_currency_missing { " (--column Currency=EUR sets it for all orders)" } else { "" };
    let missing: Vec<String> = missing.iter().map(|name| format!("\"{name}\"")).collect();
    format!(
        "{what}the {noun} {} missing; {found}; {advice}{currency}; order-portal import --help has a sample",
        match missing.as_slice() {
            [one] => format!("{one} is"),
            several => format!("{} are", several.join(", ")),
        },
    )
}
