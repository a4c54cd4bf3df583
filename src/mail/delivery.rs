//! How mail leaves: from the queue in the database, in the background, until it is gone.
//!
//! 1. Each second a node takes the message that waits longest; another node takes another one.
//! 2. A message with a link gets its token now. When there is nobody to send it to, it is dropped: a request for a new password is
//!    queued whether or not the address is known, so that the answer takes the same time.
//! 3. What the server refuses for good is dropped and logged; anything else is tried again after growing waits, for two days.
//! 4. A message whose node died is taken up again when its turn has ended.

use std::time::Duration;

use tokio::sync::watch;

use super::Message;
use super::links::Token;
use super::store::{self, Due};
use super::transport::{Transport, TransportError};
use crate::clock::Clock;
use crate::database::Database;

/// Seconds that a node has for one message before another may take it.
const TURN: i64 = 120;
/// Seconds until the second attempt; doubled with each further one.
const FIRST_WAIT: i64 = 5;
const LONGEST_WAIT: i64 = 15 * 60;
/// After so many seconds a message is given up.
const GIVEN_UP_AFTER: i64 = 2 * 86_400;
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
    let post_office = PostOffice { database, clock, transport, site };
    loop {
        tokio::select! {
            _ = stop.changed() => return,
            () = tokio::time::sleep(PAUSE) => {}
        }
        while !*stop.borrow() && post_office.deliver_next().await {}
    }
}

struct PostOffice {
    database: Database,
    clock: Clock,
    transport: Transport,
    site: String,
}

enum Outcome {
    Sent,
    NobodyToSendTo,
}

impl PostOffice {
    /// Tells whether it is worth going on at once.
    async fn deliver_next(&self) -> bool {
        let now = self.clock.now();
        let due = match store::take_due(&self.database, now, now.plus(TURN)).await {
            Ok(Some(due)) => due,
            Ok(None) => return false,
            Err(error) => {
                tracing::error!(%error, "the mail queue cannot be read");
                return false;
            }
        };
        let done = match self.send(&due).await {
            Ok(outcome) => {
                let sent = matches!(outcome, Outcome::Sent);
                tracing::info!(mail = %due.id, attempts = due.attempts, sent, "mail left the queue");
                store::remove(&self.database, &due.id).await.map(|()| true)
            }
            Err(TransportError::Refused(reason)) => {
                tracing::error!(mail = %due.id, reason, "mail was refused and is dropped");
                store::remove(&self.database, &due.id).await.map(|()| true)
            }
            Err(error) if now.since(due.created_at) > GIVEN_UP_AFTER => {
                tracing::error!(mail = %due.id, %error, "mail is given up");
                store::remove(&self.database, &due.id).await.map(|()| true)
            }
            Err(error) => {
                let wait = wait_after(due.attempts);
                tracing::warn!(mail = %due.id, %error, attempts = due.attempts, wait, "mail waits");
                let others_may_leave = matches!(error, TransportError::PutOff(_));
                let due_at = self.clock.now().plus(wait);
                store::postpone(&self.database, &due.id, due_at).await.map(|()| others_may_leave)
            }
        };
        done.unwrap_or_else(|error| {
            tracing::error!(mail = %due.id, %error, "the mail queue cannot be written");
            false
        })
    }

    async fn send(&self, due: &Due) -> Result<Outcome, TransportError> {
        let unreadable = |error: &dyn std::fmt::Display| TransportError::Refused(error.to_string());
        let message: Message = serde_json::from_str(&due.message).map_err(|error| unreadable(&error))?;
        let link = match message.purpose() {
            Some(purpose) => {
                let token = Token::new().map_err(|error| TransportError::PutOff(error.to_string()))?;
                let now = self.clock.now();
                let is_someone = store::insert_token(&self.database, due, purpose, &token.hash(), now)
                    .await
                    .map_err(|error| TransportError::PutOff(error.to_string()))?;
                if !is_someone {
                    return Ok(Outcome::NobodyToSendTo);
                }
                Some(format!("{}{}?token={}", self.site, purpose.path(), token.as_str()))
            }
            None => None,
        };
        let letter = message.write(&self.site, link).map_err(|error| unreadable(&error))?;
        self.transport.send(&due.id, &due.recipient, letter).await.map(|()| Outcome::Sent)
    }
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
