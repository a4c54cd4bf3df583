//! How mail leaves: from the queue in the database, in the background, until it is gone.
//!
//! 1. Each second a node claims the messages that are due, the longest waiting first, and delivers several at once: one that waits
//!    for its server does not hold the others. Another node claims others.
//! 2. A message with a link gets its token now. When there is nobody to send it to, it is removed: a request for a new password is
//!    queued whether or not the address is known, so that the answer takes the same time.
//! 3. What the server refuses for good is kept as failed, with the reason; anything else is tried again after growing waits, and
//!    fails after two days. The operator retries or drops it; the link of a letter that was not taken is revoked.
//! 4. A message that only a newer version can read is left for a node of that version.
//! 5. A message whose node died is claimed again when the lease has ended.

use std::sync::Arc;
use std::time::Duration;

use tokio::sync::watch;
use tokio::task::JoinSet;
use tokio::time::{Instant, MissedTickBehavior};

use super::Message;
use super::links::{Purpose, Token};
use super::store::{self, Due, recoveries};
use super::transport::{Transport, TransportError};
use crate::clock::Clock;
use crate::database::{self, Database};

/// Seconds that a node has for one message before another may claim it.
const LEASE: i64 = 120;
/// Seconds until the second attempt; doubled with each further one.
const FIRST_WAIT: i64 = 5;
const LONGEST_WAIT: i64 = 15 * 60;
/// Seconds that a message of a newer version is left for other nodes.
const NEWER_VERSION_WAIT: i64 = 60;
/// After so many seconds a message fails.
const GIVEN_UP_AFTER: i64 = 2 * 86_400;
/// Messages that a node delivers at once.
const CONCURRENT: usize = 4;
/// A steady rhythm of its own: what happens here tells nobody which request came before.
const PAUSE: Duration = Duration::from_secs(1);

/// Delivers what is queued until `stop` changes; what is under way is finished first. Links lead to `site`.
pub async fn deliver(
    database: Database,
    clock: Clock,
    transport: Transport,
    site: String,
    mut stop: watch::Receiver<bool>,
) {
    let worker = Arc::new(MailWorker { database, clock, transport, site });
    let mut tick = tokio::time::interval_at(Instant::now() + PAUSE, PAUSE);
    tick.set_missed_tick_behavior(MissedTickBehavior::Delay);
    // Tasks of their own: one that was given SQLite's only writer must go on while the next claim waits for it.
    let mut deliveries = JoinSet::new();
    let mut server = Server::Answers;
    let mut starts = 0;
    loop {
        while starts > 0 && deliveries.len() < CONCURRENT {
            starts = match worker.claim().await {
                Some(due) => {
                    let worker = Arc::clone(&worker);
                    deliveries.spawn_local(async move { worker.deliver(due).await });
                    starts - 1
                }
                None => 0,
            };
        }
        tokio::select! {
            biased;
            _ = stop.changed() => break,
            Some(seen) = deliveries.join_next() => {
                server = seen.ok().flatten().unwrap_or(server);
                if server == Server::Unavailable {
                    starts = 0;
                }
            }
            _ = tick.tick() => starts = starts_per_tick(server),
        }
    }
    while deliveries.join_next().await.is_some() {}
}

/// What the last delivery that reached for the mail server has shown of it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Server {
    Answers,
    Unavailable,
}

/// A server that is unavailable is tried with one message a second, until it answers.
fn starts_per_tick(server: Server) -> usize {
    match server {
        Server::Answers => usize::MAX,
        Server::Unavailable => 1,
    }
}

struct MailWorker {
    database: Database,
    clock: Clock,
    transport: Transport,
    site: String,
}

/// The link of a message.
enum Link {
    None,
    Token {
        token: Token,
        url: String,
    },
    /// The message is for nobody.
    NoRecipient,
}

impl MailWorker {
    async fn claim(&self) -> Option<Due> {
        let now = self.clock.now();
        store::claim_due(&self.database, now, now.plus(LEASE), LONGEST_WAIT).await.unwrap_or_else(|error| {
            tracing::error!(%error, "the mail queue cannot be read");
            None
        })
    }

    /// Returns what it has shown of the server; `None` when the server was not asked.
    async fn deliver(&self, due: Due) -> Option<Server> {
        let done = match serde_json::from_str(&due.message) {
            Ok(message) => self.deliver_message(&due, &message).await,
            Err(_) => self.leave_for_newer_version(&due).await,
        };
        done.unwrap_or_else(|error| {
            tracing::error!(mail = %due.id, %error, "the mail queue cannot be written");
            Some(Server::Unavailable)
        })
    }

