//! A large shop, made up, and what its pages cost.
//!
//! ```sh
//! cargo bench --bench shop -- fill sqlite:///tmp/shop.db 10000000   # orders of 100,000 customers over eight years
//! cargo bench --bench shop -- measure sqlite:///tmp/shop.db         # the pages of a busy customer and of an ordinary one
//! cargo bench --bench shop -- export 1000000 > /tmp/orders.csv      # an export with as many orders, to import
//! ```
//!
//! One customer in the shop has every fiftieth order, one has twenty, the others share the rest. What each order holds depends on its
//! number alone, so two shops of one size are the same. `docs/performance.md` has the figures.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

mod export;
mod fill;
mod measure;

/// The busy customer, and the one with twenty orders.
const BUSY: &str = "busy@shop.example";
const ORDINARY: &str = "ordinary@shop.example";
const PASSWORD: &str = "seven calm herons on one leg";

fn main() {
    let arguments: Vec<String> = std::env::args().skip(1).filter(|argument| argument != "--bench").collect();
    let words: Vec<&str> = arguments.iter().map(String::as_str).collect();
    let system = actix_web::rt::System::new();
    match words.as_slice() {
        ["fill", url] => system.block_on(fill::fill(url, 10_000_000)),
        ["fill", url, orders] => system.block_on(fill::fill(url, orders.parse().expect("a number of orders"))),
        ["measure", url] => system.block_on(measure::measure(url)),
        ["export", orders] => export::export(orders.parse().expect("a number of orders")),
        // What `cargo bench` runs by itself: a small shop from start to end, to see that all of it works.
        [] => system.block_on(async {
            let folder = tempfile::tempdir().unwrap();
            let url = format!("sqlite://{}", folder.path().join("shop.db").display());
            fill::fill(&url, 50_000).await;
            measure::measure(&url).await;
        }),
        _ => panic!("takes: fill URL [ORDERS], measure URL, or export ORDERS"),
    }
}
