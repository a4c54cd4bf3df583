//! Opens the database: creates or requires the SQLite file, sets up connection pools, reports errors.

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use sqlx::any::{AnyConnectOptions, AnyPoolOptions};
use sqlx::migrate::MigrateError;
use sqlx::{AnyConnection, AnyPool, AssertSqlSafe, ConnectOptions, Connection, Row};

use super::connections::Connections;
use super::error::sqlite_code;
use super::health::Health;
use super::lock::DatabaseLock;
use super::{Database, DatabaseUrl, Engine, Error, is_unavailable};
use crate::private_files::{make_private_file, make_private_folder};

/// Connections of the read pool; on PostgreSQL it also writes. Each SQLite connection has its own thread, so more connections than
/// cores give more requests per second.
const CONNECTIONS: u32 = 8;
/// SQLite allows one writer. Writes queue for this connection; reads have their own pool and do not wait for a write.
const SQLITE_WRITERS: u32 = 1;
/// Wait of a write for SQLite's writer, and of a command for a connection.
const LONG_ACQUIRE_TIMEOUT: Duration = Duration::from_secs(10);
/// Wait of a request for a PostgreSQL connection, before it is answered 503.
const SHORT_ACQUIRE_TIMEOUT: Duration = Duration::from_secs(1);
/// Statement timeout of the server on PostgreSQL. The slowest page of a customer with 200,000 orders takes 0.1 s.
const STATEMENT_TIMEOUT: Duration = Duration::from_secs(5);
// Without JIT: compiling a plan takes longer than any statement of a page. PostgreSQL would do it for a customer with many orders whose
// table was not vacuumed.
const SET_TIMEOUT: &str = "SET statement_timeout = 5000; SET jit = off";
pub(super) const SET_LOCAL_TIMEOUT: &str = "SET LOCAL statement_timeout = 5000; SET LOCAL jit = off";
pub(super) const BEGIN_WITH_TIMEOUT: &str = "BEGIN; SET LOCAL statement_timeout = 5000; SET LOCAL jit = off";
/// A connection that was idle for so long is tested before use.
const TEST_AFTER_IDLE: Duration = Duration::from_secs(1);
/// Attempts to open a file that another process is creating.
const SQLITE_TRIES: u32 = 50;

/// `busy_timeout` comes first because the other pragmas may wait for a writer. With WAL and `synchronous=FULL` a commit survives a power
/// failure.
const SQLITE_TUNING: &str = "PRAGMA busy_timeout = 10000; PRAGMA journal_mode = WAL; PRAGMA synchronous = FULL; \
     PRAGMA foreign_keys = ON; PRAGMA temp_store = MEMORY; PRAGMA cache_size = -16000;";
/// The read pool cannot write: a write must use the writer's queue.
const SQLITE_READERS: &str = "PRAGMA query_only = ON;";

/// Why the database cannot be opened, with the fix.
#[derive(Debug, thiserror::Error)]
pub enum OpenError {
    #[error("cannot create the directory {directory} for the database: {source}; create it, or change DATABASE_URL")]
    Directory { directory: PathBuf, source: std::io::Error },
    #[error(
        "cannot create the database file {file}: {source}; fix its directory's permissions, or change DATABASE_URL"
    )]
    File { file: PathBuf, source: std::io::Error },
    /// A command that must not create a database found none.
    #[error(
        "there is no database at {file}; check DATABASE_URL and the current directory, or create one with: order-portal migrate"
    )]
    Missing {
        /// The absolute path.
        file: PathBuf,
    },
    #[error("cannot lock {file}: {source}; check the permissions of the file and its directory")]
    Lock { file: PathBuf, source: std::io::Error },
    #[error("the database {file} is being restored; try again when that is done")]
    BeingRestored { file: PathBuf },
    /// The file cannot be replaced because another process has it open.
    #[error("the database {file} is in use; stop order-portal serve and other commands, then try again")]
    InUse { file: PathBuf },
    #[error("cannot open the database {url}: {source}; check DATABASE_URL and that it can be reached")]
    Connect { url: DatabaseUrl, source: Error },
    #[error("cannot write the database {location}: {source}; {fix}")]
    NotWritable { location: String, fix: &'static str, source: Error },
    #[error("the database lacks {missing} of this program's migrations; apply them with: order-portal migrate")]
    Behind { missing: usize },
    #[error(
        "the database has migration {0}, which this order-portal does not know: it is newer; run the newer program"
    )]
    Newer(i64),
    /// A migration has another checksum than the one that was applied.
    #[error(
        "migration {0} of the database is not the one of this program; run the version of order-portal that wrote it"
    )]
    Changed(i64),
    #[error("cannot migrate the database: {0}; nothing was changed")]
    Migrate(MigrateError),
}

impl From<MigrateError> for OpenError {
    fn from(error: MigrateError) -> Self {
        Self::Migrate(error)
    }
}

impl From<Error> for OpenError {
    fn from(error: Error) -> Self {
        Self::Migrate(error.into())
    }
}

