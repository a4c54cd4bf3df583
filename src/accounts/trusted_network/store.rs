//! The table `trusted_networks`.

use crate::accounts::trusted_browser::store::TrustedTable;
use crate::database::{Database, Error};
use crate::domain::UnixSeconds;

pub const TABLE: TrustedTable = TrustedTable("trusted_networks");

/// Maintenance: deletes a batch of networks that were not used since; returns how many.
pub async fn delete_unused(database: &Database, unused_since: UnixSeconds) -> Result<u64, Error> {
    database.delete_expired("trusted_networks", "hash", "last_used_at", unused_since).await
}
