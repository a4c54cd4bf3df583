//! What every login ends with, whatever has proved the identity: a session, its audit event, and a mail if the account does not know where
//! the login comes from. Also the trust and the rate limits of a login.

use actix_web::HttpResponse;

use super::audit::{self, Event};
use super::metrics::LoginOutcome;
use super::security_notice::SecurityNotice;
use super::trusted_browser::store::Trust;
use super::{Accounts, ClaimedBrowser, TrustedBrowser, rate_limits, store, trusted_browser, trusted_network};
use crate::database::{self, Transaction, WriteError};
use crate::domain::{Email, UserId, Zone};
use crate::mail::{Message, RequestOrigin};
use crate::orders;
use crate::rate_limit::{self, Counter};
use crate::sessions::{Audience, Expiry, Issued, NewSession, cookie};
use crate::web::{Client, Error};

/// The circumstances of a login or sign-up.
pub struct LoginContext<'a> {
    pub audience: Audience,
    pub expiry: Expiry,
    pub client: &'a Client,
    /// The browser cookie of the request.
    pub browser: Option<TrustedBrowser>,
    /// The time zone that the browser reports.
    pub zone: Option<Zone>,
}

impl<'a> LoginContext<'a> {
    pub(super) fn of_page(expiry: Expiry, client: &'a Client, browser: ClaimedBrowser, zone: &str) -> Self {
        Self { audience: Audience::Web, expiry, client, browser: browser.0, zone: Zone::parse(zone) }
    }
}

/// The result of a successful login or sign-up.
pub struct LoggedIn {
    pub issued: Issued,
    pub(super) browser: Option<TrustedBrowser>,
}

impl LoggedIn {
    pub(super) fn set_cookies(&self, response: &mut HttpResponse) -> Result<(), Error> {
        cookie::set(response, &self.issued)?;
        match &self.browser {
            Some(browser) => browser.set_cookie(response),
            None => Ok(()),
        }
    }
}

/// A proved identity whose session has not started.
pub(super) struct VerifiedLogin {
    pub account: store::Account,
    /// A new hash of the same password, if the stored one has older parameters.
    pub upgraded_hash: Option<String>,
    /// The attempts to refund when the session starts.
    pub counters: Vec<Counter>,
    pub trust: Trust,
    /// `LoggedIn` or `LoggedInWithPasskey`.
    pub event: Event,
}

/// Why the transaction of a login is rolled back.
enum NotStarted {
    /// What must succeed before failed, or the account is disabled or was changed meanwhile.
    Declined,
    Database(database::Error),
}

impl From<database::Error> for NotStarted {
    fn from(error: database::Error) -> Self {
        Self::Database(error)
    }
}

impl WriteError for NotStarted {
    fn database(&self) -> Option<&database::Error> {
        match self {
            Self::Declined => None,
            Self::Database(error) => Some(error),
        }
    }
}

impl Accounts {
    /// All writes of a successful login in one transaction: no session without its audit event. `first` is what must succeed in it before;
    /// if it returns false, or the account is disabled or was changed meanwhile, no session starts and nothing is stored: no code is
    /// used up.
    pub(super) async fn start_session(
        &self,
        login: &VerifiedLogin,
        context: &LoginContext<'_>,
        mut first: impl AsyncFnMut(&mut Transaction) -> Result<bool, database::Error>,
    ) -> Result<Option<LoggedIn>, Error> {
        let VerifiedLogin { account, upgraded_hash, counters, trust, event } = login;
        let reusable = context.browser.clone().filter(|_| trust.is_trusted_by_any_account);
        let browser = match (context.audience, reusable) {
            (Audience::Api, _) => None,
            (Audience::Web, Some(browser)) => Some(browser),
            (Audience::Web, None) => Some(TrustedBrowser::generate()?),
        };
        let new_event = self.audit_event(*event, context.client);
        let LoginContext { audience, expiry, client, .. } = *context;
        let message = Message::NewLogin(RequestOrigin::new(self.clock.now(), client));
        let issued = self.database.write_together(async |transaction| {
            if !first(transaction).await? {
                return Err(NotStarted::Declined);
            }
            let password_hash = store_upgraded_hash(transaction, account, upgraded_hash.as_deref()).await?;
            let new = NewSession { user_id: &account.id, password_hash, audience, expiry, client };
            let issued = self.sessions.start(transaction, &new).await?.ok_or(NotStarted::Declined)?;
            rate_limit::refund(transaction, counters).await?;
            audit::record(transaction, &account.id, &new_event).await?;
            self.remember_origin(transaction, account, context, browser.as_ref(), *trust).await?;
            if is_new(audience, *trust) {
                let (event, at) = (Event::LoggedIn, self.clock.now());
                let notice = SecurityNotice { event, new_email: None, at, client, message: &message };
                self.notify(transaction, account, notice).await?;
            }
            Ok(issued)
        });
        match issued.await {
            Ok(issued) => {
                LoginOutcome::Success.count();
                Ok(Some(LoggedIn { issued, browser }))
            }
            Err(NotStarted::Declined) => Ok(None),
            Err(NotStarted::Database(error)) => Err(error.into()),
        }
    }