impl OpenError {
    /// A database that can be read but not written.
    pub fn not_writable(url: &DatabaseUrl, source: Error) -> Self {
        let fix = match url.engine() {
            Engine::Sqlite => "free space on its disk, and check that the file and its directory are writable",
            Engine::Postgres => "check that the server is a primary, has space, and lets this role write",
        };
        Self::NotWritable { location: location(url), fix, source }
    }

    /// Whether the error may pass by itself: a server that is unavailable, starting or read-only. Never for a file.
    pub fn is_transient(&self) -> bool {
        match self {
            Self::Connect { url, source } => url.engine() == Engine::Postgres && is_unavailable(source),
            Self::Migrate(MigrateError::Execute(source)) => is_unavailable(source),
            Self::NotWritable { source, .. } => is_unavailable(source) && sqlite_code(source).is_none(),
            _ => false,
        }
    }
}

/// What the database is opened for. It decides on timeouts.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Workload {
    /// Requests: short timeouts.
    Server,
    /// A command may wait and run long statements.
    Command,
}

impl Workload {
    /// A command's statements may be slow: it copies or verifies the whole database.
    fn slow_statements(self) -> log::LevelFilter {
        if self == Self::Server { log::LevelFilter::Warn } else { log::LevelFilter::Off }
    }
}

impl Database {
    /// Opens the database; creates a missing SQLite file. Does not migrate.
    ///
    /// # Errors
    /// [`OpenError::Directory`], [`OpenError::File`], [`OpenError::Connect`] or [`OpenError::NotWritable`].
    pub async fn create_or_open(url: &DatabaseUrl) -> Result<Self, OpenError> {
        if let Some(file) = url.file() {
            create_sqlite_file(&file)?;
        }
        Self::open_locked(url, Workload::Server).await
    }

    /// Opens an existing database for a command; never creates one.
    ///
    /// # Errors
    /// [`OpenError::Missing`], [`OpenError::Connect`] or [`OpenError::NotWritable`].
    pub async fn open_existing(url: &DatabaseUrl) -> Result<Self, OpenError> {
        if let Some(file) = url.file()
            && !file.is_file()
        {
            return Err(OpenError::Missing { file: std::path::absolute(&file).unwrap_or(file) });
        }
        Self::open_locked(url, Workload::Command).await
    }

    /// Opens a file that no other process uses, without a lock file.
    pub(super) async fn open_unlocked(url: &DatabaseUrl) -> Result<Self, OpenError> {
        Self::open(url, Workload::Command).await
    }

    /// Opens an SQLite file that no other process uses, without a lock file, through one connection that `tuning` sets up.
    pub(super) fn open_alone(url: &DatabaseUrl, tuning: &'static str) -> Result<Self, OpenError> {
        sqlx::any::install_default_drivers();
        let options = AnyConnectOptions::from_url(&url.for_driver(true))
            .map_err(|source| OpenError::Connect { url: url.clone(), source })?
            .log_statements(log::LevelFilter::Trace)
            .log_slow_statements(Workload::Command.slow_statements(), Duration::from_secs(1));
        let pool = AnyPoolOptions::new()
            .max_connections(1)
            .acquire_timeout(LONG_ACQUIRE_TIMEOUT)
            .test_before_acquire(false)
            .after_connect(move |connection, _| {
                Box::pin(async move { sqlx::raw_sql(tuning).execute(connection).await.map(drop) })
            })
            .connect_lazy_with(options);
        let health = Arc::new(Health::new(location(url)));
        let connections = Connections::new("all", pool, Arc::clone(&health));
        Ok(Self {
            readers: Arc::clone(&connections),
            writers: connections,
            engine: Engine::Sqlite,
            is_behind_pooler: false,
            statement_timeout: None,
            health,
            _lock: None,
        })
    }

    async fn open_locked(url: &DatabaseUrl, workload: Workload) -> Result<Self, OpenError> {
        let lock = url.file().map(|file| DatabaseLock::share(&file)).transpose()?.flatten();
        Ok(Self { _lock: lock.map(Arc::new), ..Self::open(url, workload).await? })
    }

    async fn open(url: &DatabaseUrl, workload: Workload) -> Result<Self, OpenError> {
        sqlx::any::install_default_drivers();
        let failed = |source| OpenError::Connect { url: url.clone(), source };
        let options = AnyConnectOptions::from_url(&url.for_driver(workload == Workload::Server))
            .map_err(failed)?
            .log_statements(log::LevelFilter::Trace)
            .log_slow_statements(workload.slow_statements(), Duration::from_secs(1));
        test_connection(&options, url).await?;
        let is_behind_pooler = url.is_behind_pooler();
        let health = Arc::new(Health::new(location(url)));
        let (readers, writers) = match url.engine() {
            Engine::Sqlite => sqlite_pools(&options, &health),
            Engine::Postgres => {
                let pool = postgres_pool(options, workload, is_behind_pooler, Arc::clone(&health));
                let connections = Connections::new("all", pool, Arc::clone(&health));
                (Arc::clone(&connections), connections)
            }
        };
        Ok(Self {
            readers,
            writers,
            engine: url.engine(),
            is_behind_pooler,
            statement_timeout: (workload == Workload::Server).then_some(STATEMENT_TIMEOUT),
            health,
            _lock: None,
        })
    }
}

