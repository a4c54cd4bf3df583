//! Who a request is from, as an extractor.

use std::future::{Ready, ready};

use actix_web::dev::Payload;
use actix_web::http::Method;
use actix_web::{FromRequest, HttpMessage, HttpRequest};

use super::Ending;
use crate::clock::UnixSeconds;
use crate::web::Error;

/// The logged-in user. As an extractor it is for GET alone: a POST takes [`Authenticated`](super::Authenticated), which checks the
/// session after the body has arrived. For another method, and on a route that was mounted outside its guard, it answers 500 and
/// logs it: forgetting fails closed.
#[derive(Clone, Debug)]
pub struct CurrentUser {
    /// The user's id.
    pub user_id: String,
    /// The session's id.
    pub session_id: String,
    /// When the token that came with the request ends.
    pub token_expires_at: UnixSeconds,
    /// The session's own end.
    pub session_expires_at: UnixSeconds,
    /// When the session ends by itself.
    pub ending: Ending,
}

impl FromRequest for CurrentUser {
    type Error = Error;
    type Future = Ready<Result<Self, Error>>;

    fn from_request(request: &HttpRequest, _: &mut Payload) -> Self::Future {
        if !matches!(*request.method(), Method::GET | Method::HEAD) {
            let fault = format!("{} needs an extractor that checks the session after the body", request.path());
            // Logged here: as an optional extractor this one's error is dropped.
            tracing::error!(error = fault, "a request failed");
            return ready(Err(Error::Internal(fault.into())));
        }
        ready(request.extensions().get::<Self>().cloned().ok_or_else(|| unguarded(request)))
    }
}

pub(super) fn unguarded(request: &HttpRequest) -> Error {
    Error::Internal(format!("{} needs a user but stands outside the guard", request.path()).into())
}

#[cfg(test)]
mod tests {
    use actix_web::test::TestRequest;

    use super::*;

    #[test]
    fn current_user_alone_is_refused_on_unsafe_methods() {
        let user = || CurrentUser {
            user_id: "user".to_owned(),
            session_id: "session".to_owned(),
            token_expires_at: UnixSeconds::new(1),
            session_expires_at: UnixSeconds::new(1),
            ending: Ending::Idle,
        };
        for (method, is_taken) in [
            (Method::GET, true),
            (Method::HEAD, true),
            (Method::POST, false),
            (Method::PUT, false),
            (Method::DELETE, false),
        ] {
            let request = TestRequest::default().method(method.clone()).to_http_request();
            request.extensions_mut().insert(user());
            let taken = CurrentUser::from_request(&request, &mut Payload::None).into_inner();
            assert_eq!(taken.is_ok(), is_taken, "{method}");
        }
    }
}
