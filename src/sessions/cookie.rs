//! The cookie that carries the token: `__Host-` (RFC 6265bis section 4.1.3.2), so that no other host and no plain HTTP can set
//! it; `HttpOnly`, out of scripts' reach; `SameSite=Strict`, never sent when another site asks.

use actix_web::HttpRequest;
use actix_web::cookie::{Cookie, SameSite, time::Duration};
use actix_web::http::header;

use super::{Ending, Issued};
use crate::clock::UnixSeconds;

/// The cookie's name.
pub(super) const NAME: &str = "__Host-session";

/// The token that `request` brings. Two cookies of the name cannot come from us, so they count as none.
pub fn read(request: &HttpRequest) -> Option<String> {
    let lines = request.headers().get_all(header::COOKIE).filter_map(|line| line.to_str().ok());
    let pairs = lines.flat_map(|line| line.split(';')).filter_map(|pair| pair.split_once('='));
    let mut tokens = pairs.filter(|(name, _)| name.trim() == NAME).map(|(_, value)| value.trim());
    match (tokens.next(), tokens.next()) {
        (Some(token), None) if !token.is_empty() => Some(token.to_owned()),
        _ => None,
    }
}

/// Whether `request` brings any cookie of the name, good or not.
pub fn is_present(request: &HttpRequest) -> bool {
    let mut lines = request.headers().get_all(header::COOKIE);
    lines
        .any(|line| String::from_utf8_lossy(line.as_bytes()).split(';').any(|pair| pair.trim_start().starts_with(NAME)))
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
