//! Loading orders from the export that a shop has: Shopify's, one row per line item.
//!
//! The file is read twice. The first reading checks every row while nobody waits; the second writes all of it in one
//! transaction, so that a bad row leaves nothing behind and the database is held no longer than writing takes. Memory
//! stays flat unless the rows of one order stand apart.

mod error;
mod export;
mod fields;
mod met_numbers;
mod store;

use std::fs::File;
use std::io::{Seek, SeekFrom};
use std::path::PathBuf;

pub use error::ImportError;
use export::{Export, ImportedOrder};

use crate::clock::Clock;
use crate::database::{Database, Transaction};

/// Orders that are written with one set of statements.
const BATCH: usize = 200;

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

/// Loads an export, all or nothing. Orders go to the account that owns their address, if one was shown to.
///
/// # Errors
/// [`ImportError`]: what is wrong, where, and what to do; nothing was loaded then.
pub async fn import(
    database: &Database,
    clock: &Clock,
    source: ImportSource,
    mode: Mode,
    progress: &mut dyn FnMut(Progress),
) -> Result<ImportSummary, ImportError> {
    let (name, file) = open(&source)?;
    let bytes_total = file.metadata().ok().map(|about| about.len());
    let mut check = Reading { name: &name, file: &file, order_is_kept: true };
    let mut orders = 0;
    for order in check.adjacent()? {
        match order {
            Ok((_, bytes_read)) => {
                orders += 1;
                if orders % 500 == 0 {
                    progress(Progress { stage: Stage::Checking, bytes_read, bytes_total, orders });
                }
            }
            Err(ImportError::Scattered) => {
                check.order_is_kept = false;
                break;
            }
            Err(error) => return Err(error),
        }
    }
    let reading = check;
    let gathered = if reading.order_is_kept { Vec::new() } else { reading.gathered()? };
    let load = Load { database, clock, reading: &reading, gathered: &gathered, bytes_total, mode };
    match mode {
        Mode::Load => database.write(async |transaction| load.run(transaction, progress).await).await,
        Mode::DryRun => database.read(async |transaction| load.run(transaction, progress).await).await,
    }
}

/// The second reading.
struct Load<'a> {
    database: &'a Database,
    clock: &'a Clock,
    reading: &'a Reading<'a>,
    gathered: &'a [ImportedOrder],
    bytes_total: Option<u64>,
    mode: Mode,
}

impl Load<'_> {
    async fn run(
        &self,
        transaction: &mut Transaction,
        progress: &mut dyn FnMut(Progress),
    ) -> Result<ImportSummary, ImportError> {
        let mut summary = ImportSummary::default();
        let orders: Box<dyn Iterator<Item = _>> = if self.reading.order_is_kept {
            Box::new(self.reading.adjacent()?)
        } else {
            Box::new(self.gathered.iter().cloned().map(|order| Ok((order, 0))))
        };
        let mut batch = Vec::with_capacity(BATCH);
        for order in orders {
            let (order, bytes_read) = order?;
            summary.orders += 1;
            summary.lines += order.lines.len() as u64;
            batch.push(order);
            if batch.len() == BATCH {
                store::write(self.database, transaction, self.clock, &batch, self.mode, &mut summary).await?;
                batch.clear();
                let (bytes_total, orders) = (self.bytes_total, summary.orders);
                progress(Progress { stage: Stage::Loading, bytes_read, bytes_total, orders });
            }
        }
        store::write(self.database, transaction, self.clock, &batch, self.mode, &mut summary).await?;
        Ok(summary)
    }
}

fn open(source: &ImportSource) -> Result<(String, File), ImportError> {
    match source {
        ImportSource::File(path) => {
            let name = path.display().to_string();
            let file = File::open(path).map_err(|source| ImportError::Unreadable { file: name.clone(), source })?;
            Ok((name, file))
        }
        ImportSource::Stdin => {
            let name = "standard input".to_owned();
            let spool = tempfile::tempfile().and_then(|mut spool| {
                std::io::copy(&mut std::io::stdin().lock(), &mut spool)?;
                Ok(spool)
            });
            spool.map(|spool| (name.clone(), spool)).map_err(|source| ImportError::Unreadable { file: name, source })
        }
    }
}

/// A file that is read from its start as often as needed.
struct Reading<'a> {
    name: &'a str,
    file: &'a File,
    /// Whether the rows of each order stand together.
    order_is_kept: bool,
}

impl<'a> Reading<'a> {
    fn start(&self) -> Result<Export<'a>, ImportError> {
        let mut file = self.file;
        file.seek(SeekFrom::Start(0))
            .map_err(|source| ImportError::Unreadable { file: self.name.to_owned(), source })?;
        Export::open(self.name, file)
    }

    /// Each order, with the bytes read so far; [`ImportError::Scattered`] where rows of one order stand apart.
    fn adjacent(
        &self,
    ) -> Result<impl Iterator<Item = Result<(ImportedOrder, u64), ImportError>> + use<'a>, ImportError> {
        Ok(self.start()?.into_orders())
    }

    /// All orders of a file in which rows of one order stand apart.
    fn gathered(&self) -> Result<Vec<ImportedOrder>, ImportError> {
        self.start()?.gather()
    }
}
