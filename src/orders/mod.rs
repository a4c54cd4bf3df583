//! What customers come for: the list of their orders, one order, and how orders get here.
//!
//! Routes, below the guard: `/orders`, `/orders.csv`, `/orders/{number}`, and for what a customer does to an order
//! `/orders/{number}/cancel` and `/orders/{number}/again`. Hands out the queries that pages and the API share ([`list`], [`find`],
//! with [`Filter`] and [`Cursor`]), [`import`], what the operator lists ([`cancellations`], [`placed_here`]), [`clean`] for upkeep, and what
//! the server ties to accounts: [`add_samples`], [`remove_samples`], [`claim`], [`release`].
//!
//! Invariants: every query that shows an order names the user it is for; an imported order belongs to nobody until the
//! address it was placed with is known to be someone's; what a form does is done once however often it is sent.

mod actions;
mod breakdown;
mod chart;
mod cursor;
mod detail;
mod filter;
mod idempotency;
mod import;
mod money;
mod order;
mod pages;
mod samples;
mod search;
mod spending;
mod spreadsheet;
mod store;
mod timeline;

use actix_web::web;

use actions::Deed;
pub use cursor::Cursor;
pub use filter::{Asked, Filter, Period, Sort, Wrong};
pub use import::{ImportError, ImportSource, ImportSummary, Mode, Progress, Stage, StopCause, import};
pub use money::{Currency, Money, MoneyError, count};
pub use order::{Address, Order, OrderDetail, OrderLine, OrderNumber, Status};
pub use samples::add_samples;
pub use store::actions::{ToDo, cancellations, placed_here};
pub use store::{From, Part, addresses_of, find, lines_of, list, release, remove_samples};

use crate::clock::UnixSeconds;
use crate::database::{Database, Error, Transaction};

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

/// How long a form that is sent again is known again, in seconds.
const KEYS_KEPT: i64 = 7 * 86_400;

/// Maintenance: makes some older orders findable and removes some keys of forms that nobody sends again; tells of each step how many
/// rows.
pub async fn clean(database: &Database, now: UnixSeconds) -> [(&'static str, Result<u64, Error>); 2] {
    [
        ("search texts of orders", store::upkeep::make_searchable(database).await),
        ("idempotency keys", store::upkeep::forget_keys(database, now.plus(-KEYS_KEPT)).await),
    ]
}

/// Routes of the pages, for below `/orders`.
pub fn configure(routes: &mut web::ServiceConfig) {
    let cancel = |client, number, ground, request| actions::submit(Deed::Cancel, client, number, ground, request);
    let order_again =
        |client, number, ground, request| actions::submit(Deed::OrderAgain, client, number, ground, request);
    routes
        .service(web::resource("").get(pages::list))
        .service(web::resource("/{number}").get(detail::show))
        .service(web::resource("/{number}/cancel").get(detail::back).post(cancel))
        .service(web::resource("/{number}/again").get(detail::back).post(order_again));
}

/// The list as a spreadsheet, for `/orders.csv`.
pub fn spreadsheet() -> actix_web::Resource {
    web::resource("/orders.csv").get(spreadsheet::download)
}
