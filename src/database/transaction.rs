//! Transactions, with BEGIN, COMMIT and ROLLBACK sent as plain statements.
//!
//! sqlx counts the depth of its transactions. When SQLite rolls back by itself (full disk), the count stays wrong: the next transaction
//! becomes a savepoint inside one that is never committed. So a connection whose transaction failed or was dropped is closed, never
//! returned to the pool.

use std::sync::Arc;

use futures_util::future::BoxFuture;
use futures_util::stream::BoxStream;
use futures_util::{FutureExt, StreamExt, TryFutureExt, TryStreamExt};
use scopeguard::ScopeGuard;
use sqlx::any::{AnyArguments, AnyQueryResult, AnyRow, AnyStatement, AnyTypeInfo};
use sqlx::{Any, AnyConnection, AssertSqlSafe, Describe, Either, Execute, Executor, SqlStr};

use super::connections::{Connections, PooledConnection};
use super::health::Health;
use super::metrics::start_statement;
use super::{Engine, Error, error};

/// An open transaction. Statements run in it through `&mut transaction`.
#[derive(Debug)]
pub struct Transaction {
    /// Closed, if the transaction ends in another way than by COMMIT or ROLLBACK.
    connection: ScopeGuard<PooledConnection, fn(PooledConnection)>,
    engine: Engine,
    /// Whether prepared statements are unnamed: behind a pooler the next transaction may use another server connection, which does not
    /// have them.
    is_unnamed: bool,
    has_failed: bool,
    after_commit: AfterCommit,
}

#[derive(Default)]
struct AfterCommit(Vec<Box<dyn FnOnce() + Send>>);

impl std::fmt::Debug for AfterCommit {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(formatter, "AfterCommit({})", self.0.len())
    }
}

impl Transaction {
    /// Acquires a connection and runs `begin`, which may be several statements. If that fails, for instance because the connection is
    /// inside a transaction, the connection is closed and another one is tried once.
    pub(super) async fn begin(
        connections: &Arc<Connections>,
        begin: &str,
        engine: Engine,
        is_unnamed: bool,
    ) -> Result<Self, Error> {
        let acquire = async || {
            let close: fn(PooledConnection) = |mut connection| connection.close_on_drop();
            let connection = scopeguard::guard(connections.acquire().await?, close);
            let after_commit = AfterCommit::default();
            Ok::<_, Error>(Self { connection, engine, is_unnamed, has_failed: false, after_commit })
        };
        let mut transaction = acquire().await?;
        if transaction.run(begin).await.is_ok() {
            return Ok(transaction);
        }
        drop(transaction);
        let mut transaction = acquire().await?;
        transaction.run(begin).await?;
        Ok(transaction)
    }

    pub fn engine(&self) -> Engine {
        self.engine
    }

    /// Runs `action` after the commit, and not at all without one. For log lines about what was stored.
    pub fn after_commit(&mut self, action: impl FnOnce() + Send + 'static) {
        self.after_commit.0.push(Box::new(action));
    }

    /// Commits and releases the connection.
    ///
    /// # Errors
    /// The driver's error. Nothing was stored, unless the connection broke during the COMMIT.
    pub async fn commit(mut self) -> Result<(), Error> {
        if self.has_failed {
            // PostgreSQL would roll back and report success.
            return Err(Error::Protocol("a statement failed, so the transaction cannot be committed".to_owned()));
        }
        self.run("COMMIT").await?;
        ScopeGuard::into_inner(self.connection).release();
        self.after_commit.0.into_iter().for_each(|action| action());
        Ok(())
    }

    /// Rolls back. The connection is used again unless a statement failed; after a conflict on PostgreSQL it is still usable.
    pub(super) async fn rollback(mut self, cause: Option<&Error>) {
        let is_clean = !self.has_failed || cause.is_some_and(error::is_conflict);
        if is_clean && self.run("ROLLBACK").await.is_ok() {
            ScopeGuard::into_inner(self.connection).release();
        }
    }

    pub(super) fn connection(&mut self) -> &mut AnyConnection {
        &mut self.connection
    }

    async fn run(&mut self, sql: &str) -> Result<(), Error> {
        let done = sqlx::raw_sql(AssertSqlSafe(sql)).execute(self.connection()).await;
        self.has_failed |= done.is_err();
        done.map(drop)
    }
}

/// A statement with its arguments, as a named or unnamed prepared statement.
struct Prepared {
    sql: SqlStr,
    arguments: Option<AnyArguments>,
    is_named: bool,
}

impl Prepared {
    fn new<'q>(mut query: impl Execute<'q, Any>, is_unnamed: bool) -> Result<Self, Error> {
        let arguments = query.take_arguments().map_err(Error::Encode)?;
        let is_named = query.persistent() && !is_unnamed;
        Ok(Self { sql: query.sql(), arguments, is_named })
    }
}

impl<'q> Execute<'q, Any> for Prepared {
    fn sql(self) -> SqlStr {
        self.sql
    }

    fn statement(&self) -> Option<&AnyStatement> {
        None
    }

    fn take_arguments(&mut self) -> Result<Option<AnyArguments>, sqlx::error::BoxDynError> {
        Ok(self.arguments.take())
    }

    fn persistent(&self) -> bool {
        self.is_named
    }
}

