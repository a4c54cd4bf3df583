//! Opens the database at start. Waits for a PostgreSQL server that is down, not for a file.

use std::time::{Duration, Instant};

use crate::config::Config;
use crate::database::{AppliedNow, Database, OpenError};

/// How long to retry, and the pause between attempts.
const RETRY_FOR: Duration = Duration::from_secs(60);
const RETRY_PAUSE: Duration = Duration::from_secs(2);

/// Opens the database, migrates it and checks that it is writable.
pub async fn open_database(config: &Config) -> Result<Database, OpenError> {
    let began = Instant::now();
    loop {
        match open_once(config).await {
            Err(error) if error.is_transient() && began.elapsed() < RETRY_FOR => {
                let seconds = (RETRY_FOR - began.elapsed()).as_secs();
                tracing::warn!(%error, "database unavailable at start; trying for another {seconds} seconds");
                tokio::time::sleep(RETRY_PAUSE).await;
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
