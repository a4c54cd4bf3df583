//! The database: connect, tune, migrate, begin a write.
//!
//! One set of queries and migrations serves SQLite and PostgreSQL through `sqlx::Any`. What that asks of the SQL is
//! written in `docs/decisions/one-set-of-queries.md`; the tests run on both engines.

use std::borrow::Cow;
use std::path::{Path, PathBuf};
use std::time::Duration;

use sqlx::any::{AnyConnectOptions, AnyPoolOptions};
use sqlx::migrate::{Migrate, MigrateError, Migrator};
use sqlx::{Any, AnyPool, AssertSqlSafe, ConnectOptions, Connection};

use crate::private_files::{make_private_file, make_private_folder};

/// What a query answers when it fails.
pub type Error = sqlx::Error;
/// What a write runs in; see [`Database::write`].
pub type Transaction = sqlx::Transaction<'static, Any>;

static MIGRATIONS: Migrator = sqlx::migrate!("./migrations");

/// Connections kept open for reading; on PostgreSQL for writing, too. SQLite hands each query to a thread of the
/// connection, so more of them than cores answer more requests a second.
const CONNECTIONS: u32 = 8;
/// SQLite has one writer at a time. With one connection for it, writes queue up here, and however long they wait for another
/// program's, an import say, pages still find connections to read with.
const SQLITE_WRITERS: u32 = 1;
/// How long a request waits for a free connection before it is told to come back later.
const ACQUIRE_TIMEOUT: Duration = Duration::from_secs(10);
/// Rows that one statement of upkeep takes: small enough that no request waits for it.
pub const UPKEEP_BATCH: i64 = 500;
/// How often a write that met another one on PostgreSQL is tried before it fails.
const WRITE_ATTEMPTS: u32 = 10;

/// `busy_timeout`: how long SQLite waits for another writer. `synchronous=FULL` under WAL: what was answered
/// survives a power cut.
const SQLITE_TUNING: &str = "PRAGMA journal_mode = WAL; PRAGMA synchronous = FULL; PRAGMA foreign_keys = ON; \
     PRAGMA busy_timeout = 10000; PRAGMA temp_store = MEMORY; PRAGMA cache_size = -16000;";
/// What reads cannot write by mistake, past the queue of writers.
const SQLITE_READERS: &str = "PRAGMA query_only = ON;";
const POSTGRES_TUNING: &str = "SET client_min_messages = warning; SET TIME ZONE 'UTC';";

/// Where the data lives: an `sqlite:` or `postgres:` address that was checked when it was read.
#[derive(Clone, PartialEq, Eq)]
pub struct DatabaseUrl(url::Url);

/// Which database this is, for what the two do differently.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Engine {
    /// Embedded; one writer at a time.
    Sqlite,
    /// A server.
    Postgres,
}

impl DatabaseUrl {
    /// Reads `sqlite://path/to/file.db`, `sqlite:///absolute/path.db` or `postgres://user@host/name`.
    ///
    /// # Errors
    /// What the address takes instead, in words.
    pub fn parse(text: &str) -> Result<Self, &'static str> {
        const TAKES: &str = "takes sqlite://path/to/file.db or postgres://user:password@host/database";
        let url = url::Url::parse(text).map_err(|_| TAKES)?;
        match url.scheme() {
            "sqlite" if !sqlite_path(&url).as_os_str().is_empty() => Ok(Self(url)),
            "postgres" | "postgresql" if url.host().is_some() => Ok(Self(url)),
            _ => Err(TAKES),
        }
    }

    fn engine(&self) -> Engine {
        if self.0.scheme() == "sqlite" { Engine::Sqlite } else { Engine::Postgres }
    }
}

/// The address without its password.
impl std::fmt::Display for DatabaseUrl {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let mut shown = self.0.clone();
        if shown.password().is_some() {
            shown.set_password(Some("***")).ok();
        }
        shown.set_query(None);
        f.write_str(shown.as_str())
    }
}

impl std::fmt::Debug for DatabaseUrl {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "DatabaseUrl({self})")
    }
}

/// The file that an `sqlite:` address names; as sqlx reads it, what follows `sqlite://` up to the query.
fn sqlite_path(url: &url::Url) -> PathBuf {
    let address = url.as_str();
    let path = address.strip_prefix("sqlite:").unwrap_or(address);
    let path = path.strip_prefix("//").unwrap_or(path);
    let path = path.split(['?', '#']).next().unwrap_or_default();
    PathBuf::from(percent_encoding::percent_decode_str(path).decode_utf8_lossy().into_owned())
}

