//! Logging out.

use actix_web::http::header::{HeaderName, HeaderValue};
use actix_web::{HttpResponse, web};

use super::Accounts;
use super::activity::{self, Event};
use crate::database;
use crate::sessions::{CurrentUser, MaybeAuthenticated, cookie};
use crate::web::body::IgnoredBody;
use crate::web::{Client, Error, Notice, see_other};

/// Ends the session and has the browser forget the cookie and every page it kept.
pub(super) async fn submit(
    MaybeAuthenticated { user, .. }: MaybeAuthenticated<IgnoredBody>,
    client: Client,
    accounts: web::Data<Accounts>,
) -> Result<HttpResponse, Error> {
    if let Some(user) = user {
        accounts.log_out(&user, &client).await?;
    }
    let mut response = see_other("/login");
    response.add_cookie(&cookie::clear()).map_err(|error| Error::Internal(error.into()))?;
    let forget = (HeaderName::from_static("clear-site-data"), HeaderValue::from_static("\"cache\""));
    response.headers_mut().insert(forget.0, forget.1);
    Notice::LoggedOut.show_next(&mut response);
    Ok(response)
}

impl Accounts {
    /// Ends the session that a request is in, together with its audit event.
    ///
    /// # Errors
    /// The database's.
    pub async fn log_out(&self, user: &CurrentUser, client: &Client) -> Result<(), database::Error> {
        let entry = self.entry(Event::LoggedOut, client);
        self.database
            .write_together(async |transaction| {
                if self.sessions.end(transaction, &user.user_id, &user.session_id).await? {
                    activity::record(transaction, &user.user_id, &entry).await?;
                }
                Ok(())
            })
            .await
    }
}
