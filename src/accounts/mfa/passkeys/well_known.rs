//! `/.well-known/passkey-endpoints`: where password managers send a customer who adds or manages passkeys (W3C "A Well-Known URL for
//! Relying Party Passkey Endpoints").

use actix_web::http::header;
use actix_web::{HttpResponse, web};
use serde_json::json;

use crate::web::Site;

pub async fn endpoints(site: web::Data<Site>) -> HttpResponse {
    let page = format!("{}/account/passkeys", site.origin.as_str());
    HttpResponse::Ok()
        .insert_header((header::CACHE_CONTROL, "public, max-age=86400"))
        .json(json!({ "enroll": page, "manage": page }))
}
