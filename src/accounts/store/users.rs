//! The operator's hand on accounts: `order-portal user …`.

use sqlx::Row;

use crate::accounts::activity::{self, Entry, Event};
use crate::accounts::{Email, OnDeleted, OnVerified};
use crate::clock::{Clock, UnixSeconds};
use crate::database::{Database, Error, Transaction};
use crate::mail::links::{self, Purpose};
use crate::mail::{self, Message, Occasion};
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

/// One account as the operator sees it.
pub struct UserDetail {
    /// Names it in logs.
    pub id: String,
    /// The address.
    pub email: String,
    /// When the account was made.
    pub created_at: UnixSeconds,
    /// When the address was confirmed.
    pub verified_at: Option<UnixSeconds>,
    /// When the account was disabled.
    pub disabled_at: Option<UnixSeconds>,
    /// The last login or sign-up, as long as its audit event is kept.
    pub last_login_at: Option<UnixSeconds>,
    /// Live sessions.
    pub sessions: i64,
    /// Browsers with rate limits of their own.
    pub known_browsers: i64,
    /// Networks with rate limits of their own.
    pub known_networks: i64,
    /// The time zone.
    pub time_zone: Option<String>,
    /// Whether the customer chose it.
    pub time_zone_chosen: bool,
    /// How many orders it shows.
    pub orders: i64,
}

/// The account with that address.
///
/// # Errors
/// The database's.
pub async fn show(database: &Database, email: &Email, now: UnixSeconds) -> Result<Option<UserDetail>, Error> {
    let row = sqlx::query(
        "SELECT id, email, created_at, verified_at, disabled_at, time_zone, time_zone_chosen_at,
                (SELECT MAX(at) FROM activity a WHERE a.user_id = u.id AND a.event IN ($1, $2)) AS last_login_at,
                (SELECT COUNT(*) FROM sessions s
                 WHERE s.user_id = u.id AND s.revoked_at IS NULL AND s.expires_at > $3) AS sessions,
                (SELECT COUNT(*) FROM known_browsers b WHERE b.user_id = u.id) AS known_browsers,
                (SELECT COUNT(*) FROM known_networks n WHERE n.user_id = u.id) AS known_networks,
                (SELECT COUNT(*) FROM orders o WHERE o.user_id = u.id) AS orders
         FROM users u WHERE email = $4",
    )
    .bind(Event::SignedIn.code())
    .bind(Event::SignedUp.code())
    .bind(now.get())
    .bind(email.as_str())
    .fetch_optional(database.reader())
    .await?;
    let Some(row) = row else {
        return Ok(None);
    };
    let time = |name| row.try_get::<Option<i64>, _>(name).map(|at| at.map(UnixSeconds::new));
    Ok(Some(UserDetail {
        id: row.try_get("id")?,
        email: row.try_get("email")?,
        created_at: UnixSeconds::new(row.try_get("created_at")?),
        verified_at: time("verified_at")?,
        disabled_at: time("disabled_at")?,
        last_login_at: time("last_login_at")?,
        sessions: row.try_get("sessions")?,
        known_browsers: row.try_get("known_browsers")?,
        known_networks: row.try_get("known_networks")?,
        time_zone: row.try_get("time_zone")?,
        time_zone_chosen: time("time_zone_chosen_at")?.is_some(),
        orders: row.try_get("orders")?,
    }))
}

/// Does what the mailed link does: the address is theirs, and so are the orders placed with it; links that were sent to
/// confirm it are done. Tells how many orders that were; `None` when nobody has the address.
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
            links::unqueue(transaction, &user_id, Purpose::Verify).await?;
            if verified_at.is_none() {
                record(transaction, clock, &user_id, Event::AddressVerified, now).await?;
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
            let Some((user_id, disabled_at)) = disabled_at(transaction, email).await? else {
                return Ok(false);
            };
            if disabled_at.is_none() {
                set_disabled_at(transaction, &user_id, Some(now)).await?;
                record(transaction, clock, &user_id, Event::AccountDisabled, now).await?;
            }
            sessions::end_all_but(transaction, &user_id, None, now).await?;
            Ok(true)
        })
        .await
}

/// Opens an account again; its owner logs in anew. Tells whether the account exists.
///
/// # Errors
/// The database's.
pub async fn enable(database: &Database, clock: &Clock, email: &Email) -> Result<bool, Error> {
    let now = clock.now();
    database
        .write(async |transaction| {
            let Some((user_id, disabled_at)) = disabled_at(transaction, email).await? else {
                return Ok(false);
            };
            if disabled_at.is_some() {
                set_disabled_at(transaction, &user_id, None).await?;
                record(transaction, clock, &user_id, Event::AccountEnabled, now).await?;
            }
            Ok(true)
        })
        .await
}

async fn disabled_at(transaction: &mut Transaction, email: &Email) -> Result<Option<(String, Option<i64>)>, Error> {
    sqlx::query_as("SELECT id, disabled_at FROM users WHERE email = $1")
        .bind(email.as_str())
        .fetch_optional(&mut *transaction)
        .await
}

async fn set_disabled_at(transaction: &mut Transaction, user_id: &str, at: Option<UnixSeconds>) -> Result<(), Error> {
    sqlx::query("UPDATE users SET disabled_at = $1 WHERE id = $2")
        .bind(at.map(UnixSeconds::get))
        .bind(user_id)
        .execute(&mut *transaction)
        .await
        .map(drop)
}

async fn record(
    transaction: &mut Transaction,
    clock: &Clock,
    user_id: &str,
    event: Event,
    at: UnixSeconds,
) -> Result<(), Error> {
    let client = activity::operator();
    activity::record(transaction, user_id, &Entry { id: clock.new_id(), event, client: &client, at }).await
}

/// Deletes an account, as its owner can on the account page. Tells whether it existed. The owner of a confirmed address is told.
///
/// # Errors
/// The database's.
pub async fn delete(database: &Database, clock: &Clock, email: &Email, on_deleted: OnDeleted) -> Result<bool, Error> {
    let deleted = database
        .write(async |transaction| {
            let user: Option<(String, Option<i64>)> =
                sqlx::query_as("SELECT id, verified_at FROM users WHERE email = $1")
                    .bind(email.as_str())
                    .fetch_optional(&mut *transaction)
                    .await?;
            let Some((user_id, verified_at)) = user else {
                return Ok::<_, Error>(None);
            };
            on_deleted(transaction, &user_id).await?;
            super::delete(transaction, &user_id).await?;
            if verified_at.is_some() {
                let told = Message::AccountDeleted(Occasion::by_shop(clock.now()));
                mail::post(transaction, clock, email, None, &told).await?;
            }
            Ok(Some(user_id))
        })
        .await?;
    // Its audit events are deleted with the account.
    if let Some(user_id) = &deleted {
        tracing::info!(user = %user_id, by = "operator", "account deleted");
    }
    Ok(deleted.is_some())
}
