//! The rows of sessions.

use super::{Audience, Ending};
use crate::clock::UnixSeconds;
use crate::database::{Database, Error};
use crate::web::Client;

pub(super) struct NewSession<'a> {
    pub id: String,
    pub user_id: &'a str,
    pub password_hash: &'a str,
    pub audience: Audience,
    pub ending: Ending,
    pub client: &'a Client,
    pub now: UnixSeconds,
    pub expires_at: UnixSeconds,
}

/// What a request needs to know of its session.
pub(super) struct LiveSession {
    pub user_id: String,
    pub email: String,
    pub verified_at: Option<i64>,
    pub last_seen_at: i64,
    pub expires_at: i64,
    pub ending: Ending,
}

/// Adds the session if its user still stands, is not disabled and has that password hash; tells whether it did.
pub(super) async fn insert(database: &Database, session: &NewSession<'_>) -> Result<bool, Error> {
    let done = sqlx::query(
        "INSERT INTO sessions (id, user_id, audience, idle_end, client_address, user_agent, created_at, last_seen_at, expires_at)
         SELECT CAST($1 AS TEXT), id, CAST($2 AS TEXT), CAST($3 AS TEXT), CAST($4 AS TEXT), CAST($5 AS TEXT),
                CAST($6 AS BIGINT), CAST($7 AS BIGINT), CAST($8 AS BIGINT)
         FROM users WHERE id = $9 AND password_hash = $10 AND disabled_at IS NULL",
    )
    .bind(&session.id)
    .bind(session.audience.as_str())
    .bind(if session.ending == Ending::Idle { "yes" } else { "no" })
    .bind(session.client.address.to_string())
    .bind(&session.client.user_agent)
    .bind(session.now.get())
    .bind(session.now.get())
    .bind(session.expires_at.get())
    .bind(session.user_id)
    .bind(session.password_hash)
    .execute(database.pool())
    .await?;
    Ok(done.rows_affected() == 1)
}

/// The one row that the guard reads with every request.
pub(super) async fn find_live(
    database: &Database,
    session_id: &str,
    audience: Audience,
    now: UnixSeconds,
) -> Result<Option<LiveSession>, Error> {
    let row: Option<(String, String, Option<i64>, i64, i64, String)> = sqlx::query_as(
        "SELECT s.user_id, u.email, u.verified_at, s.last_seen_at, s.expires_at, s.idle_end
         FROM sessions s JOIN users u ON u.id = s.user_id
         WHERE s.id = $1 AND s.audience = $2 AND s.revoked_at IS NULL AND s.expires_at > $3 AND u.disabled_at IS NULL",
    )
    .bind(session_id)
    .bind(audience.as_str())
    .bind(now.get())
    .fetch_optional(database.pool())
    .await?;
    Ok(row.map(|(user_id, email, verified_at, last_seen_at, expires_at, idle_end)| LiveSession {
        user_id,
        email,
        verified_at,
        last_seen_at,
        expires_at,
        ending: if idle_end == "yes" { Ending::Idle } else { Ending::Fixed },
    }))
}

/// Writes that the session was in use.
pub(super) async fn touch(database: &Database, session_id: &str, now: UnixSeconds) -> Result<(), Error> {
    sqlx::query("UPDATE sessions SET last_seen_at = $1 WHERE id = $2 AND last_seen_at < $3")
        .bind(now.get())
        .bind(session_id)
        .bind(now.get())
        .execute(database.pool())
        .await
        .map(drop)
}

/// Ends the session; one that has ended stays as it is.
pub(super) async fn revoke(database: &Database, session_id: &str, now: UnixSeconds) -> Result<(), Error> {
    sqlx::query("UPDATE sessions SET revoked_at = $1 WHERE id = $2 AND revoked_at IS NULL")
        .bind(now.get())
        .bind(session_id)
        .execute(database.pool())
        .await
        .map(drop)
}
