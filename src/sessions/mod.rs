//! Being signed in, for a user id. Knows no password and no address.
//!
//! A session is a row; a signed token (JWT) names it. A request is signed in when its token verifies and the row exists,
//! is not revoked and not past its end, and its user is not disabled, so that ending a session holds at the very next
//! request, on every node.
//!
//! Verbs: [`start`](Sessions::start), [`resume`](Sessions::resume), [`renew`](Sessions::renew), [`end`](Sessions::end);
//! [`rotate_id`](Sessions::rotate_id) after reauthentication.
//! Pages carry the token in a cookie ([`cookie`]) and stand behind [`guard`]; the API carries it as a bearer token. A GET gets its
//! user as [`CurrentUser`]; a POST as [`Authenticated`] or [`MaybeAuthenticated`], which check the session after the body has arrived.

mod authenticated;
pub mod cookie;
mod current_user;
pub mod guard;
mod store;
mod token;

pub use authenticated::{Authenticated, MaybeAuthenticated};
pub use current_user::CurrentUser;
pub use store::ActiveSession;
pub use token::{Audience, Keys};

use std::sync::Arc;
use std::time::Duration;

use crate::clock::{Clock, UnixSeconds};
use crate::database::{self, Database, Transaction};
use crate::web::{Client, Viewer, Zone};
use token::{Claims, TokenError};

/// How long a page waits until it is noted that it was asked for.
const NOTE_WITHIN: Duration = Duration::from_millis(100);

/// How long sessions live, in seconds.
#[derive(Clone, Copy, Debug)]
pub struct Lifetimes {
    /// A token's, and so an idle session's.
    pub token: i64,
    /// A session's, however busy.
    pub session: i64,
    /// The same with "keep me signed in".
    pub remembered: i64,
}

/// When a session ends by itself.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Ending {
    /// After a token's life without a request, and in any case at its own end. The cookie goes with the browser.
    Idle,
    /// At its own end alone: "keep me signed in", and the API's tokens.
    Fixed,
}

/// Starts, resumes, renews and ends sessions. Clones share keys and connections.
#[derive(Clone)]
pub struct Sessions {
    database: Database,
    clock: Clock,
    keys: Arc<Keys>,
    lifetimes: Lifetimes,
}

/// A token that was just signed.
pub struct Issued {
    /// The JWT.
    pub token: String,
    /// When it ends.
    pub expires_at: UnixSeconds,
    /// Whether the browser keeps it when it is closed.
    pub ending: Ending,
}

/// A session that a request was found to be in.
pub struct Resumed {
    /// Who, and in which session.
    pub user: CurrentUser,
    /// What the layout shows of them.
    pub viewer: Viewer,
    issued_at: UnixSeconds,
    last_seen_at: UnixSeconds,
}

impl Sessions {
    /// Sessions of the site whose tokens `keys` sign.
    pub fn new(database: Database, clock: Clock, keys: Keys, lifetimes: Lifetimes) -> Self {
        Self { database, clock, keys: Arc::new(keys), lifetimes }
    }

    /// Starts a session for a user who has just shown who they are, if their account still stands with that password
    /// hash and is not disabled: hashing takes long enough for things to change meanwhile. What else the login writes belongs
    /// into the same transaction.
    ///
    /// # Errors
    /// The database's.
    pub async fn start(
        &self,
        transaction: &mut Transaction,
        user_id: &str,
        password_hash: &str,
        audience: Audience,
        ending: Ending,
        client: &Client,
    ) -> Result<Option<Issued>, database::Error> {
        let now = self.clock.now();
        let life = match (audience, ending) {
            (Audience::Api, _) => self.lifetimes.token,
            (Audience::Web, Ending::Idle) => self.lifetimes.session,
            (Audience::Web, Ending::Fixed) => self.lifetimes.remembered,
        };
        let session = store::NewSession {
            id: self.clock.new_id(),
            user_id,
            password_hash,
            audience,
            ending,
            client,
            now,
            expires_at: now.plus(life),
        };
        let started = store::insert(transaction, &session).await?;
        Ok(started.then(|| self.issue(user_id, &session.id, audience, ending, session.expires_at)))
    }

    /// The session that `token` names, for this audience. `None`, without saying why, for every token and session that
    /// does not hold.
    ///
    /// # Errors
    /// The database's.
    pub async fn resume(&self, token: &str, audience: Audience) -> Result<Option<Resumed>, database::Error> {
        let now = self.clock.now();
        let claims = match self.keys.verify(token, audience, now) {
            Ok(claims) => claims,
            Err(error) => {
                log_refused(&error);
                return Ok(None);
            }
        };
        let row = store::find_live(&self.database, &claims.sid, audience, now).await?;
        let Some(row) = row.filter(|row| row.user_id == claims.sub) else {
            tracing::info!(user = claims.sub, reason = "the session has ended", "token refused");
            return Ok(None);
        };
        tracing::Span::current().record("user", &row.user_id);
        Ok(Some(Resumed {
            user: CurrentUser {
                user_id: row.user_id,
                session_id: claims.sid,
                token_expires_at: UnixSeconds::new(claims.exp),
                session_expires_at: UnixSeconds::new(row.expires_at),
                ending: row.ending,
            },
            viewer: Viewer {
                email: row.email,
                verified: row.verified_at.is_some(),
                ends_in: claims.exp - now.get(),
                can_stay: claims.exp < row.expires_at,
                zone: row.time_zone.as_deref().and_then(Zone::parse).unwrap_or_default(),
            },
            issued_at: UnixSeconds::new(claims.iat),
            last_seen_at: UnixSeconds::new(row.last_seen_at),
        }))
    }

