//! Whether passkeys work at the address of a request. They belong to the domain of the public URL, so they work neither at an IP address nor
//! at another name of the server (`127.0.0.1` in development).

use std::convert::Infallible;
use std::future::{Ready, ready};

use actix_web::dev::Payload;
use actix_web::http::header;
use actix_web::{FromRequest, HttpRequest, web};

use crate::accounts::Accounts;
use crate::web::Site;

const SCRIPT: &str = "passkeys.js";

/// What a page needs to offer passkeys, as an extractor.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum PasskeyAvailability {
    /// With the URL of the script.
    Available { script: String },
    /// With the reason for the customer.
    Unavailable { reason: String },
}

impl PasskeyAvailability {
    fn of(request: &HttpRequest) -> Self {
        let (Some(site), Some(accounts)) =
            (request.app_data::<web::Data<Site>>(), request.app_data::<web::Data<Accounts>>())
        else {
            return Self::Unavailable { reason: String::new() };
        };
        let origin = site.origin.as_str();
        if accounts.passkeys.relying_party_id().is_err() {
            let reason = "Passkeys do not work here, because the address of this site has no domain name.".to_owned();
            return Self::Unavailable { reason };
        }
        if !is_sent_to(request, origin) {
            return Self::Unavailable { reason: format!("Passkeys work only at {origin}.") };
        }
        Self::Available { script: site.assets.url(SCRIPT) }
    }

    /// The URL of the script, if passkeys work.
    pub fn script(&self) -> Option<&str> {
        match self {
            Self::Available { script } => Some(script),
            Self::Unavailable { .. } => None,
        }
    }

    pub fn is_available(&self) -> bool {
        self.script().is_some()
    }

    /// Why passkeys do not work; empty if they do.
    pub fn reason(&self) -> &str {
        match self {
            Self::Available { .. } => "",
            Self::Unavailable { reason } => reason,
        }
    }
}

/// Whether the request was sent to the host of the public URL.
fn is_sent_to(request: &HttpRequest, origin: &str) -> bool {
    let host = request.headers().get(header::HOST).and_then(|host| host.to_str().ok()).unwrap_or_default();
    let sent = origin.split_once("://").and_then(|(scheme, _)| url::Url::parse(&format!("{scheme}://{host}")).ok());
    let own = url::Url::parse(origin).ok();
    // Compared as URLs, because the port may be left out if it is the scheme's own.
    sent.zip(own).is_some_and(|(sent, own)| sent.origin() == own.origin())
}

impl FromRequest for PasskeyAvailability {
    type Error = Infallible;
    type Future = Ready<Result<Self, Infallible>>;

    fn from_request(request: &HttpRequest, _: &mut Payload) -> Self::Future {
        ready(Ok(Self::of(request)))
    }
}

#[cfg(test)]
mod tests {
    use actix_web::test::TestRequest;

    use super::*;

    #[test]
    fn request_is_compared_with_the_public_url_by_host_and_port() {
        let is_sent_to = |host: &str, origin| {
            is_sent_to(&TestRequest::default().insert_header((header::HOST, host)).to_http_request(), origin)
        };
        for (host, origin) in [
            ("localhost:8080", "http://localhost:8080"),
            ("LOCALHOST:8080", "http://localhost:8080"),
            ("shop.example", "https://shop.example"),
            ("shop.example:443", "https://shop.example"),
        ] {
            assert!(is_sent_to(host, origin), "{host}");
        }
        for host in ["127.0.0.1:8080", "localhost:8081", "localhost", "[::1]:8080", ""] {
            assert!(!is_sent_to(host, "http://localhost:8080"), "{host}");
        }
    }
}
