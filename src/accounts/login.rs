//! Logging in.

use actix_web::http::StatusCode;
use actix_web::http::header;
use actix_web::{HttpRequest, HttpResponse, web};
use askama::Template;
use serde::Deserialize;

use super::activity::{self, Event};
use super::throttle::{self, Counter};
use super::unkept_cookie::UnkeptCookie;
use super::{Accounts, ClaimedBrowser, Password, SignedIn, Visit, store};
use crate::clock::Clock;
use crate::database::{self, Transaction};
use crate::mail::Email;
use crate::sessions::{Audience, CurrentUser, Ending, MaybeAuthenticated};
use crate::web::body::Form;
use crate::web::{Client, Error, Layout, NextPath, Site, Zone, page, see_other, wait_in_words};

/// One message, whether or not the address is known.
const WRONG: &str = "The e-mail address and the password do not go together. Check both and try again.";

#[derive(Template)]
#[template(path = "accounts/login.html")]
struct LoginPage {
    layout: Layout,
    email: String,
    next: String,
    remember: bool,
    error: Option<String>,
    unkept_cookie: Option<UnkeptCookie>,
}

/// What the address of the page may carry.
#[derive(Deserialize)]
pub(super) struct LoginQuery {
    next: Option<String>,
}

pub(super) async fn form(
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
    let unkept_cookie = UnkeptCookie::of(&request, &site, next.is_some());
    let next = next.map(|next| next.as_str().to_owned()).unwrap_or_default();
    page(StatusCode::OK, &LoginPage { layout, email: String::new(), next, remember: false, error: None, unkept_cookie })
}

/// What the form sends.
#[derive(Deserialize)]
pub(super) struct LoginForm {
    email: String,
    password: String,
    /// Any value but an empty one, `false`, `off` and `0` means "keep me signed in".
    #[serde(default)]
    remember: String,
    #[serde(default)]
    next: String,
    /// Filled in by the script.
    #[serde(default)]
    zone: String,
}

pub(super) async fn submit(
    client: Client,
    browser: ClaimedBrowser,
    accounts: web::Data<Accounts>,
    clock: web::Data<Clock>,
    MaybeAuthenticated { user, layout, body: Form(form) }: MaybeAuthenticated<Form<LoginForm>>,
) -> Result<HttpResponse, Error> {
    if user.is_some() {
        return Ok(see_other("/orders"));
    }
    let next = NextPath::parse(&form.next);
    let remember = !matches!(form.remember.as_str(), "" | "false" | "off" | "0");
    let ending = if remember { Ending::Fixed } else { Ending::Idle };
    let zone = Zone::parse(&form.zone);
    let visit = Visit { audience: Audience::Web, ending, client: &client, browser: browser.0, zone };
    let (status, error, retry_after) = match accounts.log_in(&form.email, &form.password, visit).await {
        Ok(Some(signed_in)) => {
            let mut response = see_other(next.as_ref().map_or("/orders", NextPath::as_str));
            signed_in.set_cookies(&mut response, clock.now())?;
            return Ok(response);
        }
        Ok(None) => (StatusCode::UNAUTHORIZED, WRONG.to_owned(), None),
        Err(Error::Throttled { retry_after }) => {
            let wait = wait_in_words(retry_after);
            let error = format!("Too many wrong passwords. Try again {wait}, or choose a new password by mail.");
            (StatusCode::TOO_MANY_REQUESTS, error, Some(retry_after))
        }
        Err(error) => return Err(error),
    };
    let next = next.map(|next| next.as_str().to_owned()).unwrap_or_default();
    let shown = LoginPage { layout, email: form.email, next, remember, error: Some(error), unkept_cookie: None };
    let mut response = page(status, &shown)?;
    if let Some(seconds) = retry_after {
        response.headers_mut().insert(header::RETRY_AFTER, seconds.into());
    }
    Ok(response)
}

impl Accounts {
    /// Signs in whoever owns the address and knows its password; `None` for anyone else, without saying which is wrong.
    ///
    /// # Errors
    /// [`Error::Throttled`], [`Error::Busy`] when too many passwords wait to be checked, or the database's.
    pub async fn log_in(&self, email: &str, password: &str, visit: Visit<'_>) -> Result<Option<SignedIn>, Error> {
        let Ok(email) = Email::parse(email) else {
            return self.refuse_malformed(email, password, &visit).await.map(|()| None);
        };
        let account = store::find_by_email(&self.database, &email).await?;
        let counters = self.login_counters(&email, account.as_ref(), &visit).await?;
        throttle::count(&self.database, &self.clock, &counters).await?;
        let stored = account.as_ref().map(|account| account.password_hash.as_str());
        let is_right = self.hasher.verify(Password::offered(password), stored).await?;
        match account.filter(|_| is_right) {
            Some(account) => self.welcome(&account, password, &visit, &counters).await,
            None => self.note_failure(&email, &visit).await.map(|()| None),
        }
    }

