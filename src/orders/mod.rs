//! What customers come for: the list of their orders, one order, and how orders get here.
//!
//! Routes, below the guard: `/orders`, `/orders/{number}`. Hands out the queries that pages and the API share
//! ([`list`], [`find`]), [`import`], and what the server ties to accounts: [`add_samples`], [`remove_samples`], [`claim`].
//!
//! Invariants: every query that shows an order names the user it is for; an imported order belongs to nobody until the
//! address it was placed with is known to be someone's.

mod import;
mod money;
mod order;
mod pages;
mod samples;
mod store;

use actix_web::web;

pub use import::{ImportError, ImportSource, ImportSummary, Progress, Stage, import};
pub use money::{Currency, Money, MoneyError, count};
pub use order::{Address, Order, OrderDetail, OrderLine, OrderNumber, Status};
pub use samples::add_samples;
pub use store::{Cursor, From, Part, find, list, remove_samples};

use crate::database::{Error, Transaction};

/// Orders on one page of the list.
pub const PAGE: u32 = 20;

/// Gives the shop's orders that were placed with the address, and are nobody's yet, to the user who was shown to own it;
/// tells how many. Samples stood in for real orders: once there are some they go.
///
/// # Errors
/// The database's.
pub async fn claim(transaction: &mut Transaction, user_id: &str, email: &str) -> Result<u64, Error> {
    let claimed = store::claim(transaction, user_id, email).await?;
    if claimed > 0 {
        store::remove_samples(transaction, user_id).await?;
    }
    Ok(claimed)
}

/// Routes of the pages, for below `/orders`.
pub fn configure(routes: &mut web::ServiceConfig) {
    routes.service(web::resource("").get(pages::list)).service(web::resource("/{number}").get(pages::detail));
}
