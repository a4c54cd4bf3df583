//! The rows of sessions.

use super::{Audience, Ending};
use crate::clock::UnixSeconds;
use crate::database::{Database, Error, Transaction, UPKEEP_BATCH};
use crate::web::Client;

/// Sessions that are listed: a script that logs in for each of its calls makes many.
const MOST_LISTED: i64 = 100;

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
    pub time_zone: Option<String>,
    pub last_seen_at: i64,
    pub expires_at: i64,
    pub ending: Ending,
}

/// A session as its owner sees it.
pub struct ActiveSession {
    /// Its id.
    pub id: String,
    /// Where it is used.
    pub audience: Audience,
    /// When it ends by itself.
    pub ending: Ending,
    /// The address that it was begun from.
    pub client_address: String,
    /// What the program called itself then.
    pub user_agent: String,
    /// When it was begun.
    pub created_at: UnixSeconds,
    /// When it was in use, to within half of a token's life.
    pub last_seen_at: UnixSeconds,
    /// Its own end.
    pub expires_at: UnixSeconds,
}

/// Adds the session if its user still stands, is not disabled and has that password hash; tells whether it did.
pub(super) async fn insert(transaction: &mut Transaction, session: &NewSession<'_>) -> Result<bool, Error> {
    let done = sqlx::query(
        "INSERT INTO sessions (id, user_id, audience, idle_end, client_address, user_agent,
                               created_at, last_seen_at, expires_at)
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
    .execute(&mut *transaction)
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
    let row: Option<(String, String, Option<i64>, Option<String>, i64, i64, String)> = sqlx::query_as(
        "SELECT s.user_id, u.email, u.verified_at, u.time_zone, s.last_seen_at, s.expires_at, s.idle_end
         FROM sessions s JOIN users u ON u.id = s.user_id
         WHERE s.id = $1 AND s.audience = $2 AND s.revoked_at IS NULL AND s.expires_at > $3 AND u.disabled_at IS NULL",
    )
    .bind(session_id)
    .bind(audience.as_str())
    .bind(now.get())
    .fetch_optional(database.reader())
    .await?;
    Ok(row.map(|(user_id, email, verified_at, time_zone, last_seen_at, expires_at, idle_end)| LiveSession {
        user_id,
        email,
        verified_at,
        time_zone,
        last_seen_at,
        expires_at,
        ending: ending(&idle_end),
    }))
}

fn ending(idle_end: &str) -> Ending {
    if idle_end == "yes" { Ending::Idle } else { Ending::Fixed }
}

/// The user's sessions that a token can still be valid for; an idle one was in use after `idle_since`.
pub(super) async fn list_live(
    database: &Database,
    user_id: &str,
    now: UnixSeconds,
    idle_since: UnixSeconds,
) -> Result<Vec<ActiveSession>, Error> {
    let rows: Vec<(String, String, String, String, String, i64, i64, i64)> = sqlx::query_as(
        "SELECT id, audience, idle_end, client_address, user_agent, created_at, last_seen_at, expires_at FROM sessions
         WHERE user_id = $1 AND revoked_at IS NULL AND expires_at > $2 AND (idle_end = 'no' OR last_seen_at > $3)
         ORDER BY last_seen_at DESC, id DESC LIMIT $4",
    )
    .bind(user_id)
    .bind(now.get())
    .bind(idle_since.get())
    .bind(MOST_LISTED)
    .fetch_all(database.reader())
    .await?;
    let session = |(id, audience, idle_end, client_address, user_agent, created_at, last_seen_at, expires_at): (
        _,
        String,
        String,
        _,
        _,
        _,
        _,
        _,
    )| ActiveSession {
        id,
        audience: if audience == Audience::Api.as_str() { Audience::Api } else { Audience::Web },
        ending: ending(&idle_end),
        client_address,
        user_agent,
        created_at: UnixSeconds::new(created_at),
        last_seen_at: UnixSeconds::new(last_seen_at),
        expires_at: UnixSeconds::new(expires_at),
    };
    Ok(rows.into_iter().map(session).collect())
}

/// Writes that the session was in use.
pub(super) async fn touch(database: &Database, session_id: &str, now: UnixSeconds) -> Result<(), Error> {
    sqlx::query("UPDATE sessions SET last_seen_at = $1 WHERE id = $2 AND last_seen_at < $3")
        .bind(now.get())
        .bind(session_id)
        .bind(now.get())
        .execute(database.writer())
        .await
        .map(drop)
}

/// Gives a live session another id; tells whether it still lived.
pub(super) async fn rotate_id(database: &Database, old: &str, new: &str, now: UnixSeconds) -> Result<bool, Error> {
    let done = sqlx::query("UPDATE sessions SET id = $1, last_seen_at = $2 WHERE id = $3 AND revoked_at IS NULL")
        .bind(new)
        .bind(now.get())
        .bind(old)
        .execute(database.writer())
        .await?;
    Ok(done.rows_affected() == 1)
}

/// Ends one of the user's sessions; tells whether there was such a one.
pub(super) async fn revoke(
    transaction: &mut Transaction,
    user_id: &str,
    session_id: &str,
    now: UnixSeconds,
) -> Result<bool, Error> {
    let done = sqlx::query(
        "UPDATE sessions SET revoked_at = $1, expires_at = $2 WHERE id = $3 AND user_id = $4 AND revoked_at IS NULL",
    )
    .bind(now.get())
    .bind(now.get())
    .bind(session_id)
    .bind(user_id)
    .execute(&mut *transaction)
    .await?;
    Ok(done.rows_affected() == 1)
}

/// Ends every session of the user but the one to keep; tells how many.
pub(super) async fn revoke_all_but(
    transaction: &mut Transaction,
    user_id: &str,
    kept: Option<&str>,
    now: UnixSeconds,
) -> Result<u64, Error> {
    let done = sqlx::query(
        "UPDATE sessions SET revoked_at = $1, expires_at = $2 WHERE user_id = $3 AND id <> $4 AND revoked_at IS NULL",
    )
    .bind(now.get())
    .bind(now.get())
    .bind(user_id)
    .bind(kept.unwrap_or_default())
    .execute(&mut *transaction)
    .await?;
    Ok(done.rows_affected())
}

/// Removes some sessions that are past their end, which revoking one has brought about; tells how many.
pub(super) async fn clean(database: &Database, now: UnixSeconds) -> Result<u64, Error> {
    let done = sqlx::query(
        "DELETE FROM sessions
         WHERE id IN (SELECT id FROM sessions WHERE expires_at <= $1 ORDER BY expires_at LIMIT $2)",
    )
    .bind(now.get())
    .bind(UPKEEP_BATCH)
    .execute(database.writer())
    .await?;
    Ok(done.rows_affected())
}
