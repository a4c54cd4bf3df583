//! The one door that pages and redirects leave by.

use actix_web::HttpResponse;
use actix_web::http::StatusCode;
use actix_web::http::header::{self, ContentType};
use askama::Template;

use super::error::Error;

/// A page. Nothing keeps it: what a customer may see is not left behind for the next person at the screen.
///
/// # Errors
/// [`Error::Internal`] when the template cannot be written.
pub fn page(status: StatusCode, template: &impl Template) -> Result<HttpResponse, Error> {
    Ok(HttpResponse::build(status)
        .insert_header(ContentType::html())
        .insert_header((header::CACHE_CONTROL, "no-store"))
        .body(template.render()?))
}

/// 303: the browser goes on to `path` with a GET, whatever it sent here.
pub fn see_other(path: &str) -> HttpResponse {
    HttpResponse::SeeOther()
        .insert_header((header::LOCATION, path))
        .insert_header((header::CACHE_CONTROL, "no-store"))
        .finish()
}
