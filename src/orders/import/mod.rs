//! Imports orders from the exports of a shop: Shopify's CSV, one row per line item, and what other shops and programs make of it.
//!
//! | module | purpose |
//! |---|---|
//! | `file/` | one file: its kind, encoding, separator |
//! | `rows/` | rows of CSV, their cells, the orders that they make |
//! | `columns.rs`, `fields.rs`, `layouts.rs` | the columns that are read, the fields of an order, files of other programs |
//! | `validate.rs` | the first pass |
//! | `identity.rs`, `merge.rs`, `compare.rs` | which stored order an imported one is, and what changes |
//! | `load.rs`, `store/` | the second pass: transactions, tables |
//! | `order_mails.rs` | mail about what changed |
//! | `report.rs` | the summary and the lists of findings |
//!
//! The files are read twice. The first pass validates every row, so that an invalid file changes nothing. The second pass writes, in short
//! transactions that do not delay customers, under a lease that excludes other imports. An import that stops leaves whole orders, and
//! the same command continues it. Memory use does not depend on the files' size, except for orders whose rows are not contiguous.
//!
//! Invariants: an order never replaces another one (`identity.rs`); a column that a file does not have leaves the stored value alone
//! (`merge.rs`); a dry run reports what the load does, because both compare with the same code (`compare.rs`).

mod columns;
mod compare;
mod error;
mod fields;
mod file;
mod identity;
mod imported;
mod interrupt;
mod layouts;
mod load;
mod merge;
pub(super) mod metrics;
mod order_mails;
mod quote;
mod report;
mod rows;
mod samples;
pub(super) mod store;
mod validate;

use std::path::PathBuf;
use std::time::Instant;

use compare::{Comparison, PendingOrder};
pub use error::{ImportError, StopCause};
use file::ImportFile;
pub(super) use imported::ImportedOrder;
use interrupt::Interrupt;
use load::Load;
pub use report::{ChangeList, FileReport, Finding, FindingList, Findings, ImportReport, ImportSummary, OrderChange};
pub use rows::ColumnMapping;
use rows::{OrderReader, ReadOptions};
pub(super) use samples::parse_samples;
pub(super) use store::history::delete_old as delete_old_imports;
pub use store::history::{PastImport, past_imports};
use store::{CHUNK, history, lease, write};
use validate::{Validated, Validation};

use crate::clock::Clock;
use crate::database::Database;
use crate::domain::Zone;

/// From so many written orders on, the tables are vacuumed.
const VACUUM_THRESHOLD: u64 = 1_000;

#[derive(Clone, Debug, PartialEq, Eq)]
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

#[derive(Clone, Debug)]
pub struct ImportOptions {
    pub mode: ImportMode,
    /// Loads the valid orders of files with invalid rows.
    pub skip_invalid: bool,
    /// Tells several shops apart; the only one has no name.
    pub shop: ShopName,
    pub columns: Vec<ColumnMapping>,
    /// The zone of times without an offset.
    pub zone: Zone,
    /// Whether customers get mail about orders whose state changes (`ORDER_MAILS`).
    pub order_mails: bool,
}

/// The name of a shop, as `--shop` gives it and as customers with orders of several shops see it.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ShopName(String);

impl ShopName {
    /// Up to 100 printable characters.
    pub fn parse(text: &str) -> Option<Self> {
        let text = text.trim();
        let is_printable = !text.chars().any(char::is_control);
        (is_printable && (1..=100).contains(&text.chars().count())).then(|| Self(text.to_owned()))
    }

