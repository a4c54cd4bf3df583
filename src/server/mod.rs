//! Runs the server: opens the database, builds the app, serves until told to stop, drains.
//!
//! | file | what it is for |
//! |---|---|
//! | `open_database.rs` | the database at the start: waiting for it, migrating it |
//! | `state.rs` | what handlers find in app data |
//! | `routes.rs` | routes and their guards |
//! | `listeners.rs` | the app with the order of its middleware; metrics |
//! | `tls.rs` | the certificate |
//! | `background.rs` | mail delivery and maintenance |
//! | `stop.rs` | signals |

mod background;
mod error;
mod listeners;
mod open_database;
mod routes;
mod state;
mod stop;
mod tls;

use background::Background;
pub use error::ServeError;
use open_database::open_database;
use state::House;
pub use state::{CLAIM, REMOVE_SAMPLES};
pub use tls::config as tls_config;

use crate::clock::Clock;
use crate::config::Config;
use crate::web::Assets;

/// Serves until told to stop (SIGTERM or Ctrl-C), finishes what is in flight, then closes the database.
///
/// # Errors
/// [`ServeError`].
pub async fn run(config: Config, clock: Clock) -> Result<(), ServeError> {
    let assets = Assets::load(&config.static_dir).map_err(ServeError::Assets)?;
    let database = open_database(&config).await?;
    let listener = listeners::listen(config.bind_addr, "BIND_ADDR")?;
    let bound = listener.local_addr().unwrap_or(config.bind_addr);
    let origin = config.origin_at(bound.port());
    let house = House::build(&config, clock, database.clone(), assets, &origin, bound.port())?;
    let server = listeners::start(listener, &config, house.clone())?;
    let metrics = config.metrics_addr.map(listeners::start_metrics).transpose()?;
    let background = Background::start(&house);

    let handle = server.handle();
    actix_web::rt::spawn(stop::stop_on_signal(handle));
    println!("order-portal is at {origin}");
    tracing::info!(address = %bound, origin, "serving");
    for warning in config.warnings() {
        tracing::warn!("{warning}");
    }
    let served = server.await.map_err(|error| ServeError::Failed(error.to_string()));
    if let Some(metrics) = metrics {
        metrics.stop(false).await;
    }
    background.stop().await;
    database.close().await;
    tracing::info!("stopped");
    served
}
