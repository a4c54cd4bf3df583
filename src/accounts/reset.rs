//! A forgotten password: a link by mail, and a new password by the link (OWASP Forgot Password Cheat Sheet).
//!
//! The request is queued whether or not an account has the address, and looked into when its mail leaves: the answer is the same, in
//! text and in time.

use actix_web::http::StatusCode;
use actix_web::{HttpResponse, web};
use askama::Template;
use serde::Deserialize;

use super::activity::{self, Event};
use super::throttle::{self, Counter};
use super::verify::{LinkQuery, dead_link, without_referrer};
use super::{Accounts, ClaimedBrowser, KnownBrowser, notices, store};
use crate::database;
use crate::mail::links::{self, Purpose, Token};
use crate::mail::{self, Email, Message, Occasion};
use crate::sessions;
use crate::web::body::Form;
use crate::web::{Client, Error, Layout, Notice, page, see_other};

#[derive(Template)]
#[template(path = "accounts/forgot.html")]
struct ForgotPage {
    layout: Layout,
    email: String,
    error: Option<String>,
}

#[derive(Template)]
#[template(path = "accounts/forgot_sent.html")]
struct ForgotSentPage {
    layout: Layout,
}

/// What the address of the page may carry.
#[derive(Deserialize)]
pub(super) struct ForgotQuery {
    sent: Option<String>,
}

pub(super) async fn forgot_form(layout: Layout, query: Option<web::Query<ForgotQuery>>) -> Result<HttpResponse, Error> {
    match query.and_then(|query| query.into_inner().sent) {
        Some(_) => page(StatusCode::OK, &ForgotSentPage { layout }),
        None => page(StatusCode::OK, &ForgotPage { layout, email: String::new(), error: None }),
    }
}

/// What the form sends.
#[derive(Deserialize)]
pub(super) struct ForgotForm {
    email: String,
}

pub(super) async fn forgot_submit(
    layout: Layout,
    client: Client,
    accounts: web::Data<Accounts>,
    Form(form): Form<ForgotForm>,
) -> Result<HttpResponse, Error> {
    match Email::parse(&form.email) {
        Ok(email) => {
            accounts.request_reset(&email, &client).await?;
            Ok(see_other("/password/forgot?sent=1"))
        }
        Err(error) => {
            let shown = ForgotPage { layout, email: form.email, error: Some(error.to_string()) };
            page(StatusCode::UNPROCESSABLE_ENTITY, &shown)
        }
    }
}

#[derive(Template)]
#[template(path = "accounts/reset.html")]
struct ResetPage {
    layout: Layout,
    token: String,
    email: String,
    error: Option<String>,
}

pub(super) async fn form(
    layout: Layout,
    accounts: web::Data<Accounts>,
    query: web::Query<LinkQuery>,
) -> Result<HttpResponse, Error> {
    match accounts.link(&query.token).await?.filter(|(_, link)| link.purpose == Purpose::Reset) {
        Some((token, link)) => {
            let token = token.as_str().to_owned();
            without_referrer(page(StatusCode::OK, &ResetPage { layout, token, email: link.email, error: None })?)
        }
        None => dead_link(StatusCode::NOT_FOUND, layout, Purpose::Reset),
    }
}

/// What the form sends.
#[derive(Deserialize)]
pub(super) struct ResetForm {
    token: String,
    password: String,
}

pub(super) async fn submit(
    layout: Layout,
    client: Client,
    claimed: ClaimedBrowser,
    accounts: web::Data<Accounts>,
    Form(form): Form<ResetForm>,
) -> Result<HttpResponse, Error> {
    let browser = accounts.browser_after(claimed.0.as_ref()).await?;
    match accounts.reset(&form.token, &form.password, &client, &browser).await? {
        Reset::Done => {
            let mut response = see_other("/login");
            response.add_cookie(&browser.cookie()).map_err(|error| Error::Internal(error.into()))?;
            Notice::PasswordReset.show_next(&mut response);
            Ok(response)
        }
        Reset::Refused { email, reason } => {
            let shown = ResetPage { layout, token: form.token, email, error: Some(reason) };
            without_referrer(page(StatusCode::UNPROCESSABLE_ENTITY, &shown)?)
        }
        Reset::DeadLink => dead_link(StatusCode::UNPROCESSABLE_ENTITY, layout, Purpose::Reset),
    }
}

