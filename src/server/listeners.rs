//! The two listeners: the app with the order of its middleware, and metrics.

use std::net::{SocketAddr, TcpListener};
use std::sync::Arc;
use std::time::Duration;

use actix_web::dev::{Server, ServerHandle};
use actix_web::middleware::{Compress, from_fn};
use actix_web::{App, HttpResponse, HttpServer, web};

use super::error::ServeError;
use super::state::House;
use super::tls::Certificate;
use super::{drain, routes};
use crate::telemetry;
use crate::web::{client, error, headers, origin};

/// How long a client may take to send a request's head; its body has a limit of its own.
const HEAD_ARRIVES_WITHIN: Duration = Duration::from_secs(10);
/// How long a connection without a request is kept.
const KEEP_ALIVE: Duration = Duration::from_secs(30);
/// How long the last bytes of answers may take once no request is in flight.
const FLUSH_SECONDS: u64 = 5;

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
            .wrap(Compress::default())
            .wrap(from_fn(headers::secure))
            .wrap(from_fn(client::log_client))
            .wrap(from_fn(telemetry::trace_request))
            .wrap(from_fn(drain::count))
            .configure(|routes| routes::configure(routes, &house.site))
    }};
}

pub fn start(listener: TcpListener, certificate: Option<Arc<Certificate>>, house: House) -> Result<Server, ServeError> {
    let counts = house.drain.as_ref().clone();
    let server = HttpServer::new(move || app!(house.clone()))
        .on_connect(move |_, data| {
            data.insert(counts.open_connection());
        })
        .client_request_timeout(HEAD_ARRIVES_WITHIN)
        .client_disconnect_timeout(Duration::from_secs(3))
        .keep_alive(KEEP_ALIVE)
        .shutdown_timeout(FLUSH_SECONDS)
        .disable_signals();
    let failed = |error: std::io::Error| ServeError::Failed(error.to_string());
    let server = match certificate {
        Some(certificate) => server.listen_rustls_0_23(listener, certificate.server_config()?).map_err(failed)?,
        None => server.listen(listener).map_err(failed)?,
    };
    Ok(server.run())
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
