//! Deleting the account. Its sessions, links, mail and activity go; the shop keeps the orders without it.

use actix_web::http::StatusCode;
use actix_web::http::header::{HeaderName, HeaderValue};
use actix_web::{HttpResponse, web};
use askama::Template;
use serde::Deserialize;

use super::{Accounts, has_ended, store};
use crate::database;
use crate::mail::{self, Message, Occasion};
use crate::sessions::{Authenticated, CurrentUser, cookie};
use crate::web::body::Form;
use crate::web::{Client, Error, Layout, Notice, page, see_other};

#[derive(Template)]
#[template(path = "accounts/delete.html")]
struct DeletePage {
    layout: Layout,
    error: Option<String>,
}

pub(super) async fn form(layout: Layout, _: CurrentUser) -> Result<HttpResponse, Error> {
    page(StatusCode::OK, &DeletePage { layout, error: None })
}

/// What the form sends.
#[derive(Deserialize)]
pub(super) struct DeleteForm {
    password: String,
}

pub(super) async fn submit(
    client: Client,
    accounts: web::Data<Accounts>,
    Authenticated { user, layout, body: Form(form) }: Authenticated<Form<DeleteForm>>,
) -> Result<HttpResponse, Error> {
    let account = accounts.of(&user).await?;
    let error = if form.password.is_empty() {
        Some("Enter your password.".to_owned())
    } else if accounts.is_password_of(&account, &form.password, &client).await? {
        None
    } else {
        Some("That is not your password. Nothing was deleted.".to_owned())
    };
    if error.is_some() {
        return page(StatusCode::UNPROCESSABLE_ENTITY, &DeletePage { layout, error });
    }
    if !accounts.delete(&account, &user, &client).await? {
        return Err(has_ended());
    }
    let mut response = see_other("/login");
    response.add_cookie(&cookie::clear()).map_err(|error| Error::Internal(error.into()))?;
    let forget = (HeaderName::from_static("clear-site-data"), HeaderValue::from_static("\"cache\""));
    response.headers_mut().insert(forget.0, forget.1);
    Notice::AccountDeleted.show_next(&mut response);
    Ok(response)
}

impl Accounts {
    /// Deletes the account unless the session has ended since the password was checked; tells whether it did.
    async fn delete(
        &self,
        account: &store::Account,
        user: &CurrentUser,
        client: &Client,
    ) -> Result<bool, database::Error> {
        let now = self.clock.now();
        let told = Message::AccountDeleted(Occasion::new(now, client));
        let is_deleted = self
            .database
            .write(async |transaction| {
                if !store::has_live_session(transaction, &account.id, &user.session_id, now).await? {
                    return Ok::<_, database::Error>(false);
                }
                (self.hooks.on_deleted)(transaction, &account.id).await?;
                store::delete(transaction, &account.id).await?;
                // An address that was never confirmed may be anybody's.
                if account.verified_at.is_some() {
                    mail::post(transaction, &self.clock, &account.email, None, &told).await?;
                }
                Ok(true)
            })
            .await?;
        if is_deleted {
            tracing::info!(user = %account.id, "account deleted");
        }
        Ok(is_deleted)
    }
}
