//! The rows below an order's lines, from the items to the total, so that they add up for the reader.
//!
//! Shops differ: a subtotal may be before or after the discount, prices may include taxes or not. The export contains only the amounts,
//! so the convention is the one under which they add up, with the duties and the tip that the export names. Without such a convention,
//! the difference is shown as a row "Other".

use crate::domain::Money;
use crate::orders::order::{Order, OrderDetail, OrderLine};
use crate::orders::status::PaymentStatus;

/// Shopify's name of the line that is a tip; the subtotal does not contain it.
const TIP_LINE: &str = "Tip";

/// A row below the lines.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct TotalRow {
    pub label: &'static str,
    pub amount: String,
    pub is_total: bool,
}

/// How a shop computes the total from the subtotal.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct TotalsConvention {
    subtracts_discount: bool,
    adds_taxes: bool,
}

impl TotalsConvention {
    /// In order of preference.
    const ALL: [Self; 4] = [
        Self { subtracts_discount: false, adds_taxes: true },
        Self { subtracts_discount: true, adds_taxes: true },
        Self { subtracts_discount: false, adds_taxes: false },
        Self { subtracts_discount: true, adds_taxes: false },
    ];

    /// The first convention under which the amounts of the order add up.
    fn of(detail: &OrderDetail) -> Option<Self> {
        Self::ALL.into_iter().find(|convention| convention.total(detail) == Some(detail.order.total))
    }

    fn total(self, detail: &OrderDetail) -> Option<Money> {
        let order = &detail.order;
        let zero = Money::zero(order.currency());
        let discount = if self.subtracts_discount { order.discount } else { zero };
        let taxes = if self.adds_taxes { order.taxes } else { zero };
        let total = order.subtotal.checked_sub(discount)?.checked_add(order.shipping)?.checked_add(taxes)?;
        total.checked_add(duties(detail))?.checked_add(tip(detail))
    }
}

fn duties(detail: &OrderDetail) -> Money {
    Money::new(detail.details.duties.unwrap_or(0), detail.order.currency())
}

/// The tip of the export's column, else that of lines which the subtotal leaves out.
fn tip(detail: &OrderDetail) -> Money {
    let of_lines = || Money::checked_sum(detail.order.currency(), tip_lines(detail).filter_map(OrderLine::amount));
    match detail.details.tip {
        Some(minor) => Money::new(minor, detail.order.currency()),
        None => of_lines().unwrap_or_else(|| Money::zero(detail.order.currency())),
    }
}

/// The lines without tips.
pub(in crate::orders) fn product_lines(detail: &OrderDetail) -> Vec<&OrderLine> {
    let tips: Vec<&OrderLine> = tip_lines(detail).collect();
    let is_tip = |line: &OrderLine| tips.iter().any(|tip| std::ptr::eq(*tip, line));
    detail.lines.iter().filter(|line| !is_tip(line)).collect()
}

/// The lines that are a tip: those of that name, if the other lines alone make the subtotal.
fn tip_lines(detail: &OrderDetail) -> impl Iterator<Item = &OrderLine> {
    let is_tip = |line: &&OrderLine| line.name.trim() == TIP_LINE;
    let others = detail.lines.iter().filter(move |line| !is_tip(line)).map(OrderLine::amount);
    let others: Option<Vec<Money>> = others.collect();
    let others = others.and_then(|amounts| Money::checked_sum(detail.order.currency(), amounts));
    let has_tip = detail.details.tip.is_none() && others == Some(detail.order.subtotal);
    detail.lines.iter().filter(move |line| has_tip && is_tip(line))
}

/// The rows, and notes about amounts that are included in others.
pub(super) fn breakdown(detail: &OrderDetail) -> (Vec<TotalRow>, Vec<String>) {
    let order = &detail.order;
    let convention = TotalsConvention::of(detail);
    // Amounts too large to be added, which an import never writes: the total alone.
    let amounts = amounts(detail, convention).unwrap_or_else(|| vec![("Total", order.total)]);
    let row = |(label, amount): (&'static str, Money)| TotalRow {
        label,
        amount: amount.to_string(),
        is_total: label == "Total",
    };
    (amounts.into_iter().map(row).collect(), convention.map(|convention| notes(order, convention)).unwrap_or_default())
}

