//! The cookie that carries the token: `__Host-` (RFC 6265bis section 4.1.3.2), so that no other host and no plain HTTP can set
//! it; `HttpOnly`, out of scripts' reach; `SameSite=Strict`, never sent when another site asks.

use actix_web::HttpRequest;
use actix_web::cookie::{Cookie, SameSite, time::Duration};

use super::{Ending, Issued};
use crate::clock::UnixSeconds;
use crate::web::{cookie_value, has_cookie};

/// The cookie's name.
pub(super) const NAME: &str = "__Host-session";

/// The token in the session cookie of `request`.
pub fn read(request: &HttpRequest) -> Option<String> {
    cookie_value(request, NAME).filter(|token| !token.is_empty())
}

/// Whether `request` brings any cookie of the name, good or not.
pub fn is_present(request: &HttpRequest) -> bool {
    has_cookie(request, NAME)
}

/// The cookie for a token just issued; it outlives the browser only for "keep me signed in".
pub fn carry(issued: &Issued, now: UnixSeconds) -> Cookie<'static> {
    let mut cookie = cookie(issued.token.clone());
    if issued.ending == Ending::Fixed {
        cookie.set_max_age(Duration::seconds(issued.expires_at.since(now).max(0)));
    }
    cookie
}

/// The cookie that takes the token away.
pub fn clear() -> Cookie<'static> {
    let mut cookie = cookie(String::new());
    cookie.set_max_age(Duration::ZERO);
    cookie
}

fn cookie(value: String) -> Cookie<'static> {
    Cookie::build(NAME, value).path("/").secure(true).http_only(true).same_site(SameSite::Strict).finish()
}
