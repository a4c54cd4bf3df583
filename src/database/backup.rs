//! Backup of an SQLite database while it is in use.

use std::path::{Path, PathBuf};

use super::partial::PartialFile;
use super::restore::verify;
use super::{Database, DatabaseUrl, Engine, Error, OpenError};

/// The copy is only read: a write-ahead log would leave files beside it.
const VERIFY_TUNING: &str = "PRAGMA query_only = ON;";

/// Why the backup failed.
#[derive(Debug, thiserror::Error)]
pub enum BackupError {
    #[error("backup copies an SQLite file; for PostgreSQL run: pg_dump --format=custom --file=FILE \"$DATABASE_URL\"")]
    Postgres,
    #[error("cannot write {file}: {source}; name a new file in a directory that you may write to")]
    File { file: PathBuf, source: std::io::Error },
    #[error("cannot copy the database: {0}; nothing was written")]
    Copy(Error),
    /// The copy is removed.
    #[error("the copy of the database cannot be used: {0}; check the database with PRAGMA integrity_check")]
    Unusable(String),
}

impl Database {
    /// Writes a consistent, verified copy of an SQLite database to `file`, with mode 0600, while the database is in use. The file is complete
    /// or absent, also if the process is killed.
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
        verify_copy(partial.path()).await.map_err(BackupError::Unusable)?;
        partial.persist_new().map_err(failed)
    }
}

/// Whether the copy is intact and has this program's migrations.
async fn verify_copy(copy: &Path) -> Result<(), String> {
    let in_words = |error: OpenError| error.to_string();
    let url = DatabaseUrl::of_file(copy).ok_or_else(|| "its path is not UTF-8".to_owned())?;
    let copy = Database::open_alone(&url, VERIFY_TUNING).map_err(in_words)?;
    let verified = async {
        verify(&copy).await?;
        copy.compare_migrations().await.map_err(in_words)
    };
    let verified = verified.await;
    copy.close().await;
    verified
}
