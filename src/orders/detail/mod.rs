//! The page of one order: lines, totals, timeline, address, buttons.
//!
//! Route: GET `/orders/{number}`. Exports [`find_order`] for the API, addresses as lines for the spreadsheet, and the page itself for
//! actions that show it with an error.
//!
//! An order of another customer is answered exactly like one that does not exist.

mod breakdown;
mod customer_note;
mod facts;
mod lines;
mod page;
mod store;
mod timeline;

pub(super) use facts::{billing_lines, shipping_lines};
pub(super) use page::{find, redirect_to_order, render, show};
pub use store::find_order;
