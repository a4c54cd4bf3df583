//! Spending by month as a picture: one path of bars, and the same numbers as rows of a table.

use time::Date;
use time::macros::format_description;

use super::count;
use super::spending::{InCurrency, InMonth};

/// Units of the drawing: a month's width, its bar's width within, the height of the highest bar.
const STEP: usize = 10;
const BAR: usize = 7;
const HEIGHT: i64 = 100;

/// What the template needs of one currency's chart.
pub(super) struct Chart {
    /// The currency's code.
    pub currency: &'static str,
    /// Width of the drawing.
    pub width: usize,
    /// The bars, as an SVG path.
    pub bars: String,
    /// What the picture shows, in a sentence.
    pub description: String,
    /// The highest month: `$4,707.54`.
    pub peak: String,
    /// The first and the last month: `Jul 1996`.
    pub first: String,
    pub last: String,
    /// Months with orders, the latest first.
    pub rows: Vec<ChartRow>,
    pub has_earlier: bool,
}

/// A month in words.
pub(super) struct ChartRow {
    pub month: String,
    pub orders: String,
    pub total: String,
}

/// The chart of one currency; `None` when nothing was spent.
pub(super) fn chart(spending: &InCurrency) -> Option<Chart> {
    let months = &spending.months;
    let (first, last) = (months.first()?, months.last()?);
    let peak = months.iter().max_by_key(|month| month.spent.minor()).filter(|month| !month.spent.is_zero())?;
    let description = format!(
        "Spending by month from {} to {}. The most in one month: {} in {}.",
        long(first.first),
        long(last.first),
        peak.spent,
        long(peak.first)
    );
    Some(Chart {
        currency: spending.spent.currency().code(),
        width: months.len() * STEP,
        bars: bars(months, peak.spent.minor()),
        description,
        peak: peak.spent.to_string(),
        first: short(first.first),
        last: short(last.first),
        rows: months.iter().rev().filter(|month| month.orders > 0).map(row).collect(),
        has_earlier: spending.has_earlier,
    })
}

/// A bar for each month with orders, however small: at least one unit high.
fn bars(months: &[InMonth], peak: i64) -> String {
    let mut path = String::new();
    for (place, month) in months.iter().enumerate().filter(|(_, month)| month.orders > 0) {
        let height = (i128::from(month.spent.minor()) * i128::from(HEIGHT) / i128::from(peak.max(1))).max(1);
        path.push_str(&format!("M{} {HEIGHT}v-{height}h{BAR}v{height}z", place * STEP + (STEP - BAR) / 2));
    }
    path
}

fn row(month: &InMonth) -> ChartRow {
    ChartRow { month: long(month.first), orders: count(month.orders), total: month.spent.to_string() }
}

/// `July 1996`
fn long(month: Date) -> String {
    month.format(format_description!("[month repr:long] [year]")).unwrap_or_else(|_| month.to_string())
}

/// `Jul 1996`
fn short(month: Date) -> String {
    month.format(format_description!("[month repr:short] [year]")).unwrap_or_else(|_| month.to_string())
}

#[cfg(test)]
mod tests {
    use time::macros::date;

    use super::*;
    use crate::orders::money::{Currency, Money};

    fn month(first: Date, orders: i64, minor: i64) -> InMonth {
        InMonth { first, orders, spent: Money::new(minor, Currency::parse("USD").unwrap()) }
    }

    #[test]
    fn bars_are_as_high_as_their_share_of_the_highest_and_never_invisible() {
        let months = [
            month(date!(1996 - 07 - 01), 2, 5_000),
            month(date!(1996 - 08 - 01), 0, 0),
            month(date!(1996 - 09 - 01), 1, 10_000),
            month(date!(1996 - 10 - 01), 1, 1),
        ];
        let total = Money::new(15_001, Currency::parse("USD").unwrap());
        let chart = chart(&InCurrency { total, spent: total, months: months.to_vec(), has_earlier: false }).unwrap();
        assert_eq!(chart.bars, "M1 100v-50h7v50zM21 100v-100h7v100zM31 100v-1h7v1z");
        assert_eq!((chart.width, chart.first.as_str(), chart.last.as_str()), (40, "Jul 1996", "Oct 1996"));
        assert_eq!(chart.rows.len(), 3);
        assert_eq!(chart.rows[2].month, "July 1996");
        assert!(chart.description.contains("$100.00 in September 1996"));
    }

    #[test]
    fn where_nothing_was_spent_there_is_nothing_to_draw() {
        let total = Money::new(0, Currency::parse("USD").unwrap());
        let months = vec![month(date!(1996 - 07 - 01), 3, 0)];
        assert!(chart(&InCurrency { total, spent: total, months, has_earlier: false }).is_none());
    }
}
