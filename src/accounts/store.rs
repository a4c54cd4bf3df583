//! The table `users`.

use sqlx::{Any, AssertSqlSafe, Executor};

use crate::database::{Database, Error, Transaction};
use crate::domain::{Email, SessionId, UnixSeconds, UserId, Zone};

#[derive(Clone)]
pub(super) struct Account {
    pub id: UserId,
    pub email: Email,
    pub password_hash: String,
    pub created_at: UnixSeconds,
    pub verified_at: Option<UnixSeconds>,
    pub time_zone: Option<String>,
    /// When TOTP was turned on.
    pub totp_since: Option<UnixSeconds>,
    /// The number of passkeys.
    pub passkeys: i64,
    /// When the customer was last offered to add a passkey.
    pub passkey_offered_at: Option<UnixSeconds>,
    pub disabled_at: Option<UnixSeconds>,
}

impl Account {
    /// Whether a password needs a code, too.
    pub fn has_totp(&self) -> bool {
        self.totp_since.is_some()
    }

    pub fn has_passkeys(&self) -> bool {
        self.passkeys > 0
    }
}

/// Selects [`AccountRow`].
const ACCOUNT: &str = "SELECT u.id, u.email, u.password_hash, u.created_at, u.verified_at, u.time_zone, f.confirmed_at,
         (SELECT COUNT(*) FROM passkeys p WHERE p.user_id = u.id) AS passkeys, u.passkey_offered_at, u.disabled_at
     FROM users u LEFT JOIN totp_factors f ON f.user_id = u.id";

type AccountRow = (
    UserId,
    String,
    String,
    UnixSeconds,
    Option<UnixSeconds>,
    Option<String>,
    Option<UnixSeconds>,
    i64,
    Option<UnixSeconds>,
    Option<UnixSeconds>,
);

fn account(row: AccountRow) -> Option<Account> {
    let (
        id,
        email,
        password_hash,
        created_at,
        verified_at,
        time_zone,
        totp_since,
        passkeys,
        passkey_offered_at,
        disabled_at,
    ) = row;
    let email = Email::parse(&email).ok()?;
    Some(Account {
        id,
        email,
        password_hash,
        created_at,
        verified_at,
        time_zone,
        totp_since,
        passkeys,
        passkey_offered_at,
        disabled_at,
    })
}

/// Whether an account has the address, or can restore it by a recovery link.
pub(super) async fn is_taken(database: &Database, email: &Email, now: UnixSeconds) -> Result<bool, Error> {
    let row: Option<(String,)> = sqlx::query_as(
        "SELECT id FROM users WHERE email = $1
         UNION ALL SELECT id FROM recoveries WHERE email = $2 AND expires_at > $3 LIMIT 1",
    )
    .bind(email.as_str())
    .bind(email.as_str())
    .bind(now)
    .fetch_optional(database.reader())
    .await?;
    Ok(row.is_some())
}

pub(super) async fn find_by_email(database: &Database, email: &Email) -> Result<Option<Account>, Error> {
    let sql = format!("{ACCOUNT} WHERE u.email = $1");
    let row: Option<AccountRow> =
        sqlx::query_as(AssertSqlSafe(sql)).bind(email.as_str()).fetch_optional(database.reader()).await?;
    Ok(row.and_then(account))
}

pub(super) async fn find_by_id<'e>(
    executor: impl Executor<'e, Database = Any>,
    id: &UserId,
) -> Result<Option<Account>, Error> {
    let sql = format!("{ACCOUNT} WHERE u.id = $1");
    let row: Option<AccountRow> = sqlx::query_as(AssertSqlSafe(sql)).bind(id).fetch_optional(executor).await?;
    Ok(row.and_then(account))
}

/// The account, if this session of it is active.
pub(super) async fn find_by_session(
    database: &Database,
    id: &UserId,
    session_id: &SessionId,
    now: UnixSeconds,
) -> Result<Option<Account>, Error> {
    let sql = format!(
        "{ACCOUNT} JOIN sessions s ON s.user_id = u.id
         WHERE u.id = $1 AND u.disabled_at IS NULL AND s.id = $2 AND s.revoked_at IS NULL AND s.expires_at > $3
             AND s.password_version = u.password_version"
    );
    let row: Option<AccountRow> = sqlx::query_as(AssertSqlSafe(sql))
        .bind(id)
        .bind(session_id)
        .bind(now)
        .fetch_optional(database.reader())
        .await?;
    Ok(row.and_then(account))
}

