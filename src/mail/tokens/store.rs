//! The table `email_tokens`.

use std::time::Duration;

use super::{Purpose, Token};
use crate::database::{Database, Error, Transaction};
use crate::domain::{Email, UnixSeconds, UserId, days};

/// A token that has confirmed an address is kept this long.
const CONFIRMED_RETENTION: Duration = days(30);

/// A stored token.
#[derive(Debug)]
pub struct EmailToken {
    pub user_id: UserId,
    pub purpose: Purpose,
    /// The address that it was sent to.
    pub email: Email,
    /// Whether the address is confirmed, so that nothing is left to do.
    pub is_confirmed: bool,
}

fn email_token(user_id: UserId, purpose: &str, email: &str, is_confirmed: bool) -> Option<EmailToken> {
    Some(EmailToken { user_id, purpose: purpose.parse().ok()?, email: Email::parse(email).ok()?, is_confirmed })
}

/// Stores the hash of a new token, if the account still needs it and the mail is still in the queue; returns whether it did.
pub async fn issue(
    database: &Database,
    mail_id: &str,
    (user_id, recipient): (Option<&UserId>, &str),
    purpose: Purpose,
    token: &Token,
    now: UnixSeconds,
) -> Result<bool, Error> {
    let account = match purpose {
        Purpose::Verify => "u.email = $6 AND u.verified_at IS NULL AND u.id = $7",
        Purpose::Reset => "u.email = $6 AND CAST($7 AS TEXT) IS NULL",
        Purpose::ChangeEmail => {
            "u.id = $7 AND NOT EXISTS (SELECT 1 FROM users o WHERE o.email = $6)
                AND NOT EXISTS (SELECT 1 FROM recoveries r WHERE r.email = $6 AND r.user_id <> u.id AND r.expires_at > $4)"
        }
    };
    let sql = format!(
        "INSERT INTO email_tokens (hash, user_id, purpose, email, created_at, expires_at)
         SELECT $1, u.id, CAST($2 AS TEXT), CAST($3 AS TEXT), CAST($4 AS BIGINT), CAST($5 AS BIGINT)
         FROM users u
         WHERE u.disabled_at IS NULL AND {account} AND EXISTS (SELECT 1 FROM mail_queue q WHERE q.id = $8)"
    );
    let issued = sqlx::query(sqlx::AssertSqlSafe(sql))
        .bind(token.hash())
        .bind(purpose.code())
        .bind(recipient)
        .bind(now)
        .bind(now + purpose.lifetime())
        .bind(recipient)
        .bind(user_id)
        .bind(mail_id)
        .execute(database.writer())
        .await?;
    Ok(issued.rows_affected() > 0)
}

/// The stored token, if it is valid now: its address is the account's, or is to become so. Changes nothing.
pub async fn find(database: &Database, token: &Token, now: UnixSeconds) -> Result<Option<EmailToken>, Error> {
    let row: Option<(UserId, String, String, i64)> = sqlx::query_as(
        "SELECT t.user_id, t.purpose, t.email,
                CASE WHEN t.purpose = 'verify' AND u.verified_at IS NOT NULL THEN 1 ELSE 0 END
         FROM email_tokens t JOIN users u ON u.id = t.user_id
         WHERE t.hash = $1 AND t.expires_at > $2 AND u.disabled_at IS NULL
           AND (t.email = u.email OR t.purpose = 'change-email')",
    )
    .bind(token.hash())
    .bind(now)
    .fetch_optional(database.reader())
    .await?;
    Ok(row
        .and_then(|(user_id, purpose, email, is_confirmed)| email_token(user_id, &purpose, &email, is_confirmed == 1)))
}

/// Consumes the token if it is valid for one of `purposes`: it is never valid again.
pub async fn consume(
    transaction: &mut Transaction,
    token: &Token,
    purposes: &[Purpose],
    now: UnixSeconds,
) -> Result<Option<EmailToken>, Error> {
    let allowed = |purpose| purposes.contains(&purpose).then(|| Purpose::code(purpose));
    let row: Option<(UserId, String, String)> = sqlx::query_as(
        "DELETE FROM email_tokens
         WHERE hash = $1 AND expires_at > $2 AND purpose IN ($3, $4, $5) AND EXISTS (
             SELECT 1 FROM users u
             WHERE u.id = email_tokens.user_id AND u.disabled_at IS NULL
               AND (u.email = email_tokens.email OR email_tokens.purpose = 'change-email')
               AND (u.verified_at IS NULL OR email_tokens.purpose <> 'verify'))
         RETURNING user_id, purpose, email",
    )
    .bind(token.hash())
    .bind(now)
    .bind(allowed(Purpose::Verify))
    .bind(allowed(Purpose::Reset))
    .bind(allowed(Purpose::ChangeEmail))
    .fetch_optional(&mut *transaction)
    .await?;
    Ok(row.and_then(|(user_id, purpose, email)| email_token(user_id, &purpose, &email, false)))
}

/// Stores a consumed token again as the record that it has confirmed its address.
pub async fn keep_confirmed(
    transaction: &mut Transaction,
    token: &Token,
    stored: &EmailToken,
    now: UnixSeconds,
) -> Result<(), Error> {
    sqlx::query(
        "INSERT INTO email_tokens (hash, user_id, purpose, email, created_at, expires_at)
         VALUES ($1, $2, $3, $4, $5, $6)",
    )
    .bind(token.hash())
    .bind(&stored.user_id)
    .bind(Purpose::Verify.code())
    .bind(stored.email.as_str())
    .bind(now)
    .bind(now + CONFIRMED_RETENTION)
    .execute(&mut *transaction)
    .await
    .map(drop)
}

/// Revokes all tokens of the user, also those of mails in the queue. Recovery links stay valid.
pub async fn revoke_all(transaction: &mut Transaction, user_id: &UserId) -> Result<(), Error> {
    for purpose in [Purpose::Verify, Purpose::Reset, Purpose::ChangeEmail] {
        revoke(transaction, user_id, purpose).await?;
    }
    Ok(())
}

/// Revokes the user's tokens for `purpose`, also those of mails in the queue.
pub async fn revoke(transaction: &mut Transaction, user_id: &UserId, purpose: Purpose) -> Result<(), Error> {
    sqlx::query("DELETE FROM email_tokens WHERE user_id = $1 AND purpose = $2")
        .bind(user_id)
        .bind(purpose.code())
        .execute(&mut *transaction)
        .await?;
    remove_queued(transaction, user_id, purpose).await
}

/// Deletes queued mails to the user with a token for `purpose`.
pub async fn remove_queued(transaction: &mut Transaction, user_id: &UserId, purpose: Purpose) -> Result<(), Error> {
    sqlx::query(
        "DELETE FROM mail_queue
         WHERE purpose = $1 AND (user_id = $2 OR recipient IN (SELECT email FROM users WHERE id = $3))",
    )
    .bind(purpose.code())
    .bind(user_id)
    .bind(user_id)
    .execute(&mut *transaction)
    .await
    .map(drop)
}

/// Revokes one token, or the token of a recovery link.
pub async fn revoke_one(database: &Database, token: &Token) -> Result<(), Error> {
    for sql in ["DELETE FROM email_tokens WHERE hash = $1", "DELETE FROM recovery_tokens WHERE hash = $1"] {
        sqlx::query(sql).bind(token.hash()).execute(database.writer()).await?;
    }
    Ok(())
}

/// Maintenance: deletes a batch of expired tokens; returns how many.
pub async fn delete_expired(database: &Database, now: UnixSeconds) -> Result<u64, Error> {
    database.delete_expired("email_tokens", "hash", "expires_at", now).await
}
