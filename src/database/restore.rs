//! Replaces an SQLite database with a backup.
//!
//! The backup is copied beside the database, verified and prepared there, and renamed in one step, so a killed process leaves the old
//! database or the complete new one. Prepared means that all sessions, links and queued mail in it are ended: some of them were revoked,
//! used or sent after the backup. The replaced database is kept.

use std::io::Seek;
use std::path::{Path, PathBuf};

use sqlx::Row;

use super::lock::DatabaseLock;
use super::partial::{PartialFile, directory_of, sync_directory};
use super::sqlite_file::{COMPANIONS, beside, checkpoint, is_sqlite};
use super::{Database, DatabaseUrl, Engine, Error, OpenError};
use crate::domain::UnixSeconds;
use crate::private_files::make_private_folder;

/// Why the restore failed. The database is unchanged.
#[derive(Debug, thiserror::Error)]
pub enum RestoreError {
    #[error(
        "restore replaces an SQLite file; for PostgreSQL run: createdb NEW && pg_restore --dbname=NEW FILE, then follow docs/operate.md"
    )]
    Postgres,
    #[error("cannot read {file}: {source}; name a file that order-portal backup wrote")]
    Unreadable { file: PathBuf, source: std::io::Error },
    #[error("{file} cannot be restored: {reason}; nothing was changed")]
    Unusable { file: PathBuf, reason: String },
    #[error("cannot write beside {file}: {source}; nothing was changed")]
    NotWritten { file: PathBuf, source: std::io::Error },
    /// The database is in use, or cannot be locked.
    #[error(transparent)]
    Open(#[from] OpenError),
}

/// How many of each were ended in the restored database.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Ended {
    pub sessions: i64,
    pub links: i64,
    pub messages: i64,
}

/// The result of a restore.
#[derive(Debug)]
pub struct Restored {
    pub database: PathBuf,
    pub replaced: Option<PathBuf>,
    pub ended: Ended,
    /// Whether migrations are missing.
    pub is_behind: bool,
}

/// Replaces the database of `url` with `copy`.
///
/// # Errors
/// [`RestoreError`]; the database is unchanged.
pub async fn restore(url: &DatabaseUrl, copy: &Path, now: UnixSeconds) -> Result<Restored, RestoreError> {
    let database = match (url.engine(), url.file()) {
        (Engine::Sqlite, Some(file)) => std::path::absolute(&file).unwrap_or(file),
        _ => return Err(RestoreError::Postgres),
    };
    let source = open_copy(copy, &database)?;
    let failed = |source| RestoreError::NotWritten { file: database.clone(), source };
    make_private_folder(directory_of(&database)).map_err(failed)?;
    let _lock = DatabaseLock::take_exclusive(&database)?;
    let partial = copy_beside(source, &database).map_err(failed)?;
    let (ended, is_behind) = prepare(partial.path(), copy, now).await?;
    checkpoint(&database).await?;
    let replaced = keep_replaced(&database, now).map_err(failed)?;
    partial.persist_over().map_err(failed)?;
    Ok(Restored { database, replaced, ended, is_behind })
}

/// Opens the backup if it looks like a complete SQLite file.
fn open_copy(copy: &Path, database: &Path) -> Result<std::fs::File, RestoreError> {
    let unreadable = |source| RestoreError::Unreadable { file: copy.to_owned(), source };
    let unusable = |reason: String| RestoreError::Unusable { file: copy.to_owned(), reason };
    let mut file = std::fs::File::open(copy).map_err(unreadable)?;
    if !file.metadata().map_err(unreadable)?.is_file() {
        return Err(unusable("it is not a file".to_owned()));
    }
    if copy.canonicalize().is_ok_and(|copy| database.canonicalize().is_ok_and(|database| copy == database)) {
        return Err(unusable("it is the database itself".to_owned()));
    }
    let wal = beside(copy, "-wal");
    if wal.metadata().is_ok_and(|wal| wal.len() > 0) {
        let reason = format!("its changes are partly in {}; make copies with order-portal backup", wal.display());
        return Err(unusable(reason));
    }
    if !is_sqlite(&mut file).map_err(unreadable)? {
        return Err(unusable("it is not an SQLite database".to_owned()));
    }
    file.rewind().map_err(unreadable)?;
    Ok(file)
}

fn copy_beside(mut source: std::fs::File, database: &Path) -> std::io::Result<PartialFile> {
    let mut partial = PartialFile::create(database)?;
    std::io::copy(&mut source, partial.file())?;
    Ok(partial)
}

