//! The rows of users.

pub mod users;

use crate::accounts::Email;
use crate::clock::UnixSeconds;
use crate::database::{Database, Error, Transaction};

/// What logging in needs to know of an account.
pub(in crate::accounts) struct Account {
    pub id: String,
    pub password_hash: String,
}

pub(in crate::accounts) async fn exists(database: &Database, email: &Email) -> Result<bool, Error> {
    Ok(find_by_email(database, email).await?.is_some())
}

pub(in crate::accounts) async fn find_by_email(database: &Database, email: &Email) -> Result<Option<Account>, Error> {
    let row: Option<(String, String)> = sqlx::query_as("SELECT id, password_hash FROM users WHERE email = $1")
        .bind(email.as_str())
        .fetch_optional(database.pool())
        .await?;
    Ok(row.map(|(id, password_hash)| Account { id, password_hash }))
}

/// Adds a user; tells whether the address was free.
pub(in crate::accounts) async fn insert(
    transaction: &mut Transaction,
    id: &str,
    email: &Email,
    password_hash: &str,
    now: UnixSeconds,
) -> Result<bool, Error> {
    let done = sqlx::query(
        "INSERT INTO users (id, email, password_hash, created_at) VALUES ($1, $2, $3, $4) ON CONFLICT (email) DO NOTHING",
    )
    .bind(id)
    .bind(email.as_str())
    .bind(password_hash)
    .bind(now.get())
    .execute(&mut **transaction)
    .await?;
    Ok(done.rows_affected() == 1)
}

/// Replaces a hash unless it was changed meanwhile; tells whether it did.
pub(in crate::accounts) async fn replace_hash(
    database: &Database,
    id: &str,
    old: &str,
    new: &str,
) -> Result<bool, Error> {
    let done = sqlx::query("UPDATE users SET password_hash = $1 WHERE id = $2 AND password_hash = $3")
        .bind(new)
        .bind(id)
        .bind(old)
        .execute(database.pool())
        .await?;
    Ok(done.rows_affected() == 1)
}
