//! Which of the customer's orders are asked for: search, status, dates, order of the list. All of it stands in the address, so that
//! a view can be kept and the Back button works; what makes no sense there is said, never guessed at.

use percent_encoding::{NON_ALPHANUMERIC, utf8_percent_encode};
use serde::Deserialize;
use time::macros::format_description;
use time::{Date, Month};

use super::cursor::By;
use super::order::Status;
use super::search;
use crate::clock::UnixSeconds;
use crate::web::Zone;

/// The longest search, in characters, and the most words in it.
const LONGEST_SEARCH: usize = 200;
const MOST_WORDS: usize = 10;

/// What a list is in order of.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Sort {
    /// By date, the newest first.
    #[default]
    Newest,
    /// By date, the oldest first.
    Oldest,
    /// By total in minor units, the highest first.
    Highest,
    /// By total, the lowest first.
    Lowest,
}

impl Sort {
    /// All of them, with the words that stand in addresses and those that people read.
    pub const ALL: [(Self, &'static str, &'static str); 4] = [
        (Self::Newest, "newest", "Newest first"),
        (Self::Oldest, "oldest", "Oldest first"),
        (Self::Highest, "highest", "Highest total first"),
        (Self::Lowest, "lowest", "Lowest total first"),
    ];

    /// Whether the largest key comes first.
    pub(super) fn is_descending(self) -> bool {
        matches!(self, Self::Newest | Self::Highest)
    }

    pub(super) fn by(self) -> By {
        match self {
            Self::Newest | Self::Oldest => By::Date,
            Self::Highest | Self::Lowest => By::Total,
        }
    }
}

/// A span of dates by name.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Period {
    /// From 1 January of this year on.
    ThisYear,
    /// The year before.
    LastYear,
    /// From one date to another, either of which may be open.
    Range,
}

impl Period {
    /// All of them, with the words that stand in addresses and those that people read.
    pub const ALL: [(Self, &'static str, &'static str); 3] = [
        (Self::ThisYear, "this-year", "This year"),
        (Self::LastYear, "last-year", "Last year"),
        (Self::Range, "range", "Between dates"),
    ];
}

/// Which orders, as the database is asked for them.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Filter {
    /// Patterns, each of which the searched text must match.
    pub(super) patterns: Vec<String>,
    pub(super) status: Option<Status>,
    /// Placed at this moment or later.
    pub(super) from: Option<UnixSeconds>,
    /// Placed before this moment.
    pub(super) until: Option<UnixSeconds>,
    pub(super) sort: Sort,
}

impl Filter {
    /// What the list is in order of.
    pub fn sort(&self) -> Sort {
        self.sort
    }

    /// Whether more than dates may leave an order out.
    pub(super) fn is_picky(&self) -> bool {
        self.status.is_some() || !self.patterns.is_empty()
    }

    /// Whether any order may be left out.
    pub fn is_narrow(&self) -> bool {
        *self != Self { sort: self.sort, ..Self::default() }
    }
}

/// What the query of an address says, as it stands there. An empty value is as if it were left out.
#[derive(Clone, Debug, Default, Deserialize)]
pub struct Asked {
    /// Words to search for.
    pub q: Option<String>,
    /// A status.
    pub status: Option<String>,
    /// A period by name; `range` goes without saying when there are dates.
    pub period: Option<String>,
    /// The first date.
    pub from: Option<String>,
    /// The last date.
    pub to: Option<String>,
    /// What the list is in order of.
    pub sort: Option<String>,
}

/// Why the query makes no sense.
#[derive(Debug, Default, PartialEq, Eq)]
pub struct Wrong {
    /// What to say at the search.
    pub q: Option<String>,
    /// What to say at the first date.
    pub from: Option<String>,
    /// What to say at the last date.
    pub to: Option<String>,
    /// What no form of ours would send.
    pub other: Option<String>,
}

impl Asked {
    /// Reads the query; dates and years are those of `zone`, in which it is `now`.
    ///
    /// # Errors
    /// [`Wrong`]: what to say, at each field.
    pub fn read(&self, zone: &Zone, now: UnixSeconds) -> Result<Filter, Wrong> {
        let mut wrong = Wrong::default();
        let patterns = self.patterns().unwrap_or_else(|reason| {
            wrong.q = Some(reason);
            Vec::new()
        });
        let one_of = |name: &str, words: Vec<&str>| format!("{name} takes one of {}", words.join(", "));
        let status = given(self.status.as_ref()).map(|word| (Status::parse(word), Status::ALL.map(Status::as_str)));
        if let Some((None, words)) = &status {
            wrong.other = Some(one_of("status", words.to_vec()));
        }
        let sort = given(self.sort.as_ref()).map(|word| Sort::ALL.iter().find(|(_, known, _)| *known == word));
        if sort == Some(None) {
            wrong.other = Some(one_of("sort", Sort::ALL.map(|(_, word, _)| word).to_vec()));
        }
        let period = self.period();
        if period == Some(None) {
            wrong.other = Some(one_of("period", Period::ALL.map(|(_, word, _)| word).to_vec()));
        }
        let (first, last) = self.dates(period.flatten(), zone.date(now), &mut wrong);
        if wrong != Wrong::default() {
            return Err(wrong);
        }
        Ok(Filter {
            patterns,
            status: status.and_then(|(status, _)| status),
            from: first.map(|date| zone.start_of(date)),
            until: last.and_then(Date::next_day).map(|date| zone.start_of(date)),
            sort: sort.flatten().map(|(sort, _, _)| *sort).unwrap_or_default(),
        })
    }

