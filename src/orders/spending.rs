//! How many orders a view holds, what they cost in each currency, and how that is spread over the months.

use std::collections::BTreeMap;

use time::{Date, Month};

use super::filter::Filter;
use super::money::Money;
use super::store::sums::{self, Span, Sum};
use crate::clock::UnixSeconds;
use crate::database::{Error, Transaction};
use crate::web::Zone;
use crate::web::zone::next_month;

/// Months that are told apart; what lies before counts with the first of them.
const MOST_SPANS: i32 = 1_200;
/// Months on a chart: the latest, and at least so many.
const MOST_SHOWN: usize = 36;
const LEAST_SHOWN: usize = 6;

/// What the orders of a view come to.
#[derive(Debug, Default)]
pub(super) struct Spending {
    /// How many there are.
    pub orders: i64,
    /// Currency by currency, by code.
    pub currencies: Vec<InCurrency>,
}

/// The same in one currency.
#[derive(Debug)]
pub(super) struct InCurrency {
    /// What the orders come to.
    pub total: Money,
    /// The same without what was called off or went back.
    pub spent: Money,
    /// Month by month without a gap, the latest last.
    pub months: Vec<InMonth>,
    /// Whether months before the first of these have orders, too.
    pub has_earlier: bool,
}

/// What was placed in one month.
#[derive(Clone, Copy, Debug)]
pub(super) struct InMonth {
    /// Its first day.
    pub first: Date,
    pub orders: i64,
    pub spent: Money,
}

/// What the filter leaves of the user's orders; `None` when the user has none at all.
pub(super) async fn spending(
    snapshot: &mut Transaction,
    user_id: &str,
    filter: &Filter,
    zone: &Zone,
) -> Result<Option<Spending>, Error> {
    let Some((first, last)) = sums::first_and_last(snapshot, user_id).await? else {
        return Ok(None);
    };
    let first = filter.from.map_or(first, |from| first.max(from));
    let last = filter.until.map_or(last, |until| last.min(until.plus(-1)));
    let months = months(zone, first, last);
    if !filter.is_picky()
        && let Some(few) = charted_and_earlier(&months)
    {
        let sums = of_months(snapshot, user_id, filter, &few).await?;
        if all_reach_the_end(&few, &sums) {
            return Ok(Some(put_together(&few, &sums)));
        }
    }
    let sums = of_months(snapshot, user_id, filter, &months).await?;
    Ok(Some(put_together(&months, &sums)))
}

async fn of_months(
    snapshot: &mut Transaction,
    user_id: &str,
    filter: &Filter,
    months: &[(Date, Span)],
) -> Result<Vec<Sum>, Error> {
    let spans: Vec<Span> = months.iter().map(|(_, span)| *span).collect();
    sums::of_spans(snapshot, user_id, filter, &spans).await
}

/// The latest months, as many as a chart has, after one span for all that lies before: fewer to ask for. `None` when there are no more
/// than those.
fn charted_and_earlier(months: &[(Date, Span)]) -> Option<Vec<(Date, Span)>> {
    let (earlier, charted) = months.split_at_checked(months.len().checked_sub(MOST_SHOWN)?)?;
    let ((month, (starts, _)), (_, (_, ends))) = (earlier.first()?, earlier.last()?);
    Some(std::iter::once((*month, (*starts, *ends))).chain(charted.iter().copied()).collect())
}

/// Whether each currency has an order in the last of the months: then no chart reaches back to what lies before them.
fn all_reach_the_end(months: &[(Date, Span)], sums: &[Sum]) -> bool {
    let latest: BTreeMap<&'static str, UnixSeconds> =
        sums.iter().map(|sum| (sum.currency().code(), sum.starts)).collect();
    latest.values().all(|starts| months.last().is_some_and(|(_, (last, _))| last == starts))
}

/// The months from one moment to the other, each with its span; the first begins no later than `first`.
fn months(zone: &Zone, first: UnixSeconds, last: UnixSeconds) -> Vec<(Date, Span)> {
    let last_month = first_of_month(zone.date(last));
    let earliest = Date::from_calendar_date(last_month.year() - MOST_SPANS / 12, Month::January, 1);
    let first_month = first_of_month(zone.date(first));
    let mut month = earliest.map_or(first_month, |earliest| first_month.max(earliest));
    let mut months = Vec::new();
    let mut starts = zone.start_of(month).min(first);
    while starts <= last {
        let next = next_month(month);
        // Past the last month that a calendar knows there is nothing.
        let ends = next.map_or(UnixSeconds::new(i64::MAX), |next| zone.start_of(next));
        months.push((month, (starts, ends)));
        let Some(next) = next else { break };
        (month, starts) = (next, ends);
    }
    months
}

