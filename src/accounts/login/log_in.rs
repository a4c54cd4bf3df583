//! `/login`.

use actix_web::http::StatusCode;
use actix_web::http::header;
use actix_web::{HttpRequest, HttpResponse, web};
use askama::Template;
use serde::Deserialize;

use super::known_address;
use super::rejected_cookie::RejectedCookie;
use crate::accounts::audit::Event;
use crate::accounts::metrics::LoginOutcome;
use crate::accounts::session_start::{VerifiedLogin, login_counters};
use crate::accounts::{Accounts, ClaimedBrowser, LoggedIn, LoginContext, Password, rate_limits, store};
use crate::domain::{Email, format_retry_after};
use crate::rate_limit;
use crate::sessions::{CurrentUser, Expiry, MaybeAuthenticated};
use crate::web::body::Form;
use crate::web::{Client, Error, Layout, NextPath, PasskeySupport, Site, page, see_other};

/// The same message for an unknown address and a wrong password.
const WRONG: &str = "Email or password is incorrect. Check both and try again.";
const NO_EMAIL: &str = "Enter your email address.";
const NO_PASSWORD: &str = "Enter your password.";

#[derive(Template)]
#[template(path = "accounts/login.html")]
struct LoginPage {
    layout: Layout,
    email: String,
    next: String,
    remember: bool,
    error: Option<String>,
    email_error: Option<&'static str>,
    password_error: Option<&'static str>,
    rejected_cookie: Option<RejectedCookie>,
}

impl LoginPage {
    fn new(layout: Layout, email: String, next: Option<&NextPath>) -> Self {
        let next = next.map(|next| next.as_str().to_owned()).unwrap_or_default();
        Self {
            layout,
            email,
            next,
            remember: false,
            error: None,
            email_error: None,
            password_error: None,
            rejected_cookie: None,
        }
    }
}

#[derive(Deserialize)]
pub struct LoginQuery {
    next: Option<String>,
}

pub async fn form(
    request: HttpRequest,
    layout: Layout,
    user: Option<CurrentUser>,
    site: web::Data<Site>,
    query: Option<web::Query<LoginQuery>>,
) -> Result<HttpResponse, Error> {
    if user.is_some() {
        return Ok(see_other("/orders"));
    }
    let next = query.and_then(|query| query.into_inner().next).and_then(|next| NextPath::parse(&next));
    let rejected_cookie = RejectedCookie::of(&request, &site, next.is_some());
    let email = known_address::of(&request);
    page(StatusCode::OK, &LoginPage { rejected_cookie, ..LoginPage::new(layout, email, next.as_ref()) })
}

#[derive(Deserialize)]
pub struct LoginForm {
    email: String,
    password: String,
    /// "Keep me logged in": every value except an empty one, `false`, `off` and `0`.
    #[serde(default)]
    remember: String,
    #[serde(default)]
    next: String,
    /// The browser's time zone, filled in by `static/site.js`.
    #[serde(default)]
    zone: String,
}

pub async fn submit(
    client: Client,
    browser: ClaimedBrowser,
    accounts: web::Data<Accounts>,
    MaybeAuthenticated { user, layout, body: Form(form) }: MaybeAuthenticated<Form<LoginForm>>,
) -> Result<HttpResponse, Error> {
    if user.is_some() {
        return Ok(see_other("/orders"));
    }
    let next = NextPath::parse(&form.next);
    let remember = !matches!(form.remember.as_str(), "" | "false" | "off" | "0");
    let expiry = if remember { Expiry::Fixed } else { Expiry::Idle };
    let email_error = form.email.trim().is_empty().then_some(NO_EMAIL);
    let password_error = form.password.is_empty().then_some(NO_PASSWORD);
    if email_error.is_some() || password_error.is_some() {
        let view = LoginPage::new(layout, form.email, next.as_ref());
        let view = LoginPage { remember, email_error, password_error, ..view };
        return page(StatusCode::UNAUTHORIZED, &view);
    }
    let context = LoginContext::of_page(expiry, &client, browser, &form.zone);
    let (status, error, retry_after) =
        match accounts.log_in_or_begin(&form, &context, next.as_ref(), &layout.passkeys).await {
            Ok(Some(response)) => return Ok(response),
            Ok(None) => (StatusCode::UNAUTHORIZED, WRONG.to_owned(), None),
            Err(Error::RateLimited { retry_after }) => {
                let wait = format_retry_after(retry_after);
                let error = format!("Too many failed attempts. Try again {wait}, or reset your password.");
                (StatusCode::TOO_MANY_REQUESTS, error, Some(retry_after))
            }
            Err(error) => return Err(error),
        };
    let view = LoginPage::new(layout, form.email, next.as_ref());
    let view = LoginPage { remember, error: Some(error), ..view };
    let mut response = page(status, &view)?;
    if let Some(seconds) = retry_after {
        response.headers_mut().insert(header::RETRY_AFTER, seconds.into());
    }
    Ok(response)
}

/// The result of a login with the API.
pub enum LogIn {
    Done(LoggedIn),
    /// An unknown address, a wrong password or a disabled account, without saying which.
    WrongCredentials,
    /// The password is right, and the account needs a code, too.
    CodeRequired,
    WrongCode,
}

