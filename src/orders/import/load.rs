//! The second pass: writes what was validated, in transactions so short that customers do not notice. Between two of them the database
//! holds whole orders alone, so an import that stops there is continued by running it again.

use std::time::{Duration, Instant};

use super::error::{ImportError, StopCause};
use super::file::ImportFile;
use super::interrupt::Interrupt;
use super::store::lease::Lease;
use super::store::{self, CHUNK, PendingOrder};
use super::{ImportSummary, Progress, Stage, Validated};
use crate::clock::Clock;
use crate::database::{self, Database, Engine};

/// What a transaction aims at, so that it takes 300 ms at most with its commit: others wait for it on SQLite, and lose to it on
/// PostgreSQL.
const AIM: Duration = Duration::from_millis(220);
/// A chunk that would end later than this is left to the next transaction.
const LAST_CHUNK: Duration = Duration::from_millis(260);
/// SQLite hands its writer to whoever asks first, and those who wait ask less and less often, each tenth of a second in the end: without
/// a pause longer than that an import takes it again and again before a login does.
const SQLITE_PAUSE: Duration = Duration::from_millis(120);
/// Orders in the first transaction, and at most.
const FIRST: usize = 1_000;
const MOST: usize = 10_000;
/// A transaction that loses to other writes is tried again so often before it is made smaller, and for so long before it fails.
const TRIES_AT_ONE_SIZE: u32 = 3;
const TRY_FOR: Duration = Duration::from_secs(60);

/// Writes orders that were validated.
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
        let unreadable = |error| StopCause::of_reading(error, &self.file.name);
        let bytes_total = self.file.bytes();
        let mut orders = validated.into_orders(self.file).map_err(unreadable)?;
        let mut size = FIRST;
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
            let (written, took) = self.write_some(&pending).await?;
            last_end = Some(Instant::now());
            let count = usize::try_from(written.orders).unwrap_or(pending.len());
            size = next_size(count, took);
            summary.add(written);
            if let Some(PendingOrder { bytes_read, .. }) = pending.drain(..count).next_back() {
                progress(Progress { stage: Stage::Loading, bytes_read, bytes_total, orders: summary.orders });
            }
        }
    }

    /// Writes the first of these orders, as many as one transaction takes, and tells how long it took. One that loses to another write is
    /// tried again, after some times with fewer orders, as a shorter one meets fewer others.
    async fn write_some(&self, pending: &[PendingOrder]) -> Result<(ImportSummary, Duration), StopCause> {
        let began = Instant::now();
        let mut orders = pending;
        let mut tries = 0;
        loop {
            if self.interrupt.is_requested() {
                return Err(StopCause::Interrupted);
            }
            let done = tokio::select! {
                done = self.write_once(orders) => done,
                () = self.interrupt.overdue() => return Err(StopCause::Interrupted),
            };
            match done {
                Err(StopCause::Database(error)) if is_passing(&error) && began.elapsed() < TRY_FOR => {
                    tries += 1;
                    if tries >= TRIES_AT_ONE_SIZE {
                        orders = &orders[..orders.len().div_ceil(2)];
                    }
                    tokio::time::sleep(Duration::from_millis(u64::from(10 * tries.min(20)))).await;
                }
                done => return done.map(|(written, began)| (written, began.elapsed())),
            }
        }
    }

    /// Writes what fits into one transaction, and tells when that began: waiting for another one to end is no part of it.
    async fn write_once(&self, orders: &[PendingOrder]) -> Result<(ImportSummary, Instant), StopCause> {
        self.database
            .write_batch(async |transaction| {
                let began = Instant::now();
                if !self.lease.renew(transaction, self.clock).await? {
                    return Err(StopCause::LeaseLost);
                }
                let mut written = ImportSummary::default();
                for chunk in orders.chunks(CHUNK) {
                    let chunk_began = Instant::now();
                    let upserts = store::compare(self.database, transaction, self.clock, chunk, &mut written).await?;
                    store::write(self.database, transaction, &upserts).await?;
                    if began.elapsed() + chunk_began.elapsed() > LAST_CHUNK {
                        break;
                    }
                }
                Ok((written, began))
            })
            .await
    }
}

/// Whether the same may succeed later: another write came first, or the database was too busy to answer.
fn is_passing(error: &database::Error) -> bool {
    database::is_conflict(error) || database::is_busy(error)
}

/// Orders for the next transaction, after one that wrote as many in that time.
fn next_size(written: usize, took: Duration) -> usize {
    let written = u128::try_from(written).unwrap_or(u128::MAX);
    let fitting = written * AIM.as_micros() / took.as_micros().max(1);
    // One that was quicker by chance must not lead to one that takes too long.
    let size = fitting.clamp(1, 2 * written);
    usize::try_from(size).map_or(MOST, |size| size.min(MOST))
}

#[cfg(test)]
mod tests {
    use super::*;

    const LONGEST: Duration = Duration::from_millis(300);

    #[test]
    fn transactions_grow_and_shrink_to_what_they_aim_at() {
        for orders_a_second in [1, 40, 700, 20_000, 5_000_000] {
            let time = |orders: usize| Duration::from_secs_f64(orders as f64 / f64::from(orders_a_second));
            let mut size = FIRST;
            for _ in 0..20 {
                size = next_size(size, time(size));
            }
            assert!(size == 1 || time(size) <= LONGEST, "{orders_a_second} a second: {size}");
            assert!(size == MOST || time(size + 1) >= AIM, "{orders_a_second} a second: {size}");
        }
    }

    #[test]
    fn transaction_after_a_quick_one_is_at_most_twice_as_large() {
        assert_eq!(next_size(100, Duration::ZERO), 200);
        assert_eq!(next_size(1, Duration::from_secs(5)), 1);
    }
}
