//! `order-portal backup --every`: a backup at each interval until a signal.
//!
//! The database is opened for each backup and closed again, so that `restore` can replace it in between.

use std::num::NonZeroUsize;
use std::path::PathBuf;
use std::time::{Duration, Instant};

use super::super::{Failure, failed, open};
use super::files::{self, BackupFile};
use super::interval::Interval;
use super::metrics::Metrics;
use crate::clock::Clock;
use crate::config::Config;
use crate::database::{BackupError, Engine};
use crate::private_files::make_private_folder;
use crate::server;

/// After a failed backup, unless the interval is shorter.
const RETRY_AFTER: Duration = Duration::from_secs(300);

pub(super) struct Schedule<'c> {
    pub config: &'c Config,
    pub clock: &'c Clock,
    pub directory: PathBuf,
    pub interval: Interval,
    pub keep: NonZeroUsize,
}

impl Schedule<'_> {
    /// Fails at the start if the database or the directory cannot be used; later failures are logged and tried again.
    pub async fn run(&self) -> Result<(), Failure> {
        open(self.config).await?.close().await;
        if self.config.database_url.engine() == Engine::Postgres {
            return Err(failed(BackupError::Postgres));
        }
        let unusable = |error| failed(format!("cannot use the directory {}: {error}", self.directory.display()));
        make_private_folder(&self.directory).map_err(unusable)?;
        let metrics = Metrics::new().map_err(failed)?;
        let found = files::list(&self.directory).map_err(unusable)?;
        metrics.set_files(&found).and_then(|()| metrics.write(&self.directory)).map_err(unusable)?;
        let wait = self.wait_after(found.last());
        let directory = self.directory.display();
        tracing::info!(%directory, keep = self.keep, first_in_seconds = wait.as_secs(), "scheduled backups started");
        tokio::select! {
            never = self.back_up_forever(wait, &metrics) => match never {},
            () = server::signal() => {
                tracing::info!("scheduled backups stopped");
                Ok(())
            }
        }
    }

    /// A restart does not add a backup before the interval since the newest is over.
    fn wait_after(&self, newest: Option<&BackupFile>) -> Duration {
        let Some(newest) = newest else { return Duration::ZERO };
        let age = self.clock.now().get().saturating_sub(newest.written_at.get());
        // A time in the future is of a clock that was wrong.
        let age = u64::try_from(age).map_or(self.interval.duration(), Duration::from_secs);
        self.interval.duration().saturating_sub(age)
    }

    async fn back_up_forever(&self, first_wait: Duration, metrics: &Metrics) -> std::convert::Infallible {
        let mut next = Instant::now() + first_wait;
        loop {
            tokio::time::sleep_until(next.into()).await;
            let began = Instant::now();
            let wait = match self.back_up(metrics).await {
                Ok(file) => {
                    metrics.set_duration(began.elapsed());
                    tracing::info!(file = %file.display(), ms = began.elapsed().as_millis(), "backup written");
                    self.interval.duration()
                }
                Err(error) => {
                    metrics.count_failure();
                    tracing::error!(error, "backup failed");
                    self.interval.duration().min(RETRY_AFTER)
                }
            };
            if let Err(error) = metrics.write(&self.directory) {
                tracing::error!(%error, "backup.prom not written");
            }
            // From the begin, so that the times of day stay the same.
            next = (began + wait).max(Instant::now());
        }
    }

    async fn back_up(&self, metrics: &Metrics) -> Result<PathBuf, String> {
        let in_words = |failure: Failure| failure.message().to_owned();
        let file = files::path_at(&self.directory, self.clock.now());
        let database = open(self.config).await.map_err(in_words)?;
        let done = database.backup(&file).await;
        database.close().await;
        done.map_err(|error| error.to_string())?;
        let counted = files::prune(&self.directory, self.keep, &file)
            .and_then(|()| files::list(&self.directory))
            .and_then(|files| metrics.set_files(&files));
        counted.map_err(|error| format!("the backup is written, but an older one is not deleted: {error}"))?;
        Ok(file)
    }
}
