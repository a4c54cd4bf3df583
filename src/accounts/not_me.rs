//! "This was not me": the owner of an address takes the account back from whoever changed its password or its address.
//!
//! The link stands in the notice about the change, which went to the address that the account had until then. The page changes nothing;
//! its button gives the account that address back and ends everything that others may hold: sessions and API tokens, known browsers
//! and networks, links, orders of later addresses, and the password itself. What remains is one mail to that address, with a link for a
//! new password. Which link wins over which: [`recoveries`].
//!
//! Nobody takes an account over by one that is not theirs: notices go to confirmed addresses alone ([`notices`](super::notices)), and the link
//! gives the account to nobody but the reader of the mail that the button sends.

use std::collections::BTreeSet;

use actix_web::http::StatusCode;
use actix_web::{HttpResponse, web};
use askama::Template;
use serde::Deserialize;

use super::activity::{self, Event};
use super::throttle::{self, Counter};
use super::verify::{LinkQuery, masked, without_referrer};
use super::{Accounts, store};
use crate::clock::UnixSeconds;
use crate::database::{self, Transaction};
use crate::mail::links::{self, Token};
use crate::mail::recoveries::{self, Recovery};
use crate::mail::{self, Message, Occasion};
use crate::sessions;
use crate::web::body::Form;
use crate::web::{Client, Error, Layout, Notice, page, see_other};

#[derive(Template)]
#[template(path = "accounts/not_me.html")]
struct NotMePage {
    layout: Layout,
    token: String,
    email: String,
    /// The address that the account has by now, masked, where it is another one.
    replaced: Option<String>,
}

#[derive(Template)]
#[template(path = "accounts/not_me_expired.html")]
struct ExpiredPage {
    layout: Layout,
}

pub(super) async fn form(
    layout: Layout,
    accounts: web::Data<Accounts>,
    query: web::Query<LinkQuery>,
) -> Result<HttpResponse, Error> {
    let Some((token, recovery, account)) = accounts.recovery(&query.token).await? else {
        return expired(StatusCode::NOT_FOUND, layout);
    };
    let replaced = (account.email != recovery.email).then(|| masked(&account.email));
    let email = recovery.email.as_str().to_owned();
    without_referrer(page(StatusCode::OK, &NotMePage { layout, token: token.as_str().to_owned(), email, replaced })?)
}

fn expired(status: StatusCode, layout: Layout) -> Result<HttpResponse, Error> {
    without_referrer(page(status, &ExpiredPage { layout })?)
}

/// What the button sends.
#[derive(Deserialize)]
pub(super) struct NotMeForm {
    token: String,
}

pub(super) async fn submit(
    layout: Layout,
    client: Client,
    accounts: web::Data<Accounts>,
    Form(form): Form<NotMeForm>,
) -> Result<HttpResponse, Error> {
    if !accounts.recover(&form.token, &client).await? {
        return expired(StatusCode::UNPROCESSABLE_ENTITY, layout);
    }
    let mut response = see_other("/login");
    Notice::AccountSecured.show_next(&mut response);
    Ok(response)
}

impl Accounts {
    /// What a link undoes, and the account as it is now.
    async fn recovery(&self, token: &str) -> Result<Option<(Token, Recovery, store::Account)>, Error> {
        let Some(token) = Token::parse(token) else {
            return Ok(None);
        };
        let Some(recovery) = recoveries::find(&self.database, &token, self.clock.now()).await? else {
            return Ok(None);
        };
        let account = store::find_by_id(&self.database, &recovery.user_id).await?;
        Ok(account.map(|account| (token, recovery, account)))
    }

    /// Does what the link is for; tells whether it was valid.
    async fn recover(&self, token: &str, client: &Client) -> Result<bool, Error> {
        let Some(token) = Token::parse(token) else {
            return Ok(false);
        };
        let now = self.clock.now();
        let recovered = self.database.write(async |transaction| {
            let Some(recovery) = recoveries::find_in(transaction, &token, now).await? else {
                return Ok(false);
            };
            let Some(account) = store::find_in(transaction, &recovery.user_id).await? else {
                return Ok(false);
            };
            if !self.restore_address(transaction, &account, &recovery, client, now).await? {
                return Ok::<_, database::Error>(false);
            }
            self.end_all_access(transaction, &recovery, now).await?;
            activity::record(transaction, &account.id, &self.entry(Event::AccountSecured, client)).await?;
            let reset = Message::ResetAfterRecovery(Occasion::new(now, client));
            mail::post(transaction, &self.clock, &recovery.email, None, &reset).await?;
            Ok(true)
        });
        Ok(recovered.await?)
    }

    /// Gives the account the address that the link went to, if it has another one, and releases what it got through later addresses.
    /// Tells whether the address is its own: it is, because nobody else can take it meanwhile.
    async fn restore_address(
        &self,
        transaction: &mut Transaction,
        account: &store::Account,
        recovery: &Recovery,
        client: &Client,
        now: UnixSeconds,
    ) -> Result<bool, database::Error> {
        let address = &recovery.email;
        let is_restored = account.email != *address;
        if is_restored && !store::set_email(transaction, &account.id, address.as_str(), now).await? {
            return Ok(false);
        }
        let revoked = recoveries::consume(transaction, recovery).await?;
        let mut later: BTreeSet<&str> = revoked.iter().map(String::as_str).collect();
        later.insert(account.email.as_str());
        for email in &later {
            // Notices that are merged with one whose link is revoked now would leave their reader without any.
            store::throttles::forget_notices(transaction, email).await?;
            if *email != address.as_str() {
                (self.hooks.on_released)(transaction, &account.id, email).await?;
            }
        }
        if is_restored {
            (self.hooks.on_verified)(transaction, &account.id, address.as_str()).await?;
            activity::record(transaction, &account.id, &self.entry(Event::AddressRestored, client)).await?;
        }
        Ok(true)
    }

    /// Ends everything by which somebody could still get in, or be spared the limits of strangers.
    async fn end_all_access(
        &self,
        transaction: &mut Transaction,
        recovery: &Recovery,
        now: UnixSeconds,
    ) -> Result<(), database::Error> {
        let user_id = &recovery.user_id;
        store::set_password(transaction, user_id, None, self.hasher.unusable()).await?;
        sessions::end_all_but(transaction, user_id, None, now).await?;
        links::void_all(transaction, user_id).await?;
        store::browsers::forget_all(transaction, user_id).await?;
        store::networks::forget_all(transaction, user_id).await?;
        store::throttles::forget_account(transaction, recovery.email.as_str()).await?;
        store::throttles::forget(transaction, &Counter::new(throttle::CONFIRM, &[user_id])).await
    }
}
