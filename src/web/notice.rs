//! A message that is shown once after a redirect. The cookie contains a code, never the text.

use actix_web::body::MessageBody;
use actix_web::cookie::{Cookie, SameSite, time::Duration};
use actix_web::dev::{ServiceRequest, ServiceResponse};
use actix_web::http::header;
use actix_web::middleware::Next;
use actix_web::{Error, HttpRequest, HttpResponse};

use super::cookies::cookie_value;

const NAME: &str = "__Host-notice";

/// A message about the last form.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Notice {
    LoggedOut,
    SignedUp,
    SessionExpired,
    EmailVerified,
    VerificationSent,
    EmailChangeRequested,
    PasswordChanged,
    PasswordReset,
    SessionRevoked,
    OtherSessionsRevoked,
    AccountSecured,
    AccountDeleted,
    TimeZoneChanged,
    CancellationRequested,
    Reordered,
}

/// Each notice with its value in the cookie and its text.
const WORDS: [(Notice, &str, &str); 15] = [
    (Notice::LoggedOut, "logged-out", "You are logged out."),
    (Notice::SignedUp, "signed-up", "Your account is ready. Welcome!"),
    (Notice::SessionExpired, "session-over", "You were logged out meanwhile. Log in to go on where you were."),
    (Notice::EmailVerified, "verified", "Thank you: the address is confirmed."),
    (Notice::VerificationSent, "verification-sent", "The link is on its way. It comes within a minute or two."),
    (
        Notice::EmailChangeRequested,
        "address-change-asked",
        "We have sent a link to the new address. It changes once you follow it.",
    ),
    (Notice::PasswordChanged, "password-changed", "Your password is changed. Everywhere else you are logged out."),
    (Notice::PasswordReset, "password-reset", "Your new password is set. Log in with it."),
    (Notice::SessionRevoked, "session-ended", "That session has ended."),
    (Notice::OtherSessionsRevoked, "others-ended", "All other sessions have ended."),
    (
        Notice::AccountSecured,
        "account-secured",
        "The account is secured: every session has ended and its password no longer works. We have sent you a link for a new one.",
    ),
    (Notice::AccountDeleted, "account-deleted", "Your account is deleted."),
    (Notice::TimeZoneChanged, "zone-changed", "Times are shown for that place from now on."),
    (
        Notice::CancellationRequested,
        "cancellation-asked",
        "The shop knows that you want to cancel. Whether it still could shows here.",
    ),
    (Notice::Reordered, "ordered-again", "Your order is placed: the same again. The shop takes it from here."),
];

impl Notice {
    /// The notice in the request's cookie.
    pub fn of(request: &HttpRequest) -> Option<Self> {
        let value = cookie_value(request, NAME)?;
        WORDS.iter().find(|(_, code, _)| *code == value).map(|(notice, _, _)| *notice)
    }

    /// Shows it on the next page.
    pub fn show_next(self, response: &mut HttpResponse) {
        set(response, self.words().0, Duration::minutes(1));
    }

    pub fn text(self) -> &'static str {
        self.words().1
    }

    fn words(self) -> (&'static str, &'static str) {
        let found = WORDS.iter().find(|(notice, _, _)| *notice == self);
        found.map_or(("", ""), |(_, code, text)| (*code, *text))
    }
}

/// Middleware: deletes the cookie once a page has shown the notice.
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
    // A fixed name and value are always a valid header.
    response.add_cookie(&cookie).ok();
}
