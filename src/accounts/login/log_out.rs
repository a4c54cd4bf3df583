//! `/logout`.

use actix_web::http::header::{HeaderName, HeaderValue};
use actix_web::{HttpResponse, web};

use crate::accounts::audit::{self, Event};
use crate::accounts::{AccountNotice, Accounts};
use crate::database;
use crate::sessions::{CurrentUser, MaybeAuthenticated, cookie};
use crate::web::body::IgnoredBody;
use crate::web::{Client, Error, Notice, see_other};

/// Revokes the session and makes the browser delete the cookie and all cached pages.
pub async fn submit(
    MaybeAuthenticated { user, .. }: MaybeAuthenticated<IgnoredBody>,
    client: Client,
    accounts: web::Data<Accounts>,
) -> Result<HttpResponse, Error> {
    if let Some(user) = user {
        accounts.log_out(&user, &client).await?;
    }
    let mut response = logged_out()?;
    AccountNotice::LoggedOut.show_next(&mut response);
    Ok(response)
}

/// Redirects to the login page without session cookie and cached pages.
pub fn logged_out() -> Result<HttpResponse, Error> {
    let mut response = see_other("/login");
    cookie::clear(&mut response)?;
    let clear_cache = (HeaderName::from_static("clear-site-data"), HeaderValue::from_static("\"cache\""));
    response.headers_mut().insert(clear_cache.0, clear_cache.1);
    Ok(response)
}

impl Accounts {
    /// Revokes the session of a request, with its audit event.
    pub async fn log_out(&self, user: &CurrentUser, client: &Client) -> Result<(), database::Error> {
        let event = self.audit_event(Event::LoggedOut, client);
        self.database
            .write_together(async |transaction| {
                if self.sessions.revoke(transaction, &user.user_id, &user.session_id).await? {
                    audit::record(transaction, &user.user_id, &event).await?;
                }
                Ok(())
            })
            .await
    }
}
