//! The database: connect, tune, migrate, begin a transaction.
//!
//! One set of queries and migrations serves SQLite and PostgreSQL through `sqlx::Any`. What that asks of the SQL is
//! written in `docs/decisions/one-set-of-queries.md`; the tests run on both engines.
//!
//! What must hold: a connection whose transaction failed never serves again ([`transaction`]); nothing depends on the state of a
//! connection, because a pooler may change it between two transactions.

mod backup;
mod error;
mod health;
mod lock;
mod migrations;
mod open;
mod partial;
pub mod restore;
mod sql_builder;
mod transaction;
mod url;

use std::borrow::Cow;
use std::sync::Arc;
use std::time::Duration;

use sqlx::{AnyPool, ConnectOptions, Connection};

use health::Health;

pub use backup::BackupError;
pub use error::{is_busy, is_conflict, is_unavailable};
pub use migrations::{AppliedNow, Migrated};
pub use open::OpenError;
pub use sql_builder::SqlBuilder;
pub use transaction::{SingleStatement, Transaction};
pub use url::{DatabaseUrl, Engine};

/// What a query answers when it fails.
pub type Error = sqlx::Error;

/// Rows that one statement of maintenance takes: small enough that no request waits for it.
pub const UPKEEP_BATCH: i64 = 500;
/// How often a transaction that lost to another one on PostgreSQL is tried before it fails.
const WRITE_ATTEMPTS: u32 = 10;

/// What a transaction may fail with: the database's own error among others, so that [`Database::write`] sees when to try again.
pub trait WriteError: From<Error> {
    /// The database's error, when it is one.
    fn database(&self) -> Option<&Error>;
}

impl WriteError for Error {
    fn database(&self) -> Option<&Error> {
        Some(self)
    }
}

/// The open database. Clones share its connections.
#[derive(Clone)]
pub struct Database {
    readers: AnyPool,
    writers: AnyPool,
    engine: Engine,
    is_behind_pooler: bool,
    /// The time limit of a statement on PostgreSQL.
    statement_timeout: Option<Duration>,
    health: Arc<Health>,
    /// Keeps `restore` from replacing an SQLite file under whoever has it open.
    _lock: Option<Arc<lock::DatabaseLock>>,
}

impl Database {
    /// The engine behind it.
    pub fn engine(&self) -> Engine {
        self.engine
    }

