//! Reads the orders of an import from its files: rows, groups of rows, orders.
//!
//! Rows of one order are mostly contiguous, so orders are parsed one at a time and memory does not grow with the files. An order whose
//! rows stand apart, or that several exports have, is held in memory until the end of the last file.

mod amount;
mod cell;
mod groups;
pub(super) mod header;
mod orders;
mod row;
mod seen_numbers;
mod time_cell;
mod trim;

use std::collections::{HashMap, HashSet, VecDeque};

use super::error::ImportError;
use super::file::ImportFile;
use crate::domain::Zone;
pub(super) use cell::canonical_id;
use groups::{Group, GroupReader};
pub use header::ColumnMapping;
use orders::assemble;
pub(super) use orders::{Assembled, RowNote};
use row::{NOT_UTF_8, Row, RowReader};
pub(super) use seen_numbers::SeenNumbers;

/// How to read the files.
pub(super) struct ReadOptions<'a> {
    pub files: &'a [ImportFile],
    pub mappings: &'a [ColumnMapping],
    pub zone: &'a Zone,
}

/// The orders of one name, or what is invalid about them.
pub(super) struct NamedOrders {
    /// The name without its `#`; `None` when it is invalid.
    pub number: Option<String>,
    pub assembled: Assembled,
    /// Of all files.
    pub bytes_read: u64,
}

/// The orders of all files.
pub(super) struct OrderReader<'a> {
    reading: &'a ReadOptions<'a>,
    repeated: &'a HashSet<String>,
    next_file: usize,
    groups: Option<GroupReader<'a>>,
    /// In the order of their first rows.
    held: VecDeque<(String, Vec<Row>)>,
    held_indexes: HashMap<String, usize>,
    bytes_of_earlier_files: u64,
}

impl<'a> OrderReader<'a> {
    /// The orders of the `repeated` numbers come last.
    pub(super) fn new(reading: &'a ReadOptions<'a>, repeated: &'a HashSet<String>) -> Self {
        let (held, held_indexes) = (VecDeque::new(), HashMap::new());
        Self { reading, repeated, next_file: 0, groups: None, held, held_indexes, bytes_of_earlier_files: 0 }
    }

    pub(super) fn next(&mut self) -> Result<Option<NamedOrders>, ImportError> {
        while let Some(group) = self.next_group()? {
            match group.number {
                Some(number) if self.repeated.contains(&number) => self.hold(number, group.rows),
                number => {
                    let assembled = assemble(&group.rows, self.reading.zone);
                    let bytes_read = self.bytes_of_earlier_files + group.bytes_read;
                    return Ok(Some(NamedOrders { number, assembled, bytes_read }));
                }
            }
        }
        let held = self.held.pop_front();
        Ok(held.map(|(number, rows)| NamedOrders {
            number: Some(number),
            assembled: assemble(&rows, self.reading.zone),
            bytes_read: self.bytes_of_earlier_files,
        }))
    }

    fn next_group(&mut self) -> Result<Option<Group>, ImportError> {
        loop {
            if let Some(groups) = &mut self.groups {
                if let Some(group) = groups.next()? {
                    return Ok(Some(group));
                }
                self.groups = None;
                self.bytes_of_earlier_files += self.reading.files[self.next_file - 1].bytes().unwrap_or(0);
            }
            let Some(file) = self.reading.files.get(self.next_file) else { return Ok(None) };
            self.groups = Some(GroupReader::new(RowReader::open(file, self.next_file, self.reading.mappings)?));
            self.next_file += 1;
        }
    }

    fn hold(&mut self, number: String, mut rows: Vec<Row>) {
        match self.held_indexes.get(&number) {
            Some(index) => self.held[*index].1.append(&mut rows),
            None => {
                self.held_indexes.insert(number.clone(), self.held.len());
                self.held.push_back((number, rows));
            }
        }
    }
}

/// The file with a row that is not UTF-8, if there is one.
pub(super) fn file_with_other_encoding(assembled: &Assembled) -> Option<usize> {
    assembled.invalid.iter().find(|note| note.text == NOT_UTF_8).map(|note| note.place.file)
}
