//! The chart of spending by month: an SVG path of bars, and the same numbers as table rows.

use time::Date;
use time::macros::format_description;

use super::totals::{ChartMonth, CurrencyTotals};
use crate::domain::{Money, format_count};

/// Units of the drawing: the width of a month and of its bar, and the height of the highest bar.
const MONTH_WIDTH: usize = 10;
const BAR_WIDTH: usize = 7;
const HEIGHT: i64 = 100;

/// What the template needs for the chart of one currency.
pub(super) struct Chart {
    pub currency: &'static str,
    pub width: usize,
    /// An SVG path.
    pub bars: String,
    /// The text alternative.
    pub description: String,
    /// The amount of the highest month.
    pub peak: String,
    /// The first and the last month, like `Jul 1996`.
    pub first: String,
    pub last: String,
    /// Months with orders, the latest first.
    pub rows: Vec<ChartRow>,
    pub has_earlier: bool,
}

pub(super) struct ChartRow {
    pub month: String,
    pub orders: String,
    pub total: String,
}

/// The chart of one currency; `None` when nothing was spent.
pub(super) fn chart(totals: &CurrencyTotals) -> Option<Chart> {
    let months = &totals.months;
    let (first, last) = (months.first()?, months.last()?);
    let peak = months.iter().max_by_key(|month| month.spent.minor()).filter(|month| !month.spent.is_zero())?;
    let description = format!(
        "Spending by month from {} to {}. The most in one month: {} in {}.",
        format_month(first.first_day),
        format_month(last.first_day),
        peak.spent,
        format_month(peak.first_day)
    );
    Some(Chart {
        currency: totals.spent.currency().code(),
        width: months.len() * MONTH_WIDTH,
        bars: bars(months, peak.spent),
        description,
        peak: peak.spent.to_string(),
        first: format_short_month(first.first_day),
        last: format_short_month(last.first_day),
        rows: months.iter().rev().filter(|month| month.order_count > 0).map(row).collect(),
        has_earlier: totals.has_earlier,
    })
}

/// One bar for each month with orders, at least one unit high.
fn bars(months: &[ChartMonth], peak: Money) -> String {
    let mut path = String::new();
    for (index, month) in months.iter().enumerate().filter(|(_, month)| month.order_count > 0) {
        let scaled = i128::from(month.spent.minor()) * i128::from(HEIGHT) / i128::from(peak.minor().max(1));
        let (x, height) = (index * MONTH_WIDTH + (MONTH_WIDTH - BAR_WIDTH) / 2, scaled.max(1));
        path.push_str(&format!("M{x} {HEIGHT}v-{height}h{BAR_WIDTH}v{height}z"));
    }
    path
}

fn row(month: &ChartMonth) -> ChartRow {
    ChartRow {
        month: format_month(month.first_day),
        orders: format_count(month.order_count),
        total: month.spent.to_string(),
    }
}

/// `July 1996`
fn format_month(month: Date) -> String {
    month.format(format_description!("[month repr:long] [year]")).unwrap_or_else(|_| month.to_string())
}

/// `Jul 1996`
fn format_short_month(month: Date) -> String {
    month.format(format_description!("[month repr:short] [year]")).unwrap_or_else(|_| month.to_string())
}

#[cfg(test)]
mod tests {
    use time::macros::date;

    use super::*;
    use crate::domain::Currency;

    fn usd(minor: i64) -> Money {
        Money::new(minor, Currency::parse("USD").unwrap())
    }

    fn month(first_day: Date, order_count: i64, minor: i64) -> ChartMonth {
        ChartMonth { first_day, order_count, spent: usd(minor) }
    }

    #[test]
    fn bars_are_proportional_and_at_least_one_unit_high() {
        let months = vec![
            month(date!(1996 - 07 - 01), 2, 5_000),
            month(date!(1996 - 08 - 01), 0, 0),
            month(date!(1996 - 09 - 01), 1, 10_000),
            month(date!(1996 - 10 - 01), 1, 1),
        ];
        let total = usd(15_001);
        let chart = chart(&CurrencyTotals { total, spent: total, months, has_earlier: false }).unwrap();
        assert_eq!(chart.bars, "M1 100v-50h7v50zM21 100v-100h7v100zM31 100v-1h7v1z");
        assert_eq!((chart.width, chart.first.as_str(), chart.last.as_str()), (40, "Jul 1996", "Oct 1996"));
        assert_eq!(chart.rows.len(), 3);
        assert_eq!(chart.rows[2].month, "July 1996");
        assert!(chart.description.contains("$100.00 in September 1996"));
    }

    #[test]
    fn no_chart_without_spending() {
        let months = vec![month(date!(1996 - 07 - 01), 3, 0)];
        assert!(chart(&CurrencyTotals { total: usd(0), spent: usd(0), months, has_earlier: false }).is_none());
    }
}
