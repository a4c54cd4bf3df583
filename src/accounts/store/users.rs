//! The operator's hand on accounts: `order-portal user …`.

use crate::accounts::activity::{self, Entry, Event};
use crate::accounts::{Email, OnVerified};
use crate::clock::{Clock, UnixSeconds};
use crate::database::{Database, Error};
use crate::mail::links::{self, Purpose};
use crate::sessions;

/// An account as the operator sees it.
pub struct UserLine {
    /// The address.
    pub email: String,
    /// When the account was made.
    pub created_at: UnixSeconds,
    /// Whether the address was shown to be theirs.
    pub verified: bool,
    /// Whether the account may not be used.
    pub disabled: bool,
    /// How many orders it shows.
    pub orders: i64,
}

/// All accounts, by address.
///
/// # Errors
/// The database's.
pub async fn list(database: &Database) -> Result<Vec<UserLine>, Error> {
    let rows: Vec<(String, i64, Option<i64>, Option<i64>, i64)> = sqlx::query_as(
        "SELECT u.email, u.created_at, u.verified_at, u.disabled_at,
                (SELECT COUNT(*) FROM orders o WHERE o.user_id = u.id)
         FROM users u ORDER BY u.email",
    )
    .fetch_all(database.reader())
    .await?;
    let line =
        |(email, created_at, verified_at, disabled_at, orders): (_, i64, Option<i64>, Option<i64>, _)| UserLine {
            email,
            created_at: UnixSeconds::new(created_at),
            verified: verified_at.is_some(),
            disabled: disabled_at.is_some(),
            orders,
        };
    Ok(rows.into_iter().map(line).collect())
}

/// Does what the mailed link does: the address is theirs, and so are the orders placed with it; links that were sent to
/// confirm it hold no more. Tells how many orders that were; `None` when nobody has the address.
///
/// # Errors
/// The database's.
pub async fn verify(
    database: &Database,
    clock: &Clock,
    email: &Email,
    on_verified: OnVerified,
) -> Result<Option<u64>, Error> {
    let now = clock.now();
    let client = activity::operator();
    database
        .write(async |transaction| {
            let user: Option<(String, Option<i64>)> =
                sqlx::query_as("SELECT id, verified_at FROM users WHERE email = $1")
                    .bind(email.as_str())
                    .fetch_optional(&mut *transaction)
                    .await?;
            let Some((user_id, verified_at)) = user else {
                return Ok(None);
            };
            super::verify(transaction, &user_id, email.as_str(), now).await?;
            let claimed = on_verified(transaction, &user_id, email.as_str()).await?;
            links::void(transaction, &user_id, Purpose::Verify).await?;
            if verified_at.is_none() {
                let entry = Entry { id: clock.new_id(), event: Event::AddressVerified, client: &client, at: now };
                activity::record(transaction, &user_id, &entry).await?;
            }
            Ok(Some(claimed))
        })
        .await
}

/// Closes an account to its owner; every session of it ends at the next request. Tells whether the account exists.
///
/// # Errors
/// The database's.
pub async fn disable(database: &Database, clock: &Clock, email: &Email) -> Result<bool, Error> {
    let now = clock.now();
    database
        .write(async |transaction| {
            let user: Option<(String,)> = sqlx::query_as(
                "UPDATE users SET disabled_at = COALESCE(disabled_at, $1) WHERE email = $2 RETURNING id",
            )
            .bind(now.get())
            .bind(email.as_str())
            .fetch_optional(&mut *transaction)
            .await?;
            let Some((user_id,)) = user else {
                return Ok(false);
            };
            sessions::end_all_but(transaction, &user_id, None, now).await?;
            Ok(true)
        })
        .await
}

/// Opens an account again; its owner logs in anew. Tells whether the account exists.
///
/// # Errors
/// The database's.
pub async fn enable(database: &Database, email: &Email) -> Result<bool, Error> {
    let found = sqlx::query("UPDATE users SET disabled_at = NULL WHERE email = $1")
        .bind(email.as_str())
        .execute(database.writer())
        .await?;
    Ok(found.rows_affected() == 1)
}
