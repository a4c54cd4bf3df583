//! The table `trusted_networks`.

use super::hash;
use crate::accounts::trusted_browser::store::TrustedTable;
use crate::database::{Database, Error};
use crate::domain::{UnixSeconds, UserId};

pub const TABLE: TrustedTable = TrustedTable("trusted_networks");

/// Whether the user's account trusts the network. An unknown user costs the same query.
pub async fn is_trusted(database: &Database, user_id: Option<&UserId>, network: &str) -> Result<bool, Error> {
    let unknown = UserId::new(String::new());
    let user_id = user_id.unwrap_or(&unknown);
    let row: Option<(i64,)> =
        sqlx::query_as("SELECT last_used_at FROM trusted_networks WHERE hash = $1 AND user_id = $2")
            .bind(hash(user_id, network))
            .bind(user_id)
            .fetch_optional(database.reader())
            .await?;
    Ok(row.is_some())
}

/// Maintenance: deletes a batch of networks that were not used since; returns how many.
pub async fn delete_unused(database: &Database, unused_since: UnixSeconds) -> Result<u64, Error> {
    database.delete_expired("trusted_networks", "hash", "last_used_at", unused_since).await
}