    async fn leave_for_newer_version(&self, due: &Due) -> Result<Option<Server>, database::Error> {
        const REASON: &str = "a newer version queued it; this one cannot read it";
        if self.is_given_up(due) {
            self.fail(due, REASON, None).await?;
            return Ok(None);
        }
        tracing::warn!(mail = %due.id, reason = REASON, "mail deferred");
        let due_at = self.clock.now().plus(NEWER_VERSION_WAIT);
        store::defer_uncounted(&self.database, &due.id, due_at, REASON).await?;
        Ok(None)
    }

    async fn deliver_message(&self, due: &Due, message: &Message) -> Result<Option<Server>, database::Error> {
        let (token, url) = match self.make_link(due, message).await? {
            Link::NoRecipient => {
                tracing::info!(mail = %due.id, "mail removed: it is for nobody");
                store::remove(&self.database, &due.id).await?;
                return Ok(None);
            }
            Link::Token { token, url } => (Some(token), Some(url)),
            Link::None => (None, None),
        };
        let Err(error) = self.send(due, message, url).await else {
            tracing::info!(mail = %due.id, attempts = due.attempts, "mail sent");
            store::remove(&self.database, &due.id).await?;
            return Ok(Some(Server::Answers));
        };
        let is_final = matches!(error, TransportError::Refused(_)) || self.is_given_up(due);
        // Without an answer the letter may have arrived all the same.
        let was_answered = !matches!(error, TransportError::Down(_));
        let revoked = token.filter(|_| is_final || was_answered);
        if is_final {
            self.fail(due, &error.to_string(), revoked.as_ref()).await?;
        } else {
            let wait = wait_after(due.attempts);
            tracing::warn!(mail = %due.id, %error, attempts = due.attempts, wait, "mail deferred");
            self.revoke(revoked.as_ref()).await?;
            store::defer(&self.database, &due.id, self.clock.now().plus(wait), &error.to_string()).await?;
        }
        Ok(Some(if was_answered { Server::Answers } else { Server::Unavailable }))
    }

    async fn make_link(&self, due: &Due, message: &Message) -> Result<Link, database::Error> {
        match message.purpose() {
            Some(purpose) => self.make_one_time_link(due, purpose).await,
            None if message.has_recovery_link() => self.make_recovery_link(due).await,
            None => Ok(Link::None),
        }
    }

    async fn make_one_time_link(&self, due: &Due, purpose: Purpose) -> Result<Link, database::Error> {
        let token = new_token()?;
        let is_stored = store::insert_token(&self.database, due, purpose, &token.hash(), self.clock.now()).await?;
        Ok(if is_stored { self.link(purpose.path(), token) } else { Link::NoRecipient })
    }

    /// What can be undone no more is told all the same.
    async fn make_recovery_link(&self, due: &Due) -> Result<Link, database::Error> {
        let token = new_token()?;
        let is_stored = recoveries::insert_token(&self.database, &due.id, &token.hash(), self.clock.now()).await?;
        Ok(if is_stored { self.link("/not-me", token) } else { Link::None })
    }

    fn link(&self, path: &str, token: Token) -> Link {
        let url = format!("{}{path}?token={}", self.site, token.as_str());
        Link::Token { token, url }
    }

    async fn send(&self, due: &Due, message: &Message, link: Option<String>) -> Result<(), TransportError> {
        let letter = message.write(&self.site, link).map_err(|error| TransportError::Refused(error.to_string()))?;
        self.transport.send(&due.id, &due.recipient, letter).await
    }

    async fn fail(&self, due: &Due, reason: &str, revoked: Option<&Token>) -> Result<(), database::Error> {
        tracing::error!(mail = %due.id, reason, attempts = due.attempts, "mail failed; see order-portal mail list");
        self.revoke(revoked).await?;
        store::fail(&self.database, &due.id, self.clock.now(), reason).await
    }

    async fn revoke(&self, token: Option<&Token>) -> Result<(), database::Error> {
        match token {
            Some(token) => store::delete_token(&self.database, &token.hash()).await,
            None => Ok(()),
        }
    }

    fn is_given_up(&self, due: &Due) -> bool {
        self.clock.now().since(due.since) > GIVEN_UP_AFTER
    }
}

fn new_token() -> Result<Token, database::Error> {
    Token::new().map_err(|error| database::Error::Io(std::io::Error::other(error.to_string())))
}

fn wait_after(attempts: i64) -> i64 {
    let doublings = u32::try_from(attempts.clamp(1, 20) - 1).unwrap_or_default();
    (FIRST_WAIT << doublings).min(LONGEST_WAIT)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn waits_grow_up_to_a_quarter_of_an_hour() {
        let waits: Vec<i64> = (1..=10).map(wait_after).collect();
        assert_eq!(waits, [5, 10, 20, 40, 80, 160, 320, 640, 900, 900]);
        assert_eq!(wait_after(i64::MAX), 900);
    }
}
