//! The number of statements, as a metric. BEGIN, COMMIT and ROLLBACK are not counted.

use std::sync::LazyLock;

use prometheus::{IntCounter, register_int_counter};

static STATEMENTS: LazyLock<Option<IntCounter>> =
    LazyLock::new(|| register_int_counter!("db_statements_total", "Statements sent to the database.").ok());

pub(super) fn count() {
    STATEMENTS.as_ref().inspect(|statements| statements.inc());
}