    /// What is no address costs a try and a hash as well: it reads and takes as long as an unknown one.
    async fn refuse_malformed(&self, typed: &str, password: &str, visit: &Visit<'_>) -> Result<(), Error> {
        let counters = throttle::of_stranger(typed, visit.client.address);
        throttle::count(&self.database, &self.clock, &counters).await?;
        self.hasher.verify(Password::offered(password), None).await?;
        Event::SignInFailed.log(None, visit.client);
        Ok(())
    }

    /// The counter of the browser or network that the account knows; without one, those of strangers.
    pub(super) async fn login_counters(
        &self,
        email: &Email,
        account: Option<&store::Account>,
        visit: &Visit<'_>,
    ) -> Result<Vec<Counter>, Error> {
        if let Some(browser) = &visit.browser
            && store::browsers::is_known(&self.database, email, &browser.hash()).await?
        {
            return Ok(throttle::of_known_browser(email.as_str(), browser.as_str()));
        }
        let network = throttle::network(visit.client.address);
        let user_id = account.map(|account| account.id.as_str());
        if store::networks::is_known(&self.database, user_id, &network).await? {
            return Ok(throttle::of_known_network(email.as_str(), &network));
        }
        Ok(throttle::of_stranger(email.as_str(), visit.client.address))
    }

    pub(super) async fn note_failure(&self, email: &Email, visit: &Visit<'_>) -> Result<(), Error> {
        let entry = self.entry(Event::SignInFailed, visit.client);
        let noted = self
            .database
            .write_together(async |transaction| activity::record_for_address(transaction, email, &entry).await);
        Ok(noted.await?)
    }

    /// Everything that a successful login writes, in one transaction: there is no session without its audit event.
    async fn welcome(
        &self,
        account: &store::Account,
        password: &str,
        visit: &Visit<'_>,
        counters: &[Counter],
    ) -> Result<Option<SignedIn>, Error> {
        let renewed = self.renewed_hash(account, password).await?;
        let browser = self.browser_of(visit).await?;
        let network = throttle::network(visit.client.address);
        let (now, entry) = (self.clock.now(), self.entry(Event::SignedIn, visit.client));
        let issued = self.database.write_together(async |transaction| {
            let hash = current_hash(transaction, account, renewed.as_deref()).await?;
            let (audience, ending) = (visit.audience, visit.ending);
            let started = self.sessions.start(transaction, &account.id, hash, audience, ending, visit.client).await?;
            if started.is_some() {
                store::throttles::give_back(transaction, counters).await?;
                activity::record(transaction, &account.id, &entry).await?;
                if let Some(zone) = &visit.zone {
                    store::guess_zone(transaction, &account.id, zone).await?;
                }
                if let Some(browser) = &browser {
                    store::browsers::remember(transaction, &account.id, &browser.hash(), now).await?;
                }
                store::networks::remember(transaction, &account.id, &network, now).await?;
            }
            Ok::<_, database::Error>(started)
        });
        let issued = issued.await?;
        if issued.is_none() {
            // The account is disabled, or was changed meanwhile.
            Event::SignInFailed.log(Some(&account.id), visit.client);
        }
        Ok(issued.map(|issued| SignedIn { issued, browser }))
    }

    /// A hash made with older parameters is renewed while the password is at hand (OWASP Password Storage Cheat
    /// Sheet, "Upgrading the Work Factor").
    async fn renewed_hash(&self, account: &store::Account, password: &str) -> Result<Option<String>, Error> {
        if self.hasher.is_current(&account.password_hash) {
            return Ok(None);
        }
        self.hasher.hash(Password::offered(password)).await.map(Some)
    }
}

/// The hash that the account has from now on: the renewed one, unless the password was changed meanwhile.
async fn current_hash<'h>(
    transaction: &mut Transaction,
    account: &'h store::Account,
    renewed: Option<&'h str>,
) -> Result<&'h str, database::Error> {
    match renewed {
        Some(renewed)
            if store::set_password(transaction, &account.id, Some(&account.password_hash), renewed).await? =>
        {
            Ok(renewed)
        }
        _ => Ok(&account.password_hash),
    }
}
