//! `/login`.

use actix_web::http::StatusCode;
use actix_web::http::header;
use actix_web::{HttpRequest, HttpResponse, web};
use askama::Template;
use serde::Deserialize;

use super::metrics::LoginOutcome;
use super::rejected_cookie::RejectedCookie;
use super::{LoggedIn, LoginContext, known_address};
use crate::accounts::audit::{self, Event};
use crate::accounts::security_notice::SecurityNotice;
use crate::accounts::trusted_browser::store::Trust;
use crate::accounts::{
    Accounts, ClaimedBrowser, Password, TrustedBrowser, rate_limits, store, trusted_browser, trusted_network,
};
use crate::database::{self, Transaction};
use crate::domain::{Email, UserId, format_retry_after};
use crate::mail::{Message, RequestOrigin};
use crate::orders;
use crate::rate_limit::{self, Counter};
use crate::sessions::{Audience, CurrentUser, Expiry, MaybeAuthenticated, NewSession};
use crate::web::body::Form;
use crate::web::{Client, Error, Layout, NextPath, Site, page, see_other};

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
    let (status, error, retry_after) = match accounts.log_in(&form.email, &form.password, context).await {
        Ok(Some(logged_in)) => {
            let mut response = see_other(next.as_ref().map_or("/orders", NextPath::as_str));
            logged_in.set_cookies(&mut response)?;
            return Ok(response);
        }
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

impl Accounts {
    /// Logs in. `None` for an unknown address, a wrong password or a disabled account, without saying which.
    ///
    /// # Errors
    /// [`Error::RateLimited`], [`Error::Busy`] if the hashing queue is full, or the database's.
    pub async fn log_in(
        &self,
        email: &str,
        password: &str,
        context: LoginContext<'_>,
    ) -> Result<Option<LoggedIn>, Error> {
        let Ok(email) = Email::parse(email) else {
            return self.reject_malformed(email, password, &context).await.map(|()| None);
        };
        let account = store::find_by_email(&self.database, &email).await?;
        let trust = self.find_trust(account.as_ref(), &context).await?;
        let counters = login_counters(&email, &context, trust);
        rate_limit::count(&self.database, &self.clock, &counters).await.inspect_err(LoginOutcome::count_error)?;
        let stored = account.as_ref().map(|account| account.password_hash.as_str());
        let is_correct = self.hasher.verify(Password::unchecked(password), stored).await?;
        let wrong = if stored.is_some() { LoginOutcome::WrongPassword } else { LoginOutcome::UnknownAddress };
        match account.filter(|_| is_correct) {
            Some(account) => self.complete_login(&account, password, &context, &counters, trust).await,
            None => {
                wrong.count();
                self.record_login_failure(&email, &context).await.map(|()| None)
            }
        }
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

    /// Whether the account trusts the login's browser and network. An unknown account costs the same query.
    pub(in crate::accounts) async fn find_trust(
        &self,
        account: Option<&store::Account>,
        context: &LoginContext<'_>,
    ) -> Result<Trust, Error> {
        let unknown = UserId::new(String::new());
        let user_id = account.map_or(&unknown, |account| &account.id);
        let browser = context.browser.as_ref().map(TrustedBrowser::hash).unwrap_or_default();
        let network = trusted_network::hash(user_id, &rate_limit::network(context.client.address));
        Ok(trusted_browser::store::find_trust(&self.database, user_id, &browser, &network).await?)
    }

    pub(in crate::accounts) async fn record_login_failure(
        &self,
        email: &Email,
        context: &LoginContext<'_>,
    ) -> Result<(), Error> {
        let new = self.audit_event(Event::LoginFailed, context.client);
        let recorded =
            self.database.write_together(async |transaction| audit::record_for_address(transaction, email, &new).await);
        Ok(recorded.await?)
    }

    /// All writes of a successful login in one transaction: no session without its audit event.
    async fn complete_login(
        &self,
        account: &store::Account,
        password: &str,
        context: &LoginContext<'_>,
        counters: &[Counter],
        trust: Trust,
    ) -> Result<Option<LoggedIn>, Error> {
        let upgraded = self.upgraded_hash(account, password).await?;
        let reusable = context.browser.clone().filter(|_| trust.is_trusted_by_any_account);
        let browser = match (context.audience, reusable) {
            (Audience::Api, _) => None,
            (Audience::Web, Some(browser)) => Some(browser),
            (Audience::Web, None) => Some(TrustedBrowser::generate()?),
        };
        let network = trusted_network::hash(&account.id, &rate_limit::network(context.client.address));
        let (now, event) = (self.clock.now(), self.audit_event(Event::LoggedIn, context.client));
        let LoginContext { audience, expiry, client, .. } = *context;
        let message = Message::NewLogin(RequestOrigin::new(now, client));
        let issued = self.database.write_together(async |transaction| {
            let password_hash = store_upgraded_hash(transaction, account, upgraded.as_deref()).await?;
            let new = NewSession { user_id: &account.id, password_hash, audience, expiry, client };
            let issued = self.sessions.start(transaction, &new).await?;
            if issued.is_some() {
                rate_limit::refund(transaction, counters).await?;
                audit::record(transaction, &account.id, &event).await?;
                if let Some(zone) =
                    context.zone.as_ref().filter(|zone| account.time_zone.as_deref() != Some(zone.name()))
                    && store::set_detected_zone(transaction, &account.id, zone).await?
                {
                    orders::zone_changed(transaction, &account.id).await?;
                }
                if let Some(browser) = &browser {
                    let (table, hash) = (trusted_browser::store::TABLE, browser.hash());
                    table.trust_found(transaction, &account.id, &hash, now, trust.browser).await?;
                }
                let table = trusted_network::store::TABLE;
                table.trust_found(transaction, &account.id, &network, now, trust.network).await?;
                if is_new(audience, trust) {
                    let notice = SecurityNotice { event: Event::LoggedIn, new_email: None, client, message: &message };
                    self.notify(transaction, account, notice).await?;
                }
            }
            Ok::<_, database::Error>(issued)
        });
        let issued = issued.await?;
        let outcome = if issued.is_some() { LoginOutcome::Success } else { LoginOutcome::Disabled };
        outcome.count();
        if issued.is_none() {
            // The account is disabled, or was changed meanwhile.
            Event::LoginFailed.log(Some(&account.id), context.client);
        }
        Ok(issued.map(|issued| LoggedIn { issued, browser }))
    }

    /// A new hash if the stored one has older parameters (OWASP Password Storage Cheat Sheet, "Upgrading the Work Factor").
    async fn upgraded_hash(&self, account: &store::Account, password: &str) -> Result<Option<String>, Error> {
        if self.hasher.is_current(&account.password_hash) {
            return Ok(None);
        }
        self.hasher.hash(Password::unchecked(password)).await.map(Some)
    }
}

/// Whether the account does not know where the login comes from. Programs that use the API have no browser.
fn is_new(audience: Audience, trust: Trust) -> bool {
    let known = match audience {
        Audience::Web => trust.browser.last_used_at,
        Audience::Api => trust.network.last_used_at,
    };
    known.is_none()
}

/// The counter of a trusted browser or network; otherwise those of an untrusted login.
pub(in crate::accounts) fn login_counters(email: &Email, context: &LoginContext<'_>, trust: Trust) -> Vec<Counter> {
    if let Some(browser) = &context.browser
        && trust.browser.last_used_at.is_some()
    {
        return rate_limits::trusted_browser_login(email, browser.as_str());
    }
    let address = context.client.address;
    if trust.network.last_used_at.is_some() {
        return rate_limits::trusted_network_login(email, &rate_limit::network(address));
    }
    rate_limits::untrusted_login(email, address)
}

/// Stores the upgraded hash, unless the password was changed meanwhile; returns the account's hash from now on.
async fn store_upgraded_hash<'h>(
    transaction: &mut Transaction,
    account: &'h store::Account,
    upgraded: Option<&'h str>,
) -> Result<&'h str, database::Error> {
    match upgraded {
        Some(upgraded)
            if store::set_password(transaction, &account.id, Some(&account.password_hash), upgraded).await? =>
        {
            Ok(upgraded)
        }
        _ => Ok(&account.password_hash),
    }
}
