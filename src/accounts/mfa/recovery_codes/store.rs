//! The table `recovery_codes`.

use sqlx::{Any, Executor};

use super::RecoveryCode;
use crate::database::{Database, Error, Transaction};
use crate::domain::{UnixSeconds, UserId};

/// Replaces all codes of the user.
pub async fn replace(
    transaction: &mut Transaction,
    user_id: &UserId,
    codes: &[RecoveryCode],
    now: UnixSeconds,
) -> Result<(), Error> {
    remove_all(transaction, user_id).await?;
    for code in codes {
        sqlx::query("INSERT INTO recovery_codes (user_id, hash, created_at) VALUES ($1, $2, $3)")
            .bind(user_id)
            .bind(code.hash())
            .bind(now)
            .execute(&mut *transaction)
            .await?;
    }
    Ok(())
}

/// Whether the user has the code.
pub async fn exists(database: &Database, user_id: &UserId, hash: &[u8]) -> Result<bool, Error> {
    let row: Option<(i64,)> = sqlx::query_as("SELECT created_at FROM recovery_codes WHERE user_id = $1 AND hash = $2")
        .bind(user_id)
        .bind(hash)
        .fetch_optional(database.reader())
        .await?;
    Ok(row.is_some())
}

/// Deletes the code; returns whether the user had it. One statement, so a code works once.
pub async fn consume(transaction: &mut Transaction, user_id: &UserId, hash: &[u8]) -> Result<bool, Error> {
    let deleted = sqlx::query("DELETE FROM recovery_codes WHERE user_id = $1 AND hash = $2")
        .bind(user_id)
        .bind(hash)
        .execute(&mut *transaction)
        .await?;
    Ok(deleted.rows_affected() == 1)
}

/// How many codes the user has left.
pub async fn count<'e>(executor: impl Executor<'e, Database = Any>, user_id: &UserId) -> Result<i64, Error> {
    sqlx::query_scalar("SELECT COUNT(*) FROM recovery_codes WHERE user_id = $1").bind(user_id).fetch_one(executor).await
}

pub async fn remove_all(transaction: &mut Transaction, user_id: &UserId) -> Result<u64, Error> {
    let deleted =
        sqlx::query("DELETE FROM recovery_codes WHERE user_id = $1").bind(user_id).execute(&mut *transaction).await?;
    Ok(deleted.rows_affected())
}

pub async fn remove_added_since(
    transaction: &mut Transaction,
    user_id: &UserId,
    at: UnixSeconds,
) -> Result<u64, Error> {
    let deleted = sqlx::query("DELETE FROM recovery_codes WHERE user_id = $1 AND created_at >= $2")
        .bind(user_id)
        .bind(at)
        .execute(&mut *transaction)
        .await?;
    Ok(deleted.rows_affected())
}
