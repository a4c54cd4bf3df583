//! The totals of a filtered list: number of orders, sums by currency and month.

use std::collections::BTreeMap;

use time::{Date, Month as CalendarMonth};

use super::filter::Filter;
use super::store::{self, Span, SpanTotal};
use crate::database::{Error, Transaction};
use crate::domain::{Money, UnixSeconds, Zone, next_month};

/// The earliest month is at most so many months back; all orders before it count in it.
const MAX_MONTHS: i32 = 1_200;
/// Months on a chart.
const MAX_CHART_MONTHS: usize = 36;
const MIN_CHART_MONTHS: usize = 6;

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
    pub months: Vec<MonthTotal>,
    /// Whether there are orders before the first of these months.
    pub has_earlier: bool,
}

#[derive(Clone, Copy, Debug)]
pub(super) struct MonthTotal {
    pub first_day: Date,
    pub order_count: i64,
    pub spent: Money,
}

#[derive(Clone, Copy, Debug)]
struct Month {
    first_day: Date,
    span: Span,
}

/// Totals the user's orders that match the filter; `None` when the user has no orders at all.
pub(super) async fn find_totals(
    snapshot: &mut Transaction,
    user_id: &str,
    filter: &Filter,
    zone: &Zone,
) -> Result<Option<OrderTotals>, Error> {
    let Some((first, last)) = store::find_first_and_last(snapshot, user_id).await? else {
        return Ok(None);
    };
    let first = filter.placed_from.map_or(first, |from| first.max(from));
    let last = filter.placed_before.map_or(last, |before| last.min(before.plus(-1)));
    let months = months(zone, first, last);
    // Usually the chart's months suffice. They do not when a currency has no order in the last month: its chart reaches farther back.
    if !filter.filters_rows()
        && let Some(merged) = merge_earlier_months(&months)
    {
        let totals = total_months(snapshot, user_id, filter, &merged).await?;
        if all_reach_last_month(&merged, &totals) {
            return Ok(Some(group_by_currency(&merged, &totals)));
        }
    }
    let totals = total_months(snapshot, user_id, filter, &months).await?;
    Ok(Some(group_by_currency(&months, &totals)))
}

async fn total_months(
    snapshot: &mut Transaction,
    user_id: &str,
    filter: &Filter,
    months: &[Month],
) -> Result<Vec<SpanTotal>, Error> {
    let spans: Vec<Span> = months.iter().map(|month| month.span).collect();
    store::total_spans(snapshot, user_id, filter, &spans).await
}

/// The months of a chart, preceded by one span for all earlier months; `None` when there are no earlier months.
fn merge_earlier_months(months: &[Month]) -> Option<Vec<Month>> {
    let (earlier, charted) = months.split_at_checked(months.len().checked_sub(MAX_CHART_MONTHS)?)?;
    let (first, last) = (earlier.first()?, earlier.last()?);
    let merged = Month { first_day: first.first_day, span: Span { start: first.span.start, end: last.span.end } };
    Some(std::iter::once(merged).chain(charted.iter().copied()).collect())
}

/// Whether each currency has an order in the last month, so that no chart includes the merged months.
fn all_reach_last_month(months: &[Month], totals: &[SpanTotal]) -> bool {
    let latest: BTreeMap<&'static str, UnixSeconds> =
        totals.iter().map(|total| (total.currency().code(), total.start)).collect();
    latest.values().all(|start| months.last().is_some_and(|last| last.span.start == *start))
}

/// The months from one time to the other. The first begins no later than `first`.
fn months(zone: &Zone, first: UnixSeconds, last: UnixSeconds) -> Vec<Month> {
    let last_month = first_of_month(zone.date(last));
    let earliest = Date::from_calendar_date(last_month.year() - MAX_MONTHS / 12, CalendarMonth::January, 1);
    let first_month = first_of_month(zone.date(first));
    let mut first_day = earliest.map_or(first_month, |earliest| first_month.max(earliest));
    let mut months = Vec::new();
    let mut start = zone.start_of(first_day).min(first);
    while start <= last {
        let next = next_month(first_day);
        // There is no month after the last one of the calendar.
        let end = next.map_or(UnixSeconds::new(i64::MAX), |next| zone.start_of(next));
        months.push(Month { first_day, span: Span { start, end } });
        let Some(next) = next else { break };
        (first_day, start) = (next, end);
    }
    months
}

