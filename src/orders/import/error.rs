//! Why nothing was imported.

use crate::database::{self, WriteError};

/// Why nothing was imported, in one line that says where and what to do.
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
    /// The database failed.
    #[error("cannot write the orders: {0}; nothing was imported, try again")]
    Database(#[from] database::Error),
}

impl WriteError for ImportError {
    fn database(&self) -> Option<&database::Error> {
        if let Self::Database(error) = self { Some(error) } else { None }
    }
}
