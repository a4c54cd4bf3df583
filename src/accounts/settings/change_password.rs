//! `/account/password`: requires the current password and revokes all other sessions.

use actix_web::{HttpResponse, web};
use serde::Deserialize;

use super::account_page::{self, FormErrors};
use crate::accounts::audit::{self, Event};
use crate::accounts::security_notice::SecurityNotice;
use crate::accounts::{
    AccountNotice, Accounts, ClaimedBrowser, Password, PasswordCheck, ReauthErrors, ReauthForm, TrustedBrowser,
    rate_limits, store, trusted_browser,
};
use crate::database;
use crate::mail::{Message, RequestOrigin, tokens};
use crate::rate_limit;
use crate::sessions::{self, Authenticated, CurrentUser};
use crate::web::body::Form;
use crate::web::{Client, Error, Notice, see_other};

#[derive(Deserialize)]
pub struct PasswordForm {
    new_password: String,
    #[serde(flatten)]
    reauthentication: ReauthForm,
}

pub async fn submit(
    client: Client,
    browser: ClaimedBrowser,
    accounts: web::Data<Accounts>,
    Authenticated { user, layout, body: Form(form) }: Authenticated<Form<PasswordForm>>,
) -> Result<HttpResponse, Error> {
    if let Some(errors) = accounts.change_password(&user, &form, &client, browser.0).await? {
        return account_page::show_errors(layout, &user, &accounts, errors).await;
    }
    let rotated = accounts.rotate_session(&user).await?;
    let mut response = see_other("/account#password");
    AccountNotice::PasswordChanged.show_next(&mut response);
    rotated.set_cookie(Ok(response))
}

impl Accounts {
    /// Returns the errors of the form; `None` if the password was changed.
    async fn change_password(
        &self,
        user: &CurrentUser,
        form: &PasswordForm,
        client: &Client,
        browser: Option<TrustedBrowser>,
    ) -> Result<Option<FormErrors>, Error> {
        let account = self.find_account(user).await?;
        let reauth_errors = |of_password: ReauthErrors| FormErrors {
            of_password,
            new_password_error: Password::length_error(&form.new_password).map(|error| error.to_string()),
            ..FormErrors::default()
        };
        let new_error = |error: String| FormErrors { new_password_error: Some(error), ..FormErrors::default() };
        // The factors first, because their attempts are counted: validating the new password takes a slot of the queue that logins use.
        // The code is used up last: it is not lost when the new password is rejected.
        let factors = match self.check_factors(&account, &form.reauthentication, client).await? {
            Ok(factors) => factors,
            Err(errors) => return Ok(Some(reauth_errors(errors))),
        };
        let new_password = match self.hasher.validate(&form.new_password, account.email.as_str()).await? {
            PasswordCheck::Accepted(_) if form.new_password == form.reauthentication.password() => {
                return Ok(Some(new_error("This is already your password. Choose a different one.".to_owned())));
            }
            PasswordCheck::Accepted(password) => password,
            PasswordCheck::Rejected(error) => return Ok(Some(new_error(error.to_string()))),
        };
        let counters = [rate_limits::password_change(&account.id)];
        rate_limit::count(&self.database, &self.clock, &counters).await?;
        let hash = self.hasher.hash(new_password).await?;
        if let Err(errors) = self.use_factors(&account, &factors, client).await? {
            return Ok(Some(reauth_errors(errors)));
        }
        let is_replaced = self.replace_password(&account, &hash, user, client, browser).await?;
        let changed = "Your password was changed in another browser. Log in again.";
        Ok((!is_replaced).then(|| reauth_errors(ReauthErrors { password: Some(changed), code: None })))
    }

    async fn replace_password(
        &self,
        account: &store::Account,
        hash: &str,
        user: &CurrentUser,
        client: &Client,
        browser: Option<TrustedBrowser>,
    ) -> Result<bool, database::Error> {
        let now = self.clock.now();
        let message = Message::PasswordChanged(RequestOrigin::new(now, client));
        self.database
            .write(async |transaction| {
                if !store::set_password(transaction, &account.id, Some(&account.password_hash), hash).await? {
                    return Ok(false);
                }
                sessions::keep_with_new_password(transaction, &account.id, &user.session_id).await?;
                sessions::revoke_others(transaction, &account.id, Some(&user.session_id), now).await?;
                tokens::revoke_all(transaction, &account.id).await?;
                // The token of the last reset mail is revoked, so the next mail must not wait.
                rate_limit::reset(transaction, &rate_limits::reset_mail(&account.email)).await?;
                trusted_browser::store::TABLE.delete_all(transaction, &account.id).await?;
                if let Some(browser) = &browser {
                    trusted_browser::store::TABLE.trust(transaction, &account.id, &browser.hash(), now).await?;
                }
                audit::record(transaction, &account.id, &self.audit_event(Event::PasswordChanged, client)).await?;
                let event = Event::PasswordChanged;
                let notice = SecurityNotice { event, new_email: None, at: self.clock.now(), client, message: &message };
                self.notify(transaction, account, notice).await?;
                Ok(true)
            })
            .await
    }
}
