//! The host check (421) and CSRF protection (403).

use actix_web::body::{EitherBody, MessageBody};
use actix_web::dev::{ServiceRequest, ServiceResponse};
use actix_web::http::Method;
use actix_web::http::header::{self, HeaderMap};
use actix_web::middleware::Next;
use actix_web::{HttpRequest, ResponseError, web};

use super::{Error, Site};

/// Loopback names, which are accepted in development.
const LOOPBACK: [&str; 3] = ["localhost", "127.0.0.1", "[::1]"];

/// The public origin, and the other names of this site.
pub struct OwnOrigin {
    /// `https://shop.example`
    origin: String,
    /// `shop.example`, with the port if it is not the scheme's default.
    host: String,
    /// Whether the host is a domain name and no IP address.
    has_domain: bool,
    /// Ports for which any loopback name is accepted; none in production.
    loopback_ports: Vec<u16>,
}

impl OwnOrigin {
    /// `origin` is `scheme://host[:port]`; `loopback_ports` is empty in production.
    pub fn new(origin: &str, loopback_ports: Vec<u16>) -> Self {
        let host = origin.split_once("://").map_or(origin, |(_, host)| host);
        let has_domain = url::Url::parse(origin).is_ok_and(|url| url.domain().is_some());
        Self { origin: origin.to_ascii_lowercase(), host: host.to_ascii_lowercase(), has_domain, loopback_ports }
    }

    /// Whether the public origin uses TLS.
    pub fn is_https(&self) -> bool {
        self.origin.starts_with("https://")
    }

    /// The public origin, for links in mail and `iss` of tokens.
    pub fn as_str(&self) -> &str {
        &self.origin
    }

    /// Whether the host is a domain name and no IP address.
    pub fn has_domain(&self) -> bool {
        self.has_domain
    }

    /// Whether a `Host` is that of the public origin, and not another name in development.
    pub fn is_public_host(&self, host: &str) -> bool {
        let host = host.to_ascii_lowercase();
        let default_port = if self.is_https() { ":443" } else { ":80" };
        let without_port = host.strip_suffix(default_port).unwrap_or(&host);
        without_port == self.host || host == self.host
    }

    fn has_host(&self, host: &str) -> bool {
        self.is_public_host(host) || self.is_loopback(&host.to_ascii_lowercase())
    }

    fn is_loopback(&self, host: &str) -> bool {
        let Some((name, port)) = host.rsplit_once(':') else {
            return false;
        };
        LOOPBACK.contains(&name) && port.parse().is_ok_and(|port| self.loopback_ports.contains(&port))
    }

    /// Whether an origin is this site.
    pub fn is_own(&self, origin: &str) -> bool {
        let origin = origin.to_ascii_lowercase();
        origin == self.origin || origin.strip_prefix("http://").is_some_and(|host| self.is_loopback(host))
    }
}

/// Middleware: refuses requests for other hosts (DNS rebinding, host header injection) before anything else. Health checks accept any host.
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

/// Middleware: refuses unsafe requests of other sites, by Fetch Metadata or else by `Origin` (OWASP CSRF Prevention Cheat Sheet). Independent of
/// `SameSite=Strict`, which prevents the same.
pub async fn csrf_protection<B: MessageBody + 'static>(
    request: ServiceRequest,
    next: Next<B>,
) -> Result<ServiceResponse<EitherBody<B>>, actix_web::Error> {
    let is_safe = matches!(*request.method(), Method::GET | Method::HEAD | Method::OPTIONS | Method::TRACE);
    if is_safe || request.app_data::<web::Data<Site>>().is_some_and(|site| is_own(request.headers(), &site.origin)) {
        return next.call(request).await.map(ServiceResponse::map_into_left_body);
    }
    tracing::info!("CSRF refused");
    let error = Error::Forbidden(
        "the request came from another site, so nothing was changed. Load the page from this site and try again"
            .to_owned(),
    );
    Ok(request.into_response(error.error_response()).map_into_right_body())
}

fn is_own(headers: &HeaderMap, own: &OwnOrigin) -> bool {
    let all = |name| headers.get_all(name).map(|value| value.to_str().unwrap_or_default()).collect::<Vec<_>>();
    let sites = all("sec-fetch-site");
    if !sites.is_empty() {
        return sites.iter().all(|site| matches!(*site, "same-origin" | "none"));
    }
    // A request without both headers is not from a browser that sends another site's form: browsers send `Origin` with forms.
    all("origin").iter().all(|origin| own.is_own(origin))
}

/// The `Referer` of the request, if it is a page of this site.
pub fn same_origin_referer(request: &HttpRequest, site: &Site) -> Option<url::Url> {
    let referer = url::Url::parse(request.headers().get(header::REFERER)?.to_str().ok()?).ok()?;
    site.origin.is_own(&referer.origin().ascii_serialization()).then_some(referer)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn public_host_is_none_of_the_other_names_of_development() {
        let own = OwnOrigin::new("http://localhost:8080", vec![8080]);
        assert!(own.has_domain() && own.is_public_host("LOCALHOST:8080") && own.has_host("127.0.0.1:8080"));
        for host in ["127.0.0.1:8080", "[::1]:8080", "localhost", "localhost:8081", ""] {
            assert!(!own.is_public_host(host), "{host}");
        }
        for origin in ["http://127.0.0.1:8080", "https://[::1]", "https://192.0.2.1"] {
            assert!(!OwnOrigin::new(origin, Vec::new()).has_domain(), "{origin}");
        }
    }

    #[test]
    fn production_accepts_only_its_own_host() {
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
}