/// Why the database cannot be used; each says what to do.
#[derive(Debug, thiserror::Error)]
pub enum OpenError {
    /// The folder of an SQLite file cannot be made.
    #[error("cannot make the folder {folder} for the database: {source}; make it, or change DATABASE_URL")]
    Folder {
        /// The folder.
        folder: PathBuf,
        /// What the system says.
        source: std::io::Error,
    },
    /// An SQLite file cannot be made.
    #[error("cannot make the database file {file}: {source}; mend its folder's permissions, or change DATABASE_URL")]
    File {
        /// The file.
        file: PathBuf,
        /// What the system says.
        source: std::io::Error,
    },
    /// The server or file does not answer.
    #[error("cannot open the database {url}: {source}; check DATABASE_URL and that it can be reached")]
    Connect {
        /// The address, without its password.
        url: DatabaseUrl,
        /// What the driver says.
        source: Error,
    },
    /// A newer order-portal wrote here.
    #[error(
        "the database has migration {0}, which this order-portal does not know: it is newer; run the newer program"
    )]
    Newer(i64),
    /// A migration failed, or was changed after it was applied.
    #[error("cannot migrate the database: {0}; nothing was changed by the failed step")]
    Migrate(MigrateError),
}

/// What a write may fail with: the database's own error among others, so that [`Database::write`] sees when to try again.
pub trait WriteError: From<Error> {
    /// The database's error, when it is one.
    fn database(&self) -> Option<&Error>;
}

impl WriteError for Error {
    fn database(&self) -> Option<&Error> {
        Some(self)
    }
}

/// One migration: its version and what it does.
#[derive(Debug)]
pub struct Applied {
    /// The number its file name begins with.
    pub version: i64,
    /// The rest of its file name, in words.
    pub description: String,
}

/// The open database. Clones share its connections.
#[derive(Clone)]
pub struct Database {
    readers: AnyPool,
    writers: AnyPool,
    engine: Engine,
}

impl Database {
    /// Opens the database, making an SQLite file that does not exist. Does not migrate.
    ///
    /// # Errors
    /// [`OpenError::Folder`], [`OpenError::File`] or [`OpenError::Connect`].
    pub async fn open(url: &DatabaseUrl) -> Result<Self, OpenError> {
        sqlx::any::install_default_drivers();
        let engine = url.engine();
        let connect_to = match engine {
            Engine::Sqlite => prepare_sqlite_file(url)?,
            Engine::Postgres => url.0.clone(),
        };
        let failed = |source| OpenError::Connect { url: url.clone(), source };
        let options = AnyConnectOptions::from_url(&connect_to)
            .map_err(failed)?
            .log_statements(log::LevelFilter::Trace)
            .log_slow_statements(log::LevelFilter::Warn, Duration::from_secs(1));
        let (readers, writers) = match engine {
            Engine::Sqlite => {
                let writers = pool(SQLITE_WRITERS, vec![SQLITE_TUNING]).connect_with(options.clone()).await;
                let readers = pool(CONNECTIONS, vec![SQLITE_TUNING, SQLITE_READERS]).connect_lazy_with(options);
                (readers, writers.map_err(failed)?)
            }
            Engine::Postgres => {
                reach(&options).await.map_err(failed)?;
                let all =
                    pool(CONNECTIONS, vec![POSTGRES_TUNING]).test_before_acquire(true).connect_with(options).await;
                let all = all.map_err(failed)?;
                (all.clone(), all)
            }
        };
        Ok(Self { readers, writers, engine })
    }

    /// Applies the migrations that are missing and tells which; run by every node at its start, one at a time.
    ///
    /// # Errors
    /// [`OpenError::Newer`] when the database has migrations that this program does not know, else
    /// [`OpenError::Migrate`].
    pub async fn migrate(&self) -> Result<Vec<Applied>, OpenError> {
        let before = self.applied_versions().await.map_err(OpenError::Migrate)?;
        MIGRATIONS.run(&self.writers).await.map_err(|error| match error {
            MigrateError::VersionMissing(version) => OpenError::Newer(version),
            other => OpenError::Migrate(other),
        })?;
        Ok(MIGRATIONS
            .iter()
            .filter(|migration| !before.contains(&migration.version))
            .map(|migration| Applied { version: migration.version, description: migration.description.to_string() })
            .collect())
    }

