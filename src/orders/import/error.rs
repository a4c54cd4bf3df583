//! Why an import failed.

use crate::clock::UnixSeconds;
use crate::database::{self, WriteError};
use crate::orders::money::count;

/// Why an import failed, in one line that says where and what to do. Nothing was written, except where [`ImportError::Stopped`] says
/// how much.
#[derive(Debug, thiserror::Error)]
pub enum ImportError {
    /// The file cannot be opened or read.
    #[error("cannot read {file}: {source}; name the CSV file of an orders export, or - for standard input")]
    Unreadable {
        /// Its name.
        file: String,
        /// What the system says.
        source: std::io::Error,
    },
    /// Nothing stands in it.
    #[error("{file} is empty; export the orders again, with the row of column names")]
    Empty {
        /// Its name.
        file: String,
    },
    /// A column that is needed is not there, or there twice.
    #[error("{file}, line 1, column \"{column}\": {problem}; export the orders again, with all columns")]
    Column {
        /// Its name.
        file: String,
        /// The column's name.
        column: &'static str,
        /// What is wrong.
        problem: &'static str,
    },
    /// A row is not as long as the first, or not text.
    #[error("{file}, line {line}: {problem}")]
    Row {
        /// The file's name.
        file: String,
        /// Counted from 1, as an editor does.
        line: u64,
        /// What is wrong and what to do.
        problem: String,
    },
    /// A value makes no sense.
    #[error("{file}, line {line}, column \"{column}\": {problem}")]
    Value {
        /// The file's name.
        file: String,
        /// Counted from 1, as an editor does.
        line: u64,
        /// The column's name.
        column: &'static str,
        /// What it holds and what it takes.
        problem: String,
    },
    /// Rows of one order stand apart; handled by reading on in memory.
    #[error("rows of one order stand apart")]
    Scattered,
    /// What is read the second time is not what was validated.
    #[error("{file} was changed while it was imported; nothing was written, run the same command again")]
    Changed {
        /// Its name.
        file: String,
    },
    /// Asked to stop while it validated the file.
    #[error("interrupted; nothing was written, run the same command again")]
    Interrupted,
    /// Another import has the lease.
    #[error(
        "another import is running (host {host}, process {process_id}, since {started_at}); wait until it has ended. If it was killed, \
         the next one can start after {expires_at}"
    )]
    Running {
        /// Where it runs.
        host: String,
        /// Which process of that host it is.
        process_id: i64,
        /// When it took the lease.
        started_at: UnixSeconds,
        /// When the lease ends unless it is renewed.
        expires_at: UnixSeconds,
    },
    /// The database failed before anything was written.
    #[error("cannot read the orders in the database: {0}; nothing was written, try again")]
    Database(#[from] database::Error),
    /// It stopped while it wrote; each order is there whole or not at all.
    #[error("{cause}; {} of {} orders are loaded; run the same command again", number(*.loaded), number(*.total))]
    Stopped {
        /// Why.
        cause: StopCause,
        /// Orders of the file that the database has as the file says.
        loaded: u64,
        /// Orders in the file.
        total: u64,
    },
}

/// Why an import stopped while it wrote.
#[derive(Debug, thiserror::Error)]
pub enum StopCause {
    /// Ctrl-C or SIGTERM.
    #[error("interrupted")]
    Interrupted,
    /// What would be written is not what was validated.
    #[error("{0} was changed while it was imported")]
    Changed(String),
    /// The file cannot be read again.
    #[error("cannot read {file}: {source}")]
    Unreadable {
        /// Its name.
        file: String,
        /// What the system says.
        source: std::io::Error,
    },
    /// This process was not heard of for so long that another import has started.
    #[error("another import has started meanwhile")]
    LeaseLost,
    /// The database failed, or other writes came first for too long.
    #[error("cannot write the orders: {0}")]
    Database(#[from] database::Error),
}

impl StopCause {
    /// Reading the file once more failed. Its rows are valid as long as its blocks are those that were validated.
    pub(super) fn of_reading(error: ImportError, file: &str) -> Self {
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

fn number(count_of: u64) -> String {
    count(i64::try_from(count_of).unwrap_or(i64::MAX))
}
