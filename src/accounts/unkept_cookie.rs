//! Tells a browser that keeps no cookies why the right password leads back to the login form.
//!
//! A login or sign-up redirects to a guarded page. Without the cookie the guard redirects to `/login?next=…`, and browsers still
//! send the address of the form as `Referer`. Nothing else arrives so: no page with one of the two forms links to an address with
//! `next`, and another site cannot send this one's address. No state is needed, which such a browser would not keep either.

use actix_web::HttpRequest;

use crate::sessions::cookie;
use crate::web::{Site, own_referer};

/// What the login page says about it.
#[derive(Clone, Copy)]
pub(super) struct UnkeptCookie {
    pub title: &'static str,
    pub advice: &'static str,
}

impl UnkeptCookie {
    /// `has_next` tells whether the address of the page has `next`.
    pub fn of(request: &HttpRequest, site: &Site, has_next: bool) -> Option<Self> {
        if !has_next || cookie::is_present(request) {
            return None;
        }
        let title = match own_referer(request, site)?.path() {
            "/login" => "Your browser did not keep the cookie that logs you in.",
            "/signup" => "Your account is ready, but your browser did not keep the cookie that logs you in.",
            _ => return None,
        };
        let advice = if site.development && !site.origin.is_https() {
            "Allow cookies for this site and log in again. Safari keeps none from a page without HTTPS, not even from localhost: \
             set TLS_CERT and TLS_KEY, or use another browser."
        } else {
            "Allow cookies for this site in the settings of your browser, then log in again."
        };
        Some(Self { title, advice })
    }
}
