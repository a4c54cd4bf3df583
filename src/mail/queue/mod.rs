//! The mail queue: rows that wait for delivery, the worker that delivers them, and the operator's view.

mod metrics;
mod store;
mod worker;

pub use metrics::{read_metrics, register_metrics};
pub use store::{delete_old_failures, enqueue, operator};
pub use worker::deliver;
