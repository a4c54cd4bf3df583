//! Opening the database: creating or insisting on the file, connection pools, and why it fails.

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use sqlx::any::{AnyConnectOptions, AnyPoolOptions};
use sqlx::migrate::MigrateError;
use sqlx::{AnyConnection, AnyPool, AssertSqlSafe, ConnectOptions, Connection, Row};

use super::error::sqlite_code;
use super::health::Health;
use super::lock::DatabaseLock;
use super::{Database, DatabaseUrl, Engine, Error, is_unavailable};
use crate::private_files::{make_private_file, make_private_folder};

/// Connections kept open for reading; on PostgreSQL for writing, too. SQLite hands each query to a thread of the
/// connection, so more of them than cores answer more requests a second.
const CONNECTIONS: u32 = 8;
/// SQLite has one writer at a time. With one connection for it, writes queue up here, and however long they wait for another
/// program's, an import say, pages still find connections to read with.
const SQLITE_WRITERS: u32 = 1;
/// How long a write waits for SQLite's writer, and a command for a connection.
const PATIENT: Duration = Duration::from_secs(10);
/// How long a request waits for a connection to PostgreSQL before it is told to come back later.
const IMPATIENT: Duration = Duration::from_secs(1);
/// The time limit of a statement on PostgreSQL, for requests and what runs beside them: the slowest page of a customer with
/// 200,000 orders takes a tenth of a second.
const STATEMENT_TIMEOUT: Duration = Duration::from_secs(5);
const SET_TIMEOUT: &str = "SET statement_timeout = 5000";
pub(super) const SET_LOCAL_TIMEOUT: &str = "SET LOCAL statement_timeout = 5000";
pub(super) const BEGIN_WITH_TIMEOUT: &str = "BEGIN; SET LOCAL statement_timeout = 5000";
/// A connection that nobody used for so long is tested before it is used.
const TESTED_AFTER: Duration = Duration::from_secs(1);
/// How often the file is tried that another process is just creating.
const SQLITE_TRIES: u32 = 50;

/// `busy_timeout`, first because the others may wait: how long SQLite waits for another writer. `synchronous=FULL` under WAL: what
/// was answered survives a power cut.
const SQLITE_TUNING: &str = "PRAGMA busy_timeout = 10000; PRAGMA journal_mode = WAL; PRAGMA synchronous = FULL; \
     PRAGMA foreign_keys = ON; PRAGMA temp_store = MEMORY; PRAGMA cache_size = -16000;";
/// What reads cannot write by mistake, past the queue of writers.
const SQLITE_READERS: &str = "PRAGMA query_only = ON;";

/// Why the database cannot be used; each says what to do.
#[derive(Debug, thiserror::Error)]
pub enum OpenError {
    /// The directory of an SQLite file cannot be created.
    #[error("cannot create the directory {directory} for the database: {source}; create it, or change DATABASE_URL")]
    Directory {
        /// The directory.
        directory: PathBuf,
        /// What the system says.
        source: std::io::Error,
    },
    /// An SQLite file cannot be created.
    #[error(
        "cannot create the database file {file}: {source}; fix its directory's permissions, or change DATABASE_URL"
    )]
    File {
        /// The file.
        file: PathBuf,
        /// What the system says.
        source: std::io::Error,
    },
    /// A command that creates no database found none.
    #[error(
        "there is no database at {file}; check DATABASE_URL and the current directory, or create one with: order-portal migrate"
    )]
    Missing {
        /// Where it was looked for, in full.
        file: PathBuf,
    },
    /// The lock file beside an SQLite file cannot be used.
    #[error("cannot lock {file}: {source}; check the permissions of the file and its directory")]
    Lock {
        /// The lock file.
        file: PathBuf,
        /// What the system says.
        source: std::io::Error,
    },
    /// The file is being replaced.
    #[error("the database {file} is being restored; try again when that is done")]
    BeingRestored {
        /// The file, in full.
        file: PathBuf,
    },
    /// The file cannot be replaced, because someone has it open.
    #[error("the database {file} is in use; stop order-portal serve and other commands, then run restore again")]
    InUse {
        /// The file, in full.
        file: PathBuf,
    },
    /// The server or file does not answer.
    #[error("cannot open the database {url}: {source}; check DATABASE_URL and that it can be reached")]
    Connect {
        /// The URL, without its password.
        url: DatabaseUrl,
        /// What the driver says.
        source: Error,
    },
    /// The database can be read but not written.
    #[error("cannot write the database {location}: {source}; {fix}")]
    NotWritable {
        /// The file in full, or the server.
        location: String,
        /// What to do.
        fix: &'static str,
        /// What the driver says.
        source: Error,
    },
    /// Migrations are missing.
    #[error("the database lacks {missing} of this program's migrations; apply them with: order-portal migrate")]
    Behind {
        /// How many.
        missing: usize,
    },
    /// A newer order-portal wrote here.
    #[error(
        "the database has migration {0}, which this order-portal does not know: it is newer; run the newer program"
    )]
    Newer(i64),
    /// A migration is not the one that was applied here.
    #[error(
        "migration {0} of the database is not the one of this program; run the version of order-portal that wrote it"
    )]
    Changed(i64),
    /// A migration failed.
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

    /// Whether it is worth waiting for: a server that is away, starting or read-only. A file does not come back by itself.
    pub fn is_passing(&self) -> bool {
        match self {
            Self::Connect { url, source } => url.engine() == Engine::Postgres && is_unavailable(source),
            Self::Migrate(MigrateError::Execute(source)) => is_unavailable(source),
            Self::NotWritable { source, .. } => is_unavailable(source) && sqlite_code(source).is_none(),
            _ => false,
        }
    }
}

