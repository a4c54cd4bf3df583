//! All settings, read from the environment (or `.env`) and validated once, at start.
//!
//! Exports [`Config`]. Invariants: a `Config` is valid; all errors are reported together; no error contains a secret.

mod env_file;
mod mail;
mod secrets;
mod security_contact;
mod settings;

use std::cell::RefCell;
use std::collections::BTreeSet;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};

use ipnet::IpNet;
use lettre::message::Mailbox;
use strum::{EnumString, IntoStaticStr};

use crate::database::DatabaseUrl;
pub use mail::{MailUrl, StartTls};
pub use secrets::{Secret, TokenSecrets, new_secret};
pub use security_contact::SecurityContact;
use settings::Settings;

/// The validated settings.
#[derive(Debug)]
pub struct Config {
    pub environment: Environment,
    pub bind_addr: SocketAddr,
    /// The public origin. If not set (development only), it is `localhost` with the port of `bind_addr`.
    pub public_url: Option<Origin>,
    pub database_url: DatabaseUrl,
    pub token_secrets: TokenSecrets,
    /// Lifetime of a token, and idle timeout of a session.
    pub token_ttl_seconds: i64,
    /// Absolute lifetime of a session.
    pub session_max_seconds: i64,
    /// Absolute lifetime of a session with "Keep me logged in".
    pub remember_me_seconds: i64,
    pub mail_url: MailUrl,
    pub mail_from: Mailbox,
    pub demo_orders: bool,
    pub static_dir: PathBuf,
    /// Proxies whose `X-Forwarded-For` is trusted.
    pub trusted_proxies: Vec<IpNet>,
    /// Certificate and key, if the server terminates TLS.
    pub tls: Option<TlsFiles>,
    /// Time between a stop signal and the end of accepting connections; `/readyz` is 503 meanwhile.
    pub drain_seconds: u64,
    pub metrics_addr: Option<SocketAddr>,
    pub security_contact: Option<SecurityContact>,
    pub log_format: LogFormat,
    /// In the syntax of `RUST_LOG`.
    pub log_filter: String,
    /// Warnings about the settings file: unknown variables, permissions.
    pub env_file_warnings: Vec<String>,
}

/// `APP_ENV`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, EnumString, IntoStaticStr)]
#[strum(serialize_all = "lowercase")]
pub enum Environment {
    Development,
    Production,
}

/// `LOG_FORMAT`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, EnumString, IntoStaticStr)]
#[strum(serialize_all = "lowercase")]
pub enum LogFormat {
    Pretty,
    /// One JSON object a line.
    Json,
}

/// PEM files: the certificate chain and its private key.
#[derive(Clone, Debug)]
pub struct TlsFiles {
    pub cert: PathBuf,
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

    pub fn is_https(&self) -> bool {
        self.0.starts_with("https://")
    }
}

/// All invalid settings, one line each.
#[derive(Debug, thiserror::Error)]
#[error("{}", .0.join("\n"))]
pub struct ConfigErrors(Vec<String>);

impl Config {
    /// Reads the settings file (`.env` in the current directory if it exists, or `env_file`) and the environment, which takes
    /// precedence. In development, creates a signing secret if none is set.
    ///
    /// # Errors
    /// All invalid settings; no line contains a secret.
    pub fn load(env_file: Option<&Path>) -> Result<Self, ConfigErrors> {
        let names = env_file::load(env_file).map_err(|error| ConfigErrors(vec![error]))?;
        let known = RefCell::new(BTreeSet::new());
        let config = Self::read(|name| {
            known.borrow_mut().insert(name.to_owned());
            std::env::var(name).ok()
        });
        let mut env_file_warnings = env_file::unknown_variables(&names, &known.into_inner());
        env_file_warnings.extend(env_file::readable_by_others(env_file));
        match config {
            Ok(config) => Ok(Self { env_file_warnings, ..config }),
            Err(ConfigErrors(errors)) => Err(ConfigErrors(errors.into_iter().chain(env_file_warnings).collect())),
        }
    }

    /// Reads settings from `get`; an empty value counts as not set.
    fn read(get: impl Fn(&str) -> Option<String>) -> Result<Self, ConfigErrors> {
        let mut settings =
            Settings { get: &|name| get(name).filter(|value| !value.trim().is_empty()), errors: Vec::new() };
        let config = settings.config();
        if settings.errors.is_empty() {
            config.ok_or(ConfigErrors(Vec::new()))
        } else {
            Err(ConfigErrors(settings.errors))
        }
    }

    /// The public origin when the server listens on `port`.
    pub fn origin_at(&self, port: u16) -> String {
        let scheme = if self.tls.is_some() { "https" } else { "http" };
        let derived = || format!("{scheme}://localhost:{port}");
        self.public_url.as_ref().map_or_else(derived, |url| url.as_str().to_owned())
    }

    /// Valid settings that are probably mistakes, one line each.
    pub fn warnings(&self) -> Vec<String> {
        let in_production = self.environment == Environment::Production;
        let mut warnings = self.env_file_warnings.clone();
        if in_production && matches!(self.mail_url, MailUrl::File(_)) {
            warnings.push(format!(
                "mail stays in the folder {}: nobody gets a link to confirm an address or to choose a new password; \
                 set MAIL_URL to smtp:// or smtps://",
                self.mail_url
            ));
        }
        if in_production && !self.bind_addr.ip().is_loopback() && self.tls.is_none() && self.trusted_proxies.is_empty()
        {
            warnings.push(
                "BIND_ADDR takes requests of other computers without TLS_CERT, so a proxy is in front, but TRUSTED_PROXIES is not \
                 set: all customers have the proxy's address and share its rate limits; set TRUSTED_PROXIES to that address"
                    .to_owned(),
            );
        }
        if let Some(everybody) = self.trusted_proxies.iter().find(|net| net.prefix_len() == 0) {
            warnings.push(format!(
                "TRUSTED_PROXIES holds {everybody}: anybody can claim any address and evade the rate limits; name only the \
                 addresses of your own proxies"
            ));
        }
        warnings
    }

    /// Name and value of everything but the secrets.
    pub fn summary(&self) -> Vec<(&'static str, String)> {
        let none = || "not set".to_owned();
        let proxies: Vec<String> = self.trusted_proxies.iter().map(ToString::to_string).collect();
        let previous = self.token_secrets.previous.len();
        vec![
            ("APP_ENV", <&str>::from(self.environment).to_owned()),
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
            ("SECURITY_CONTACT", self.security_contact.as_ref().map_or_else(none, ToString::to_string)),
            ("LOG_FORMAT", <&str>::from(self.log_format).to_owned()),
            ("RUST_LOG", self.log_filter.clone()),
        ]
    }
}
