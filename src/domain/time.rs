//! Times and durations in whole seconds, as the database stores them.

use std::fmt;
use std::ops::{Add, Sub};
use std::time::Duration;

use serde::{Deserialize, Serialize};
use time::OffsetDateTime;

/// 9999-12-31T23:59:59Z, the last second of the four-digit years.
const LAST: i64 = 253_402_300_799;
/// 0000-01-01T00:00:00Z.
const FIRST: i64 = -62_167_219_200;

/// Whole seconds since 1970-01-01T00:00:00Z, within the years 0000 to 9999: RFC 7519's `NumericDate`
/// without its fraction. Every time in the database is stored so.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, sqlx::Type)]
#[serde(transparent)]
#[sqlx(transparent)]
pub struct UnixSeconds(i64);

impl UnixSeconds {
    /// Values outside the years 0000 to 9999 are clamped to them.
    pub fn new(seconds: i64) -> Self {
        Self(seconds.clamp(FIRST, LAST))
    }

    /// The number of seconds.
    pub fn get(self) -> i64 {
        self.0
    }

    /// Adds seconds, which may be negative.
    #[must_use]
    pub fn plus(self, seconds: i64) -> Self {
        Self::new(self.0.saturating_add(seconds))
    }

    /// Seconds from `earlier` to this time; negative if `earlier` is later.
    pub fn since(self, earlier: Self) -> i64 {
        self.0.saturating_sub(earlier.0)
    }

    /// As a date and time in UTC.
    pub fn utc(self) -> OffsetDateTime {
        OffsetDateTime::from_unix_timestamp(self.0.clamp(FIRST, LAST)).unwrap_or(OffsetDateTime::UNIX_EPOCH)
    }
}

impl Add<Duration> for UnixSeconds {
    type Output = Self;

    fn add(self, duration: Duration) -> Self {
        self.plus(whole_seconds(duration))
    }
}

impl Sub<Duration> for UnixSeconds {
    type Output = Self;

    fn sub(self, duration: Duration) -> Self {
        self.plus(-whole_seconds(duration))
    }
}

/// A duration as the database stores it.
pub fn whole_seconds(duration: Duration) -> i64 {
    i64::try_from(duration.as_secs()).unwrap_or(i64::MAX)
}

/// A duration of whole days; the standard library has no stable constructor for it.
pub const fn days(days: u64) -> Duration {
    Duration::from_hours(24 * days)
}

impl From<OffsetDateTime> for UnixSeconds {
    fn from(time: OffsetDateTime) -> Self {
        Self::new(time.unix_timestamp())
    }
}

/// RFC 3339 in UTC: `1996-07-04T12:00:00Z`.
impl fmt::Display for UnixSeconds {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let at = self.utc();
        let (year, month, day) = (at.year(), u8::from(at.month()), at.day());
        write!(f, "{year:04}-{month:02}-{day:02}T{:02}:{:02}:{:02}Z", at.hour(), at.minute(), at.second())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn unix_seconds_format_as_rfc_3339() {
        assert_eq!(UnixSeconds::new(836_481_600).to_string(), "1996-07-04T12:00:00Z");
        assert_eq!(UnixSeconds::new(i64::MAX).to_string(), "9999-12-31T23:59:59Z");
        assert_eq!(UnixSeconds::new(i64::MIN).to_string(), "0000-01-01T00:00:00Z");
    }

    #[test]
    fn durations_are_added_and_subtracted_in_whole_seconds() {
        let at = UnixSeconds::new(1000);
        assert_eq!((at + Duration::from_millis(2900)).get(), 1002);
        assert_eq!((at - days(1)).get(), 1000 - 86_400);
        assert_eq!(at + Duration::MAX, UnixSeconds::new(i64::MAX));
    }
}
