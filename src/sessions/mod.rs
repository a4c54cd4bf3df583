//! Sessions: token, cookie, database row, guard.
//!
//! A session is a row; a signed token (JWT) contains its id. A request is authenticated if its token is valid, the row exists, is not
//! revoked and not expired, and the account is not disabled. So revoking a session takes effect with the next request, on every node.
//!
//! | file | purpose |
//! |---|---|
//! | `token.rs` | [`Keys`]: signs and verifies tokens |
//! | [`cookie`] | the cookie with the token |
//! | `store.rs` | the table `sessions` |
//! | [`guard`] | the middleware that authenticates a request and protects routes |
//! | `current_user.rs`, `authenticated.rs` | the user in a handler: [`CurrentUser`] for GET, [`Authenticated`] and [`MaybeAuthenticated`] for POST |
//!
//! Operations: [`start`](Sessions::start) at login, [`resume`](Sessions::resume) with each request, [`renew`](Sessions::renew) of the token,
//! [`rotate_id`](Sessions::rotate_id) after reauthentication, [`revoke`](Sessions::revoke) at logout. The API sends the token as a bearer
//! token.
//!
//! This module never sees a password. It reads the account's row: `start` requires the password hash that the caller has verified, so that
//! no session starts if the password was changed meanwhile.

mod authenticated;
pub mod cookie;
mod current_user;
pub mod guard;
mod metrics;
mod notice;
mod store;
mod token;

pub use authenticated::{Authenticated, MaybeAuthenticated};
pub use current_user::CurrentUser;
pub use metrics::register_metrics;
pub use notice::SessionNotice;
pub use store::{ActiveSession, keep_with_new_password, revoke_others};
pub use token::{Audience, Keys};

use std::sync::Arc;
use std::time::Duration;

use crate::clock::Clock;
use crate::database::{self, Database, Transaction};
use crate::domain::{SessionId, UnixSeconds, UserId, Zone, whole_seconds};
use crate::web::{Client, Viewer};
use token::{Claims, TokenError};

/// The longest time that a page waits until `last_seen_at` is written.
const UPDATE_TIMEOUT: Duration = Duration::from_millis(100);

#[derive(Clone, Copy, Debug)]
pub struct Lifetimes {
    /// Of a token, and so of an idle session.
    pub token: Duration,
    /// Of a session, however active it is.
    pub session: Duration,
    /// Of a session with "Keep me logged in".
    pub remembered: Duration,
}

/// When a session expires.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Expiry {
    /// After a token's lifetime without a request, and at the latest at the end of its own lifetime. The cookie ends with the browser.
    Idle,
    /// At the end of its own lifetime: "Keep me logged in", and tokens of the API.
    Fixed,
}

/// Starts, resumes, renews and revokes sessions. Clones share keys and connections.
#[derive(Clone)]
pub struct Sessions {
    database: Database,
    clock: Clock,
    keys: Arc<Keys>,
    lifetimes: Lifetimes,
    /// The zone of users whose own is unknown.
    default_zone: Zone,
}

/// A token that was just signed.
pub struct Issued {
    /// The JWT.
    pub token: String,
    pub issued_at: UnixSeconds,
    pub expires_at: UnixSeconds,
    pub expiry: Expiry,
}

/// The session of a request.
pub struct Resumed {
    pub user: CurrentUser,
    pub viewer: Viewer,
    issued_at: UnixSeconds,
    last_seen_at: UnixSeconds,
}

/// What a login requests.
pub struct NewSession<'a> {
    pub user_id: &'a UserId,
    /// The hash that the password was verified against.
    pub password_hash: &'a str,
    pub audience: Audience,
    pub expiry: Expiry,
    pub client: &'a Client,
}

impl Sessions {
    /// `keys` sign and verify the tokens. `default_zone` is that of users whose own is unknown.
    pub fn new(database: Database, clock: Clock, keys: Keys, lifetimes: Lifetimes, default_zone: Zone) -> Self {
        Self { database, clock, keys: Arc::new(keys), lifetimes, default_zone }
    }

    /// The time zone of users whose own is unknown.
    pub fn default_zone(&self) -> &Zone {
        &self.default_zone
    }

    /// Starts a session after the password was verified. `None` if the account was deleted, disabled or got another password meanwhile:
    /// hashing takes long enough. Everything else that the login writes belongs in the same transaction.
    pub async fn start(
        &self,
        transaction: &mut Transaction,
        new: &NewSession<'_>,
    ) -> Result<Option<Issued>, database::Error> {
        let now = self.clock.now();
        let lifetime = match (new.audience, new.expiry) {
            (Audience::Api, _) => self.lifetimes.token,
            (Audience::Web, Expiry::Idle) => self.lifetimes.session,
            (Audience::Web, Expiry::Fixed) => self.lifetimes.remembered,
        };
        let (id, expires_at) = (SessionId::new(self.clock.new_id()), now + lifetime);
        let is_started = store::insert(transaction, &id, new, now, expires_at).await?;
        // The same `now`: a token of the API lives as long as its session, to the second.
        Ok(is_started.then(|| self.issue(new.user_id, &id, new.audience, new.expiry, (now, expires_at))))
    }