/// Whom the database is opened for.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Use {
    /// Requests: nothing takes long, and who waits is told so.
    Serving,
    /// A command: whoever typed it waits.
    Command,
}

impl Use {
    /// A command's statements may take long: it copies or verifies everything.
    fn slow_statements(self) -> log::LevelFilter {
        if self == Self::Serving { log::LevelFilter::Warn } else { log::LevelFilter::Off }
    }
}

impl Database {
    /// Opens the database, creating an SQLite file that does not exist. Does not migrate.
    ///
    /// # Errors
    /// [`OpenError::Directory`], [`OpenError::File`], [`OpenError::Connect`] or [`OpenError::NotWritable`].
    pub async fn create_or_open(url: &DatabaseUrl) -> Result<Self, OpenError> {
        if let Some(file) = url.file() {
            create_sqlite_file(&file)?;
        }
        Self::open_locked(url, Use::Serving).await
    }

    /// Opens a database that exists, for a command; creates nothing.
    ///
    /// # Errors
    /// [`OpenError::Missing`], [`OpenError::Connect`] or [`OpenError::NotWritable`].
    pub async fn open_existing(url: &DatabaseUrl) -> Result<Self, OpenError> {
        if let Some(file) = url.file()
            && !file.is_file()
        {
            return Err(OpenError::Missing { file: std::path::absolute(&file).unwrap_or(file) });
        }
        Self::open_locked(url, Use::Command).await
    }

    /// Opens a file that nobody else knows, without a lock file beside it.
    pub(super) async fn open_unlocked(url: &DatabaseUrl) -> Result<Self, OpenError> {
        Self::open(url, Use::Command).await
    }

    async fn open_locked(url: &DatabaseUrl, used_for: Use) -> Result<Self, OpenError> {
        let lock = url.file().map(|file| DatabaseLock::share(&file)).transpose()?.flatten();
        Ok(Self { _lock: lock.map(Arc::new), ..Self::open(url, used_for).await? })
    }

    async fn open(url: &DatabaseUrl, used_for: Use) -> Result<Self, OpenError> {
        sqlx::any::install_default_drivers();
        let failed = |source| OpenError::Connect { url: url.clone(), source };
        let options = AnyConnectOptions::from_url(&url.for_driver(used_for == Use::Serving))
            .map_err(failed)?
            .log_statements(log::LevelFilter::Trace)
            .log_slow_statements(used_for.slow_statements(), Duration::from_secs(1));
        reach(&options, url).await?;
        let is_behind_pooler = url.is_behind_pooler();
        let health = Arc::new(Health::new(location(url)));
        let (readers, writers) = match url.engine() {
            Engine::Sqlite => sqlite_pools(&options),
            Engine::Postgres => {
                let pool = postgres_pool(options, used_for, is_behind_pooler, Arc::clone(&health));
                (pool.clone(), pool)
            }
        };
        Ok(Self {
            readers,
            writers,
            engine: url.engine(),
            is_behind_pooler,
            statement_timeout: (used_for == Use::Serving).then_some(STATEMENT_TIMEOUT),
            health,
            _lock: None,
        })
    }
}

/// What a log line and an error call the database: the file in full, or the server.
fn location(url: &DatabaseUrl) -> String {
    match url.file() {
        Some(file) => std::path::absolute(&file).unwrap_or(file).display().to_string(),
        None => url.to_string(),
    }
}

/// Creates the file. SQLite itself would let everyone read it; an empty file is a new database to it, and its log and index
/// beside it get the same permissions.
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

/// Opens one connection and closes it again: a pool tries until its time is over and then says no more than that.
async fn reach(options: &AnyConnectOptions, url: &DatabaseUrl) -> Result<(), OpenError> {
    let failed = |source| OpenError::Connect { url: url.clone(), source };
    let no_answer = |_| Error::Io(std::io::Error::new(std::io::ErrorKind::TimedOut, "the server does not answer"));
    let connected = tokio::time::timeout(PATIENT, options.connect()).await.map_err(|late| failed(no_answer(late)))?;
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

/// Changing a new file to write-ahead logging does not wait for other processes that do the same.
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

fn sqlite_pools(options: &AnyConnectOptions) -> (AnyPool, AnyPool) {
    let pool = |connections, tuning: &'static str| {
        let options = AnyPoolOptions::new().max_connections(connections).acquire_timeout(PATIENT);
        options.test_before_acquire(false).after_connect(move |connection, _| {
            Box::pin(async move {
                tune_sqlite(connection).await?;
                sqlx::raw_sql(AssertSqlSafe(tuning)).execute(connection).await.map(drop)
            })
        })
    };
    let readers = pool(CONNECTIONS, SQLITE_READERS).connect_lazy_with(options.clone());
    let writers = pool(SQLITE_WRITERS, "").connect_lazy_with(options.clone());
    (readers, writers)
}

fn postgres_pool(options: AnyConnectOptions, used_for: Use, is_behind_pooler: bool, health: Arc<Health>) -> AnyPool {
    let has_timeout = used_for == Use::Serving && !is_behind_pooler;
    AnyPoolOptions::new()
        .max_connections(CONNECTIONS)
        .acquire_timeout(if used_for == Use::Serving { IMPATIENT } else { PATIENT })
        .test_before_acquire(false)
        .before_acquire(move |connection, about| {
            let is_tested = about.idle_for >= TESTED_AFTER || health.may_be_read_only(about.age);
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

/// Whether the server still answers on this connection and lets it write: one that was read-only when it was connected may stay so after
/// the server has changed.
async fn is_writable(connection: &mut AnyConnection) -> Result<bool, Error> {
    let row = sqlx::raw_sql("SHOW transaction_read_only").fetch_one(connection).await?;
    Ok(row.try_get::<String, _>(0)? == "off")
}
