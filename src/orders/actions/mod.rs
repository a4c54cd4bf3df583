//! What a customer does with an order: request a cancellation, and reorder.
//!
//! Routes: POST `/orders/{number}/cancel` and `/orders/{number}/again`. Exports the requests that the operator has to process.
//!
//! Each action is one transaction, which looks up the form's idempotency key first: a form that is sent twice acts once.

mod notice;
pub(super) mod store;
mod submit;

pub use notice::OrderNotice;
pub use store::{PendingRequest, pending_cancellations, pending_reorders};
pub(super) use submit::{OrderAction, submit};
