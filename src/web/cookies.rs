//! Cookies of a request, read from the header's bytes by exact name.
//!
//! Other scripts on the host may set cookies in any encoding. They must not affect ours, so only the named pair is decoded.

use actix_web::HttpRequest;
use actix_web::http::header;

/// The value of the cookie. Two cookies of the name count as none: `__Host-` allows only one.
pub fn cookie_value(request: &HttpRequest, name: &str) -> Option<String> {
    let mut values = values(request, name);
    match (values.next(), values.next()) {
        (Some(value), None) => std::str::from_utf8(value).ok().map(str::to_owned),
        _ => None,
    }
}

/// Whether the request has a cookie of that name, valid or not.
pub fn has_cookie(request: &HttpRequest, name: &str) -> bool {
    values(request, name).next().is_some()
}

/// The values of that name in all `Cookie` headers (RFC 6265 section 5.4), trimmed.
fn values<'r>(request: &'r HttpRequest, name: &str) -> impl Iterator<Item = &'r [u8]> {
    let lines = request.headers().get_all(header::COOKIE).map(header::HeaderValue::as_bytes);
    lines.flat_map(|line| line.split(|byte| *byte == b';')).filter_map(move |pair| {
        let equals = pair.iter().position(|byte| *byte == b'=')?;
        let (sent, value) = pair.split_at(equals);
        (sent.trim_ascii() == name.as_bytes()).then(|| value[1..].trim_ascii())
    })
}
