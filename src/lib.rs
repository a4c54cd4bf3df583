//! A shop's order pages with cookie sessions that carry JSON Web Tokens.
//!
//! Modules are features, not technical layers. Each feature's directory opens with a `mod.rs`: purpose, routes, exports, invariants.
//!
//! | module | purpose |
//! |---|---|
//! | [`cli`] | the commands |
//! | [`server`] | the app: routes, middleware, background tasks, shutdown |
//! | [`api`] | the JSON API |
//! | [`accounts`] | sign-up, login, recovery, settings |
//! | [`orders`] | list, detail, requests to the shop, import, CSV export |
//! | [`sessions`] | login sessions: token, cookie, row, guard |
//! | [`rate_limit`] | limits of attempts: types, counting, table; the limits of accounts are in `accounts/rate_limits.rs` |
//! | [`mail`] | messages, one-time links, delivery |
//! | [`web`] | layout, pages, errors, forms, headers: shared by all features |
//! | [`telemetry`] | logs, request ids, metrics of requests |
//! | [`config`] | the settings, read once at start |
//! | [`database`] | both engines: connections, transactions, migrations, backup |
//! | [`clock`], [`domain`], [`private_files`], [`hex`], [`metrics`] | time and ids; values without I/O: addresses, money, times; file modes; hexadecimal; definitions of metrics |
//!
//! A module depends only on lower layers: `cli → server → api → accounts → orders → {sessions, rate_limit} → mail → web → telemetry → config → database → clock → {domain, private_files, hex, metrics}`.
//! There are no cycles. `tests/layout_rules.rs` checks the `use crate::` lines.
//!
//! To understand a guarded page read `sessions/mod.rs`, `sessions/guard.rs`, `orders/list/page.rs` and `templates/orders/list.html`.

// The documentation is for readers of the source, who see private items too.
#![allow(rustdoc::private_intra_doc_links)]

pub mod accounts;
pub mod api;
pub mod cli;
pub mod clock;
pub mod config;
pub mod database;
pub mod domain;
pub mod hex;
pub mod mail;
pub mod metrics;
pub mod orders;
pub mod private_files;
pub mod rate_limit;
pub mod server;
pub mod sessions;
pub mod telemetry;
pub mod web;
