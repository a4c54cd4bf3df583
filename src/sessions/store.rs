//! The table `sessions`.

use super::{Audience, Expiry, NewSession};
use crate::database::{Database, Error, Transaction};
use crate::domain::{SessionId, UnixSeconds, UserId};

/// A script that logs in for each of its calls has many sessions.
const MAX_LISTED: i64 = 100;

/// The columns that a request needs.
pub(super) struct SessionRow {
    pub email: String,
    pub verified_at: Option<UnixSeconds>,
    pub time_zone: Option<String>,
    pub last_seen_at: UnixSeconds,
    pub expires_at: UnixSeconds,
    pub expiry: Expiry,
    pub orders_version: i64,
    pub last_import_at: Option<UnixSeconds>,
}

/// A session on the account page.
pub struct ActiveSession {
    pub id: SessionId,
    pub audience: Audience,
    /// Address and user agent of the login.
    pub client_address: String,
    pub user_agent: String,
    pub created_at: UnixSeconds,
    /// Exact to half of a token's lifetime.
    pub last_seen_at: UnixSeconds,
    pub expires_at: UnixSeconds,
    /// When its account signed up.
    pub account_created_at: UnixSeconds,
    /// When its account turned mail about orders off.
    pub order_mails_off_at: Option<UnixSeconds>,
    /// When a login showed that the password of its account is in the list of breached ones.
    pub password_breached_at: Option<UnixSeconds>,
}

/// The column `is_persistent`.
fn persistence_code(expiry: Expiry) -> &'static str {
    match expiry {
        Expiry::Idle => "no",
        Expiry::Fixed => "yes",
    }
}

/// Inserts the session if the account exists, is not disabled and has that password hash; returns whether it did.
pub(super) async fn insert(
    transaction: &mut Transaction,
    id: &SessionId,
    new: &NewSession<'_>,
    now: UnixSeconds,
    expires_at: UnixSeconds,
) -> Result<bool, Error> {
    let inserted = sqlx::query(
        "INSERT INTO sessions (id, user_id, audience, is_persistent, client_address, user_agent,
                               created_at, last_seen_at, expires_at, password_version)
         SELECT CAST($1 AS TEXT), id, CAST($2 AS TEXT), CAST($3 AS TEXT), CAST($4 AS TEXT), CAST($5 AS TEXT),
                CAST($6 AS BIGINT), CAST($7 AS BIGINT), CAST($8 AS BIGINT), password_version
         FROM users WHERE id = $9 AND password_hash = $10 AND disabled_at IS NULL",
    )
    .bind(id)
    .bind(new.audience.code())
    .bind(persistence_code(new.expiry))
    .bind(new.client.address.to_string())
    .bind(&new.client.user_agent)
    .bind(now)
    .bind(now)
    .bind(expires_at)
    .bind(new.user_id)
    .bind(new.password_hash)
    .execute(&mut *transaction)
    .await?;
    Ok(inserted.rows_affected() == 1)
}

/// The only row that the guard reads for a request.
pub(super) async fn find_active(
    database: &Database,
    session_id: &SessionId,
    user_id: &UserId,
    audience: Audience,
    now: UnixSeconds,
) -> Result<Option<SessionRow>, Error> {
    type Row =
        (String, Option<UnixSeconds>, Option<String>, UnixSeconds, UnixSeconds, String, i64, Option<UnixSeconds>);
    let row: Option<Row> = sqlx::query_as(
        "SELECT u.email, u.verified_at, u.time_zone, s.last_seen_at, s.expires_at, s.is_persistent, COALESCE(v.version, 0),
             (SELECT value FROM counters WHERE name = 'last import')
         FROM sessions s JOIN users u ON u.id = s.user_id LEFT JOIN order_versions v ON v.user_id = s.user_id
         WHERE s.id = $1 AND s.user_id = $2 AND s.audience = $3 AND s.revoked_at IS NULL AND s.expires_at > $4
             AND s.password_version = u.password_version AND u.disabled_at IS NULL",
    )
    .bind(session_id)
    .bind(user_id)
    .bind(audience.code())
    .bind(now)
    .fetch_optional(database.reader())
    .await?;
    let session_row = |row: Row| {
        let (email, verified_at, time_zone, last_seen_at, expires_at, is_persistent, orders_version, last_import_at) =
            row;
        let expiry = if is_persistent == persistence_code(Expiry::Fixed) { Expiry::Fixed } else { Expiry::Idle };
        SessionRow { email, verified_at, time_zone, last_seen_at, expires_at, expiry, orders_version, last_import_at }
    };
    Ok(row.map(session_row))
}

type ActiveSessionRow = (
    SessionId,
    String,
    String,
    String,
    UnixSeconds,
    UnixSeconds,
    UnixSeconds,
    UnixSeconds,
    Option<UnixSeconds>,
    Option<UnixSeconds>,
);

fn active_session(row: ActiveSessionRow) -> ActiveSession {
    let (
        id,
        audience,
        client_address,
        user_agent,
        created_at,
        last_seen_at,
        expires_at,
        account_created_at,
        off_at,
        breached_at,
    ) = row;
    // The database allows no other code.
    let audience = audience.parse().unwrap_or(Audience::Web);
    ActiveSession {
        id,
        audience,
        client_address,
        user_agent,
        created_at,
        last_seen_at,
        expires_at,
        account_created_at,
        order_mails_off_at: off_at,
        password_breached_at: breached_at,
    }
}

