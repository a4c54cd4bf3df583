//! Extractors for the user of a POST. A client can hold the body back long after the guard has checked the request's head, so these
//! extractors read the body first and check the session afterwards.

use std::future::Future;
use std::pin::Pin;

use actix_web::dev::Payload;
use actix_web::error::InternalError;
use actix_web::{FromRequest, HttpMessage, HttpRequest, web};

use super::{Audience, CurrentUser, Sessions, cookie, guard};
use crate::web::{Error, Layout, Viewer};

/// The body and the user, whose session is active after the body has arrived. Other requests are redirected to the login page.
pub struct Authenticated<B> {
    pub user: CurrentUser,
    /// For this user, with the current data of the account.
    pub layout: Layout,
    pub body: B,
}

/// The same for a route that is also open to anonymous visitors.
pub struct MaybeAuthenticated<B> {
    pub user: Option<CurrentUser>,
    pub layout: Layout,
    pub body: B,
}

type Extracted<T> = Pin<Box<dyn Future<Output = Result<T, actix_web::Error>>>>;

impl<B> FromRequest for Authenticated<B>
where
    B: FromRequest + 'static,
    B::Error: Into<actix_web::Error>,
{
    type Error = actix_web::Error;
    type Future = Extracted<Self>;

    fn from_request(request: &HttpRequest, payload: &mut Payload) -> Self::Future {
        let is_guarded = request.extensions().contains::<CurrentUser>();
        let extracted = MaybeAuthenticated::<B>::from_request(request, payload);
        let request = request.clone();
        Box::pin(async move {
            if !is_guarded {
                return Err(super::current_user::unguarded(&request).into());
            }
            let MaybeAuthenticated { user, layout, body } = extracted.await?;
            match user {
                Some(user) => Ok(Self { user, layout, body }),
                None => {
                    let redirect = guard::redirect_to_login(&request)?;
                    Err(InternalError::from_response("the session has ended", redirect).into())
                }
            }
        })
    }
}

impl<B> FromRequest for MaybeAuthenticated<B>
where
    B: FromRequest + 'static,
    B::Error: Into<actix_web::Error>,
{
    type Error = actix_web::Error;
    type Future = Extracted<Self>;

    fn from_request(request: &HttpRequest, payload: &mut Payload) -> Self::Future {
        let body = B::from_request(request, payload);
        let request = request.clone();
        Box::pin(async move {
            let body = body.await.map_err(Into::into)?;
            let user = check_again(&request).await?;
            Ok(Self { user, layout: Layout::of(&request), body })
        })
    }
}

/// Replaces what the guard has put into the request with the current state of the database.
async fn check_again(request: &HttpRequest) -> Result<Option<CurrentUser>, Error> {
    let before = request.extensions_mut().remove::<CurrentUser>();
    let viewer = request.extensions_mut().remove::<Viewer>();
    let (Some(_), Some(_), Some(token)) = (before, viewer, cookie::read(request)) else {
        return Ok(None);
    };
    let no_sessions = || Error::Internal("the app was built without sessions".into());
    let sessions = request.app_data::<web::Data<Sessions>>().ok_or_else(no_sessions)?;
    let Some(resumed) = sessions.resume(&token, Audience::Web).await? else {
        return Ok(None);
    };
    request.extensions_mut().insert(resumed.viewer);
    request.extensions_mut().insert(resumed.user.clone());
    Ok(Some(resumed.user))
}
