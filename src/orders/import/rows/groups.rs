//! Groups consecutive rows of one order.

use std::rc::Rc;

use super::header::Header;
use super::row::{Next, Row, RowReader};
use crate::orders::import::columns::Column;
use crate::orders::import::error::ImportError;

/// Consecutive rows of one name within one export.
pub(super) struct Group {
    /// The name without its `#`; `None` when it is invalid.
    pub number: Option<String>,
    pub rows: Vec<Row>,
    /// The file position behind the group.
    pub bytes_read: u64,
}

pub(super) struct GroupReader<'a> {
    rows: RowReader<'a>,
    /// The first row of the next group.
    ahead: Option<Row>,
    is_finished: bool,
    /// Whether a header row stands before the next group: an order of before may be in this export again.
    is_new_export: bool,
}

impl<'a> GroupReader<'a> {
    pub(super) fn new(rows: RowReader<'a>) -> Self {
        Self { rows, ahead: None, is_finished: false, is_new_export: false }
    }

    pub(super) fn next(&mut self) -> Result<Option<Group>, ImportError> {
        let first = match self.ahead.take() {
            Some(row) => row,
            None => match self.next_row()? {
                Some(row) => row,
                None => return Ok(None),
            },
        };
        self.is_new_export = false;
        let number = number_of(&first);
        let mut rows = vec![first];
        while let Some(row) = self.next_row()? {
            if !self.is_new_export && continues(&rows, number.as_deref(), &row) {
                rows.push(row);
            } else {
                self.ahead = Some(row);
                break;
            }
        }
        Ok(Some(Group { number, rows, bytes_read: self.rows.bytes_read() }))
    }

    fn next_row(&mut self) -> Result<Option<Row>, ImportError> {
        while !self.is_finished {
            match self.rows.next()? {
                Next::Row(row) => return Ok(Some(row)),
                Next::Header => self.is_new_export = true,
                Next::End => self.is_finished = true,
            }
        }
        Ok(None)
    }
}

/// Whether the row belongs to the order of the rows before it. Some programs leave the name of further rows empty.
fn continues(rows: &[Row], number: Option<&str>, row: &Row) -> bool {
    if row.text(Column::Name).is_empty() {
        return !row.has_order_values();
    }
    // Mostly the same text as in the row before.
    rows.last().is_some_and(|last| last.text(Column::Name) == row.text(Column::Name)) && number.is_some()
        || number.is_some_and(|number| number_of(row).as_deref() == Some(number))
}

fn number_of(row: &Row) -> Option<String> {
    row.cell(Column::Name).name().ok().map(|name| name.without_hash().to_owned())
}

/// Whether two rows are of one export: each header row begins another.
pub(super) fn is_same_export(one: &Row, other: &Row) -> bool {
    one.place.file == other.place.file && Rc::<Header>::ptr_eq(&one.header, &other.header)
}
