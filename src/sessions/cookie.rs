//! The session cookie. `__Host-` (RFC 6265bis section 4.1.3.2): no other host and no plain HTTP can set it. `HttpOnly`: scripts cannot
//! read it. `SameSite=Strict`: it is not sent with requests from another site.

use actix_web::cookie::{Cookie, SameSite, time::Duration};
use actix_web::{HttpRequest, HttpResponse};

use super::{Expiry, Issued};
use crate::web::{Error, cookie_value, has_cookie};

pub(super) const NAME: &str = "__Host-session";

/// The token in the session cookie of `request`.
pub fn read(request: &HttpRequest) -> Option<String> {
    cookie_value(request, NAME).filter(|token| !token.is_empty())
}

/// Whether `request` has a session cookie, valid or not.
pub fn is_present(request: &HttpRequest) -> bool {
    has_cookie(request, NAME)
}

/// Sets the session cookie.
pub fn set(response: &mut HttpResponse, issued: &Issued) -> Result<(), Error> {
    response.add_cookie(&session_cookie(issued)).map_err(|error| Error::Internal(error.into()))
}

/// Removes the session cookie.
pub fn clear(response: &mut HttpResponse) -> Result<(), Error> {
    let mut cookie = cookie(String::new());
    cookie.set_max_age(Duration::ZERO);
    response.add_cookie(&cookie).map_err(|error| Error::Internal(error.into()))
}

/// The cookie with a new token. It outlives the browser only with "Keep me logged in".
pub(super) fn session_cookie(issued: &Issued) -> Cookie<'static> {
    let mut cookie = cookie(issued.token.clone());
    if issued.expiry == Expiry::Fixed {
        cookie.set_max_age(Duration::seconds(issued.expires_at.since(issued.issued_at)));
    }
    cookie
}

fn cookie(value: String) -> Cookie<'static> {
    Cookie::build(NAME, value).path("/").secure(true).http_only(true).same_site(SameSite::Strict).finish()
}
