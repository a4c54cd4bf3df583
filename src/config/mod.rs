//! Every setting, read from the environment (or `.env`) and checked once, at start.
//!
//! Hands out [`Config`]. Invariants: what it holds makes sense by itself; all that does not is reported together, and no line of
//! that holds a secret.

mod mail;
mod secrets;

use std::net::SocketAddr;
use std::path::{Path, PathBuf};

use ipnet::IpNet;
use lettre::message::Mailbox;

use crate::database::DatabaseUrl;
pub use mail::{MailUrl, StartTls};
use secrets::{DEVELOPMENT_SECRET, PLACEHOLDER, SHORTEST_SECRET};
pub use secrets::{Secret, TokenSecrets, new_secret};

/// What the program runs with.
#[derive(Debug)]
pub struct Config {
    /// Development or production.
    pub environment: Environment,
    /// Where the server listens.
    pub bind_addr: SocketAddr,
    /// The origin that people see; in development it follows the port when it is not set.
    pub public_url: Option<Origin>,
    /// Where the data lives.
    pub database_url: DatabaseUrl,
    /// What signs and verifies tokens.
    pub token_secrets: TokenSecrets,
    /// How long a token, and so an idle session, lives.
    pub token_ttl_seconds: i64,
    /// How long a session lives however busy it is.
    pub session_max_seconds: i64,
    /// The same for "keep me signed in".
    pub remember_me_seconds: i64,
    /// Where mail goes.
    pub mail_url: MailUrl,
    /// Who sends it.
    pub mail_from: Mailbox,
    /// Whether a new account starts with sample orders.
    pub demo_orders: bool,
    /// The folder of static files.
    pub static_dir: PathBuf,
    /// Whose word on where a request comes from is believed.
    pub trusted_proxies: Vec<IpNet>,
    /// Certificate and key, when the server speaks HTTPS itself.
    pub tls: Option<TlsFiles>,
    /// How long the server is not ready and still serves after the order to stop.
    pub drain_seconds: u64,
    /// A second listener, with metrics.
    pub metrics_addr: Option<SocketAddr>,
    /// How log lines look.
    pub log_format: LogFormat,
    /// Which log lines there are, as `RUST_LOG` says.
    pub log_filter: String,
}

/// What the program is run for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Environment {
    /// On the developer's own machine.
    Development,
    /// For customers.
    Production,
}

/// How log lines look.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum LogFormat {
    /// For eyes.
    Pretty,
    /// One JSON object a line.
    Json,
}

/// PEM files.
#[derive(Clone, Debug)]
pub struct TlsFiles {
    /// The certificate with its chain.
    pub cert: PathBuf,
    /// Its private key.
    pub key: PathBuf,
}

/// An origin (RFC 6454): scheme, host and port, nothing else.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Origin(String);

impl Origin {
    fn parse(text: &str) -> Option<Self> {
        let url = url::Url::parse(text).ok()?;
        let is_bare = url.path() == "/" && url.query().is_none() && url.fragment().is_none();
        let is_open = url.username().is_empty() && url.password().is_none();
        let is_web = matches!(url.scheme(), "http" | "https") && url.host().is_some();
        (is_bare && is_open && is_web).then(|| Self(url.origin().ascii_serialization()))
    }

    /// `https://shop.example`.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// Whether people reach it over TLS.
    pub fn is_https(&self) -> bool {
        self.0.starts_with("https://")
    }
}

/// All that is wrong with the settings, a line each.
#[derive(Debug, thiserror::Error)]
#[error("{}", .0.join("\n"))]
pub struct ConfigErrors(Vec<String>);

impl Config {
    /// Reads `.env`, where there is one, and the environment, which has the last word.
    ///
    /// # Errors
    /// All wrong values together; no line holds a secret.
    pub fn load() -> Result<Self, ConfigErrors> {
        match dotenvy::dotenv() {
            Ok(_) => {}
            Err(error) if error.not_found() => {}
            Err(dotenvy::Error::LineParse(_, _)) => {
                return Err(ConfigErrors(vec![
                    ".env: a line cannot be read; write NAME=value, with quotes around spaces".to_owned(),
                ]));
            }
            Err(_) => {
                return Err(ConfigErrors(vec![".env: the file cannot be read; check its permissions".to_owned()]));
            }
        }
        Self::read(|name| std::env::var(name).ok())
    }

