//! Changing the password: the current one is asked for, and every other session ends.

use actix_web::{HttpResponse, web};
use serde::Deserialize;

use super::activity::{self, Event};
use super::overview::{self, Problems};
use super::{Accounts, KnownBrowser, store};
use crate::database;
use crate::mail::links::{self, Purpose};
use crate::mail::{self, Message, Occasion};
use crate::sessions::{self, CurrentUser};
use crate::web::body::Form;
use crate::web::{Client, Error, Layout, Notice, see_other};

/// What the form sends.
#[derive(Deserialize)]
pub(super) struct PasswordForm {
    current_password: String,
    new_password: String,
}

pub(super) async fn submit(
    layout: Layout,
    client: Client,
    browser: super::ClaimedBrowser,
    user: CurrentUser,
    accounts: web::Data<Accounts>,
    Form(form): Form<PasswordForm>,
) -> Result<HttpResponse, Error> {
    match accounts.change_password(&user, &form, &client, browser.0).await? {
        Err(problems) => overview::show_again(layout, &user, &accounts, problems).await,
        Ok(()) => {
            let confirmed = accounts.confirmed(&user).await?;
            let mut response = see_other("/account#password");
            Notice::PasswordChanged.show_next(&mut response);
            confirmed.carry(Ok(response), &accounts)
        }
    }
}

impl Accounts {
    async fn change_password(
        &self,
        user: &CurrentUser,
        form: &PasswordForm,
        client: &Client,
        browser: Option<KnownBrowser>,
    ) -> Result<Result<(), Problems>, Error> {
        let account = self.of(user).await?;
        let chosen = self.hasher.choose(&form.new_password, account.email.as_str()).await?;
        let current_error = if form.current_password.is_empty() {
            Some("Enter your current password.".to_owned())
        } else if self.is_password_of(&account, &form.current_password, client).await? {
            None
        } else {
            Some("That is not your current password.".to_owned())
        };
        let chosen = match (chosen, current_error) {
            (Ok(_), None) if form.new_password == form.current_password => {
                Err((None, Some("That is the password you have. Choose another one.".to_owned())))
            }
            (Ok(chosen), None) => Ok(chosen),
            (chosen, current_error) => Err((current_error, chosen.err().map(|error| error.to_string()))),
        };
        let chosen = match chosen {
            Ok(chosen) => chosen,
            Err((current_password_error, new_password_error)) => {
                return Ok(Err(Problems { current_password_error, new_password_error, ..Problems::default() }));
            }
        };
        let hash = self.hasher.hash(chosen).await?;
        let done = self.replace_password(&account, &hash, user, client, browser).await?;
        let meanwhile = || Problems {
            current_password_error: Some("Your password was changed elsewhere meanwhile.".to_owned()),
            ..Problems::default()
        };
        Ok(if done { Ok(()) } else { Err(meanwhile()) })
    }

    async fn replace_password(
        &self,
        account: &store::Account,
        hash: &str,
        user: &CurrentUser,
        client: &Client,
        browser: Option<KnownBrowser>,
    ) -> Result<bool, database::Error> {
        let now = self.clock.now();
        let told = Message::PasswordChanged(Occasion::new(now, client));
        self.database
            .write(async |transaction| {
                if !store::set_password(transaction, &account.id, Some(&account.password_hash), hash).await? {
                    return Ok(false);
                }
                sessions::end_all_but(transaction, &account.id, Some(&user.session_id), now).await?;
                links::void(transaction, &account.id, Purpose::Reset).await?;
                links::void(transaction, &account.id, Purpose::ChangeEmail).await?;
                store::browsers::forget_all(transaction, &account.id).await?;
                if let Some(browser) = &browser {
                    store::browsers::remember(transaction, &account.id, &browser.hash(), now).await?;
                }
                activity::record(transaction, &account.id, &self.entry(Event::PasswordChanged, client)).await?;
                mail::post(transaction, &self.clock, &account.email, Some(&account.id), &told).await?;
                Ok(true)
            })
            .await
    }
}
