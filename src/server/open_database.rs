//! Opening the database at the start: a server that is away for a moment is waited for, a file is not.

use std::time::{Duration, Instant};

use crate::config::Config;
use crate::database::{AppliedNow, Database, OpenError};

/// How long a database server that is away is waited for, and how often it is tried meanwhile.
const WAITED_FOR: Duration = Duration::from_secs(60);
const TRIED_EVERY: Duration = Duration::from_secs(2);

/// The database, migrated and writable.
pub async fn open_database(config: &Config) -> Result<Database, OpenError> {
    let began = Instant::now();
    loop {
        match open_once(config).await {
            Err(error) if error.is_transient() && began.elapsed() < WAITED_FOR => {
                let seconds = (WAITED_FOR - began.elapsed()).as_secs();
                tracing::warn!(%error, "database unavailable at start; trying for another {seconds} seconds");
                tokio::time::sleep(TRIED_EVERY).await;
            }
            done => return done,
        }
    }
}

async fn open_once(config: &Config) -> Result<Database, OpenError> {
    let database = Database::create_or_open(&config.database_url).await?;
    let migrated = database.migrate().await?;
    for AppliedNow { version, description } in migrated.here {
        tracing::info!(version, description, "migration applied");
    }
    for AppliedNow { version, description } in migrated.elsewhere {
        tracing::info!(version, description, "migration applied by another process");
    }
    database.check_writable().await.map_err(|source| OpenError::not_writable(&config.database_url, source))?;
    Ok(database)
}
