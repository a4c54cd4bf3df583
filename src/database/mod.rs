//! The database: connection pools, migrations, transactions, maintenance, backup and restore.
//!
//! One set of queries and migrations serves SQLite and PostgreSQL through `sqlx::Any`; `docs/decisions/one-set-of-queries.md` has the rules
//! for SQL. All tests run on both engines.
//!
//! Invariants: a connection whose transaction failed is closed ([`transaction`]); nothing depends on the state of a connection, because
//! behind a pooler each transaction may get another one.

mod backup;
mod connections;
mod error;
mod health;
mod lock;
mod maintenance;
mod metrics;
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

use sqlx::{ConnectOptions, Connection};

use connections::Connections;
use health::Health;

pub use backup::BackupError;
pub use error::{is_busy, is_conflict, is_unavailable};
pub use maintenance::MAINTENANCE_BATCH;
pub use migrations::{AppliedNow, Migrated};
pub use open::OpenError;
pub use partial::PartialFile;
pub use sql_builder::{SqlBuilder, batches};
pub use transaction::{SingleStatement, Transaction};
pub use url::{DatabaseUrl, Engine};

/// The driver's error.
pub type Error = sqlx::Error;

/// Attempts of a transaction that conflicts with others on PostgreSQL.
const WRITE_ATTEMPTS: u32 = 10;

/// The error type of a transaction. [`Database::write`] retries it if it is a conflict of the database.
pub trait WriteError: From<Error> {
    /// The database error in it, if any.
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
    readers: Arc<Connections>,
    writers: Arc<Connections>,
    engine: Engine,
    is_behind_pooler: bool,
    /// For single statements, on PostgreSQL only.
    statement_timeout: Option<Duration>,
    health: Arc<Health>,
    /// Keeps `restore` from replacing an SQLite file that is open.
    _lock: Option<Arc<lock::DatabaseLock>>,
}

impl Database {
    pub fn engine(&self) -> Engine {
        self.engine
    }

    /// Executor of a single reading statement, on a connection of its own.
    pub fn reader(&self) -> SingleStatement<'_> {
        self.single_statement(&self.readers)
    }

    /// Executor of a single writing statement. It deadlocks inside a transaction: SQLite has only one writer.
    pub fn writer(&self) -> SingleStatement<'_> {
        self.single_statement(&self.writers)
    }

    fn single_statement<'d>(&'d self, connections: &'d Arc<Connections>) -> SingleStatement<'d> {
        let begin = if self.statement_timeout.is_some() { open::BEGIN_WITH_TIMEOUT } else { "BEGIN" };
        let (engine, is_pinned) = (self.engine, self.is_behind_pooler);
        SingleStatement { connections, health: &self.health, engine, is_pinned, begin }
    }

    /// Runs `work` in a serializable transaction: `BEGIN IMMEDIATE` on SQLite, `SERIALIZABLE` on PostgreSQL. After a conflict `work` runs
    /// again, so it must have no other effects.
    ///
    /// # Errors
    /// The error of `work`; the transaction is rolled back.
    pub async fn write<T, E>(&self, work: impl AsyncFnMut(&mut Transaction) -> Result<T, E>) -> Result<T, E>
    where
        E: WriteError,
    {
        self.retry("BEGIN ISOLATION LEVEL SERIALIZABLE", work).await
    }

    /// Runs `work` in a transaction whose writes do not depend on earlier reads (`READ COMMITTED` on PostgreSQL). It does not conflict with
    /// serializable transactions and is retried only after a deadlock.
    ///
    /// # Errors
    /// The error of `work`; the transaction is rolled back.
    pub async fn write_together<T, E>(&self, work: impl AsyncFnMut(&mut Transaction) -> Result<T, E>) -> Result<T, E>
    where
        E: WriteError,
    {
        self.retry("BEGIN ISOLATION LEVEL READ COMMITTED", work).await
    }

    /// One attempt of [`write`](Self::write), without a statement timeout. The caller retries after a conflict ([`is_conflict`]).
    ///
    /// # Errors
    /// The error of `work`; the transaction is rolled back.
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
        connections: &Arc<Connections>,
        begin: &str,
        work: &mut impl AsyncFnMut(&mut Transaction) -> Result<T, E>,
    ) -> Result<T, E> {
        let done = async {
            let mut transaction = Transaction::begin(connections, begin, self.engine, self.is_behind_pooler).await?;
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

    /// Runs `work`, which must not write, in one snapshot: all that it reads is consistent.
    ///
    /// # Errors
    /// The error of `work`.
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

    /// `SET LOCAL`, because behind a pooler a setting of the connection would reach other clients.
    fn with_timeout<'b>(&self, begin: &'b str) -> Cow<'b, str> {
        match self.statement_timeout {
            Some(_) if self.is_behind_pooler => format!("{begin}; {}", open::SET_LOCAL_TIMEOUT).into(),
            _ => begin.into(),
        }
    }

    /// Runs a statement that PostgreSQL does not allow in a transaction, such as `VACUUM`, on a new connection without timeout and without
    /// a log line for slow statements.
    pub async fn execute_outside_transaction(&self, sql: &'static str) -> Result<(), Error> {
        let options = self.writers.pool().connect_options().as_ref().clone();
        let mut connection = options.log_slow_statements(log::LevelFilter::Off, Duration::ZERO).connect().await?;
        sqlx::raw_sql(sql).execute(&mut connection).await?;
        connection.close().await
    }

    /// See [`Engine::placeholder`].
    pub fn placeholder(&self, number: usize) -> Cow<'static, str> {
        self.engine.placeholder(number)
    }

    /// Closes all connections; SQLite checkpoints its write-ahead log. No `PRAGMA optimize`: SQLite's plans do not need statistics, and
    /// counting a million rows would block the writer for seconds.
    pub async fn close(&self) {
        self.readers.close().await;
        self.writers.close().await;
    }
}

/// Grows with each attempt; random, so that two transactions do not conflict again.
fn pause_after(attempt: u32) -> Duration {
    let mut random = [0_u8];
    getrandom::fill(&mut random).ok();
    Duration::from_millis(u64::from(attempt * attempt) + u64::from(random[0]) * u64::from(attempt) / 32)
}
