//! The orders of customers: list, detail page, actions, CSV export, import.
//!
//! Routes, behind the guard: `/orders` (`list/`), `/orders/{number}` (`detail/`), `/orders/{number}/cancel`, `/orders/{number}/cancel/undo`
//! and `/orders/{number}/again` (`actions/`), `/orders.csv` (`csv_export/`). Exports the queries that pages and API share ([`find_page`], [`find_order`]), the
//! [`import()`], the operator's lists ([`pending_cancellations`], [`pending_reorders`]), and for accounts [`claim`], [`release`], [`export_all`] and the samples.
//!
//! Invariants: a query for a page, the CSV export or the API has the condition `user_id = …`. An imported order has no owner until the
//! email that it was placed with is a verified email of a user. A submitted form acts once, however often it is sent.

mod actions;
mod cancellation;
mod csv_export;
mod data_export;
mod detail;
mod idempotency;
mod import;
mod json;
mod list;
mod monthly_totals;
mod operator;
mod order;
mod response_cache;
mod samples;
mod search;
mod status;
mod store;
mod summary;
mod url;

use actix_web::web;

pub use actions::{
    Answered, OrderNotice, PendingCancellation, PendingReorder, answer_cancellation, export_reorder_requests,
    mark_done, pending_cancellations, pending_reorders,
};
pub use cancellation::{Cancellation, Verdict};
pub use data_export::export_all;
pub use detail::find_order;
pub use import::{
    ColumnMapping, Event, Finding, FindingList, Findings, ImportError, ImportMode, ImportOptions, ImportReport,
    ImportSource, ImportSummary, OrderChange, PastImport, Progress, ShopName, Stage, StopCause, import, past_imports,
};
pub use json::{OrderResponse, OrderSummary};
pub use list::{Cursor, Filter, FilterErrors, FilterParams, OrderPage, PAGE_SIZE, PageStart, Period, Sort, find_page};
pub use operator::{
    OperatorOrder, OrderRecord, describe, find_by_number_or_id, find_record, find_with_request, find_with_samples, link,
};
pub use order::{Order, OrderDetail, OrderDetails, OrderId, OrderLine, OrderName, OrderNumber, ShippingAddress};
pub use response_cache::{CacheKey, ResponseCache};
pub use samples::add_samples;
pub use status::{FulfillmentStatus, OrderStatus, PaymentStatus};

use crate::database::{Database, Error, Transaction};
use crate::domain::{UnixSeconds, UserId, Zone};
use monthly_totals::Changes;

/// How long the response to a form is stored for requests that repeat it, in seconds.
const IDEMPOTENCY_KEY_LIFETIME: i64 = 7 * 86_400;

/// For a new account without orders: its totals are current from the first order on. `shop_zone` is that of customers whose own is unknown.
pub async fn start_totals(transaction: &mut Transaction, user_id: &UserId, shop_zone: &Zone) -> Result<(), Error> {
    monthly_totals::start(transaction, user_id, shop_zone).await
}

/// Assigns the shop's orders of a verified email to its user, unless they have an owner; returns their number. When there are some, the
/// user's sample orders are deleted.
pub async fn claim(transaction: &mut Transaction, user_id: &UserId, email: &str) -> Result<u64, Error> {
    if !store::has_unclaimed(transaction, email).await? {
        return Ok(0);
    }
    // First, because a sample may have the number of a real order. The totals are rebuilt as a whole.
    store::remove_samples(transaction, user_id, &mut Changes::default()).await?;
    let claimed = store::claim(transaction, user_id, email).await?;
    monthly_totals::rebuild(transaction, user_id).await?;
    Ok(claimed)
}

/// Takes the shop's orders of an email away from the user.
pub async fn release(transaction: &mut Transaction, user_id: &UserId, email: &str) -> Result<(), Error> {
    store::release(transaction, user_id, email).await?;
    monthly_totals::rebuild(transaction, user_id).await
}

/// Deletes the sample orders of an account that is deleted in the same transaction. The shop keeps its own orders, without the account.
pub async fn remove_samples(transaction: &mut Transaction, user_id: &UserId) -> Result<(), Error> {
    store::remove_samples(transaction, user_id, &mut Changes::default()).await
}

/// After a change of the customer's time zone: months are those of the zone.
pub async fn zone_changed(transaction: &mut Transaction, user_id: &UserId) -> Result<(), Error> {
    monthly_totals::store::mark_stale(transaction, user_id).await
}

/// Maintenance: one batch of each step, with the number of rows or the error.
pub async fn run_maintenance(
    database: &Database,
    shop_zone: &Zone,
    now: UnixSeconds,
) -> [(&'static str, Result<u64, Error>); 3] {
    let expired = now.plus(-IDEMPOTENCY_KEY_LIFETIME);
    [
        ("search texts of orders", search::store::fill_missing(database).await),
        ("totals of customers", monthly_totals::rebuild_stale(database, shop_zone).await),
        ("idempotency keys", idempotency::store::delete_expired(database, expired).await),
    ]
}

/// The pages, for a scope `/orders`.
pub fn configure(routes: &mut web::ServiceConfig) {
    routes
        .service(web::resource("").get(list::show))
        .service(web::resource("/{number}").get(detail::show))
        .service(web::resource("/{number}/cancel").get(actions::cancel::form).post(actions::cancel::submit))
        .service(web::resource("/{number}/cancel/undo").get(detail::redirect_to_order).post(actions::cancel::undo))
        .service(web::resource("/{number}/again").get(actions::reorder::form).post(actions::reorder::submit));
}

/// The CSV export, for the top level.
pub fn csv_export() -> actix_web::Resource {
    web::resource("/orders.csv").get(csv_export::download)
}
