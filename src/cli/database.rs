//! `order-portal migrate` and `backup`: the database as a whole.

use std::path::Path;

use super::{Failure, failed, print};
use crate::config::Config;
use crate::database::Database;

pub(super) async fn migrate(config: &Config) -> Result<(), Failure> {
    let database = Database::open(&config.database_url).await.map_err(failed)?;
    let applied = database.migrate().await.map_err(failed)?;
    for migration in &applied {
        print(format!("applied {:04} {}", migration.version, migration.description));
    }
    if applied.is_empty() {
        print("nothing to apply: the database is up to date");
    }
    database.close().await;
    Ok(())
}

pub(super) async fn backup(config: &Config, file: &Path) -> Result<(), Failure> {
    let database = Database::open(&config.database_url).await.map_err(failed)?;
    let done = database.backup(file).await.map_err(failed);
    database.close().await;
    done?;
    print(format!("wrote {}", file.display()));
    Ok(())
}
