//! A message that is shown once after a redirect. The cookie contains a code, never the text.

use std::str::FromStr;

use actix_web::body::MessageBody;
use actix_web::cookie::{Cookie, SameSite, time::Duration};
use actix_web::dev::{ServiceRequest, ServiceResponse};
use actix_web::http::header;
use actix_web::middleware::Next;
use actix_web::{Error, HttpRequest, HttpResponse};

use super::cookies::cookie_value;

const NAME: &str = "__Host-notice";

/// A message as the page shows it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct NoticeText {
    pub text: &'static str,
    pub link: Option<NoticeLink>,
}

/// A link to what a notice offers.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct NoticeLink {
    pub label: &'static str,
    pub path: &'static str,
}

/// The messages of a feature. The code in the cookie is the variant's name; a renamed variant keeps its older code.
pub trait Notice: Copy + Into<&'static str> + FromStr {
    fn text(self) -> &'static str;

    /// After the text, with another link that dismisses the notice.
    fn link(self) -> Option<NoticeLink> {
        None
    }

    /// Shows it on the next page.
    fn show_next(self, response: &mut HttpResponse) {
        set(response, self.into(), Duration::minutes(1));
    }
}

/// The text for a notice's code, if it is one of these.
pub fn text_of<N: Notice>(code: &str) -> Option<NoticeText> {
    code.parse().ok().map(|notice: N| NoticeText { text: notice.text(), link: notice.link() })
}

/// The code in the request's cookie.
pub fn code(request: &HttpRequest) -> Option<String> {
    cookie_value(request, NAME)
}

/// Middleware: deletes the cookie once a page has shown the notice.
pub async fn show_once(
    request: ServiceRequest,
    next: Next<impl MessageBody>,
) -> Result<ServiceResponse<impl MessageBody>, Error> {
    let has_notice = code(request.request()).is_some();
    let mut response = next.call(request).await?;
    let kind = response.headers().get(header::CONTENT_TYPE);
    if has_notice && kind.is_some_and(|kind| kind.as_bytes().starts_with(b"text/html")) {
        set(response.response_mut(), "", Duration::ZERO);
    }
    Ok(response)
}

fn set<B>(response: &mut HttpResponse<B>, value: &str, age: Duration) {
    let cookie = Cookie::build(NAME, value)
        .path("/")
        .secure(true)
        .http_only(true)
        .same_site(SameSite::Strict)
        .max_age(age)
        .finish();
    // A fixed name and value are always a valid header.
    response.add_cookie(&cookie).ok();
}
