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
        let theirs = theirs.trim().to_owned();
        if theirs.is_empty() {
            return Err(format!("name the file's column after =, like \"{}=Order date\"", column.name()));
        }
        Ok(Self { column, theirs })
    }
}

impl ColumnMapping {
    /// The code of `Currency=EUR`.
    fn currency(&self) -> Option<&'static str> {
        let code = Some(self.theirs.to_uppercase()).filter(|_| self.column == Column::Currency)?;
        Currency::parse(&code).map(Currency::code)
    }

    /// The column that several mappings name.
    pub fn repeated(mappings: &[Self]) -> Option<&'static str> {
        let is_repeated =
            |(at, mapping): &(usize, &Self)| mappings[..*at].iter().any(|one| one.column == mapping.column);
        mappings.iter().enumerate().find(is_repeated).map(|(_, mapping)| mapping.column.name())
    }
}

/// The columns of a file.
#[derive(Debug)]
pub(in crate::orders::import) struct Header {
    indexes: [Option<usize>; Column::COUNT],
    /// The currency of orders without one, from `--column Currency=EUR`.
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
        let mut absent: Vec<&ColumnMapping> = Vec::new();
        for column in Column::all() {
            let mapping = mappings.iter().find(|mapping| mapping.column == column);
            let mut index = match mapping {
                Some(mapping) => header.find(&mapping.theirs).map_err(&error)?,
                None => header.find_any(column).map_err(&error)?,
            };
            if let Some(mapping) = mapping.filter(|_| index.is_none()) {
                header.currency = mapping.currency().or(header.currency);
                match mapping.currency() {
                    Some(_) => index = header.find_any(column).map_err(&error)?,
                    None => absent.push(mapping),
                }
            }
            header.indexes[column.index()] = index;
        }
        if !absent.is_empty() {
            return Err(error(absent_columns(&absent, &found(row))));
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

    /// The text of a cell of the file; empty when the row or the file does not have it.
    pub(super) fn file_cell<'r>(&self, row: &'r StringRecord, column: Column) -> &'r str {
        self.indexes[column.index()].and_then(|index| row.get(index)).unwrap_or_default()
    }

    /// The same, with the operator's currency where the file has none.
    pub(super) fn cell<'r>(&self, row: &'r StringRecord, column: Column) -> &'r str {
        let cell = self.file_cell(row, column);
        self.currency.filter(|_| column == Column::Currency && cell.trim().is_empty()).unwrap_or(cell)
    }
}

/// The message about columns that `--column` names and the file does not have.
fn absent_columns(absent: &[&ColumnMapping], found: &str) -> String {
    let quoted = |text: &str| format!("\"{}\"", text.escape_debug());
    let names: Vec<String> = absent.iter().map(|mapping| quoted(&mapping.theirs)).collect();
    let options: Vec<String> = absent.iter().map(|mapping| quoted(&format!("{}=", mapping.column.name()))).collect();
    let is_currency = absent.iter().any(|mapping| mapping.column == Column::Currency);
    let currency = if is_currency { "; for Currency also an ISO 4217 code, like Currency=EUR" } else { "" };
    format!(
        "there is no column {}; {found}; name one of these in --column {}{currency}, or import files with other columns in a call of their own",
        names.join(" or "),
        options.join(" and --column "),
    )
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
