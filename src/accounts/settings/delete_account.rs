//! `/account/delete`. Sessions, tokens, mail and audit events are deleted with the account; the shop keeps the orders without it and without
//! its requests.

use actix_web::http::StatusCode;
use actix_web::{HttpResponse, web};
use askama::Template;

use crate::accounts::login::log_out::logged_out;
use crate::accounts::{AccountNotice, Accounts, ReauthErrors, ReauthForm, session_ended, store};
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
    has_totp: bool,
    offers_passkey: bool,
    errors: ReauthErrors,
}

fn render(
    status: StatusCode,
    layout: Layout,
    account: &store::Account,
    errors: ReauthErrors,
) -> Result<HttpResponse, Error> {
    let offers_passkey = account.has_passkeys() && layout.passkeys.is_supported();
    page(status, &DeletePage { layout, has_totp: account.has_totp(), offers_passkey, errors })
}

pub async fn form(layout: Layout, user: CurrentUser, accounts: web::Data<Accounts>) -> Result<HttpResponse, Error> {
    let account = accounts.find_account(&user).await?;
    render(StatusCode::OK, layout, &account, ReauthErrors::default())
}

pub async fn submit(
    client: Client,
    accounts: web::Data<Accounts>,
    Authenticated { user, layout, body: Form(form) }: Authenticated<Form<ReauthForm>>,
) -> Result<HttpResponse, Error> {
    let account = accounts.find_account(&user).await?;
    let checked = match accounts.check_factors(&account, &form, &client).await? {
        Ok(factors) => accounts.use_factors(&account, &factors, &client).await?,
        Err(errors) => Err(errors),
    };
    if let Err(errors) = checked {
        return render(StatusCode::UNPROCESSABLE_ENTITY, layout, &account, errors);
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
                orders::leave(transaction, &account.id).await?;
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
