//! The second pass: writes the validated orders in transactions that are short enough not to delay customers. Each transaction stores whole
//! orders, so an import that stops between two of them is continued by running it again.

use std::time::{Duration, Instant};

use super::compare::PendingOrder;
use super::error::{ImportError, StopCause};
use super::rows::OrderReader;
use super::store::lease::Lease;
use super::store::{CHUNK, state_changes, write};
use super::validate::Validated;
use super::{Event, ImportSummary, Progress, Run, Stage};
use crate::database::{self, Engine};
use crate::orders::monthly_totals::Changes;

/// The target duration of a transaction, so that it takes at most 300 ms with its commit: on SQLite other writers wait for it, on
/// PostgreSQL they conflict with it.
const TARGET_DURATION: Duration = Duration::from_millis(220);
/// A chunk that would end later than this goes into the next transaction.
const LAST_CHUNK_END: Duration = Duration::from_millis(260);
/// The pause between transactions on SQLite. A waiting writer polls the lock with growing intervals, up to 100 ms: without a longer pause
/// an import would take the lock again before a login does.
pub(super) const SQLITE_PAUSE: Duration = Duration::from_millis(120);
/// Orders in a transaction.
const FIRST_SIZE: usize = 1_000;
const MAX_SIZE: usize = 10_000;
/// A transaction that conflicts with other writes is retried so often before it becomes smaller, and for so long before it fails.
const ATTEMPTS_AT_ONE_SIZE: u32 = 3;
const RETRY_FOR: Duration = Duration::from_secs(60);

pub(super) struct Load<'a> {
    pub run: &'a Run<'a>,
    pub lease: &'a Lease,
}

impl Load<'_> {
    /// The orders that were written, and with an error why not all: [`ImportError::Stopped`].
    pub(super) async fn run(
        &self,
        validated: &Validated,
        observe: &mut dyn FnMut(Event<'_>),
    ) -> (ImportSummary, Result<(), ImportError>) {
        let mut summary = ImportSummary::default();
        let written = self.write_all(validated, &mut summary, observe).await;
        let (loaded, total) = (summary.orders, validated.orders);
        (summary, written.map_err(|cause| ImportError::Stopped { cause, loaded, total }))
    }

    async fn write_all(
        &self,
        validated: &Validated,
        summary: &mut ImportSummary,
        observe: &mut dyn FnMut(Event<'_>),
    ) -> Result<(), StopCause> {
        let bytes_total = self.run.bytes_total();
        let reading = self.run.reading();
        let mut reader = OrderReader::new(&reading, &validated.repeated);
        let mut size = FIRST_SIZE;
        let mut pending: Vec<PendingOrder> = Vec::new();
        let mut last_end: Option<Instant> = None;
        loop {
            while pending.len() < size {
                let next = reader.next().map_err(|error| StopCause::from_second_pass(error, &self.run.file_names()))?;
                let Some(named) = next else { break };
                let bytes = named.bytes_read;
                pending.extend(named.assembled.orders.into_iter().map(|order| PendingOrder::new(order, bytes)));
            }
            if pending.is_empty() {
                return Ok(());
            }
            if let Some(last_end) = last_end
                && self.run.database.engine() == Engine::Sqlite
            {
                tokio::time::sleep(SQLITE_PAUSE.saturating_sub(last_end.elapsed())).await;
            }
            let (written, duration) = self.write_some(&pending).await?;
            last_end = Some(Instant::now());
            let count = usize::try_from(written.orders + written.skipped).unwrap_or(pending.len());
            size = next_size(count, duration);
            summary.add(written);
            if let Some(PendingOrder { bytes_read, .. }) = pending.drain(..count).next_back() {
                let (stage, orders) = (Stage::Loading, summary.orders);
                observe(Event::Progress(Progress { stage, bytes_read, bytes_total, orders }));
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
            if self.run.interrupt.is_requested() {
                return Err(StopCause::Interrupted);
            }
            let done = tokio::select! {
                done = self.write_once(orders) => done,
                () = self.run.interrupt.grace_period_over() => return Err(StopCause::Interrupted),
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
        let (database, comparison) = (self.run.database, self.run.comparison());
        database
            .write_batch(async |transaction| {
                let started = Instant::now();
                if !self.lease.renew(transaction, self.run.clock).await? {
                    return Err(StopCause::LeaseLost);
                }
                let mut written = ImportSummary::default();
                let mut totals = Changes::default();
                for chunk in orders.chunks(CHUNK) {
                    let chunk_started = Instant::now();
                    let changes = comparison.compare(transaction, chunk, &mut written).await?;
                    write::write(transaction, &changes.upserts, &mut totals).await?;
                    if self.run.options.order_mails {
                        state_changes::record(transaction, &changes.upserts).await?;
                    }
                    if started.elapsed() + chunk_started.elapsed() > LAST_CHUNK_END {
                        break;
                    }
                }
                totals.record(transaction).await?;
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