    /// Stores the browser's time zone, and trusts the browser and the network.
    async fn remember_origin(
        &self,
        transaction: &mut Transaction,
        account: &store::Account,
        context: &LoginContext<'_>,
        browser: Option<&TrustedBrowser>,
        trust: Trust,
    ) -> Result<(), database::Error> {
        let now = self.clock.now();
        if let Some(zone) = context.zone.as_ref().filter(|zone| account.time_zone.as_deref() != Some(zone.name()))
            && store::set_detected_zone(transaction, &account.id, zone).await?
        {
            orders::zone_changed(transaction, &account.id).await?;
        }
        if let Some(browser) = browser {
            let (table, hash) = (trusted_browser::store::TABLE, browser.hash());
            table.trust_found(transaction, &account.id, &hash, now, trust.browser).await?;
        }
        let network = trusted_network::hash(&account.id, &rate_limit::network(context.client.address));
        let table = trusted_network::store::TABLE;
        table.trust_found(transaction, &account.id, &network, now, trust.network).await
    }

    /// Whether the account trusts the login's browser and network. An unknown account costs the same query.
    pub(super) async fn find_trust(
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

    pub(super) async fn record_login_failure(&self, email: &Email, context: &LoginContext<'_>) -> Result<(), Error> {
        let new = self.audit_event(Event::LoginFailed, context.client);
        let recorded =
            self.database.write_together(async |transaction| audit::record_for_address(transaction, email, &new).await);
        Ok(recorded.await?)
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

/// Where a login comes from, as far as the account trusts it: that has rate limits of its own.
enum Source {
    TrustedBrowser(String),
    TrustedNetwork(String),
    Untrusted,
}

fn source(context: &LoginContext<'_>, trust: Trust) -> Source {
    match &context.browser {
        Some(browser) if trust.browser.last_used_at.is_some() => Source::TrustedBrowser(browser.as_str().to_owned()),
        _ if trust.network.last_used_at.is_some() => {
            Source::TrustedNetwork(rate_limit::network(context.client.address))
        }
        _ => Source::Untrusted,
    }
}

/// The counter of a trusted browser or network; otherwise those of an untrusted login.
pub(super) fn login_counters(email: &Email, context: &LoginContext<'_>, trust: Trust) -> Vec<Counter> {
    match source(context, trust) {
        Source::TrustedBrowser(browser) => rate_limits::trusted_browser_login(email, &browser),
        Source::TrustedNetwork(network) => rate_limits::trusted_network_login(email, &network),
        Source::Untrusted => rate_limits::untrusted_login(email, context.client.address),
    }
}

/// The same for the code after the password.
pub(super) fn code_counters(email: &Email, context: &LoginContext<'_>, trust: Trust) -> Vec<Counter> {
    match source(context, trust) {
        Source::TrustedBrowser(browser) => rate_limits::trusted_browser_code(email, &browser),
        Source::TrustedNetwork(network) => rate_limits::trusted_network_code(email, &network),
        Source::Untrusted => rate_limits::untrusted_code(email, context.client.address),
    }
}

/// The same for a passkey. A known passkey has limits of its own, because it cannot be guessed: wrong passwords must not block it.
pub(super) fn passkey_counters(email: &Email, context: &LoginContext<'_>, trust: Trust) -> Vec<Counter> {
    match source(context, trust) {
        Source::TrustedBrowser(browser) => rate_limits::trusted_browser_passkey(email, &browser),
        Source::TrustedNetwork(network) => rate_limits::trusted_network_passkey(email, &network),
        Source::Untrusted => rate_limits::untrusted_passkey(email, context.client.address),
    }
}

/// Stores the upgraded hash, unless the password was changed meanwhile; returns the account's hash from now on.
pub(super) async fn store_upgraded_hash<'h>(
    transaction: &mut Transaction,
    account: &'h store::Account,
    upgraded: Option<&'h str>,
) -> Result<&'h str, database::Error> {
    match upgraded {
        Some(upgraded) if store::upgrade_hash(transaction, &account.id, &account.password_hash, upgraded).await? => {
            Ok(upgraded)
        }
        _ => Ok(&account.password_hash),
    }
}
