//! The listener of the app.

use std::net::{SocketAddr, TcpListener};
use std::num::NonZeroUsize;
use std::sync::Arc;
use std::time::Duration;

use actix_http::HttpService;
use actix_service::{ServiceFactoryExt, fn_service, map_config};
use actix_web::dev::{AppConfig, Server};

use super::acceptor::Acceptor;
use super::app::{AppState, app};
use super::connection_limits::{Connections, Limits, raise_descriptor_limit};
use super::error::ServeError;
use super::tls::Certificate;

/// Timeout for the head of a request. The body has its own, see `web::body`.
const HEAD_TIMEOUT: Duration = Duration::from_secs(10);
/// Timeout of an idle connection.
const KEEP_ALIVE: Duration = Duration::from_secs(30);
/// Bytes of responses that are buffered for a client that does not read.
const WRITE_BUFFER: usize = 8 * 1024;
/// Time to send the last bytes of responses at a stop.
const FLUSH_SECONDS: u64 = 5;
/// actix's own limit.
const MAX_WORKERS: usize = 512;

pub fn listen(address: SocketAddr, variable: &'static str) -> Result<TcpListener, ServeError> {
    TcpListener::bind(address).map_err(|source| ServeError::Listen { address, variable, source })
}

/// Serves HTTP/1 only, see docs/decisions/http2-only-through-a-proxy.md. Not by `HttpServer`, which has no hook before the TLS handshake for the
/// limit on connections.
pub fn start(
    listener: TcpListener,
    certificate: Option<Arc<Certificate>>,
    state: AppState,
) -> Result<Server, ServeError> {
    let failed = |error: std::io::Error| ServeError::Failed(error.to_string());
    let workers = std::thread::available_parallelism().map_or(2, NonZeroUsize::get).min(MAX_WORKERS);
    let limits = Limits::for_descriptors(raise_descriptor_limit(), workers);
    tracing::info!(connections = limits.total, per_network = limits.per_network, "connection limits");
    let tls = certificate.map(Certificate::server_config).transpose()?;
    let acceptor = Acceptor::new(Connections::new(limits, state.site.trusted_proxies.clone()), tls);
    let server = Server::build()
        .workers(workers)
        // Connections that wait for a worker count too, and must not use the reserved descriptors.
        .max_concurrent_connections((limits.total + limits.total / 2).div_ceil(workers))
        .shutdown_timeout(FLUSH_SECONDS)
        .disable_signals();
    let stopping = server.graceful_shutdown_signal();
    let server = server.listen("order-portal", listener, move || {
        let (acceptor, stopping) = (acceptor.clone(), stopping.clone());
        let counts = state.drain.as_ref().clone();
        let http = HttpService::build()
            .client_request_timeout(HEAD_TIMEOUT)
            .client_disconnect_timeout(Duration::from_secs(3))
            .keep_alive(KEEP_ALIVE)
            .h1_write_buffer_size(WRITE_BUFFER)
            .on_connect_ext(move |_, data| {
                data.insert(counts.open_connection());
            })
            .graceful_shutdown_signal(move || {
                let stopping = stopping.clone();
                async move { stopping.notified().await }
            })
            .h1(map_config(app(state.clone()), |()| AppConfig::default()));
        fn_service(move |stream| acceptor.clone().accept(stream)).and_then(http.map_err(drop))
    });
    Ok(server.map_err(failed)?.run())
}
