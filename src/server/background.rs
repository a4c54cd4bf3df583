//! What runs beside requests: mail delivery and maintenance.

use std::time::Duration;

use tokio::sync::watch;
use tokio::task::JoinHandle;

use super::state::House;
use crate::{mail, orders};

/// How long mail that is under way may take after the last request.
const BACKGROUND_STOPS_WITHIN: Duration = Duration::from_secs(12);
/// How often upkeep looks for something to remove, and how long it pauses while there is.
const UPKEEP_EVERY: Duration = Duration::from_secs(60);
const UPKEEP_BREATH: Duration = Duration::from_millis(200);

/// What goes on beside requests: mail leaves, and what nobody needs any more is removed.
pub struct Background {
    stop: watch::Sender<bool>,
    tasks: [JoinHandle<()>; 2],
}

impl Background {
    pub fn start(house: &House) -> Self {
        let (stop, stopped) = watch::channel(false);
        let site = house.site.origin.as_str().to_owned();
        let (database, clock) = (house.database.as_ref().clone(), house.clock.as_ref().clone());
        let transport = house.transport.as_ref().clone();
        let delivery = mail::deliver(database, clock, transport, site, stopped.clone());
        let tasks = [actix_web::rt::spawn(delivery), actix_web::rt::spawn(keep_up(house.clone(), stopped))];
        Self { stop, tasks }
    }

    /// Lets what is under way finish, for a while.
    pub async fn stop(self) {
        self.stop.send(true).ok();
        for task in self.tasks {
            tokio::time::timeout(BACKGROUND_STOPS_WITHIN, task).await.ok();
        }
    }
}

/// Upkeep: each minute, small batches with pauses in between, so that no request waits for it.
async fn keep_up(house: House, mut stop: watch::Receiver<bool>) {
    loop {
        let removed = run_maintenance(&house).await;
        let pause = if removed > 0 { UPKEEP_BREATH } else { UPKEEP_EVERY };
        tokio::select! {
            _ = stop.changed() => return,
            () = tokio::time::sleep(pause) => {}
        }
    }
}

/// One batch of every step; tells how many rows were removed. A step that fails does not keep the others from being done.
async fn run_maintenance(house: &House) -> u64 {
    let now = house.clock.now();
    let mut steps = vec![
        ("sessions", house.sessions.clean().await),
        ("mailed links", mail::clean_tokens(&house.database, now).await),
        ("recovery links", mail::recoveries::delete_expired(&house.database, now).await),
        ("failed mail", mail::delete_old_failures(&house.database, now).await),
    ];
    steps.extend(orders::run_maintenance(&house.database, now).await);
    steps.extend(house.accounts.clean().await);
    steps.into_iter().map(|(step, done)| rows_of(step, done)).sum()
}

fn rows_of(step: &'static str, done: Result<u64, crate::database::Error>) -> u64 {
    done.unwrap_or_else(|error| {
        tracing::error!(step, %error, "maintenance step failed");
        0
    })
}
