//! `/favicon.ico` and `/.well-known/security.txt`.

use actix_web::http::header::{self, ContentType};
use actix_web::{HttpResponse, web};

use crate::clock::Clock;
use crate::web::{Error, Site};

/// `Expires`: RFC 9116 section 2.5.5 recommends less than a year.
const VALID_SECONDS: i64 = 180 * 86_400;

/// For clients that read no page: browsers use the `link` in the layout.
pub async fn favicon(site: web::Data<Site>) -> HttpResponse {
    HttpResponse::Ok()
        .insert_header((header::CONTENT_TYPE, "image/x-icon"))
        .insert_header((header::CACHE_CONTROL, "public, max-age=86400"))
        .body(site.assets.favicon())
}

/// RFC 9116.
pub async fn security_txt(site: web::Data<Site>, clock: web::Data<Clock>) -> Result<HttpResponse, Error> {
    let contact = site.security_contact.as_ref().ok_or(Error::NotFound)?;
    let (expires, origin) = (clock.now().plus(VALID_SECONDS), site.origin.as_str());
    let text = format!(
        "Contact: {contact}\nExpires: {expires}\nPreferred-Languages: en\nCanonical: {origin}/.well-known/security.txt\n"
    );
    Ok(HttpResponse::Ok()
        .insert_header(ContentType::plaintext())
        .insert_header((header::CACHE_CONTROL, "public, max-age=86400"))
        .body(text))
}
