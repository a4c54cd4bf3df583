//! The operator's commands on single orders: find by number, show, link to an account.

mod store;

pub use store::{OperatorOrder, find_by_number_or_id, find_with_request, link};
