//! `order-portal migrate` and `restore`.

use std::path::Path;

use super::{Failure, failed, print};
use crate::clock::Clock;
use crate::config::Config;
use crate::database::Database;
use crate::database::restore::{self, Ended};

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

pub(super) async fn restore(config: &Config, clock: &Clock, file: &Path) -> Result<(), Failure> {
    let restored = restore::restore(&config.database_url, file, clock.now()).await.map_err(failed)?;
    print(format!("{} is restored from {}; {}", restored.database.display(), file.display(), in_words(restored.ended)));
    if let Some(replaced) = restored.replaced {
        print(format!("the database that it replaces is kept as {}", replaced.display()));
    }
    if restored.is_behind {
        print("it is of an older version: order-portal serve or migrate applies the migrations that it lacks");
    }
    Ok(())
}

/// `3 sessions ended, 1 link and 2 queued messages removed`.
fn in_words(ended: Ended) -> String {
    let count = |number: i64, one: &str| if number == 1 { format!("1 {one}") } else { format!("{number} {one}s") };
    format!(
        "{} ended, {} and {} removed",
        count(ended.sessions, "session"),
        count(ended.links, "link"),
        count(ended.messages, "queued message")
    )
}