    async fn applied_versions(&self) -> Result<Vec<i64>, MigrateError> {
        let mut connection = self.writers.acquire().await?;
        connection.ensure_migrations_table(&MIGRATIONS.table_name).await?;
        let applied = connection.list_applied_migrations(&MIGRATIONS.table_name).await?;
        Ok(applied.into_iter().map(|migration| migration.version).collect())
    }

    /// For a single statement that reads; each takes a connection of its own.
    pub fn reader(&self) -> &AnyPool {
        &self.readers
    }

    /// For a single statement that writes. Not to be asked for inside of a transaction: SQLite has no second writer.
    pub fn writer(&self) -> &AnyPool {
        &self.writers
    }

    /// Runs `work` in one transaction in which what was read stays true until it is written: SQLite's single
    /// writer from the first statement on, PostgreSQL's `SERIALIZABLE`. There `work` runs again when another write
    /// came between, so it must do nothing that cannot be done twice.
    ///
    /// # Errors
    /// Whatever `work` answers; the transaction is rolled back then.
    pub async fn write<T, E>(&self, mut work: impl AsyncFnMut(&mut Transaction) -> Result<T, E>) -> Result<T, E>
    where
        E: WriteError,
    {
        let mut attempt = 1;
        loop {
            match self.write_once(&mut work).await {
                Err(error) if attempt < WRITE_ATTEMPTS && error.database().is_some_and(is_conflict) => {
                    tokio::time::sleep(pause_after(attempt)).await;
                    attempt += 1;
                }
                done => return done,
            }
        }
    }

    /// One attempt of a write as in [`Database::write`], whose statements have no time limit. Who calls tries again when
    /// [`is_conflict`].
    ///
    /// # Errors
    /// Whatever `work` answers; the transaction is rolled back then.
    pub async fn write_batch<T, E: WriteError>(
        &self,
        mut work: impl AsyncFnMut(&mut Transaction) -> Result<T, E>,
    ) -> Result<T, E> {
        self.write_once(&mut work).await
    }

    /// The engine behind the address.
    pub fn engine(&self) -> Engine {
        self.engine
    }

    /// Several writes that depend on nothing read, in one commit.
    ///
    /// # Errors
    /// What the driver says.
    pub async fn begin(&self) -> Result<Transaction, Error> {
        self.writers.begin().await
    }

    /// One look at the data that nothing changes meanwhile; it writes nothing.
    ///
    /// # Errors
    /// What the driver says.
    pub async fn begin_reading(&self) -> Result<Transaction, Error> {
        let begin = match self.engine {
            Engine::Sqlite => "BEGIN",
            Engine::Postgres => "BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY",
        };
        self.readers.begin_with(begin).await
    }

    async fn write_once<T, E: WriteError>(
        &self,
        work: &mut impl AsyncFnMut(&mut Transaction) -> Result<T, E>,
    ) -> Result<T, E> {
        let begin = match self.engine {
            Engine::Sqlite => "BEGIN IMMEDIATE",
            Engine::Postgres => "BEGIN ISOLATION LEVEL SERIALIZABLE",
        };
        let mut transaction = self.writers.begin_with(begin).await?;
        let done = work(&mut transaction).await?;
        transaction.commit().await?;
        Ok(done)
    }

    /// How a generated statement names its next parameter. SQLite's driver looks through all names for each parameter, so that a
    /// statement with three thousand took longer to fill than to run; without names there is nothing to look through.
    pub fn placeholder(&self, number: usize) -> Cow<'static, str> {
        match self.engine {
            Engine::Sqlite => "?".into(),
            Engine::Postgres => format!("${number}").into(),
        }
    }

    /// Whether a query is answered.
    ///
    /// # Errors
    /// What the driver says.
    pub async fn ping(&self) -> Result<(), Error> {
        sqlx::query("SELECT 1").fetch_one(&self.readers).await.map(drop)
    }

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

    /// Finishes what is under way and closes; SQLite's write-ahead log is folded into its file.
    pub async fn close(&self) {
        self.readers.close().await;
        // Not worth waiting for while another program writes.
        if self.engine == Engine::Sqlite {
            sqlx::raw_sql(AssertSqlSafe("PRAGMA busy_timeout = 0; PRAGMA optimize;")).execute(&self.writers).await.ok();
        }
        self.writers.close().await;
    }
}