    /// Reads settings from `get`; one that is empty counts as not set. Makes a secret in development when there is none.
    ///
    /// # Errors
    /// All wrong values together.
    pub fn read(get: impl Fn(&str) -> Option<String>) -> Result<Self, ConfigErrors> {
        let mut settings =
            Settings { get: &|name| get(name).filter(|value| !value.trim().is_empty()), errors: Vec::new() };
        let config = settings.config();
        if settings.errors.is_empty() {
            config.ok_or(ConfigErrors(Vec::new()))
        } else {
            Err(ConfigErrors(settings.errors))
        }
    }

    /// The origin that people see when the server listens on that port.
    pub fn origin_at(&self, port: u16) -> String {
        let scheme = if self.tls.is_some() { "https" } else { "http" };
        let derived = || format!("{scheme}://localhost:{port}");
        self.public_url.as_ref().map_or_else(derived, |url| url.as_str().to_owned())
    }

    /// What makes sense and yet is hardly meant, a line each.
    pub fn warnings(&self) -> Vec<String> {
        let in_production = self.environment == Environment::Production;
        match &self.mail_url {
            MailUrl::File(_) if in_production => vec![format!(
                "mail stays in the folder {}: nobody gets a link to confirm an address or to choose a new password; \
                 set MAIL_URL to smtp:// or smtps://",
                self.mail_url
            )],
            _ => Vec::new(),
        }
    }

    /// Name and value of everything but the secrets.
    pub fn summary(&self) -> Vec<(&'static str, String)> {
        let none = || "not set".to_owned();
        let proxies: Vec<String> = self.trusted_proxies.iter().map(ToString::to_string).collect();
        let previous = self.token_secrets.previous.len();
        vec![
            (
                "APP_ENV",
                if self.environment == Environment::Development { "development" } else { "production" }.to_owned(),
            ),
            ("BIND_ADDR", self.bind_addr.to_string()),
            ("PUBLIC_URL", self.origin_at(self.bind_addr.port())),
            ("DATABASE_URL", self.database_url.to_string()),
            ("TOKEN_SECRET", format!("set ({} bytes)", self.token_secrets.current.bytes().len())),
            ("TOKEN_SECRET_PREVIOUS", if previous == 0 { none() } else { format!("set ({previous})") }),
            ("TOKEN_TTL_SECONDS", self.token_ttl_seconds.to_string()),
            ("SESSION_MAX_HOURS", (self.session_max_seconds / 3600).to_string()),
            ("REMEMBER_ME_DAYS", (self.remember_me_seconds / 86_400).to_string()),
            ("MAIL_URL", self.mail_url.to_string()),
            ("MAIL_FROM", self.mail_from.to_string()),
            ("DEMO_ORDERS", self.demo_orders.to_string()),
            ("STATIC_DIR", self.static_dir.display().to_string()),
            ("TRUSTED_PROXIES", if proxies.is_empty() { none() } else { proxies.join(",") }),
            ("TLS_CERT", self.tls.as_ref().map_or_else(none, |tls| tls.cert.display().to_string())),
            ("TLS_KEY", self.tls.as_ref().map_or_else(none, |tls| tls.key.display().to_string())),
            ("DRAIN_SECONDS", self.drain_seconds.to_string()),
            ("METRICS_ADDR", self.metrics_addr.map_or_else(none, |address| address.to_string())),
            ("LOG_FORMAT", if self.log_format == LogFormat::Json { "json" } else { "pretty" }.to_owned()),
            ("RUST_LOG", self.log_filter.clone()),
        ]
    }
}

struct Settings<'a> {
    get: &'a dyn Fn(&str) -> Option<String>,
    errors: Vec<String>,
}

