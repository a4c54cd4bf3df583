//! The table `audit_events`.

use super::{AuditEvent, NewAuditEvent};
use crate::database::{Database, Error, MAINTENANCE_BATCH, Transaction};
use crate::domain::{Email, UnixSeconds, UserId};

/// Stores an event of a user, and logs it after the commit.
pub async fn record(transaction: &mut Transaction, user_id: &UserId, new: &NewAuditEvent<'_>) -> Result<(), Error> {
    sqlx::query(
        "INSERT INTO audit_events (id, user_id, event, client_address, user_agent, at) VALUES ($1, $2, $3, $4, $5, $6)",
    )
    .bind(&new.id)
    .bind(user_id)
    .bind(new.event.code())
    .bind(new.client.address.to_string())
    .bind(&new.client.user_agent)
    .bind(new.at)
    .execute(&mut *transaction)
    .await?;
    log_after_commit(transaction, Some(user_id.clone()), new);
    Ok(())
}

/// Stores an event of the account with that address. Without such an account a row is stored, too, so that the time taken is the same;
/// maintenance deletes it.
pub async fn record_for_address(
    transaction: &mut Transaction,
    email: &Email,
    new: &NewAuditEvent<'_>,
) -> Result<(), Error> {
    let user_id: Option<UserId> = sqlx::query_scalar(
        "INSERT INTO audit_events (id, user_id, event, client_address, user_agent, at)
         VALUES ($1, (SELECT id FROM users WHERE email = $2), $3, $4, $5, $6) RETURNING user_id",
    )
    .bind(&new.id)
    .bind(email.as_str())
    .bind(new.event.code())
    .bind(new.client.address.to_string())
    .bind(&new.client.user_agent)
    .bind(new.at)
    .fetch_one(&mut *transaction)
    .await?;
    log_after_commit(transaction, user_id, new);
    Ok(())
}

fn log_after_commit(transaction: &mut Transaction, user_id: Option<UserId>, new: &NewAuditEvent<'_>) {
    let (event, client) = (new.event, new.client.clone());
    transaction.after_commit(move || event.log(user_id.as_deref(), &client));
}

/// The user's latest events after `since`, newest first.
pub async fn list(
    database: &Database,
    user_id: &UserId,
    since: UnixSeconds,
    limit: i64,
) -> Result<Vec<AuditEvent>, Error> {
    sqlx::query_as(
        "SELECT event, client_address, user_agent, at FROM audit_events
         WHERE user_id = $1 AND at > $2 ORDER BY at DESC, id DESC LIMIT $3",
    )
    .bind(user_id)
    .bind(since)
    .bind(limit)
    .fetch_all(database.reader())
    .await
}

/// Maintenance: deletes a batch of the events up to that time; returns how many.
pub async fn delete_old(database: &Database, until: UnixSeconds) -> Result<u64, Error> {
    database.delete_expired("audit_events", "id", "at", until).await
}

/// Maintenance: deletes a batch of events without an account; returns how many. A statement of its own: with OR between the conditions
/// SQLite scans the whole table.
pub async fn delete_unowned(database: &Database) -> Result<u64, Error> {
    let sql = "DELETE FROM audit_events WHERE id IN (SELECT id FROM audit_events WHERE user_id IS NULL LIMIT $1)";
    let query = sqlx::query(sql).bind(MAINTENANCE_BATCH);
    query.execute(database.writer()).await.map(|deleted| deleted.rows_affected())
}
