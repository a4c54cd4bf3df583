//! The list of a customer's orders: search, filter, sort, totals, chart, page by page.
//!
//! Route: GET `/orders`. Exports the filter and the query of one page for the CSV export and the API.
//!
//! | file | purpose |
//! |---|---|
//! | `page.rs`, `chart.rs` | the page |
//! | `filter.rs`, `status_filter.rs`, `sort.rs`, `cursor.rs` | the parameters of the URL |
//! | `totals.rs`, `store/totals.rs` | count, sums and months of the orders that match, from `monthly_totals/` where possible |
//! | `found.rs` | what the page reads |
//! | `store.rs` | the query of one page |
//!
//! The URL holds the whole filter, so that a view can be bookmarked and the Back button works. One page costs the same at any depth:
//! an index leads to the cursor, never `OFFSET` (`store/query_plans.rs` checks it).

mod chart;
mod cursor;
mod filter;
mod found;
mod page;
mod sort;
mod status_filter;
pub(super) mod store;
mod totals;

pub use cursor::Cursor;
pub use filter::{Filter, FilterErrors, FilterParams, Period};
pub(super) use page::show;
pub use sort::Sort;
pub use store::{OrderPage, PageStart, find_page};

/// Orders on one page.
pub const PAGE_SIZE: u32 = 20;