/// Audiences, and how many sessions of each have a token that can still be valid: an idle session was used after `idle_since`.
pub(super) async fn count_active(
    database: &Database,
    now: UnixSeconds,
    idle_since: UnixSeconds,
) -> Result<Vec<(String, i64)>, Error> {
    sqlx::query_as(
        "SELECT audience, COUNT(*) FROM sessions
         WHERE revoked_at IS NULL AND expires_at > $1 AND (is_persistent = 'yes' OR last_seen_at > $2) GROUP BY audience",
    )
    .bind(now)
    .bind(idle_since)
    .fetch_all(database.reader())
    .await
}

/// The user's sessions for which a token can still be valid: an idle session was used after `idle_since`.
pub(super) async fn list_active(
    database: &Database,
    user_id: &UserId,
    now: UnixSeconds,
    idle_since: UnixSeconds,
) -> Result<Vec<ActiveSession>, Error> {
    let rows: Vec<ActiveSessionRow> = sqlx::query_as(
        "SELECT s.id, s.audience, s.client_address, s.user_agent, s.created_at, s.last_seen_at, s.expires_at,
             u.created_at AS account_created_at, u.order_mails_off_at, u.password_breached_at
         FROM sessions s JOIN users u ON u.id = s.user_id
         WHERE s.user_id = $1 AND s.revoked_at IS NULL AND s.expires_at > $2 AND s.password_version = u.password_version
             AND (s.is_persistent = 'yes' OR s.last_seen_at > $3)
         ORDER BY s.last_seen_at DESC, s.id DESC LIMIT $4",
    )
    .bind(user_id)
    .bind(now)
    .bind(idle_since)
    .bind(MAX_LISTED)
    .fetch_all(database.reader())
    .await?;
    Ok(rows.into_iter().map(active_session).collect())
}

pub(super) async fn update_last_seen(
    database: &Database,
    session_id: &SessionId,
    now: UnixSeconds,
) -> Result<(), Error> {
    sqlx::query("UPDATE sessions SET last_seen_at = $1 WHERE id = $2 AND last_seen_at < $3")
        .bind(now)
        .bind(session_id)
        .bind(now)
        .execute(database.writer())
        .await
        .map(drop)
}

/// Gives a session a new id; returns whether it was active.
pub(super) async fn rotate_id(
    database: &Database,
    old: &SessionId,
    new: &SessionId,
    now: UnixSeconds,
) -> Result<bool, Error> {
    let rotated = sqlx::query("UPDATE sessions SET id = $1, last_seen_at = $2 WHERE id = $3 AND revoked_at IS NULL")
        .bind(new)
        .bind(now)
        .bind(old)
        .execute(database.writer())
        .await?;
    Ok(rotated.rows_affected() == 1)
}

/// Revokes one of the user's sessions; returns whether it was active.
pub(super) async fn revoke(
    transaction: &mut Transaction,
    user_id: &UserId,
    session_id: &SessionId,
    now: UnixSeconds,
) -> Result<bool, Error> {
    let revoked = sqlx::query(
        "UPDATE sessions SET revoked_at = $1, expires_at = $2 WHERE id = $3 AND user_id = $4 AND revoked_at IS NULL",
    )
    .bind(now)
    .bind(now)
    .bind(session_id)
    .bind(user_id)
    .execute(&mut *transaction)
    .await?;
    Ok(revoked.rows_affected() == 1)
}

/// Revokes all sessions of the user except `kept`; returns how many.
pub async fn revoke_others(
    transaction: &mut Transaction,
    user_id: &UserId,
    kept: Option<&SessionId>,
    now: UnixSeconds,
) -> Result<u64, Error> {
    let revoked = sqlx::query(
        "UPDATE sessions SET revoked_at = $1, expires_at = $2 WHERE user_id = $3 AND id <> $4 AND revoked_at IS NULL",
    )
    .bind(now)
    .bind(now)
    .bind(user_id)
    .bind(kept.map_or("", SessionId::as_str))
    .execute(&mut *transaction)
    .await?;
    Ok(revoked.rows_affected())
}

/// Keeps a session of the user that has set a new password. All others belong to a former one, also those that are stored only now.
pub async fn keep_with_new_password(
    transaction: &mut Transaction,
    user_id: &UserId,
    kept: &SessionId,
) -> Result<(), Error> {
    sqlx::query(
        "UPDATE sessions SET password_version = (SELECT password_version FROM users WHERE id = $1) WHERE user_id = $2 AND id = $3",
    )
    .bind(user_id)
    .bind(user_id)
    .bind(kept)
    .execute(&mut *transaction)
    .await
    .map(drop)
}

/// Deletes a batch of expired sessions, which includes revoked ones; returns how many.
pub(super) async fn delete_expired(database: &Database, now: UnixSeconds) -> Result<u64, Error> {
    database.delete_expired("sessions", "id", "expires_at", now).await
}
