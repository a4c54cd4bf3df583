//! The state that handlers share as app data, built once at start.

use std::time::Duration;

use actix_web::web;

use super::drain::Drain;
use super::error::ServeError;
use crate::accounts::{Accounts, Hasher, Hooks, OnDeleted, OnReleased, OnSignUp, OnVerified, UserDataExport};
use crate::clock::Clock;
use crate::config::{Config, Environment};
use crate::database::Database;
use crate::sessions::{Keys, Lifetimes, Sessions};
use crate::web::{Assets, Site, origin};
use crate::{api, mail, orders};

/// On sign-up in development: adds sample orders.
const SAMPLES: OnSignUp =
    |transaction, user_id, now, clock| Box::pin(orders::add_samples(transaction, user_id, now, clock));

/// When an address is confirmed: its orders become the account's.
pub const CLAIM: OnVerified = |transaction, user_id, email| Box::pin(orders::claim(transaction, user_id, email));

/// When an address change is undone: the orders of that address leave the account.
const RELEASE: OnReleased = |transaction, user_id, email| Box::pin(orders::release(transaction, user_id, email));

/// When an account is deleted: removes its sample orders.
pub const REMOVE_SAMPLES: OnDeleted = |transaction, user_id| Box::pin(orders::remove_samples(transaction, user_id));

/// For the data export: the user's orders as the API returns them.
const ORDERS_OF: UserDataExport = |database, user_id| Box::pin(api::export_orders(database, user_id));

#[derive(Clone)]
pub struct AppState {
    pub site: web::Data<Site>,
    pub database: web::Data<Database>,
    pub clock: web::Data<Clock>,
    pub sessions: web::Data<Sessions>,
    pub accounts: web::Data<Accounts>,
    pub transport: web::Data<mail::Transport>,
    pub drain: web::Data<Drain>,
}

impl AppState {
    pub fn build(
        config: &Config,
        clock: Clock,
        database: Database,
        assets: Assets,
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
        let sessions = Sessions::new(database.clone(), clock.clone(), keys, lifetimes);
        let hasher = Hasher::new(site_words(origin)).map_err(|error| ServeError::Failed(error.to_string()))?;
        let hooks = Hooks {
            on_sign_up: config.demo_orders.then_some(SAMPLES),
            on_verified: CLAIM,
            on_released: RELEASE,
            on_deleted: REMOVE_SAMPLES,
            export_orders: ORDERS_OF,
        };
        let accounts = Accounts::new(database.clone(), clock.clone(), sessions.clone(), hasher, hooks);
        let transport = mail::Transport::new(config).map_err(ServeError::Mail)?;
        let loopback_ports = if development { vec![port, port_of(origin)] } else { Vec::new() };
        let site = Site {
            assets,
            origin: origin::OwnOrigin::new(origin, loopback_ports),
            trusted_proxies: config.trusted_proxies.clone(),
            security_contact: config.security_contact.clone(),
            development,
        };
        Ok(Self {
            site: web::Data::new(site),
            database: web::Data::new(database),
            clock: web::Data::new(clock),
            sessions: web::Data::new(sessions),
            accounts: web::Data::new(accounts),
            transport: web::Data::new(transport),
            drain: web::Data::new(Drain::default()),
        })
    }
}

/// Words of the host name, which passwords must not consist of.
fn site_words(origin: &str) -> Vec<String> {
    let host = url::Url::parse(origin).ok().and_then(|url| url.host_str().map(str::to_owned)).unwrap_or_default();
    host.split('.').filter(|word| word.len() > 2).map(str::to_owned).chain([host.clone()]).collect()
}

fn seconds(seconds: i64) -> Duration {
    Duration::from_secs(seconds.unsigned_abs())
}

fn port_of(origin: &str) -> u16 {
    url::Url::parse(origin).ok().and_then(|url| url.port_or_known_default()).unwrap_or_default()
}
