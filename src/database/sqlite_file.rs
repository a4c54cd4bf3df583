//! An SQLite database as a file that is replaced: its companions, and whether it is one.

use std::io::Read;
use std::path::{Path, PathBuf};

use sqlx::sqlite::{SqliteConnectOptions, SqliteConnection};
use sqlx::{Connection, Row};

use super::{OpenError, is_busy};

/// The first bytes of every SQLite file.
const MAGIC: &[u8] = b"SQLite format 3\0";
/// Suffixes of SQLite's files beside a database. Combined with another database they corrupt it.
pub(super) const COMPANIONS: [&str; 3] = ["-wal", "-shm", "-journal"];

pub(super) fn is_sqlite(file: &mut std::fs::File) -> std::io::Result<bool> {
    let mut start = Vec::new();
    Read::by_ref(file).take(MAGIC.len() as u64).read_to_end(&mut start)?;
    Ok(start == MAGIC)
}

pub(super) fn beside(file: &Path, suffix: &str) -> PathBuf {
    let mut name = file.as_os_str().to_owned();
    name.push(suffix);
    name.into()
}

/// Checkpoints the write-ahead log of the database that is replaced, which must not be open elsewhere. A damaged database is kept as it
/// is, with its files.
///
/// # Errors
/// [`OpenError::InUse`].
pub(super) async fn checkpoint(database: &Path) -> Result<(), OpenError> {
    // When SQLite opens a file that is no database, it deletes the write-ahead log.
    if !std::fs::File::open(database).and_then(|mut file| is_sqlite(&mut file)).unwrap_or(false) {
        return Ok(());
    }
    let options = SqliteConnectOptions::new().filename(database).busy_timeout(std::time::Duration::ZERO);
    let checkpoint = async {
        let mut connection = SqliteConnection::connect_with(&options).await?;
        // Switching off WAL fails while another process has the database open.
        sqlx::raw_sql("PRAGMA wal_checkpoint(TRUNCATE)").execute(&mut connection).await?;
        let mode = sqlx::raw_sql("PRAGMA journal_mode = DELETE").fetch_one(&mut connection).await?;
        let is_folded = mode.try_get::<String, _>(0)? == "delete";
        connection.close().await.map(|()| is_folded)
    };
    let in_use = || Err(OpenError::InUse { file: database.to_owned() });
    match checkpoint.await {
        Ok(false) => in_use(),
        Err(error) if is_busy(&error) => in_use(),
        Ok(true) | Err(_) => Ok(()),
    }
}