/// Whether this session of the account is active.
pub(super) async fn has_active_session(
    transaction: &mut Transaction,
    id: &UserId,
    session_id: &SessionId,
    now: UnixSeconds,
) -> Result<bool, Error> {
    let row: Option<(String,)> = sqlx::query_as(
        "SELECT s.id FROM sessions s JOIN users u ON u.id = s.user_id
         WHERE u.id = $1 AND u.disabled_at IS NULL AND s.id = $2 AND s.revoked_at IS NULL AND s.expires_at > $3
             AND s.password_version = u.password_version",
    )
    .bind(id)
    .bind(session_id)
    .bind(now)
    .fetch_optional(&mut *transaction)
    .await?;
    Ok(row.is_some())
}

/// Inserts a user; returns whether the address was free. Both conditions are in one statement, so in one snapshot: an address that an
/// account is giving up at this moment is either still the account's or already reserved for it.
pub(super) async fn insert(
    transaction: &mut Transaction,
    id: &UserId,
    email: &Email,
    password_hash: &str,
    now: UnixSeconds,
) -> Result<bool, Error> {
    let changed = sqlx::query(
        "INSERT INTO users (id, email, password_hash, created_at)
         SELECT CAST($1 AS TEXT), CAST($2 AS TEXT), CAST($3 AS TEXT), CAST($4 AS BIGINT)
         WHERE NOT EXISTS (SELECT 1 FROM users WHERE email = $5)
           AND NOT EXISTS (SELECT 1 FROM recoveries WHERE email = $6 AND expires_at > $7)
         ON CONFLICT (email) DO NOTHING",
    )
    .bind(id)
    .bind(email.as_str())
    .bind(password_hash)
    .bind(now)
    .bind(email.as_str())
    .bind(email.as_str())
    .bind(now)
    .execute(&mut *transaction)
    .await?;
    Ok(changed.rows_affected() == 1)
}

/// Sets a new password, if the current hash is `old` (or `old` is `None`); returns whether it did. It was checked, so it is not marked as
/// breached.
pub(super) async fn set_password(
    transaction: &mut Transaction,
    id: &UserId,
    old: Option<&str>,
    new: &str,
) -> Result<bool, Error> {
    let changed = sqlx::query(
        "UPDATE users SET password_hash = $1, password_version = password_version + 1, password_breached_at = NULL,
             password_breach_mailed_at = NULL
         WHERE id = $2 AND disabled_at IS NULL AND (CAST($3 AS TEXT) IS NULL OR password_hash = $4)",
    )
    .bind(new)
    .bind(id)
    .bind(old)
    .bind(old)
    .execute(&mut *transaction)
    .await?;
    Ok(changed.rows_affected() == 1)
}

/// Replaces the hash of the same password, if it is still `old`; returns whether it did.
pub(super) async fn upgrade_hash(
    transaction: &mut Transaction,
    id: &UserId,
    old: &str,
    new: &str,
) -> Result<bool, Error> {
    let changed =
        sqlx::query("UPDATE users SET password_hash = $1 WHERE id = $2 AND disabled_at IS NULL AND password_hash = $3")
            .bind(new)
            .bind(id)
            .bind(old)
            .execute(&mut *transaction)
            .await?;
    Ok(changed.rows_affected() == 1)
}

/// Marks the password of the account as breached, unless there is a new one; returns whether the mail about it is due: once, at a
/// confirmed address.
pub(super) async fn mark_breached(
    transaction: &mut Transaction,
    account: &Account,
    now: UnixSeconds,
) -> Result<bool, Error> {
    let mail_is_due: Option<i64> = sqlx::query_scalar(
        "UPDATE users SET password_breached_at = COALESCE(password_breached_at, $1),
             password_breach_mailed_at = CASE WHEN verified_at IS NOT NULL THEN CAST($2 AS BIGINT) END
         WHERE id = $3 AND email = $4 AND password_hash = $5 AND disabled_at IS NULL
           AND (password_breached_at IS NULL OR (verified_at IS NOT NULL AND password_breach_mailed_at IS NULL))
         RETURNING CAST(CASE WHEN verified_at IS NOT NULL THEN 1 ELSE 0 END AS BIGINT)",
    )
    .bind(now)
    .bind(now)
    .bind(&account.id)
    .bind(account.email.as_str())
    .bind(&account.password_hash)
    .fetch_optional(&mut *transaction)
    .await?;
    Ok(mail_is_due == Some(1))
}

