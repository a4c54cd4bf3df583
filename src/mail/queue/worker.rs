//! The worker that delivers queued mail in the background.
//!
//! 1. Each second a node claims the due messages, the longest waiting first, and delivers several at once, so that one slow delivery
//!    does not delay the others. Another node claims others.
//! 2. A message with a link gets its token now. A message without recipient is deleted: a password reset is queued also for an unknown
//!    address, so that the response takes the same time.
//! 3. A message that the server rejects permanently is kept as failed, with the reason. After any other error it is tried again, with
//!    growing waits, and fails after two days. The operator retries or drops it. The token of a rejected message is revoked.
//! 4. A message that only a newer version can read is left for a node of that version.
//! 5. If a node dies, its messages are claimed again when their lease has expired.

use std::sync::Arc;
use std::time::Duration;

use tokio::sync::watch;
use tokio::task::JoinSet;
use tokio::time::{Instant, MissedTickBehavior};

use super::store::{self, ClaimedMail};
use crate::clock::Clock;
use crate::database::{self, Database};
use crate::domain::{Zone, days, whole_seconds};
use crate::mail::tokens::{self, Purpose, Token};
use crate::mail::transport::{Transport, TransportError};
use crate::mail::{Message, Sender, recoveries};

/// How long a node has for one message before another node may claim it.
const LEASE: Duration = Duration::from_secs(120);
/// The wait after the first failed attempt; doubled after each further one.
const FIRST_WAIT: Duration = Duration::from_secs(5);
const MAX_WAIT: Duration = Duration::from_mins(15);
/// How long a message of a newer version is left for other nodes.
const NEWER_VERSION_WAIT: Duration = Duration::from_secs(60);
/// A message that is not delivered within this time fails.
const GIVE_UP_AFTER: Duration = days(2);
const MAX_CONCURRENT_DELIVERIES: usize = 4;
/// Fixed, so that the time of a delivery does not reveal which request queued the message.
const CLAIM_INTERVAL: Duration = Duration::from_secs(1);

/// Delivers queued mail until `stop` changes; deliveries in progress are completed. Links point to the sender's site.
pub async fn deliver(
    database: Database,
    clock: Clock,
    transport: Transport,
    sender: Sender,
    mut stop: watch::Receiver<bool>,
) {
    let worker = Arc::new(MailWorker { database, clock, transport, sender });
    let mut tick = tokio::time::interval_at(Instant::now() + CLAIM_INTERVAL, CLAIM_INTERVAL);
    tick.set_missed_tick_behavior(MissedTickBehavior::Delay);
    // Separate tasks: a delivery that holds SQLite's only writer must continue while the next claim waits for it.
    let mut deliveries = JoinSet::new();
    let mut server = ServerState::Available;
    let mut remaining_claims = 0;
    loop {
        while remaining_claims > 0 && deliveries.len() < MAX_CONCURRENT_DELIVERIES {
            remaining_claims = match worker.claim().await {
                Some(mail) => {
                    let worker = Arc::clone(&worker);
                    deliveries.spawn_local(async move { worker.deliver(mail).await });
                    remaining_claims - 1
                }
                None => 0,
            };
        }
        tokio::select! {
            biased;
            _ = stop.changed() => break,
            Some(seen) = deliveries.join_next() => {
                server = seen.ok().flatten().unwrap_or(server);
                if server == ServerState::Unavailable {
                    remaining_claims = 0;
                }
            }
            _ = tick.tick() => remaining_claims = claims_per_tick(server),
        }
    }
    while deliveries.join_next().await.is_some() {}
}

/// What the last delivery showed about the mail server.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum ServerState {
    Available,
    Unavailable,
}

/// An unavailable server gets one message a second until it answers.
fn claims_per_tick(server: ServerState) -> usize {
    match server {
        ServerState::Available => usize::MAX,
        ServerState::Unavailable => 1,
    }
}

struct MailWorker {
    database: Database,
    clock: Clock,
    transport: Transport,
    sender: Sender,
}

/// The link of a message.
enum Link {
    None,
    Token {
        token: Token,
        url: String,
    },
    /// The message must not be sent: no account needs it.
    NoRecipient,
}

impl MailWorker {
    async fn claim(&self) -> Option<ClaimedMail> {
        let now = self.clock.now();
        store::claim_due(&self.database, now, now + LEASE, MAX_WAIT).await.unwrap_or_else(|error| {
            tracing::error!(%error, "the mail queue cannot be read");
            None
        })
    }

    /// Returns what the delivery showed about the server; `None` if it did not contact the server.
    async fn deliver(&self, mail: ClaimedMail) -> Option<ServerState> {
        let delivered = match serde_json::from_str(&mail.message) {
            Ok(message) => self.deliver_message(&mail, &message).await,
            Err(_) => self.leave_for_newer_version(&mail).await,
        };
        delivered.unwrap_or_else(|error| {
            tracing::error!(mail = %mail.id, %error, "the mail queue cannot be written");
            Some(ServerState::Unavailable)
        })
    }

    async fn leave_for_newer_version(&self, mail: &ClaimedMail) -> Result<Option<ServerState>, database::Error> {
        const REASON: &str = "a newer version queued it; this one cannot read it";
        if self.is_too_old(mail) {
            self.fail(mail, REASON, None).await?;
            return Ok(None);
        }
        tracing::warn!(mail = %mail.id, reason = REASON, "mail deferred");
        let due_at = self.clock.now() + NEWER_VERSION_WAIT;
        // Only the attempts of a version that can read it count.
        store::defer(&self.database, &mail.id, mail.attempts - 1, due_at, REASON).await?;
        Ok(None)
    }

