//! The client's address and user agent.

use std::convert::Infallible;
use std::future::{Ready, ready};
use std::net::{IpAddr, Ipv4Addr};

use actix_web::body::MessageBody;
use actix_web::dev::{Payload, ServiceRequest, ServiceResponse};
use actix_web::http::header;
use actix_web::middleware::Next;
use actix_web::{FromRequest, HttpRequest, web};

use super::{Site, user_agent};

const MAX_USER_AGENT_CHARS: usize = 300;

#[derive(Clone, Debug)]
pub struct Client {
    /// The nearest address that is not a trusted proxy's.
    pub address: IpAddr,
    /// `User-Agent` without control characters, shortened; may be empty.
    pub user_agent: String,
}

impl Client {
    /// Browser and system, as text.
    pub fn device(&self) -> String {
        user_agent::describe(&self.user_agent)
    }
}

impl FromRequest for Client {
    type Error = Infallible;
    type Future = Ready<Result<Self, Infallible>>;

    fn from_request(request: &HttpRequest, _: &mut Payload) -> Self::Future {
        ready(Ok(Self { address: address(request), user_agent: read_user_agent(request) }))
    }
}

/// Middleware: every log line of a request names the client's address (ASVS 5.0 V16.2.1).
pub async fn log_client<B: MessageBody>(
    request: ServiceRequest,
    next: Next<B>,
) -> Result<ServiceResponse<B>, actix_web::Error> {
    tracing::Span::current().record("client", tracing::field::display(address(request.request())));
    next.call(request).await
}

fn address(request: &HttpRequest) -> IpAddr {
    let peer = request.peer_addr().map_or(IpAddr::V4(Ipv4Addr::UNSPECIFIED), |peer| peer.ip().to_canonical());
    let Some(site) = request.app_data::<web::Data<Site>>() else {
        return peer;
    };
    let forwarded = request.headers().get_all("x-forwarded-for").filter_map(|value| value.to_str().ok());
    let hops: Vec<&str> = forwarded.flat_map(|value| value.split(',')).map(str::trim).collect();
    behind_proxies(peer, &hops, |address| site.trusted_proxies.iter().any(|net| net.contains(&address)))
}

/// Walks `X-Forwarded-For` from its end, the entry of the nearest proxy, while the entry's author is a trusted proxy.
fn behind_proxies(peer: IpAddr, hops: &[&str], is_trusted: impl Fn(IpAddr) -> bool) -> IpAddr {
    let mut nearest = peer;
    for hop in hops.iter().rev() {
        if !is_trusted(nearest) {
            break;
        }
        let Ok(address) = hop.parse::<IpAddr>() else {
            break;
        };
        nearest = address.to_canonical();
    }
    nearest
}

fn read_user_agent(request: &HttpRequest) -> String {
    let sent = request.headers().get(header::USER_AGENT).map(|value| String::from_utf8_lossy(value.as_bytes()));
    let visible = sent.iter().flat_map(|text| text.chars()).filter(|letter| !letter.is_control());
    visible.take(MAX_USER_AGENT_CHARS).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn address_of(peer: &str, hops: &[&str]) -> String {
        let proxy: IpAddr = "10.0.0.1".parse().unwrap();
        behind_proxies(peer.parse().unwrap(), hops, |address| address == proxy).to_string()
    }

    #[test]
    fn forwarded_header_of_an_untrusted_client_is_ignored() {
        assert_eq!(address_of("198.51.100.7", &["203.0.113.9"]), "198.51.100.7");
    }

    #[test]
    fn forwarded_header_is_read_only_as_written_by_trusted_proxies() {
        assert_eq!(address_of("10.0.0.1", &["192.0.2.66", "203.0.113.9"]), "203.0.113.9");
        assert_eq!(address_of("10.0.0.1", &["203.0.113.9", "10.0.0.1"]), "203.0.113.9");
        assert_eq!(address_of("10.0.0.1", &["nonsense"]), "10.0.0.1");
    }
}
