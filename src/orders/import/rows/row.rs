//! Reads a file row by row.

use std::rc::Rc;

use csv::{ByteRecord, ErrorKind, StringRecord};

use super::cell::Cell;
use super::header::{ColumnMapping, Header};
use crate::orders::import::columns::Column;
use crate::orders::import::error::ImportError;
use crate::orders::import::file::{CsvReader, ImportFile, is_file_changed};
use crate::orders::import::imported::RowPlace;

/// Ctrl-Z, which some programs write at the end.
const END_OF_TEXT: &[u8] = b"\x1a";

/// Columns of which only the first row of an order has a value.
const ORDER_COLUMNS: [Column; 5] =
    [Column::Total, Column::Subtotal, Column::FinancialStatus, Column::Currency, Column::Shipping];
const LINE_COLUMNS: [Column; 4] = [Column::LineQuantity, Column::LineName, Column::LinePrice, Column::LineSku];

/// A row that is not empty.
pub(super) struct Row {
    pub place: RowPlace,
    pub header: Rc<Header>,
    /// What makes the whole row invalid.
    pub problem: Option<String>,
    record: StringRecord,
}

impl Row {
    pub(super) fn cell(&self, column: Column) -> Cell<'_> {
        let allows_decimal_comma = self.header.allows_decimal_comma();
        let raw = without_formula(self.header.cell(&self.record, column));
        Cell { column, text: trim(raw), raw, allows_decimal_comma }
    }

    pub(super) fn text(&self, column: Column) -> &str {
        trim(without_formula(self.header.cell(&self.record, column)))
    }

    /// Whether the row has values of the order itself.
    pub(super) fn has_order_values(&self) -> bool {
        // The operator's currency applies to every row.
        ORDER_COLUMNS.iter().any(|column| !self.record_text(*column).is_empty())
    }

    pub(super) fn has_line(&self) -> bool {
        LINE_COLUMNS.iter().any(|column| !self.text(*column).is_empty())
    }

    pub(super) fn is_same_as(&self, other: &Self) -> bool {
        self.record == other.record
    }

    fn record_text(&self, column: Column) -> &str {
        trim(without_formula(self.header.file_cell(&self.record, column)))
    }
}

/// Without white space and invisible characters around it.
fn trim(text: &str) -> &str {
    let trimmed = text.trim();
    if trimmed.is_ascii() {
        return trimmed;
    }
    trimmed.trim_matches(|letter: char| letter.is_whitespace() || is_invisible(letter))
}

/// A text without spaces and invisible characters around it. Tabs and line breaks are part of it.
pub(super) fn without_padding(text: &str) -> &str {
    text.trim_matches(|letter: char| [' ', '\u{a0}'].contains(&letter) || is_invisible(letter))
}

/// Zero-width characters and marks of direction, which texts have that were copied from a page.
fn is_invisible(letter: char) -> bool {
    matches!(letter, '\u{200b}'..='\u{200f}' | '\u{202a}'..='\u{202e}' | '\u{2060}'..='\u{2069}' | '\u{feff}')
}

/// `="1001"` is 1001: some programs write it so that Excel does not parse a number.
fn without_formula(text: &str) -> &str {
    text.strip_prefix("=\"").and_then(|text| text.strip_suffix('"')).unwrap_or(text)
}

/// The rows of one file.
pub(super) struct RowReader<'a> {
    file: &'a ImportFile,
    index: usize,
    mappings: &'a [ColumnMapping],
    reader: CsvReader<'a>,
    header: Option<Rc<Header>>,
    record: ByteRecord,
}

/// What a file has next.
pub(super) enum Next {
    Row(Row),
    /// A header row: another export begins.
    Header,
    End,
}

impl<'a> RowReader<'a> {
    pub(super) fn open(file: &'a ImportFile, index: usize, mappings: &'a [ColumnMapping]) -> Result<Self, ImportError> {
        let reader = file.reader()?;
        Ok(Self { file, index, mappings, reader, header: None, record: ByteRecord::with_capacity(512, 80) })
    }

