//! Time. The only caller of the system clock; tests set the time instead of waiting for it.

use std::fmt;
use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};

use serde::{Deserialize, Serialize};
use time::OffsetDateTime;
use uuid::{ContextV7, Timestamp, Uuid};

/// The last second that a calendar with four-digit years knows: 9999-12-31T23:59:59Z.
const LAST: i64 = 253_402_300_799;
/// The first second of the year 0000, likewise.
const FIRST: i64 = -62_167_219_200;

/// Whole seconds since 1970-01-01T00:00:00Z, within the years 0000 to 9999: RFC 7519's `NumericDate`
/// without its fraction, and how every time stands in the database.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, sqlx::Type)]
#[serde(transparent)]
#[sqlx(transparent)]
pub struct UnixSeconds(i64);

impl UnixSeconds {
    /// The moment that lies `seconds` after 1970-01-01T00:00:00Z; moments outside the years 0000 to 9999
    /// are moved to the nearest one inside.
    pub fn new(seconds: i64) -> Self {
        Self(seconds.clamp(FIRST, LAST))
    }

    /// Seconds since 1970-01-01T00:00:00Z.
    pub fn get(self) -> i64 {
        self.0
    }

    /// The moment `seconds` later; earlier when negative.
    #[must_use]
    pub fn plus(self, seconds: i64) -> Self {
        Self::new(self.0.saturating_add(seconds))
    }

    /// Seconds from `earlier` to this moment; negative when it lies before.
    pub fn since(self, earlier: Self) -> i64 {
        self.0.saturating_sub(earlier.0)
    }

    /// The same moment as a calendar date and time in UTC.
    pub fn utc(self) -> OffsetDateTime {
        OffsetDateTime::from_unix_timestamp(self.0.clamp(FIRST, LAST)).unwrap_or(OffsetDateTime::UNIX_EPOCH)
    }
}

impl From<OffsetDateTime> for UnixSeconds {
    fn from(moment: OffsetDateTime) -> Self {
        Self::new(moment.unix_timestamp())
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

/// Tells the time and makes ids that sort by it.
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
    /// The computer's own clock.
    pub fn system() -> Self {
        Self::from_source(Source::System)
    }

    /// A clock that stands still at `now` until [`advance`](Self::advance) moves it. Clones move together.
    pub fn set_to(now: UnixSeconds) -> Self {
        Self::from_source(Source::Set(Arc::new(AtomicI64::new(now.get()))))
    }

    fn from_source(source: Source) -> Self {
        Self { source, ids: Arc::new(std::sync::Mutex::new(ContextV7::new())) }
    }

    /// This moment.
    pub fn now(&self) -> UnixSeconds {
        UnixSeconds::new(self.seconds_and_nanoseconds().0)
    }

    /// Moves a clock made by [`set_to`](Self::set_to); the system's own clock is left alone.
    pub fn advance(&self, seconds: i64) {
        if let Source::Set(now) = &self.source {
            now.fetch_add(seconds, Ordering::SeqCst);
        }
    }

    /// A new id: UUID version 7 (RFC 9562 section 5.7) as lower-case text. Ids of one process sort in the order in
    /// which they were made.
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
    fn a_moment_is_written_as_rfc_3339() {
        assert_eq!(UnixSeconds::new(836_481_600).to_string(), "1996-07-04T12:00:00Z");
        assert_eq!(UnixSeconds::new(i64::MAX).to_string(), "9999-12-31T23:59:59Z");
        assert_eq!(UnixSeconds::new(i64::MIN).to_string(), "0000-01-01T00:00:00Z");
    }

    #[test]
    fn a_set_clock_moves_only_when_told_and_its_clones_move_with_it() {
        let clock = Clock::set_to(UnixSeconds::new(1000));
        let clone = clock.clone();
        clock.advance(30);
        assert_eq!(clone.now(), UnixSeconds::new(1030));
    }

    #[test]
    fn ids_sort_in_the_order_in_which_they_were_made() {
        let clock = Clock::set_to(UnixSeconds::new(1_700_000_000));
        let ids: Vec<String> = (0..2000).map(|_| clock.new_id()).collect();
        assert!(ids.is_sorted());
        assert!(ids.windows(2).all(|pair| pair[0] != pair[1]));
    }
}
