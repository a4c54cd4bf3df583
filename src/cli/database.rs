//! `order-portal migrate` and `backup`: the database as a whole.

use std::path::Path;

use super::{Failure, failed, open, print};
use crate::config::Config;
use crate::database::Database;

pub(super) async fn migrate(config: &Config) -> Result<(), Failure> {
    let database = Database::create_or_open(&config.database_url).await.map_err(failed)?;
    let migrated = database.migrate().await.map_err(failed)?;
    for migration in &migrated.here {
        print(format!("applied {:04} {}", migration.version, migration.description));
    }
    for migration in &migrated.elsewhere {
        print(format!("another process applied {:04} {}", migration.version, migration.description));
    }
    if migrated.here.is_empty() && migrated.elsewhere.is_empty() {
        print("nothing to apply: the database is up to date");
    }
    database.close().await;
    Ok(())
}

pub(super) async fn backup(config: &Config, file: &Path) -> Result<(), Failure> {
    let database = open(config).await?;
    let done = database.backup(file).await.map_err(failed);
    database.close().await;
    done?;
    print(format!("wrote {}", file.display()));
    Ok(())
}
