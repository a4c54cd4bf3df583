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

/// A cell. A number begins with a digit or a minus sign, which spreadsheet programs read as a number and not as a formula.
pub(super) enum Cell {
    Text(String),
    Number(String),
}

fn text(text: impl Into<String>) -> Cell {
    Cell::Text(text.into())
}

/// The header row.
pub(super) fn names(zone: &Zone, shows_notes: bool) -> Vec<Cell> {
    let name = |name: &str| match name {
        "Placed" => format!("Placed ({})", zone.name()),
        _ => name.to_owned(),
    };
    NAMES.into_iter().chain(shows_notes.then_some("Note")).map(name).map(Cell::Text).collect()
}

/// The row of an order.
pub(super) fn cells(detail: &OrderDetail, zone: &Zone, shop: &Shop) -> Vec<Cell> {
    let (order, details) = (&detail.order, &detail.details);
    let pieces = Summary::new(detail.lines.iter().map(|line| (line.name.as_str(), line.quantity))).piece_count;
    let products = detail.lines.iter().map(|line| format!("{} × {}", line.quantity, line.name)).collect::<Vec<_>>();
    let time = |at: Option<UnixSeconds>| text(at.map(|at| format_time(at, zone)).unwrap_or_default());
    let decimal = |minor: i64| Money::new(minor, order.currency()).to_decimal_string();
    let amount = |minor: Option<i64>| minor.map_or_else(|| text(""), |minor| Cell::Number(decimal(minor)));
    let taxes = details.taxes.iter().map(|tax| format!("{} {}", tax.name, decimal(tax.amount))).collect::<Vec<_>>();
    let cells: [Cell; NAMES.len()] = [
        text(order.name.to_string()),
        text(format_time(order.placed_at, zone)),
        text(order.status.label()),
        text(order.payment_status.as_str()),
        text(order.fulfillment_status.as_str()),
        Cell::Number(pieces.to_string()),
        text(products.join("; ")),
        text(order.currency().code()),
        Cell::Number(order.subtotal.to_decimal_string()),
        Cell::Number(order.shipping.to_decimal_string()),
        Cell::Number(order.taxes.to_decimal_string()),
        Cell::Number(order.discount.to_decimal_string()),
        Cell::Number(order.refunded.to_decimal_string()),
        Cell::Number(order.total.to_decimal_string()),
        text(detail.shop_name(&shop.name).unwrap_or_default()),
        time(order.paid_at),
        time(order.fulfilled_at),
        time(order.cancelled_at),
        text(&*details.shipping_method),
        text(&*details.payment_method),
        text(&*details.discount_code),
        text(taxes.join(", ")),
        amount(details.duties),
        amount(details.tip),
        amount(details.outstanding),
        text(shipping_lines(&detail.address, &details.shipping_province_name).join(", ")),
        text(billing_lines(detail).join(", ")),
        text([details.tracking_company.trim(), details.tracking_number.trim()].join(" ").trim()),
        text(&*details.tracking_url),
    ];
    cells.into_iter().chain(shop.shows_notes.then(|| text(&*details.note))).collect()
}

/// `2024-03-01 11:00`, which spreadsheet programs parse as a time.
fn format_time(at: UnixSeconds, zone: &Zone) -> String {
    let format = format_description!("[year]-[month]-[day] [hour]:[minute]");
    zone.local(at).format(format).unwrap_or_else(|_| at.to_string())
}