enum Reset {
    Done,
    Refused { email: String, reason: String },
    DeadLink,
}

impl Accounts {
    /// Queues a reset mail, unless one went to the address a short while ago: then its link is still valid. Only what queues mail is
    /// counted for the network, so that no number of requests for one account refuses the next one.
    async fn request_reset(&self, email: &Email, client: &Client) -> Result<(), Error> {
        let now = self.clock.now();
        let message = Message::Reset(Occasion::new(now, client));
        let of_address = [throttle::of_reset_mail(email.as_str())];
        let of_network = throttle::of_mail_from(client.address);
        let queued = self.database.write_together(async |transaction| {
            if !store::throttles::count(&mut *transaction, &of_address, now).await? {
                return Ok(true);
            }
            if !store::throttles::count(&mut *transaction, &of_network, now).await? {
                store::throttles::forget(transaction, &of_address[0]).await?;
                return Ok(false);
            }
            mail::post(transaction, &self.clock, email, None, &message).await?;
            let entry = self.entry(Event::PasswordResetAsked, client);
            activity::record_for_address(transaction, email, &entry).await?;
            Ok::<_, database::Error>(true)
        });
        if queued.await? { Ok(()) } else { Err(throttle::refused(&self.database, &self.clock, &of_network).await?) }
    }

    async fn reset(
        &self,
        token: &str,
        password: &str,
        client: &Client,
        browser: &KnownBrowser,
    ) -> Result<Reset, Error> {
        let link = self.link(token).await?.filter(|(_, link)| link.purpose == Purpose::Reset);
        let Some((token, link)) = link else {
            return Ok(Reset::DeadLink);
        };
        let password = match self.hasher.choose(password, &link.email).await? {
            Ok(password) => password,
            Err(reason) => return Ok(Reset::Refused { email: link.email, reason: reason.to_string() }),
        };
        let hash = self.hasher.hash(password).await?;
        let is_done = self.set_new_password(&token, &hash, client, browser).await?;
        Ok(if is_done { Reset::Done } else { Reset::DeadLink })
    }

    async fn set_new_password(
        &self,
        token: &Token,
        hash: &str,
        client: &Client,
        browser: &KnownBrowser,
    ) -> Result<bool, database::Error> {
        let now = self.clock.now();
        let told = Message::PasswordChanged(Occasion::new(now, client));
        self.database
            .write(async |transaction| {
                let Some(link) = links::redeem(transaction, token, now).await? else {
                    return Ok(false);
                };
                let user_id = &link.user_id;
                if !store::set_password(transaction, user_id, None, hash).await? {
                    return Ok(false);
                }
                // Whoever reads the mail has the address: no second link is needed to show it.
                if store::verify(transaction, user_id, &link.email, now).await? {
                    (self.hooks.on_verified)(transaction, user_id, &link.email).await?;
                }
                sessions::end_all_but(transaction, user_id, None, now).await?;
                links::void(transaction, user_id, Purpose::Reset).await?;
                links::void(transaction, user_id, Purpose::ChangeEmail).await?;
                // Those that were sent to confirm the address are done with it.
                links::unqueue(transaction, user_id, Purpose::Verify).await?;
                // Strangers' failures do not keep the owner out of the browser in which the mail was read.
                store::browsers::forget_all(transaction, user_id).await?;
                store::browsers::remember(transaction, user_id, &browser.hash(), now).await?;
                store::networks::forget_all(transaction, user_id).await?;
                store::throttles::forget_account(transaction, &link.email).await?;
                store::throttles::forget(transaction, &Counter::new(throttle::CONFIRM, &[user_id])).await?;
                activity::record(transaction, user_id, &self.entry(Event::PasswordReset, client)).await?;
                if let Some(account) = store::find_in(transaction, user_id).await? {
                    let notice =
                        notices::Notice { event: Event::PasswordChanged, new_email: None, client, message: &told };
                    self.notify(transaction, &account, notice).await?;
                }
                Ok(true)
            })
            .await
    }
}
