//! The JSON API for scripts and apps. It authenticates with bearer tokens only and ignores cookies. It calls the same functions as the pages.
//!
//! Routes: `/api/createNewUser`, `/api/login`, `/api/logout`, `/api/session`, `/api/userOrders`, `/api/userOrders/{number}` and
//! `/api/openapi.json`, the description that is generated from them.

mod accounts;
mod bearer;
mod openapi;
mod orders;
mod problem;

use actix_web::web;

/// The routes. A handler that needs a user has a parameter of type `BearerUser`, which rejects unauthenticated requests.
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
