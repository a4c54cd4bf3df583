//! Whether passkeys work at the address of a request. They belong to the domain of the public URL, so they work neither at an IP address nor
//! at another name of the server (`127.0.0.1` in development).

use actix_web::HttpRequest;
use actix_web::http::header;

use super::Site;

const SCRIPT: &str = "passkeys.js";

/// A part of each page's layout.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub enum PasskeySupport {
    Supported {
        /// The URL of the script.
        script: String,
    },
    /// The request was sent to another host than the public URL's.
    OtherHost { public_origin: String },
    /// The public URL has no domain.
    #[default]
    NoDomain,
}

impl PasskeySupport {
    pub(super) fn of(request: &HttpRequest, site: &Site) -> Self {
        let host = request.headers().get(header::HOST).and_then(|host| host.to_str().ok()).unwrap_or_default();
        if !site.origin.has_domain() {
            Self::NoDomain
        } else if site.origin.is_public_host(host) {
            Self::Supported { script: site.assets.url(SCRIPT) }
        } else {
            Self::OtherHost { public_origin: site.origin.as_str().to_owned() }
        }
    }

    pub fn is_supported(&self) -> bool {
        self.script().is_some()
    }

    /// The URL of the script, if passkeys work.
    pub fn script(&self) -> Option<&str> {
        if let Self::Supported { script } = self { Some(script) } else { None }
    }

    /// Why passkeys do not work; `None` if they do.
    pub fn reason(&self) -> Option<String> {
        match self {
            Self::Supported { .. } => None,
            Self::OtherHost { public_origin } => Some(format!("Passkeys work only at {public_origin}.")),
            Self::NoDomain => {
                Some("Passkeys do not work here, because the address of this site has no domain name.".to_owned())
            }
        }
    }
}
