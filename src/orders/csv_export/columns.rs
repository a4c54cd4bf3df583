//! The columns of the spreadsheet: what the list and the page of an order show.

use time::macros::format_description;

use crate::config::Shop;
use crate::domain::{Money, UnixSeconds, Zone};
use crate::orders::detail::{billing_lines, shipping_lines};
use crate::orders::order::OrderDetail;
use crate::orders::summary::Summary;

/// Further columns come last: programs that read the file may count them.
const NAMES: [&str; 29] = [
    "Order",
    "Placed",
    "Status",
    "Payment",
    "Fulfilment",
    "Items",
    "Products",
    "Currency",
    "Subtotal",
    "Shipping",
    "Taxes",
    "Discount",
    "Refunded",
    "Total",
    "Shop",
    "Paid",
    "Sent",
    "Cancelled",
    "Shipping method",
    "Payment method",
    "Discount code",
    "Taxes by name",
    "Duties",
    "Tip",
    "Still to pay",
    "Shipping address",
    "Billing address",
    "Tracking",
    "Tracking link",
];

/// The header row.
pub(super) fn names(zone: &Zone, shows_notes: bool) -> Vec<String> {
    let name = |name: &str| match name {
        "Placed" => format!("Placed ({})", zone.name()),
        _ => name.to_owned(),
    };
    NAMES.into_iter().chain(shows_notes.then_some("Note")).map(name).collect()
}

/// The row of an order.
pub(super) fn cells(detail: &OrderDetail, zone: &Zone, shop: &Shop) -> Vec<String> {
    let (order, details) = (&detail.order, &detail.details);
    let pieces = Summary::new(detail.lines.iter().map(|line| (line.name.as_str(), line.quantity))).piece_count;
    let products = detail.lines.iter().map(|line| format!("{} × {}", line.quantity, line.name)).collect::<Vec<_>>();
    let time = |at: Option<UnixSeconds>| at.map(|at| format_time(at, zone)).unwrap_or_default();
    let decimal = |minor: i64| Money::new(minor, order.currency()).to_decimal_string();
    let taxes = details.taxes.iter().map(|tax| format!("{} {}", tax.name, decimal(tax.amount))).collect::<Vec<_>>();
    let cells: [String; NAMES.len()] = [
        order.name.to_string(),
        format_time(order.placed_at, zone),
        order.status.label().to_owned(),
        order.payment_status.as_str().to_owned(),
        order.fulfillment_status.as_str().to_owned(),
        pieces.to_string(),
        products.join("; "),
        order.currency().code().to_owned(),
        order.subtotal.to_decimal_string(),
        order.shipping.to_decimal_string(),
        order.taxes.to_decimal_string(),
        order.discount.to_decimal_string(),
        order.refunded.to_decimal_string(),
        order.total.to_decimal_string(),
        detail.shop_name(&shop.name).unwrap_or_default().to_owned(),
        time(order.paid_at),
        time(order.fulfilled_at),
        time(order.cancelled_at),
        details.shipping_method.clone(),
        details.payment_method.clone(),
        details.discount_code.clone(),
        taxes.join(", "),
        details.duties.map(decimal).unwrap_or_default(),
        details.tip.map(decimal).unwrap_or_default(),
        details.outstanding.map(decimal).unwrap_or_default(),
        shipping_lines(&detail.address, &details.shipping_province_name).join(", "),
        billing_lines(detail).join(", "),
        [details.tracking_company.trim(), details.tracking_number.trim()].join(" ").trim().to_owned(),
        details.tracking_url.clone(),
    ];
    cells.into_iter().chain(shop.shows_notes.then(|| details.note.clone())).collect()
}

/// `2024-03-01 11:00`, which spreadsheet programs parse as a time.
fn format_time(at: UnixSeconds, zone: &Zone) -> String {
    let format = format_description!("[year]-[month]-[day] [hour]:[minute]");
    zone.local(at).format(format).unwrap_or_else(|_| at.to_string())
}
