//! A message that is shown once after a redirect. The cookie contains a code, never the text.

use actix_web::body::MessageBody;
use actix_web::cookie::{Cookie, SameSite, time::Duration};
use actix_web::dev::{ServiceRequest, ServiceResponse};
use actix_web::http::header;
use actix_web::middleware::Next;
use actix_web::{Error, HttpRequest, HttpResponse};
use strum::{EnumString, IntoStaticStr, VariantArray};

use super::cookies::cookie_value;

const NAME: &str = "__Host-notice";

/// A message about the last form. The code in the cookie is the name; a renamed notice keeps its older code.
#[derive(Clone, Copy, Debug, PartialEq, Eq, EnumString, IntoStaticStr, VariantArray)]
#[strum(serialize_all = "kebab-case")]
pub enum Notice {
    LoggedOut,
    SignedUp,
    #[strum(serialize = "session-over")]
    SessionExpired,
    #[strum(serialize = "verified")]
    EmailVerified,
    VerificationSent,
    #[strum(serialize = "address-change-asked")]
    EmailChangeRequested,
    PasswordChanged,
    PasswordReset,
    #[strum(serialize = "session-ended")]
    SessionRevoked,
    #[strum(serialize = "others-ended")]
    OtherSessionsRevoked,
    AccountSecured,
    AccountDeleted,
    #[strum(serialize = "zone-changed")]
    TimeZoneChanged,
    #[strum(serialize = "cancellation-asked")]
    CancellationRequested,
    CancellationWithdrawn,
    ReorderRequested,
    ConfirmFirst,
    OrderMailsOn,
    OrderMailsOff,
}

impl Notice {
    /// The notice in the request's cookie.
    pub fn of(request: &HttpRequest) -> Option<Self> {
        cookie_value(request, NAME)?.parse().ok()
    }

    /// Shows it on the next page.
    pub fn show_next(self, response: &mut HttpResponse) {
        set(response, self.into(), Duration::minutes(1));
    }

    pub fn text(self) -> &'static str {
        match self {
            Self::LoggedOut => "You are logged out.",
            Self::SignedUp => "Your account is ready. Welcome!",
            Self::SessionExpired => "You were logged out meanwhile. Log in to go on where you were.",
            Self::EmailVerified => "Thank you: the address is confirmed.",
            Self::VerificationSent => "The link is on its way. It comes within a minute or two.",
            Self::EmailChangeRequested => "We have sent a link to the new address. It changes once you follow it.",
            Self::PasswordChanged => "Your password is changed. Everywhere else you are logged out.",
            Self::PasswordReset => "Your new password is set. Log in with it.",
            Self::SessionRevoked => "That session has ended.",
            Self::OtherSessionsRevoked => "All other sessions have ended.",
            Self::AccountSecured => {
                "The account is secured: every session has ended and its password no longer works. We have sent you a link for a new one."
            }
            Self::AccountDeleted => "Your account is deleted.",
            Self::TimeZoneChanged => "Times are shown for that place from now on.",
            Self::CancellationRequested => {
                "Your cancellation request was sent to the shop. Its answer will appear here."
            }
            Self::CancellationWithdrawn => "Your cancellation request was withdrawn. The order stays as it is.",
            Self::ReorderRequested => {
                "Your request was sent to the shop. It contacts you about prices, payment and delivery."
            }
            Self::OrderMailsOn => "Order emails are on.",
            Self::OrderMailsOff => "Order emails are off.",
            Self::ConfirmFirst => "Nothing was sent. Confirm your email address first: the link is in your mailbox.",
        }
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
