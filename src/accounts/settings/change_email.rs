//! `/account/email`: the new address is confirmed by a mailed link, and the old address is notified before and after the change.

use actix_web::{HttpResponse, web};
use serde::Deserialize;

use super::account_page::{self, FormErrors};
use crate::accounts::audit::{self, Event};
use crate::accounts::security_notice::SecurityNotice;
use crate::accounts::{AccountNotice, Accounts, ReauthForm, rate_limits, session_ended, store};
use crate::database::{self, Transaction};
use crate::domain::{Email, SessionId};
use crate::mail::tokens::{self, EmailToken, Purpose};
use crate::mail::{self, Message, RequestOrigin};
use crate::orders;
use crate::rate_limit;
use crate::sessions::{self, Authenticated};
use crate::web::body::Form;
use crate::web::{Client, Error, Notice, see_other};

#[derive(Deserialize)]
pub struct EmailForm {
    email: String,
    #[serde(flatten)]
    reauthentication: ReauthForm,
}

pub async fn submit(
    client: Client,
    accounts: web::Data<Accounts>,
    Authenticated { user, layout, body: Form(form) }: Authenticated<Form<EmailForm>>,
) -> Result<HttpResponse, Error> {
    let account = accounts.find_account(&user).await?;
    let email = match parse_new_email(&form.email, &account.email) {
        Ok(email) => email,
        Err(error) => {
            let errors = FormErrors { email: form.email, email_error: Some(error), ..FormErrors::default() };
            return account_page::show_errors(layout, &user, &accounts, errors).await;
        }
    };
    let rotated = match accounts.reauthenticate(&user, &account, &form.reauthentication, &client).await? {
        Ok(rotated) => rotated,
        Err(of_email) => {
            let errors = FormErrors { email: form.email, of_email, ..FormErrors::default() };
            return account_page::show_errors(layout, &user, &accounts, errors).await;
        }
    };
    let requested = accounts.request_email_change(&account, &rotated.session_id, &email, &client).await;
    let response = requested.map(|()| {
        let mut response = see_other("/account#email");
        AccountNotice::EmailChangeRequested.show_next(&mut response);
        response
    });
    rotated.set_cookie(response)
}

fn parse_new_email(typed: &str, current: &Email) -> Result<Email, String> {
    match Email::parse(typed) {
        Ok(email) if email == *current => Err("This is already your email address.".to_owned()),
        Ok(email) => Ok(email),
        Err(error) => Err(error.to_string()),
    }
}

impl Accounts {
    /// Sends a link to the new address and notifies the old one. The response is the same if the new address already has an account; then
    /// no link is sent.
    async fn request_email_change(
        &self,
        account: &store::Account,
        session_id: &SessionId,
        to: &Email,
        client: &Client,
    ) -> Result<(), Error> {
        let counters = rate_limits::email_change(&account.id, to, client.address);
        rate_limit::count(&self.database, &self.clock, &counters).await?;
        let now = self.clock.now();
        let origin = RequestOrigin::new(now, client);
        let confirmation = Message::ConfirmNewAddress(origin.clone());
        let message = Message::AddressChangeRequested { origin, to: to.as_str().to_owned() };
        let is_requested = self
            .database
            .write(async |transaction| {
                // A new password revokes the session and such tokens. Checked here, so that no request gets in between.
                if !store::has_active_session(transaction, &account.id, session_id, now).await? {
                    return Ok::<_, database::Error>(false);
                }
                tokens::revoke(transaction, &account.id, Purpose::ChangeEmail).await?;
                mail::enqueue(transaction, &self.clock, to, Some(&account.id), &confirmation).await?;
                let event = Event::EmailChangeRequested;
                let notice =
                    SecurityNotice { event, new_email: Some(to), at: self.clock.now(), client, message: &message };
                self.notify(transaction, account, notice).await?;
                audit::record(transaction, &account.id, &self.audit_event(event, client)).await?;
                Ok(true)
            })
            .await?;
        if is_requested { Ok(()) } else { Err(session_ended()) }
    }

    /// Applies a consumed token; returns whether the address was still free. Revokes all sessions except `kept`, so that a stolen cookie
    /// does not survive a change of the address.
    pub(in crate::accounts) async fn change_email(
        &self,
        transaction: &mut Transaction,
        token: &EmailToken,
        kept: Option<&SessionId>,
        client: &Client,
    ) -> Result<bool, database::Error> {
        let (now, user_id, to) = (self.clock.now(), &token.user_id, &token.email);
        let Some(before) = store::find_by_id(&mut *transaction, user_id).await? else {
            return Ok(false);
        };
        // Revokes the tokens sent to the old address, and the same token if its mail was delivered twice.
        tokens::revoke_all(transaction, user_id).await?;
        if !store::set_email(transaction, user_id, to, now).await? {
            return Ok(false);
        }
        sessions::revoke_others(transaction, user_id, kept, now).await?;
        orders::claim(transaction, user_id, to.as_str()).await?;
        let message = Message::AddressChanged { origin: RequestOrigin::new(now, client), to: to.as_str().to_owned() };
        let event = Event::EmailChanged;
        let notice = SecurityNotice { event, new_email: Some(to), at: self.clock.now(), client, message: &message };
        self.notify(transaction, &before, notice).await?;
        audit::record(transaction, user_id, &self.audit_event(event, client)).await?;
        Ok(true)
    }
}