    /// A fresh token for a session of the browser whose token is past half of its life, up to the session's own end; `None` while it is
    /// not yet time, and for a token that lives to the session's end. "Last seen" is written when the note is older than half of a
    /// token's life.
    pub async fn renew(&self, resumed: &Resumed) -> Option<Issued> {
        let now = self.clock.now();
        let user = &resumed.user;
        if now.since(resumed.last_seen_at) * 2 > self.lifetimes.token {
            self.note_seen(&user.session_id, now).await;
        }
        let half = user.token_expires_at.since(resumed.issued_at) / 2;
        let is_last = user.token_expires_at >= user.session_expires_at;
        (!is_last && now.since(resumed.issued_at) > half).then(|| self.reissue(user, &user.session_id))
    }

    /// A page is worth more than the note that it was seen: what cannot be written soon is left to the next request.
    async fn note_seen(&self, session_id: &str, now: UnixSeconds) {
        match tokio::time::timeout(NOTE_WITHIN, store::touch(&self.database, session_id, now)).await {
            Ok(Ok(())) => {}
            Ok(Err(error)) => tracing::warn!(%error, "\"last seen\" was not written"),
            Err(_) => tracing::debug!("\"last seen\" waits for another write"),
        }
    }

    /// A fresh token for a session of the browser, because the customer asks to stay signed in.
    ///
    /// # Errors
    /// The database's.
    pub async fn stay(&self, user: &CurrentUser) -> Result<Issued, database::Error> {
        store::touch(&self.database, &user.session_id, self.clock.now()).await?;
        Ok(self.reissue(user, &user.session_id))
    }

    /// Has the session go on under another id after reauthentication, so that tokens from before are dead (ASVS 5.0 V7.2.4): the new id
    /// and its token; `None` when it has ended meanwhile.
    ///
    /// # Errors
    /// The database's.
    pub async fn rotate_id(&self, user: &CurrentUser) -> Result<Option<(String, Issued)>, database::Error> {
        let session_id = self.clock.new_id();
        let lives = store::rotate_id(&self.database, &user.session_id, &session_id, self.clock.now()).await?;
        let issued = self.reissue(user, &session_id);
        Ok(lives.then_some((session_id, issued)))
    }

    fn reissue(&self, user: &CurrentUser, session_id: &str) -> Issued {
        self.issue(&user.user_id, session_id, Audience::Web, user.ending, user.session_expires_at)
    }

    /// Ends one of the user's sessions, whose tokens are dead at the next request; tells whether it still lived.
    ///
    /// # Errors
    /// The database's.
    pub async fn end(
        &self,
        transaction: &mut Transaction,
        user_id: &str,
        session_id: &str,
    ) -> Result<bool, database::Error> {
        Ok(token::is_id(session_id) && store::revoke(transaction, user_id, session_id, self.clock.now()).await?)
    }

    /// The user's sessions, last seen first.
    ///
    /// # Errors
    /// The database's.
    pub async fn list(&self, user_id: &str) -> Result<Vec<ActiveSession>, database::Error> {
        let now = self.clock.now();
        store::list_live(&self.database, user_id, now, now.plus(-self.lifetimes.token)).await
    }

    /// Upkeep: removes some sessions that have ended; tells how many.
    ///
    /// # Errors
    /// The database's.
    pub async fn clean(&self) -> Result<u64, database::Error> {
        store::clean(&self.database, self.clock.now()).await
    }

    fn issue(&self, user_id: &str, session_id: &str, audience: Audience, ending: Ending, end: UnixSeconds) -> Issued {
        let now = self.clock.now();
        let expires_at = match ending {
            Ending::Idle => now.plus(self.lifetimes.token).min(end),
            Ending::Fixed => end,
        };
        let claims = Claims::new(self.keys.issuer(), audience, user_id, session_id, now, expires_at);
        Issued { token: self.keys.sign(&claims), expires_at, ending }
    }
}

fn log_refused(error: &TokenError) {
    let user = if let TokenError::Expired { user_id } = error { Some(user_id) } else { None };
    tracing::info!(user, reason = %error, "token refused");
}

/// Ends every session of the user but the one to keep, as part of what asks for it; tells how many.
///
/// # Errors
/// The database's.
pub async fn end_all_but(
    transaction: &mut Transaction,
    user_id: &str,
    kept: Option<&str>,
    now: UnixSeconds,
) -> Result<u64, database::Error> {
    store::revoke_all_but(transaction, user_id, kept, now).await
}
