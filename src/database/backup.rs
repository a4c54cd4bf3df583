//! A consistent copy of an SQLite database while others go on reading and writing.

use std::path::{Path, PathBuf};

use super::{Database, Engine, Error};
use crate::private_files::make_private_file;

/// Why no backup was written.
#[derive(Debug, thiserror::Error)]
pub enum BackupError {
    /// PostgreSQL has its own tool for this.
    #[error("backup copies an SQLite file; for PostgreSQL run: pg_dump --format=custom --file=FILE \"$DATABASE_URL\"")]
    Postgres,
    /// The copy's file cannot be created.
    #[error("cannot write {file}: {source}; name a new file in a directory that you may write to")]
    File {
        /// Where the copy should have gone.
        file: PathBuf,
        /// What the system says.
        source: std::io::Error,
    },
    /// SQLite could not copy.
    #[error("cannot copy the database: {0}; nothing was written")]
    Copy(Error),
}

impl Database {
    /// Writes a consistent copy of an SQLite database to `file`, readable by its owner alone, while others go on
    /// reading and writing.
    ///
    /// # Errors
    /// [`BackupError`], each with what to do.
    pub async fn backup(&self, file: &Path) -> Result<(), BackupError> {
        if self.engine == Engine::Postgres {
            return Err(BackupError::Postgres);
        }
        let failed = |source: std::io::Error| BackupError::File { file: file.to_owned(), source };
        make_private_file(file).map_err(failed)?;
        let target = file.to_str().ok_or_else(|| failed(std::io::ErrorKind::InvalidFilename.into()))?;
        let copied = sqlx::query("VACUUM INTO $1").bind(target).execute(&self.writers).await;
        copied.map(drop).map_err(|source| {
            std::fs::remove_file(file).ok();
            BackupError::Copy(source)
        })
    }
}