fn first_of_month(date: Date) -> Date {
    date.replace_day(1).unwrap_or(date)
}

fn group_by_currency(months: &[Month], totals: &[SpanTotal]) -> OrderTotals {
    let indexes: BTreeMap<UnixSeconds, usize> =
        months.iter().enumerate().map(|(index, month)| (month.span.start, index)).collect();
    let mut by_currency: BTreeMap<&'static str, BTreeMap<usize, SpanTotal>> = BTreeMap::new();
    for total in totals {
        if let Some(index) = indexes.get(&total.start) {
            by_currency.entry(total.currency().code()).or_default().insert(*index, *total);
        }
    }
    let currencies = by_currency.into_values().filter_map(|totals| currency_totals(months, &totals)).collect();
    OrderTotals { order_count: totals.iter().map(|total| total.order_count).sum(), currencies }
}

/// The totals of one currency, from its totals by index of the month.
fn currency_totals(months: &[Month], totals: &BTreeMap<usize, SpanTotal>) -> Option<CurrencyTotals> {
    let ((first, any), (last, _)) = (totals.first_key_value()?, totals.last_key_value()?);
    let currency = any.currency();
    let total = Money::checked_sum(currency, totals.values().map(|total| total.total))?;
    let spent = Money::checked_sum(currency, totals.values().map(|total| total.spent))?;
    let length = (last - first + 1).clamp(MIN_CHART_MONTHS, MAX_CHART_MONTHS);
    let from = (last + 1).saturating_sub(length);
    let month = |index: usize| {
        let total = totals.get(&index);
        MonthTotal {
            first_day: months[index].first_day,
            order_count: total.map_or(0, |total| total.order_count),
            spent: total.map_or(Money::zero(currency), |total| total.spent),
        }
    };
    Some(CurrencyTotals { total, spent, months: (from..=*last).map(month).collect(), has_earlier: *first < from })
}

#[cfg(test)]
mod tests {
    use time::macros::{date, datetime};

    use super::*;
    use crate::domain::Currency;

    fn at(time: time::OffsetDateTime) -> UnixSeconds {
        UnixSeconds::from(time)
    }

    #[test]
    fn months_have_no_gap_or_overlap_across_clock_changes() {
        let zone = Zone::parse("Europe/Berlin").unwrap();
        let all = months(&zone, at(datetime!(2023-01-31 23:30 UTC)), at(datetime!(2024-12-31 22:59 UTC)));
        assert_eq!(all.len(), 23);
        assert_eq!((all[0].first_day, all[22].first_day), (date!(2023 - 02 - 01), date!(2024 - 12 - 01)));
        assert!(all.windows(2).all(|pair| pair[0].span.end == pair[1].span.start));
        assert_eq!(all[2].span.start.to_string(), "2023-03-31T22:00:00Z");
    }

    #[test]
    fn first_month_includes_what_is_more_than_a_century_back() {
        let (first, last) = (at(datetime!(1203-05-05 0:00 UTC)), at(datetime!(2024-05-05 0:00 UTC)));
        let all = months(&Zone::utc(), first, last);
        assert!(all.len() <= 1_212 && all[0].span.start == first);
        assert!(months(&Zone::utc(), last, first).is_empty());
        let end = UnixSeconds::new(i64::MAX);
        assert_eq!(months(&Zone::utc(), end, end).len(), 1);
    }

    #[test]
    fn chart_months_have_no_gaps_and_add_up_to_the_total() {
        let months = months(&Zone::utc(), at(datetime!(2020-01-15 0:00 UTC)), at(datetime!(2020-12-15 0:00 UTC)));
        let currency = Currency::parse("EUR").unwrap();
        let money = |minor| Money::new(minor, currency);
        let total = |index: usize, minor| SpanTotal {
            start: months[index].span.start,
            order_count: 2,
            total: money(minor + 7),
            spent: money(minor),
        };
        let totals = group_by_currency(&months, &[total(1, 100), total(9, 250)]);
        let shown = &totals.currencies[0];
        assert_eq!((totals.order_count, shown.months.len(), shown.has_earlier), (4, 9, false));
        assert_eq!((shown.total, shown.spent), (money(364), money(350)));
        assert_eq!(Money::checked_sum(currency, shown.months.iter().map(|month| month.spent)), Some(money(350)));
    }
}
