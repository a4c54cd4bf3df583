//! The rows of activity.

use crate::accounts::Email;
use crate::accounts::activity::{Entry, KEPT};
use crate::clock::UnixSeconds;
use crate::database::{Database, Error, Transaction, UPKEEP_BATCH};

/// One event as it is shown.
pub(in crate::accounts) struct Happened {
    pub event: String,
    pub client_address: String,
    pub user_agent: String,
    pub at: UnixSeconds,
}

/// Writes an event of a user; it is logged once it is stored.
pub(in crate::accounts) async fn record(
    transaction: &mut Transaction,
    user_id: &str,
    entry: &Entry<'_>,
) -> Result<(), Error> {
    sqlx::query(
        "INSERT INTO activity (id, user_id, event, client_address, user_agent, at) VALUES ($1, $2, $3, $4, $5, $6)",
    )
    .bind(&entry.id)
    .bind(user_id)
    .bind(entry.event.code())
    .bind(entry.client.address.to_string())
    .bind(&entry.client.user_agent)
    .bind(entry.at.get())
    .execute(&mut *transaction)
    .await?;
    log_after_commit(transaction, Some(user_id.to_owned()), entry);
    Ok(())
}

/// Writes an event of whoever has the address, with the same work when nobody has it.
pub(in crate::accounts) async fn record_for_address(
    transaction: &mut Transaction,
    email: &Email,
    entry: &Entry<'_>,
) -> Result<(), Error> {
    let user_id: Option<String> = sqlx::query_scalar(
        "INSERT INTO activity (id, user_id, event, client_address, user_agent, at)
         VALUES ($1, (SELECT id FROM users WHERE email = $2), $3, $4, $5, $6) RETURNING user_id",
    )
    .bind(&entry.id)
    .bind(email.as_str())
    .bind(entry.event.code())
    .bind(entry.client.address.to_string())
    .bind(&entry.client.user_agent)
    .bind(entry.at.get())
    .fetch_one(&mut *transaction)
    .await?;
    log_after_commit(transaction, user_id, entry);
    Ok(())
}

fn log_after_commit(transaction: &mut Transaction, user_id: Option<String>, entry: &Entry<'_>) {
    let (event, client) = (entry.event, entry.client.clone());
    transaction.after_commit(move || event.log(user_id.as_deref(), &client));
}

/// The user's last events, newest first.
pub(in crate::accounts) async fn list(
    database: &Database,
    user_id: &str,
    now: UnixSeconds,
    most: i64,
) -> Result<Vec<Happened>, Error> {
    let rows: Vec<(String, String, String, i64)> = sqlx::query_as(
        "SELECT event, client_address, user_agent, at FROM activity
         WHERE user_id = $1 AND at > $2 ORDER BY at DESC, id DESC LIMIT $3",
    )
    .bind(user_id)
    .bind(now.plus(-KEPT).get())
    .bind(most)
    .fetch_all(database.reader())
    .await?;
    let happened = |(event, client_address, user_agent, at)| Happened {
        event,
        client_address,
        user_agent,
        at: UnixSeconds::new(at),
    };
    Ok(rows.into_iter().map(happened).collect())
}

/// Maintenance: removes some events that are too old; tells how many.
pub(in crate::accounts) async fn delete_old(database: &Database, now: UnixSeconds) -> Result<u64, Error> {
    let done =
        sqlx::query(DELETE_OLD).bind(now.plus(-KEPT).get()).bind(UPKEEP_BATCH).execute(database.writer()).await?;
    Ok(done.rows_affected())
}

/// Maintenance: removes some events whose address nobody has; tells how many.
pub(in crate::accounts) async fn delete_unowned(database: &Database) -> Result<u64, Error> {
    let done = sqlx::query(DELETE_UNOWNED).bind(UPKEEP_BATCH).execute(database.writer()).await?;
    Ok(done.rows_affected())
}

// Two statements: with OR between the conditions SQLite reads the whole table.
const DELETE_OLD: &str =
    "DELETE FROM activity WHERE id IN (SELECT id FROM activity WHERE at <= $1 ORDER BY at LIMIT $2)";
const DELETE_UNOWNED: &str =
    "DELETE FROM activity WHERE id IN (SELECT id FROM activity WHERE user_id IS NULL LIMIT $1)";
