//! `/account/passkeys/{id}`: one passkey, with the forms that rename and remove it.

use actix_web::http::StatusCode;
use actix_web::{HttpResponse, web};
use askama::Template;
use serde::Deserialize;

use super::list::{PasskeyView, view};
use super::name::PasskeyName;
use super::store::{self, PasskeyLine};
use crate::accounts::store::Account;
use crate::accounts::{AccountNotice, Accounts, ReauthErrors, ReauthForm, store as users};
use crate::database;
use crate::domain::SessionId;
use crate::mail::FactorChange;
use crate::sessions::{Authenticated, CurrentUser};
use crate::web::body::Form;
use crate::web::{Client, Error, Layout, Notice, page, see_other};

#[derive(Template)]
#[template(path = "accounts/passkey.html")]
struct PasskeyPage {
    layout: Layout,
    email: String,
    passkey: PasskeyView,
    /// The name in the field.
    name: String,
    has_totp: bool,
    offers_passkey: bool,
    errors: FormErrors,
}

/// The errors of the two forms.
#[derive(Default)]
struct FormErrors {
    name: Option<&'static str>,
    /// Of the reauthentication.
    rename: ReauthErrors,
    remove: ReauthErrors,
}

impl FormErrors {
    /// Each message with the id of its field, in the order of the page.
    fn summary(&self) -> Vec<(&'static str, &'static str)> {
        [
            ("name", self.name),
            ("rename-password", self.rename.password),
            ("rename-code", self.rename.code),
            ("remove-password", self.remove.password),
            ("remove-code", self.remove.code),
        ]
        .into_iter()
        .filter_map(|(field, error)| Some((field, error?)))
        .collect()
    }
}

pub async fn show(
    layout: Layout,
    user: CurrentUser,
    accounts: web::Data<Accounts>,
    id: web::Path<String>,
) -> Result<HttpResponse, Error> {
    let passkey = accounts.find_passkey(&user, &id).await?;
    let account = accounts.find_account(&user).await?;
    render(StatusCode::OK, layout, &account, &passkey, &passkey.name, FormErrors::default())
}

fn render(
    status: StatusCode,
    layout: Layout,
    account: &Account,
    passkey: &PasskeyLine,
    name: &str,
    errors: FormErrors,
) -> Result<HttpResponse, Error> {
    let view = PasskeyPage {
        email: account.email.as_str().to_owned(),
        passkey: view(passkey, &layout.zone()),
        name: name.to_owned(),
        has_totp: account.has_totp(),
        offers_passkey: layout.passkeys.is_supported(),
        layout,
        errors,
    };
    page(status, &view)
}

#[derive(Deserialize)]
pub struct RenameForm {
    name: String,
    #[serde(flatten)]
    reauthentication: ReauthForm,
}

pub async fn rename(
    client: Client,
    accounts: web::Data<Accounts>,
    id: web::Path<String>,
    Authenticated { user, layout, body: Form(form) }: Authenticated<Form<RenameForm>>,
) -> Result<HttpResponse, Error> {
    let passkey = accounts.find_passkey(&user, &id).await?;
    let account = accounts.find_account(&user).await?;
    let show = |errors| render(StatusCode::UNPROCESSABLE_ENTITY, layout, &account, &passkey, &form.name, errors);
    let name = match PasskeyName::parse(&form.name) {
        Ok(name) => name,
        Err(error) => return show(FormErrors { name: Some(error), ..FormErrors::default() }),
    };
    let rotated = match accounts.reauthenticate(&user, &account, &form.reauthentication, &client).await? {
        Ok(rotated) => rotated,
        Err(rename) => return show(FormErrors { rename, ..FormErrors::default() }),
    };
    let change = PasskeyChange::Rename(&name);
    let is_done = accounts.change_passkey(&account, &rotated.session_id, &passkey, &change, &client).await;
    rotated.set_cookie(finished(is_done, AccountNotice::PasskeyRenamed))
}

pub async fn remove(
    client: Client,
    accounts: web::Data<Accounts>,
    id: web::Path<String>,
    Authenticated { user, layout, body: Form(form) }: Authenticated<Form<ReauthForm>>,
) -> Result<HttpResponse, Error> {
    let passkey = accounts.find_passkey(&user, &id).await?;
    let account = accounts.find_account(&user).await?;
    let rotated = match accounts.reauthenticate(&user, &account, &form, &client).await? {
        Ok(rotated) => rotated,
        Err(remove) => {
            let errors = FormErrors { remove, ..FormErrors::default() };
            return render(StatusCode::UNPROCESSABLE_ENTITY, layout, &account, &passkey, &passkey.name, errors);
        }
    };
    let change = PasskeyChange::Remove;
    let is_done = accounts.change_passkey(&account, &rotated.session_id, &passkey, &change, &client).await;
    rotated.set_cookie(finished(is_done, AccountNotice::PasskeyRemoved))
}

fn finished(is_done: Result<bool, Error>, notice: AccountNotice) -> Result<HttpResponse, Error> {
    if !is_done? {
        return Err(Error::NotFound);
    }
    let mut response = see_other("/account/passkeys");
    notice.show_next(&mut response);
    Ok(response)
}

enum PasskeyChange<'a> {
    Rename(&'a PasskeyName),
    Remove,
}

impl Accounts {
    /// One of the user's passkeys.
    async fn find_passkey(&self, user: &CurrentUser, id: &str) -> Result<PasskeyLine, Error> {
        let passkeys = store::list(self.database.reader(), &user.user_id).await?;
        passkeys.into_iter().find(|passkey| passkey.id == id).ok_or(Error::NotFound)
    }

    /// Renames or removes a passkey; returns whether it still exists.
    async fn change_passkey(
        &self,
        account: &Account,
        session_id: &SessionId,
        passkey: &PasskeyLine,
        change: &PasskeyChange<'_>,
        client: &Client,
    ) -> Result<bool, Error> {
        let (id, now) = (&passkey.id, self.clock.now());
        let changed = self.database.write(async |transaction| {
            if !users::has_active_session(transaction, &account.id, session_id, now).await? {
                return Ok::<_, database::Error>(false);
            }
            let (is_changed, change) = match change {
                PasskeyChange::Rename(name) => (
                    store::rename(transaction, &account.id, id, name).await?,
                    FactorChange::PasskeyRenamed { name: name.as_str().to_owned() },
                ),
                PasskeyChange::Remove => (
                    store::remove(transaction, &account.id, id).await?,
                    FactorChange::PasskeyRemoved { name: passkey.name.clone() },
                ),
            };
            if is_changed {
                self.record_factor_change(transaction, account, change, (client, now)).await?;
            }
            Ok(is_changed)
        });
        Ok(changed.await?)
    }
}
