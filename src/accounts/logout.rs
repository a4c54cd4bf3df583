//! Logging out.

use actix_web::http::header::{HeaderName, HeaderValue};
use actix_web::{HttpResponse, web};

use super::Accounts;
use super::activity::Event;
use crate::sessions::{CurrentUser, Sessions, cookie};
use crate::web::{Client, Error, Notice, see_other};

/// Ends the session and has the browser forget the cookie and every page it kept.
pub(super) async fn submit(
    user: Option<CurrentUser>,
    client: Client,
    sessions: web::Data<Sessions>,
    accounts: web::Data<Accounts>,
) -> Result<HttpResponse, Error> {
    if let Some(user) = user {
        sessions.end(&user.session_id).await?;
        accounts.record(&user.user_id, Event::LoggedOut, &client).await?;
    }
    let mut response = see_other("/login");
    response.add_cookie(&cookie::clear()).map_err(|error| Error::Internal(error.into()))?;
    let forget = (HeaderName::from_static("clear-site-data"), HeaderValue::from_static("\"cache\""));
    response.headers_mut().insert(forget.0, forget.1);
    Notice::LoggedOut.show_next(&mut response);
    Ok(response)
}
