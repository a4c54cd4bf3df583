//! `/verify`: confirms an address by a mailed link; `/account/verification`: sends the link again.
//!
//! The link works only in a session of the account that requested it, or with that account's password. Otherwise an attacker could sign up
//! with somebody else's address and get the orders of that address when its owner clicks the link.

use actix_web::http::StatusCode;
use actix_web::http::header;
use actix_web::{HttpResponse, web};
use askama::Template;
use serde::Deserialize;

use super::link_page::{LinkQuery, link_expired, masked, without_referrer};
use crate::accounts::audit::{self, Event};
use crate::accounts::session_start::{code_counters, login_counters};
use crate::accounts::{AccountNotice, Accounts, ClaimedBrowser, LoginContext, Password, rate_limits, store};
use crate::database::{self, Transaction};
use crate::domain::{Email, SessionId, format_retry_after};
use crate::mail::tokens::{self, EmailToken, Purpose, Token};
use crate::mail::{self, Message, RequestOrigin};
use crate::orders;
use crate::rate_limit;
use crate::sessions::{Authenticated, CurrentUser, Expiry, MaybeAuthenticated};
use crate::web::body::Form;
use crate::web::{Client, Error, Layout, NextPath, Notice, page, see_other};

/// The same message for every wrong password, including an empty one.
const WRONG: &str = "Password is incorrect. Try again.";
const NO_CODE: &str = "Enter the code from your authenticator app, or a recovery code.";
const WRONG_CODE: &str = "The code is incorrect or was used before. Wait for the next code in the app.";

#[derive(Template)]
#[template(path = "accounts/verify.html")]
struct VerifyPage {
    layout: Layout,
    token: String,
    email: String,
    /// The current address of the account, masked; `None` for a sign-up.
    replaces: Option<String>,
    /// Whether the request has no session of the account.
    needs_password: bool,
    /// Whether it also needs a code.
    needs_code: bool,
    error: Option<FormError>,
}

impl VerifyPage {
    fn has_error_at(&self, field: &str) -> bool {
        self.error.as_ref().is_some_and(|error| error.field == field)
    }
}

/// The message for one of the fields.
struct FormError {
    field: &'static str,
    message: String,
}

#[derive(Template)]
#[template(path = "accounts/confirmed.html")]
struct ConfirmedPage {
    layout: Layout,
    email: String,
}

pub async fn form(
    layout: Layout,
    user: Option<CurrentUser>,
    accounts: web::Data<Accounts>,
    query: web::Query<LinkQuery>,
) -> Result<HttpResponse, Error> {
    match accounts.find_verification(&query.token, user.as_ref()).await? {
        Some(verification) => verification.render(StatusCode::OK, layout, None),
        None => link_expired(StatusCode::NOT_FOUND, layout, Purpose::Verify),
    }
}

#[derive(Deserialize)]
pub struct VerifyForm {
    token: String,
    /// Required if the request has no session of the account.
    #[serde(default)]
    password: String,
    /// Required, too, if TOTP is on.
    #[serde(default)]
    code: String,
}

pub async fn submit(
    client: Client,
    browser: ClaimedBrowser,
    accounts: web::Data<Accounts>,
    MaybeAuthenticated { user, layout, body: Form(form) }: MaybeAuthenticated<Form<VerifyForm>>,
) -> Result<HttpResponse, Error> {
    let Some(verification) = accounts.find_verification(&form.token, user.as_ref()).await? else {
        return link_expired(StatusCode::UNPROCESSABLE_ENTITY, layout, Purpose::Verify);
    };
    if verification.stored.is_confirmed {
        return verification.render(StatusCode::UNPROCESSABLE_ENTITY, layout, None);
    }
    if verification.session_id.is_none() {
        let context = LoginContext::of_page(Expiry::Idle, &client, browser, "");
        match accounts.verify_all_factors(&verification.account, &form, &context).await {
            Ok(None) => {}
            Ok(Some(error)) => return verification.render(StatusCode::UNAUTHORIZED, layout, Some(error)),
            Err(Error::RateLimited { retry_after }) => {
                let message = format!("Too many failed attempts. Try again {}.", format_retry_after(retry_after));
                let error = FormError { field: "password", message };
                let mut response = verification.render(StatusCode::TOO_MANY_REQUESTS, layout, Some(error))?;
                response.headers_mut().insert(header::RETRY_AFTER, retry_after.into());
                return Ok(response);
            }
            Err(error) => return Err(error),
        }
    }
    if !accounts.verify(&verification, &client).await? {
        return link_expired(StatusCode::UNPROCESSABLE_ENTITY, layout, Purpose::Verify);
    }
    let mut response = see_other(if verification.session_id.is_some() { "/orders" } else { "/login" });
    AccountNotice::EmailVerified.show_next(&mut response);
    Ok(response)
}

/// A valid link and its account.
struct Verification {
    token: Token,
    stored: EmailToken,
    account: store::Account,
    /// The request's session, if it belongs to the account.
    session_id: Option<SessionId>,
}

impl Verification {
    fn render(&self, status: StatusCode, layout: Layout, error: Option<FormError>) -> Result<HttpResponse, Error> {
        let email = self.stored.email.as_str().to_owned();
        if self.stored.is_confirmed {
            return without_referrer(page(status, &ConfirmedPage { layout, email })?);
        }
        let view = VerifyPage {
            layout,
            token: self.token.as_str().to_owned(),
            email,
            replaces: (self.stored.purpose == Purpose::ChangeEmail).then(|| masked(&self.account.email)),
            needs_password: self.session_id.is_none(),
            needs_code: self.session_id.is_none() && self.account.has_totp(),
            error,
        };
        without_referrer(page(status, &view)?)
    }
}