    fn patterns(&self) -> Result<Vec<String>, String> {
        let text = self.q.as_deref().unwrap_or_default();
        let patterns = search::patterns(text);
        if text.chars().count() > LONGEST_SEARCH || patterns.len() > MOST_WORDS {
            return Err(format!("Search for at most {MOST_WORDS} words with {LONGEST_SEARCH} characters in all."));
        }
        Ok(patterns)
    }

    /// The period that is asked for; `Some(None)` for one that there is not.
    pub fn period(&self) -> Option<Option<Period>> {
        match given(self.period.as_ref()) {
            Some(word) => Some(Period::ALL.iter().find(|(_, known, _)| *known == word).map(|(period, _, _)| *period)),
            None => {
                let has_dates = given(self.from.as_ref()).or_else(|| given(self.to.as_ref())).is_some();
                has_dates.then_some(Some(Period::Range))
            }
        }
    }

    fn dates(&self, period: Option<Period>, today: Date, wrong: &mut Wrong) -> (Option<Date>, Option<Date>) {
        let year = |year: i32| {
            let day = |month, day| Date::from_calendar_date(year, month, day).ok();
            (day(Month::January, 1), day(Month::December, 31))
        };
        match period {
            None => (None, None),
            Some(Period::ThisYear) => year(today.year()),
            Some(Period::LastYear) => year(today.year() - 1),
            Some(Period::Range) => {
                let first = date(self.from.as_ref(), &mut wrong.from);
                let last = date(self.to.as_ref(), &mut wrong.to);
                if first.zip(last).is_some_and(|(first, last)| last < first) {
                    wrong.to = Some("Choose a last date that is not before the first.".to_owned());
                }
                (first, last)
            }
        }
    }

    /// The query that asks for the same, as it stands in an address after `?`: empty when nothing is asked for.
    pub fn query(&self) -> String {
        let is_range = self.period().flatten() == Some(Period::Range);
        let dates = |value: &Option<String>| value.clone().filter(|_| is_range);
        let pairs = [
            ("q", self.q.clone()),
            ("status", self.status.clone()),
            ("period", self.period.clone()),
            ("from", dates(&self.from)),
            ("to", dates(&self.to)),
            ("sort", self.sort.clone()),
        ];
        let said = pairs.iter().filter_map(|(name, value)| given(value.as_ref()).map(|value| (name, value)));
        let said: Vec<String> =
            said.map(|(name, value)| format!("{name}={}", utf8_percent_encode(value, NON_ALPHANUMERIC))).collect();
        said.join("&")
    }
}

fn given(value: Option<&String>) -> Option<&str> {
    value.map(|value| value.trim()).filter(|value| !value.is_empty())
}

fn date(text: Option<&String>, wrong: &mut Option<String>) -> Option<Date> {
    let text = given(text)?;
    let read = Date::parse(text, format_description!("[year]-[month]-[day]")).ok();
    let read = read.filter(|date| date.year() >= 0 && text.len() == "2024-03-31".len());
    if read.is_none() {
        *wrong = Some("Write the date like 2024-03-31: year, month, day.".to_owned());
    }
    read
}

#[cfg(test)]
mod tests {
    use super::*;

