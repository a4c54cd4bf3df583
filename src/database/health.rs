//! Whether the database is available, from the errors of requests and from a probe.

use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

use super::{Database, Error, error, is_busy};

/// How long a result of [`Database::is_ready`] is cached, so that frequent probes do not cause frequent writes.
const READINESS_TTL: Duration = Duration::from_secs(1);
/// Wait of a probe for other writers.
const PROBE_TIMEOUT: Duration = Duration::from_secs(2);
/// Size of the probe's row: an almost full disk has space for a small row but not for a sign-up.
const PROBE_BYTES: usize = 128 * 1024;

/// Shared by the clones of a [`Database`] and by its connections.
#[derive(Debug)]
pub(super) struct Health {
    location: String,
    seen: Mutex<Seen>,
    /// Time and result of the last probe.
    readiness: tokio::sync::Mutex<Option<(Instant, bool)>>,
}

/// What the errors of requests showed.
#[derive(Clone, Copy, Debug, Default)]
struct Seen {
    /// The last time that the database was unavailable.
    unavailable: Option<Instant>,
    /// The last time that the server was read-only.
    read_only: Option<Instant>,
}

impl Health {
    pub(super) fn new(location: String) -> Self {
        Self { location, seen: Mutex::default(), readiness: tokio::sync::Mutex::default() }
    }

    /// Logs that the database is unavailable, with its location and the cause. The line's span names the request.
    pub(super) fn report(&self, error: &Error) {
        if !error::is_unavailable(error) {
            return;
        }
        tracing::error!(%error, location = self.location, "database unavailable");
        let mut seen = self.seen.lock().unwrap_or_else(PoisonError::into_inner);
        seen.unavailable = Some(Instant::now());
        if error::is_read_only(error) {
            seen.read_only = seen.unavailable;
        }
    }

    fn seen(&self) -> Seen {
        *self.seen.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Whether a connection of that age may still be read-only although the server is not.
    pub(super) fn may_be_read_only(&self, age: Duration) -> bool {
        self.seen().read_only.is_some_and(|seen| age >= seen.elapsed())
    }
}

impl Database {
    /// Whether requests can be served: a row was written, or the writer is busy and a read succeeds. The probe writes because a full
    /// disk and a read-only server still answer reads. The result is cached for a second unless a request fails meanwhile.
    pub async fn is_ready(&self) -> bool {
        let mut readiness = self.health.readiness.lock().await;
        if let Some((probed_at, is_ready)) = *readiness
            && probed_at.elapsed() < READINESS_TTL
            && (!is_ready || self.health.seen().unavailable.is_none_or(|seen| seen < probed_at))
        {
            return is_ready;
        }
        let is_ready = match tokio::time::timeout(PROBE_TIMEOUT, self.check_writable()).await {
            Ok(Ok(())) => true,
            Ok(Err(error)) if !is_busy(&error) => {
                tracing::error!(%error, location = self.health.location, "database not ready");
                false
            }
            Ok(Err(_)) | Err(_) => self.answers().await,
        };
        *readiness = Some((Instant::now(), is_ready));
        is_ready
    }

    async fn answers(&self) -> bool {
        let read = sqlx::query("SELECT 1").fetch_one(self.reader());
        matches!(tokio::time::timeout(PROBE_TIMEOUT, read).await, Ok(Ok(_)))
    }

    /// Writes a row as large as the writes of any request.
    ///
    /// # Errors
    /// The disk is full or read-only; the server is unavailable or read-only.
    pub async fn check_writable(&self) -> Result<(), Error> {
        // SQLite skips a write of equal content.
        let mut differs = [0_u8];
        getrandom::fill(&mut differs).ok();
        let update = "UPDATE write_probe SET writes = writes + 1, filler = $1";
        let written = sqlx::query(update).bind(differs.repeat(PROBE_BYTES)).execute(self.writer()).await?;
        if written.rows_affected() == 0 { Err(Error::RowNotFound) } else { Ok(()) }
    }
}
