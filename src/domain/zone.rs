//! Time zones: local times and the boundaries of days, months and years.

use jiff::Timestamp;
use jiff::tz::{self, TimeZone};
use time::{Date, Month, OffsetDateTime, PrimitiveDateTime, UtcOffset};

use super::UnixSeconds;

/// Regions of the IANA database; its other names are aliases for old programs.
const REGIONS: [&str; 10] = [
    "Africa/",
    "America/",
    "Antarctica/",
    "Arctic/",
    "Asia/",
    "Atlantic/",
    "Australia/",
    "Europe/",
    "Indian/",
    "Pacific/",
];

/// A time zone of the IANA database, which is compiled in.
#[derive(Clone, Debug)]
pub struct Zone(TimeZone);

impl Default for Zone {
    fn default() -> Self {
        Self::utc()
    }
}

impl Zone {
    pub fn utc() -> Self {
        Self(TimeZone::UTC)
    }

    /// Parses a name such as `Europe/Berlin`.
    pub fn parse(name: &str) -> Option<Self> {
        let is_plain =
            name.len() <= 64 && name.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"/_-+".contains(&byte));
        let is_known = is_plain && (name == "UTC" || REGIONS.iter().any(|region| name.starts_with(region)));
        is_known.then(|| tz::db().get(name).ok()).flatten().map(Self)
    }

    pub fn name(&self) -> &str {
        self.0.iana_name().unwrap_or("UTC")
    }

    /// The name for people: `New York`, `UTC`.
    pub fn place(&self) -> String {
        self.name().rsplit('/').next().unwrap_or_default().replace('_', " ")
    }

    /// The name with the offset at that time: `Europe/Berlin (UTC+02:00)`.
    pub fn label(&self, at: UnixSeconds) -> String {
        self.with_offset(self.name(), at)
    }

    /// What follows a time in a sentence: `Berlin time (UTC+02:00)`, `UTC`.
    pub fn describe_at(&self, at: UnixSeconds) -> String {
        if self.name() == "UTC" { "UTC".to_owned() } else { self.with_offset(&format!("{} time", self.place()), at) }
    }

    fn with_offset(&self, name: &str, at: UnixSeconds) -> String {
        let offset = self.local(at).offset();
        if offset.is_utc() {
            return format!("{name} (UTC)").replace("UTC (UTC)", "UTC");
        }
        let (hours, minutes, _) = offset.as_hms();
        let sign = if offset.is_negative() { '-' } else { '+' };
        format!("{name} (UTC{sign}{:02}:{:02})", hours.abs(), minutes.abs())
    }

    /// All zones that can be chosen, by name.
    pub fn all() -> Vec<String> {
        let known = tz::db().available().map(|name| name.as_str().to_owned());
        let mut names: Vec<String> =
            known.filter(|name| REGIONS.iter().any(|region| name.starts_with(region))).collect();
        names.sort_unstable();
        names.insert(0, "UTC".to_owned());
        names
    }

    /// The local date and time.
    pub fn local(&self, at: UnixSeconds) -> OffsetDateTime {
        let offset = Timestamp::from_second(at.get()).map_or(0, |moment| self.0.to_offset(moment).seconds());
        let offset = UtcOffset::from_whole_seconds(offset).unwrap_or(UtcOffset::UTC);
        // Within hours of the years 0000 and 9999 another year would begin.
        at.utc().checked_to_offset(offset).unwrap_or_else(|| at.utc())
    }

    /// The local date.
    pub fn date(&self, at: UnixSeconds) -> Date {
        self.local(at).date()
    }

    /// The moment of a local date and time. Of two such moments, when clocks go back, it is the earlier; one that clocks skip moves
    /// forward with them.
    pub fn moment_of(&self, local: PrimitiveDateTime) -> UnixSeconds {
        let (month, day) = (u8::from(local.month()).cast_signed(), local.day().cast_signed());
        let [hour, minute, second] = [local.hour(), local.minute(), local.second()].map(u8::cast_signed);
        let moment = i16::try_from(local.year())
            .ok()
            .and_then(|year| jiff::civil::DateTime::new(year, month, day, hour, minute, second, 0).ok())
            .and_then(|local| self.0.to_timestamp(local).ok());
        moment.map_or_else(|| UnixSeconds::from(local.assume_utc()), |moment| UnixSeconds::new(moment.as_second()))
    }

    /// The start of a local date. If clocks go forward at midnight, that is later than 00:00.
    pub fn start_of(&self, date: Date) -> UnixSeconds {
        let (month, day) = (u8::from(date.month()).cast_signed(), date.day().cast_signed());
        let start = i16::try_from(date.year())
            .ok()
            .and_then(|year| jiff::civil::Date::new(year, month, day).ok())
            .and_then(|date| self.0.to_timestamp(date.at(0, 0, 0, 0)).ok());
        start.map_or_else(
            || UnixSeconds::from(date.midnight().assume_utc()),
            |start| UnixSeconds::new(start.as_second()),
        )
    }
}

