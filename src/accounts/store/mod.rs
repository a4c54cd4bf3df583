//! The rows of users.

pub(super) mod activity;
pub(super) mod browsers;
pub(super) mod networks;
pub(super) mod throttles;
pub mod users;

use crate::accounts::Email;
use crate::clock::UnixSeconds;
use crate::database::{Database, Error, Transaction};
use crate::web::Zone;

/// What the account's own pages need to know of it.
pub(in crate::accounts) struct Account {
    pub id: String,
    pub email: Email,
    pub password_hash: String,
    pub created_at: UnixSeconds,
    pub verified_at: Option<UnixSeconds>,
    pub time_zone: Option<String>,
}

type AccountRow = (String, String, String, i64, Option<i64>, Option<String>);

fn account((id, email, password_hash, created_at, verified_at, time_zone): AccountRow) -> Option<Account> {
    Some(Account {
        id,
        email: Email::parse(&email).ok()?,
        password_hash,
        created_at: UnixSeconds::new(created_at),
        verified_at: verified_at.map(UnixSeconds::new),
        time_zone,
    })
}

/// Whether an account has the address, or could take it back by a recovery link.
pub(in crate::accounts) async fn is_taken(database: &Database, email: &Email, now: UnixSeconds) -> Result<bool, Error> {
    let row: Option<(String,)> = sqlx::query_as(
        "SELECT id FROM users WHERE email = $1
         UNION ALL SELECT id FROM recoveries WHERE email = $2 AND expires_at > $3 LIMIT 1",
    )
    .bind(email.as_str())
    .bind(email.as_str())
    .bind(now.get())
    .fetch_optional(database.reader())
    .await?;
    Ok(row.is_some())
}

pub(in crate::accounts) async fn find_by_email(database: &Database, email: &Email) -> Result<Option<Account>, Error> {
    let row: Option<AccountRow> = sqlx::query_as(
        "SELECT id, email, password_hash, created_at, verified_at, time_zone FROM users WHERE email = $1",
    )
    .bind(email.as_str())
    .fetch_optional(database.reader())
    .await?;
    Ok(row.and_then(account))
}

pub(in crate::accounts) async fn find_by_id(database: &Database, id: &str) -> Result<Option<Account>, Error> {
    let row: Option<AccountRow> = sqlx::query_as(BY_ID).bind(id).fetch_optional(database.reader()).await?;
    Ok(row.and_then(account))
}

/// The account, while that session of it lives.
pub(in crate::accounts) async fn find(
    database: &Database,
    id: &str,
    session_id: &str,
    now: UnixSeconds,
) -> Result<Option<Account>, Error> {
    let row: Option<AccountRow> = sqlx::query_as(
        "SELECT u.id, u.email, u.password_hash, u.created_at, u.verified_at, u.time_zone FROM users u JOIN sessions s ON s.user_id = u.id
         WHERE u.id = $1 AND u.disabled_at IS NULL AND s.id = $2 AND s.revoked_at IS NULL AND s.expires_at > $3",
    )
    .bind(id)
    .bind(session_id)
    .bind(now.get())
    .fetch_optional(database.reader())
    .await?;
    Ok(row.and_then(account))
}

/// Whether that session lives, as it stands in this transaction.
pub(in crate::accounts) async fn has_live_session(
    transaction: &mut Transaction,
    id: &str,
    session_id: &str,
    now: UnixSeconds,
) -> Result<bool, Error> {
    let row: Option<(String,)> = sqlx::query_as(
        "SELECT s.id FROM sessions s JOIN users u ON u.id = s.user_id
         WHERE u.id = $1 AND u.disabled_at IS NULL AND s.id = $2 AND s.revoked_at IS NULL AND s.expires_at > $3",
    )
    .bind(id)
    .bind(session_id)
    .bind(now.get())
    .fetch_optional(&mut *transaction)
    .await?;
    Ok(row.is_some())
}

/// Adds a user; tells whether the address was free. Both conditions stand in one statement, and so in one snapshot: an address
/// that an account is just letting go of is either still the account's or already kept for it.
pub(in crate::accounts) async fn insert(
    transaction: &mut Transaction,
    id: &str,
    email: &Email,
    password_hash: &str,
    now: UnixSeconds,
) -> Result<bool, Error> {
    let done = sqlx::query(
        "INSERT INTO users (id, email, password_hash, created_at)
         SELECT CAST($1 AS TEXT), CAST($2 AS TEXT), CAST($3 AS TEXT), CAST($4 AS BIGINT)
         WHERE NOT EXISTS (SELECT 1 FROM users WHERE email = $5)
           AND NOT EXISTS (SELECT 1 FROM recoveries WHERE email = $6 AND expires_at > $7)
         ON CONFLICT (email) DO NOTHING",
    )
    .bind(id)
    .bind(email.as_str())
    .bind(password_hash)
    .bind(now.get())
    .bind(email.as_str())
    .bind(email.as_str())
    .bind(now.get())
    .execute(&mut *transaction)
    .await?;
    Ok(done.rows_affected() == 1)
}

