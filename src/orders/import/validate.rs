//! The first pass: reads all orders and lists what is invalid. Nothing is written.

use std::collections::HashSet;

use super::columns::Column;
use super::error::ImportError;
use super::file::ImportFile;
use super::identity::{Identity, identify};
use super::imported::{ImportedOrder, RowPlace};
use super::interrupt::Interrupt;
use super::report::{Finding, FindingList, Findings};
use super::rows::{Assembled, OrderReader, ReadOptions, RowNote, SeenNumbers, file_with_other_encoding};
use super::store::{CHUNK, lookup};
use super::{Event, ImportOptions, Progress, Stage};
use crate::database::{self, Database};

/// The result of the first pass.
pub(super) struct Validated {
    /// Valid orders.
    pub orders: u64,
    /// Numbers of orders whose rows stand apart or in several exports.
    pub repeated: HashSet<String>,
    pub findings: Findings,
}

/// Numbers of orders whose rows were found apart, after a whole pass; or a file that has another encoding.
enum Interruption {
    Repeated(HashSet<String>),
    Encoding(usize),
}

pub(super) struct Validation<'a> {
    pub database: &'a Database,
    pub options: &'a ImportOptions,
    pub interrupt: &'a Interrupt,
}

impl Validation<'_> {
    /// Reads the files; once more if the rows of an order stand apart, or if a file has another encoding than UTF-8.
    pub(super) async fn run(
        &self,
        files: &mut [ImportFile],
        observe: &mut dyn FnMut(Event<'_>),
    ) -> Result<Validated, ImportError> {
        let has_orders = lookup::has_orders(self.database).await?;
        let mut repeated = HashSet::new();
        let mut tried_encodings = HashSet::new();
        loop {
            let pass = Pass { validation: self, files, repeated: &repeated, has_orders };
            match pass.run(&tried_encodings, observe).await? {
                Ok((orders, mut findings)) => {
                    findings.assumptions = files.iter().filter_map(ImportFile::assumptions).collect();
                    return Ok(Validated { orders, repeated, findings });
                }
                Err(Interruption::Repeated(found)) => repeated = found,
                Err(Interruption::Encoding(file)) => {
                    tried_encodings.insert(file);
                    files[file].detect_encoding()?;
                }
            }
        }
    }
}

struct Pass<'a> {
    validation: &'a Validation<'a>,
    files: &'a [ImportFile],
    repeated: &'a HashSet<String>,
    has_orders: bool,
}

impl Pass<'_> {
    async fn run(
        &self,
        tried_encodings: &HashSet<usize>,
        observe: &mut dyn FnMut(Event<'_>),
    ) -> Result<Result<(u64, Findings), Interruption>, ImportError> {
        let options = self.validation.options;
        let reading = ReadOptions { files: self.files, mappings: &options.columns, zone: &options.zone };
        let bytes_total = self.files.iter().map(ImportFile::bytes).sum();
        let mut reader = OrderReader::new(&reading, self.repeated);
        let (mut findings, mut orders, mut groups) = (Findings::default(), 0, 0_u64);
        let (mut seen, mut apart) = (SeenNumbers::default(), HashSet::new());
        let mut chunk = Vec::new();
        while let Some(named) = reader.next()? {
            if let Some(file) = file_with_other_encoding(&named.assembled)
                && !tried_encodings.contains(&file)
            {
                return Ok(Err(Interruption::Encoding(file)));
            }
            if let Some(number) = named.number
                && !seen.insert(&number)
                && !self.repeated.contains(&number)
            {
                apart.insert(number);
            }
            orders += named.assembled.orders.len() as u64;
            chunk.extend(self.add(named.assembled, &mut findings));
            if chunk.len() >= CHUNK {
                orders -= self.check_identities(&mut chunk, &mut findings).await?;
            }
            groups += 1;
            if groups.is_multiple_of(500) {
                let (stage, bytes_read) = (Stage::Checking, named.bytes_read);
                observe(Event::Progress(Progress { stage, bytes_read, bytes_total, orders }));
                // Lets the runtime handle a signal.
                tokio::task::yield_now().await;
                if self.validation.interrupt.is_requested() {
                    return Err(ImportError::Interrupted);
                }
            }
        }
        orders -= self.check_identities(&mut chunk, &mut findings).await?;
        if apart.is_empty() { Ok(Ok((orders, findings))) } else { Ok(Err(Interruption::Repeated(apart))) }
    }

    /// Adds what was found; returns the valid orders.
    fn add(&self, assembled: Assembled, findings: &mut Findings) -> Vec<ImportedOrder> {
        let push = |list: &mut FindingList, notes: Vec<RowNote>| {
            notes.into_iter().for_each(|note| list.push(self.finding(note)));
        };
        push(&mut findings.invalid, assembled.invalid);
        push(&mut findings.emails, assembled.emails);
        push(&mut findings.damaged, assembled.damaged);
        push(&mut findings.doubled, assembled.doubled);
        findings.invalid_orders += assembled.invalid_orders;
        findings.rounded_amounts += assembled.rounded;
        assembled.orders
    }

    fn finding(&self, note: RowNote) -> Finding {
        let RowPlace { file, line } = note.place;
        let file = self.files[file].name.clone();
        Finding { file, line, column: note.column.map(Column::name), text: note.text }
    }

    /// Lists the orders that would replace another one; returns their number.
    async fn check_identities(
        &self,
        chunk: &mut Vec<ImportedOrder>,
        findings: &mut Findings,
    ) -> Result<u64, ImportError> {
        let chunk = std::mem::take(chunk);
        if !self.has_orders || chunk.is_empty() {
            return Ok(0);
        }
        let orders: Vec<&ImportedOrder> = chunk.iter().collect();
        let (database, shop) = (self.validation.database, self.validation.options.shop.as_str());
        let identities = database
            .read(async |transaction| Ok::<_, database::Error>(identify(transaction, shop, &orders).await?))
            .await?;
        let mut conflicts = 0;
        for (order, identity) in orders.iter().zip(identities) {
            if let Identity::Conflict(stored) = identity {
                conflicts += 1;
                findings.invalid_orders += 1;
                let text = order.conflict_with(stored.placed_at, stored.email.as_deref());
                findings.invalid.push(self.finding(RowNote { place: order.place, column: Some(Column::Name), text }));
            }
        }
        Ok(conflicts)
    }
}
