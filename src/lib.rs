//! A shop's order pages behind cookie sessions that carry JSON Web Tokens.
//!
//! By feature, not by layer: the folders say what the program is for, and each opens with its `mod.rs`.
//!
//! | module | what it is for |
//! |---|---|
//! | [`cli`] | the subcommands |
//! | [`server`] | the app: routes, order of middleware, run, drain, stop |
//! | [`api`] | the JSON face |
//! | [`orders`], [`accounts`] | what customers come for; who they are |
//! | [`sessions`] | being signed in: token, cookie, row, guard |
//! | [`mail`] | addresses, messages, one-time links, and how mail leaves |
//! | [`web`] | what every page needs and no feature owns |
//! | [`telemetry`] | logs, request ids, metrics |
//! | [`database`], [`config`], [`clock`], [`private_files`], [`hex`] | the ground |
//!
//! Arrows point down only: `cli → server → api → {orders, accounts} → sessions → {web, mail} → {telemetry, database, config, clock, private_files, hex}`.
//! `orders` and `accounts` do not name each other, in the last two rows siblings may lean on each other without a circle; a test holds
//! the `use crate::` lines to this.
//!
//! To understand a guarded page read `sessions/mod.rs`, `sessions/guard.rs`, `orders/list/page.rs` and `templates/orders/list.html`.

pub mod accounts;
pub mod api;
pub mod cli;
pub mod clock;
pub mod config;
pub mod database;
pub mod hex;
pub mod mail;
pub mod orders;
pub mod private_files;
pub mod server;
pub mod sessions;
pub mod telemetry;
pub mod web;
