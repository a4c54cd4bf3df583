//! All settings, read from the environment (or `.env`) and validated once, at start.
//!
//! `settings.rs` has every setting: its field in [`Config`], its accepted values, its default. Invariants: a `Config` is valid; all errors are reported together; no error contains a secret.

mod accent;
mod env_file;
mod logo;
mod mail;
mod reader;
mod secrets;
mod security_contact;
mod settings;
mod shop;

use std::cell::RefCell;
use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

pub use accent::Accent;
pub use logo::Logo;
pub use mail::{MailUrl, StartTls};
use reader::Reader;
pub use secrets::{Secret, SecretFile, TokenSecrets, new_secret};
pub use security_contact::SecurityContact;
pub use settings::Config;
pub use shop::{HttpsUrl, Shop, ShopContact, ShopLink};

/// `APP_ENV`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Environment {
    Development,
    Production,
}

/// `LOG_FORMAT`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
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
    pub fn load(env_file: Option<&Path>, secret_file: SecretFile) -> Result<Self, ConfigErrors> {
        let names = env_file::load(env_file).map_err(|error| ConfigErrors(vec![error]))?;
        let known = RefCell::new(BTreeSet::new());
        let config = Self::read(secret_file, |name| {
            known.borrow_mut().insert(name.to_owned());
            std::env::var(name).ok()
        });
        let mut env_file_warnings = env_file::unknown_variables(&names, &known.into_inner());
        env_file_warnings.extend(env_file::readable_by_others(env_file));
        match config {
            Ok(config) => Ok(Self { env_file_warnings, ..config }),
            Err(ConfigErrors(errors)) => Err(ConfigErrors({
                let warnings = env_file_warnings.iter().map(|warning| format!("warning: {warning}"));
                errors.into_iter().chain(warnings).collect()
            })),
        }
    }

    /// Reads settings from `get`; an empty value counts as not set.
    fn read(secret_file: SecretFile, get: impl Fn(&str) -> Option<String>) -> Result<Self, ConfigErrors> {
        let get = |name: &str| get(name).filter(|value| !value.trim().is_empty());
        let mut reader = Reader { get: &get, secret_file, errors: Vec::new(), summary: Vec::new() };
        let config = reader.config();
        if reader.errors.is_empty() { config.ok_or(ConfigErrors(Vec::new())) } else { Err(ConfigErrors(reader.errors)) }
    }

    /// The public origin when the server listens on `port`.
    pub fn origin_at(&self, port: u16) -> String {
        origin_at(self.public_url.as_ref(), self.tls.as_ref(), port)
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
}

fn origin_at(public_url: Option<&Origin>, tls: Option<&TlsFiles>, port: u16) -> String {
    let scheme = if tls.is_some() { "https" } else { "http" };
    public_url.map_or_else(|| format!("{scheme}://localhost:{port}"), |url| url.as_str().to_owned())
}
