//! Loading orders from the export that a shop has: Shopify's, one row per line item.
//!
//! The file is read twice. The first pass validates every row, so that a bad one leaves nothing behind; the second writes, in short
//! transactions beside customers and under a lease that keeps other imports out. An import that stops between two transactions leaves
//! whole orders, and the same file again writes the rest. Memory stays flat unless the rows of one order stand apart.

mod blocks;
mod error;
mod export;
mod fields;
mod file;
mod interrupt;
mod load;
mod met_numbers;
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

/// After so many written orders PostgreSQL looks at the tables again.
const LARGE: u64 = 1_000;

/// Where the export comes from.
#[derive(Clone, Debug)]
pub enum ImportSource {
    /// A file.
    File(PathBuf),
    /// Standard input, kept in a temporary file while it is read twice.
    Stdin,
}

/// Whether anything is to be written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Mode {
    /// Orders are written.
    Load,
    /// Everything is read and compared, and nothing is written.
    DryRun,
}

/// What the import is doing.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Stage {
    /// Reading and checking every row.
    Checking,
    /// Writing orders.
    Loading,
}

/// How far the import is.
#[derive(Clone, Copy, Debug)]
pub struct Progress {
    /// What is being done.
    pub stage: Stage,
    /// Bytes read in this stage.
    pub bytes_read: u64,
    /// Bytes to read in this stage, if known.
    pub bytes_total: Option<u64>,
    /// Orders that were met in this stage.
    pub orders: u64,
}

/// What an import did.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct ImportSummary {
    /// Orders in the file.
    pub orders: u64,
    /// Lines in the file.
    pub lines: u64,
    /// Orders that were not there before.
    pub new: u64,
    /// Orders that the file says something else about than before.
    pub changed: u64,
    /// Orders that are as they were.
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

/// Loads an export: nothing of a file with an invalid row, else all of it unless it is stopped. Orders go to the account that owns their
/// address, if one was shown to.
///
/// # Errors
/// [`ImportError`]: what is wrong, where, and what to do.
pub async fn import(
    database: &Database,
    clock: &Clock,
    source: ImportSource,
    mode: Mode,
    progress: &mut dyn FnMut(Progress),
) -> Result<ImportSummary, ImportError> {
    if mode == Mode::Load {
        lease::refuse_second(database, clock.now()).await?;
    }
    let file = ImportFile::open(&source)?;
    // Not before: standard input may never end, and a signal must.
    let interrupt = Interrupt::listen();
    let validated = validate(&file, &interrupt, progress).await?;
    match mode {
        Mode::Load => load(database, clock, &file, validated, &interrupt, progress).await,
        Mode::DryRun => compare(database, clock, &file, validated, &interrupt, progress).await,
    }
}

/// What the first pass found.
struct Validated {
    orders: u64,
    /// All orders, when rows of one stand apart; else they are read again.
    gathered: Option<Vec<ImportedOrder>>,
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
                    // The runtime sees a signal when it gets its turn.
                    tokio::task::yield_now().await;
                    if interrupt.is_requested() {
                        return Err(ImportError::Interrupted);
                    }
                }
            }
            Err(ImportError::Scattered) => {
                let gathered = file.gather()?;
                return Ok(Validated { orders: gathered.len() as u64, gathered: Some(gathered) });
            }
            Err(error) => return Err(error),
        }
    }
    Ok(Validated { orders, gathered: None })
}

type Orders<'a> = Box<dyn Iterator<Item = Result<(ImportedOrder, u64), ImportError>> + 'a>;

impl Validated {
    /// The orders once more.
    fn into_orders(self, file: &ImportFile) -> Result<Orders<'_>, ImportError> {
        match self.gathered {
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
    if summary.new + summary.changed >= LARGE
        && let Err(error) = store::vacuum(database).await
    {
        tracing::warn!(%error, "the tables of orders were not vacuumed; pages may be slow until autovacuum has run");
    }
    Ok(summary)
}

/// Counts what an import would do, in one look at the data.
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
