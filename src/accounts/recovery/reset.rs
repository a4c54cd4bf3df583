//! `/password/forgot` and `/password/reset`: a forgotten password is replaced by a mailed link (OWASP Forgot Password Cheat Sheet).
//!
//! The request is queued whether or not the address has an account; the worker checks that when it delivers the mail. So the response and
//! its time are the same.

use actix_web::http::StatusCode;
use actix_web::{HttpResponse, web};
use askama::Template;
use serde::Deserialize;

use super::link_page::{LinkQuery, link_expired, without_referrer};
use crate::accounts::audit::{self, Event};
use crate::accounts::login::known_address;
use crate::accounts::security_notice::SecurityNotice;
use crate::accounts::{
    AccountNotice, Accounts, ClaimedBrowser, PasswordCheck, TrustedBrowser, mfa, rate_limits, store, trusted_browser,
    trusted_network,
};
use crate::database;
use crate::domain::Email;
use crate::mail::tokens::{self, Purpose, Token};
use crate::mail::{self, Message, RequestOrigin};
use crate::orders;
use crate::rate_limit;
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

#[derive(Deserialize)]
pub struct ForgotQuery {
    sent: Option<String>,
}

pub async fn forgot_form(layout: Layout, query: Option<web::Query<ForgotQuery>>) -> Result<HttpResponse, Error> {
    match query.and_then(|query| query.into_inner().sent) {
        Some(_) => page(StatusCode::OK, &ForgotSentPage { layout }),
        None => page(StatusCode::OK, &ForgotPage { layout, email: String::new(), error: None }),
    }
}

#[derive(Deserialize)]
pub struct ForgotForm {
    email: String,
}

