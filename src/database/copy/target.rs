//! The target of a copy: found empty, migrated, then filled in one transaction.
//!
//! An SQLite target is written as a new file beside its place and renamed when it is complete. On PostgreSQL the transaction is rolled back
//! on a failure. So a failed copy, also a killed one, leaves the target absent or empty.

use std::path::{Path, PathBuf};

use sqlx::AssertSqlSafe;
use sqlx::migrate::MigrateDatabase;

use super::schema::{MIGRATIONS_TABLE, NEW_FILE_TUNING, Schema, columns};
use super::{CopyError, close};
use crate::database::lock::DatabaseLock;
use crate::database::partial::{PartialFile, directory_of};
use crate::database::sqlite_file::{COMPANIONS, beside, checkpoint, is_sqlite};
use crate::database::{Database, DatabaseUrl, Engine, Error, OpenError, Transaction, is_busy};
use crate::private_files::make_private_folder;

/// SQLSTATE: the server has no database of that name.
const INVALID_CATALOG_NAME: &str = "3D000";

const BEGIN_POSTGRES: &str = "BEGIN; SET LOCAL statement_timeout = 0; SET LOCAL lock_timeout = 5000; \
     SET LOCAL idle_in_transaction_session_timeout = 0";

pub(super) struct Target {
    url: DatabaseUrl,
    database: Database,
    file: Option<NewFile>,
}

/// An SQLite target.
struct NewFile {
    partial: PartialFile,
    _lock: DatabaseLock,
}

impl Target {
    /// Checks that the target is absent or empty, and migrates it.
    pub async fn prepare(url: &DatabaseUrl, schema: &Schema) -> Result<Self, CopyError> {
        match url.engine() {
            Engine::Sqlite => {
                let file = url.file().ok_or(CopyError::InMemory)?;
                Self::new_file(url, &std::path::absolute(&file).unwrap_or(file), schema).await
            }
            Engine::Postgres => Self::on_server(url, schema).await,
        }
    }

    async fn new_file(url: &DatabaseUrl, file: &Path, schema: &Schema) -> Result<Self, CopyError> {
        let failed = |source| CopyError::TargetFile { file: file.to_owned(), source };
        make_private_folder(directory_of(file)).map_err(failed)?;
        let lock = DatabaseLock::take_exclusive(file).map_err(CopyError::TargetOpen)?;
        if file.exists() {
            refuse_used_file(url, file, schema).await?;
        }
        if let Some(companion) = COMPANIONS.iter().map(|suffix| beside(file, suffix)).find(|file| file.exists()) {
            return Err(CopyError::Companion { file: companion });
        }
        let partial = PartialFile::create(file).map_err(failed)?;
        let partial_url = DatabaseUrl::of_file(partial.path());
        let partial_url = partial_url.ok_or_else(|| failed(std::io::ErrorKind::InvalidFilename.into()))?;
        let database = Database::open_alone(&partial_url, NEW_FILE_TUNING).map_err(CopyError::TargetOpen)?;
        database.migrate().await.map_err(CopyError::TargetOpen)?;
        Ok(Self { url: url.clone(), database, file: Some(NewFile { partial, _lock: lock }) })
    }

    async fn on_server(url: &DatabaseUrl, schema: &Schema) -> Result<Self, CopyError> {
        let database = match Database::open_existing(url).await {
            Err(OpenError::Connect { source, .. }) if is_missing_database(&source) => {
                let created = sqlx::Postgres::create_database(url.for_driver(true).as_str()).await;
                created.map_err(|source| CopyError::NotCreated { url: url.clone(), source })?;
                Database::open_existing(url).await
            }
            opened => opened,
        };
        let database = database.map_err(CopyError::TargetOpen)?;
        refuse_used_database(url, &database, schema).await?;
        database.migrate().await.map_err(CopyError::TargetOpen)?;
        Ok(Self { url: url.clone(), database, file: None })
    }

    /// Text that no other database has; `None` for SQLite.
    pub async fn identity(&self) -> Result<Option<String>, Error> {
        identity(&self.database).await
    }

    /// Begins the transaction that fills the target, and deletes what migrations inserted.
    pub async fn begin(&self, schema: &Schema) -> Result<Transaction, CopyError> {
        let Database { writers, engine, is_behind_pooler, .. } = &self.database;
        let begin = if *engine == Engine::Sqlite { "BEGIN IMMEDIATE" } else { BEGIN_POSTGRES };
        let failed = |source: Error| match is_busy(&source) {
            true => CopyError::InUse { url: self.url.clone() },
            false => CopyError::Target { url: self.url.clone(), source },
        };
        let mut transaction = Transaction::begin(writers, begin, *engine, *is_behind_pooler).await.map_err(failed)?;
        if *engine == Engine::Postgres {
            lock_tables(&mut transaction, schema).await.map_err(failed)?;
            // Rows may have come since the first look.
            if let Some(table) = schema.table_in_use(&mut transaction).await.map_err(failed)? {
                return Err(CopyError::NotEmpty { url: self.url.clone(), table });
            }
        }
        for table in schema.tables.iter().rev() {
            let delete = format!("DELETE FROM \"{}\"", table.name);
            sqlx::query(AssertSqlSafe(delete)).execute(&mut transaction).await.map_err(failed)?;
        }
        Ok(transaction)
    }

