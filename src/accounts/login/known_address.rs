//! The address on the login page after a reset, so that the customer types only the new password.
//!
//! It travels in a cookie of one minute. In the URL, the history and the logs of proxies would keep it.

use actix_web::cookie::{Cookie, SameSite, time::Duration};
use actix_web::{HttpRequest, HttpResponse};
use percent_encoding::{NON_ALPHANUMERIC, percent_decode_str, utf8_percent_encode};

use crate::domain::Email;
use crate::web::cookie_value;

const NAME: &str = "__Host-login-email";

/// The address of the request's cookie; empty without one.
pub fn of(request: &HttpRequest) -> String {
    let value = cookie_value(request, NAME).unwrap_or_default();
    let text = percent_decode_str(&value).decode_utf8_lossy();
    Email::parse(&text).map(|email| email.as_str().to_owned()).unwrap_or_default()
}

/// Fills it in on the next login page.
pub fn set(response: &mut HttpResponse, email: &Email) {
    let cookie = Cookie::build(NAME, utf8_percent_encode(email.as_str(), NON_ALPHANUMERIC).to_string())
        .path("/")
        .secure(true)
        .http_only(true)
        .same_site(SameSite::Strict)
        .max_age(Duration::minutes(1))
        .finish();
    // A percent-encoded value is always a valid header.
    response.add_cookie(&cookie).ok();
}
