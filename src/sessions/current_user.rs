//! The user of a request, as an extractor.

use std::future::{Ready, ready};

use actix_web::dev::Payload;
use actix_web::http::Method;
use actix_web::{FromRequest, HttpMessage, HttpRequest};

use super::Expiry;
use crate::domain::{SessionId, UnixSeconds, UserId};
use crate::web::Error;

/// The authenticated user. As an extractor it is only for GET and HEAD: a POST needs [`Authenticated`](super::Authenticated), which checks
/// the session after the body has arrived. For other methods, and on a route without guard, the extractor fails with 500 and logs the
/// fault, so a mistake in the routes never gives access.
#[derive(Clone, Debug)]
pub struct CurrentUser {
    pub user_id: UserId,
    pub session_id: SessionId,
    /// The expiry of the request's token.
    pub token_expires_at: UnixSeconds,
    pub session_expires_at: UnixSeconds,
    pub expiry: Expiry,
    /// Counted up with each change of the user's orders; 0 until the first one.
    pub orders_version: i64,
    /// When the shop's last import ended.
    pub last_import_at: Option<UnixSeconds>,
}

impl FromRequest for CurrentUser {
    type Error = Error;
    type Future = Ready<Result<Self, Error>>;

    fn from_request(request: &HttpRequest, _: &mut Payload) -> Self::Future {
        if !matches!(*request.method(), Method::GET | Method::HEAD) {
            let fault = format!("{} needs an extractor that checks the session after the body", request.path());
            // Logged here, because an `Option<CurrentUser>` drops the error.
            tracing::error!(error = fault, "a request failed");
            return ready(Err(Error::Internal(fault.into())));
        }
        ready(request.extensions().get::<Self>().cloned().ok_or_else(|| unguarded(request)))
    }
}

pub(super) fn unguarded(request: &HttpRequest) -> Error {
    Error::Internal(format!("{} needs a user but has no guard", request.path()).into())
}

#[cfg(test)]
mod tests {
    use actix_web::test::TestRequest;

    use super::*;

    #[test]
    fn current_user_extractor_rejects_unsafe_methods() {
        let user = || CurrentUser {
            user_id: UserId::new("user".to_owned()),
            session_id: SessionId::new("session".to_owned()),
            token_expires_at: UnixSeconds::new(1),
            session_expires_at: UnixSeconds::new(1),
            expiry: Expiry::Idle,
            orders_version: 0,
            last_import_at: None,
        };
        for (method, is_accepted) in [
            (Method::GET, true),
            (Method::HEAD, true),
            (Method::POST, false),
            (Method::PUT, false),
            (Method::DELETE, false),
        ] {
            let request = TestRequest::default().method(method.clone()).to_http_request();
            request.extensions_mut().insert(user());
            let extracted = CurrentUser::from_request(&request, &mut Payload::None).into_inner();
            assert_eq!(extracted.is_ok(), is_accepted, "{method}");
        }
    }
}