/// Sets a new password unless it was changed meanwhile; tells whether it did.
pub(in crate::accounts) async fn set_password(
    transaction: &mut Transaction,
    id: &str,
    old: Option<&str>,
    new: &str,
) -> Result<bool, Error> {
    let done = sqlx::query(
        "UPDATE users SET password_hash = $1
         WHERE id = $2 AND disabled_at IS NULL AND (CAST($3 AS TEXT) IS NULL OR password_hash = $4)",
    )
    .bind(new)
    .bind(id)
    .bind(old)
    .bind(old)
    .execute(&mut *transaction)
    .await?;
    Ok(done.rows_affected() == 1)
}

/// Takes the address as its owner's, if it is still the account's; tells whether it is.
pub(in crate::accounts) async fn verify(
    transaction: &mut Transaction,
    id: &str,
    email: &str,
    now: UnixSeconds,
) -> Result<bool, Error> {
    let done = sqlx::query("UPDATE users SET verified_at = COALESCE(verified_at, $1) WHERE id = $2 AND email = $3")
        .bind(now.get())
        .bind(id)
        .bind(email)
        .execute(&mut *transaction)
        .await?;
    Ok(done.rows_affected() == 1)
}

/// The account, as it stands in this transaction.
pub(in crate::accounts) async fn find_in(transaction: &mut Transaction, id: &str) -> Result<Option<Account>, Error> {
    let row: Option<AccountRow> = sqlx::query_as(BY_ID).bind(id).fetch_optional(&mut *transaction).await?;
    Ok(row.and_then(account))
}

const BY_ID: &str = "SELECT id, email, password_hash, created_at, verified_at, time_zone FROM users WHERE id = $1";

/// Takes what the browser tells of the time zone, unless one was chosen.
pub(in crate::accounts) async fn guess_zone(transaction: &mut Transaction, id: &str, zone: &Zone) -> Result<(), Error> {
    sqlx::query("UPDATE users SET time_zone = $1 WHERE id = $2 AND time_zone_chosen_at IS NULL")
        .bind(zone.name())
        .bind(id)
        .execute(&mut *transaction)
        .await
        .map(drop)
}

/// Has times shown in the zone that the customer chose.
pub(in crate::accounts) async fn choose_zone(
    database: &Database,
    id: &str,
    zone: &Zone,
    now: UnixSeconds,
) -> Result<(), Error> {
    sqlx::query("UPDATE users SET time_zone = $1, time_zone_chosen_at = $2 WHERE id = $3")
        .bind(zone.name())
        .bind(now.get())
        .bind(id)
        .execute(database.writer())
        .await
        .map(drop)
}

/// Gives the account another address, which was shown to be its owner's; tells whether it was free: no other account has it or could
/// take it back by a recovery link.
pub(in crate::accounts) async fn set_email(
    transaction: &mut Transaction,
    id: &str,
    email: &str,
    now: UnixSeconds,
) -> Result<bool, Error> {
    let done = sqlx::query(
        "UPDATE users SET email = $1, verified_at = $2
         WHERE id = $3 AND NOT EXISTS (SELECT 1 FROM users o WHERE o.email = $4 AND o.id <> $5)
           AND NOT EXISTS (SELECT 1 FROM recoveries r WHERE r.email = $6 AND r.user_id <> $7 AND r.expires_at > $8)",
    )
    .bind(email)
    .bind(now.get())
    .bind(id)
    .bind(email)
    .bind(id)
    .bind(email)
    .bind(id)
    .bind(now.get())
    .execute(&mut *transaction)
    .await?;
    Ok(done.rows_affected() == 1)
}

/// Removes the account; what hangs on it goes with it.
pub(in crate::accounts) async fn delete(transaction: &mut Transaction, id: &str) -> Result<(), Error> {
    // A request for a new password waits under the address, whoever's it is.
    sqlx::query("DELETE FROM mail_queue WHERE recipient IN (SELECT email FROM users WHERE id = $1)")
        .bind(id)
        .execute(&mut *transaction)
        .await?;
    sqlx::query("DELETE FROM users WHERE id = $1").bind(id).execute(&mut *transaction).await.map(drop)
}