impl std::fmt::Display for Zone {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(self.name())
    }
}

/// The first day of the next month; `None` after the last date.
pub fn next_month(date: Date) -> Option<Date> {
    let (year, month) = match date.month() {
        Month::December => (date.year() + 1, Month::January),
        month => (date.year(), month.next()),
    };
    Date::from_calendar_date(year, month, 1).ok()
}

#[cfg(test)]
mod tests {
    use time::macros::{date, datetime};

    use super::*;

    fn zone(name: &str) -> Zone {
        Zone::parse(name).unwrap()
    }

    #[test]
    fn date_depends_on_the_zone() {
        // 2024-03-01T02:30:00Z
        let at = UnixSeconds::new(1_709_260_200);
        assert_eq!(zone("America/New_York").date(at), date!(2024 - 02 - 29));
        assert_eq!(zone("Asia/Tokyo").local(at).hour(), 11);
        assert_eq!(Zone::utc().date(at), date!(2024 - 03 - 01));
    }

    #[test]
    fn label_has_the_offset_of_the_time() {
        let (winter, summer) = (UnixSeconds::new(1_709_260_200), UnixSeconds::new(1_719_793_800));
        for (name, in_winter, in_summer) in [
            ("UTC", "UTC", "UTC"),
            ("Europe/Berlin", "Europe/Berlin (UTC+01:00)", "Europe/Berlin (UTC+02:00)"),
            ("America/St_Johns", "America/St_Johns (UTC-03:30)", "America/St_Johns (UTC-02:30)"),
            ("Africa/Abidjan", "Africa/Abidjan (UTC)", "Africa/Abidjan (UTC)"),
            ("Asia/Kathmandu", "Asia/Kathmandu (UTC+05:45)", "Asia/Kathmandu (UTC+05:45)"),
        ] {
            assert_eq!(
                (zone(name).label(winter), zone(name).label(summer)),
                (in_winter.to_owned(), in_summer.to_owned())
            );
        }
    }

    #[test]
    fn day_starts_at_local_midnight_in_summer_and_winter() {
        let berlin = zone("Europe/Berlin");
        assert_eq!(berlin.start_of(date!(2024 - 07 - 01)).to_string(), "2024-06-30T22:00:00Z");
        assert_eq!(berlin.start_of(date!(2024 - 01 - 01)).to_string(), "2023-12-31T23:00:00Z");
        // Cairo's clocks went forward at that midnight.
        assert_eq!(zone("Africa/Cairo").start_of(date!(2024 - 04 - 26)).to_string(), "2024-04-25T22:00:00Z");
    }

    #[test]
    fn local_time_becomes_a_moment_in_summer_and_winter() {
        let berlin = zone("Europe/Berlin");
        for (local, moment) in [
            (datetime!(2024-03-01 10:00), "2024-03-01T09:00:00Z"),
            (datetime!(2024-07-01 10:00), "2024-07-01T08:00:00Z"),
            // Skipped, and there twice.
            (datetime!(2024-03-31 02:30), "2024-03-31T01:30:00Z"),
            (datetime!(2024-10-27 02:30), "2024-10-27T00:30:00Z"),
        ] {
            assert_eq!(berlin.moment_of(local).to_string(), moment, "{local}");
        }
    }

    #[test]
    fn unknown_zone_is_rejected() {
        for name in
            ["", "Berlin", "Europe/Atlantis", "../etc/passwd", "Europe/../x", "GMT+1", "\0", &"Europe/".repeat(20)]
        {
            assert!(Zone::parse(name).is_none(), "{name:?}");
        }
        assert!(Zone::all().iter().all(|name| Zone::parse(name).is_some()));
    }

    #[test]
    fn earliest_and_latest_times_do_not_panic() {
        for at in [i64::MIN, i64::MAX] {
            zone("Pacific/Auckland").local(UnixSeconds::new(at));
            zone("Pacific/Honolulu").local(UnixSeconds::new(at));
        }
        assert_eq!(next_month(date!(9999 - 12 - 01)), None);
    }
}
