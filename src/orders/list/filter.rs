//! The filter of a list: search, status, dates, sort. Invalid parameters are errors; the page and the export ignore unknown codes.

use std::str::FromStr;

use percent_encoding::{NON_ALPHANUMERIC, utf8_percent_encode};
use serde::Deserialize;
use strum::{EnumString, IntoStaticStr, VariantArray};
use time::macros::format_description;
use time::{Date, Month};

use super::sort::Sort;
use super::status_filter::StatusFilter;
use crate::domain::{UnixSeconds, Zone};
use crate::orders::monthly_totals::MonthNumber;
use crate::orders::search::like_patterns;

const MAX_SEARCH_CHARS: usize = 200;
const MAX_SEARCH_WORDS: usize = 10;
/// A date before it is a typing error. The date fields of the form have the same limit.
const FIRST_YEAR: i32 = 1970;

/// A named range of dates.
#[derive(Clone, Copy, Debug, PartialEq, Eq, EnumString, IntoStaticStr, VariantArray)]
#[strum(serialize_all = "kebab-case")]
pub enum Period {
    ThisYear,
    LastYear,
    /// The dates `from` and `to`, each optional.
    Range,
}

impl Period {
    /// The code in URLs.
    pub fn as_str(self) -> &'static str {
        self.into()
    }

    pub fn label(self) -> &'static str {
        match self {
            Self::ThisYear => "This year",
            Self::LastYear => "Last year",
            Self::Range => "Between dates",
        }
    }
}

/// A valid filter, as queries use it.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Filter {
    /// `LIKE` patterns, all of which the search text must match.
    pub(super) patterns: Vec<String>,
    pub(super) status: Option<StatusFilter>,
    /// Inclusive.
    pub(super) placed_from: Option<UnixSeconds>,
    /// Exclusive.
    pub(super) placed_before: Option<UnixSeconds>,
    pub(super) sort: Sort,
}

/// A range of months, both inclusive.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct MonthRange {
    pub first: MonthNumber,
    pub last: MonthNumber,
}

impl Filter {
    pub fn sort(&self) -> Sort {
        self.sort
    }

    pub fn is_search(&self) -> bool {
        !self.patterns.is_empty()
    }

    /// The months that it selects, if it selects whole months of the zone, and orders only by status.
    pub(super) fn month_range(&self, zone: &Zone) -> Option<MonthRange> {
        if self.is_search() || self.status == Some(StatusFilter::CancellationRequested) {
            return None;
        }
        let starting_at = |at: UnixSeconds| {
            let first_day = zone.date(at).replace_day(1).ok()?;
            (zone.start_of(first_day) == at).then(|| MonthNumber::of(first_day))
        };
        let first = self.placed_from.map_or(Some(MonthNumber(0)), starting_at)?;
        let end = self.placed_before.map_or(Some(MonthNumber(i64::from(i32::MAX))), starting_at)?;
        Some(MonthRange { first, last: MonthNumber(end.0 - 1) })
    }

    /// Whether it may exclude an order.
    pub fn is_active(&self) -> bool {
        *self != Self { sort: self.sort, ..Self::default() }
    }
}

/// The filter in the query of a URL, not yet validated. An empty value is the same as none. The comments describe the parameters in the
/// API's OpenAPI document.
#[derive(Clone, Debug, Default, Deserialize, utoipa::IntoParams)]
#[into_params(parameter_in = Query)]
pub struct FilterParams {
    /// Words that must occur in the order's number, or in a product's name or sku.
    pub q: Option<String>,
    /// placed, processing, `partly_sent`, sent, delivered, cancelled, refunded, `payment_voided` or expired; or `cancellation_requested`.
    pub status: Option<String>,
    /// `this-year` or `last-year`, in UTC; or range, with dates.
    pub period: Option<String>,
    /// The first date (UTC).
    #[param(example = "2026-01-01", format = Date)]
    pub from: Option<String>,
    /// The last date (UTC).
    #[param(example = "2026-12-31", format = Date)]
    pub to: Option<String>,
    /// newest (first; if left out), oldest, highest or lowest (total first).
    pub sort: Option<String>,
}

