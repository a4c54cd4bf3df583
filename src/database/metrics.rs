//! Metrics of statements and of the connection pools.

use std::sync::LazyLock;
use std::time::Duration;

use prometheus::{Histogram, HistogramTimer, HistogramVec, IntCounter, IntCounterVec, IntGaugeVec};

use super::Database;
use crate::metrics::{counter, counters, gauges, histogram, histograms};

static STATEMENTS: LazyLock<IntCounter> = LazyLock::new(|| {
    counter("db_statements_total", "Statements sent to the database, without BEGIN, COMMIT and ROLLBACK.")
});
static QUERY_TIME: LazyLock<Histogram> =
    LazyLock::new(|| histogram("db_query_duration_seconds", "Time of a statement, until its last row was read."));
static WAITS: LazyLock<HistogramVec> =
    LazyLock::new(|| histograms("db_pool_wait_seconds", "Waits for a database connection.", &["pool"]));
static TIMEOUTS: LazyLock<IntCounterVec> =
    LazyLock::new(|| counters("db_pool_timeouts_total", "Waits that ended without a connection.", &["pool"]));
static OPEN: LazyLock<IntGaugeVec> =
    LazyLock::new(|| gauges("db_pool_connections", "Open database connections.", &["pool"]));
static IN_USE: LazyLock<IntGaugeVec> =
    LazyLock::new(|| gauges("db_pool_connections_in_use", "Database connections in use.", &["pool"]));
static MAX: LazyLock<IntGaugeVec> =
    LazyLock::new(|| gauges("db_pool_connections_max", "Database connections that may be open.", &["pool"]));

/// Counts a statement; its time ends when the result is dropped.
pub(super) fn start_statement() -> HistogramTimer {
    STATEMENTS.inc();
    QUERY_TIME.start_timer()
}

/// The metrics of one pool.
#[derive(Debug)]
pub(super) struct PoolMetrics {
    name: &'static str,
    waits: Histogram,
    timeouts: IntCounter,
}

impl PoolMetrics {
    pub(super) fn new(name: &'static str) -> Self {
        Self { name, waits: WAITS.with_label_values(&[name]), timeouts: TIMEOUTS.with_label_values(&[name]) }
    }

    /// A request waited for a connection.
    pub(super) fn waited(&self, duration: Duration, has_timed_out: bool) {
        self.waits.observe(duration.as_secs_f64());
        if has_timed_out {
            self.timeouts.inc();
        }
    }

    pub(super) fn record(&self, open: usize, in_use: usize, max: usize) {
        let record = |gauges: &IntGaugeVec, value: usize| {
            gauges.with_label_values(&[self.name]).set(i64::try_from(value).unwrap_or(i64::MAX));
        };
        record(&OPEN, open);
        record(&IN_USE, in_use);
        record(&MAX, max);
    }
}

impl Database {
    /// Registers the metrics of statements and pools, and records how many connections are open and in use now.
    pub fn record_metrics(&self) {
        LazyLock::force(&STATEMENTS);
        LazyLock::force(&QUERY_TIME);
        self.readers.record_metrics();
        self.writers.record_metrics();
    }
}