    /// The session of `token`, for this audience. `None` for every invalid token and session; the reason is only logged.
    pub async fn resume(&self, token: &str, audience: Audience) -> Result<Option<Resumed>, database::Error> {
        let now = self.clock.now();
        let (claims, session_id) = match self.keys.verify(token, audience, now) {
            Ok(verified) => verified,
            Err(error) => {
                log_rejected(&error);
                return Ok(None);
            }
        };
        let Some(user_id) = UserId::parse(&claims.sub) else {
            tracing::info!(reason = "the user id is malformed", "token refused");
            return Ok(None);
        };
        let Some(row) = store::find_active(&self.database, &session_id, &user_id, audience, now).await? else {
            tracing::info!(user = user_id.as_str(), reason = "the session has ended", "token refused");
            return Ok(None);
        };
        tracing::Span::current().record("user", user_id.as_str());
        let (issued_at, token_expires_at) = (UnixSeconds::new(claims.iat), UnixSeconds::new(claims.exp));
        Ok(Some(Resumed {
            viewer: Viewer {
                email: row.email,
                is_verified: row.verified_at.is_some(),
                zone: row.time_zone.as_deref().and_then(Zone::parse).unwrap_or_else(|| self.default_zone.clone()),
            },
            user: CurrentUser {
                user_id,
                session_id,
                token_expires_at,
                session_expires_at: row.expires_at,
                expiry: row.expiry,
                orders_version: row.orders_version,
                last_import_at: row.last_import_at,
            },
            issued_at,
            last_seen_at: row.last_seen_at,
        }))
    }

    /// A new token for a browser's session if more than half of the token's lifetime has passed and the session lasts longer than the
    /// token. Also updates `last_seen_at` if it is older than half of a token's lifetime.
    pub async fn renew(&self, resumed: &Resumed) -> Option<Issued> {
        let now = self.clock.now();
        let user = &resumed.user;
        if now.since(resumed.last_seen_at) * 2 > whole_seconds(self.lifetimes.token) {
            self.update_last_seen(&user.session_id, now).await;
        }
        let half = user.token_expires_at.since(resumed.issued_at) / 2;
        let is_last = user.token_expires_at >= user.session_expires_at;
        (!is_last && now.since(resumed.issued_at) > half).then(|| self.reissue(user, &user.session_id))
    }

    /// A failed or slow write must not fail the page: the next request tries again.
    async fn update_last_seen(&self, session_id: &SessionId, now: UnixSeconds) {
        let update = store::update_last_seen(&self.database, session_id, now);
        match tokio::time::timeout(UPDATE_TIMEOUT, update).await {
            Ok(Ok(())) => {}
            Ok(Err(error)) => tracing::warn!(%error, "last_seen_at not updated"),
            Err(_) => tracing::debug!("last_seen_at not updated: timeout"),
        }
    }

    /// A new token for a browser's session, on the customer's request.
    pub async fn extend(&self, user: &CurrentUser) -> Result<Issued, database::Error> {
        store::update_last_seen(&self.database, &user.session_id, self.clock.now()).await?;
        Ok(self.reissue(user, &user.session_id))
    }

    /// Gives the session a new id after reauthentication, which invalidates all earlier tokens (ASVS 5.0 V7.2.4). Returns the new id and
    /// its token; `None` if the session has ended meanwhile.
    pub async fn rotate_id(&self, user: &CurrentUser) -> Result<Option<(SessionId, Issued)>, database::Error> {
        let new_id = SessionId::new(self.clock.new_id());
        let is_rotated = store::rotate_id(&self.database, &user.session_id, &new_id, self.clock.now()).await?;
        let issued = self.reissue(user, &new_id);
        Ok(is_rotated.then_some((new_id, issued)))
    }

    fn reissue(&self, user: &CurrentUser, session_id: &SessionId) -> Issued {
        let times = (self.clock.now(), user.session_expires_at);
        self.issue(&user.user_id, session_id, Audience::Web, user.expiry, times)
    }

    fn issue(
        &self,
        user_id: &UserId,
        session_id: &SessionId,
        audience: Audience,
        expiry: Expiry,
        (now, session_expires_at): (UnixSeconds, UnixSeconds),
    ) -> Issued {
        let expires_at = match expiry {
            Expiry::Idle => (now + self.lifetimes.token).min(session_expires_at),
            Expiry::Fixed => session_expires_at,
        };
        let claims = Claims::new(self.keys.issuer(), audience, (user_id, session_id), now, expires_at);
        Issued { token: self.keys.sign(&claims), issued_at: now, expires_at, expiry }
    }

    /// Revokes one of the user's sessions; returns whether it was active.
    pub async fn revoke(
        &self,
        transaction: &mut Transaction,
        user_id: &UserId,
        session_id: &SessionId,
    ) -> Result<bool, database::Error> {
        store::revoke(transaction, user_id, session_id, self.clock.now()).await
    }

    /// The user's active sessions, most recently used first.
    pub async fn list(&self, user_id: &UserId) -> Result<Vec<ActiveSession>, database::Error> {
        let now = self.clock.now();
        store::list_active(&self.database, user_id, now, now - self.lifetimes.token).await
    }

    /// Maintenance: deletes a batch of expired sessions; returns how many.
    pub async fn delete_expired(&self) -> Result<u64, database::Error> {
        store::delete_expired(&self.database, self.clock.now()).await
    }
}

fn log_rejected(error: &TokenError) {
    let user = if let TokenError::Expired { user_id } = error { Some(user_id) } else { None };
    tracing::info!(user, reason = %error, "token refused");
}