    async fn deliver_message(
        &self,
        mail: &ClaimedMail,
        message: &Message,
    ) -> Result<Option<ServerState>, database::Error> {
        let (token, url) = match self.issue_link(mail, message).await? {
            Link::NoRecipient => {
                tracing::info!(mail = %mail.id, "mail removed: it has no recipient");
                store::delete(&self.database, &mail.id).await?;
                return Ok(None);
            }
            Link::Token { token, url } => (Some(token), Some(url)),
            Link::None => (None, None),
        };
        let Err(error) = self.send(mail, message, url).await else {
            tracing::info!(mail = %mail.id, attempts = mail.attempts, "mail sent");
            store::delete(&self.database, &mail.id).await?;
            return Ok(Some(ServerState::Available));
        };
        let is_final = matches!(error, TransportError::Refused(_)) || self.is_too_old(mail);
        // Without an answer of the server the mail may still have been delivered.
        let was_answered = !matches!(error, TransportError::Unavailable(_));
        let revoked = token.filter(|_| is_final || was_answered);
        if is_final {
            self.fail(mail, &error.to_string(), revoked.as_ref()).await?;
        } else {
            let wait = wait_after(mail.attempts);
            let seconds = wait.as_secs();
            tracing::warn!(mail = %mail.id, %error, attempts = mail.attempts, wait = seconds, "mail deferred");
            self.revoke(revoked.as_ref()).await?;
            let due_at = self.clock.now() + wait;
            store::defer(&self.database, &mail.id, mail.attempts, due_at, &error.to_string()).await?;
        }
        Ok(Some(if was_answered { ServerState::Available } else { ServerState::Unavailable }))
    }

    async fn issue_link(&self, mail: &ClaimedMail, message: &Message) -> Result<Link, database::Error> {
        match message.purpose() {
            Some(purpose) => self.issue_one_time_link(mail, purpose).await,
            None if message.has_recovery_link() => self.issue_recovery_link(mail).await,
            None => Ok(Link::None),
        }
    }

    async fn issue_one_time_link(&self, mail: &ClaimedMail, purpose: Purpose) -> Result<Link, database::Error> {
        let token = generate_token()?;
        let account = (mail.user_id.as_ref(), mail.recipient.as_str());
        let is_issued = tokens::issue(&self.database, &mail.id, account, purpose, &token, self.clock.now()).await?;
        Ok(if is_issued { self.link(purpose.path(), token) } else { Link::NoRecipient })
    }

    /// A change that can no longer be undone is still reported, without a link.
    async fn issue_recovery_link(&self, mail: &ClaimedMail) -> Result<Link, database::Error> {
        let token = generate_token()?;
        let is_issued = recoveries::insert_token(&self.database, &mail.id, &token, self.clock.now()).await?;
        Ok(if is_issued { self.link("/not-me", token) } else { Link::None })
    }

    fn link(&self, path: &str, token: Token) -> Link {
        let url = format!("{}{path}?token={}", self.sender.site, token.as_str());
        Link::Token { token, url }
    }

    async fn send(&self, mail: &ClaimedMail, message: &Message, link: Option<String>) -> Result<(), TransportError> {
        let zone = mail.time_zone.as_deref().and_then(Zone::parse).unwrap_or_else(|| self.sender.zone.clone());
        let content = message
            .render(&Sender { zone, ..self.sender.clone() }, link.as_deref())
            .map_err(|error| TransportError::Refused(error.to_string()))?;
        self.transport.send(&mail.id, &mail.recipient, content).await
    }

    async fn fail(&self, mail: &ClaimedMail, reason: &str, revoked: Option<&Token>) -> Result<(), database::Error> {
        tracing::error!(mail = %mail.id, reason, attempts = mail.attempts, "mail failed; see order-portal mail list");
        self.revoke(revoked).await?;
        store::fail(&self.database, &mail.id, self.clock.now(), reason).await
    }

    async fn revoke(&self, token: Option<&Token>) -> Result<(), database::Error> {
        match token {
            Some(token) => tokens::revoke_one(&self.database, token).await,
            None => Ok(()),
        }
    }

    fn is_too_old(&self, mail: &ClaimedMail) -> bool {
        self.clock.now().since(mail.queued_at) > whole_seconds(GIVE_UP_AFTER)
    }
}

fn generate_token() -> Result<Token, database::Error> {
    Token::generate().map_err(|error| database::Error::Io(std::io::Error::other(error.to_string())))
}

fn wait_after(attempts: i64) -> Duration {
    let doublings = u32::try_from(attempts.clamp(1, 20) - 1).unwrap_or_default();
    (FIRST_WAIT * (1 << doublings)).min(MAX_WAIT)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn waits_double_up_to_15_minutes() {
        let waits: Vec<u64> = (1..=10).map(|attempts| wait_after(attempts).as_secs()).collect();
        assert_eq!(waits, [5, 10, 20, 40, 80, 160, 320, 640, 900, 900]);
        assert_eq!(wait_after(i64::MAX), MAX_WAIT);
    }
}
