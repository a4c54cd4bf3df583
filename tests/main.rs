//! The program as its users meet it: the real binary on a port, in a folder and with a database of its own.
//!
//! Plain `cargo test` needs Rust alone. What needs a browser or the sample data is ignored and says so; `tests/run`
//! includes it, and repeats the rest on PostgreSQL.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

mod account_page;
mod accounts;
mod actions;
mod api;
mod app;
mod atomicity;
mod browser;
mod busy;
mod change_email;
mod chart;
mod compression;
mod connections;
mod crash;
mod csv_export;
mod delayed_forms;
mod dry_run;
mod filters;
mod full_disk;
mod guard;
mod hostile;
mod html;
mod http;
mod http_conformance;
mod import;
mod import_concurrency;
mod import_exports;
mod import_formats;
mod import_identity;
mod import_invalid;
mod layout_rules;
mod log_reader;
mod login;
mod logs;
mod mail;
mod mail_queue;
mod mail_server;
mod mailbox;
mod maintenance;
mod northwind;
mod notices;
mod older_version;
mod operations;
mod order_versions;
mod orders;
mod pages;
mod paging;
mod place;
mod postgres_faults;
mod postgres_server;
mod rate_limits;
mod reauthentication;
mod recovery;
mod rejected_cookies;
mod reset;
mod restore;
mod routes;
mod sessions;
mod settings;
mod shop;
mod slow_clients;
mod smtp;
mod static_files;
mod stop;
mod takeover;
mod time_zone;
mod timing;
mod tls;
mod token;
mod verify;
mod web;
mod well_known;
