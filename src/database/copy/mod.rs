//! Copies a whole database into an absent or empty one, within one engine or between SQLite and PostgreSQL.
//!
//! The source is read in one snapshot, while servers may write to it. Tables and columns are those that this program's migrations make.
//! After the copy the target is read again: the number of rows and a checksum of each table must be equal.

mod indexes;
mod rows;
mod schema;
mod target;

use std::path::PathBuf;
use std::time::Duration;

use sqlx::AssertSqlSafe;

use super::{Database, DatabaseUrl, Engine, Error, OpenError, Transaction};
use schema::{Schema, columns};
use target::{Target, identity, is_same_file};

const BEGIN_POSTGRES: &str = "BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY; SET LOCAL statement_timeout = 0; \
     SET LOCAL idle_in_transaction_session_timeout = 0";

/// Wait for connections to close.
const CLOSE_TIMEOUT: Duration = Duration::from_secs(1);

/// Why the copy failed. Except for [`NotAnalyzed`](Self::NotAnalyzed), the target has no rows.
#[derive(Debug, thiserror::Error)]
pub enum CopyError {
    #[error("the source and the target are the same database, {url}; name another target")]
    Same { url: DatabaseUrl },
    #[error("a database in memory cannot be copied; name a file or a PostgreSQL database")]
    InMemory,
    #[error("there is no database at {file}; check the first URL and the current directory")]
    SourceMissing { file: PathBuf },
    #[error(
        "the source lacks {missing} of this program's migrations; apply them first: DATABASE_URL=… order-portal migrate"
    )]
    SourceBehind { missing: usize },
    #[error("cannot open the source {url}: {source}; check the URL and that it can be reached")]
    SourceUnreachable { url: DatabaseUrl, source: Error },
    #[error("cannot read the source: {0}")]
    SourceOpen(OpenError),
    #[error("the table {table} of the source has other columns than order-portal's; undo that change first")]
    OtherColumns { table: String },
    #[error("the target {url} is not empty, its table {table} has rows; name a database that is absent or empty")]
    NotEmpty { url: DatabaseUrl, table: String },
    #[error("the target {url} is not a database of order-portal; name one that is absent or empty")]
    Foreign { url: DatabaseUrl },
    #[error("{file} is left from another database; move it away")]
    Companion { file: PathBuf },
    #[error("the target {url} is in use; stop order-portal serve and other programs, then try again")]
    InUse { url: DatabaseUrl },
    #[error("there is no database {url}, and it cannot be created: {source}; create it with createdb")]
    NotCreated { url: DatabaseUrl, source: Error },
    #[error("cannot write {file}: {source}; check the directory and its space")]
    TargetFile { file: PathBuf, source: std::io::Error },
    #[error("cannot open the target {url}: {source}; check the URL and that it can be reached")]
    TargetUnreachable { url: DatabaseUrl, source: Error },
    #[error("cannot use the target: {0}")]
    TargetOpen(OpenError),
    #[error("cannot use the target {url}: {source}; nothing was copied")]
    Target { url: DatabaseUrl, source: Error },
    #[error("cannot copy the table {table} from the source: {source}; the target is empty, try again")]
    Read { table: String, source: Error },
    #[error("cannot write or check the table {table} of the target: {source}; the target is empty, try again")]
    Write { table: String, source: Error },
    #[error(
        "the table {table} differs after the copy ({in_source} rows in the source, {in_target} in the target); nothing was copied; look for triggers on the target"
    )]
    Differs { table: String, in_source: u64, in_target: u64 },
    #[error("stopped; the target has no rows: run the same command again")]
    Stopped,
    #[error("cannot write a temporary file: {0}")]
    Temporary(std::io::Error),
    #[error("cannot determine the tables of this program: {0}")]
    Schema(OpenError),
    #[error("everything is in {url}, but VACUUM ANALYZE failed: {source}; run it before serving")]
    NotAnalyzed { url: DatabaseUrl, source: Error },
}

/// Number of rows and checksum of a table's content, equal on both engines.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Checksum {
    pub rows: u64,
    pub sum: u128,
}

#[derive(Debug)]
pub struct Copied {
    /// In the order of the copy.
    pub tables: Vec<(String, Checksum)>,
    /// Tables of the source that no migration of this program makes.
    pub left_out: Vec<String>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum CopyStage {
    Copying,
    Indexing,
    Checking,
}

/// Rows of the current stage.
#[derive(Clone, Copy, Debug)]
pub struct CopyProgress<'t> {
    pub stage: CopyStage,
    pub table: &'t str,
    pub done: u64,
    pub total: u64,
}

