//! The account page and its forms: password, address, time zone, order mail, sessions, data export, deletion.

pub(super) mod account_page;
pub(super) mod change_email;
pub(super) mod change_password;
pub(super) mod data_export;
pub(super) mod delete_account;
pub(super) mod order_mails;
pub(super) mod sessions_page;
mod store;
pub(super) mod time_zone;