pub async fn forgot_submit(
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
            let view = ForgotPage { layout, email: form.email, error: Some(error.to_string()) };
            page(StatusCode::UNPROCESSABLE_ENTITY, &view)
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

pub async fn form(
    layout: Layout,
    accounts: web::Data<Accounts>,
    query: web::Query<LinkQuery>,
) -> Result<HttpResponse, Error> {
    match accounts.find_token(&query.token).await?.filter(|(_, stored)| stored.purpose == Purpose::Reset) {
        Some((token, stored)) => {
            let (token, email) = (token.as_str().to_owned(), stored.email.as_str().to_owned());
            without_referrer(page(StatusCode::OK, &ResetPage { layout, token, email, error: None })?)
        }
        None => link_expired(StatusCode::NOT_FOUND, layout, Purpose::Reset),
    }
}

#[derive(Deserialize)]
pub struct ResetForm {
    token: String,
    password: String,
}

pub async fn submit(
    layout: Layout,
    client: Client,
    claimed: ClaimedBrowser,
    accounts: web::Data<Accounts>,
    Form(form): Form<ResetForm>,
) -> Result<HttpResponse, Error> {
    let browser = accounts.browser_to_trust(claimed.0.as_ref()).await?;
    match accounts.reset(&form.token, &form.password, &client, &browser).await? {
        Reset::Done { email } => {
            let mut response = see_other("/login");
            known_address::set(&mut response, &email);
            browser.set_cookie(&mut response)?;
            AccountNotice::PasswordReset.show_next(&mut response);
            Ok(response)
        }
        Reset::Rejected { email, reason } => {
            let view = ResetPage { layout, token: form.token, email, error: Some(reason) };
            without_referrer(page(StatusCode::UNPROCESSABLE_ENTITY, &view)?)
        }
        Reset::LinkExpired => link_expired(StatusCode::UNPROCESSABLE_ENTITY, layout, Purpose::Reset),
    }
}

enum Reset {
    Done { email: Email },
    Rejected { email: String, reason: String },
    LinkExpired,
}

impl Accounts {
    /// Queues a reset mail, unless one was sent to the address recently, whose token is still valid. Only a request that queues mail is
    /// counted for the network, so that many requests for one account do not block requests for others.
    async fn request_reset(&self, email: &Email, client: &Client) -> Result<(), Error> {
        let now = self.clock.now();
        let message = Message::Reset(RequestOrigin::new(now, client));
        let address_counter = [rate_limits::reset_mail(email)];
        let network_counters = rate_limits::mail_from(client.address);
        let engine = self.database.engine();
        let allowed = self.database.write_together(async |transaction| {
            if !rate_limit::count_in(&mut *transaction, engine, &address_counter, now).await? {
                return Ok(true);
            }
            if !rate_limit::count_in(&mut *transaction, engine, &network_counters, now).await? {
                rate_limit::reset(transaction, &address_counter[0]).await?;
                return Ok(false);
            }
            mail::enqueue(transaction, &self.clock, email, None, &message).await?;
            let event = self.audit_event(Event::PasswordResetRequested, client);
            audit::record_for_address(transaction, email, &event).await?;
            Ok::<_, database::Error>(true)
        });
        match allowed.await? {
            true => Ok(()),
            false => Err(rate_limit::rejected(&self.database, &self.clock, &network_counters).await?),
        }
    }

    async fn reset(
        &self,
        token: &str,
        password: &str,
        client: &Client,
        browser: &TrustedBrowser,
    ) -> Result<Reset, Error> {
        let found = self.find_token(token).await?.filter(|(_, stored)| stored.purpose == Purpose::Reset);
        let Some((token, stored)) = found else {
            return Ok(Reset::LinkExpired);
        };
        let email = stored.email;
        let password = match self.hasher.validate(password, email.as_str()).await? {
            PasswordCheck::Accepted(password) => password,
            PasswordCheck::Rejected(error) => {
                return Ok(Reset::Rejected { email: email.as_str().to_owned(), reason: error.to_string() });
            }
        };
        let hash = self.hasher.hash(password).await?;
        let is_done = self.apply_reset(&token, &hash, client, browser).await?;
        Ok(if is_done { Reset::Done { email } } else { Reset::LinkExpired })
    }

    async fn apply_reset(
        &self,
        token: &Token,
        hash: &str,
        client: &Client,
        browser: &TrustedBrowser,
    ) -> Result<bool, database::Error> {
        let now = self.clock.now();
        let message = Message::PasswordChanged(RequestOrigin::new(now, client));
        self.database
            .write(async |transaction| {
                let Some(token) = tokens::consume(transaction, token, &[Purpose::Reset], now).await? else {
                    return Ok(false);
                };
                let user_id = &token.user_id;
                if !store::set_password(transaction, user_id, None, hash).await? {
                    return Ok(false);
                }
                let Some(before) = store::find_by_id(&mut *transaction, user_id).await? else {
                    return Ok(false);
                };
                if before.verified_at.is_none() {
                    // Whoever signed up may be somebody else.
                    mfa::remove_all(transaction, user_id).await?;
                }
                // The reader of the mail owns the address, so it is confirmed as well.
                if store::set_verified(transaction, user_id, &token.email, now).await? {
                    orders::claim(transaction, user_id, token.email.as_str()).await?;
                }
                sessions::revoke_others(transaction, user_id, None, now).await?;
                tokens::revoke(transaction, user_id, Purpose::Reset).await?;
                tokens::revoke(transaction, user_id, Purpose::ChangeEmail).await?;
                // Not revoked: those already sent show that the address is confirmed.
                tokens::remove_queued(transaction, user_id, Purpose::Verify).await?;
                // The browser in which the mail was read is trusted, so attackers' failures do not limit the owner there.
                trusted_browser::store::TABLE.delete_all(transaction, user_id).await?;
                trusted_browser::store::TABLE.trust(transaction, user_id, &browser.hash(), now).await?;
                trusted_network::store::TABLE.delete_all(transaction, user_id).await?;
                rate_limits::reset_account(transaction, user_id, &token.email).await?;
                audit::record(transaction, user_id, &self.audit_event(Event::PasswordReset, client)).await?;
                if let Some(account) = store::find_by_id(&mut *transaction, user_id).await? {
                    let event = Event::PasswordChanged;
                    let notice =
                        SecurityNotice { event, new_email: None, at: self.clock.now(), client, message: &message };
                    self.notify(transaction, &account, notice).await?;
                    // Counted as sent: no mail about the login that follows the reset.
                    let login = SecurityNotice {
                        event: Event::LoggedIn,
                        new_email: None,
                        at: self.clock.now(),
                        client,
                        message: &message,
                    };
                    self.count_notice(transaction, &account, &login).await?;
                }
                Ok(true)
            })
            .await
    }
}
