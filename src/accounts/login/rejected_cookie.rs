//! Explains to a browser without cookies why a correct password leads back to the login form.
//!
//! A login or sign-up redirects to a guarded page. Without the cookie the guard redirects to `/login?next=…`, and the browser still sends
//! the URL of the form as `Referer`. No other request looks like this: the pages with these two forms have no link with `next`, and
//! another site cannot send this site's URL. This needs no state, which such a browser would not keep.

use actix_web::HttpRequest;

use crate::sessions::cookie;
use crate::web::{Site, same_origin_referer};

/// A message of the login page.
#[derive(Clone, Copy)]
pub(super) struct RejectedCookie {
    pub title: &'static str,
    pub advice: &'static str,
}

impl RejectedCookie {
    /// `has_next`: whether the URL has `next`.
    pub fn of(request: &HttpRequest, site: &Site, has_next: bool) -> Option<Self> {
        if !has_next || cookie::is_present(request) {
            return None;
        }
        let title = match same_origin_referer(request, site)?.path() {
            "/login" => "Your browser did not keep the cookie that logs you in.",
            "/signup" => "Your account is ready, but your browser did not keep the cookie that logs you in.",
            _ => return None,
        };
        let advice = if site.development && !site.origin.is_https() {
            "Allow cookies for this site and log in again. Over plain HTTP Safari does not keep this one, not even from localhost: \
             set TLS_CERT and TLS_KEY, or use another browser."
        } else {
            "Allow cookies for this site in the settings of your browser, then log in again."
        };
        Some(Self { title, advice })
    }
}
