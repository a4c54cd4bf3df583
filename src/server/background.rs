//! Background tasks: mail delivery and maintenance.

use std::sync::Arc;
use std::time::Duration;

use tokio::sync::watch;
use tokio::task::JoinHandle;

use super::app::AppState;
use crate::{mail, orders};

/// Time for deliveries in progress at a stop.
const STOP_TIMEOUT: Duration = Duration::from_secs(12);
/// Pause between maintenance runs: after one that deleted nothing, and after one that may not be complete.
const MAINTENANCE_INTERVAL: Duration = Duration::from_secs(60);
const BATCH_PAUSE: Duration = Duration::from_millis(200);

pub struct Background {
    stop: watch::Sender<bool>,
    tasks: [JoinHandle<()>; 2],
}

impl Background {
    pub fn start(state: &AppState) -> Self {
        let (stop, stopped) = watch::channel(false);
        let site = state.site.origin.as_str().to_owned();
        let (database, clock) = (state.database.as_ref().clone(), state.clock.as_ref().clone());
        let transport = state.transport.as_ref().clone();
        let (shop, zone) = (Arc::clone(&state.site.shop), state.sessions.default_zone().clone());
        let sender = mail::Sender { site, shop, zone };
        let delivery = mail::deliver(database, clock, transport, sender, stopped.clone());
        let tasks = [actix_web::rt::spawn(delivery), actix_web::rt::spawn(maintain(state.clone(), stopped))];
        Self { stop, tasks }
    }

    /// Lets the tasks finish what they do, for at most [`STOP_TIMEOUT`] each.
    pub async fn stop(self) {
        self.stop.send(true).ok();
        for task in self.tasks {
            tokio::time::timeout(STOP_TIMEOUT, task).await.ok();
        }
    }
}

/// Runs maintenance every minute, in small batches with pauses, so that requests do not wait for it.
async fn maintain(state: AppState, mut stop: watch::Receiver<bool>) {
    loop {
        let removed = run_maintenance(&state).await;
        let pause = if removed > 0 { BATCH_PAUSE } else { MAINTENANCE_INTERVAL };
        tokio::select! {
            _ = stop.changed() => return,
            () = tokio::time::sleep(pause) => {}
        }
    }
}

/// Runs one batch of every step and returns the number of rows. A failed step does not affect the others.
async fn run_maintenance(state: &AppState) -> u64 {
    let now = state.clock.now();
    let mut steps = vec![
        ("sessions", state.sessions.delete_expired().await),
        ("mailed links", mail::tokens::delete_expired(&state.database, now).await),
        ("recovery links", mail::recoveries::delete_expired(&state.database, now).await),
        ("failed mail", mail::delete_old_failures(&state.database, now).await),
    ];
    steps.extend(orders::run_maintenance(&state.database, state.sessions.default_zone(), now).await);
    steps.extend(state.accounts.delete_expired().await);
    steps.into_iter().map(|(step, done)| rows_of(step, done)).sum()
}

fn rows_of(step: &'static str, done: Result<u64, crate::database::Error>) -> u64 {
    done.unwrap_or_else(|error| {
        tracing::error!(step, %error, "maintenance step failed");
        0
    })
}
