//! Each setting: its accepted values and its default.

use std::net::SocketAddr;
use std::path::{Path, PathBuf};

use ipnet::IpNet;
use lettre::message::Mailbox;

use super::mail::{self, MailUrl};
use super::secrets::{self, DEVELOPMENT_SECRET, PLACEHOLDER, SHORTEST_SECRET, Secret, TokenSecrets};
use super::{Config, Environment, LogFormat, Origin, SecurityContact, TlsFiles};
use crate::database::DatabaseUrl;

pub(super) struct Settings<'a> {
    pub get: &'a dyn Fn(&str) -> Option<String>,
    pub errors: Vec<String>,
}

impl Settings<'_> {
    pub fn config(&mut self) -> Option<Config> {
        let environment = self.parse("APP_ENV", "development or production", |text| text.parse().ok());
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
        let demo_orders =
            self.parse("DEMO_ORDERS", "true or false", |text| text.parse().ok()).unwrap_or(!in_production);
        let static_dir = PathBuf::from((self.get)("STATIC_DIR").unwrap_or_else(|| "static".to_owned()));
        let trusted_proxies = self.trusted_proxies();
        let tls = self.tls();
        let drain_seconds = self.number("DRAIN_SECONDS", if in_production { 5 } else { 0 }, 0..=300);
        let metrics_addr = self.address("METRICS_ADDR");
        let security_contact = self.security_contact();
        let format = self.parse("LOG_FORMAT", "pretty or json", |text| text.parse().ok());
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
            security_contact,
            log_format,
            log_filter,
            env_file_warnings: Vec::new(),
        })
    }

    fn wrong(&mut self, name: &str, value: &str, takes: &str) {
        let shown: String = value.chars().take(80).flat_map(char::escape_debug).collect();
        self.errors.push(format!("{name} holds \"{shown}\"; it takes {takes}"));
    }

    fn wrong_secret(&mut self, name: &str, problem: &str) {
        self.errors.push(format!("{name} {problem}; make one with: order-portal secret"));
    }

    /// The parsed value; `None` if it is not set, or invalid, which is reported.
    fn parse<T>(&mut self, name: &str, takes: &str, parse: impl Fn(&str) -> Option<T>) -> Option<T> {
        let value = (self.get)(name)?;
        self.parse_value(name, &value, takes, parse)
    }

    fn parse_value<T>(&mut self, name: &str, value: &str, takes: &str, parse: impl Fn(&str) -> Option<T>) -> Option<T> {
        let parsed = parse(value.trim());
        if parsed.is_none() {
            self.wrong(name, value, takes);
        }
        parsed
    }

    fn number(&mut self, name: &str, default: i64, range: std::ops::RangeInclusive<i64>) -> i64 {
        let takes = format!("a whole number from {} to {}", range.start(), range.end());
        self.parse(name, &takes, |text| text.parse().ok().filter(|number| range.contains(number))).unwrap_or(default)
    }

    fn address(&mut self, name: &str) -> Option<SocketAddr> {
        self.parse(name, "an address with a port, like 127.0.0.1:8080 or [::1]:8080", |text| text.parse().ok())
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
        let url = DatabaseUrl::parse(value.trim());
        url.map_err(|takes| self.wrong("DATABASE_URL", &without_credentials(&value), takes)).ok()
    }

    fn mail_url(&mut self) -> Option<MailUrl> {
        let value = (self.get)("MAIL_URL").unwrap_or_else(|| "file://data/mail".to_owned());
        let url = MailUrl::parse(value.trim());
        url.map_err(|takes| self.wrong("MAIL_URL", &without_credentials(&value), takes)).ok()
    }

    fn mail_from(&mut self) -> Option<Mailbox> {
        let value = (self.get)("MAIL_FROM").unwrap_or_else(|| "order-portal <no-reply@localhost>".to_owned());
        let takes =
            "an address, like Shop <no-reply@shop.example> or, with a comma, \"Shop, Inc\" <no-reply@shop.example>";
        self.parse_value("MAIL_FROM", &value, takes, mail::sender)
    }

    fn trusted_proxies(&mut self) -> Vec<IpNet> {
        let parse =
            |text: &str| text.parse::<IpNet>().ok().or_else(|| text.parse::<std::net::IpAddr>().ok().map(IpNet::from));
        let takes = "addresses or networks between commas, like 10.0.0.2,192.168.0.0/16";
        let nets = self.parse("TRUSTED_PROXIES", takes, |text| text.split(',').map(|net| parse(net.trim())).collect());
        nets.unwrap_or_default()
    }

    fn tls(&mut self) -> Option<TlsFiles> {
        let (set, missing) = match ((self.get)("TLS_CERT"), (self.get)("TLS_KEY")) {
            (Some(cert), Some(key)) => return Some(TlsFiles { cert: cert.into(), key: key.into() }),
            (None, None) => return None,
            (Some(_), None) => ("TLS_CERT", "TLS_KEY"),
            (None, Some(_)) => ("TLS_KEY", "TLS_CERT"),
        };
        self.errors.push(format!("{set} is set without {missing}; set both to PEM files, or neither"));
        None
    }

    fn security_contact(&mut self) -> Option<SecurityContact> {
        let takes = "a mail address or a URL, like security@shop.example or https://shop.example/security";
        self.parse("SECURITY_CONTACT", takes, SecurityContact::parse)
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
        if previous.iter().any(|one| secrets::is_repetitive(one)) {
            self.wrong_secret("TOKEN_SECRET_PREVIOUS", "holds a secret that is one unit repeated");
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
            Some(secret) if secrets::is_repetitive(secret.trim()) => {
                self.wrong_secret("TOKEN_SECRET", "holds one unit repeated");
                None
            }
            Some(secret) => Some(secret),
            None if in_production => {
                self.wrong_secret("TOKEN_SECRET", "is not set");
                None
            }
            // The secret file is not written while another setting is invalid.
            None if !self.errors.is_empty() => None,
            None => secrets::development_secret(Path::new(DEVELOPMENT_SECRET)).map_err(|error| {
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