/// Verifies the new database and ends its sessions, links and mail. Also returns whether migrations are missing.
async fn prepare(partial: &Path, copy: &Path, now: UnixSeconds) -> Result<(Ended, bool), RestoreError> {
    let unusable = |reason: String| RestoreError::Unusable { file: copy.to_owned(), reason };
    let url = DatabaseUrl::of_file(partial).ok_or_else(|| unusable("its path is not UTF-8".to_owned()))?;
    let database = Database::open_unlocked(&url).await.map_err(|error| match error {
        OpenError::Connect { source, .. } => unusable(format!("it is damaged ({source})")),
        other => other.into(),
    })?;
    let prepared = async {
        verify(&database).await.map_err(unusable)?;
        let is_behind = match database.compare_migrations().await {
            Ok(()) => false,
            Err(OpenError::Behind { .. }) => true,
            Err(other) => return Err(unusable(other.to_string())),
        };
        let ended = end_sessions_links_and_mail(&database, now).await;
        Ok((ended.map_err(|error| unusable(format!("it cannot be changed ({error})")))?, is_behind))
    };
    let prepared = prepared.await;
    database.close().await;
    match beside(partial, "-wal").exists() {
        true => prepared.and(Err(unusable("its write-ahead log was not folded in; try again".to_owned()))),
        false => prepared,
    }
}

/// Whether the database is intact and one of this program, of whatever version.
///
/// # Errors
/// What is wrong, in words.
pub(super) async fn verify(database: &Database) -> Result<(), String> {
    let damaged = |error: Error| format!("it is damaged ({error})");
    let found = sqlx::query("PRAGMA integrity_check(1)").fetch_one(database.reader()).await.map_err(damaged)?;
    let found: String = found.try_get(0).map_err(damaged)?;
    if found != "ok" {
        return Err(format!("it is damaged ({})", found.replace('\n', " ")));
    }
    match has_table(database, "_sqlx_migrations").await.map_err(damaged)? {
        true => Ok(()),
        false => Err("it is not a database of order-portal".to_owned()),
    }
}

async fn has_table(database: &Database, name: &str) -> Result<bool, Error> {
    let found = sqlx::query("SELECT name FROM sqlite_master WHERE type = 'table' AND name = $1").bind(name);
    Ok(found.fetch_optional(database.reader()).await?.is_some())
}

async fn end_sessions_links_and_mail(database: &Database, now: UnixSeconds) -> Result<Ended, Error> {
    let has_mail = has_table(database, "mail_queue").await?;
    let has_recoveries = has_table(database, "recoveries").await?;
    let has_pending_logins = has_table(database, "pending_logins").await?;
    let has_state_changes = has_table(database, "order_state_changes").await?;
    // The name of the table before migration 10.
    let has_old_tokens = has_table(database, "mailed_tokens").await?;
    let delete_tokens = if has_old_tokens { "DELETE FROM mailed_tokens" } else { "DELETE FROM email_tokens" };
    database
        .write(async |transaction| {
            let live = "SELECT COUNT(*) FROM sessions WHERE revoked_at IS NULL AND expires_at > $1";
            let (sessions,): (i64,) = sqlx::query_as(live).bind(now.get()).fetch_one(&mut *transaction).await?;
            let revoke = sqlx::query("UPDATE sessions SET revoked_at = $1 WHERE revoked_at IS NULL").bind(now.get());
            revoke.execute(&mut *transaction).await?;
            if !has_mail {
                return Ok(Ended { sessions, ..Ended::default() });
            }
            if has_pending_logins {
                // Logins between the password and the code.
                sqlx::query("DELETE FROM pending_logins").execute(&mut *transaction).await?;
            }
            let mut links = sqlx::query(delete_tokens).execute(&mut *transaction).await?.rows_affected();
            if has_recoveries {
                let tokens = sqlx::query("DELETE FROM recovery_tokens").execute(&mut *transaction).await?;
                links += tokens.rows_affected();
                sqlx::query("DELETE FROM recoveries").execute(&mut *transaction).await?;
            }
            if has_state_changes {
                // Mail that the next import would queue.
                sqlx::query("DELETE FROM order_state_changes").execute(&mut *transaction).await?;
            }
            let messages = sqlx::query("DELETE FROM mail_queue").execute(&mut *transaction).await?.rows_affected();
            Ok(Ended { sessions, links: links.cast_signed(), messages: messages.cast_signed() })
        })
        .await
}

/// Gives the replaced database a second name and moves its files along.
fn keep_replaced(database: &Path, now: UnixSeconds) -> std::io::Result<Option<PathBuf>> {
    let replaced = beside(database, &format!(".replaced-{}", now.to_string().replace(['-', ':'], "")));
    let exists = database.exists();
    if exists {
        std::fs::hard_link(database, &replaced)?;
    }
    for companion in COMPANIONS {
        let file = beside(database, companion);
        if file.exists() {
            std::fs::rename(file, beside(&replaced, companion))?;
        }
    }
    sync_directory(directory_of(database))?;
    Ok(exists.then_some(replaced))
}
