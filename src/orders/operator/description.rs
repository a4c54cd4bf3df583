//! What `orders show` prints: everything that is known about an order.

use super::store::{OperatorOrder, OrderRecord};
use crate::domain::{Money, UnixSeconds};
use crate::orders::cancellation::Cancellation;
use crate::orders::detail::{billing_lines, shipping_lines};
use crate::orders::order::{OrderDetail, OrderLine};
use crate::orders::url::order_url;

/// Terms and values, each one line; unknown ones are left out.
pub fn describe(record: &OrderRecord) -> Vec<(String, String)> {
    let OrderRecord { order, detail, reorders } = record;
    let mut rows: Vec<(String, String)> = Vec::new();
    let mut add = |term: &str, value: String| {
        let value = one_line(&value);
        if !value.is_empty() {
            rows.push((term.to_owned(), value));
        }
    };
    identity(order, detail).into_iter().for_each(|(term, value)| add(term, value));
    states(detail).into_iter().for_each(|(term, value)| add(term, value));
    for (id, at) in reorders {
        add("again", format!("requested {at}; order-portal orders reorders done {id}"));
    }
    for (index, line) in detail.lines.iter().enumerate() {
        add(&format!("line {}", index + 1), line_text(line));
    }
    amounts(detail).into_iter().for_each(|(term, value)| add(term, value));
    delivery(detail).into_iter().for_each(|(term, value)| add(term, value));
    rows
}

/// Text of a file in one line of a terminal.
fn one_line(text: &str) -> String {
    let words: Vec<&str> = text.split(|letter: char| letter.is_control() || letter.is_whitespace()).collect();
    words.into_iter().filter(|word| !word.is_empty()).collect::<Vec<_>>().join(" ")
}

fn identity(order: &OperatorOrder, detail: &OrderDetail) -> Vec<(&'static str, String)> {
    let sample = if order.is_sample() { " (a sample)" } else { "" };
    let no_account = if order.is_sample() { "none" } else { "none; see order-portal user link --help" };
    vec![
        ("order", format!("{}{sample}", order.name)),
        ("shop", order.shop.clone()),
        ("id", order.distinct_id().to_owned()),
        ("page", order_url(&detail.order.number)),
        ("email", order.email.clone().unwrap_or_else(|| "none".to_owned())),
        ("account", order.account.clone().unwrap_or_else(|| no_account.to_owned())),
    ]
}

fn states(detail: &OrderDetail) -> Vec<(&'static str, String)> {
    let order = &detail.order;
    let time = |at: Option<UnixSeconds>| at.map(|at| at.to_string()).unwrap_or_default();
    let request = |text: fn(&Cancellation) -> String| order.cancellation.as_ref().map(text).unwrap_or_default();
    vec![
        ("status", order.status.as_str().to_owned()),
        ("payment", order.payment_status.as_str().to_owned()),
        ("fulfilment", order.fulfillment_status.as_str().to_owned()),
        ("placed", order.placed_at.to_string()),
        ("paid", time(order.paid_at)),
        ("fulfilled", time(order.fulfilled_at)),
        ("cancelled", time(order.cancelled_at)),
        ("asked", request(|request| request.requested_at.to_string())),
        ("reason", request(|request| request.reason.clone())),
        ("answer", request(answer_text)),
        ("repeats", order.reordered_from.as_ref().map(|number| number.as_str().to_owned()).unwrap_or_default()),
    ]
}

/// `declined 2026-01-31T12:30:00Z`
fn answer_text(request: &Cancellation) -> String {
    request.answer.map(|answer| format!("{} {}", answer.verdict.as_str(), answer.at)).unwrap_or_default()
}

/// `2 × Notebook (NB-1) at €12.50, discount €1.00: €24.00, fulfilled`
fn line_text(line: &OrderLine) -> String {
    let sku = if line.sku.is_empty() { String::new() } else { format!(" ({})", line.sku) };
    let discount = if line.discount.is_zero() { String::new() } else { format!(", discount {}", line.discount) };
    let amount = line.amount().map(|amount| format!(": {amount}")).unwrap_or_default();
    let state = if line.fulfillment_status.is_empty() { "" } else { ", " };
    let head = format!("{} × {}{sku} at {}", line.quantity, line.name, line.unit_price);
    format!("{head}{discount}{amount}{state}{}", line.fulfillment_status)
}

fn amounts(detail: &OrderDetail) -> Vec<(&'static str, String)> {
    let (order, details) = (&detail.order, &detail.details);
    let unless_zero = |money: Money| if money.is_zero() { String::new() } else { money.to_string() };
    let known = |minor: Option<i64>| minor.map(|minor| Money::new(minor, order.currency()).to_string());
    let taxes = details.taxes.iter().map(|tax| format!("{} {}", tax.name, Money::new(tax.amount, order.currency())));
    let taxes = taxes.collect::<Vec<_>>().join(", ");
    let taxes = if taxes.is_empty() { String::new() } else { format!(" ({taxes})") };
    vec![
        ("subtotal", order.subtotal.to_string()),
        ("shipping", order.shipping.to_string()),
        ("taxes", format!("{}{taxes}", order.taxes)),
        ("discount", unless_zero(order.discount)),
        ("duties", known(details.duties).unwrap_or_default()),
        ("tip", known(details.tip).unwrap_or_default()),
        (
            "total",
            match order.line_count {
                1 => format!("{} for 1 line", order.total),
                count => format!("{} for {count} lines", order.total),
            },
        ),
        ("refunded", unless_zero(order.refunded)),
        ("outstanding", known(details.outstanding).unwrap_or_default()),
    ]
}

fn delivery(detail: &OrderDetail) -> Vec<(&'static str, String)> {
    let details = &detail.details;
    let tracking = [&details.tracking_company, &details.tracking_number, &details.tracking_url];
    vec![
        ("payment by", details.payment_method.clone()),
        ("discount code", details.discount_code.clone()),
        ("shipping by", details.shipping_method.clone()),
        ("ship to", shipping_lines(&detail.address, &details.shipping_province_name).join(", ")),
        ("bill to", billing_lines(detail).join(", ")),
        ("tracking", tracking.map(|text| text.trim()).join(" ")),
        ("note", details.note.clone()),
    ]
}
