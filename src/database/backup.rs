//! Backup of an SQLite database while it is in use.

use std::path::{Path, PathBuf};

use super::partial::PartialFile;
use super::{Database, Engine, Error};

/// Why the backup failed.
#[derive(Debug, thiserror::Error)]
pub enum BackupError {
    #[error("backup copies an SQLite file; for PostgreSQL run: pg_dump --format=custom --file=FILE \"$DATABASE_URL\"")]
    Postgres,
    #[error("cannot write {file}: {source}; name a new file in a directory that you may write to")]
    File { file: PathBuf, source: std::io::Error },
    #[error("cannot copy the database: {0}; nothing was written")]
    Copy(Error),
}

impl Database {
    /// Writes a consistent copy of an SQLite database to `file`, with mode 0600, while the database is in use. The file is complete or absent,
    /// also if the process is killed.
    pub async fn backup(&self, file: &Path) -> Result<(), BackupError> {
        if self.engine == Engine::Postgres {
            return Err(BackupError::Postgres);
        }
        let failed = |source: std::io::Error| BackupError::File { file: file.to_owned(), source };
        if file.symlink_metadata().is_ok() {
            return Err(failed(std::io::ErrorKind::AlreadyExists.into()));
        }
        let partial = PartialFile::create(file).map_err(failed)?;
        let target = partial.path().to_str().ok_or_else(|| failed(std::io::ErrorKind::InvalidFilename.into()))?;
        sqlx::query("VACUUM INTO $1").bind(target).execute(self.writer()).await.map_err(BackupError::Copy)?;
        partial.persist_new().map_err(failed)
    }
}