    /// For a single statement that reads; each takes a connection of its own.
    pub fn reader(&self) -> SingleStatement<'_> {
        self.single_statement(&self.readers)
    }

    /// For a single statement that writes. Not to be asked for inside of a transaction: SQLite has no second writer.
    pub fn writer(&self) -> SingleStatement<'_> {
        self.single_statement(&self.writers)
    }

    fn single_statement<'d>(&'d self, pool: &'d AnyPool) -> SingleStatement<'d> {
        let begin = if self.statement_timeout.is_some() { open::BEGIN_WITH_TIMEOUT } else { "BEGIN" };
        let (engine, is_pinned) = (self.engine, self.is_behind_pooler);
        SingleStatement { pool, health: &self.health, engine, is_pinned, begin }
    }

    /// Runs `work` in one transaction in which what was read stays true until it is written: SQLite's single
    /// writer from the first statement on, PostgreSQL's `SERIALIZABLE`. There `work` runs again when another transaction
    /// came between, so it must do nothing that cannot be done twice.
    ///
    /// # Errors
    /// Whatever `work` answers; the transaction is rolled back then.
    pub async fn write<T, E>(&self, work: impl AsyncFnMut(&mut Transaction) -> Result<T, E>) -> Result<T, E>
    where
        E: WriteError,
    {
        self.retry("BEGIN ISOLATION LEVEL SERIALIZABLE", work).await
    }

    /// Runs `work`, which consists of writes that depend on nothing read before, in one transaction. On PostgreSQL such a one does not
    /// make serializable ones fail, and is tried again only after a deadlock.
    ///
    /// # Errors
    /// Whatever `work` answers; the transaction is rolled back then.
    pub async fn write_together<T, E>(&self, work: impl AsyncFnMut(&mut Transaction) -> Result<T, E>) -> Result<T, E>
    where
        E: WriteError,
    {
        self.retry("BEGIN ISOLATION LEVEL READ COMMITTED", work).await
    }

    /// One attempt of [`write`](Self::write) without a time limit on its statements; who calls it tries again after a conflict
    /// ([`is_conflict`]).
    ///
    /// # Errors
    /// Whatever `work` answers; the transaction is rolled back then.
    pub async fn write_batch<T, E>(&self, mut work: impl AsyncFnMut(&mut Transaction) -> Result<T, E>) -> Result<T, E>
    where
        E: WriteError,
    {
        self.attempt("BEGIN ISOLATION LEVEL SERIALIZABLE; SET LOCAL statement_timeout = 0", &mut work).await
    }

    async fn retry<T, E: WriteError>(
        &self,
        begin: &str,
        mut work: impl AsyncFnMut(&mut Transaction) -> Result<T, E>,
    ) -> Result<T, E> {
        let begin = self.with_timeout(begin);
        let mut attempt = 1;
        loop {
            match self.attempt(&begin, &mut work).await {
                Err(error) if attempt < WRITE_ATTEMPTS && error.database().is_some_and(error::is_retryable) => {
                    tokio::time::sleep(pause_after(attempt)).await;
                    attempt += 1;
                }
                done => return done,
            }
        }
    }

    async fn attempt<T, E: WriteError>(
        &self,
        begin: &str,
        work: &mut impl AsyncFnMut(&mut Transaction) -> Result<T, E>,
    ) -> Result<T, E> {
        let begin = if self.engine == Engine::Sqlite { "BEGIN IMMEDIATE" } else { begin };
        self.run_in(&self.writers, begin, work).await
    }

    async fn run_in<T, E: WriteError>(
        &self,
        pool: &AnyPool,
        begin: &str,
        work: &mut impl AsyncFnMut(&mut Transaction) -> Result<T, E>,
    ) -> Result<T, E> {
        let done = async {
            let mut transaction = Transaction::begin(pool, begin, self.engine, self.is_behind_pooler).await?;
            match work(&mut transaction).await {
                Ok(done) => {
                    transaction.commit().await?;
                    Ok(done)
                }
                Err(error) => {
                    transaction.rollback(error.database()).await;
                    Err(error)
                }
            }
        };
        let done: Result<T, E> = done.await;
        if let Err(error) = &done
            && let Some(error) = error.database()
        {
            self.health.report(error);
        }
        done
    }

    /// Runs `work`, which writes nothing, on one snapshot of the data: what it reads belongs together, whatever others write
    /// meanwhile.
    ///
    /// # Errors
    /// Whatever `work` answers.
    pub async fn read<T, E>(&self, mut work: impl AsyncFnMut(&mut Transaction) -> Result<T, E>) -> Result<T, E>
    where
        E: WriteError,
    {
        let begin = match self.engine {
            Engine::Sqlite => "BEGIN".into(),
            Engine::Postgres => self.with_timeout("BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY"),
        };
        self.run_in(&self.readers, &begin, &mut work).await
    }

    /// A setting of a session would outlive the transaction, and behind a pooler reach somebody else's.
    fn with_timeout<'b>(&self, begin: &'b str) -> Cow<'b, str> {
        match self.statement_timeout {
            Some(_) if self.is_behind_pooler => format!("{begin}; {}", open::SET_LOCAL_TIMEOUT).into(),
            _ => begin.into(),
        }
    }

    /// Runs a statement that PostgreSQL refuses inside a transaction, as `VACUUM`. It has a connection of its own, as it may take minutes:
    /// without the time limit of others, and without a warning that it is slow.
    ///
    /// # Errors
    /// What the driver says.
    pub async fn execute_outside_transaction(&self, sql: &'static str) -> Result<(), Error> {
        let options = self.writers.connect_options().as_ref().clone();
        let mut connection = options.log_slow_statements(log::LevelFilter::Off, Duration::ZERO).connect().await?;
        sqlx::raw_sql(sql).execute(&mut connection).await?;
        connection.close().await
    }

    /// See [`Engine::placeholder`].
    pub fn placeholder(&self, number: usize) -> Cow<'static, str> {
        self.engine.placeholder(number)
    }

    /// Finishes what is under way and closes; SQLite's write-ahead log is folded into its file. SQLite is not analysed (`PRAGMA optimize`):
    /// its plans are the same without statistics, and counting a million rows keeps the writer from everybody for seconds.
    pub async fn close(&self) {
        self.readers.close().await;
        self.writers.close().await;
    }
}

/// Longer each time, and never the same for two that have just met.
fn pause_after(attempt: u32) -> Duration {
    let mut chance = [0_u8];
    getrandom::fill(&mut chance).ok();
    Duration::from_millis(u64::from(attempt * attempt) + u64::from(chance[0]) * u64::from(attempt) / 32)
}