fn first_of_month(date: Date) -> Date {
    date.replace_day(1).unwrap_or(date)
}

fn put_together(months: &[(Date, Span)], sums: &[Sum]) -> Spending {
    let places: BTreeMap<UnixSeconds, usize> =
        months.iter().enumerate().map(|(place, (_, (starts, _)))| (*starts, place)).collect();
    let mut of_currency: BTreeMap<&'static str, BTreeMap<usize, Sum>> = BTreeMap::new();
    for sum in sums {
        if let Some(place) = places.get(&sum.starts) {
            of_currency.entry(sum.currency().code()).or_default().insert(*place, *sum);
        }
    }
    let currencies = of_currency.into_values().filter_map(|sums| in_currency(months, &sums)).collect();
    Spending { orders: sums.iter().map(|sum| sum.orders).sum(), currencies }
}

fn in_currency(months: &[(Date, Span)], sums: &BTreeMap<usize, Sum>) -> Option<InCurrency> {
    let ((first, _), (last, some)) = (sums.first_key_value()?, sums.last_key_value()?);
    let currency = some.currency();
    let total = Money::new(sums.values().map(|sum| sum.total.minor()).sum(), currency);
    let spent = Money::new(sums.values().map(|sum| sum.spent.minor()).sum(), currency);
    let length = (last - first + 1).clamp(LEAST_SHOWN, MOST_SHOWN);
    let from = (last + 1).saturating_sub(length);
    let month = |place: usize| {
        let sum = sums.get(&place);
        InMonth {
            first: months[place].0,
            orders: sum.map_or(0, |sum| sum.orders),
            spent: sum.map_or(Money::new(0, currency), |sum| sum.spent),
        }
    };
    Some(InCurrency { total, spent, months: (from..=*last).map(month).collect(), has_earlier: *first < from })
}

#[cfg(test)]
mod tests {
    use time::macros::{date, datetime};

    use super::*;
    use crate::orders::money::Currency;

    fn at(moment: time::OffsetDateTime) -> UnixSeconds {
        UnixSeconds::from(moment)
    }

    #[test]
    fn months_follow_each_other_without_gap_or_overlap_across_clock_changes() {
        let zone = Zone::parse("Europe/Berlin").unwrap();
        let all = months(&zone, at(datetime!(2023-01-31 23:30 UTC)), at(datetime!(2024-12-31 22:59 UTC)));
        assert_eq!(all.len(), 23);
        assert_eq!((all[0].0, all[22].0), (date!(2023 - 02 - 01), date!(2024 - 12 - 01)));
        assert!(all.windows(2).all(|pair| pair[0].1.1 == pair[1].1.0));
        assert_eq!(all[2].1.0.to_string(), "2023-03-31T22:00:00Z");
    }

    #[test]
    fn what_lies_a_century_back_counts_with_the_first_month_that_is_told_apart() {
        let (first, last) = (at(datetime!(1203-05-05 0:00 UTC)), at(datetime!(2024-05-05 0:00 UTC)));
        let all = months(&Zone::utc(), first, last);
        assert!(all.len() <= 1_212 && all[0].1.0 == first);
        assert!(months(&Zone::utc(), last, first).is_empty());
        let end = UnixSeconds::new(i64::MAX);
        assert_eq!(months(&Zone::utc(), end, end).len(), 1);
    }

    #[test]
    fn a_chart_has_no_gaps_and_its_months_add_up_to_the_total() {
        let months = months(&Zone::utc(), at(datetime!(2020-01-15 0:00 UTC)), at(datetime!(2020-12-15 0:00 UTC)));
        let currency = Currency::parse("EUR").unwrap();
        let money = |minor| Money::new(minor, currency);
        let sum = |place: usize, minor| Sum {
            starts: months[place].1.0,
            orders: 2,
            total: money(minor + 7),
            spent: money(minor),
        };
        let spending = put_together(&months, &[sum(1, 100), sum(9, 250)]);
        let shown = &spending.currencies[0];
        assert_eq!((spending.orders, shown.months.len(), shown.has_earlier), (4, 9, false));
        assert_eq!((shown.total.minor(), shown.spent.minor()), (364, 350));
        assert_eq!(shown.months.iter().map(|month| month.spent.minor()).sum::<i64>(), 350);
    }
}
