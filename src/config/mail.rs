//! `MAIL_URL` and `MAIL_FROM`.

use std::fmt;
use std::path::PathBuf;

use lettre::message::Mailbox;

/// Destination of outgoing mail.
#[derive(Clone)]
pub enum MailUrl {
    /// A directory: one file for each message.
    File(PathBuf),
    /// An SMTP server: its URL without the query, and its use of STARTTLS.
    Smtp(url::Url, StartTls),
}

/// Whether an `smtp://` connection must upgrade to TLS. `smtps://` always uses TLS.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum StartTls {
    /// The connection fails without it.
    Required,
    /// The connection is not encrypted.
    Never,
}

impl MailUrl {
    /// Parses `file://folder`, `smtp://…` or `smtps://…`. STARTTLS is required unless the host is a loopback address or the URL
    /// ends in `?tls=none`.
    pub(super) fn parse(text: &str) -> Result<Self, &'static str> {
        const TAKES: &str = "file://folder, smtp://user:password@host:587 or smtps://user:password@host:465";
        const TAKES_TLS: &str = "?tls=required, ?tls=none or neither after smtp://host:587";
        if let Some(folder) = text.strip_prefix("file://").filter(|folder| !folder.is_empty()) {
            return Ok(Self::File(PathBuf::from(folder)));
        }
        let mut url = url::Url::parse(text).map_err(|_| TAKES)?;
        if !matches!(url.scheme(), "smtp" | "smtps") || url.host().is_none() {
            return Err(TAKES);
        }
        let tls = url.query_pairs().find(|(name, _)| name == "tls").map(|(_, value)| value.into_owned());
        let start_tls = match tls.as_deref() {
            Some("none") => StartTls::Never,
            None if is_loopback(&url) => StartTls::Never,
            None | Some("required") => StartTls::Required,
            Some(_) => return Err(TAKES_TLS),
        };
        url.set_query(None);
        Ok(Self::Smtp(url, start_tls))
    }
}

/// Without user and password.
impl fmt::Display for MailUrl {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::File(folder) => write!(f, "file://{}", folder.display()),
            Self::Smtp(url, _) => write!(f, "{}://{}", url.scheme(), url.host_str().unwrap_or_default()),
        }
    }
}

impl fmt::Debug for MailUrl {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

fn is_loopback(url: &url::Url) -> bool {
    match url.host() {
        // For unknown schemes, the url crate keeps IP addresses as domains.
        Some(url::Host::Domain(name)) => {
            name == "localhost" || name.parse::<std::net::IpAddr>().is_ok_and(|address| address.is_loopback())
        }
        Some(url::Host::Ipv4(address)) => address.is_loopback(),
        Some(url::Host::Ipv6(address)) => address.is_loopback(),
        None => false,
    }
}

/// Parses `name@host` or `Name <name@host>`. Exactly one address: lettre ignores text after it, this function does not.
pub(super) fn sender(text: &str) -> Option<Mailbox> {
    let mailbox: Mailbox = text.trim().parse().ok()?;
    let written: String = text.split_whitespace().collect();
    let address = mailbox.email.to_string();
    let is_all = written == address || written.ends_with(&format!("<{address}>"));
    (is_all && !text.chars().any(char::is_control)).then_some(mailbox)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn start_tls(text: &str) -> Option<StartTls> {
        match MailUrl::parse(text) {
            Ok(MailUrl::Smtp(_, start_tls)) => Some(start_tls),
            _ => None,
        }
    }

    #[test]
    fn remote_server_requires_tls() {
        for text in ["smtp://localhost:2525", "smtp://127.0.0.1:25", "smtp://[::1]:25", "smtp://mailbox:1025?tls=none"]
        {
            assert_eq!(start_tls(text), Some(StartTls::Never), "{text}");
        }
        for text in ["smtp://mail.shop.example:587", "smtp://10.0.0.1", "smtp://localhost?tls=required"] {
            assert_eq!(start_tls(text), Some(StartTls::Required), "{text}");
        }
        for text in ["smtp://h?tls=maybe", "smtps://h?tls=maybe", "smtp://h?tls=", "smtp://", "http://h", "file://", ""]
        {
            assert!(MailUrl::parse(text).is_err(), "{text}");
        }
    }

    #[test]
    fn sender_is_one_address_with_optional_name() {
        for text in [
            "a@b.example",
            " a@b.example ",
            "<a@b.example>",
            "Shop <a@b.example>",
            "\"Shop, Inc\" <a@b.example>",
            "Läden <a@b>",
        ] {
            assert!(sender(text).is_some(), "{text}");
        }
        for text in [
            "",
            "a",
            "a@@b",
            "@b",
            "a@",
            "Shop, Inc <a@b.example>",
            "a@b.example, c@d.example",
            "Shop <a@b.example> now",
            "Shop <a@b.example",
            "a@b.example\r\nBcc: c@d.example",
        ] {
            assert!(sender(text).is_none(), "{text:?}");
        }
    }
}
