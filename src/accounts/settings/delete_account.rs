//! `/account/delete`. Sessions, tokens, mail and audit events are deleted with the account; the shop keeps the orders without it.

use actix_web::http::StatusCode;
use actix_web::{HttpResponse, web};
use askama::Template;
use serde::Deserialize;

use crate::accounts::login::log_out::logged_out;
use crate::accounts::{AccountNotice, Accounts, session_ended, store};
use crate::database;
use crate::mail::{self, Message, RequestOrigin};
use crate::orders;
use crate::sessions::{Authenticated, CurrentUser};
use crate::web::body::Form;
use crate::web::{Client, Error, Layout, Notice, page};

#[derive(Template)]
#[template(path = "accounts/delete.html")]
struct DeletePage {
    layout: Layout,
    error: Option<String>,
}

pub async fn form(layout: Layout, _: CurrentUser) -> Result<HttpResponse, Error> {
    page(StatusCode::OK, &DeletePage { layout, error: None })
}

#[derive(Deserialize)]
pub struct DeleteForm {
    password: String,
}

pub async fn submit(
    client: Client,
    accounts: web::Data<Accounts>,
    Authenticated { user, layout, body: Form(form) }: Authenticated<Form<DeleteForm>>,
) -> Result<HttpResponse, Error> {
    let account = accounts.find_account(&user).await?;
    let error = if form.password.is_empty() {
        Some("Enter your password.".to_owned())
    } else if accounts.is_password_of(&account, &form.password, &client).await? {
        None
    } else {
        Some("Password is incorrect. Your account was not deleted.".to_owned())
    };
    if error.is_some() {
        return page(StatusCode::UNPROCESSABLE_ENTITY, &DeletePage { layout, error });
    }
    if !accounts.delete(&account, &user, &client).await? {
        return Err(session_ended());
    }
    let mut response = logged_out()?;
    AccountNotice::AccountDeleted.show_next(&mut response);
    Ok(response)
}

impl Accounts {
    /// Deletes the account, unless the session has ended since the password was verified; returns whether it did.
    async fn delete(
        &self,
        account: &store::Account,
        user: &CurrentUser,
        client: &Client,
    ) -> Result<bool, database::Error> {
        let now = self.clock.now();
        let message = Message::AccountDeleted(RequestOrigin::new(now, client));
        let is_deleted = self
            .database
            .write(async |transaction| {
                if !store::has_active_session(transaction, &account.id, &user.session_id, now).await? {
                    return Ok::<_, database::Error>(false);
                }
                orders::remove_samples(transaction, &account.id).await?;
                store::delete(transaction, &account.id).await?;
                // An unconfirmed address may belong to somebody else.
                if account.verified_at.is_some() {
                    mail::enqueue(transaction, &self.clock, &account.email, None, &message).await?;
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
