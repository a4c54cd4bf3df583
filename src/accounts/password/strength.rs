//! `/password/strength`: the strength meter beside the field of a new password.
//!
//! The route is public, is called while somebody types, and costs CPU time. So one password is estimated at a time, in the order of
//! arrival, separately from the hashing queue. Each network has at most one request in the queue, so that no client blocks the others.

use std::collections::HashSet;
use std::net::IpAddr;
use std::sync::{Arc, Mutex, PoisonError};

use actix_web::{HttpResponse, web};
use serde::Deserialize;
use serde_json::json;
use tokio::sync::Semaphore;

use super::rules::{Password, PasswordError};
use crate::accounts::Accounts;
use crate::rate_limit;
use crate::sessions::MaybeAuthenticated;
use crate::web::body::Form;
use crate::web::{Client, Error};

#[derive(Deserialize)]
pub struct StrengthForm {
    #[serde(default)]
    email: String,
    password: String,
}

/// Only advice: the form that is submitted decides.
pub async fn submit(
    client: Client,
    accounts: web::Data<Accounts>,
    MaybeAuthenticated { user, body: Form(form), .. }: MaybeAuthenticated<Form<StrengthForm>>,
) -> Result<HttpResponse, Error> {
    let email = match user {
        Some(user) => accounts.find_account(&user).await?.email.as_str().to_owned(),
        None => form.email,
    };
    let site_words = accounts.hasher.site_words();
    let is_breached = accounts.hasher.is_breached(&form.password);
    let estimate = move || strength(&form.password, &email, &site_words, is_breached);
    let strength = accounts.strength_queue.run(client.address, estimate).await?;
    let body = json!({ "score": strength.score, "words": strength.message });
    Ok(HttpResponse::Ok().insert_header(("cache-control", "no-store")).json(body))
}

struct Strength {
    /// From 0 (guessed at once) to 4.
    score: u8,
    /// With the reason, if the password would be rejected.
    message: String,
}

fn strength(text: &str, email: &str, site_words: &[String], is_breached: bool) -> Strength {
    let password = Password::unchecked(text);
    let estimate = password.estimate(email, site_words);
    let score = u8::from(estimate.score());
    let checked = password.check_rules(&estimate, email, site_words);
    match if is_breached { checked.and(Err(PasswordError::Breached)) } else { checked } {
        // A password that would be rejected gets a low score.
        Err(error) => Strength { score: score.min(1), message: error.to_string() },
        Ok(()) => {
            let message = match score {
                2 => "Good enough. One more word makes it strong.",
                3 => "Strong.",
                _ => "Very strong.",
            };
            Strength { score, message: message.to_owned() }
        }
    }
}

/// Clones share the queue.
#[derive(Clone)]
pub struct StrengthQueue {
    strength_slot: Arc<Semaphore>,
    networks: Arc<Mutex<HashSet<String>>>,
}

/// A network's slot in the queue, released on drop.
struct NetworkSlot {
    networks: Arc<Mutex<HashSet<String>>>,
    network: String,
}

impl StrengthQueue {
    pub(in crate::accounts) fn new() -> Self {
        Self { strength_slot: Arc::new(Semaphore::new(1)), networks: Arc::default() }
    }

    /// Runs `work` outside the async workers, after the requests before it. [`Error::Busy`] if the network already has a request in the
    /// queue.
    async fn run<T: Send + 'static>(
        &self,
        address: IpAddr,
        work: impl FnOnce() -> T + Send + 'static,
    ) -> Result<T, Error> {
        let network_slot = self.enter(rate_limit::wide_network(address)).ok_or(Error::Busy)?;
        let slot = Arc::clone(&self.strength_slot).acquire_owned().await.map_err(|_| Error::Busy)?;
        // The work owns both: a client that disconnects does not release a CPU core that still works for it.
        let done = tokio::task::spawn_blocking(move || {
            let result = work();
            drop((slot, network_slot));
            result
        });
        done.await.map_err(|error| Error::Internal(error.into()))
    }

    fn enter(&self, network: String) -> Option<NetworkSlot> {
        let is_new = lock(&self.networks).insert(network.clone());
        is_new.then(|| NetworkSlot { networks: Arc::clone(&self.networks), network })
    }
}

impl Drop for NetworkSlot {
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
    async fn strength_queue_serves_other_networks_while_one_is_busy() {
        let queue = StrengthQueue::new();
        let (release, released) = std::sync::mpsc::channel::<()>();
        let run = |from: &str| {
            let (queue, from) = (queue.clone(), address(from));
            tokio::spawn(async move { queue.run(from, || ()).await })
        };
        let busy = {
            let queue = queue.clone();
            tokio::spawn(async move { queue.run(address("192.0.2.1"), move || released.recv().ok()).await })
        };
        while queue.strength_slot.available_permits() > 0 {
            tokio::task::yield_now().await;
        }
        for _ in 0..10 {
            assert!(
                matches!(run("192.0.2.1").await.unwrap(), Err(Error::Busy)),
                "a second request of the same network is queued"
            );
        }
        let other = run("192.0.2.2");
        while lock(&queue.networks).len() < 2 {
            tokio::task::yield_now().await;
        }
        release.send(()).unwrap();
        assert!(busy.await.unwrap().is_ok() && other.await.unwrap().is_ok());
        assert!(run("192.0.2.1").await.unwrap().is_ok(), "its slot is free again");
    }

    #[actix_web::test]
    async fn strength_queue_slot_is_released_when_the_client_disconnects() {
        let queue = StrengthQueue::new();
        let slot = Arc::clone(&queue.strength_slot).acquire_owned().await.unwrap();
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
    fn strength_of_a_rejected_password_is_low_with_the_reason() {
        let strong = "seven calm herons on one leg";
        for rejected in [strength("12345678", "", &[], false), strength(strong, "", &[], true)] {
            assert!(rejected.score <= 1 && !rejected.message.is_empty());
        }
        assert_eq!(strength(strong, "", &[], false).score, 4);
    }
}
