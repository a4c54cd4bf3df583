//! The totals of a filtered list: number of orders, sums by currency and month.

use std::collections::BTreeMap;

use time::Date;

use super::filter::Filter;
use super::store::totals::{self, MonthTotal};
use crate::database::{Error, Transaction};
use crate::domain::{Money, Zone};
use crate::orders::monthly_totals::{MonthNumber, months};

/// Months on a chart.
const MAX_CHART_MONTHS: i64 = 36;
const MIN_CHART_MONTHS: i64 = 6;

/// What the list page shows about all orders that match.
#[derive(Debug)]
pub(super) struct Found {
    /// The version of the customer's orders, see `monthly_totals`.
    pub version: i64,
    pub has_several_shops: bool,
    /// `None` when the customer has no orders at all.
    pub totals: Option<OrderTotals>,
}

/// The totals of the orders that match a filter.
#[derive(Debug, Default)]
pub(super) struct OrderTotals {
    pub order_count: i64,
    /// Sorted by code.
    pub currencies: Vec<CurrencyTotals>,
}

/// The totals in one currency.
#[derive(Debug)]
pub(super) struct CurrencyTotals {
    pub total: Money,
    /// The total without cancelled orders and refunds.
    pub spent: Money,
    /// The months of the chart, without gaps, the latest last.
    pub months: Vec<ChartMonth>,
    /// Whether there are orders before the first of these months.
    pub has_earlier: bool,
}

#[derive(Clone, Copy, Debug)]
pub(super) struct ChartMonth {
    pub first_day: Date,
    pub order_count: i64,
    pub spent: Money,
}

/// Totals the user's orders that match the filter, from the stored totals of whole months if possible.
pub(super) async fn find_totals(
    snapshot: &mut Transaction,
    user_id: &str,
    filter: &Filter,
    zone: &Zone,
) -> Result<Found, Error> {
    let range = filter.month_range(zone);
    let stored = totals::find_stored(snapshot, user_id, filter, range).await?;
    let totals = if !stored.has_orders {
        None
    } else if range.is_some() && stored.zone == zone.name() {
        Some(group_by_currency(&stored.months))
    } else {
        Some(group_by_currency(&total_orders(snapshot, user_id, filter, zone).await?))
    };
    Ok(Found { version: stored.version, has_several_shops: stored.has_several_shops, totals })
}

/// Totals the orders themselves.
async fn total_orders(
    snapshot: &mut Transaction,
    user_id: &str,
    filter: &Filter,
    zone: &Zone,
) -> Result<Vec<MonthTotal>, Error> {
    let Some((first, last)) = totals::find_first_and_last(snapshot, user_id).await? else {
        return Ok(Vec::new());
    };
    let first = filter.placed_from.map_or(first, |from| first.max(from));
    let last = filter.placed_before.map_or(last, |before| last.min(before.plus(-1)));
    totals::total_months(snapshot, user_id, filter, &months(zone, first, last)).await
}

pub(super) fn group_by_currency(totals: &[MonthTotal]) -> OrderTotals {
    let mut by_currency: BTreeMap<&'static str, BTreeMap<MonthNumber, MonthTotal>> = BTreeMap::new();
    for total in totals {
        by_currency.entry(total.total.currency().code()).or_default().insert(total.month, *total);
    }
    let earliest = totals.iter().map(|total| total.month).min().unwrap_or(MonthNumber(0));
    let currencies = by_currency.into_values().filter_map(|totals| currency_totals(&totals, earliest)).collect();
    OrderTotals { order_count: totals.iter().map(|total| total.order_count).sum(), currencies }
}

/// The totals of one currency, from its totals by month. Its chart does not begin before the earliest month of all currencies.
fn currency_totals(totals: &BTreeMap<MonthNumber, MonthTotal>, earliest: MonthNumber) -> Option<CurrencyTotals> {
    let ((first, any), (last, _)) = (totals.first_key_value()?, totals.last_key_value()?);
    let currency = any.total.currency();
    let total = Money::checked_sum(currency, totals.values().map(|total| total.total))?;
    let spent = Money::checked_sum(currency, totals.values().map(|total| total.spent))?;
    let length = (last.0 - first.0 + 1).clamp(MIN_CHART_MONTHS, MAX_CHART_MONTHS);
    let from = (last.0 - length + 1).max(earliest.0);
    let month = |number: i64| {
        let total = totals.get(&MonthNumber(number));
        Some(ChartMonth {
            first_day: MonthNumber(number).first_day()?,
            order_count: total.map_or(0, |total| total.order_count),
            spent: total.map_or(Money::zero(currency), |total| total.spent),
        })
    };
    Some(CurrencyTotals {
        total,
        spent,
        months: (from..=last.0).filter_map(month).collect(),
        has_earlier: first.0 < from,
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::Currency;

    #[test]
    fn chart_months_have_no_gaps_and_add_up_to_the_total() {
        let currency = Currency::parse("EUR").unwrap();
        let money = |minor| Money::new(minor, currency);
        let total = |month: i64, minor| MonthTotal {
            month: MonthNumber(2020 * 12 + month),
            order_count: 2,
            total: money(minor + 7),
            spent: money(minor),
        };
        let totals = group_by_currency(&[total(1, 100), total(9, 250)]);
        let shown = &totals.currencies[0];
        assert_eq!((totals.order_count, shown.months.len(), shown.has_earlier), (4, 9, false));
        assert_eq!((shown.total, shown.spent), (money(364), money(350)));
        assert_eq!(Money::checked_sum(currency, shown.months.iter().map(|month| month.spent)), Some(money(350)));
        let long = group_by_currency(&[total(0, 1), total(40, 2)]);
        assert_eq!((long.currencies[0].months.len(), long.currencies[0].has_earlier), (36, true));
    }
}