    pub fn as_str(&self) -> &str {
        &self.0
    }
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

/// What happens during an import.
pub enum Event<'a> {
    Progress(Progress),
    /// The first pass has ended.
    Validated(&'a Findings),
}

/// Imports exports: nothing of files with an invalid row unless these orders are to be skipped, else all of them unless it is stopped.
/// The owner of an order is the user with the verified email of the order, if there is one.
///
/// # Errors
/// [`ImportError`]
pub async fn import(
    database: &Database,
    clock: &Clock,
    sources: &[ImportSource],
    options: &ImportOptions,
    observe: &mut dyn FnMut(Event<'_>),
) -> Result<ImportReport, ImportError> {
    let started = Instant::now();
    if options.mode == ImportMode::Load {
        lease::check_available(database, clock.now()).await?;
    }
    let mut files = sources.iter().map(ImportFile::open).collect::<Result<Vec<_>, _>>()?;
    // Not earlier: while standard input is copied, a signal must end the process.
    let interrupt = Interrupt::listen();
    let validated = Validation { database, options, interrupt: &interrupt }.run(&mut files, observe).await?;
    observe(Event::Validated(&validated.findings));
    if validated.findings.invalid.count > 0 && !options.skip_invalid {
        let (problems, orders) = (validated.findings.invalid.count, validated.findings.invalid_orders);
        return Err(ImportError::Invalid { problems, orders, is_dry_run: options.mode == ImportMode::DryRun });
    }
    let invalid_orders = validated.findings.invalid_orders;
    let run = Run { database, clock, options, files: &files, interrupt: &interrupt };
    let (mut summary, changes) = match options.mode {
        ImportMode::Load => (run.load(&validated, observe).await?, ChangeList::default()),
        ImportMode::DryRun => run.compare(&validated, observe).await?,
    };
    // Orders that another one excludes were counted twice.
    summary.skipped = invalid_orders;
    Ok(ImportReport { summary, files: run.file_reports(), duration: started.elapsed(), changes })
}

/// The second pass of an import.
struct Run<'a> {
    database: &'a Database,
    clock: &'a Clock,
    options: &'a ImportOptions,
    files: &'a [ImportFile],
    interrupt: &'a Interrupt,
}

impl Run<'_> {
    fn reading(&self) -> ReadOptions<'_> {
        ReadOptions { files: self.files, mappings: &self.options.columns, zone: &self.options.zone }
    }

    fn comparison(&self) -> Comparison<'_> {
        Comparison { clock: self.clock, shop: self.options.shop.as_str() }
    }

    fn bytes_total(&self) -> Option<u64> {
        self.files.iter().map(ImportFile::bytes).sum()
    }

    fn file_names(&self) -> String {
        self.files.iter().map(|file| file.name.as_str()).collect::<Vec<_>>().join(", ")
    }

    fn file_reports(&self) -> Vec<FileReport> {
        self.files.iter().map(|file| FileReport { name: file.name.clone(), sha256: file.sha256() }).collect()
    }

    async fn load(
        &self,
        validated: &Validated,
        observe: &mut dyn FnMut(Event<'_>),
    ) -> Result<ImportSummary, ImportError> {
        let started_at = self.clock.now();
        let lease = lease::acquire(self.database, self.clock).await?;
        let loaded = Load { run: self, lease: &lease }.run(validated, observe).await;
        let (summary, result) = loaded;
        let outcome = if result.is_ok() { "done" } else { "stopped" };
        let past = history::NewImport {
            started_at,
            outcome,
            shop: self.options.shop.as_str(),
            files: self.file_reports(),
            summary: ImportSummary { skipped: validated.findings.invalid_orders, ..summary },
        };
        if let Err(error) = history::record(self.database, self.clock, &past).await {
            tracing::warn!(%error, "the import was not added to the list of imports");
        }
        let mails = match (self.options.order_mails, &result) {
            (true, Ok(())) => order_mails::enqueue(self.database, self.clock, &lease, self.interrupt).await,
            (true, Err(_)) => Ok(()),
            (false, _) => order_mails::discard(self.database).await,
        };
        if let Err(error) = mails {
            tracing::warn!(%error, "mail about changed orders was not queued; the next import queues it");
        }
        lease.release(self.database).await;
        result?;
        if summary.new + summary.changed >= VACUUM_THRESHOLD
            && let Err(error) = write::vacuum(self.database).await
        {
            tracing::warn!(%error, "order tables were not vacuumed; pages may be slow until autovacuum has run");
        }
        Ok(summary)
    }

    /// Counts what an import would do, in one snapshot.
    async fn compare(
        &self,
        validated: &Validated,
        observe: &mut dyn FnMut(Event<'_>),
    ) -> Result<(ImportSummary, ChangeList), ImportError> {
        let (reading, comparison) = (self.reading(), self.comparison());
        let mut reader = OrderReader::new(&reading, &validated.repeated);
        let (mut summary, mut changes) = (ImportSummary::default(), ChangeList::default());
        self.database
            .read(async |transaction| {
                loop {
                    let mut chunk: Vec<PendingOrder> = Vec::with_capacity(CHUNK);
                    // Orders of one number are compared together, as the load does.
                    while chunk.len() < CHUNK
                        && let Some(named) = reader.next()?
                    {
                        let bytes = named.bytes_read;
                        chunk.extend(named.assembled.orders.into_iter().map(|order| PendingOrder::new(order, bytes)));
                    }
                    let Some(PendingOrder { bytes_read, .. }) = chunk.last() else {
                        return Ok((summary, std::mem::take(&mut changes)));
                    };
                    changes.extend(comparison.compare(transaction, &chunk, &mut summary).await?.changes);
                    let (stage, bytes_read, bytes_total) = (Stage::Loading, *bytes_read, self.bytes_total());
                    observe(Event::Progress(Progress { stage, bytes_read, bytes_total, orders: summary.orders }));
                    if self.interrupt.is_requested() {
                        return Err(ImportError::Interrupted);
                    }
                }
            })
            .await
    }
}
