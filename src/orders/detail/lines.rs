//! The lines of an order as the page shows them; a long order in parts.

use super::breakdown::product_lines;
use super::facts::line_state;
use crate::domain::format_count;
use crate::orders::order::{OrderDetail, OrderLine};
use crate::orders::status::OrderStatus;
use crate::orders::url::order_url;

/// Lines on one page.
const LINES_PER_PAGE: usize = 200;

pub(super) struct LineRow {
    pub name: String,
    pub sku: String,
    pub quantity: String,
    pub unit_price: String,
    pub amount: String,
    pub discount: Option<String>,
    pub state: Option<&'static str>,
}

/// The links between the parts of a long order.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct LinePages {
    /// `Lines 1 to 200 of 12,000`.
    pub shown: String,
    pub previous: Option<String>,
    pub next: Option<String>,
}

/// The rows of one part, counted from 1, and the links if there are several. A tip is one of the totals.
pub(super) fn line_rows(detail: &OrderDetail, part: usize) -> (Vec<LineRow>, Option<LinePages>) {
    let lines = product_lines(detail);
    let parts = lines.len().div_ceil(LINES_PER_PAGE).max(1);
    let part = part.clamp(1, parts);
    let first = (part - 1) * LINES_PER_PAGE;
    let shown: Vec<&OrderLine> = lines.iter().copied().skip(first).take(LINES_PER_PAGE).collect();
    let rows = shown.iter().map(|line| line_row(line, detail.order.status)).collect();
    let count = |number: usize| format_count(i64::try_from(number).unwrap_or(i64::MAX));
    let url = |part: usize| format!("{}?lines={part}", order_url(&detail.order.number));
    let pages = (parts > 1).then(|| LinePages {
        shown: format!("Lines {} to {} of {}", count(first + 1), count(first + shown.len()), count(lines.len())),
        previous: (part > 1).then(|| url(part - 1)),
        next: (part < parts).then(|| url(part + 1)),
    });
    (rows, pages)
}

fn line_row(line: &OrderLine, status: OrderStatus) -> LineRow {
    LineRow {
        name: line.name.clone(),
        sku: line.sku.clone(),
        quantity: format_count(line.quantity),
        unit_price: line.unit_price.to_string(),
        amount: line.amount().map(|amount| amount.to_string()).unwrap_or_default(),
        discount: (!line.discount.is_zero()).then(|| line.discount.negated().to_string()),
        state: line_state(line).filter(|_| status == OrderStatus::PartlySent),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::Money;
    use crate::orders::order::tests::order;
    use crate::orders::order::{OrderDetails, ShippingAddress};

    fn detail(count: usize) -> OrderDetail {
        let zero = Money::zero(order("paid", "unfulfilled").currency());
        let line = |index: usize| OrderLine {
            sku: index.to_string(),
            name: "Tea".to_owned(),
            quantity: 1,
            unit_price: zero,
            discount: zero,
            fulfillment_status: String::new(),
        };
        let lines = (0..count).map(line).collect();
        let (address, details) = (ShippingAddress::default(), OrderDetails::default());
        OrderDetail { order: order("paid", "unfulfilled"), lines, address, details, shop: None }
    }

    #[test]
    fn long_order_is_shown_in_parts() {
        let detail = detail(450);
        for (part, first, count, previous, next) in [
            (0, "0", 200, None, Some(2)),
            (2, "200", 200, Some(1), Some(3)),
            (3, "400", 50, Some(2), None),
            (9, "400", 50, Some(2), None),
        ] {
            let (rows, pages) = line_rows(&detail, part);
            let url = |part: i32| format!("/orders/10248?lines={part}");
            assert_eq!((rows[0].sku.as_str(), rows.len()), (first, count));
            let pages = pages.unwrap();
            assert_eq!((pages.previous, pages.next), (previous.map(url), next.map(url)));
        }
        assert_eq!(line_rows(&detail, 2).1.unwrap().shown, "Lines 201 to 400 of 450");
        assert_eq!(line_rows(&self::detail(200), 1).1, None);
        assert!(line_rows(&self::detail(0), 1).0.is_empty());
    }
}