impl<'c> Executor<'c> for &'c mut Transaction {
    type Database = Any;

    fn fetch_many<'e, 'q: 'e, E>(self, query: E) -> BoxStream<'e, Result<Either<AnyQueryResult, AnyRow>, Error>>
    where
        'c: 'e,
        E: 'q + Execute<'q, Any>,
    {
        let Transaction { connection, is_unnamed, has_failed, .. } = self;
        let timer = start_statement();
        match Prepared::new(query, *is_unnamed) {
            Ok(query) => connection
                .fetch_many(query)
                .inspect_err(move |_| {
                    // Moved into the stream, the timer ends with it.
                    let _moved = &timer;
                    *has_failed = true;
                })
                .boxed(),
            Err(error) => futures_util::stream::iter([Err(error)]).boxed(),
        }
    }

    fn fetch_optional<'e, 'q: 'e, E>(self, query: E) -> BoxFuture<'e, Result<Option<AnyRow>, Error>>
    where
        'c: 'e,
        E: 'q + Execute<'q, Any>,
    {
        let query = Prepared::new(query, self.is_unnamed);
        let timer = start_statement();
        Box::pin(async move {
            let found = self.connection.fetch_optional(query?).await;
            drop(timer);
            self.has_failed |= found.is_err();
            found
        })
    }

    fn prepare_with<'e>(self, sql: SqlStr, parameters: &'e [AnyTypeInfo]) -> BoxFuture<'e, Result<AnyStatement, Error>>
    where
        'c: 'e,
    {
        self.connection.prepare_with(sql, parameters)
    }

    fn describe<'e>(self, sql: SqlStr) -> BoxFuture<'e, Result<Describe<Any>, Error>>
    where
        'c: 'e,
    {
        self.connection.describe(sql)
    }
}

/// Executor of one statement on a pooled connection, see [`Database::reader`](super::Database::reader) and
/// [`writer`](super::Database::writer).
#[derive(Clone, Copy, Debug)]
pub struct SingleStatement<'d> {
    pub(super) connections: &'d Arc<Connections>,
    pub(super) health: &'d Health,
    pub(super) engine: Engine,
    /// Whether the statement runs in a transaction. sqlx prepares and executes in two steps, which a pooler sends to the same server
    /// connection only within a transaction.
    pub(super) is_pinned: bool,
    /// The first statements of such a transaction.
    pub(super) begin: &'d str,
}

impl SingleStatement<'_> {
    /// All rows and results.
    async fn run<'q>(self, query: impl Execute<'q, Any> + 'q) -> Result<Vec<Either<AnyQueryResult, AnyRow>>, Error> {
        let done = if self.is_pinned { self.run_pinned(query).await } else { self.run_alone(query).await };
        done.inspect_err(|error| self.health.report(error))
    }

    async fn run_alone<'q>(
        self,
        query: impl Execute<'q, Any> + 'q,
    ) -> Result<Vec<Either<AnyQueryResult, AnyRow>>, Error> {
        let mut connection = self.connections.acquire().await?;
        let timer = start_statement();
        let done = connection.fetch_many(query).try_collect().await;
        drop(timer);
        match &done {
            Ok(_) => connection.release(),
            Err(error) if error::is_unavailable(error) => connection.close_on_drop(),
            Err(_) => {}
        }
        done
    }

    async fn run_pinned<'q>(
        self,
        query: impl Execute<'q, Any> + 'q,
    ) -> Result<Vec<Either<AnyQueryResult, AnyRow>>, Error> {
        let mut transaction = Transaction::begin(self.connections, self.begin, self.engine, true).await?;
        let all = (&mut transaction).fetch_many(query).try_collect().await?;
        transaction.commit().await?;
        Ok(all)
    }
}

impl<'d> Executor<'d> for SingleStatement<'d> {
    type Database = Any;

    fn fetch_many<'e, 'q: 'e, E>(self, query: E) -> BoxStream<'e, Result<Either<AnyQueryResult, AnyRow>, Error>>
    where
        'd: 'e,
        E: 'q + Execute<'q, Any>,
    {
        let all = self.run(query).map_ok(|all| futures_util::stream::iter(all.into_iter().map(Ok)));
        futures_util::stream::once(all).try_flatten().boxed()
    }

    fn fetch_optional<'e, 'q: 'e, E>(self, query: E) -> BoxFuture<'e, Result<Option<AnyRow>, Error>>
    where
        'd: 'e,
        E: 'q + Execute<'q, Any>,
    {
        let first = |all: Vec<Either<AnyQueryResult, AnyRow>>| all.into_iter().find_map(Either::right);
        self.run(query).map_ok(first).boxed()
    }

    fn prepare_with<'e>(self, sql: SqlStr, parameters: &'e [AnyTypeInfo]) -> BoxFuture<'e, Result<AnyStatement, Error>>
    where
        'd: 'e,
    {
        Box::pin(async move { self.connections.acquire().await?.prepare_with(sql, parameters).await })
    }

    fn describe<'e>(self, sql: SqlStr) -> BoxFuture<'e, Result<Describe<Any>, Error>>
    where
        'd: 'e,
    {
        Box::pin(async move { self.connections.acquire().await?.describe(sql).await })
    }
}
