//! Whether the database can be used: what errors tell in passing, and what a probe finds out.

use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

use super::{Database, Error, error, is_busy};

/// How long an answer of [`Database::is_ready`] holds: nobody makes the database write more often by asking.
const READINESS_HOLDS: Duration = Duration::from_secs(1);
/// How long a probe waits for other writers.
const PROBE_TIMEOUT: Duration = Duration::from_secs(2);
/// What a probe writes: the last free kilobytes of a disk take a small row and no sign-up.
const PROBE_BYTES: usize = 128 * 1024;

/// Shared by the clones of a [`Database`] and by its connections.
#[derive(Debug)]
pub(super) struct Health {
    /// The file or server, for the log.
    location: String,
    seen: Mutex<Seen>,
    /// When readiness was last looked at, and what was found.
    readiness: tokio::sync::Mutex<Option<(Instant, bool)>>,
}

/// What errors told in passing.
#[derive(Clone, Copy, Debug, Default)]
struct Seen {
    /// When the database last could not be used.
    unavailable: Option<Instant>,
    /// When the server last refused to write because it is read-only.
    read_only: Option<Instant>,
}

impl Health {
    pub(super) fn new(location: String) -> Self {
        Self { location, seen: Mutex::default(), readiness: tokio::sync::Mutex::default() }
    }

    /// Says in the log which database cannot be used, and why. What the request was is in the line's span.
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

    /// Whether a connection of that age may be read-only though the server no longer is.
    pub(super) fn may_be_read_only(&self, age: Duration) -> bool {
        self.seen().read_only.is_some_and(|seen| age >= seen.elapsed())
    }
}

impl Database {
    /// Whether requests can be served: a row was written, or the writer is merely busy and reads are answered. Writing is part of it because
    /// a full disk and a server that turned read-only answer every read. An answer holds for a second, whoever asks, unless a
    /// request meets a fault.
    pub async fn is_ready(&self) -> bool {
        let mut readiness = self.health.readiness.lock().await;
        if let Some((looked_at, is_ready)) = *readiness
            && looked_at.elapsed() < READINESS_HOLDS
            && (!is_ready || self.health.seen().unavailable.is_none_or(|seen| seen < looked_at))
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

    /// Writes one row for nobody, as large as what a request writes at most.
    ///
    /// # Errors
    /// What the driver says: the disk is full or read-only, the server is away or read-only.
    pub async fn check_writable(&self) -> Result<(), Error> {
        // SQLite does not write again what is there already.
        let mut differs = [0_u8];
        getrandom::fill(&mut differs).ok();
        let update = "UPDATE write_probe SET writes = writes + 1, filler = $1";
        let written = sqlx::query(update).bind(differs.repeat(PROBE_BYTES)).execute(self.writer()).await?;
        if written.rows_affected() == 0 { Err(Error::RowNotFound) } else { Ok(()) }
    }
}
