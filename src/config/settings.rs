//! Every setting: its field, its accepted values and its default. `.env.example` describes them for operators.

use std::net::{IpAddr, SocketAddr};
use std::path::{Path, PathBuf};

use ipnet::IpNet;
use lettre::message::Mailbox;

use super::mail::{self, MailUrl};
use super::reader::Reader;
use super::secrets::{self, DEVELOPMENT_SECRET, PLACEHOLDER, SHORTEST_SECRET, Secret, TokenSecrets};
use super::shop::DEFAULT_NAME;
use super::{Environment, LogFormat, Origin, SecurityContact, Shop, TlsFiles, origin_at};
use crate::database::DatabaseUrl;
use crate::domain::Zone;

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
    pub shop: Shop,
    pub demo_orders: bool,
    /// `None` for the files that are compiled into the program.
    pub static_dir: Option<PathBuf>,
    /// The filter of breached passwords.
    pub breached_passwords: Option<PathBuf>,
    /// Size of the finished order lists in memory.
    pub cache_megabytes: u64,
    /// How long audit events are kept.
    pub keep_audit_days: u64,
    /// Proxies whose `X-Forwarded-For` is trusted.
    pub trusted_proxies: Vec<IpNet>,
    /// Certificate and key, if the server terminates TLS.
    pub tls: Option<TlsFiles>,
    /// Time between a stop signal and the end of accepting connections; `/readyz` is 503 meanwhile.
    pub drain_seconds: u64,
    pub metrics_addr: Option<SocketAddr>,
    pub security_contact: Option<SecurityContact>,
    /// The zone of times in exports without an offset, and of pages until the customer's zone is known.
    pub shop_time_zone: Zone,
    pub log_format: LogFormat,
    /// In the syntax of `RUST_LOG`.
    pub log_filter: String,
    /// Warnings about the settings file: unknown variables, permissions.
    pub env_file_warnings: Vec<String>,
    /// Name and value of every setting, without secrets.
    pub summary: Vec<(&'static str, String)>,
}