/// What is wrong with filter parameters, by field.
#[derive(Debug, Default, PartialEq, Eq)]
pub struct FilterErrors {
    pub q: Option<String>,
    pub from: Option<String>,
    pub to: Option<String>,
    /// A value that the page's form cannot send.
    pub other: Option<String>,
}

impl FilterErrors {
    pub fn is_empty(&self) -> bool {
        *self == Self::default()
    }
}

impl FilterParams {
    /// Validates the parameters. Dates and years are those of `zone`, in which the time is `now`.
    ///
    /// # Errors
    /// [`FilterErrors`]: all invalid fields.
    pub fn parse(&self, zone: &Zone, now: UnixSeconds) -> Result<Filter, FilterErrors> {
        let (filter, errors) = self.parse_valid(zone, now);
        if errors.is_empty() { Ok(filter) } else { Err(errors) }
    }

    /// The filter of the valid parameters, and the errors of the others.
    pub(super) fn parse_valid(&self, zone: &Zone, now: UnixSeconds) -> (Filter, FilterErrors) {
        let mut errors = FilterErrors::default();
        let patterns = self.parse_search().unwrap_or_else(|error| {
            errors.q = Some(error);
            Vec::new()
        });
        let status = code::<StatusFilter>("status", self.status.as_ref(), &mut errors.other);
        let sort = code::<Sort>("sort", self.sort.as_ref(), &mut errors.other);
        code::<Period>("period", self.period.as_ref(), &mut errors.other);
        let (first, last) = self.parse_dates(zone.date(now), &mut errors);
        let filter = Filter {
            patterns,
            status,
            placed_from: first.map(|date| zone.start_of(date)),
            placed_before: last.and_then(Date::next_day).map(|date| zone.start_of(date)),
            sort: sort.unwrap_or_default(),
        };
        (filter, errors)
    }

    /// The same parameters without the invalid fields.
    pub(super) fn without_invalid(&self, errors: &FilterErrors) -> Self {
        let valid = |value: &Option<String>, error: &Option<String>| value.clone().filter(|_| error.is_none());
        Self {
            q: valid(&self.q, &errors.q),
            from: valid(&self.from, &errors.from),
            to: valid(&self.to, &errors.to),
            ..self.clone()
        }
    }

