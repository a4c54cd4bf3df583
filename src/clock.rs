//! Time and ids. No other module reads the system clock, so that tests can set the time.

use std::fmt;
use std::ops::{Add, Sub};
use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};
use std::time::Duration;

use serde::{Deserialize, Serialize};
use time::OffsetDateTime;
use uuid::{ContextV7, Timestamp, Uuid};

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

/// The current time, and ids that sort by it.
#[derive(Clone)]
pub struct Clock {
    source: Source,
    ids: Arc<std::sync::Mutex<ContextV7>>,
}

#[derive(Clone)]
enum Source {
    System,
    Set(Arc<AtomicI64>),
}

impl Clock {
    /// The system clock.
    pub fn system() -> Self {
        Self::from_source(Source::System)
    }

    /// A clock for tests. It stays at `now` until [`advance`](Self::advance); clones share it.
    pub fn set_to(now: UnixSeconds) -> Self {
        Self::from_source(Source::Set(Arc::new(AtomicI64::new(now.get()))))
    }

    fn from_source(source: Source) -> Self {
        Self { source, ids: Arc::new(std::sync::Mutex::new(ContextV7::new())) }
    }

    /// The current time.
    pub fn now(&self) -> UnixSeconds {
        UnixSeconds::new(self.seconds_and_nanoseconds().0)
    }

    /// Advances a clock made by [`set_to`](Self::set_to); does nothing to the system clock.
    pub fn advance(&self, seconds: i64) {
        if let Source::Set(now) = &self.source {
            now.fetch_add(seconds, Ordering::SeqCst);
        }
    }

    /// A new UUID version 7 (RFC 9562 section 5.7) as lower-case text. Ids of one process sort by their creation.
    pub fn new_id(&self) -> String {
        let (seconds, nanoseconds) = self.seconds_and_nanoseconds();
        let context = self.ids.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
        let timestamp = Timestamp::from_unix(&*context, seconds.unsigned_abs(), nanoseconds);
        Uuid::new_v7(timestamp).to_string()
    }

    fn seconds_and_nanoseconds(&self) -> (i64, u32) {
        match &self.source {
            Source::System => {
                let now = OffsetDateTime::now_utc();
                (now.unix_timestamp(), now.nanosecond())
            }
            Source::Set(now) => (now.load(Ordering::SeqCst), 0),
        }
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

    #[test]
    fn set_clock_advances_with_its_clones() {
        let clock = Clock::set_to(UnixSeconds::new(1000));
        let clone = clock.clone();
        clock.advance(30);
        assert_eq!(clone.now(), UnixSeconds::new(1030));
    }

    #[test]
    fn ids_sort_by_creation() {
        let clock = Clock::set_to(UnixSeconds::new(1_700_000_000));
        let ids: Vec<String> = (0..2000).map(|_| clock.new_id()).collect();
        assert!(ids.is_sorted());
        assert!(ids.windows(2).all(|pair| pair[0] != pair[1]));
    }
}