/// Copies the database of `from` into that of `to`, unless `stop` completes before everything is copied.
///
/// # Errors
/// [`CopyError`].
pub async fn copy(
    from: &DatabaseUrl,
    to: &DatabaseUrl,
    stop: impl Future<Output = ()>,
    mut progress: impl FnMut(CopyProgress<'_>),
) -> Result<Copied, CopyError> {
    if is_same_file(from, to) {
        return Err(CopyError::Same { url: to.clone() });
    }
    let source = open_source(from).await?;
    let copied = copy_from(&source, to, stop, &mut progress).await;
    close(&source).await;
    copied
}

/// After a stop a statement may still run, on the server or on SQLite's thread; it ends with the process.
async fn close(database: &Database) {
    tokio::time::timeout(CLOSE_TIMEOUT, database.close()).await.ok();
}

async fn open_source(url: &DatabaseUrl) -> Result<Database, CopyError> {
    if url.engine() == Engine::Sqlite && url.file().is_none() {
        return Err(CopyError::InMemory);
    }
    let failed = |error| match error {
        OpenError::Missing { file } => CopyError::SourceMissing { file },
        OpenError::Behind { missing } => CopyError::SourceBehind { missing },
        OpenError::Connect { url, source } => CopyError::SourceUnreachable { url, source },
        other => CopyError::SourceOpen(other),
    };
    let source = Database::open_existing(url).await.map_err(failed)?;
    match source.compare_migrations().await {
        Ok(()) => Ok(source),
        Err(error) => {
            close(&source).await;
            Err(failed(error))
        }
    }
}

async fn copy_from(
    source: &Database,
    to: &DatabaseUrl,
    stop: impl Future<Output = ()>,
    progress: &mut impl FnMut(CopyProgress<'_>),
) -> Result<Copied, CopyError> {
    let schema = Schema::of_this_program().await?;
    let target = Target::prepare(to, &schema).await.map_err(without_setting)?;
    let filled = tokio::select! {
        filled = fill(source, &target, &schema, to, progress) => filled,
        () = stop => Err(CopyError::Stopped),
    };
    let committed = match filled {
        Ok((writing, copied)) => {
            let committed = writing.commit().await.map(|()| copied);
            committed.map_err(|source| CopyError::Target { url: to.clone(), source })
        }
        Err(error) => Err(error),
    };
    match committed {
        Ok(copied) => target.finish().await.map(|()| copied),
        Err(error) => {
            target.discard().await;
            Err(error)
        }
    }
}

/// The advice of these errors is about `DATABASE_URL`.
fn without_setting(error: CopyError) -> CopyError {
    match error {
        CopyError::TargetOpen(OpenError::Connect { url, source }) => CopyError::TargetUnreachable { url, source },
        other => other,
    }
}

async fn fill(
    source: &Database,
    target: &Target,
    schema: &Schema,
    to: &DatabaseUrl,
    progress: &mut impl FnMut(CopyProgress<'_>),
) -> Result<(Transaction, Copied), CopyError> {
    let unusable = |source| CopyError::Target { url: to.clone(), source };
    let unread = |source| CopyError::SourceOpen(OpenError::from(source));
    let source_identity = identity(source).await.map_err(unread)?;
    if source_identity.is_some() && source_identity == target.identity().await.map_err(unusable)? {
        return Err(CopyError::Same { url: to.clone() });
    }
    let mut reading = begin_reading(source).await.map_err(unread)?;
    let found = columns(&mut reading).await.map_err(unread)?;
    if let Some(table) = schema.differing_table(&found) {
        return Err(CopyError::OtherColumns { table: table.to_owned() });
    }
    let mut writing = target.begin(schema).await?;
    let creates = indexes::drop_all(&mut writing).await.map_err(unusable)?;
    let tables = copy_tables(&mut reading, &mut writing, schema, progress).await?;
    // Before the rest, which takes long: an open snapshot keeps PostgreSQL from vacuuming, and SQLite's write-ahead log growing.
    reading.commit().await.map_err(unread)?;
    let total = tables.iter().map(|(_, checksum)| checksum.rows).sum();
    progress(CopyProgress { stage: CopyStage::Indexing, table: "", done: 0, total });
    indexes::create_all(&mut writing, creates).await.map_err(unusable)?;
    check_tables(&mut writing, schema, &tables, progress).await?;
    Ok((writing, Copied { tables, left_out: schema.unknown_tables(&found) }))
}

async fn begin_reading(source: &Database) -> Result<Transaction, Error> {
    let begin = if source.engine == Engine::Sqlite { "BEGIN" } else { BEGIN_POSTGRES };
    Transaction::begin(&source.readers, begin, source.engine, source.is_behind_pooler).await
}

async fn copy_tables(
    reading: &mut Transaction,
    writing: &mut Transaction,
    schema: &Schema,
    progress: &mut impl FnMut(CopyProgress<'_>),
) -> Result<Vec<(String, Checksum)>, CopyError> {
    let total = count_rows(reading, schema).await?;
    let (mut tables, mut done) = (Vec::with_capacity(schema.tables.len()), 0);
    for table in &schema.tables {
        let mut count = |rows| {
            done += rows;
            progress(CopyProgress { stage: CopyStage::Copying, table: &table.name, done, total });
        };
        tables.push((table.name.clone(), rows::copy(table, reading, writing, &mut count).await?));
    }
    Ok(tables)
}

async fn count_rows(reading: &mut Transaction, schema: &Schema) -> Result<u64, CopyError> {
    let mut total = 0;
    for table in &schema.tables {
        let count = AssertSqlSafe(format!("SELECT COUNT(*) FROM \"{}\"", table.name));
        let counted: Result<i64, Error> = sqlx::query_scalar(count).fetch_one(&mut *reading).await;
        total += counted.map_err(|source| CopyError::Read { table: table.name.clone(), source })?.unsigned_abs();
    }
    Ok(total)
}

async fn check_tables(
    writing: &mut Transaction,
    schema: &Schema,
    copied: &[(String, Checksum)],
    progress: &mut impl FnMut(CopyProgress<'_>),
) -> Result<(), CopyError> {
    let total = copied.iter().map(|(_, checksum)| checksum.rows).sum();
    let mut done = 0;
    for (table, (name, in_source)) in schema.tables.iter().zip(copied) {
        let mut count = |rows| {
            done += rows;
            progress(CopyProgress { stage: CopyStage::Checking, table: name, done, total });
        };
        let in_target = rows::checksum(table, writing, &mut count).await?;
        if in_target != *in_source {
            let (in_source, in_target) = (in_source.rows, in_target.rows);
            return Err(CopyError::Differs { table: name.clone(), in_source, in_target });
        }
    }
    Ok(())
}
