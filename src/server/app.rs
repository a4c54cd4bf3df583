//! The app: the state that handlers share, built once at start, and the middleware in its order.

use std::sync::Arc;
use std::time::Duration;

use actix_web::body::MessageBody;
use actix_web::dev::{ServiceFactory, ServiceRequest, ServiceResponse};
use actix_web::middleware::from_fn;
use actix_web::{App, web};

use super::drain::{self, Drain};
use super::error::ServeError;
use super::routes;
use crate::accounts::{
    AccountNotice, Accounts, AuditRetention, BreachedPasswords, Hasher, Passkeys, Policy, SampleOrders, SealingKeys,
};
use crate::clock::Clock;
use crate::config::{Config, Environment};
use crate::database::Database;
use crate::orders::{OrderNotice, ResponseCache};
use crate::sessions::{Keys, Lifetimes, SessionNotice, Sessions};
use crate::web::notice::text_of;
use crate::web::{Assets, NoticeText, Site, body, client, compression, error, headers, origin};
use crate::{mail, telemetry};

#[derive(Clone)]
pub struct AppState {
    pub site: web::Data<Site>,
    pub database: web::Data<Database>,
    pub clock: web::Data<Clock>,
    pub sessions: web::Data<Sessions>,
    pub accounts: web::Data<Accounts>,
    pub transport: web::Data<mail::Transport>,
    pub responses: web::Data<ResponseCache>,
    pub drain: web::Data<Drain>,
}

impl AppState {
    pub fn build(
        config: &Config,
        clock: Clock,
        database: Database,
        (assets, breached): (Assets, Option<BreachedPasswords>),
        origin: &str,
        port: u16,
    ) -> Result<Self, ServeError> {
        let development = config.environment == Environment::Development;
        let previous = config.token_secrets.previous.iter().map(crate::config::Secret::bytes);
        let keys = Keys::new(origin, config.token_secrets.current.bytes(), previous);
        let lifetimes = Lifetimes {
            token: seconds(config.token_ttl_seconds),
            session: seconds(config.session_max_seconds),
            remembered: seconds(config.remember_me_seconds),
        };
        let sessions = Sessions::new(database.clone(), clock.clone(), keys, lifetimes, config.shop_time_zone.clone());
        let hasher = Hasher::new(site_words(origin, &config.shop.name), breached)
            .map_err(|error| ServeError::Failed(error.to_string()))?;
        let sample_orders = if config.demo_orders { SampleOrders::Added } else { SampleOrders::None };
        let previous = config.token_secrets.previous.iter().map(crate::config::Secret::bytes);
        let sealing_keys = SealingKeys::new(config.token_secrets.current.bytes(), previous)
            .map_err(|error| ServeError::Failed(error.to_string()))?;
        let previous = config.token_secrets.previous.iter().map(crate::config::Secret::bytes);
        let passkeys = Passkeys::new(origin, &config.shop.name, config.token_secrets.current.bytes(), previous);
        let accounts = Accounts::new(
            database.clone(),
            clock.clone(),
            sessions.clone(),
            hasher,
            Policy { sample_orders, audit_retention: AuditRetention::of_days(config.keep_audit_days) },
            sealing_keys,
            passkeys,
        );
        let transport = mail::Transport::new(config).map_err(ServeError::Mail)?;
        let loopback_ports = if development { vec![port, port_of(origin)] } else { Vec::new() };
        let site = Site {
            assets,
            origin: origin::OwnOrigin::new(origin, loopback_ports),
            trusted_proxies: config.trusted_proxies.clone(),
            security_contact: config.security_contact.clone(),
            shop: Arc::new(config.shop.clone()),
            notice_text,
            development,
        };
        Ok(Self {
            site: web::Data::new(site),
            database: web::Data::new(database),
            clock: web::Data::new(clock),
            sessions: web::Data::new(sessions),
            accounts: web::Data::new(accounts),
            transport: web::Data::new(transport),
            responses: web::Data::new(ResponseCache::new(config.cache_megabytes)),
            drain: web::Data::new(Drain::default()),
        })
    }
}

/// The app of one worker: the shared state, the limits of bodies, the middleware, the routes. The last `wrap` is the outermost
/// middleware, so a request passes them from the bottom to the top.
pub fn app(
    state: AppState,
) -> App<
    impl ServiceFactory<
        ServiceRequest,
        Config = (),
        Response = ServiceResponse<impl MessageBody>,
        Error = actix_web::Error,
        InitError = (),
    >,
> {
    let AppState { site, database, clock, sessions, accounts, transport, responses, drain } = state;
    App::new()
        .app_data(site.clone())
        .app_data(database)
        .app_data(clock)
        .app_data(sessions)
        .app_data(accounts)
        .app_data(transport)
        .app_data(responses)
        .app_data(drain)
        .app_data(web::FormConfig::default().limit(body::MAX_BYTES))
        .app_data(web::JsonConfig::default().limit(body::MAX_BYTES))
        .wrap(from_fn(origin::csrf_protection))
        .wrap(from_fn(origin::require_own_host))
        .wrap(from_fn(error::render_errors))
        .wrap(from_fn(headers::head_as_get))
        .wrap(from_fn(compression::compress))
        .wrap(from_fn(headers::unchunked_for_http_10))
        .wrap(from_fn(headers::secure))
        .wrap(from_fn(client::log_client))
        .wrap(from_fn(telemetry::trace_request))
        .wrap(from_fn(drain::count))
        .configure(|routes| routes::configure(routes, &site))
}

/// The text of a notice, whichever feature it belongs to.
fn notice_text(code: &str) -> Option<NoticeText> {
    text_of::<AccountNotice>(code).or_else(|| text_of::<OrderNotice>(code)).or_else(|| text_of::<SessionNotice>(code))
}

/// Words of the host name and of the shop's name, which passwords must not consist of.
fn site_words(origin: &str, shop_name: &str) -> Vec<String> {
    let host = url::Url::parse(origin).ok().and_then(|url| url.host_str().map(str::to_owned)).unwrap_or_default();
    let shop_words = shop_name.split(|letter: char| !letter.is_alphanumeric());
    host.split('.').chain(shop_words).filter(|word| word.len() > 2).map(str::to_owned).chain([host.clone()]).collect()
}

fn seconds(seconds: i64) -> Duration {
    Duration::from_secs(seconds.unsigned_abs())
}

fn port_of(origin: &str) -> u16 {
    url::Url::parse(origin).ok().and_then(|url| url.port_or_known_default()).unwrap_or_default()
}
