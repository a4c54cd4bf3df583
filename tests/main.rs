//! The program as its users meet it: the real binary on a port, in a folder and with a database of its own.
//!
//! Plain `cargo test` needs Rust alone. What needs Chromium or the sample data is ignored and says so; `tests/run`
//! includes it, and repeats the rest on PostgreSQL.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

mod accounts;
mod actions;
mod api;
mod app;
mod browser;
mod dry_run;
mod finding;
mod guard;
mod hostile;
mod http;
mod import;
mod layout_rules;
mod login;
mod logs;
mod northwind;
mod operations;
mod orders;
mod paging;
mod place;
mod sessions;
mod settings;
mod shop;
mod spreadsheet;
mod time_zone;
mod token;
mod web;
