//! Statements of the operator's commands.

use sqlx::FromRow;

use crate::accounts::audit::Event;
use crate::database::{Database, Error, Transaction};
use crate::domain::{Email, UnixSeconds, UserId};

/// An account in the list.
#[derive(FromRow)]
pub struct UserLine {
    pub email: String,
    pub created_at: UnixSeconds,
    pub verified_at: Option<UnixSeconds>,
    pub disabled_at: Option<UnixSeconds>,
    pub orders: i64,
}

/// All accounts, by address.
pub async fn list(database: &Database) -> Result<Vec<UserLine>, Error> {
    sqlx::query_as(
        "SELECT u.email, u.created_at, u.verified_at, u.disabled_at,
                (SELECT COUNT(*) FROM orders o WHERE o.user_id = u.id) AS orders
         FROM users u ORDER BY u.email",
    )
    .fetch_all(database.reader())
    .await
}

/// One account in detail.
#[derive(FromRow)]
pub struct UserDetail {
    pub id: UserId,
    pub email: String,
    pub created_at: UnixSeconds,
    pub verified_at: Option<UnixSeconds>,
    pub disabled_at: Option<UnixSeconds>,
    /// The last login or sign-up, if its audit event is still stored.
    pub last_login_at: Option<UnixSeconds>,
    /// Active ones.
    pub sessions: i64,
    /// When TOTP was turned on.
    pub totp_since: Option<UnixSeconds>,
    pub recovery_codes_left: i64,
    pub passkeys: i64,
    pub trusted_browsers: i64,
    pub trusted_networks: i64,
    pub time_zone: Option<String>,
    /// When the customer chose the time zone; otherwise the browser reported it.
    pub time_zone_chosen_at: Option<UnixSeconds>,
    pub orders: i64,
}

/// The account with that address.
pub async fn show(database: &Database, email: &Email, now: UnixSeconds) -> Result<Option<UserDetail>, Error> {
    sqlx::query_as(
        "SELECT id, email, created_at, verified_at, disabled_at, time_zone, time_zone_chosen_at,
                (SELECT MAX(at) FROM audit_events a WHERE a.user_id = u.id AND a.event IN ($1, $2, $3)) AS last_login_at,
                (SELECT COUNT(*) FROM sessions s
                 WHERE s.user_id = u.id AND s.revoked_at IS NULL AND s.expires_at > $4
                   AND s.password_version = u.password_version) AS sessions,
                (SELECT f.confirmed_at FROM totp_factors f WHERE f.user_id = u.id) AS totp_since,
                (SELECT COUNT(*) FROM recovery_codes c WHERE c.user_id = u.id) AS recovery_codes_left,
                (SELECT COUNT(*) FROM passkeys p WHERE p.user_id = u.id) AS passkeys,
                (SELECT COUNT(*) FROM trusted_browsers b WHERE b.user_id = u.id) AS trusted_browsers,
                (SELECT COUNT(*) FROM trusted_networks n WHERE n.user_id = u.id) AS trusted_networks,
                (SELECT COUNT(*) FROM orders o WHERE o.user_id = u.id) AS orders
         FROM users u WHERE email = $5",
    )
    .bind(Event::LoggedIn.code())
    .bind(Event::LoggedInWithPasskey.code())
    .bind(Event::SignedUp.code())
    .bind(now)
    .bind(email.as_str())
    .fetch_optional(database.reader())
    .await
}

/// The columns that a command needs to change an account.
#[derive(FromRow)]
pub(super) struct User {
    pub id: UserId,
    pub verified_at: Option<UnixSeconds>,
    pub disabled_at: Option<UnixSeconds>,
}

pub(super) async fn find(transaction: &mut Transaction, email: &Email) -> Result<Option<User>, Error> {
    sqlx::query_as("SELECT id, verified_at, disabled_at FROM users WHERE email = $1")
        .bind(email.as_str())
        .fetch_optional(&mut *transaction)
        .await
}

pub(super) async fn set_disabled_at(
    transaction: &mut Transaction,
    user_id: &UserId,
    at: Option<UnixSeconds>,
) -> Result<(), Error> {
    sqlx::query("UPDATE users SET disabled_at = $1 WHERE id = $2")
        .bind(at)
        .bind(user_id)
        .execute(&mut *transaction)
        .await
        .map(drop)
}
