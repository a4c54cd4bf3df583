//! Metrics of the hashing queue.

use std::sync::LazyLock;
use std::time::Instant;

use prometheus::{Histogram, IntCounter, IntGauge};

use crate::metrics::{counter, gauge, histogram};

static LENGTH: LazyLock<IntGauge> = LazyLock::new(|| gauge("hash_queue_length", "Passwords that wait to be hashed."));
static WAIT: LazyLock<Histogram> =
    LazyLock::new(|| histogram("hash_queue_wait_seconds", "How long passwords waited to be hashed."));
static REJECTIONS: LazyLock<IntCounter> =
    LazyLock::new(|| counter("hash_queue_rejections_total", "Requests rejected because the hashing queue was full."));

/// A job in the queue, until it is dropped.
pub(super) struct Waiting {
    since: Instant,
}

impl Waiting {
    pub(super) fn begin() -> Self {
        LENGTH.inc();
        Self { since: Instant::now() }
    }
}

impl Drop for Waiting {
    fn drop(&mut self) {
        LENGTH.dec();
        WAIT.observe(self.since.elapsed().as_secs_f64());
    }
}

pub(super) fn count_rejection() {
    REJECTIONS.inc();
}

pub(in crate::accounts) fn register_metrics() {
    LazyLock::force(&LENGTH);
    LazyLock::force(&WAIT);
    LazyLock::force(&REJECTIONS);
}
