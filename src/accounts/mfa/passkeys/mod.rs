//! Passkeys: WebAuthn credentials that log in without a password and reauthenticate.
//!
//! | file | purpose | routes |
//! |---|---|---|
//! | `login.rs` | login | `/login/passkey/start`, `/login/passkey/finish` |
//! | `list.rs`, `manage.rs` | the passkeys of an account; rename, remove | `/account/passkeys`, `/account/passkeys/{id}…` |
//! | `registration.rs` | adding one | `/account/passkeys/start`, `/account/passkeys/finish` |
//! | `reauthentication.rs` | a passkey in place of the password | `/account/passkeys/reauthenticate` |
//! | `offer.rs` | the offer after a login with a password | |
//! | `well_known.rs` | for password managers | `/.well-known/passkey-endpoints` |
//! | `ceremonies.rs`, `signed_state.rs`, `assertion.rs` | WebAuthn | |
//! | `name.rs`, `store.rs` | names; the tables | |
//!
//! Invariants:
//! - The start of a ceremony writes nothing. Each state is answered once, within 5 minutes, on any node.
//! - User verification is required, so a passkey suffices alone.
//! - Only an account with a confirmed address has passkeys. Each change is reauthenticated, mailed and recorded.

mod assertion;
mod ceremonies;
mod list;
mod login;
mod manage;
mod name;
mod offer;
mod reauthentication;
mod registration;
mod signed_state;
mod store;
mod well_known;

use actix_web::http::{StatusCode, header};
use actix_web::{HttpResponse, web};
use serde::Serialize;
use serde_json::json;

use crate::domain::format_retry_after;

pub(in crate::accounts) use assertion::VerifiedPasskey;
pub use ceremonies::Passkeys;
pub(in crate::accounts) use store::{
    PasskeyLine, delete_expired_challenges, list as list_passkeys, remove_added_since, remove_all,
};
pub use well_known::endpoints;

/// Passkeys of one account.
const MAX_PER_ACCOUNT: i64 = 20;

/// Public routes.
pub(in crate::accounts) fn configure(routes: &mut web::ServiceConfig) {
    routes
        .service(web::resource("/login/passkey/start").post(login::start))
        .service(web::resource("/login/passkey/finish").post(login::finish));
}

/// Guarded routes below `/account`.
pub(in crate::accounts) fn configure_account(routes: &mut web::ServiceConfig) {
    let list = crate::accounts::section("/account/passkeys");
    routes
        .service(web::resource("/passkeys").get(list::show))
        .service(web::resource("/passkeys/start").get(list.clone()).post(registration::start))
        .service(web::resource("/passkeys/finish").get(list.clone()).post(registration::finish))
        .service(web::resource("/passkeys/reauthenticate").get(list.clone()).post(reauthentication::start))
        .service(web::resource("/passkeys/{id}").get(manage::show))
        .service(web::resource("/passkeys/{id}/rename").get(list.clone()).post(manage::rename))
        .service(web::resource("/passkeys/{id}/remove").get(list).post(manage::remove));
}

/// An answer to the script.
fn json_response(body: &impl Serialize) -> HttpResponse {
    HttpResponse::Ok().insert_header((header::CACHE_CONTROL, "no-store")).json(body)
}

fn rate_limited(retry_after: i64) -> HttpResponse {
    let error = format!("Too many failed attempts. Try again {}.", format_retry_after(retry_after));
    let mut response = error_response(StatusCode::TOO_MANY_REQUESTS, &error);
    response.headers_mut().insert(header::RETRY_AFTER, retry_after.into());
    response
}

/// An error that the script shows beside its button.
fn error_response(status: StatusCode, error: &str) -> HttpResponse {
    HttpResponse::build(status).insert_header((header::CACHE_CONTROL, "no-store")).json(json!({ "error": error }))
}
