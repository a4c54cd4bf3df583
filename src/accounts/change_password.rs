//! Changing the password: the current one is asked for, and every other session ends.

use actix_web::{HttpResponse, web};
use serde::Deserialize;

use super::activity::{self, Event};
use super::notices::Notice;
use super::overview::{self, Problems};
use super::throttle::{self, Counter};
use super::{Accounts, KnownBrowser, Password, store};
use crate::database;
use crate::mail::links;
use crate::mail::{Message, Occasion};
use crate::sessions::{self, Authenticated, CurrentUser};
use crate::web::body::Form;
use crate::web::{Client, Error, Notice as PageNotice, see_other};

/// What the form sends.
#[derive(Deserialize)]
pub(super) struct PasswordForm {
    current_password: String,
    new_password: String,
}

pub(super) async fn submit(
    client: Client,
    browser: super::ClaimedBrowser,
    accounts: web::Data<Accounts>,
    Authenticated { user, layout, body: Form(form) }: Authenticated<Form<PasswordForm>>,
) -> Result<HttpResponse, Error> {
    match accounts.change_password(&user, &form, &client, browser.0).await? {
        Err(problems) => overview::show_again(layout, &user, &accounts, problems).await,
        Ok(()) => {
            let reauthenticated = accounts.rotate_session(&user).await?;
            let mut response = see_other("/account#password");
            PageNotice::PasswordChanged.show_next(&mut response);
            reauthenticated.set_cookie(Ok(response), &accounts)
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
        let at_current = |error: &str| Problems {
            current_password_error: Some(error.to_owned()),
            new_password_error: Password::length_error(&form.new_password).map(|error| error.to_string()),
            ..Problems::default()
        };
        let at_new = |error: String| Problems { new_password_error: Some(error), ..Problems::default() };
        // The current one first, which is counted: to judge the new one takes a place in the queue that logins wait in.
        if form.current_password.is_empty() {
            return Ok(Err(at_current("Enter your current password.")));
        }
        if !self.is_password_of(&account, &form.current_password, client).await? {
            return Ok(Err(at_current("That is not your current password.")));
        }
        let chosen = match self.hasher.choose(&form.new_password, account.email.as_str()).await? {
            Ok(_) if form.new_password == form.current_password => {
                return Ok(Err(at_new("That is the password you have. Choose another one.".to_owned())));
            }
            Ok(chosen) => chosen,
            Err(error) => return Ok(Err(at_new(error.to_string()))),
        };
        let counters = [Counter::new(throttle::PASSWORD_CHANGE, &[&account.id])];
        throttle::count(&self.database, &self.clock, &counters).await?;
        let hash = self.hasher.hash(chosen).await?;
        let done = self.replace_password(&account, &hash, user, client, browser).await?;
        Ok(if done { Ok(()) } else { Err(at_current("Your password was changed elsewhere meanwhile.")) })
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
                links::void_all(transaction, &account.id).await?;
                // The next reset mail is due at once: the link of the last one is revoked.
                store::throttles::forget(transaction, &throttle::of_reset_mail(account.email.as_str())).await?;
                store::browsers::forget_all(transaction, &account.id).await?;
                if let Some(browser) = &browser {
                    store::browsers::remember(transaction, &account.id, &browser.hash(), now).await?;
                }
                activity::record(transaction, &account.id, &self.entry(Event::PasswordChanged, client)).await?;
                let notice = Notice { event: Event::PasswordChanged, new_email: None, client, message: &told };
                self.notify(transaction, account, notice).await?;
                Ok(true)
            })
            .await
    }
}
