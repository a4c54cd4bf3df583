//! The operator's commands on single orders: find by number, show, link to an account.

mod description;
mod store;

pub use description::describe;
pub use store::{
    OperatorOrder, OrderRecord, find_by_number_or_id, find_record, find_with_request, find_with_samples, link,
};