/// Opens one connection and closes it again: a pool tries until its time is over and then says no more than that.
async fn reach(options: &AnyConnectOptions) -> Result<(), Error> {
    let no_answer = |_| Error::Io(std::io::Error::new(std::io::ErrorKind::TimedOut, "the server does not answer"));
    let connection = tokio::time::timeout(ACQUIRE_TIMEOUT, options.connect()).await.map_err(no_answer)??;
    connection.close().await
}

fn pool(connections: u32, tuning: Vec<&'static str>) -> AnyPoolOptions {
    AnyPoolOptions::new()
        .max_connections(connections)
        .acquire_timeout(ACQUIRE_TIMEOUT)
        .test_before_acquire(false)
        .after_connect(move |connection, _| {
            let tuning = tuning.concat();
            Box::pin(async move { sqlx::raw_sql(AssertSqlSafe(tuning)).execute(connection).await.map(drop) })
        })
}

/// Why no backup was written.
#[derive(Debug, thiserror::Error)]
pub enum BackupError {
    /// PostgreSQL has its own tool for this.
    #[error("backup copies an SQLite file; for PostgreSQL run: pg_dump --format=custom --file=FILE \"$DATABASE_URL\"")]
    Postgres,
    /// The copy's file cannot be made.
    #[error("cannot write {file}: {source}; name a new file in a folder that you may write to")]
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

/// Makes the file, unless the address asks for another mode than to make one. SQLite itself would let everyone read it; an empty
/// file is a new database to it, and its log and index beside it get the same permissions.
fn prepare_sqlite_file(url: &DatabaseUrl) -> Result<url::Url, OpenError> {
    let path = sqlite_path(&url.0);
    if let Some(folder) = path.parent().filter(|folder| !folder.as_os_str().is_empty()) {
        make_private_folder(folder).map_err(|source| OpenError::Folder { folder: folder.to_owned(), source })?;
    }
    let mut with_mode = url.0.clone();
    let mode = with_mode.query_pairs().find(|(name, _)| name == "mode").map(|(_, mode)| mode.into_owned());
    if mode.is_none() {
        with_mode.query_pairs_mut().append_pair("mode", "rwc");
    }
    let makes_file = mode.is_none_or(|mode| mode == "rwc") && path != Path::new(":memory:");
    if makes_file
        && let Err(source) = make_private_file(&path)
        && source.kind() != std::io::ErrorKind::AlreadyExists
    {
        return Err(OpenError::File { file: path, source });
    }
    Ok(with_mode)
}

/// Longer each time, and never the same for two that have just met.
fn pause_after(attempt: u32) -> Duration {
    let mut chance = [0_u8];
    getrandom::fill(&mut chance).ok();
    Duration::from_millis(u64::from(attempt * attempt) + u64::from(chance[0]) * u64::from(attempt) / 32)
}

/// SQLSTATE 40001 and 40P01: PostgreSQL undid one of two writes that met.
pub fn is_conflict(error: &Error) -> bool {
    let code = error.as_database_error().and_then(sqlx::error::DatabaseError::code);
    matches!(code.as_deref(), Some("40001" | "40P01"))
}

/// Whether the database was too busy to answer in time: no free connection, or SQLite's writer held too long.
pub fn is_busy(error: &Error) -> bool {
    let code = error.as_database_error().and_then(sqlx::error::DatabaseError::code);
    matches!(error, Error::PoolTimedOut) || matches!(code.as_deref(), Some("5" | "517" | "6" | "40001" | "40P01"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_address_is_shown_without_its_password() {
        let url = DatabaseUrl::parse("postgres://portal:hunter2@db.example/shop?sslmode=require&password=x").unwrap();
        assert!(!url.to_string().contains("hunter2") && !format!("{url:?}").contains("hunter2"));
        assert_eq!(url.to_string(), "postgres://portal:***@db.example/shop");
    }

    #[test]
    fn other_addresses_are_refused() {
        for text in ["", "data/portal.db", "mysql://localhost/shop", "sqlite://", "postgres://"] {
            assert!(DatabaseUrl::parse(text).is_err(), "{text}");
        }
    }

    #[test]
    fn the_file_of_an_sqlite_address_is_found() {
        let path = |text: &str| sqlite_path(&url::Url::parse(text).unwrap());
        assert_eq!(path("sqlite://data/portal.db"), PathBuf::from("data/portal.db"));
        assert_eq!(path("sqlite:///var/lib/a%20b.db?mode=ro"), PathBuf::from("/var/lib/a b.db"));
    }
}