    /// Removes unknown values of `status`, `period` and `sort`, for example of an old bookmark; returns what they were meant to be.
    pub fn remove_unknown_codes(&mut self) -> Vec<&'static str> {
        [
            remove_unknown::<StatusFilter>(&mut self.status).then_some("status"),
            remove_unknown::<Period>(&mut self.period).then_some("period"),
            remove_unknown::<Sort>(&mut self.sort).then_some("sort order"),
        ]
        .into_iter()
        .flatten()
        .collect()
    }

    fn parse_search(&self) -> Result<Vec<String>, String> {
        let text = self.q.as_deref().unwrap_or_default();
        let patterns = like_patterns(text);
        if text.chars().count() > MAX_SEARCH_CHARS || patterns.len() > MAX_SEARCH_WORDS {
            return Err(format!("Search for at most {MAX_SEARCH_WORDS} words and {MAX_SEARCH_CHARS} characters."));
        }
        Ok(patterns)
    }

    /// The selected period, if it is valid. Dates without a period are a range.
    pub fn period(&self) -> Option<Period> {
        match non_empty(self.period.as_ref()) {
            Some(code) => code.parse().ok(),
            None => non_empty(self.from.as_ref()).or(non_empty(self.to.as_ref())).map(|_| Period::Range),
        }
    }

    /// The number of filters, without the search.
    pub(super) fn active_count(&self) -> usize {
        let has_dates = non_empty(self.from.as_ref()).or(non_empty(self.to.as_ref())).is_some();
        let has_period = self.period().is_some_and(|period| period != Period::Range || has_dates);
        usize::from(non_empty(self.status.as_ref()).is_some()) + usize::from(has_period)
    }

    fn parse_dates(&self, today: Date, errors: &mut FilterErrors) -> (Option<Date>, Option<Date>) {
        let year = |year: i32| {
            let date = |month, day| Date::from_calendar_date(year, month, day).ok();
            (date(Month::January, 1), date(Month::December, 31))
        };
        match self.period() {
            None => (None, None),
            Some(Period::ThisYear) => year(today.year()),
            Some(Period::LastYear) => year(today.year() - 1),
            Some(Period::Range) => {
                let first = date(self.from.as_ref(), &mut errors.from);
                let last = date(self.to.as_ref(), &mut errors.to);
                if first.zip(last).is_some_and(|(first, last)| last < first) {
                    errors.to = Some("Choose an end date on or after the start date.".to_owned());
                    return (first, None);
                }
                (first, last)
            }
        }
    }

    /// The query string of the same filter, without `?`; empty without parameters.
    pub fn to_query_string(&self) -> String {
        let is_range = self.period() == Some(Period::Range);
        let range_only = |value: &Option<String>| value.clone().filter(|_| is_range);
        let pairs = [
            ("q", self.q.clone()),
            ("status", self.status.clone()),
            ("period", self.period.clone()),
            ("from", range_only(&self.from)),
            ("to", range_only(&self.to)),
            ("sort", self.sort.clone()),
        ];
        let pairs = pairs.iter().filter_map(|(name, value)| Some((name, non_empty(value.as_ref())?)));
        let pairs: Vec<String> =
            pairs.map(|(name, value)| format!("{name}={}", utf8_percent_encode(value, NON_ALPHANUMERIC))).collect();
        pairs.join("&")
    }
}

fn non_empty(value: Option<&String>) -> Option<&str> {
    value.map(|value| value.trim()).filter(|value| !value.is_empty())
}

/// Parses an optional code; for an unknown one, sets the error.
fn code<T>(name: &str, value: Option<&String>, error: &mut Option<String>) -> Option<T>
where
    T: FromStr + VariantArray + Copy + Into<&'static str>,
{
    let known = non_empty(value)?.parse().ok();
    if known.is_none() {
        let codes: Vec<&str> = T::VARIANTS.iter().map(|variant| (*variant).into()).collect();
        *error = Some(format!("{name} takes one of {}", codes.join(", ")));
    }
    known
}

fn remove_unknown<T: FromStr>(value: &mut Option<String>) -> bool {
    let is_unknown = non_empty(value.as_ref()).is_some_and(|code| code.parse::<T>().is_err());
    if is_unknown {
        *value = None;
    }
    is_unknown
}

fn date(text: Option<&String>, error: &mut Option<String>) -> Option<Date> {
    let text = non_empty(text)?;
    let parsed = parse_date(text);
    match parsed {
        None => *error = Some("Enter a date like 2024-03-31 (year, month, day).".to_owned()),
        Some(date) if date.year() < FIRST_YEAR => *error = Some(format!("Enter a date in {FIRST_YEAR} or later.")),
        Some(_) => {}
    }
    parsed.filter(|_| error.is_none())
}

