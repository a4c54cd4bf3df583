//! What a customer asks the shop to do with an order: cancel it, or send its products again. The shop answers; no request changes what the
//! shop's export says about an order.
//!
//! Routes: GET and POST `/orders/{number}/cancel` and `/orders/{number}/again`, POST `/orders/{number}/cancel/undo`. Exports the requests
//! that the operator has to process, and the operator's answers.
//!
//! | file | purpose |
//! |---|---|
//! | `cancel.rs`, `reorder.rs`, `reorder_form.rs` | the pages and forms |
//! | `submission.rs` | what submitted forms share: idempotency, limits, mail |
//! | `notice.rs` | what the order's page says afterwards |
//! | `answer.rs` | the operator's answer to a cancellation request |
//! | `store/` | the statements |
//!
//! Each action is one transaction, which looks up the form's idempotency key first: a form that is sent twice acts once. A cancellation
//! request, its withdrawal and the answer are one conditional statement each, so of two at the same time only one takes effect.

mod answer;
pub(super) mod cancel;
mod notice;
pub(super) mod reorder;
mod reorder_form;
mod store;
mod submission;

pub use answer::{Answered, answer_cancellation};
pub use notice::OrderNotice;
pub use store::cancellations::{PendingCancellation, pending_cancellations};
pub use store::reorders::{PendingReorder, export as export_reorder_requests, mark_done, pending as pending_reorders};
