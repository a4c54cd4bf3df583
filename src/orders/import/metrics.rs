//! Metrics of the last import. Imports run in processes of their own, so they are read from the database.

use std::sync::LazyLock;

use prometheus::{IntGauge, IntGaugeVec};

use super::store::history::{PastImport, last_success, past_imports};
use crate::database::{Database, Error};
use crate::metrics::{gauge, gauges};

static LAST_SUCCESS: LazyLock<IntGauge> = LazyLock::new(|| {
    gauge("import_last_success_timestamp_seconds", "When the last complete import ended; 0 if none did.")
});
static LAST_END: LazyLock<IntGauge> = LazyLock::new(|| {
    gauge("import_last_end_timestamp_seconds", "When the last import ended, complete or stopped; 0 if none did.")
});
static LAST_DURATION: LazyLock<IntGauge> =
    LazyLock::new(|| gauge("import_last_duration_seconds", "How long the last import took."));
static LAST_ORDERS: LazyLock<IntGaugeVec> =
    LazyLock::new(|| gauges("import_last_orders", "Orders of the last import.", &["result"]));
static LAST_LINES: LazyLock<IntGauge> = LazyLock::new(|| gauge("import_last_lines", "Order lines of the last import."));

pub fn register_metrics() {
    LazyLock::force(&LAST_SUCCESS);
    LazyLock::force(&LAST_END);
    LazyLock::force(&LAST_DURATION);
    LazyLock::force(&LAST_LINES);
    set_orders([0; 5]);
}

/// Records the last import.
pub async fn read_metrics(database: &Database) -> Result<(), Error> {
    LAST_SUCCESS.set(last_success(database).await?.map_or(0, crate::domain::UnixSeconds::get));
    if let Some(last) = past_imports(database, 1).await?.first() {
        record(last);
    }
    Ok(())
}

fn record(last: &PastImport) {
    LAST_END.set(last.finished_at.get());
    LAST_DURATION.set(last.finished_at.since(last.started_at));
    LAST_LINES.set(last.lines);
    set_orders([last.new, last.changed, last.unchanged, last.skipped, last.ownerless]);
}

fn set_orders(counts: [i64; 5]) {
    let results = ["new", "changed", "unchanged", "skipped", "ownerless"];
    results.iter().zip(counts).for_each(|(result, count)| LAST_ORDERS.with_label_values(&[result]).set(count));
}
