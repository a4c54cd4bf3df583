//! The mail queue: rows that wait for delivery, the worker that delivers them, and the operator's view.

mod store;
mod worker;

pub use store::{delete_old_failures, enqueue, operator};
pub use worker::deliver;
