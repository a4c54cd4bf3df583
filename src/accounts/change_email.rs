//! Changing the address: the new one is confirmed first, the old one is told before and after.

use actix_web::{HttpResponse, web};
use serde::Deserialize;

use super::activity::{self, Event};
use super::ask_again::Question;
use super::overview::{self, Problems};
use super::{Accounts, has_ended, store, throttle};
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
    /// From the page that asks again.
    #[serde(default)]
    password: String,
}

pub(super) async fn submit(
    client: Client,
    accounts: web::Data<Accounts>,
    Authenticated { user, layout, body: Form(form) }: Authenticated<Form<EmailForm>>,
) -> Result<HttpResponse, Error> {
    let account = accounts.of(&user).await?;
    let wrong = |error: String| Problems { email: form.email.clone(), email_error: Some(error), ..Problems::default() };
    let email = match Email::parse(&form.email) {
        Ok(email) if email == account.email => {
            let problems = wrong("That is your address already.".to_owned());
            return overview::show_again(layout, &user, &accounts, problems).await;
        }
        Ok(email) => email,
        Err(error) => return overview::show_again(layout, &user, &accounts, wrong(error.to_string())).await,
    };
    let question = Question {
        title: "Change your e-mail address",
        action: "/account/email",
        fields: vec![("email", email.as_str())],
        is_download: false,
    };
    let confirmed = match accounts.ask_again(&layout, &user, &client, &form.password, question).await? {
        Ok(confirmed) => confirmed,
        Err(asked) => return Ok(asked),
    };
    let asked = accounts.ask_new_address(&account, &confirmed.session_id, &email, &client).await.map(|()| {
        let mut response = see_other("/account#email");
        Notice::AddressChangeAsked.show_next(&mut response);
        response
    });
    confirmed.carry(asked, &accounts)
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
        let counters = throttle::of_address_change(&account.id, to.as_str(), client.address);
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
                mail::post(transaction, &self.clock, &account.email, Some(&account.id), &told).await?;
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
        let Some(before) = store::email_of(transaction, &link.user_id).await? else {
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
        mail::post(transaction, &self.clock, &before, Some(&link.user_id), &told).await?;
        activity::record(transaction, &link.user_id, &self.entry(Event::AddressChanged, client)).await?;
        Ok(true)
    }
}
