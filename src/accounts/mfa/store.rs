//! Which factors an account has.

use sqlx::FromRow;

use crate::database::{Database, Error};
use crate::domain::{UnixSeconds, UserId};

#[derive(Clone, Copy, Default, FromRow)]
pub struct FactorState {
    /// When TOTP was turned on.
    pub totp_since: Option<UnixSeconds>,
    pub recovery_codes_left: i64,
    pub passkeys: i64,
}

impl FactorState {
    pub async fn find(database: &Database, user_id: &UserId) -> Result<Self, Error> {
        sqlx::query_as(
            "SELECT (SELECT confirmed_at FROM totp_factors WHERE user_id = $1) AS totp_since,
                    (SELECT COUNT(*) FROM recovery_codes WHERE user_id = $2) AS recovery_codes_left,
                    (SELECT COUNT(*) FROM passkeys WHERE user_id = $3) AS passkeys",
        )
        .bind(user_id)
        .bind(user_id)
        .bind(user_id)
        .fetch_one(database.reader())
        .await
    }
}