#[derive(Deserialize)]
pub struct SendAgainForm {
    #[serde(default)]
    next: String,
}

pub async fn send_again(
    client: Client,
    accounts: web::Data<Accounts>,
    Authenticated { user, body: Form(form), .. }: Authenticated<Form<SendAgainForm>>,
) -> Result<HttpResponse, Error> {
    let account = accounts.find_account(&user).await?;
    let next = NextPath::parse(&form.next);
    let mut response = see_other(next.as_ref().map_or("/orders", NextPath::as_str));
    if account.verified_at.is_some() {
        AccountNotice::EmailVerified.show_next(&mut response);
        return Ok(response);
    }
    accounts.count_confirmation(&account.email).await?;
    accounts.send_verification(&account, &client).await?;
    AccountNotice::VerificationSent.show_next(&mut response);
    Ok(response)
}

impl Accounts {
    async fn send_verification(&self, account: &store::Account, client: &Client) -> Result<(), Error> {
        let email: &Email = &account.email;
        let counters = rate_limits::mail_to(email, client.address);
        rate_limit::count(&self.database, &self.clock, &counters).await?;
        let message = Message::Verify(RequestOrigin::new(self.clock.now(), client));
        let queued = self.database.write_together(async |transaction| {
            mail::enqueue(transaction, &self.clock, email, Some(&account.id), &message).await
        });
        Ok(queued.await.map(drop)?)
    }

    /// The link, if it is valid now. A confirmed one is shown only to the owner of the account.
    async fn find_verification(&self, token: &str, user: Option<&CurrentUser>) -> Result<Option<Verification>, Error> {
        let found = self.find_token(token).await?.filter(|(_, stored)| stored.purpose != Purpose::Reset);
        let Some((token, stored)) = found else {
            return Ok(None);
        };
        let Some(account) = store::find_by_id(self.database.reader(), &stored.user_id).await? else {
            return Ok(None);
        };
        let session_id = user.filter(|user| user.user_id == stored.user_id).map(|user| user.session_id.clone());
        let is_shown = session_id.is_some() || !stored.is_confirmed;
        Ok(is_shown.then_some(Verification { token, stored, account, session_id }))
    }

    /// The error for a form without session, if its password or its code is wrong. Rate limited and recorded like a login.
    async fn verify_all_factors(
        &self,
        account: &store::Account,
        form: &VerifyForm,
        context: &LoginContext<'_>,
    ) -> Result<Option<FormError>, Error> {
        let trust = self.find_trust(Some(account), context).await?;
        let mut counters = login_counters(&account.email, context, trust);
        rate_limit::count(&self.database, &self.clock, &counters).await?;
        if !self.hasher.verify(Password::unchecked(&form.password), Some(&account.password_hash)).await? {
            self.record_login_failure(&account.email, context).await?;
            return Ok(Some(FormError { field: "password", message: WRONG.to_owned() }));
        }
        if account.has_totp() && form.code.trim().is_empty() {
            return Ok(Some(FormError { field: "code", message: NO_CODE.to_owned() }));
        }
        if account.has_totp() {
            let code_counters = code_counters(&account.email, context, trust);
            rate_limit::count(&self.database, &self.clock, &code_counters).await?;
            counters.extend(code_counters);
        }
        let code = if account.has_totp() { self.match_code(&account.id, &form.code).await? } else { None };
        let is_complete = self.database.write_together(async |transaction| {
            let is_complete = match &code {
                Some(code) => self.consume_code(transaction, account, code, context.client).await?,
                None => !account.has_totp(),
            };
            match is_complete {
                true => rate_limit::refund(transaction, &counters).await?,
                false => self.record_wrong_code(transaction, account, context.client).await?,
            }
            Ok::<_, database::Error>(is_complete)
        });
        let wrong = FormError { field: "code", message: WRONG_CODE.to_owned() };
        Ok((!is_complete.await?).then_some(wrong))
    }

    /// Consumes the token and applies it; returns whether it was still valid.
    async fn verify(&self, verification: &Verification, client: &Client) -> Result<bool, Error> {
        const PURPOSES: [Purpose; 2] = [Purpose::Verify, Purpose::ChangeEmail];
        let (token, session_id, now) = (&verification.token, verification.session_id.as_ref(), self.clock.now());
        let applied = self.database.write(async |transaction| {
            if let Some(session_id) = session_id
                && !store::has_active_session(transaction, &verification.account.id, session_id, now).await?
            {
                return Ok(false);
            }
            let Some(consumed) = tokens::consume(transaction, token, &PURPOSES, now).await? else {
                return Ok::<_, database::Error>(false);
            };
            let is_applied = match consumed.purpose {
                Purpose::Verify => self.confirm_email(transaction, &consumed, client).await?,
                Purpose::ChangeEmail => self.change_email(transaction, &consumed, session_id, client).await?,
                Purpose::Reset => false,
            };
            if is_applied {
                tokens::keep_confirmed(transaction, token, &consumed, now).await?;
            }
            Ok(is_applied)
        });
        Ok(applied.await?)
    }

    async fn confirm_email(
        &self,
        transaction: &mut Transaction,
        token: &EmailToken,
        client: &Client,
    ) -> Result<bool, database::Error> {
        let (user_id, email) = (&token.user_id, &token.email);
        if !store::set_verified(transaction, user_id, email, self.clock.now()).await? {
            return Ok(false);
        }
        orders::claim(transaction, user_id, email.as_str()).await?;
        tokens::remove_queued(transaction, user_id, Purpose::Verify).await?;
        audit::record(transaction, user_id, &self.audit_event(Event::EmailVerified, client)).await?;
        Ok(true)
    }
}
