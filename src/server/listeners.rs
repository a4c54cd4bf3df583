//! The two listeners: the app with the order of its middleware, and metrics.

use std::net::{SocketAddr, TcpListener};
use std::num::NonZeroUsize;
use std::sync::Arc;
use std::time::Duration;

use actix_http::HttpService;
use actix_service::{ServiceFactoryExt, fn_service, map_config};
use actix_web::dev::{AppConfig, Server, ServerHandle};
use actix_web::middleware::from_fn;
use actix_web::{App, HttpResponse, HttpServer, web};

use super::acceptor::Acceptor;
use super::connection_limits::{Connections, Limits, raise_descriptor_limit};
use super::error::ServeError;
use super::state::House;
use super::tls::Certificate;
use super::{drain, routes};
use crate::telemetry;
use crate::web::{client, compression, error, headers, origin};

/// How long a client may take to send a request's head; its body has a limit of its own.
const HEAD_ARRIVES_WITHIN: Duration = Duration::from_secs(10);
/// How long a connection without a request is kept.
const KEEP_ALIVE: Duration = Duration::from_secs(30);
/// How much of answers is gathered before it is sent. What a client does not read stays in memory, with the body that was begun.
const WRITE_BUFFER: usize = 8 * 1024;
/// How long the last bytes of answers may take once no request is in flight.
const FLUSH_SECONDS: u64 = 5;
/// As many as actix takes.
const MOST_WORKERS: usize = 512;

pub fn listen(address: SocketAddr, variable: &'static str) -> Result<TcpListener, ServeError> {
    TcpListener::bind(address).map_err(|source| ServeError::Listen { address, variable, source })
}

/// The app of one worker. Middleware runs from the last `wrap` inwards: a request is counted, named and logged, gets its security
/// headers and its compression, a page for whatever fails inside, and is held to its host and origin before any
/// handler sees it.
macro_rules! app {
    ($house:expr) => {{
        let house = $house;
        App::new()
            .app_data(house.site.clone())
            .app_data(house.database.clone())
            .app_data(house.clock.clone())
            .app_data(house.sessions.clone())
            .app_data(house.accounts.clone())
            .app_data(house.transport.clone())
            .app_data(house.drain.clone())
            .app_data(web::FormConfig::default().limit(crate::web::body::LARGEST))
            .app_data(web::JsonConfig::default().limit(crate::web::body::LARGEST))
            .wrap(from_fn(origin::refuse_forged))
            .wrap(from_fn(origin::require_own_host))
            .wrap(from_fn(error::late_errors))
            .wrap(from_fn(headers::head_as_get))
            .wrap(from_fn(compression::compress))
            .wrap(from_fn(headers::unchunked_for_http_10))
            .wrap(from_fn(headers::secure))
            .wrap(from_fn(client::log_client))
            .wrap(from_fn(telemetry::trace_request))
            .wrap(from_fn(drain::count))
            .configure(|routes| routes::configure(routes, &house.site))
    }};
}

/// Serves HTTP/1 alone; docs/decisions/http2-is-left-to-a-proxy.md says why. `HttpServer` would do the same, but leaves no room for a limit
/// on connections before the TLS handshake.
pub fn start(listener: TcpListener, certificate: Option<Arc<Certificate>>, house: House) -> Result<Server, ServeError> {
    let failed = |error: std::io::Error| ServeError::Failed(error.to_string());
    let workers = std::thread::available_parallelism().map_or(2, NonZeroUsize::get).min(MOST_WORKERS);
    let limits = Limits::for_descriptors(raise_descriptor_limit(), workers);
    tracing::info!(connections = limits.total, per_network = limits.per_network, "connection limits");
    let tls = certificate.map(Certificate::server_config).transpose()?;
    let acceptor = Acceptor::new(Connections::new(limits, house.site.trusted_proxies.clone()), tls);
    let server = Server::build()
        .workers(workers)
        // Those that wait for a worker count, too, and must not take what is reserved.
        .max_concurrent_connections((limits.total + limits.total / 2).div_ceil(workers))
        .shutdown_timeout(FLUSH_SECONDS)
        .disable_signals();
    let stopping = server.graceful_shutdown_signal();
    let server = server.listen("order-portal", listener, move || {
        let (acceptor, stopping) = (acceptor.clone(), stopping.clone());
        let counts = house.drain.as_ref().clone();
        let http = HttpService::build()
            .client_request_timeout(HEAD_ARRIVES_WITHIN)
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
            .h1(map_config(app!(house.clone()), |()| AppConfig::default()));
        fn_service(move |stream| acceptor.clone().accept(stream)).and_then(http.map_err(drop))
    });
    Ok(server.map_err(failed)?.run())
}

/// Prometheus' text on a listener of its own, which the public does not reach.
pub fn start_metrics(address: SocketAddr) -> Result<ServerHandle, ServeError> {
    let listener = listen(address, "METRICS_ADDR")?;
    let server =
        HttpServer::new(|| App::new().wrap(from_fn(headers::secure)).service(web::resource("/metrics").get(metrics)))
            .workers(1)
            .disable_signals()
            .listen(listener)
            .map_err(|error| ServeError::Failed(error.to_string()))?
            .run();
    let handle = server.handle();
    actix_web::rt::spawn(server);
    tracing::info!(%address, "metrics");
    Ok(handle)
}

async fn metrics() -> HttpResponse {
    HttpResponse::Ok().content_type("text/plain; version=0.0.4").body(telemetry::metrics_text())
}