/// The absolute path or the server, for logs and errors.
fn location(url: &DatabaseUrl) -> String {
    match url.file() {
        Some(file) => std::path::absolute(&file).unwrap_or(file).display().to_string(),
        None => url.to_string(),
    }
}

/// Creates the file with mode 0600, which SQLite would not do. To SQLite an empty file is a new database; it gives the `-wal` and `-shm`
/// files the same mode.
fn create_sqlite_file(file: &Path) -> Result<(), OpenError> {
    if let Some(directory) = file.parent().filter(|directory| !directory.as_os_str().is_empty()) {
        make_private_folder(directory)
            .map_err(|source| OpenError::Directory { directory: directory.to_owned(), source })?;
    }
    match make_private_file(file) {
        Ok(_) => Ok(()),
        Err(error) if error.kind() == std::io::ErrorKind::AlreadyExists => Ok(()),
        Err(source) => Err(OpenError::File { file: file.to_owned(), source }),
    }
}

/// Opens one connection and closes it, for the cause of a failure: a pool would only report a timeout.
async fn test_connection(options: &AnyConnectOptions, url: &DatabaseUrl) -> Result<(), OpenError> {
    let failed = |source| OpenError::Connect { url: url.clone(), source };
    let no_answer = |_| Error::Io(std::io::Error::new(std::io::ErrorKind::TimedOut, "the server does not answer"));
    let connected =
        tokio::time::timeout(LONG_ACQUIRE_TIMEOUT, options.connect()).await.map_err(|late| failed(no_answer(late)))?;
    let mut connection = connected.map_err(failed)?;
    if url.file().is_some() {
        let tuned = tune_sqlite(&mut connection).await;
        tuned.map_err(|source| match is_unavailable(&source) {
            true => OpenError::not_writable(url, source),
            false => failed(source),
        })?;
    }
    connection.close().await.map_err(failed)
}

/// Retries: SQLite's busy timeout does not cover the switch of a new file to WAL by several processes.
async fn tune_sqlite(connection: &mut AnyConnection) -> Result<(), Error> {
    let mut tries = 1;
    loop {
        match sqlx::raw_sql(SQLITE_TUNING).execute(&mut *connection).await {
            Err(error) if tries < SQLITE_TRIES && super::is_busy(&error) => {
                tries += 1;
                tokio::time::sleep(Duration::from_millis(100)).await;
            }
            done => return done.map(drop),
        }
    }
}

fn sqlite_pools(options: &AnyConnectOptions, health: &Arc<Health>) -> (Arc<Connections>, Arc<Connections>) {
    let pool = |connections, tuning: &'static str| {
        let options = AnyPoolOptions::new().max_connections(connections).acquire_timeout(LONG_ACQUIRE_TIMEOUT);
        options.test_before_acquire(false).after_connect(move |connection, _| {
            Box::pin(async move {
                tune_sqlite(connection).await?;
                sqlx::raw_sql(AssertSqlSafe(tuning)).execute(connection).await.map(drop)
            })
        })
    };
    let readers = pool(CONNECTIONS, SQLITE_READERS).connect_lazy_with(options.clone());
    let writers = pool(SQLITE_WRITERS, "").connect_lazy_with(options.clone());
    (Connections::new("read", readers, Arc::clone(health)), Connections::new("write", writers, Arc::clone(health)))
}

fn postgres_pool(
    options: AnyConnectOptions,
    workload: Workload,
    is_behind_pooler: bool,
    health: Arc<Health>,
) -> AnyPool {
    let has_timeout = workload == Workload::Server && !is_behind_pooler;
    AnyPoolOptions::new()
        .max_connections(CONNECTIONS)
        .acquire_timeout(if workload == Workload::Server { SHORT_ACQUIRE_TIMEOUT } else { LONG_ACQUIRE_TIMEOUT })
        .test_before_acquire(false)
        .before_acquire(move |connection, about| {
            let is_tested = about.idle_for >= TEST_AFTER_IDLE || health.may_be_read_only(about.age);
            Box::pin(async move { Ok(!is_tested || is_writable(connection).await?) })
        })
        .after_connect(move |connection, _| {
            Box::pin(async move {
                if has_timeout {
                    sqlx::raw_sql(SET_TIMEOUT).execute(connection).await?;
                }
                Ok(())
            })
        })
        .connect_lazy_with(options)
}

/// Whether the connection works and can write. A connection made while the server was read-only may stay read-only.
async fn is_writable(connection: &mut AnyConnection) -> Result<bool, Error> {
    let row = sqlx::raw_sql("SHOW transaction_read_only").fetch_one(connection).await?;
    Ok(row.try_get::<String, _>(0)? == "off")
}
