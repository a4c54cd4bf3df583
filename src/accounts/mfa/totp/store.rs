//! The table `totp_factors`.

use sqlx::{Any, Executor, FromRow};

use crate::accounts::mfa::sealing::Sealed;
use crate::database::{Database, Error, MAINTENANCE_BATCH, Transaction};
use crate::domain::{SessionId, UnixSeconds, UserId};

/// A factor, or a setup whose first code is missing.
#[derive(FromRow)]
pub struct Factor {
    secret: Vec<u8>,
    key_id: String,
    /// The session of the setup.
    session_id: Option<String>,
    /// `None` after the setup.
    setup_ends_at: Option<UnixSeconds>,
    /// When the setup was finished.
    pub confirmed_at: Option<UnixSeconds>,
    /// Of the last accepted code.
    pub last_step: i64,
}

impl Factor {
    pub fn sealed(&self) -> Sealed {
        Sealed { bytes: self.secret.clone(), key_id: self.key_id.clone() }
    }

    /// The end of a setup that this session can finish now.
    pub fn setup_end(&self, session_id: &SessionId, now: UnixSeconds) -> Option<UnixSeconds> {
        let is_own = self.session_id.as_deref() == Some(session_id.as_str());
        self.setup_ends_at.filter(|ends_at| is_own && self.confirmed_at.is_none() && *ends_at > now)
    }
}

/// Stores a new setup, if the address is confirmed and the factor is off; returns whether it did.
pub async fn start_setup(
    transaction: &mut Transaction,
    user_id: &UserId,
    sealed: &Sealed,
    session_id: &SessionId,
    ends_at: UnixSeconds,
) -> Result<bool, Error> {
    let stored = sqlx::query(
        "INSERT INTO totp_factors (user_id, secret, key_id, session_id, setup_ends_at, last_step)
         SELECT id, $1, CAST($2 AS TEXT), CAST($3 AS TEXT), CAST($4 AS BIGINT), 0 FROM users
         WHERE id = $5 AND verified_at IS NOT NULL AND disabled_at IS NULL
         ON CONFLICT (user_id) DO UPDATE SET
             secret = excluded.secret, key_id = excluded.key_id, session_id = excluded.session_id,
             setup_ends_at = excluded.setup_ends_at
         WHERE totp_factors.confirmed_at IS NULL",
    )
    .bind(&sealed.bytes)
    .bind(&sealed.key_id)
    .bind(session_id)
    .bind(ends_at)
    .bind(user_id)
    .execute(&mut *transaction)
    .await?;
    Ok(stored.rows_affected() == 1)
}

pub async fn find<'e>(executor: impl Executor<'e, Database = Any>, user_id: &UserId) -> Result<Option<Factor>, Error> {
    sqlx::query_as(
        "SELECT secret, key_id, session_id, setup_ends_at, confirmed_at, last_step FROM totp_factors WHERE user_id = $1",
    )
    .bind(user_id)
    .fetch_optional(executor)
    .await
}

/// Turns the factor on with its first code, if that setup still waits; returns whether it did.
pub async fn confirm(
    transaction: &mut Transaction,
    user_id: &UserId,
    session_id: &SessionId,
    setup_ends_at: UnixSeconds,
    step: i64,
    now: UnixSeconds,
) -> Result<bool, Error> {
    let confirmed = sqlx::query(
        "UPDATE totp_factors SET confirmed_at = $1, last_step = $2, session_id = NULL, setup_ends_at = NULL
         WHERE user_id = $3 AND confirmed_at IS NULL AND session_id = $4 AND setup_ends_at = $5
           AND user_id IN (SELECT id FROM users WHERE id = $6 AND verified_at IS NOT NULL AND disabled_at IS NULL)",
    )
    .bind(now)
    .bind(step)
    .bind(user_id)
    .bind(session_id)
    .bind(setup_ends_at)
    .bind(user_id)
    .execute(&mut *transaction)
    .await?;
    Ok(confirmed.rows_affected() == 1)
}

/// Accepts the code of a step, unless that or a later one was accepted before, or the factor was set up again; returns whether it did.
pub async fn accept_step(
    transaction: &mut Transaction,
    user_id: &UserId,
    confirmed_at: UnixSeconds,
    step: i64,
) -> Result<bool, Error> {
    let accepted = sqlx::query(
        "UPDATE totp_factors SET last_step = $1 WHERE user_id = $2 AND confirmed_at = $3 AND last_step < $4",
    )
    .bind(step)
    .bind(user_id)
    .bind(confirmed_at)
    .bind(step)
    .execute(&mut *transaction)
    .await?;
    Ok(accepted.rows_affected() == 1)
}

/// Removes the factor, or its setup; returns whether it was on.
pub async fn remove_all(transaction: &mut Transaction, user_id: &UserId) -> Result<bool, Error> {
    let removed: Option<Option<UnixSeconds>> =
        sqlx::query_scalar("DELETE FROM totp_factors WHERE user_id = $1 RETURNING confirmed_at")
            .bind(user_id)
            .fetch_optional(&mut *transaction)
            .await?;
    Ok(removed.flatten().is_some())
}

/// Removes a factor that was turned on at that time or later, or a setup; returns whether it was on.
pub async fn remove_added_since(
    transaction: &mut Transaction,
    user_id: &UserId,
    at: UnixSeconds,
) -> Result<bool, Error> {
    let removed: Option<Option<UnixSeconds>> = sqlx::query_scalar(
        "DELETE FROM totp_factors WHERE user_id = $1 AND (confirmed_at IS NULL OR confirmed_at >= $2) RETURNING confirmed_at",
    )
    .bind(user_id)
    .bind(at)
    .fetch_optional(&mut *transaction)
    .await?;
    Ok(removed.flatten().is_some())
}

/// Maintenance: deletes a batch of setups that were not finished in time; returns how many.
pub async fn delete_expired_setups(database: &Database, now: UnixSeconds) -> Result<u64, Error> {
    database.delete_expired("totp_factors", "user_id", "setup_ends_at", now).await
}

/// Secrets that a key encrypted, each with its user.
pub async fn list_of_key(database: &Database, key_id: &str) -> Result<Vec<(UserId, Vec<u8>)>, Error> {
    sqlx::query_as("SELECT user_id, secret FROM totp_factors WHERE key_id = $1 LIMIT $2")
        .bind(key_id)
        .bind(MAINTENANCE_BATCH)
        .fetch_all(database.reader())
        .await
}

/// Stores a secret under another key, unless it was changed meanwhile; returns whether it did.
pub async fn replace_sealed(
    transaction: &mut Transaction,
    user_id: &UserId,
    old_key_id: &str,
    sealed: &Sealed,
) -> Result<bool, Error> {
    let replaced = sqlx::query("UPDATE totp_factors SET secret = $1, key_id = $2 WHERE user_id = $3 AND key_id = $4")
        .bind(&sealed.bytes)
        .bind(&sealed.key_id)
        .bind(user_id)
        .bind(old_key_id)
        .execute(&mut *transaction)
        .await?;
    Ok(replaced.rows_affected() == 1)
}
