//! Runs the server: opens the database, builds the app, serves until told to stop, drains.
//!
//! | file | what it is for |
//! |---|---|
//! | `open_database.rs` | the database at the start: waiting for it, migrating it |
//! | `state.rs` | what handlers find in app data |
//! | `routes.rs`, `well_known.rs` | routes and their guards; what programs look for at a fixed address |
//! | `listeners.rs` | the app with the order of its middleware; metrics |
//! | `acceptor.rs`, `connection_limits.rs`, `client_stream.rs` | what a connection passes before HTTP, how many are open, when it is idle |
//! | `tls.rs` | the certificate, reloaded on SIGHUP and when its files change |
//! | `background.rs` | mail delivery and maintenance |
//! | `drain.rs`, `stop.rs` | what is in flight; signals, and a stop that cuts no request |

mod acceptor;
mod background;
mod client_stream;
mod connection_limits;
mod drain;
mod error;
mod listeners;
mod open_database;
mod routes;
mod state;
mod stop;
mod tls;
mod well_known;

use std::io::Write;
use std::sync::Arc;
use std::time::Duration;

use background::Background;
pub use error::ServeError;
use open_database::open_database;
use state::House;
pub use state::{CLAIM, REMOVE_SAMPLES};
use stop::Stopped;
pub use tls::load as load_certificate;
use tls::{Certificate, Hangups};

use tokio::sync::oneshot;

use crate::clock::Clock;
use crate::config::Config;
use crate::web::Assets;

/// How long whoever reads standard output may take to read the address.
const ANNOUNCES_WITHIN: Duration = Duration::from_secs(1);

/// Serves until told to stop (SIGTERM or Ctrl-C), finishes what is in flight, then closes the database.
///
/// # Errors
/// [`ServeError`].
pub async fn run(config: Config, clock: Clock) -> Result<(), ServeError> {
    let hangups = Hangups::listen();
    let assets = Assets::load(&config.static_dir).map_err(ServeError::Assets)?;
    let database = open_database(&config).await?;
    let listener = listeners::listen(config.bind_addr, "BIND_ADDR")?;
    let bound = listener.local_addr().unwrap_or(config.bind_addr);
    let origin = config.origin_at(bound.port());
    let house = House::build(&config, clock, database.clone(), assets, &origin, bound.port())?;
    let certificate = config.tls.as_ref().map(|files| Certificate::load(files, house.drain.as_ref().clone()));
    let certificate = certificate.transpose()?.map(Arc::new);
    let to_close = listener.try_clone().map_err(|error| ServeError::Failed(error.to_string()))?;
    let server = listeners::start(listener, certificate.clone(), house.clone())?;
    let metrics = config.metrics_addr.map(listeners::start_metrics).transpose()?;
    let background = Background::start(&house);
    actix_web::rt::spawn(tls::reload(certificate, hangups));

    announce(&origin).await;
    tracing::info!(address = %bound, origin, "serving");
    for warning in config.warnings() {
        tracing::warn!("{warning}");
    }
    let stopped = stop::serve(server, to_close, &house.drain, Duration::from_secs(config.drain_seconds)).await;
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

/// Prints where the portal is. Standard output may be closed, or a pipe that nobody reads: a thread of its own waits for that
/// reader, the server does not.
async fn announce(origin: &str) {
    let line = format!("order-portal is at {origin}\n");
    let (printed, is_printed) = oneshot::channel();
    std::thread::spawn(move || {
        std::io::stdout().write_all(line.as_bytes()).ok();
        printed.send(()).ok();
    });
    tokio::time::timeout(ANNOUNCES_WITHIN, is_printed).await.ok();
}