impl Accounts {
    /// Logs in with all factors at once.
    ///
    /// # Errors
    /// [`Error::RateLimited`], [`Error::Busy`] if the hashing queue is full, or the database's.
    pub async fn log_in(
        &self,
        email: &str,
        password: &str,
        code: &str,
        context: LoginContext<'_>,
    ) -> Result<LogIn, Error> {
        let Some(login) = self.verify_password(email, password, &context).await? else {
            return Ok(LogIn::WrongCredentials);
        };
        if !login.account.has_totp() {
            let logged_in = self.log_in_by_password(&login, &context).await?;
            return Ok(logged_in.map_or(LogIn::WrongCredentials, LogIn::Done));
        }
        if code.is_empty() {
            LoginOutcome::SecondStepNeeded.count();
            return Ok(LogIn::CodeRequired);
        }
        let logged_in = self.log_in_by_code(login, code, &context, None).await?;
        Ok(logged_in.map_or(LogIn::WrongCode, LogIn::Done))
    }

    /// Verifies the first factor. `None` for an unknown address or a wrong password, without saying which.
    async fn verify_password(
        &self,
        email: &str,
        password: &str,
        context: &LoginContext<'_>,
    ) -> Result<Option<VerifiedLogin>, Error> {
        let Ok(email) = Email::parse(email) else {
            return self.reject_malformed(email, password, context).await.map(|()| None);
        };
        let account = store::find_by_email(&self.database, &email).await?;
        let trust = self.find_trust(account.as_ref(), context).await?;
        let counters = login_counters(&email, context, trust);
        rate_limit::count(&self.database, &self.clock, &counters).await.inspect_err(LoginOutcome::count_error)?;
        let stored = account.as_ref().map(|account| account.password_hash.as_str());
        let is_correct = self.hasher.verify(Password::unchecked(password), stored).await?;
        let wrong = if stored.is_some() { LoginOutcome::WrongPassword } else { LoginOutcome::UnknownAddress };
        let Some(account) = account.filter(|_| is_correct) else {
            wrong.count();
            return self.record_login_failure(&email, context).await.map(|()| None);
        };
        if account.disabled_at.is_some() {
            // Before the second step, which would tell that the password is right.
            LoginOutcome::Disabled.count();
            Event::LoginFailed.log(Some(&account.id), context.client);
            return Ok(None);
        }
        self.mark_if_breached(&account, password, context.client).await?;
        let upgraded_hash = self.upgraded_hash(&account, password).await?;
        Ok(Some(VerifiedLogin { account, upgraded_hash, counters, trust, event: Event::LoggedIn }))
    }

    /// The response to a correct password; `None` for wrong credentials.
    async fn log_in_or_begin(
        &self,
        form: &LoginForm,
        context: &LoginContext<'_>,
        next: Option<&NextPath>,
        passkeys: &PasskeySupport,
    ) -> Result<Option<HttpResponse>, Error> {
        let Some(login) = self.verify_password(&form.email, &form.password, context).await? else {
            return Ok(None);
        };
        if login.account.has_totp() {
            LoginOutcome::SecondStepNeeded.count();
            return self.begin_second_step(&login, context.expiry, next).await.map(Some);
        }
        let Some(logged_in) = self.log_in_by_password(&login, context).await? else {
            return Ok(None);
        };
        let mut response = see_other(next.map_or("/orders", NextPath::as_str));
        logged_in.set_cookies(&mut response)?;
        self.offer_passkey(&login.account, passkeys, &mut response).await;
        Ok(Some(response))
    }

    /// A malformed address is counted, and its password hashed, as for an unknown address. No account can have such an address, so the
    /// queries are left out.
    async fn reject_malformed(&self, typed: &str, password: &str, context: &LoginContext<'_>) -> Result<(), Error> {
        let counters = rate_limits::malformed_login(typed, context.client.address);
        rate_limit::count(&self.database, &self.clock, &counters).await.inspect_err(LoginOutcome::count_error)?;
        self.hasher.verify(Password::unchecked(password), None).await?;
        LoginOutcome::UnknownAddress.count();
        Event::LoginFailed.log(None, context.client);
        Ok(())
    }

    /// A new hash if the stored one has older parameters (OWASP Password Storage Cheat Sheet, "Upgrading the Work Factor").
    async fn upgraded_hash(&self, account: &store::Account, password: &str) -> Result<Option<String>, Error> {
        if self.hasher.is_current(&account.password_hash) {
            return Ok(None);
        }
        self.hasher.hash(Password::unchecked(password)).await.map(Some)
    }

    async fn log_in_by_password(
        &self,
        login: &VerifiedLogin,
        context: &LoginContext<'_>,
    ) -> Result<Option<LoggedIn>, Error> {
        let logged_in = self.start_session(login, context, async |_| Ok(true)).await?;
        if logged_in.is_none() {
            // The account is disabled, or was changed meanwhile.
            LoginOutcome::Disabled.count();
            Event::LoginFailed.log(Some(&login.account.id), context.client);
        }
        Ok(logged_in)
    }
}