impl Settings<'_> {
    fn config(&mut self) -> Option<Config> {
        let environment = self
            .one_of("APP_ENV", &[("development", Environment::Development), ("production", Environment::Production)]);
        let environment = environment.unwrap_or(Environment::Development);
        let in_production = environment == Environment::Production;
        let bind_addr = self.bind_addr(in_production);
        let public_url = self.public_url(in_production);
        let database_url = self.database_url();
        let token_ttl_seconds = self.number("TOKEN_TTL_SECONDS", 1800, 1..=86_400);
        let session_max_seconds = self.number("SESSION_MAX_HOURS", 12, 1..=8760) * 3600;
        let remember_me_seconds = self.number("REMEMBER_ME_DAYS", 30, 1..=400) * 86_400;
        let mail_url = self.mail_url();
        let mail_from = self.mail_from();
        let demo_orders = self.one_of("DEMO_ORDERS", &[("true", true), ("false", false)]).unwrap_or(!in_production);
        let static_dir = PathBuf::from((self.get)("STATIC_DIR").unwrap_or_else(|| "static".to_owned()));
        let trusted_proxies = self.trusted_proxies();
        let tls = self.tls();
        let drain_seconds = self.number("DRAIN_SECONDS", if in_production { 5 } else { 0 }, 0..=300);
        let metrics_addr = self.address("METRICS_ADDR");
        let format = self.one_of("LOG_FORMAT", &[("pretty", LogFormat::Pretty), ("json", LogFormat::Json)]);
        let log_format = format.unwrap_or(if in_production { LogFormat::Json } else { LogFormat::Pretty });
        let log_filter = self.log_filter();
        let token_secrets = self.token_secrets(in_production);
        Some(Config {
            environment,
            bind_addr: bind_addr?,
            public_url,
            database_url: database_url?,
            token_secrets: token_secrets?,
            token_ttl_seconds,
            session_max_seconds,
            remember_me_seconds,
            mail_url: mail_url?,
            mail_from: mail_from?,
            demo_orders,
            static_dir,
            trusted_proxies,
            tls,
            drain_seconds: drain_seconds.unsigned_abs(),
            metrics_addr,
            log_format,
            log_filter,
        })
    }

    fn wrong(&mut self, name: &str, value: &str, takes: &str) {
        let shown: String = value.chars().take(80).flat_map(char::escape_debug).collect();
        self.errors.push(format!("{name} holds \"{shown}\"; it takes {takes}"));
    }

    fn wrong_secret(&mut self, name: &str, problem: &str) {
        self.errors.push(format!("{name} {problem}; make one with: order-portal secret"));
    }

    fn one_of<T: Copy>(&mut self, name: &str, words: &[(&str, T)]) -> Option<T> {
        let value = (self.get)(name)?;
        let found = words.iter().find(|(word, _)| *word == value.trim()).map(|(_, meaning)| *meaning);
        if found.is_none() {
            let takes: Vec<&str> = words.iter().map(|(word, _)| *word).collect();
            self.wrong(name, &value, &takes.join(" or "));
        }
        found
    }

    fn number(&mut self, name: &str, default: i64, range: std::ops::RangeInclusive<i64>) -> i64 {
        let Some(value) = (self.get)(name) else {
            return default;
        };
        let number = value.trim().parse().ok().filter(|number| range.contains(number));
        if number.is_none() {
            self.wrong(name, &value, &format!("a whole number from {} to {}", range.start(), range.end()));
        }
        number.unwrap_or(default)
    }

    fn address(&mut self, name: &str) -> Option<SocketAddr> {
        let value = (self.get)(name)?;
        let address = value.trim().parse().ok();
        if address.is_none() {
            self.wrong(name, &value, "an address with a port, like 127.0.0.1:8080 or [::1]:8080");
        }
        address
    }

    fn bind_addr(&mut self, in_production: bool) -> Option<SocketAddr> {
        let name = "BIND_ADDR";
        if (self.get)(name).is_none() {
            return Some(SocketAddr::from(([127, 0, 0, 1], 8080)));
        }
        let address = self.address(name)?;
        if !in_production && !address.ip().is_loopback() {
            self.wrong(
                name,
                &address.to_string(),
                "a loopback address in development, like 127.0.0.1:8080; set APP_ENV=production to serve others",
            );
        }
        Some(address)
    }

    fn public_url(&mut self, in_production: bool) -> Option<Origin> {
        let name = "PUBLIC_URL";
        let takes = if in_production {
            "an https origin without a path, like https://orders.shop.example"
        } else {
            "an origin without a path, like http://localhost:8080"
        };
        let Some(value) = (self.get)(name) else {
            if in_production {
                self.errors.push(format!("{name} is not set; it takes {takes}"));
            }
            return None;
        };
        let origin = Origin::parse(value.trim()).filter(|origin| !in_production || origin.is_https());
        if origin.is_none() {
            let has_password = value.contains('@');
            self.wrong(name, if has_password { "…" } else { &value }, takes);
        }
        origin
    }

    fn database_url(&mut self) -> Option<DatabaseUrl> {
        let value = (self.get)("DATABASE_URL").unwrap_or_else(|| "sqlite://data/portal.db".to_owned());
        match DatabaseUrl::parse(value.trim()) {
            Ok(url) => Some(url),
            Err(takes) => {
                let takes = takes.trim_start_matches("takes ");
                self.wrong("DATABASE_URL", &without_credentials(&value), takes);
                None
            }
        }
    }

    fn mail_url(&mut self) -> Option<MailUrl> {
        let value = (self.get)("MAIL_URL").unwrap_or_else(|| "file://data/mail".to_owned());
        let url = MailUrl::parse(value.trim());
        url.map_err(|takes| self.wrong("MAIL_URL", &without_credentials(&value), takes)).ok()
    }

    fn mail_from(&mut self) -> Option<Mailbox> {
        let value = (self.get)("MAIL_FROM").unwrap_or_else(|| "order-portal <no-reply@localhost>".to_owned());
        let mailbox = mail::sender(&value);
        if mailbox.is_none() {
            let takes =
                "an address, like Shop <no-reply@shop.example> or, with a comma, \"Shop, Inc\" <no-reply@shop.example>";
            self.wrong("MAIL_FROM", &value, takes);
        }
        mailbox
    }

    fn trusted_proxies(&mut self) -> Vec<IpNet> {
        let Some(value) = (self.get)("TRUSTED_PROXIES") else {
            return Vec::new();
        };
        let parse =
            |text: &str| text.parse::<IpNet>().ok().or_else(|| text.parse::<std::net::IpAddr>().ok().map(IpNet::from));
        let nets: Option<Vec<IpNet>> = value.split(',').map(|text| parse(text.trim())).collect();
        if nets.is_none() {
            self.wrong("TRUSTED_PROXIES", &value, "addresses or networks between commas, like 10.0.0.2,192.168.0.0/16");
        }
        nets.unwrap_or_default()
    }

    fn tls(&mut self) -> Option<TlsFiles> {
        match ((self.get)("TLS_CERT"), (self.get)("TLS_KEY")) {
            (Some(cert), Some(key)) => Some(TlsFiles { cert: cert.into(), key: key.into() }),
            (None, None) => None,
            (Some(_), None) => {
                self.errors.push("TLS_CERT is set without TLS_KEY; set both to PEM files, or neither".to_owned());
                None
            }
            (None, Some(_)) => {
                self.errors.push("TLS_KEY is set without TLS_CERT; set both to PEM files, or neither".to_owned());
                None
            }
        }
    }

    fn log_filter(&mut self) -> String {
        let value = (self.get)("RUST_LOG").unwrap_or_else(|| "info".to_owned());
        if value.parse::<tracing_subscriber::filter::EnvFilter>().is_err() {
            self.wrong("RUST_LOG", &value, "a level or directives, like info or order_portal=debug");
        }
        value
    }

    fn token_secrets(&mut self, in_production: bool) -> Option<TokenSecrets> {
        let previous = (self.get)("TOKEN_SECRET_PREVIOUS").unwrap_or_default();
        let previous: Vec<String> =
            previous.split(',').map(|one| one.trim().to_owned()).filter(|one| !one.is_empty()).collect();
        if previous.iter().any(|one| one.len() < SHORTEST_SECRET) {
            self.wrong_secret("TOKEN_SECRET_PREVIOUS", "holds a secret of fewer than 32 bytes");
        }
        let current = match (self.get)("TOKEN_SECRET") {
            Some(secret) if secret.contains(PLACEHOLDER) => {
                self.wrong_secret("TOKEN_SECRET", "holds the placeholder of .env.example");
                None
            }
            Some(secret) if secret.len() < SHORTEST_SECRET => {
                self.wrong_secret("TOKEN_SECRET", "holds fewer than 32 bytes");
                None
            }
            Some(secret) => Some(secret),
            None if in_production => {
                self.wrong_secret("TOKEN_SECRET", "is not set");
                None
            }
            // Nothing is written while something else is wrong.
            None if !self.errors.is_empty() => None,
            None => secrets::kept_for_development(Path::new(DEVELOPMENT_SECRET)).map_err(|error| {
                self.errors.push(format!("TOKEN_SECRET is not set and none can be kept in {DEVELOPMENT_SECRET}: {error}; set it, or make the folder writable"));
            }).ok(),
        };
        Some(TokenSecrets { current: Secret::new(current?), previous: previous.into_iter().map(Secret::new).collect() })
    }
}

fn without_credentials(address: &str) -> String {
    let Some((scheme, rest)) = address.split_once("://") else {
        return "…".to_owned();
    };
    let rest = rest.rsplit_once('@').map_or(rest, |(_, host)| host);
    format!("{scheme}://{}", rest.split('?').next().unwrap_or_default())
}