/// Marks the address as confirmed, if it is still the account's; returns whether it is.
pub(super) async fn set_verified(
    transaction: &mut Transaction,
    id: &UserId,
    email: &Email,
    now: UnixSeconds,
) -> Result<bool, Error> {
    let changed = sqlx::query("UPDATE users SET verified_at = COALESCE(verified_at, $1) WHERE id = $2 AND email = $3")
        .bind(now)
        .bind(id)
        .bind(email.as_str())
        .execute(&mut *transaction)
        .await?;
    Ok(changed.rows_affected() == 1)
}

/// Stores the time zone that the browser reports, unless the customer has chosen one; returns whether it changed.
pub(super) async fn set_detected_zone(transaction: &mut Transaction, id: &UserId, zone: &Zone) -> Result<bool, Error> {
    let changed = sqlx::query(
        "UPDATE users SET time_zone = $1
         WHERE id = $2 AND time_zone_chosen_at IS NULL AND COALESCE(time_zone, '') <> $3",
    )
    .bind(zone.name())
    .bind(id)
    .bind(zone.name())
    .execute(&mut *transaction)
    .await?;
    Ok(changed.rows_affected() == 1)
}

/// Stores the time zone that the customer has chosen.
pub(super) async fn set_chosen_zone(
    transaction: &mut Transaction,
    id: &UserId,
    zone: &Zone,
    now: UnixSeconds,
) -> Result<(), Error> {
    sqlx::query("UPDATE users SET time_zone = $1, time_zone_chosen_at = $2 WHERE id = $3")
        .bind(zone.name())
        .bind(now)
        .bind(id)
        .execute(&mut *transaction)
        .await
        .map(drop)
}

/// Stores when the customer turned mail about orders off; `None` turns it on.
pub(super) async fn set_order_mails_off(
    database: &Database,
    id: &UserId,
    off_at: Option<UnixSeconds>,
) -> Result<(), Error> {
    sqlx::query("UPDATE users SET order_mails_off_at = $1 WHERE id = $2")
        .bind(off_at)
        .bind(id)
        .execute(database.writer())
        .await
        .map(drop)
}

/// Gives the account a new, confirmed address; returns whether it was free: no other account has it or can restore it by a recovery
/// link.
pub(super) async fn set_email(
    transaction: &mut Transaction,
    id: &UserId,
    email: &Email,
    now: UnixSeconds,
) -> Result<bool, Error> {
    let changed = sqlx::query(
        "UPDATE users SET email = $1, verified_at = $2
         WHERE id = $3 AND NOT EXISTS (SELECT 1 FROM users o WHERE o.email = $4 AND o.id <> $5)
           AND NOT EXISTS (SELECT 1 FROM recoveries r WHERE r.email = $6 AND r.user_id <> $7 AND r.expires_at > $8)",
    )
    .bind(email.as_str())
    .bind(now)
    .bind(id)
    .bind(email.as_str())
    .bind(id)
    .bind(email.as_str())
    .bind(id)
    .bind(now)
    .execute(&mut *transaction)
    .await?;
    Ok(changed.rows_affected() == 1)
}

/// Deletes the account. Foreign keys delete everything that belongs to it.
pub(super) async fn delete(transaction: &mut Transaction, id: &UserId) -> Result<(), Error> {
    // Password reset mail is queued by address, without the user's id. Notices stay: somebody who signs up with a former address must not
    // delete those to its owner.
    sqlx::query(
        "DELETE FROM mail_queue WHERE purpose = 'reset' AND recipient IN (SELECT email FROM users WHERE id = $1)",
    )
    .bind(id)
    .execute(&mut *transaction)
    .await?;
    sqlx::query("DELETE FROM users WHERE id = $1").bind(id).execute(&mut *transaction).await.map(drop)
}
