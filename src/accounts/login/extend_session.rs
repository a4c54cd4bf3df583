//! `/account/session/extend`: stay logged in when the page warns that the session is about to end (WCAG 2.2, success criterion 2.2.1).

use actix_web::http::header;
use actix_web::{HttpResponse, web};
use serde_json::json;

use crate::clock::Clock;
use crate::sessions::{Authenticated, Sessions, cookie};
use crate::web::Error;
use crate::web::body::IgnoredBody;

/// Renews the token and returns its remaining lifetime.
pub async fn submit(
    Authenticated { user, .. }: Authenticated<IgnoredBody>,
    sessions: web::Data<Sessions>,
    clock: web::Data<Clock>,
) -> Result<HttpResponse, Error> {
    let issued = sessions.extend(&user).await?;
    let now = clock.now();
    let can_extend = issued.expires_at < user.session_expires_at;
    let mut response = HttpResponse::Ok()
        .insert_header((header::CACHE_CONTROL, "no-store"))
        .json(json!({ "ends_in": issued.expires_at.since(now), "can_stay": can_extend }));
    cookie::set(&mut response, &issued)?;
    Ok(response)
}
