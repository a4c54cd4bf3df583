//! Who a request is from, as an extractor.

use std::future::{Ready, ready};

use actix_web::dev::Payload;
use actix_web::{FromRequest, HttpMessage, HttpRequest};

use super::Ending;
use crate::clock::UnixSeconds;
use crate::web::Error;

/// The signed-in user. On a route that was mounted outside its guard this answers 500 and says so in the log: forgetting
/// fails closed.
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
    /// When the password was last given in this session.
    pub confirmed_at: UnixSeconds,
    /// When the session ends by itself.
    pub ending: Ending,
}

impl FromRequest for CurrentUser {
    type Error = Error;
    type Future = Ready<Result<Self, Error>>;

    fn from_request(request: &HttpRequest, _: &mut Payload) -> Self::Future {
        let unguarded =
            || Error::Internal(format!("{} needs a user but stands outside the guard", request.path()).into());
        ready(request.extensions().get::<Self>().cloned().ok_or_else(unguarded))
    }
}