impl Reader<'_> {
    /// Reads every setting; `None` if one without which others make no sense is invalid.
    pub fn config(&mut self) -> Option<Config> {
        let environments = [("development", Environment::Development), ("production", Environment::Production)];
        let environment = self.one_of("APP_ENV", &environments, Environment::Development);
        let in_production = environment == Environment::Production;
        let bind_addr = self.bind_addr(in_production);
        let public_url = self.public_url(in_production);
        let database_url = self.database_url();
        let token_ttl_seconds = self.number("TOKEN_TTL_SECONDS", 1800, 1..=86_400);
        let session_max_seconds = self.number("SESSION_MAX_HOURS", 12, 1..=8760) * 3600;
        let remember_me_seconds = self.number("REMEMBER_ME_DAYS", 30, 1..=400) * 86_400;
        let mail_url = self.mail_url();
        let shop = self.shop();
        let mail_from = self.mail_from(&shop.name);
        let demo_orders = self.one_of("DEMO_ORDERS", &[("true", true), ("false", false)], !in_production);
        let static_dir = self.static_dir();
        let breached_passwords = (self.get)("BREACHED_PASSWORDS").map(PathBuf::from);
        self.show("BREACHED_PASSWORDS", breached_passwords.as_ref().map(|file| file.display()));
        let cache_megabytes = self.number("CACHE_MEGABYTES", 32, 0..=65_536).unsigned_abs();
        let keep_audit_days = self.number("KEEP_AUDIT_DAYS", 90, 1..=3650).unsigned_abs();
        let trusted_proxies = self.trusted_proxies();
        let tls = self.tls();
        let drain_seconds = self.number("DRAIN_SECONDS", if in_production { 5 } else { 0 }, 0..=300);
        let metrics_addr = self.address("METRICS_ADDR");
        if metrics_addr.is_some() && metrics_addr == bind_addr {
            self.errors.push("METRICS_ADDR is the address of BIND_ADDR; it takes another port".to_owned());
        }
        let takes = "a mail address or a URL, like security@shop.example or https://shop.example/security";
        let security_contact = self.parsed("SECURITY_CONTACT", takes, SecurityContact::parse);
        let shop_time_zone = self.parsed_or(
            "SHOP_TIME_ZONE",
            "a time zone of the IANA database, like Europe/Berlin",
            Zone::parse,
            Zone::utc(),
        );
        let formats = [("pretty", LogFormat::Pretty), ("json", LogFormat::Json)];
        let log_format =
            self.one_of("LOG_FORMAT", &formats, if in_production { LogFormat::Json } else { LogFormat::Pretty });
        let log_filter = self.log_filter();
        let token_secrets = self.token_secrets(in_production);
        let origin = bind_addr.map(|address| origin_at(public_url.as_ref(), tls.as_ref(), address.port()));
        self.show("PUBLIC_URL", origin);
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
            shop,
            demo_orders,
            static_dir,
            breached_passwords,
            cache_megabytes,
            keep_audit_days,
            trusted_proxies,
            tls,
            drain_seconds: drain_seconds.unsigned_abs(),
            metrics_addr,
            security_contact,
            shop_time_zone,
            log_format,
            log_filter,
            env_file_warnings: Vec::new(),
            summary: std::mem::take(&mut self.summary),
        })
    }

    fn bind_addr(&mut self, in_production: bool) -> Option<SocketAddr> {
        let name = "BIND_ADDR";
        if (self.get)(name).is_none() {
            let default = SocketAddr::from(([127, 0, 0, 1], 8080));
            self.show(name, Some(default));
            return Some(default);
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
        let url = url.map_err(|takes| self.wrong("DATABASE_URL", &without_credentials(&value), takes)).ok();
        self.show("DATABASE_URL", url.as_ref());
        url
    }

    fn mail_url(&mut self) -> Option<MailUrl> {
        let value = (self.get)("MAIL_URL").unwrap_or_else(|| "file://data/mail".to_owned());
        let url = MailUrl::parse(value.trim());
        let url = url.map_err(|takes| self.wrong("MAIL_URL", &without_credentials(&value), takes)).ok();
        self.show("MAIL_URL", url.as_ref());
        url
    }

    /// Without a value, the sender has the shop's name.
    fn mail_from(&mut self, shop_name: &str) -> Option<Mailbox> {
        let value = (self.get)("MAIL_FROM");
        let default_name = if shop_name == DEFAULT_NAME { "order-portal" } else { shop_name };
        let mailbox = match &value {
            Some(value) => mail::sender(value),
            None => {
                mail::sender("no-reply@localhost").map(|from| Mailbox::new(Some(default_name.to_owned()), from.email))
            }
        };
        if let (Some(value), None) = (&value, &mailbox) {
            let takes =
                "an address, like Shop <no-reply@shop.example> or, with a comma, \"Shop, Inc\" <no-reply@shop.example>";
            self.wrong("MAIL_FROM", value, takes);
        }
        self.show("MAIL_FROM", mailbox.as_ref());
        mailbox
    }

    /// The setting, or `static` if it is there.
    fn static_dir(&mut self) -> Option<PathBuf> {
        let default = || Some(PathBuf::from("static")).filter(|folder| folder.is_dir());
        let folder = (self.get)("STATIC_DIR").map(PathBuf::from).or_else(default);
        let shown =
            folder.as_ref().map_or("the files in the program".to_owned(), |folder| folder.display().to_string());
        self.show("STATIC_DIR", Some(shown));
        folder
    }

    fn trusted_proxies(&mut self) -> Vec<IpNet> {
        let name = "TRUSTED_PROXIES";
        let value = (self.get)(name);
        let parse = |text: &str| text.parse().ok().or_else(|| text.parse::<IpAddr>().ok().map(IpNet::from));
        let nets: Option<Vec<IpNet>> =
            value.as_deref().unwrap_or_default().split_terminator(',').map(|text| parse(text.trim())).collect();
        if let (Some(value), None) = (&value, &nets) {
            self.wrong(name, value, "addresses or networks between commas, like 10.0.0.2,192.168.0.0/16");
        }
        let nets = nets.unwrap_or_default();
        let shown = nets.iter().map(ToString::to_string).collect::<Vec<_>>().join(",");
        self.show(name, Some(shown).filter(|shown| !shown.is_empty()));
        nets
    }

    fn tls(&mut self) -> Option<TlsFiles> {
        let (cert, key) = ((self.get)("TLS_CERT"), (self.get)("TLS_KEY"));
        self.show("TLS_CERT", cert.as_ref());
        self.show("TLS_KEY", key.as_ref());
        let (set, missing) = match (cert, key) {
            (Some(cert), Some(key)) => return Some(TlsFiles { cert: cert.into(), key: key.into() }),
            (None, None) => return None,
            (Some(_), None) => ("TLS_CERT", "TLS_KEY"),
            (None, Some(_)) => ("TLS_KEY", "TLS_CERT"),
        };
        self.errors.push(format!("{set} is set without {missing}; set both to PEM files, or neither"));
        None
    }

    fn log_filter(&mut self) -> String {
        let value = (self.get)("RUST_LOG").unwrap_or_else(|| "info".to_owned());
        if value.parse::<tracing_subscriber::filter::EnvFilter>().is_err() {
            self.wrong("RUST_LOG", &value, "a level or directives, like info or order_portal=debug");
        }
        self.show("RUST_LOG", Some(&value));
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
            None => secrets::development_secret(Path::new(DEVELOPMENT_SECRET), self.secret_file).map_err(|error| {
                self.errors.push(format!("TOKEN_SECRET is not set and none can be kept in {DEVELOPMENT_SECRET}: {error}; set it, or make the folder writable"));
            }).ok(),
        };
        let current = current?;
        let is_kept = (self.get)("TOKEN_SECRET").is_some() || Path::new(DEVELOPMENT_SECRET).exists();
        let shown = if is_kept { format!("set ({} bytes)", current.len()) } else { "created by serve".to_owned() };
        self.show("TOKEN_SECRET", Some(shown));
        self.show("TOKEN_SECRET_PREVIOUS", Some(format!("set ({})", previous.len())).filter(|_| !previous.is_empty()));
        Some(TokenSecrets { current: Secret::new(current), previous: previous.into_iter().map(Secret::new).collect() })
    }
}

fn without_credentials(address: &str) -> String {
    let Some((scheme, rest)) = address.split_once("://") else {
        return "…".to_owned();
    };
    let rest = rest.rsplit_once('@').map_or(rest, |(_, host)| host);
    format!("{scheme}://{}", rest.split('?').next().unwrap_or_default())
}