/// The rows; `None` when an amount overflows.
fn amounts(detail: &OrderDetail, convention: Option<TotalsConvention>) -> Option<Vec<(&'static str, Money)>> {
    let order = &detail.order;
    let lines: Vec<Money> = detail.lines.iter().map(OrderLine::amount).collect::<Option<_>>()?;
    let tips = Money::checked_sum(order.currency(), tip_lines(detail).filter_map(OrderLine::amount))?;
    let items = Money::checked_sum(order.currency(), lines)?.checked_sub(tips)?;
    let mut rows = Vec::new();
    if items != order.subtotal {
        let difference = order.subtotal.checked_sub(items)?;
        rows.push(("Items", items));
        rows.push((if difference.minor() < 0 { "Discount" } else { "Other" }, difference));
    }
    rows.push(("Subtotal", order.subtotal));
    // Without a convention, all amounts are shown.
    let shown = convention.unwrap_or(TotalsConvention { subtracts_discount: true, adds_taxes: true });
    if shown.subtracts_discount && !order.discount.is_zero() {
        rows.push(("Discount", order.discount.negated()));
    }
    rows.push(("Shipping", order.shipping));
    if shown.adds_taxes {
        rows.push(("Taxes", order.taxes));
    }
    rows.extend([("Duties", duties(detail)), ("Tip", tip(detail))].into_iter().filter(|(_, amount)| !amount.is_zero()));
    if convention.is_none() {
        rows.push(("Other", order.total.checked_sub(shown.total(detail)?)?));
    }
    rows.push(("Total", order.total));
    if !order.refunded.is_zero() {
        rows.push(("Refunded", order.refunded.negated()));
        // A refund may be larger than the total: the shop paid something back besides.
        let rest = order.total.checked_sub(order.refunded)?;
        rows.extend((rest.minor() >= 0).then_some(("Total after refund", rest)));
    }
    let outstanding = detail.details.outstanding.filter(|minor| *minor > 0 && is_payable(order.payment_status));
    rows.extend(outstanding.map(|minor| ("Amount due", Money::new(minor, order.currency()))));
    Some(rows)
}

/// Whether the customer may still owe something.
fn is_payable(status: PaymentStatus) -> bool {
    use PaymentStatus as P;
    matches!(status, P::Authorized | P::PartiallyPaid | P::Pending | P::Unpaid)
}

