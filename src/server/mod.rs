//! The server: opens the database, builds the app, serves, drains and stops.
//!
//! | file | purpose |
//! |---|---|
//! | `open_database.rs` | opens and migrates the database at start; waits for a server that is down |
//! | `app.rs` | the app: shared state, middleware in its order |
//! | `routes.rs`, `well_known.rs` | routes and their guards; `/.well-known` and the icon |
//! | `listeners.rs` | the listener of the app |
//! | `metrics.rs` | the listener of the metrics, and those that are read from the database |
//! | `acceptor.rs`, `connection_limits.rs`, `client_stream.rs` | TLS handshake and socket options; limits on open connections; idle connections |
//! | `tls.rs` | the certificate, reloaded on SIGHUP and when its files change |
//! | `background.rs` | mail delivery and maintenance |
//! | `drain.rs`, `stop.rs` | requests in flight; signals, and a stop that cuts no request |

mod acceptor;
mod app;
mod background;
mod client_stream;
mod connection_limits;
mod drain;
mod error;
mod listeners;
mod metrics;
mod open_database;
mod routes;
mod stop;
mod tls;
mod well_known;

use std::io::Write;
use std::sync::Arc;
use std::time::Duration;

use app::AppState;
use background::Background;
pub use error::ServeError;
use open_database::open_database;
use stop::Stopped;
pub use tls::load as load_certificate;
use tls::{Certificate, Hangups};

use tokio::sync::oneshot;

use crate::accounts::BreachedPasswords;
use crate::clock::Clock;
use crate::config::Config;
use crate::web::Assets;

/// Wait for the reader of standard output.
const ANNOUNCE_TIMEOUT: Duration = Duration::from_secs(1);

/// Serves until SIGTERM or Ctrl-C, finishes the requests in flight, then closes the database.
///
/// # Errors
/// [`ServeError`].
pub async fn run(config: Config, clock: Clock) -> Result<(), ServeError> {
    let hangups = Hangups::listen();
    let assets = Assets::load(config.static_dir.as_deref(), &config.shop).map_err(ServeError::Assets)?;
    let breached = config.breached_passwords.as_deref().map(BreachedPasswords::load).transpose()?;
    let database = open_database(&config).await?;
    let listener = listeners::listen(config.bind_addr, "BIND_ADDR")?;
    let bound = listener.local_addr().unwrap_or(config.bind_addr);
    let origin = config.origin_at(bound.port());
    let state = AppState::build(&config, clock, database.clone(), (assets, breached), &origin, bound.port())?;
    let certificate = config.tls.as_ref().map(|files| Certificate::load(files, state.drain.as_ref().clone()));
    let certificate = certificate.transpose()?.map(Arc::new);
    let to_close = listener.try_clone().map_err(|error| ServeError::Failed(error.to_string()))?;
    let server = listeners::start(listener, certificate.clone(), state.clone())?;
    let metrics = config.metrics_addr.map(|address| metrics::start(address, &state)).transpose()?;
    let background = Background::start(&state);
    actix_web::rt::spawn(tls::reload(certificate, hangups));

    announce(&origin).await;
    tracing::info!(address = %bound, origin, "serving");
    for warning in config.warnings() {
        tracing::warn!("{warning}");
    }
    let stopped = stop::serve(server, to_close, &state.drain, Duration::from_secs(config.drain_seconds)).await;
    if let Some(metrics) = metrics {
        metrics.stop(false).await;
    }
    if !matches!(stopped, Ok(Stopped::AtOnce)) {
        let finish = async {
            background.stop().await;
            database.close().await;
        };
        tokio::select! {
            () = finish => {}
            () = stop::signal() => tracing::warn!("stopping at once: a second signal"),
        }
    }
    tracing::info!("stopped");
    stopped.map(drop).map_err(|error| ServeError::Failed(error.to_string()))
}

/// Prints the address, in a thread: standard output may be closed, or a pipe that is not read.
async fn announce(origin: &str) {
    let line = format!("order-portal is at {origin}\n");
    let (printed, is_printed) = oneshot::channel();
    std::thread::spawn(move || {
        std::io::stdout().write_all(line.as_bytes()).ok();
        printed.send(()).ok();
    });
    tokio::time::timeout(ANNOUNCE_TIMEOUT, is_printed).await.ok();
}
