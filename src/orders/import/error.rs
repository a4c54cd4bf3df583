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
    #[error("{file} is {kind}, not a CSV file; {advice}")]
    NotCsv { file: String, kind: &'static str, advice: &'static str },
    /// A needed column is missing, or a column is there twice.
    #[error("{file}, line {line}: {problem}")]
    Columns {
        file: String,
        /// Counted from 1, as editors do.
        line: u64,
        problem: String,
    },
    /// Rows are invalid; the findings list them.
    #[error("{}; {}nothing was written: correct them, or load the other orders with --skip-invalid", format_problems(*.problems, *.orders), if *.is_dry_run { "the import would fail, and " } else { "" })]
    Invalid { problems: u64, orders: u64, is_dry_run: bool },
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
    /// From an error of the second pass. The first pass read every row, so any other error means that a file changed.
    pub(super) fn from_second_pass(error: ImportError, files: &str) -> Self {
        match error {
            ImportError::Unreadable { file, source } => Self::Unreadable { file, source },
            ImportError::Changed { file } | ImportError::Columns { file, .. } => Self::Changed(file),
            _ => Self::Changed(files.to_owned()),
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

/// `3 invalid cells or rows in 2 orders`.
fn format_problems(problems: u64, orders: u64) -> String {
    let count = |number: u64, one: &str, several: &str| {
        format!("{} {}", format_u64(number), if number == 1 { one } else { several })
    };
    let problems = count(problems, "invalid cell or row", "invalid cells or rows");
    format!("{problems} in {}", count(orders, "order", "orders"))
}

fn format_u64(number: u64) -> String {
    format_count(i64::try_from(number).unwrap_or(i64::MAX))
}