    pub(super) fn bytes_read(&self) -> u64 {
        self.reader.position().byte()
    }

    pub(super) fn next(&mut self) -> Result<Next, ImportError> {
        loop {
            let is_row = self.reader.read_byte_record(&mut self.record).map_err(|error| self.read_error(error))?;
            if !is_row {
                return if self.header.is_some() { Ok(Next::End) } else { Err(self.empty()) };
            }
            if self.record.iter().all(|cell| matches!(cell.trim_ascii(), b"" | END_OF_TEXT)) {
                continue;
            }
            let line = self.record.position().map_or(1, csv::Position::line) + self.file.format().skipped_lines;
            let record = std::mem::replace(&mut self.record, ByteRecord::with_capacity(512, 80));
            return self.parse(record, line);
        }
    }

    fn parse(&mut self, record: ByteRecord, line: u64) -> Result<Next, ImportError> {
        let place = RowPlace { file: self.index, line };
        let (record, is_text) = match StringRecord::from_byte_record(record) {
            Ok(record) => (record, true),
            Err(error) => (StringRecord::from_byte_record_lossy(error.into_byte_record()), false),
        };
        let Some(header) = self.header.clone().filter(|header| !header.is_header_row(&record)) else {
            self.header = Some(Rc::new(Header::parse(self.file, line, &record, self.mappings)?));
            return Ok(Next::Header);
        };
        if !is_text {
            return Ok(Next::Row(Row { place, header, problem: Some(NOT_UTF_8.to_owned()), record }));
        }
        let problem = self.structure_problem(&record, &header);
        Ok(Next::Row(Row { place, header, problem, record }))
    }

    /// A row may be shorter than the header. Cells beyond it are ignored when they are empty.
    fn structure_problem(&self, record: &StringRecord, header: &Header) -> Option<String> {
        let (cells, expected) = (record.len(), header.cells());
        if !record.is_empty() && record.iter().all(|cell| !cell.is_empty() && cell.trim_matches('\0').is_empty()) {
            return Some(
                "the file has only NUL characters from here on: it is damaged; download the export again".to_owned(),
            );
        }
        let last = record.iter().next_back().unwrap_or_default();
        let is_cut = cells < expected && last.contains(['\n', '\r']);
        if is_cut || record.iter().any(|cell| self.contains_rows(cell, expected)) {
            return Some("a quote (\") opens in this row and is not closed; close it or remove it".to_owned());
        }
        let has_surplus = record.iter().skip(expected).any(|cell| !cell.trim().is_empty());
        has_surplus.then(|| {
            format!("the row has {cells} cells where the first has {expected}; check its quotes and separators")
        })
    }

    /// Whether the cell has further rows of the file in it.
    fn contains_rows(&self, cell: &str, expected: usize) -> bool {
        const MIN_SEPARATORS: usize = 6;
        let delimiter = char::from(self.file.format().delimiter);
        let is_row = |line: &str| line.matches(delimiter).count() >= MIN_SEPARATORS.max(expected / 2);
        cell.contains(['\n', '\r']) && cell.split(['\n', '\r']).skip(1).any(is_row)
    }

    fn empty(&self) -> ImportError {
        ImportError::Empty { file: self.file.name.clone() }
    }

    fn read_error(&self, error: csv::Error) -> ImportError {
        let file = self.file.name.clone();
        match error.into_kind() {
            ErrorKind::Io(source) if is_file_changed(&source) => ImportError::Changed { file },
            ErrorKind::Io(source) => ImportError::Unreadable { file, source },
            kind => ImportError::Unreadable { file, source: std::io::Error::other(format!("{kind:?}")) },
        }
    }
}

/// The problem of a row that is not UTF-8. When a file has it, another encoding is tried first.
pub(super) const NOT_UTF_8: &str = "the row is not UTF-8 text; save the file as UTF-8";
