//! The second pass: writes the validated orders in transactions that are short enough not to delay customers. Each transaction stores whole
//! orders, so an import that stops between two of them is continued by running it again.

use std::time::{Duration, Instant};

use super::error::{ImportError, StopCause};
use super::file::ImportFile;
use super::interrupt::Interrupt;
use super::store::lease::Lease;
use super::store::{self, CHUNK, PendingOrder};
use super::{ImportSummary, Progress, Stage, Validated};
use crate::clock::Clock;
use crate::database::{self, Database, Engine};
use crate::orders::monthly_totals::Changes;

/// The target duration of a transaction, so that it takes at most 300 ms with its commit: on SQLite other writers wait for it, on
/// PostgreSQL they conflict with it.
const TARGET_DURATION: Duration = Duration::from_millis(220);
/// A chunk that would end later than this goes into the next transaction.
const LAST_CHUNK_END: Duration = Duration::from_millis(260);
/// The pause between transactions on SQLite. A waiting writer polls the lock with growing intervals, up to 100 ms: without a longer pause
/// an import would take the lock again before a login does.
const SQLITE_PAUSE: Duration = Duration::from_millis(120);
/// Orders in a transaction.
const FIRST_SIZE: usize = 1_000;
const MAX_SIZE: usize = 10_000;
/// A transaction that conflicts with other writes is retried so often before it becomes smaller, and for so long before it fails.
const ATTEMPTS_AT_ONE_SIZE: u32 = 3;
const RETRY_FOR: Duration = Duration::from_secs(60);

pub(super) struct Load<'a> {
    pub database: &'a Database,
    pub clock: &'a Clock,
    pub lease: &'a Lease,
    pub interrupt: &'a Interrupt,
    pub file: &'a ImportFile,
}

impl Load<'_> {
    /// # Errors
    /// [`ImportError::Stopped`].
    pub(super) async fn run(
        &self,
        validated: Validated,
        progress: &mut dyn FnMut(Progress),
    ) -> Result<ImportSummary, ImportError> {
        let total = validated.orders;
        let mut summary = ImportSummary::default();
        match self.write_all(validated, &mut summary, progress).await {
            Ok(()) => Ok(summary),
            Err(cause) => Err(ImportError::Stopped { cause, loaded: summary.orders, total }),
        }
    }

    async fn write_all(
        &self,
        validated: Validated,
        summary: &mut ImportSummary,
        progress: &mut dyn FnMut(Progress),
    ) -> Result<(), StopCause> {
        let unreadable = |error| StopCause::from_second_pass(error, &self.file.name);
        let bytes_total = self.file.bytes();
        let mut orders = validated.into_orders(self.file).map_err(unreadable)?;
        let mut size = FIRST_SIZE;
        let mut pending: Vec<PendingOrder> = Vec::new();
        let mut last_end: Option<Instant> = None;
        loop {
            while pending.len() < size {
                let Some(order) = orders.next() else { break };
                let (order, bytes_read) = order.map_err(unreadable)?;
                pending.push(PendingOrder::new(order, bytes_read));
            }
            if pending.is_empty() {
                return Ok(());
            }
            if let Some(last_end) = last_end
                && self.database.engine() == Engine::Sqlite
            {
                tokio::time::sleep(SQLITE_PAUSE.saturating_sub(last_end.elapsed())).await;
            }
            let (written, duration) = self.write_some(&pending).await?;
            last_end = Some(Instant::now());
            let count = usize::try_from(written.orders).unwrap_or(pending.len());
            size = next_size(count, duration);
            summary.add(written);
            if let Some(PendingOrder { bytes_read, .. }) = pending.drain(..count).next_back() {
                progress(Progress { stage: Stage::Loading, bytes_read, bytes_total, orders: summary.orders });
            }
        }
    }

    /// Writes as many of these orders as fit one transaction; returns its duration too. A transaction that conflicts is retried, after
    /// some attempts with fewer orders, because a shorter one conflicts less.
    async fn write_some(&self, pending: &[PendingOrder]) -> Result<(ImportSummary, Duration), StopCause> {
        let started = Instant::now();
        let mut orders = pending;
        let mut attempts = 0;
        loop {
            if self.interrupt.is_requested() {
                return Err(StopCause::Interrupted);
            }
            let done = tokio::select! {
                done = self.write_once(orders) => done,
                () = self.interrupt.grace_period_over() => return Err(StopCause::Interrupted),
            };
            match done {
                Err(StopCause::Database(error)) if is_transient(&error) && started.elapsed() < RETRY_FOR => {
                    attempts += 1;
                    if attempts >= ATTEMPTS_AT_ONE_SIZE {
                        orders = &orders[..orders.len().div_ceil(2)];
                    }
                    tokio::time::sleep(Duration::from_millis(u64::from(10 * attempts.min(20)))).await;
                }
                done => return done.map(|(written, started)| (written, started.elapsed())),
            }
        }
    }

    /// One attempt of one transaction; returns when it began, which excludes the time it waited for the lock.
    async fn write_once(&self, orders: &[PendingOrder]) -> Result<(ImportSummary, Instant), StopCause> {
        self.database
            .write_batch(async |transaction| {
                let started = Instant::now();
                if !self.lease.renew(transaction, self.clock).await? {
                    return Err(StopCause::LeaseLost);
                }
                let mut written = ImportSummary::default();
                let mut changes = Changes::default();
                for chunk in orders.chunks(CHUNK) {
                    let chunk_started = Instant::now();
                    let upserts = store::compare(self.database, transaction, self.clock, chunk, &mut written).await?;
                    store::write(self.database, transaction, &upserts, &mut changes).await?;
                    if started.elapsed() + chunk_started.elapsed() > LAST_CHUNK_END {
                        break;
                    }
                }
                changes.record(transaction).await?;
                Ok((written, started))
            })
            .await
    }
}

/// Whether a retry may succeed: a conflict with another write, or a busy database.
fn is_transient(error: &database::Error) -> bool {
    database::is_conflict(error) || database::is_busy(error)
}

/// The size of the next transaction, from the size and duration of the last.
fn next_size(written: usize, duration: Duration) -> usize {
    let written = u128::try_from(written).unwrap_or(u128::MAX);
    let fitting = written * TARGET_DURATION.as_micros() / duration.as_micros().max(1);
    // A transaction that was fast by chance must not lead to one that takes too long.
    let size = fitting.clamp(1, 2 * written);
    usize::try_from(size).map_or(MAX_SIZE, |size| size.min(MAX_SIZE))
}

#[cfg(test)]
mod tests {
    use super::*;

    const LONGEST: Duration = Duration::from_millis(300);

    #[test]
    fn transaction_size_approaches_the_target_duration() {
        for orders_per_second in [1, 40, 700, 20_000, 5_000_000] {
            let time = |orders: usize| Duration::from_secs_f64(orders as f64 / f64::from(orders_per_second));
            let mut size = FIRST_SIZE;
            for _ in 0..20 {
                size = next_size(size, time(size));
            }
            assert!(size == 1 || time(size) <= LONGEST, "{orders_per_second} per second: {size}");
            assert!(size == MAX_SIZE || time(size + 1) >= TARGET_DURATION, "{orders_per_second} per second: {size}");
        }
    }

    #[test]
    fn transaction_is_at_most_twice_as_large_as_the_last() {
        assert_eq!(next_size(100, Duration::ZERO), 200);
        assert_eq!(next_size(1, Duration::from_secs(5)), 1);
    }
}