/// A date as a date field sends it.
pub(super) fn parse_date(text: &str) -> Option<Date> {
    let parsed = Date::parse(text, format_description!("[year]-[month]-[day]")).ok();
    parsed.filter(|date| date.year() >= 0 && text.len() == "2024-03-31".len())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn params(pairs: &[(&str, &str)]) -> FilterParams {
        let value = |name: &str| pairs.iter().find(|(other, _)| *other == name).map(|(_, value)| (*value).to_owned());
        FilterParams {
            q: value("q"),
            status: value("status"),
            period: value("period"),
            from: value("from"),
            to: value("to"),
            sort: value("sort"),
        }
    }

    /// 2024-07-01T00:30:00Z, which is still June in New York.
    const NOW: i64 = 1_719_793_800;

    fn parse(pairs: &[(&str, &str)], zone: &str) -> Result<Filter, FilterErrors> {
        params(pairs).parse(&Zone::parse(zone).unwrap(), UnixSeconds::new(NOW))
    }

    #[test]
    fn dates_are_ignored_unless_the_period_is_a_range() {
        assert!(parse(&[("period", "this-year"), ("from", "nonsense")], "UTC").is_ok());
        let query = params(&[("period", "this-year"), ("from", "2020-01-01")]).to_query_string();
        assert_eq!(query, "period=this%2Dyear");
    }

    #[test]
    fn empty_parameters_are_the_default_filter() {
        for pairs in [&[][..], &[("q", " "), ("status", ""), ("period", ""), ("from", ""), ("sort", "")][..]] {
            let filter = parse(pairs, "UTC").unwrap();
            assert_eq!(filter, Filter::default());
            assert!(!filter.is_active());
            assert_eq!(params(pairs).to_query_string(), "");
        }
    }

    #[test]
    fn sort_is_parsed_and_does_not_make_a_filter_active() {
        for &sort in Sort::ALL {
            let filter = parse(&[("sort", sort.as_str())], "UTC").unwrap();
            assert_eq!((filter.sort(), filter.is_active()), (sort, false));
        }
    }

    #[test]
    fn month_range_needs_whole_months_of_the_zone_and_no_search() {
        for (pairs, months, is_active) in [
            (&[("sort", "lowest")][..], Some((0, 2_147_483_646)), false),
            (&[("status", "sent")][..], Some((0, 2_147_483_646)), true),
            (&[("period", "last-year")][..], Some((2023 * 12, 2023 * 12 + 11)), true),
            (&[("from", "2024-03-01"), ("to", "2024-04-30")][..], Some((2024 * 12 + 2, 2024 * 12 + 3)), true),
            (&[("to", "2024-03-31"), ("status", "sent")][..], Some((0, 2024 * 12 + 2)), true),
            (&[("from", "2024-03-31")][..], None, true),
            (&[("to", "2024-03-30")][..], None, true),
            (&[("status", "cancellation_requested")][..], None, true),
            (&[("q", "tea")][..], None, true),
        ] {
            for name in ["UTC", "America/New_York", "Africa/Cairo"] {
                let (filter, zone) = (parse(pairs, name).unwrap(), Zone::parse(name).unwrap());
                let range = filter.month_range(&zone).map(|range| (range.first.0, range.last.0));
                assert_eq!((range, filter.is_active()), (months, is_active), "{pairs:?} {name}");
            }
        }
        let in_berlin = parse(&[("period", "last-year")], "Europe/Berlin").unwrap();
        assert_eq!(in_berlin.month_range(&Zone::utc()), None);
    }

    #[test]
    fn search_accepts_up_to_200_characters_and_10_words() {
        let words = |count: usize| vec!["tea"; count].join(" ");
        for (text, is_valid) in [
            ("é".repeat(200), true),
            ("é".repeat(201), false),
            (words(10), true),
            (words(11), false),
            (words(12), false),
        ] {
            assert_eq!(parse(&[("q", &text)], "UTC").is_ok(), is_valid, "{text}");
        }
    }

    #[test]
    fn date_has_ten_characters_and_a_possible_year() {
        for (text, is_valid) in [
            ("2024-03-31", true),
            ("1970-01-01", true),
            ("9999-12-31", true),
            ("1969-12-31", false),
            ("0002-01-01", false),
            ("0000-01-01", false),
            ("+2024-03-31", false),
            ("-0001-03-31", false),
            ("12024-03-31", false),
        ] {
            assert_eq!(parse(&[("from", text)], "UTC").is_ok(), is_valid, "{text}");
        }
    }
}
