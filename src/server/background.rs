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
        let removed = match clean(&house).await {
            Ok(removed) => removed,
            Err(error) => {
                tracing::error!(%error, "upkeep failed and is tried again");
                0
            }
        };
        let pause = if removed > 0 { UPKEEP_BREATH } else { UPKEEP_EVERY };
        tokio::select! {
            _ = stop.changed() => return,
            () = tokio::time::sleep(pause) => {}
        }
    }
}

async fn clean(house: &House) -> Result<u64, crate::database::Error> {
    Ok(house.sessions.clean().await?
        + mail::clean_tokens(&house.database, house.clock.now()).await?
        + mail::delete_old_failures(&house.database, house.clock.now()).await?
        + orders::clean(&house.database, house.clock.now()).await?
        + house.accounts.clean().await?)
}
