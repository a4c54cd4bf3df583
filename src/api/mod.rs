//! The JSON face, for scripts and apps: bearer tokens only, cookies are not looked at. Calls what the pages call.
//!
//! Routes: `/api/createNewUser`, `/api/login`, `/api/logout`, `/api/session`, `/api/userOrders`, `/api/userOrders/{number}` and
//! `/api/openapi.json`, which describes them and is generated from them.

mod accounts;
mod bearer;
mod openapi;
mod orders;
mod problem;

use actix_web::web;

pub use orders::export_orders;

/// Routes of the API. Each handler that needs a user takes [`bearer::BearerUser`], which refuses strangers itself.
pub fn configure(routes: &mut web::ServiceConfig) {
    routes
        .service(web::resource("/api/createNewUser").post(accounts::create_new_user))
        .service(web::resource("/api/login").post(accounts::login))
        .service(web::resource("/api/logout").post(accounts::logout))
        .service(web::resource("/api/session").get(accounts::session))
        .service(web::resource("/api/userOrders").get(orders::list))
        .service(web::resource("/api/userOrders/{number}").get(orders::find))
        .service(web::resource("/api/openapi.json").get(openapi::document));
}
