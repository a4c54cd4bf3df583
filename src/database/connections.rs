//! Pooled connections that are used again without a round trip.
//!
//! sqlx's pool sends a ping on each connection that is returned to it: a second round trip for each statement, to SQLite's thread or to the
//! PostgreSQL server. So a connection whose work succeeded is kept here for the next request, and goes back to the pool, with its tests,
//! when it was idle for a moment or was kept for long. After a failure it goes back at once or is closed.

use std::ops::{Deref, DerefMut};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use sqlx::pool::PoolConnection;
use sqlx::{Any, AnyConnection, AnyPool};
use tokio::sync::{OwnedSemaphorePermit, Semaphore};

use super::Error;
use super::health::Health;
use super::metrics::PoolMetrics;

/// A kept connection that was idle for so long goes back to the pool.
const MAX_IDLE: Duration = Duration::from_secs(1);
/// The same for one that was kept for so long, however busy: the pool replaces old connections.
const MAX_KEPT: Duration = Duration::from_secs(30);

/// A connection pool and its kept connections.
#[derive(Debug)]
pub(super) struct Connections {
    pool: AnyPool,
    /// One for each connection. A request waits here, so that it gets a kept connection as well as one of the pool.
    slots: Arc<Semaphore>,
    /// The connection used last is used first.
    kept: Mutex<Vec<Kept>>,
    health: Arc<Health>,
    metrics: PoolMetrics,
}

#[derive(Debug)]
struct Kept {
    connection: PoolConnection<Any>,
    since: Instant,
    used_at: Instant,
}

impl Connections {
    /// `name` is the pool's in metrics.
    pub(super) fn new(name: &'static str, pool: AnyPool, health: Arc<Health>) -> Arc<Self> {
        let slots = Arc::new(Semaphore::new(pool.options().get_max_connections() as usize));
        Arc::new(Self { pool, slots, kept: Mutex::default(), health, metrics: PoolMetrics::new(name) })
    }

    pub(super) fn pool(&self) -> &AnyPool {
        &self.pool
    }

    /// Records how many connections are open and in use now; in use is also the one that a request gets next.
    pub(super) fn record_metrics(&self) {
        let max = self.pool.options().get_max_connections() as usize;
        self.metrics.record(self.pool.size() as usize, max - self.slots.available_permits(), max);
    }

    /// # Errors
    /// `PoolTimedOut` after the pool's timeout; the error of a new connection.
    pub(super) async fn acquire(self: &Arc<Self>) -> Result<PooledConnection, Error> {
        let slots = Arc::clone(&self.slots);
        if let Ok(slot) = Arc::clone(&slots).try_acquire_owned()
            && let Some(kept) = self.take_kept()
        {
            return Ok(self.lease(kept, slot));
        }
        let began = Instant::now();
        let acquired = tokio::time::timeout(self.pool.options().get_acquire_timeout(), async {
            let slot = slots.acquire_owned().await.map_err(|_| Error::PoolClosed)?;
            if let Some(kept) = self.take_kept() {
                return Ok(self.lease(kept, slot));
            }
            let connection = self.pool.acquire().await?;
            let now = Instant::now();
            Ok(self.lease(Kept { connection, since: now, used_at: now }, slot))
        });
        let acquired = acquired.await;
        self.metrics.waited(began.elapsed(), acquired.is_err());
        acquired.map_err(|_| Error::PoolTimedOut)?
    }

    fn lease(self: &Arc<Self>, kept: Kept, slot: OwnedSemaphorePermit) -> PooledConnection {
        PooledConnection { connection: kept.connection, since: kept.since, home: Arc::clone(self), _slot: slot }
    }

    fn take_kept(&self) -> Option<Kept> {
        let mut kept = self.kept.lock().unwrap_or_else(PoisonError::into_inner);
        // Sorted by the last use.
        let idle = kept.iter().take_while(|kept| kept.used_at.elapsed() >= MAX_IDLE).count();
        kept.drain(..idle);
        kept.pop()
    }

    /// Closes all connections, once their work is done.
    pub(super) async fn close(&self) {
        self.slots.close();
        self.kept.lock().unwrap_or_else(PoisonError::into_inner).clear();
        self.pool.close().await;
    }
}

impl Drop for Connections {
    /// Closes the kept connections. Returned to the pool they would need the runtime, which may have ended.
    fn drop(&mut self) {
        let kept = self.kept.get_mut().unwrap_or_else(PoisonError::into_inner);
        kept.drain(..).for_each(|kept| drop(kept.connection.leak()));
    }
}

/// A connection in use. Dropped, it goes back to the pool, which tests it.
#[derive(Debug)]
pub(super) struct PooledConnection {
    connection: PoolConnection<Any>,
    /// When it came from the pool.
    since: Instant,
    home: Arc<Connections>,
    _slot: OwnedSemaphorePermit,
}

impl PooledConnection {
    /// After work that succeeded: keeps the connection for the next request.
    pub(super) fn release(self) {
        let age = self.since.elapsed();
        if age >= MAX_KEPT || self.home.health.may_be_read_only(age) {
            return;
        }
        // Locked before the check: after `close` nothing may be kept.
        let mut kept = self.home.kept.lock().unwrap_or_else(PoisonError::into_inner);
        if !self.home.slots.is_closed() {
            kept.push(Kept { connection: self.connection, since: self.since, used_at: Instant::now() });
        }
    }

    /// Closes the connection instead of returning it.
    pub(super) fn close_on_drop(&mut self) {
        self.connection.close_on_drop();
    }
}

impl Deref for PooledConnection {
    type Target = AnyConnection;

    fn deref(&self) -> &AnyConnection {
        &self.connection
    }
}

impl DerefMut for PooledConnection {
    fn deref_mut(&mut self) -> &mut AnyConnection {
        &mut self.connection
    }
}
