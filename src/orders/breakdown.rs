//! What an order's total is made of, so that it adds up in front of the customer.
//!
//! Shops differ: a subtotal may be before or after the discount, prices may hold their taxes or not. The export gives the sums alone, so what
//! they say together decides; what no reading explains is shown as what it is.

use super::money::Money;
use super::order::OrderDetail;

/// A row below the lines.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct SumRow {
    pub label: &'static str,
    pub amount: String,
    pub is_total: bool,
}

/// How discount and taxes lie to subtotal and total.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Reading {
    takes_discount: bool,
    adds_taxes: bool,
}

const READINGS: [Reading; 4] = [
    Reading { takes_discount: false, adds_taxes: true },
    Reading { takes_discount: true, adds_taxes: true },
    Reading { takes_discount: false, adds_taxes: false },
    Reading { takes_discount: true, adds_taxes: false },
];

/// Rows that add up from the lines to the total and on to what is left after a refund, and what else there is to say.
pub(super) fn breakdown(found: &OrderDetail) -> (Vec<SumRow>, Vec<String>) {
    let rows = amounts(found);
    let row = |(label, minor): (&'static str, i64)| SumRow {
        label,
        amount: Money::new(minor, found.order.currency()).to_string(),
        is_total: label == "Total",
    };
    (rows.into_iter().map(row).collect(), notes(found))
}

/// The rows in minor units.
fn amounts(found: &OrderDetail) -> Vec<(&'static str, i64)> {
    let order = &found.order;
    let [subtotal, shipping, taxes, discount, total, refunded] =
        [order.subtotal, order.shipping, order.taxes, order.discount, order.total, order.refunded].map(Money::minor);
    let items: i64 = found.lines.iter().fold(0, |sum, line| sum.saturating_add(line.amount().minor()));
    let mut rows = Vec::new();
    if items != subtotal {
        rows.push(("Items", items));
        rows.push((if items > subtotal { "Discount" } else { "Other" }, subtotal - items));
    }
    rows.push(("Subtotal", subtotal));
    let reading = reading(found);
    // Without a reading that explains the total, all there is is shown, and the rest by itself.
    let shown = reading.unwrap_or(Reading { takes_discount: true, adds_taxes: true });
    if shown.takes_discount && discount != 0 {
        rows.push(("Discount", -discount));
    }
    rows.push(("Shipping", shipping));
    if shown.adds_taxes {
        rows.push(("Taxes", taxes));
    }
    if reading.is_none() {
        rows.push(("Other", total - subtotal + discount - shipping - taxes));
    }
    rows.push(("Total", total));
    if refunded != 0 {
        rows.push(("Refunded", -refunded));
        rows.push(("After the refund", total - refunded));
    }
    rows
}

fn reading(found: &OrderDetail) -> Option<Reading> {
    let order = &found.order;
    let explains = |reading: &Reading| {
        let discount = if reading.takes_discount { order.discount.minor() } else { 0 };
        let taxes = if reading.adds_taxes { order.taxes.minor() } else { 0 };
        order.subtotal.minor() - discount + order.shipping.minor() + taxes == order.total.minor()
    };
    READINGS.into_iter().find(explains)
}

fn notes(found: &OrderDetail) -> Vec<String> {
    let order = &found.order;
    let Some(reading) = reading(found) else {
        return Vec::new();
    };
    let mut notes = Vec::new();
    if !reading.takes_discount && !order.discount.is_zero() {
        notes.push(format!("Discounts of {} are taken off already.", order.discount));
    }
    if !reading.adds_taxes && !order.taxes.is_zero() {
        notes.push(format!("Taxes of {} are in the prices.", order.taxes));
    }
    notes
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::orders::order::tests::order;
    use crate::orders::order::{Address, Order, OrderLine};

    fn detail(sums: [i64; 6], lines: &[(i64, i64, i64)]) -> OrderDetail {
        let order = order("paid", "unfulfilled");
        let money = |minor| Money::new(minor, order.currency());
        let [subtotal, shipping, taxes, discount, total, refunded] = sums.map(money);
        let line = |(quantity, price, discount): &(i64, i64, i64)| OrderLine {
            sku: String::new(),
            name: "Tea".to_owned(),
            quantity: *quantity,
            unit_price: money(*price),
            discount: money(*discount),
        };
        let lines = lines.iter().map(line).collect();
        let order = Order { subtotal, shipping, taxes, discount, total, refunded, ..order };
        OrderDetail { order, lines, address: Address::default() }
    }

    fn labels(found: &OrderDetail) -> Vec<&'static str> {
        amounts(found).into_iter().map(|(label, _)| label).collect()
    }

    #[test]
    fn a_discount_that_the_subtotal_knows_is_not_taken_off_twice() {
        let found = detail([900, 100, 0, 100, 1000, 0], &[(1, 1000, 100)]);
        assert_eq!(labels(&found), ["Subtotal", "Shipping", "Taxes", "Total"]);
        assert_eq!(notes(&found), ["Discounts of $1.00 are taken off already."]);
    }

    #[test]
    fn a_discount_on_the_order_is_taken_off() {
        let found = detail([1000, 100, 0, 200, 900, 0], &[(1, 1000, 0)]);
        assert_eq!(labels(&found), ["Subtotal", "Discount", "Shipping", "Taxes", "Total"]);
    }

    #[test]
    fn taxes_within_the_prices_are_said_and_not_added() {
        let found = detail([1000, 100, 160, 0, 1100, 0], &[(1, 1000, 0)]);
        assert_eq!(labels(&found), ["Subtotal", "Shipping", "Total"]);
        assert_eq!(notes(&found), ["Taxes of $1.60 are in the prices."]);
    }

    #[test]
    fn after_a_refund_what_is_left_is_shown() {
        let found = detail([1000, 0, 0, 0, 1000, 400], &[(1, 1000, 0)]);
        assert_eq!(amounts(&found)[3..], [("Total", 1000), ("Refunded", -400), ("After the refund", 600)]);
    }

    proptest! {
        #[test]
        fn whatever_a_shop_exports_the_rows_add_up(
            sums in prop::array::uniform6(0..1_000_000_i64),
            lines in prop::collection::vec((1..50_i64, 0..100_000_i64, 0..1_000_i64), 1..6),
        ) {
            let found = detail(sums, &lines);
            let (mut sum, mut checked) = (found.lines.iter().map(|line| line.amount().minor()).sum::<i64>(), 0);
            for (label, minor) in amounts(&found) {
                match label {
                    "Items" | "Subtotal" | "Total" | "After the refund" => {
                        prop_assert_eq!(sum, minor, "{}", label);
                        checked += 1;
                    }
                    _ => sum += minor,
                }
            }
            prop_assert!(checked >= 2);
        }
    }
}
