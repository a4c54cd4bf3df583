//! Changing the address: the new one is confirmed first, the old one is told before and after.

use actix_web::{HttpResponse, web};
use serde::Deserialize;

use super::activity::{self, Event};
use super::overview::{self, Problems};
use super::{Accounts, has_ended, notices, store, throttle};
use crate::database::{self, Transaction};
use crate::mail::links::{self, Link, Purpose};
use crate::mail::{self, Email, Message, Occasion};
use crate::sessions::{self, Authenticated};
use crate::web::body::Form;
use crate::web::{Client, Error, Notice, see_other};

/// What the form sends.
#[derive(Deserialize)]
pub(super) struct EmailForm {
    email: String,
    #[serde(default)]
    password: String,
}

pub(super) async fn submit(
    client: Client,
    accounts: web::Data<Accounts>,
    Authenticated { user, layout, body: Form(form) }: Authenticated<Form<EmailForm>>,
) -> Result<HttpResponse, Error> {
    let account = accounts.of(&user).await?;
    let email = match new_address(&form.email, &account.email) {
        Ok(email) => email,
        Err(error) => {
            let problems = Problems { email: form.email, email_error: Some(error), ..Problems::default() };
            return overview::show_again(layout, &user, &accounts, problems).await;
        }
    };
    let reauthenticated = match accounts.reauthenticate(&user, &account, &form.password, &client).await? {
        Ok(reauthenticated) => reauthenticated,
        Err(error) => {
            let problems = Problems { email: form.email, email_password_error: Some(error), ..Problems::default() };
            return overview::show_again(layout, &user, &accounts, problems).await;
        }
    };
    let asked = accounts.ask_new_address(&account, &reauthenticated.session_id, &email, &client).await.map(|()| {
        let mut response = see_other("/account#email");
        Notice::AddressChangeAsked.show_next(&mut response);
        response
    });
    reauthenticated.set_cookie(asked, &accounts)
}

fn new_address(typed: &str, current: &Email) -> Result<Email, String> {
    match Email::parse(typed) {
        Ok(email) if email == *current => Err("That is your address already.".to_owned()),
        Ok(email) => Ok(email),
        Err(error) => Err(error.to_string()),
    }
}

impl Accounts {
    /// Sends a link to the new address and tells the old one. The answer is the same when the new one has an account already: then no
    /// link leaves.
    async fn ask_new_address(
        &self,
        account: &store::Account,
        session_id: &str,
        to: &Email,
        client: &Client,
    ) -> Result<(), Error> {
        let mut counters = throttle::of_address_change(&account.id, to.as_str(), client.address);
        counters.push(notices::confirmation(to));
        throttle::count(&self.database, &self.clock, &counters).await?;
        let now = self.clock.now();
        let occasion = Occasion::new(now, client);
        let confirm = Message::ConfirmNewAddress(occasion.clone());
        let told = Message::AddressChangeAsked { occasion, to: to.as_str().to_owned() };
        let is_asked = self
            .database
            .write(async |transaction| {
                // A new password ends the session and voids such links. Looked at here, no request slips in between the two.
                if !store::has_live_session(transaction, &account.id, session_id, now).await? {
                    return Ok::<_, database::Error>(false);
                }
                links::void(transaction, &account.id, Purpose::ChangeEmail).await?;
                mail::post(transaction, &self.clock, to, Some(&account.id), &confirm).await?;
                let event = Event::AddressChangeAsked;
                let notice = notices::Notice { event, new_email: Some(to.as_str()), client, message: &told };
                self.notify(transaction, account, notice).await?;
                activity::record(transaction, &account.id, &self.entry(Event::AddressChangeAsked, client)).await?;
                Ok(true)
            })
            .await?;
        if is_asked { Ok(()) } else { Err(has_ended()) }
    }

    /// What the link to the new address does; tells whether the address was still free. Every session but `kept` ends, so
    /// that nobody with a stolen cookie stays in an account that has another address now.
    pub(super) async fn change_address(
        &self,
        transaction: &mut Transaction,
        link: &Link,
        kept: Option<&str>,
        client: &Client,
    ) -> Result<bool, database::Error> {
        let now = self.clock.now();
        let Some(before) = store::find_in(transaction, &link.user_id).await? else {
            return Ok(false);
        };
        // Links to the old address are void before the account lets go of it; so is the same link, when its mail went out twice.
        links::void_all(transaction, &link.user_id).await?;
        if !store::set_email(transaction, &link.user_id, &link.email, now).await? {
            return Ok(false);
        }
        sessions::end_all_but(transaction, &link.user_id, kept, now).await?;
        (self.hooks.on_verified)(transaction, &link.user_id, &link.email).await?;
        let told = Message::AddressChanged { occasion: Occasion::new(now, client), to: link.email.clone() };
        let notice =
            notices::Notice { event: Event::AddressChanged, new_email: Some(&link.email), client, message: &told };
        self.notify(transaction, &before, notice).await?;
        activity::record(transaction, &link.user_id, &self.entry(Event::AddressChanged, client)).await?;
        Ok(true)
    }
}
