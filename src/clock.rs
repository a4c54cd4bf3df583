//! Time and ids. No other module reads the system clock, so that tests can set the time.

use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};

use time::OffsetDateTime;
use uuid::{ContextV7, Timestamp, Uuid};

use crate::domain::UnixSeconds;

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
