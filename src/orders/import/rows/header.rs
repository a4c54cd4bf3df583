//! The header row: which cell has which column.

use csv::StringRecord;

use crate::domain::Currency;
use crate::orders::import::columns::{Column, ColumnSet, is_known_name, normalize};
use crate::orders::import::error::ImportError;
use crate::orders::import::file::ImportFile;
use crate::orders::import::layouts;

/// The operator's `--column OURS=THEIRS`.
#[derive(Clone, Debug)]
pub struct ColumnMapping {
    column: Column,
    theirs: String,
}

impl ColumnMapping {
    /// # Errors
    /// What is wrong with it.
    pub fn parse(text: &str) -> Result<Self, String> {
        let (ours, theirs) = text.split_once('=').ok_or("write it like \"Created at=Order date\"")?;
        let column = Column::parse(ours).ok_or_else(|| {
            format!("\"{}\" is no column; order-portal import --help lists them", ours.escape_debug())
        })?;
        Ok(Self { column, theirs: theirs.trim().to_owned() })
    }
}

/// The columns of a file.
#[derive(Debug)]
pub(in crate::orders::import) struct Header {
    indexes: [Option<usize>; Column::COUNT],
    /// The currency of all orders, from `--column Currency=EUR`.
    currency: Option<&'static str>,
    cells: usize,
    names: Vec<String>,
    allows_decimal_comma: bool,
}

impl Header {
    /// # Errors
    /// [`ImportError::Columns`].
    pub(super) fn parse(
        file: &ImportFile,
        line: u64,
        row: &StringRecord,
        mappings: &[ColumnMapping],
    ) -> Result<Self, ImportError> {
        let names: Vec<String> = row.iter().map(normalize).collect();
        let error = |problem: String| ImportError::Columns { file: file.name.clone(), line, problem };
        let mut header = Self {
            indexes: [None; Column::COUNT],
            currency: None,
            cells: names.len(),
            names,
            allows_decimal_comma: file.format().delimiter != b',',
        };
        for column in Column::all() {
            let mapping = mappings.iter().rev().find(|mapping| mapping.column == column);
            header.indexes[column.index()] = match mapping {
                Some(mapping) => header.find(&mapping.theirs).map_err(&error)?,
                None => header.find_any(column).map_err(&error)?,
            };
            if let Some(mapping) = mapping
                && header.indexes[column.index()].is_none()
            {
                header.currency = Some(mapping.theirs.to_uppercase())
                    .filter(|_| column == Column::Currency)
                    .and_then(|code| Currency::parse(&code))
                    .map(Currency::code);
                if header.currency.is_none() || column != Column::Currency {
                    return Err(error(format!("there is no column \"{}\"; {}", mapping.theirs, found(row))));
                }
            }
        }
        let missing: Vec<&str> = Column::required().filter(|column| !header.has(*column)).map(Column::name).collect();
        if missing.is_empty() {
            Ok(header)
        } else {
            Err(error(layouts::missing_columns(&header.names, &missing, &found(row))))
        }
    }

    /// The first of the column's names that the file has.
    fn find_any(&self, column: Column) -> Result<Option<usize>, String> {
        for name in column.names() {
            if let Some(index) = self.find(name)? {
                return Ok(Some(index));
            }
        }
        Ok(None)
    }

    fn find(&self, name: &str) -> Result<Option<usize>, String> {
        let wanted = normalize(name);
        let mut indexes = self.names.iter().enumerate().filter(|(_, name)| **name == wanted).map(|(index, _)| index);
        let first = indexes.next();
        match indexes.next() {
            Some(_) => Err(format!("the column \"{name}\" is there twice; remove one of them")),
            None => Ok(first),
        }
    }

    /// Whether the row is the header row of another export, appended to this one.
    pub(super) fn is_header_row(&self, row: &StringRecord) -> bool {
        let is_name = |column: Column| {
            let cell = self.indexes[column.index()].and_then(|index| row.get(index)).unwrap_or_default();
            // Mostly a number: then nothing is to be compared.
            cell.trim_start_matches(['\u{feff}', '"', ' ']).starts_with(char::is_alphabetic) && {
                let cell = normalize(cell);
                column.names().iter().any(|name| normalize(name) == cell)
            }
        };
        [Column::Name, Column::Total].into_iter().any(is_name)
            && row.iter().filter(|cell| is_known_name(cell)).count() >= 5
    }

    pub(in crate::orders::import) fn has(&self, column: Column) -> bool {
        self.indexes[column.index()].is_some() || (column == Column::Currency && self.currency.is_some())
    }

    /// Whether the file has the column, rather than the operator.
    pub(super) fn is_from_file(&self, column: Column) -> bool {
        self.indexes[column.index()].is_some()
    }

    /// Programs that separate cells by semicolons or tabs write decimal commas.
    pub(super) fn allows_decimal_comma(&self) -> bool {
        self.allows_decimal_comma
    }

    pub(super) fn columns(&self) -> ColumnSet {
        let mut columns = ColumnSet::default();
        Column::all().filter(|column| self.has(*column)).for_each(|column| columns.insert(column));
        columns
    }

    /// Number of cells of the header row.
    pub(super) fn cells(&self) -> usize {
        self.cells
    }

    /// The text of a cell; empty when the row or the file does not have it.
    pub(super) fn cell<'r>(&self, row: &'r StringRecord, column: Column) -> &'r str {
        match self.indexes[column.index()] {
            Some(index) => row.get(index).unwrap_or_default(),
            None => self.currency.filter(|_| column == Column::Currency).unwrap_or_default(),
        }
    }
}

/// The first names of the file, for a message.
fn found(row: &StringRecord) -> String {
    const SHOWN: usize = 30;
    let names: Vec<String> = row
        .iter()
        .take(SHOWN)
        .map(|name| name.trim().chars().take(40).flat_map(char::escape_debug).collect())
        .collect();
    let more = if row.len() > SHOWN { format!(" and {} more", row.len() - SHOWN) } else { String::new() };
    format!("the file has {}{more}", names.join(", "))
}