    /// After the commit: puts a file in its place; has PostgreSQL learn the sizes of its new tables, without which its first plans are slow.
    pub async fn finish(self) -> Result<(), CopyError> {
        if self.database.engine() == Engine::Postgres {
            let analyzed = self.database.execute_outside_transaction("VACUUM (ANALYZE)").await;
            analyzed.map_err(|source| CopyError::NotAnalyzed { url: self.url.clone(), source })?;
        }
        self.database.close().await;
        let Some(NewFile { partial, _lock }) = self.file else { return Ok(()) };
        let failed = |source| CopyError::TargetFile { file: self.url.file().unwrap_or_default(), source };
        partial.persist_over().map_err(failed)
    }

    /// After a failure.
    pub async fn discard(self) {
        close(&self.database).await;
    }
}

/// On PostgreSQL: the server process and the name of the database there.
pub(super) async fn identity(database: &Database) -> Result<Option<String>, Error> {
    if database.engine() == Engine::Sqlite {
        return Ok(None);
    }
    let sql = "SELECT CAST(pg_postmaster_start_time() AS TEXT) || ' ' || CAST(current_database() AS TEXT)
                   || ' ' || COALESCE(CAST(current_schema() AS TEXT), '')";
    sqlx::query_scalar(sql).fetch_one(database.reader()).await.map(Some)
}

async fn refuse_used_file(url: &DatabaseUrl, file: &Path, schema: &Schema) -> Result<(), CopyError> {
    let failed = |source| CopyError::TargetFile { file: file.to_owned(), source };
    let mut opened = std::fs::File::open(file).map_err(failed)?;
    let is_blank = opened.metadata().map_err(failed)?.len() == 0;
    if !is_blank && !is_sqlite(&mut opened).map_err(failed)? {
        return Err(CopyError::Foreign { url: url.clone() });
    }
    let database = Database::open_unlocked(url).await.map_err(CopyError::TargetOpen)?;
    let refused = refuse_used_database(url, &database, schema).await;
    database.close().await;
    refused?;
    checkpoint(file).await.map_err(CopyError::TargetOpen)
}

async fn refuse_used_database(url: &DatabaseUrl, database: &Database, schema: &Schema) -> Result<(), CopyError> {
    let found = database.read(async |transaction| {
        let has_tables = !columns(transaction).await?.is_empty();
        Ok::<_, Error>((has_tables, schema.table_in_use(transaction).await?))
    });
    let (has_tables, in_use) = found.await.map_err(|source| CopyError::Target { url: url.clone(), source })?;
    if let Some(table) = in_use {
        return Err(CopyError::NotEmpty { url: url.clone(), table });
    }
    let select = format!("SELECT 1 FROM {MIGRATIONS_TABLE} LIMIT 1");
    let is_ours = sqlx::query(AssertSqlSafe(select)).fetch_optional(database.reader()).await.is_ok();
    if has_tables && !is_ours { Err(CopyError::Foreign { url: url.clone() }) } else { Ok(()) }
}

/// Nobody else may read or write the target until it is complete.
async fn lock_tables(transaction: &mut Transaction, schema: &Schema) -> Result<(), Error> {
    let names: Vec<String> = schema.tables.iter().map(|table| format!("\"{}\"", table.name)).collect();
    let lock = format!("LOCK TABLE {} IN ACCESS EXCLUSIVE MODE", names.join(", "));
    sqlx::raw_sql(AssertSqlSafe(lock)).execute(&mut *transaction).await.map(drop)
}

fn is_missing_database(error: &Error) -> bool {
    let code = error.as_database_error().and_then(sqlx::error::DatabaseError::code);
    code.is_some_and(|code| code == INVALID_CATALOG_NAME)
}

/// Whether both URLs name one SQLite file.
pub(super) fn is_same_file(one: &DatabaseUrl, other: &DatabaseUrl) -> bool {
    let path = |url: &DatabaseUrl| -> Option<PathBuf> { url.file()?.canonicalize().ok() };
    matches!((path(one), path(other)), (Some(one), Some(other)) if one == other || is_same_inode(&one, &other))
}

#[cfg(unix)]
fn is_same_inode(one: &Path, other: &Path) -> bool {
    use std::os::unix::fs::MetadataExt;
    let inode = |path: &Path| path.metadata().map(|file| (file.dev(), file.ino()));
    matches!((inode(one), inode(other)), (Ok(one), Ok(other)) if one == other)
}

#[cfg(not(unix))]
fn is_same_inode(_: &Path, _: &Path) -> bool {
    false
}
