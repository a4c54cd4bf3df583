//! The statements of requests to the shop.

pub mod cancellations;
pub mod reorders;
