//! A sentence that follows a redirect and is shown once. A cookie carries which one, never the words.

use actix_web::body::MessageBody;
use actix_web::cookie::{Cookie, SameSite, time::Duration};
use actix_web::dev::{ServiceRequest, ServiceResponse};
use actix_web::http::header;
use actix_web::middleware::Next;
use actix_web::{Error, HttpRequest, HttpResponse};

const NAME: &str = "__Host-notice";

/// What the last form did.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Notice {
    /// The session was ended.
    LoggedOut,
    /// The account was made.
    SignedUp,
}

impl Notice {
    const ALL: [Self; 2] = [Self::LoggedOut, Self::SignedUp];

    /// The notice that came with `request`; anything but a known one is none.
    pub fn of(request: &HttpRequest) -> Option<Self> {
        let cookie = request.cookie(NAME)?;
        Self::ALL.into_iter().find(|notice| notice.code() == cookie.value())
    }

    /// Has the next page show it.
    pub fn show_next(self, response: &mut HttpResponse) {
        set(response, self.code(), Duration::minutes(1));
    }

    /// The sentence.
    pub fn text(self) -> &'static str {
        match self {
            Self::LoggedOut => "You are logged out.",
            Self::SignedUp => "Your account is ready. Welcome!",
        }
    }

    fn code(self) -> &'static str {
        match self {
            Self::LoggedOut => "logged-out",
            Self::SignedUp => "signed-up",
        }
    }
}

/// Middleware: takes a notice back once a page has shown it.
///
/// # Errors
/// Those of what it wraps.
pub async fn show_once(
    request: ServiceRequest,
    next: Next<impl MessageBody>,
) -> Result<ServiceResponse<impl MessageBody>, Error> {
    let has_notice = Notice::of(request.request()).is_some();
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
    // A fixed name and a fixed value always make a header.
    response.add_cookie(&cookie).ok();
}
