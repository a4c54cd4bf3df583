//! Imports orders from a shop's export: Shopify's CSV, one row per line item.
//!
//! The file is read twice. The first pass validates every row, so that an invalid file changes nothing. The second pass writes, in short
//! transactions that do not delay customers, under a lease that excludes other imports. An import that stops leaves whole orders, and
//! the same command continues it. Memory use does not depend on the file's size, unless the rows of one order are not contiguous.

mod blocks;
mod error;
mod export;
mod fields;
mod file;
mod interrupt;
mod load;
mod seen_numbers;
mod store;

use std::path::PathBuf;

pub use error::{ImportError, StopCause};
use export::ImportedOrder;
use file::ImportFile;
use interrupt::Interrupt;
use load::Load;
use store::{CHUNK, PendingOrder, lease};

use crate::clock::Clock;
use crate::database::Database;

/// From so many written orders on, the tables are vacuumed.
const VACUUM_THRESHOLD: u64 = 1_000;

#[derive(Clone, Debug)]
pub enum ImportSource {
    File(PathBuf),
    /// Standard input, copied to a temporary file because it is read twice.
    Stdin,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ImportMode {
    Load,
    /// Validates and compares, but writes nothing.
    DryRun,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Stage {
    Checking,
    Loading,
}

#[derive(Clone, Copy, Debug)]
pub struct Progress {
    pub stage: Stage,
    /// Of the current stage.
    pub bytes_read: u64,
    pub bytes_total: Option<u64>,
    pub orders: u64,
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct ImportSummary {
    pub orders: u64,
    pub lines: u64,
    pub new: u64,
    pub changed: u64,
    pub unchanged: u64,
}

impl ImportSummary {
    fn add(&mut self, other: Self) {
        self.orders += other.orders;
        self.lines += other.lines;
        self.new += other.new;
        self.changed += other.changed;
        self.unchanged += other.unchanged;
    }
}

/// Imports an export: nothing of a file with an invalid row, else all of it unless it is stopped. The owner of an order is the user with
/// the verified email of the order, if there is one.
///
/// # Errors
/// [`ImportError`]
pub async fn import(
    database: &Database,
    clock: &Clock,
    source: ImportSource,
    mode: ImportMode,
    progress: &mut dyn FnMut(Progress),
) -> Result<ImportSummary, ImportError> {
    if mode == ImportMode::Load {
        lease::check_available(database, clock.now()).await?;
    }
    let file = ImportFile::open(&source)?;
    // Not earlier: while standard input is copied, a signal must end the process.
    let interrupt = Interrupt::listen();
    let validated = validate(&file, &interrupt, progress).await?;
    match mode {
        ImportMode::Load => load(database, clock, &file, validated, &interrupt, progress).await,
        ImportMode::DryRun => compare(database, clock, &file, validated, &interrupt, progress).await,
    }
}

/// The result of the first pass.
struct Validated {
    orders: u64,
    /// All orders, if the rows of one are not contiguous; else the second pass reads them from the file.
    buffered: Option<Vec<ImportedOrder>>,
}

async fn validate(
    file: &ImportFile,
    interrupt: &Interrupt,
    progress: &mut dyn FnMut(Progress),
) -> Result<Validated, ImportError> {
    let bytes_total = file.bytes();
    let mut orders = 0;
    for order in file.orders()? {
        match order {
            Ok((_, bytes_read)) => {
                orders += 1;
                if orders % 500 == 0 {
                    progress(Progress { stage: Stage::Checking, bytes_read, bytes_total, orders });
                    // Lets the runtime handle a signal.
                    tokio::task::yield_now().await;
                    if interrupt.is_requested() {
                        return Err(ImportError::Interrupted);
                    }
                }
            }
            Err(ImportError::NonContiguousRows) => {
                let orders = file.read_all()?;
                return Ok(Validated { orders: orders.len() as u64, buffered: Some(orders) });
            }
            Err(error) => return Err(error),
        }
    }
    Ok(Validated { orders, buffered: None })
}

type Orders<'a> = Box<dyn Iterator<Item = Result<(ImportedOrder, u64), ImportError>> + 'a>;

impl Validated {
    /// The orders for the second pass.
    fn into_orders(self, file: &ImportFile) -> Result<Orders<'_>, ImportError> {
        match self.buffered {
            Some(orders) => Ok(Box::new(orders.into_iter().map(|order| Ok((order, 0))))),
            None => Ok(Box::new(file.orders()?)),
        }
    }
}

async fn load(
    database: &Database,
    clock: &Clock,
    file: &ImportFile,
    validated: Validated,
    interrupt: &Interrupt,
    progress: &mut dyn FnMut(Progress),
) -> Result<ImportSummary, ImportError> {
    let lease = lease::acquire(database, clock).await?;
    let load = Load { database, clock, lease: &lease, interrupt, file };
    let loaded = load.run(validated, progress).await;
    lease.release(database).await;
    let summary = loaded?;
    if summary.new + summary.changed >= VACUUM_THRESHOLD
        && let Err(error) = store::vacuum(database).await
    {
        tracing::warn!(%error, "order tables were not vacuumed; pages may be slow until autovacuum has run");
    }
    Ok(summary)
}

/// Counts what an import would do, in one snapshot.
async fn compare(
    database: &Database,
    clock: &Clock,
    file: &ImportFile,
    validated: Validated,
    interrupt: &Interrupt,
    progress: &mut dyn FnMut(Progress),
) -> Result<ImportSummary, ImportError> {
    let bytes_total = file.bytes();
    let mut orders = validated.into_orders(file)?;
    let mut summary = ImportSummary::default();
    database
        .read(async |transaction| {
            loop {
                let mut chunk = Vec::with_capacity(CHUNK);
                for order in orders.by_ref().take(CHUNK) {
                    let (order, bytes_read) = order?;
                    chunk.push(PendingOrder::new(order, bytes_read));
                }
                let Some(PendingOrder { bytes_read, .. }) = chunk.last() else { return Ok(summary) };
                let (bytes_read, stage) = (*bytes_read, Stage::Loading);
                store::compare(database, transaction, clock, &chunk, &mut summary).await?;
                progress(Progress { stage, bytes_read, bytes_total, orders: summary.orders });
                if interrupt.is_requested() {
                    return Err(ImportError::Interrupted);
                }
            }
        })
        .await
}