fn notes(order: &Order, convention: TotalsConvention) -> Vec<String> {
    let mut notes = Vec::new();
    if !convention.subtracts_discount && !order.discount.is_zero() {
        notes.push(format!("Includes discounts of {}.", order.discount));
    }
    if !convention.adds_taxes && !order.taxes.is_zero() {
        notes.push(format!("Includes taxes of {}.", order.taxes));
    }
    notes
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::orders::order::tests::order;
    use crate::orders::order::{OrderDetails, ShippingAddress};

    /// Subtotal, shipping, taxes, discount, total, refund; quantity, price and discount of each line.
    fn detail(amounts: [i64; 6], lines: &[(i64, i64, i64)]) -> OrderDetail {
        let order = order("paid", "unfulfilled");
        let money = |minor| Money::new(minor, order.currency());
        let [subtotal, shipping, taxes, discount, total, refunded] = amounts.map(money);
        let line = |(quantity, price, discount): &(i64, i64, i64)| OrderLine {
            sku: String::new(),
            name: "Tea".to_owned(),
            quantity: *quantity,
            unit_price: money(*price),
            discount: money(*discount),
            fulfillment_status: String::new(),
        };
        let lines = lines.iter().map(line).collect();
        let order = Order { subtotal, shipping, taxes, discount, total, refunded, ..order };
        OrderDetail { order, lines, address: ShippingAddress::default(), details: OrderDetails::default(), shop: None }
    }

    fn rows(detail: &OrderDetail) -> Vec<(&'static str, i64)> {
        let rows = amounts(detail, TotalsConvention::of(detail)).unwrap();
        rows.into_iter().map(|(label, amount)| (label, amount.minor())).collect()
    }

    fn labels(detail: &OrderDetail) -> Vec<&'static str> {
        rows(detail).into_iter().map(|(label, _)| label).collect()
    }

    #[test]
    fn discount_included_in_the_subtotal_is_not_subtracted_again() {
        let detail = detail([900, 100, 0, 100, 1000, 0], &[(1, 1000, 100)]);
        assert_eq!(labels(&detail), ["Subtotal", "Shipping", "Taxes", "Total"]);
        assert_eq!(breakdown(&detail).1, ["Includes discounts of $1.00."]);
    }

    #[test]
    fn discount_on_the_order_is_subtracted() {
        let detail = detail([1000, 100, 0, 200, 900, 0], &[(1, 1000, 0)]);
        assert_eq!(labels(&detail), ["Subtotal", "Discount", "Shipping", "Taxes", "Total"]);
    }

    #[test]
    fn taxes_included_in_the_prices_are_a_note() {
        let detail = detail([1000, 100, 160, 0, 1100, 0], &[(1, 1000, 0)]);
        assert_eq!(labels(&detail), ["Subtotal", "Shipping", "Total"]);
        assert_eq!(breakdown(&detail).1, ["Includes taxes of $1.60."]);
    }

    #[test]
    fn refund_is_subtracted_below_the_total() {
        let detail = detail([1000, 0, 0, 0, 1000, 400], &[(1, 1000, 0)]);
        assert_eq!(rows(&detail)[3..], [("Total", 1000), ("Refunded", -400), ("Total after refund", 600)]);
    }

    #[test]
    fn duties_and_tip_of_the_export_add_up_with_taxes_in_the_prices() {
        let mut duties = detail([2000, 500, 399, 0, 3100, 0], &[(2, 1000, 0)]);
        duties.details.duties = Some(600);
        assert_eq!(labels(&duties), ["Subtotal", "Shipping", "Duties", "Total"]);
        let mut tip = detail([2000, 500, 399, 0, 2800, 0], &[(2, 1000, 0), (1, 300, 0)]);
        tip.lines[1].name = "Tip".to_owned();
        assert_eq!(labels(&tip), ["Subtotal", "Shipping", "Tip", "Total"]);
        assert_eq!(breakdown(&tip).1, ["Includes taxes of $3.99."]);
    }

    #[test]
    fn refund_above_the_total_leaves_nothing() {
        let detail = detail([2500, 0, 0, 0, 2500, 2537], &[(1, 2500, 0)]);
        assert_eq!(rows(&detail).last(), Some(&("Refunded", -2537)));
    }

    #[test]
    fn part_paid_order_shows_what_is_owed() {
        let mut detail = detail([2500, 0, 0, 0, 2500, 0], &[(1, 2500, 0)]);
        detail.details.outstanding = Some(1000);
        assert_eq!(labels(&detail).last(), Some(&"Total"), "paid");
        detail.order.payment_status = PaymentStatus::PartiallyPaid;
        assert_eq!(rows(&detail).last(), Some(&("Amount due", 1000)));
    }

    #[test]
    fn overflow_shows_the_total_alone() {
        let detail = detail([1000, 0, 0, 0, 1000, 0], &[(2, i64::MAX, 0)]);
        let (rows, notes) = breakdown(&detail);
        assert_eq!(rows, [TotalRow { label: "Total", amount: "$10.00".to_owned(), is_total: true }]);
        assert!(notes.is_empty());
    }

    proptest! {
        #[test]
        fn rows_add_up_for_any_amounts(
            amounts in prop::array::uniform6(0..1_000_000_i64),
            lines in prop::collection::vec((1..50_i64, 0..100_000_i64, 0..1_000_i64), 1..6),
        ) {
            let detail = detail(amounts, &lines);
            let mut sum = lines.iter().map(|(quantity, price, discount)| quantity * price - discount).sum::<i64>();
            let mut checked = 0;
            for (label, minor) in rows(&detail) {
                match label {
                    "Items" | "Subtotal" | "Total" | "Total after refund" => {
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
