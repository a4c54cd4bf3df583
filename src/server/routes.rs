//! Every route with its guard; pages that belong to no feature.

use actix_files::Files;
use actix_web::http::StatusCode;
use actix_web::http::header::{self, ContentType};
use actix_web::middleware::from_fn;
use actix_web::{HttpResponse, web};
use askama::Template;

use super::drain::Drain;
use super::well_known;
use crate::database::Database;
use crate::sessions::{CurrentUser, guard};
use crate::web::{Error, Layout, Site, notice, page, see_other, static_files};
use crate::{accounts, api, mail, orders};

pub fn configure(routes: &mut web::ServiceConfig, site: &Site) {
    let files = site
        .assets
        .folder()
        .map(|folder| Files::new("", folder).use_etag(false).use_last_modified(true).prefer_utf8(true));
    routes
        .service(
            web::scope("/static")
                .wrap(from_fn(static_files::serve))
                .configure(|scope| {
                    if let Some(files) = files {
                        scope.service(files);
                    }
                })
                .default_service(web::to(static_files::not_found)),
        )
        .service(web::resource("/healthz").get(healthz))
        .service(web::resource("/readyz").get(readyz))
        .service(web::resource("/robots.txt").get(robots))
        .service(web::resource("/favicon.ico").get(well_known::favicon))
        .service(web::resource("/.well-known/passkey-endpoints").get(accounts::passkey_endpoints))
        .service(web::resource("/.well-known/security.txt").get(well_known::security_txt))
        .service(
            web::redirect("/.well-known/change-password", "/account#password").using_status_code(StatusCode::FOUND),
        )
        .configure(api::configure)
        .service(
            web::scope("")
                .wrap(from_fn(guard::load_session))
                .wrap(from_fn(notice::show_once))
                .service(web::resource("/").get(front))
                .configure(accounts::configure)
                .configure(|routes| {
                    if site.development {
                        mail::configure_development(routes);
                    }
                })
                .service(
                    web::scope("/account").wrap(from_fn(guard::require_user)).configure(accounts::configure_account),
                )
                .service(orders::csv_export().wrap(from_fn(guard::require_user)))
                .service(web::scope("/orders").wrap(from_fn(guard::require_user)).configure(orders::configure))
                .default_service(web::to(nothing_here)),
        );
}

#[derive(Template)]
#[template(path = "front.html")]
struct FrontPage {
    layout: Layout,
}

async fn front(layout: Layout, user: Option<CurrentUser>) -> Result<HttpResponse, Error> {
    match user {
        Some(_) => Ok(see_other("/orders")),
        None => page(StatusCode::OK, &FrontPage { layout }),
    }
}

async fn nothing_here() -> Result<HttpResponse, Error> {
    Err(Error::NotFound)
}

/// The process lives.
async fn healthz() -> HttpResponse {
    plain(StatusCode::OK, "ok\n")
}

/// The database answers and can be written, and the server is not told to stop.
async fn readyz(database: web::Data<Database>, drain: web::Data<Drain>) -> Result<HttpResponse, Error> {
    if drain.has_begun() {
        return Ok(plain(StatusCode::SERVICE_UNAVAILABLE, "stopping\n"));
    }
    if database.is_ready().await { Ok(plain(StatusCode::OK, "ready\n")) } else { Err(Error::Unavailable) }
}

/// Nothing here is for search engines but the front page.
async fn robots() -> HttpResponse {
    plain(StatusCode::OK, "User-agent: *\nAllow: /$\nDisallow: /\n")
}

fn plain(status: StatusCode, text: &'static str) -> HttpResponse {
    HttpResponse::build(status)
        .insert_header(ContentType::plaintext())
        .insert_header((header::CACHE_CONTROL, "no-store"))
        .body(text)
}
