//! Where a request must come from: the host check (421) and the check against forged requests (403).

use actix_web::body::{EitherBody, MessageBody};
use actix_web::dev::{ServiceRequest, ServiceResponse};
use actix_web::http::Method;
use actix_web::http::header::{self, HeaderMap};
use actix_web::middleware::Next;
use actix_web::{HttpRequest, ResponseError, web};

use super::{Error, Site};

/// Names of this very computer, which development answers to.
const LOOPBACK: [&str; 3] = ["localhost", "127.0.0.1", "[::1]"];

/// The origin that people see, and what else counts as this site.
pub struct OwnOrigin {
    /// `https://shop.example`
    origin: String,
    /// `shop.example`, with the port unless it is the scheme's own.
    host: String,
    /// Ports at which any loopback name is this site; none in production.
    loopback_ports: Vec<u16>,
}

impl OwnOrigin {
    /// `origin` is `scheme://host[:port]`; `loopback_ports` is empty in production.
    pub fn new(origin: &str, loopback_ports: Vec<u16>) -> Self {
        let host = origin.split_once("://").map_or(origin, |(_, host)| host);
        Self { origin: origin.to_ascii_lowercase(), host: host.to_ascii_lowercase(), loopback_ports }
    }

    /// Whether people reach the site over TLS.
    pub fn is_https(&self) -> bool {
        self.origin.starts_with("https://")
    }

    /// The origin that people see, for links in mail and the tokens' `iss`.
    pub fn as_str(&self) -> &str {
        &self.origin
    }

    fn has_host(&self, host: &str) -> bool {
        let host = host.to_ascii_lowercase();
        let default_port = if self.is_https() { ":443" } else { ":80" };
        let bare = host.strip_suffix(default_port).unwrap_or(&host);
        bare == self.host || host == self.host || self.is_loopback(&host)
    }

    fn is_loopback(&self, host: &str) -> bool {
        let Some((name, port)) = host.rsplit_once(':') else {
            return false;
        };
        LOOPBACK.contains(&name) && port.parse().is_ok_and(|port| self.loopback_ports.contains(&port))
    }

    /// Whether an origin is this site's.
    pub fn is_own(&self, origin: &str) -> bool {
        let origin = origin.to_ascii_lowercase();
        origin == self.origin || origin.strip_prefix("http://").is_some_and(|host| self.is_loopback(host))
    }
}

/// Middleware: refuses a request for another host before anything reads it: a name rebound to this address, or one
/// that would poison links. Probes of the process answer to any name.
///
/// # Errors
/// Those of what it wraps.
pub async fn require_own_host<B: MessageBody + 'static>(
    request: ServiceRequest,
    next: Next<B>,
) -> Result<ServiceResponse<EitherBody<B>>, actix_web::Error> {
    let is_probe = matches!(request.path(), "/healthz" | "/readyz");
    if is_probe || is_for_this_site(request.request()) {
        return next.call(request).await.map(ServiceResponse::map_into_left_body);
    }
    Ok(request.into_response(Error::Misdirected.error_response()).map_into_right_body())
}

fn is_for_this_site(request: &HttpRequest) -> bool {
    let Some(site) = request.app_data::<web::Data<Site>>() else {
        return false;
    };
    let mut hosts = request.headers().get_all(header::HOST);
    // A target in absolute form names the host, too.
    let in_target = request.uri().authority().map(|authority| authority.as_str().to_owned());
    let in_header = match (hosts.next(), hosts.next()) {
        (Some(host), None) => host.to_str().ok().map(str::to_owned),
        (None, _) => in_target.clone(),
        _ => None,
    };
    let agree = in_target.is_none_or(|target| site.origin.has_host(&target));
    agree && in_header.is_some_and(|host| site.origin.has_host(&host))
}

/// Middleware: refuses an unsafe request that another site had the browser send (OWASP CSRF Prevention Cheat Sheet, "Fetch
/// Metadata headers", with `Origin` for what does not send them). Stands beside `SameSite=Strict`, which covers the same
/// ground from the other side.
///
/// # Errors
/// Those of what it wraps.
pub async fn refuse_forged<B: MessageBody + 'static>(
    request: ServiceRequest,
    next: Next<B>,
) -> Result<ServiceResponse<EitherBody<B>>, actix_web::Error> {
    let is_safe = matches!(*request.method(), Method::GET | Method::HEAD | Method::OPTIONS | Method::TRACE);
    if is_safe || request.app_data::<web::Data<Site>>().is_some_and(|site| is_own(request.headers(), &site.origin)) {
        return next.call(request).await.map(ServiceResponse::map_into_left_body);
    }
    tracing::info!("CSRF refused");
    let refused = Error::Forbidden(
        "the request came from another site, so nothing was changed. Load the page from this site and try again"
            .to_owned(),
    );
    Ok(request.into_response(refused.error_response()).map_into_right_body())
}

fn is_own(headers: &HeaderMap, own: &OwnOrigin) -> bool {
    let all = |name| headers.get_all(name).map(|value| value.to_str().unwrap_or_default()).collect::<Vec<_>>();
    let sites = all("sec-fetch-site");
    if !sites.is_empty() {
        return sites.iter().all(|site| matches!(*site, "same-origin" | "none"));
    }
    // With neither header it is no browser that another site drives: all that send forms name an origin. A script carries nobody's
    // cookie but its own.
    all("origin").iter().all(|origin| own.is_own(origin))
}

/// The address of the page that `request` came from, when that page is this site's.
pub fn own_referer(request: &HttpRequest, site: &Site) -> Option<url::Url> {
    let referer = url::Url::parse(request.headers().get(header::REFERER)?.to_str().ok()?).ok()?;
    site.origin.is_own(&referer.origin().ascii_serialization()).then_some(referer)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn production_answers_to_its_own_name_alone() {
        let own = OwnOrigin::new("https://shop.example", Vec::new());
        for host in ["shop.example", "SHOP.example", "shop.example:443"] {
            assert!(own.has_host(host), "{host}");
        }
        for host in
            ["", "evil.example", "shop.example:8443", "localhost:443", "shop.example.evil.example", "shop.example:80"]
        {
            assert!(!own.has_host(host), "{host}");
        }
        assert!(own.is_own("https://shop.example"));
        for origin in ["null", "", "http://shop.example", "https://shop.example.evil", "https://shop.example:8443"] {
            assert!(!own.is_own(origin), "{origin}");
        }
    }

    #[test]
    fn development_answers_to_any_loopback_name_at_its_port() {
        let own = OwnOrigin::new("http://localhost:8080", vec![8080]);
        for host in ["localhost:8080", "127.0.0.1:8080", "[::1]:8080"] {
            assert!(own.has_host(host) && own.is_own(&format!("http://{host}")), "{host}");
        }
        for host in ["localhost", "localhost:8081", "127.0.0.2:8080", "evil.example:8080", "localhost:x"] {
            assert!(!own.has_host(host) && !own.is_own(&format!("http://{host}")), "{host}");
        }
    }
}
