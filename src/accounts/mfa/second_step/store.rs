//! The table `pending_logins`.

use super::PendingLogin;
use crate::database::{Database, Error, Transaction};
use crate::domain::{UnixSeconds, UserId};
use crate::sessions::Expiry;
use crate::web::NextPath;

fn persistence_code(expiry: Expiry) -> &'static str {
    match expiry {
        Expiry::Idle => "no",
        Expiry::Fixed => "yes",
    }
}

pub async fn insert(
    transaction: &mut Transaction,
    hash: &[u8],
    login: &PendingLogin,
    expires_at: UnixSeconds,
) -> Result<(), Error> {
    sqlx::query(
        "INSERT INTO pending_logins (hash, user_id, password_hash, is_persistent, next, wrong_codes, expires_at)
         VALUES ($1, $2, $3, $4, $5, 0, $6)",
    )
    .bind(hash)
    .bind(&login.user_id)
    .bind(&login.password_hash)
    .bind(persistence_code(login.expiry))
    .bind(login.next.as_ref().map(NextPath::as_str))
    .bind(expires_at)
    .execute(&mut *transaction)
    .await
    .map(drop)
}

/// The login of a token, if it waits for a code now. A new password and a disabled account end it.
pub async fn find(database: &Database, hash: &[u8], now: UnixSeconds) -> Result<Option<PendingLogin>, Error> {
    let row: Option<(UserId, String, String, Option<String>)> = sqlx::query_as(
        "SELECT l.user_id, l.password_hash, l.is_persistent, l.next
         FROM pending_logins l JOIN users u ON u.id = l.user_id AND u.password_hash = l.password_hash
         WHERE l.hash = $1 AND l.expires_at > $2 AND u.disabled_at IS NULL",
    )
    .bind(hash)
    .bind(now)
    .fetch_optional(database.reader())
    .await?;
    Ok(row.map(|(user_id, password_hash, is_persistent, next)| PendingLogin {
        user_id,
        password_hash,
        expiry: if is_persistent == persistence_code(Expiry::Fixed) { Expiry::Fixed } else { Expiry::Idle },
        next: next.as_deref().and_then(NextPath::parse),
    }))
}

/// Deletes the login; returns whether it still waited for a code.
pub async fn consume(transaction: &mut Transaction, hash: &[u8], now: UnixSeconds) -> Result<bool, Error> {
    let deleted = sqlx::query("DELETE FROM pending_logins WHERE hash = $1 AND expires_at > $2")
        .bind(hash)
        .bind(now)
        .execute(&mut *transaction)
        .await?;
    Ok(deleted.rows_affected() == 1)
}

/// Counts a wrong code; returns how many there were. `None` if the login has ended.
pub async fn count_wrong(transaction: &mut Transaction, hash: &[u8], now: UnixSeconds) -> Result<Option<i64>, Error> {
    sqlx::query_scalar(
        "UPDATE pending_logins SET wrong_codes = wrong_codes + 1 WHERE hash = $1 AND expires_at > $2 RETURNING wrong_codes",
    )
    .bind(hash)
    .bind(now)
    .fetch_optional(&mut *transaction)
    .await
}

pub async fn remove_all(transaction: &mut Transaction, user_id: &UserId) -> Result<(), Error> {
    sqlx::query("DELETE FROM pending_logins WHERE user_id = $1")
        .bind(user_id)
        .execute(&mut *transaction)
        .await
        .map(drop)
}

/// Maintenance: deletes a batch of expired logins; returns how many.
pub async fn delete_expired(database: &Database, now: UnixSeconds) -> Result<u64, Error> {
    database.delete_expired("pending_logins", "hash", "expires_at", now).await
}
