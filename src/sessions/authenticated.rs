//! Who a POST is from. A body can be held back until long after the guard has seen the head, so these extractors read the body
//! first and check the session afterwards.

use std::future::Future;
use std::pin::Pin;

use actix_web::dev::Payload;
use actix_web::error::InternalError;
use actix_web::{FromRequest, HttpMessage, HttpRequest, web};

use super::{Audience, CurrentUser, Sessions, cookie, guard};
use crate::web::{Error, Layout, Viewer};

/// The body of a POST and the user whose session lives after the body has arrived; anyone else is sent to log in.
pub struct Authenticated<B> {
    /// Who, and in which session.
    pub user: CurrentUser,
    /// The layout for that user, as the account is now.
    pub layout: Layout,
    /// The body.
    pub body: B,
}

/// The same for a route that anonymous visitors may use too.
pub struct MaybeAuthenticated<B> {
    /// Who, and in which session, if the request is in one.
    pub user: Option<CurrentUser>,
    /// The layout for that user.
    pub layout: Layout,
    /// The body.
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
        let checked = MaybeAuthenticated::<B>::from_request(request, payload);
        let request = request.clone();
        Box::pin(async move {
            if !is_guarded {
                return Err(super::current_user::unguarded(&request).into());
            }
            let MaybeAuthenticated { user, layout, body } = checked.await?;
            match user {
                Some(user) => Ok(Self { user, layout, body }),
                None => Err(InternalError::from_response("the session has ended", guard::turn_away(&request)?).into()),
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
            let user = resume_again(&request).await?;
            Ok(Self { user, layout: Layout::of(&request), body })
        })
    }
}

/// What the guard has put into the request is replaced by what the database says now.
async fn resume_again(request: &HttpRequest) -> Result<Option<CurrentUser>, Error> {
    let before = request.extensions_mut().remove::<CurrentUser>();
    let viewer = request.extensions_mut().remove::<Viewer>();
    let (Some(_), Some(mut viewer), Some(token)) = (before, viewer, cookie::read(request)) else {
        return Ok(None);
    };
    let no_sessions = || Error::Internal("the app was built without sessions".into());
    let sessions = request.app_data::<web::Data<Sessions>>().ok_or_else(no_sessions)?;
    let Some(resumed) = sessions.resume(&token, Audience::Web).await? else {
        return Ok(None);
    };
    // The time left is that of the token that the guard may just have renewed.
    viewer = Viewer { ends_in: viewer.ends_in, can_stay: viewer.can_stay, ..resumed.viewer };
    request.extensions_mut().insert(viewer);
    request.extensions_mut().insert(resumed.user.clone());
    Ok(Some(resumed.user))
}