    fn asked(pairs: &[(&str, &str)]) -> Asked {
        let value = |wanted: &str| pairs.iter().find(|(name, _)| *name == wanted).map(|(_, value)| (*value).to_owned());
        Asked {
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

    fn read(pairs: &[(&str, &str)], zone: &str) -> Result<Filter, Wrong> {
        asked(pairs).read(&Zone::parse(zone).unwrap(), UnixSeconds::new(NOW))
    }

    fn span(pairs: &[(&str, &str)], zone: &str) -> (String, String) {
        let filter = read(pairs, zone).unwrap();
        let said = |at: Option<UnixSeconds>| at.map(|at| at.to_string()).unwrap_or_default();
        (said(filter.from), said(filter.until))
    }

    #[test]
    fn years_and_days_begin_where_the_customer_is() {
        let last_year = ("2022-12-31T23:00:00Z".to_owned(), "2023-12-31T23:00:00Z".to_owned());
        assert_eq!(span(&[("period", "last-year")], "Europe/Berlin"), last_year);
        let one_day = ("2024-03-31T04:00:00Z".to_owned(), "2024-04-01T04:00:00Z".to_owned());
        assert_eq!(span(&[("from", "2024-03-31"), ("to", "2024-03-31")], "America/New_York"), one_day);
        let open = ("2024-03-01T00:00:00Z".to_owned(), String::new());
        assert_eq!(span(&[("from", "2024-03-01")], "UTC"), open);
    }

    #[test]
    fn dates_count_only_where_a_range_is_asked_for() {
        let this_year = span(&[("period", "this-year"), ("from", "nonsense")], "UTC");
        assert_eq!(this_year.0, "2024-01-01T00:00:00Z");
        assert_eq!(asked(&[("period", "this-year"), ("from", "2020-01-01")]).query(), "period=this%2Dyear");
    }

    #[test]
    fn what_makes_no_sense_is_said_at_its_field() {
        assert!(read(&[("from", "31.12.2024")], "UTC").unwrap_err().from.is_some());
        assert!(read(&[("to", "2024-02-30")], "UTC").unwrap_err().to.is_some());
        assert!(read(&[("from", "2024-02-02"), ("to", "2024-02-01")], "UTC").unwrap_err().to.is_some());
        assert!(read(&[("q", &"a".repeat(201))], "UTC").unwrap_err().q.is_some());
        for (name, value) in [("status", "lost"), ("sort", "random"), ("period", "soon")] {
            assert!(read(&[(name, value)], "UTC").unwrap_err().other.unwrap().starts_with(name));
        }
    }

    #[test]
    fn nothing_asked_for_is_everything_newest_first() {
        for pairs in [&[][..], &[("q", " "), ("status", ""), ("period", ""), ("from", ""), ("sort", "")][..]] {
            let filter = read(pairs, "UTC").unwrap();
            assert_eq!(filter, Filter::default());
            assert!(!filter.is_narrow());
            assert_eq!(asked(pairs).query(), "");
        }
    }

    #[test]
    fn the_query_asks_for_the_same_again() {
        let pairs = [("q", "tea & \"honey\""), ("status", "sent"), ("from", "2024-01-02"), ("sort", "lowest")];
        let expected = "q=tea%20%26%20%22honey%22&status=sent&from=2024%2D01%2D02&sort=lowest";
        assert_eq!(asked(&pairs).query(), expected);
    }

    #[test]
    fn sort_is_read_with_its_key_and_direction() {
        for (word, sort, by, is_descending) in [
            ("newest", Sort::Newest, By::Date, true),
            ("oldest", Sort::Oldest, By::Date, false),
            ("highest", Sort::Highest, By::Total, true),
            ("lowest", Sort::Lowest, By::Total, false),
        ] {
            let read = read(&[("sort", word)], "UTC").unwrap().sort();
            assert_eq!((read, read.by(), read.is_descending()), (sort, by, is_descending), "{word}");
        }
    }

    #[test]
    fn filter_tells_what_may_leave_an_order_out() {
        for (pairs, is_picky, is_narrow) in [
            (&[("sort", "lowest")][..], false, false),
            (&[("q", "tea")][..], true, true),
            (&[("status", "sent")][..], true, true),
            (&[("q", "tea"), ("status", "sent")][..], true, true),
            (&[("from", "2024-03-31"), ("sort", "lowest")][..], false, true),
            (&[("to", "2024-03-31")][..], false, true),
        ] {
            let filter = read(pairs, "UTC").unwrap();
            assert_eq!((filter.is_picky(), filter.is_narrow()), (is_picky, is_narrow), "{pairs:?}");
        }
    }

    #[test]
    fn search_takes_up_to_200_characters_and_10_words() {
        let words = |count: usize| vec!["tea"; count].join(" ");
        for (text, is_taken) in [
            ("é".repeat(200), true),
            ("é".repeat(201), false),
            (words(10), true),
            (words(11), false),
            (words(12), false),
        ] {
            assert_eq!(read(&[("q", &text)], "UTC").is_ok(), is_taken, "{text}");
        }
    }

    #[test]
    fn date_has_exactly_ten_characters() {
        for (text, is_taken) in [
            ("2024-03-31", true),
            ("0000-01-01", true),
            ("+2024-03-31", false),
            ("-0001-03-31", false),
            ("12024-03-31", false),
        ] {
            assert_eq!(read(&[("from", text)], "UTC").is_ok(), is_taken, "{text}");
        }
    }
}
