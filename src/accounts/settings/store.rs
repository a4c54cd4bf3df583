//! What the account page shows besides the sessions, in one statement: factors and recent events.

use sqlx::FromRow;

use crate::accounts::audit::AuditEvent;
use crate::accounts::mfa::FactorState;
use crate::database::{Database, Error};
use crate::domain::{UnixSeconds, UserId};

#[derive(FromRow)]
struct Row {
    #[sqlx(flatten)]
    factors: FactorState,
    event: Option<String>,
    client_address: Option<String>,
    user_agent: Option<String>,
    at: Option<UnixSeconds>,
}

/// The factors of the account, and its latest events after `since`, newest first.
pub async fn find_factors_and_events(
    database: &Database,
    user_id: &UserId,
    since: UnixSeconds,
    limit: i64,
) -> Result<(FactorState, Vec<AuditEvent>), Error> {
    let rows: Vec<Row> = sqlx::query_as(
        "SELECT (SELECT f.confirmed_at FROM totp_factors f WHERE f.user_id = u.id) AS totp_since,
                (SELECT COUNT(*) FROM recovery_codes c WHERE c.user_id = u.id) AS recovery_codes_left,
                (SELECT COUNT(*) FROM passkeys p WHERE p.user_id = u.id) AS passkeys,
                e.event, e.client_address, e.user_agent, e.at
         FROM users u LEFT JOIN audit_events e ON e.user_id = u.id AND e.at > $1
         WHERE u.id = $2 ORDER BY e.at DESC, e.id DESC LIMIT $3",
    )
    .bind(since)
    .bind(user_id)
    .bind(limit)
    .fetch_all(database.reader())
    .await?;
    let factors = rows.first().map(|row| row.factors).unwrap_or_default();
    let event = |row: Row| {
        let (client_address, user_agent) = (row.client_address?, row.user_agent?);
        Some(AuditEvent { event: row.event?, client_address, user_agent, at: row.at? })
    };
    Ok((factors, rows.into_iter().filter_map(event).collect()))
}
