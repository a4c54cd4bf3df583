//! Metrics of the mail queue.

use std::sync::LazyLock;

use prometheus::{IntCounterVec, IntGauge, IntGaugeVec};
use strum::{AsRefStr, VariantArray};

use super::store;
use crate::database::{Database, Error};
use crate::domain::UnixSeconds;
use crate::metrics::{counters, gauge, gauges};

static LENGTH: LazyLock<IntGaugeVec> =
    LazyLock::new(|| gauges("mail_queue_length", "Messages in the mail queue.", &["state"]));
static OLDEST_AGE: LazyLock<IntGauge> =
    LazyLock::new(|| gauge("mail_queue_oldest_age_seconds", "Age of the oldest message that waits for delivery."));
static DELIVERIES: LazyLock<IntCounterVec> =
    LazyLock::new(|| counters("mail_deliveries_total", "Attempts of this node to deliver a message.", &["outcome"]));

/// How an attempt to deliver a message ended.
#[derive(Clone, Copy, Debug, AsRefStr, VariantArray)]
#[strum(serialize_all = "snake_case")]
pub(super) enum Delivery {
    Delivered,
    Deferred,
    Failed,
}

impl Delivery {
    pub(super) fn count(self) {
        DELIVERIES.with_label_values(&[self]).inc();
    }
}

pub fn register_metrics() {
    Delivery::VARIANTS.iter().for_each(|outcome| drop(DELIVERIES.with_label_values(&[outcome])));
    LazyLock::force(&OLDEST_AGE);
    set_length(0, 0);
}

/// Records the length of the queue and the age of its oldest message.
pub async fn read_metrics(database: &Database, now: UnixSeconds) -> Result<(), Error> {
    let queue = store::read_length(database).await?;
    set_length(queue.waiting, queue.failed);
    OLDEST_AGE.set(queue.oldest.map_or(0, |oldest| now.since(oldest).max(0)));
    Ok(())
}

fn set_length(waiting: i64, failed: i64) {
    LENGTH.with_label_values(&["waiting"]).set(waiting);
    LENGTH.with_label_values(&["failed"]).set(failed);
}
