//! The strength meter beside the field of a new password. Anyone may ask, as often as they type, and judging costs processor time: one
//! password is judged at a time, beside those that are hashed, in the order of arrival. A network has one password waiting at most, so
//! that no client keeps the meter from others.

use std::collections::HashSet;
use std::net::IpAddr;
use std::sync::{Arc, Mutex, PoisonError};

use actix_web::{HttpResponse, web};
use serde::Deserialize;
use serde_json::json;
use tokio::sync::Semaphore;

use super::Accounts;
use super::password::Password;
use super::throttle;
use crate::sessions::MaybeAuthenticated;
use crate::web::body::Form;
use crate::web::{Client, Error};

/// What the meter sends while someone types.
#[derive(Deserialize)]
pub(super) struct StrengthForm {
    #[serde(default)]
    email: String,
    password: String,
}

/// How strong a password would be. The form's own answer decides.
pub(super) async fn submit(
    client: Client,
    accounts: web::Data<Accounts>,
    MaybeAuthenticated { user, body: Form(form), .. }: MaybeAuthenticated<Form<StrengthForm>>,
) -> Result<HttpResponse, Error> {
    let email = match user {
        Some(user) => accounts.of(&user).await?.email.as_str().to_owned(),
        None => form.email,
    };
    let site_words = accounts.hasher.site_words();
    let measure = move || strength(&form.password, &email, &site_words);
    let strength = accounts.strength_queue.run(client.address, measure).await?;
    let answer = json!({ "score": strength.score, "words": strength.words });
    Ok(HttpResponse::Ok().insert_header(("cache-control", "no-store")).json(answer))
}

struct Strength {
    /// From 0, guessed at once, to 4.
    score: u8,
    /// The same in words, with the reason when it would be refused.
    words: String,
}

fn strength(text: &str, email: &str, site_words: &[String]) -> Strength {
    let password = Password::offered(text);
    let judgement = password.judge(email, site_words);
    let score = u8::from(judgement.score());
    match password.held_to(&judgement, email, site_words) {
        // What would be refused never reads as half full.
        Err(error) => Strength { score: score.min(1), words: error.to_string() },
        Ok(_) => {
            let words = match score {
                2 => "Good enough. One more word makes it strong.",
                3 => "Strong.",
                _ => "Very strong.",
            };
            Strength { score, words: words.to_owned() }
        }
    }
}

/// Clones share the queue.
#[derive(Clone)]
pub(super) struct StrengthQueue {
    slot: Arc<Semaphore>,
    networks: Arc<Mutex<HashSet<String>>>,
}

/// A network's place in the queue; left when this is dropped.
struct Place {
    networks: Arc<Mutex<HashSet<String>>>,
    network: String,
}

impl StrengthQueue {
    pub(super) fn new() -> Self {
        Self { slot: Arc::new(Semaphore::new(1)), networks: Arc::default() }
    }

    /// Runs `work` off the async workers when it is its turn.
    ///
    /// # Errors
    /// [`Error::Busy`] while another one of the network waits or runs.
    async fn run<T: Send + 'static>(
        &self,
        address: IpAddr,
        work: impl FnOnce() -> T + Send + 'static,
    ) -> Result<T, Error> {
        let place = self.enter(throttle::widest_network(address)).ok_or(Error::Busy)?;
        let slot = Arc::clone(&self.slot).acquire_owned().await.map_err(|_| Error::Busy)?;
        // Both go into the work: a client who hangs up does not free a core that still works for it.
        let done = tokio::task::spawn_blocking(move || {
            let result = work();
            drop((slot, place));
            result
        });
        done.await.map_err(|error| Error::Internal(error.into()))
    }

    fn enter(&self, network: String) -> Option<Place> {
        let is_free = lock(&self.networks).insert(network.clone());
        is_free.then(|| Place { networks: Arc::clone(&self.networks), network })
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        lock(&self.networks).remove(&self.network);
    }
}

fn lock(networks: &Mutex<HashSet<String>>) -> std::sync::MutexGuard<'_, HashSet<String>> {
    networks.lock().unwrap_or_else(PoisonError::into_inner)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn address(text: &str) -> IpAddr {
        text.parse().unwrap()
    }

    #[actix_web::test]
    async fn one_client_keeps_the_meter_from_nobody_else() {
        let queue = StrengthQueue::new();
        let (release, held) = std::sync::mpsc::channel::<()>();
        let run = |from: &str| {
            let (queue, from) = (queue.clone(), address(from));
            tokio::spawn(async move { queue.run(from, || ()).await })
        };
        let hog = {
            let queue = queue.clone();
            tokio::spawn(async move { queue.run(address("192.0.2.1"), move || held.recv().ok()).await })
        };
        while queue.slot.available_permits() > 0 {
            tokio::task::yield_now().await;
        }
        for _ in 0..10 {
            assert!(
                matches!(run("192.0.2.1").await.unwrap(), Err(Error::Busy)),
                "a second one of the same client waits"
            );
        }
        let other = run("192.0.2.2");
        while lock(&queue.networks).len() < 2 {
            tokio::task::yield_now().await;
        }
        release.send(()).unwrap();
        assert!(hog.await.unwrap().is_ok() && other.await.unwrap().is_ok());
        assert!(run("192.0.2.1").await.unwrap().is_ok(), "its place is free again");
    }

    #[actix_web::test]
    async fn client_that_hangs_up_while_waiting_leaves_its_place() {
        let queue = StrengthQueue::new();
        let slot = Arc::clone(&queue.slot).acquire_owned().await.unwrap();
        let waiting = tokio::spawn({
            let queue = queue.clone();
            async move { queue.run(address("2001:db8::1"), || ()).await }
        });
        while lock(&queue.networks).is_empty() {
            tokio::task::yield_now().await;
        }
        waiting.abort();
        assert!(waiting.await.is_err());
        drop(slot);
        assert!(queue.run(address("2001:db8::ffff:1"), || ()).await.is_ok());
    }

    #[test]
    fn strength_of_a_refused_password_is_low_and_says_why() {
        let refused = strength("12345678", "", &[]);
        assert!(refused.score <= 1 && !refused.words.is_empty());
        assert_eq!(strength("seven calm herons on one leg", "", &[]).score, 4);
    }
}
