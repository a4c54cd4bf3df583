//! The errors of an import.

use crate::database::{self, WriteError};
use crate::domain::{UnixSeconds, format_count};

/// Why an import failed: one line that says where and what to do. Nothing was written, except with [`ImportError::Stopped`].
#[derive(Debug, thiserror::Error)]
pub enum ImportError {
    #[error("cannot read {file}: {source}; name the CSV file of an orders export, or - for standard input")]
    Unreadable { file: String, source: std::io::Error },
    #[error("{file} is empty; export the orders again, with the row of column names")]
    Empty { file: String },
    /// A column is missing or duplicated.
    #[error("{file}, line 1, column \"{column}\": {problem}; export the orders again, with all columns")]
    Column { file: String, column: &'static str, problem: &'static str },
    /// A row has another length than the header, or is not UTF-8.
    #[error("{file}, line {line}: {problem}")]
    Row {
        file: String,
        /// Counted from 1, as editors do.
        line: u64,
        problem: String,
    },
    #[error("{file}, line {line}, column \"{column}\": {problem}")]
    Value {
        file: String,
        /// Counted from 1, as editors do.
        line: u64,
        column: &'static str,
        problem: String,
    },
    /// Internal: the import then reads all orders into memory.
    #[error("the rows of one order are not contiguous")]
    NonContiguousRows,
    /// The second pass read another content than the first.
    #[error("{file} was changed while it was imported; nothing was written, run the same command again")]
    Changed { file: String },
    /// Ctrl-C or SIGTERM during validation.
    #[error("interrupted; nothing was written, run the same command again")]
    Interrupted,
    /// Another import has the lease.
    #[error(
        "another import is running (host {host}, process {process_id}, since {started_at}); wait until it has ended. If it was killed, \
         the next one can start after {expires_at}"
    )]
    Running { host: String, process_id: i64, started_at: UnixSeconds, expires_at: UnixSeconds },
    #[error("cannot read the orders in the database: {0}; nothing was written, try again")]
    Database(#[from] database::Error),
    /// The import stopped between two transactions; each order is stored completely or not at all.
    #[error("{cause}; {} of {} orders are loaded; run the same command again", format_u64(*.loaded), format_u64(*.total))]
    Stopped {
        cause: StopCause,
        /// Orders of the file that are stored.
        loaded: u64,
        total: u64,
    },
}

/// Why an import stopped while it wrote.
#[derive(Debug, thiserror::Error)]
pub enum StopCause {
    /// Ctrl-C or SIGTERM.
    #[error("interrupted")]
    Interrupted,
    #[error("{0} was changed while it was imported")]
    Changed(String),
    #[error("cannot read {file}: {source}")]
    Unreadable { file: String, source: std::io::Error },
    /// The lease expired, and another import acquired it.
    #[error("another import has started meanwhile")]
    LeaseLost,
    /// The database failed, or every attempt conflicted with other writes.
    #[error("cannot write the orders: {0}")]
    Database(#[from] database::Error),
}

impl StopCause {
    /// From an error of the second pass. The first pass validated every row, so an invalid row means that the file changed.
    pub(super) fn from_second_pass(error: ImportError, file: &str) -> Self {
        let file = file.to_owned();
        match error {
            ImportError::Unreadable { source, .. } => Self::Unreadable { file, source },
            _ => Self::Changed(file),
        }
    }
}

impl WriteError for ImportError {
    fn database(&self) -> Option<&database::Error> {
        if let Self::Database(error) = self { Some(error) } else { None }
    }
}

impl WriteError for StopCause {
    fn database(&self) -> Option<&database::Error> {
        if let Self::Database(error) = self { Some(error) } else { None }
    }
}

fn format_u64(number: u64) -> String {
    format_count(i64::try_from(number).unwrap_or(i64::MAX))
}
