//! Generates a large shop and measures its pages.
//!
//! ```sh
//! cargo bench --bench shop -- fill sqlite:///tmp/shop.db 10000000   # orders of 100,000 customers in eight years
//! cargo bench --bench shop -- fill sqlite:///tmp/shop.db 1000000 5  # the same, and every fifth order is one customer's
//! cargo bench --bench shop -- measure sqlite:///tmp/shop.db         # the pages of a customer with many orders and of one with few
//! cargo bench --bench shop -- export 1000000 > /tmp/orders.csv      # an export for `order-portal import`
//! ```
//!
//! One customer has every fiftieth order if nothing else is said, one has twenty, the others share the rest. The content of an order depends only on its number,
//! so two shops of the same size are equal. `docs/performance.md` has the results.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

mod export;
mod fill;
mod measure;

/// The customer with many orders, and the one with twenty.
const BUSY: &str = "busy@shop.example";
const ORDINARY: &str = "ordinary@shop.example";
/// Every so many orders one is that of the first.
const BUSY_EVERY: i64 = 50;
const PASSWORD: &str = "seven calm herons on one leg";

fn main() {
    let arguments: Vec<String> = std::env::args().skip(1).filter(|argument| argument != "--bench").collect();
    let words: Vec<&str> = arguments.iter().map(String::as_str).collect();
    let system = actix_web::rt::System::new();
    match words.as_slice() {
        ["fill", url] => system.block_on(fill::fill(url, 10_000_000, BUSY_EVERY)),
        ["fill", url, orders] => system.block_on(fill::fill(url, number(orders), BUSY_EVERY)),
        ["fill", url, orders, busy_every] => system.block_on(fill::fill(url, number(orders), number(busy_every))),
        ["measure", url] => system.block_on(measure::measure(url)),
        ["export", orders] => export::export(number(orders)),
        // Plain `cargo bench`: a small shop, as a test of all steps.
        [] => system.block_on(async {
            let folder = tempfile::tempdir().unwrap();
            let url = format!("sqlite://{}", folder.path().join("shop.db").display());
            fill::fill(&url, 50_000, BUSY_EVERY).await;
            measure::measure(&url).await;
        }),
        _ => panic!("usage: fill URL [ORDERS [EVERY]], measure URL, or export ORDERS"),
    }
}

fn number<T: std::str::FromStr>(text: &str) -> T {
    text.parse().ok().expect("a number of orders")
}
