//! `/login/code`.

use actix_web::http::StatusCode;
use actix_web::http::header;
use actix_web::{HttpRequest, HttpResponse, web};
use askama::Template;
use serde::Deserialize;

use super::cookie::{self, LoginToken};
use super::{PendingLogin, store};
use crate::accounts::audit::Event;
use crate::accounts::session_start::{LoginContext, VerifiedLogin, login_counters};
use crate::accounts::{AccountNotice, Accounts, ClaimedBrowser, store as users};
use crate::domain::format_retry_after;
use crate::sessions::{CurrentUser, MaybeAuthenticated};
use crate::web::body::Form;
use crate::web::{Client, Error, Layout, NextPath, Notice, page, see_other};

const WRONG: &str =
    "The code is incorrect or was used before. Wait for the next code in the app, or use a recovery code.";
const NO_CODE: &str = "Enter the code from your authenticator app, or a recovery code.";

#[derive(Template)]
#[template(path = "accounts/mfa/login_code.html")]
struct CodePage {
    layout: Layout,
    error: Option<String>,
}

pub async fn form(
    request: HttpRequest,
    layout: Layout,
    user: Option<CurrentUser>,
    accounts: web::Data<Accounts>,
) -> Result<HttpResponse, Error> {
    if user.is_some() {
        return Ok(see_other("/orders"));
    }
    match accounts.find_pending_login(&request).await? {
        Some(_) => page(StatusCode::OK, &CodePage { layout, error: None }),
        None => Ok(see_other("/login")),
    }
}

#[derive(Deserialize)]
pub struct CodeForm {
    #[serde(default)]
    code: String,
    /// The browser's time zone, filled in by `static/site.js`.
    #[serde(default)]
    zone: String,
}

pub async fn submit(
    request: HttpRequest,
    client: Client,
    browser: ClaimedBrowser,
    accounts: web::Data<Accounts>,
    MaybeAuthenticated { user, layout, body: Form(form) }: MaybeAuthenticated<Form<CodeForm>>,
) -> Result<HttpResponse, Error> {
    if user.is_some() {
        return Ok(see_other("/orders"));
    }
    let Some((hash, pending)) = accounts.find_pending_login(&request).await? else {
        return Ok(see_other("/login"));
    };
    if form.code.trim().is_empty() {
        return page(StatusCode::UNAUTHORIZED, &CodePage { layout, error: Some(NO_CODE.to_owned()) });
    }
    let supports_passkeys = layout.passkeys.is_supported();
    let context =
        LoginContext { supports_passkeys, ..LoginContext::of_page(pending.expiry, &client, browser, &form.zone) };
    let Some(login) = accounts.verified_login(&pending, &context).await? else {
        return Ok(see_other("/login"));
    };
    match accounts.log_in_by_code(login, &form.code, &context, Some(&hash)).await {
        Ok(Some(logged_in)) => {
            let mut response = see_other(pending.next.as_ref().map_or("/orders", NextPath::as_str));
            logged_in.set_cookies(&mut response)?;
            cookie::clear(&mut response)?;
            Ok(response)
        }
        Ok(None) => match accounts.find_pending_login(&request).await? {
            Some(_) => page(StatusCode::UNAUTHORIZED, &CodePage { layout, error: Some(WRONG.to_owned()) }),
            None => {
                let mut response = see_other("/login");
                cookie::clear(&mut response)?;
                AccountNotice::LoginEnded.show_next(&mut response);
                Ok(response)
            }
        },
        Err(Error::RateLimited { retry_after }) => {
            let error = format!("Too many wrong codes. Try again {}.", format_retry_after(retry_after));
            let mut response = page(StatusCode::TOO_MANY_REQUESTS, &CodePage { layout, error: Some(error) })?;
            response.headers_mut().insert(header::RETRY_AFTER, retry_after.into());
            Ok(response)
        }
        Err(error) => Err(error),
    }
}

impl Accounts {
    /// The login that the request's cookie names, with the hash of its row.
    async fn find_pending_login(&self, request: &HttpRequest) -> Result<Option<(Vec<u8>, PendingLogin)>, Error> {
        let Some(hash) = LoginToken::of(request).map(|token| token.hash()) else {
            return Ok(None);
        };
        let found = store::find(&self.database, &hash, self.clock.now()).await?;
        Ok(found.map(|login| (hash, login)))
    }

    /// The login as it was after the password. `None` if the account was changed meanwhile.
    async fn verified_login(
        &self,
        pending: &PendingLogin,
        context: &LoginContext<'_>,
    ) -> Result<Option<VerifiedLogin>, Error> {
        let account = users::find_by_id(self.database.reader(), &pending.user_id).await?;
        let Some(account) = account.filter(|account| account.password_hash == pending.password_hash) else {
            return Ok(None);
        };
        let trust = self.find_trust(Some(&account), context).await?;
        let counters = login_counters(&account.email, context, trust);
        Ok(Some(VerifiedLogin { account, upgraded_hash: None, counters, trust, event: Event::LoggedIn }))
    }
}
