//! Password hashing: Argon2id with m=19456 KiB, t=2, p=1 (OWASP Password Storage Cheat Sheet).
//!
//! Hashing is slow by design, so it runs on threads of its own, one per CPU core, behind a bounded queue. The threads have a low priority:
//! pages stay fast while many customers log in. If the queue is full, the response is "busy" at once.

use std::sync::mpsc::{self, Receiver, Sender};
use std::sync::{Arc, Mutex, PoisonError};

use argon2::password_hash::{PasswordHasher as _, PasswordVerifier as _, phc::PasswordHash};
use argon2::{Algorithm, Argon2, Params, Version};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD_NO_PAD;
use tokio::sync::{Semaphore, oneshot};

use super::breached::BreachedPasswords;
use super::metrics::{Waiting, count_rejection};
use super::rules::{Password, PasswordError};
use crate::web::Error;

/// Waiting requests per worker.
const QUEUE_PER_WORKER: usize = 24;

const MEMORY_KIB: u32 = 19_456;
const PASSES: u32 = 2;
const LANES: u32 = 1;
const SALT_BYTES: usize = 16;
const OUTPUT_BYTES: usize = 32;
/// The priority of the threads, from 0 (the server's) to 19 (the lowest).
#[cfg(target_os = "linux")]
const NICE: i32 = 10;

type Job = Box<dyn FnOnce() + Send>;

/// The result of the rules for new passwords.
pub enum PasswordCheck {
    Accepted(Password),
    Rejected(PasswordError),
}

impl PasswordCheck {
    pub fn error(self) -> Option<PasswordError> {
        match self {
            Self::Accepted(_) => None,
            Self::Rejected(error) => Some(error),
        }
    }
}

/// Validates, hashes and verifies passwords, a bounded number at a time. Clones share the queue.
#[derive(Clone)]
pub struct Hasher {
    argon2: Argon2<'static>,
    /// For accounts that do not exist. No password is known that has it, and a verification takes the usual time.
    dummy_hash: Arc<str>,
    site_words: Arc<[String]>,
    breached: Option<BreachedPasswords>,
    queue_slots: Arc<Semaphore>,
    jobs: Sender<Job>,
}

impl Hasher {
    /// One worker for each CPU core. `site_words` are parts of the site's name; no password may consist of them alone. `breached` are
    /// passwords that are refused.
    pub fn new(site_words: Vec<String>, breached: Option<BreachedPasswords>) -> Result<Self, Error> {
        let workers = std::thread::available_parallelism().map_or(1, usize::from);
        let parameters = Params::new(MEMORY_KIB, PASSES, LANES, None).map_err(internal)?;
        let argon2 = Argon2::new(Algorithm::Argon2id, Version::V0x13, parameters);
        Ok(Self {
            dummy_hash: random_hash()?.into(),
            argon2,
            site_words: site_words.into(),
            breached,
            queue_slots: Arc::new(Semaphore::new(workers * (QUEUE_PER_WORKER + 1))),
            jobs: start_threads(workers)?,
        })
    }

    pub(super) fn site_words(&self) -> Arc<[String]> {
        Arc::clone(&self.site_words)
    }

    /// Whether the password as typed is in the list of breached ones.
    pub(in crate::accounts) fn is_breached(&self, typed: &str) -> bool {
        self.breached.as_ref().is_some_and(|breached| breached.contains(typed))
    }

    /// Checks the rules for a new password of an account with that address.
    ///
    /// # Errors
    /// [`Error::Busy`] if the queue is full.
    pub async fn validate(&self, text: &str, email: &str) -> Result<PasswordCheck, Error> {
        let is_breached = self.is_breached(text);
        let (text, email, site_words) = (text.to_owned(), email.to_owned(), Arc::clone(&self.site_words));
        let validated = self.run(move || Password::validate(&text, &email, &site_words)).await?;
        let validated = if is_breached { validated.and(Err(PasswordError::Breached)) } else { validated };
        Ok(validated.map_or_else(PasswordCheck::Rejected, PasswordCheck::Accepted))
    }

    /// The hash of the password as a PHC string, with a new salt.
    ///
    /// # Errors
    /// [`Error::Busy`] if the queue is full.
    pub async fn hash(&self, password: Password) -> Result<String, Error> {
        let argon2 = self.argon2.clone();
        self.run(move || hash(&argon2, password.as_bytes())).await?
    }

    /// Whether the password has the hash `stored`. `None` takes the same time and returns false.
    ///
    /// # Errors
    /// [`Error::Busy`] if the queue is full.
    pub async fn verify(&self, password: Password, stored: Option<&str>) -> Result<bool, Error> {
        let argon2 = self.argon2.clone();
        let has_account = stored.is_some();
        let expected = stored.unwrap_or(&self.dummy_hash).to_owned();
        self.run(move || {
            let parsed = PasswordHash::new(&expected).map_err(internal)?;
            Ok(argon2.verify_password(password.as_bytes(), &parsed).is_ok() && has_account)
        })
        .await?
    }

    /// A hash whose password nobody knows. Verifying against it takes the usual time.
    pub fn unusable_hash(&self) -> &str {
        &self.dummy_hash
    }

    /// Whether a hash has the current algorithm and parameters.
    pub fn is_current(&self, stored: &str) -> bool {
        let Ok(parsed) = PasswordHash::new(stored) else {
            return false;
        };
        let is_same = |parameters: &Params| {
            (parameters.m_cost(), parameters.t_cost(), parameters.p_cost()) == (MEMORY_KIB, PASSES, LANES)
        };
        parsed.algorithm.as_str() == "argon2id"
            && Params::try_from(&parsed).is_ok_and(|parameters| is_same(&parameters))
    }

    async fn run<T: Send + 'static>(&self, work: impl FnOnce() -> T + Send + 'static) -> Result<T, Error> {
        let slot = Arc::clone(&self.queue_slots).try_acquire_owned().map_err(|_| {
            count_rejection();
            Error::Busy
        })?;
        let waiting = Waiting::begin();
        let (sender, result) = oneshot::channel();
        // The job owns the slot: a client that disconnects does not release it while its password is hashed. Before that, the job is skipped.
        let job = move || {
            drop(waiting);
            if !sender.is_closed() {
                sender.send(work()).ok();
            }
            drop(slot);
        };
        self.jobs.send(Box::new(job)).map_err(|_| Error::Busy)?;
        result.await.map_err(|error| Error::Internal(error.into()))
    }
}

/// Starts the threads; they end when the last [`Hasher`] is dropped.
fn start_threads(count: usize) -> Result<Sender<Job>, Error> {
    let (jobs, queue) = mpsc::channel::<Job>();
    let queue = Arc::new(Mutex::new(queue));
    for _ in 0..count {
        let queue = Arc::clone(&queue);
        let thread = std::thread::Builder::new().name("hash".to_owned());
        thread.spawn(move || run_jobs(&queue)).map_err(|error| Error::Internal(error.into()))?;
    }
    Ok(jobs)
}

fn run_jobs(queue: &Mutex<Receiver<Job>>) {
    lower_priority();
    loop {
        let job = queue.lock().unwrap_or_else(PoisonError::into_inner).recv();
        let Ok(job) = job else { return };
        // A job that panics must not take the thread with it.
        std::panic::catch_unwind(std::panic::AssertUnwindSafe(job)).ok();
    }
}

/// On Linux the priority of one thread can be set.
fn lower_priority() {
    #[cfg(target_os = "linux")]
    if let Err(error) = rustix::process::setpriority_process(Some(rustix::thread::gettid()), NICE) {
        tracing::debug!(%error, "the priority of a hashing thread was not lowered");
    }
}

fn hash(argon2: &Argon2<'_>, password: &[u8]) -> Result<String, Error> {
    argon2.hash_password(password).map(|hash| hash.to_string()).map_err(internal)
}

/// Random salt and output with the current parameters. Hashing a random password would take 19 MiB of memory at each start.
fn random_hash() -> Result<String, Error> {
    let mut random = [0_u8; SALT_BYTES + OUTPUT_BYTES];
    getrandom::fill(&mut random).map_err(internal)?;
    let (salt, output) = random.split_at(SALT_BYTES);
    let [salt, output] = [salt, output].map(|bytes| STANDARD_NO_PAD.encode(bytes));
    Ok(format!("$argon2id$v=19$m={MEMORY_KIB},t={PASSES},p={LANES}${salt}${output}"))
}

fn internal(error: impl std::fmt::Display) -> Error {
    Error::Internal(error.to_string().into())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[actix_web::test]
    async fn hash_verifies_the_same_password_in_both_unicode_forms() {
        let hasher = Hasher::new(Vec::new(), None).unwrap();
        let stored = hasher.hash(Password::unchecked("u\u{308}ber den Wolken")).await.unwrap();
        assert!(stored.starts_with("$argon2id$v=19$m=19456,t=2,p=1$") && hasher.is_current(&stored));
        assert!(hasher.verify(Password::unchecked("\u{fc}ber den Wolken"), Some(&stored)).await.unwrap());
        assert!(!hasher.verify(Password::unchecked("über den Dächern"), Some(&stored)).await.unwrap());
        assert!(!hasher.verify(Password::unchecked("über den Wolken"), None).await.unwrap());
    }

    #[test]
    fn hash_with_older_parameters_is_not_current() {
        let hasher = Hasher::new(Vec::new(), None).unwrap();
        let older = Argon2::new(Algorithm::Argon2id, Version::V0x13, Params::new(8192, 1, 1, None).unwrap());
        assert!(!hasher.is_current(&hash(&older, b"a password").unwrap()));
        assert!(!hasher.is_current("nonsense"));
    }

    #[test]
    fn dummy_hash_has_the_form_of_a_real_one() {
        let (hasher, other) = (Hasher::new(Vec::new(), None).unwrap(), Hasher::new(Vec::new(), None).unwrap());
        let real = hash(&hasher.argon2, b"a password").unwrap();
        assert!(hasher.is_current(hasher.unusable_hash()));
        let form = |hash: &str| hash.split('$').map(str::len).collect::<Vec<_>>();
        assert_eq!(form(hasher.unusable_hash()), form(&real));
        assert_ne!(hasher.unusable_hash(), other.unusable_hash());
    }

    /// Keeps all threads busy until the sender is dropped; returns it and the number of threads.
    fn block_threads(hasher: &Hasher) -> (mpsc::Sender<()>, usize) {
        let (release, blocked) = mpsc::channel::<()>();
        let blocked = Arc::new(Mutex::new(blocked));
        let workers = std::thread::available_parallelism().map_or(1, usize::from);
        for _ in 0..workers {
            let blocked = Arc::clone(&blocked);
            let job = move || {
                blocked.lock().unwrap().recv().ok();
            };
            hasher.jobs.send(Box::new(job)).unwrap();
        }
        (release, workers)
    }

    #[actix_web::test]
    async fn job_of_a_disconnected_client_is_skipped() {
        let hasher = Hasher::new(Vec::new(), None).unwrap();
        let all_slots = hasher.queue_slots.available_permits();
        let (release, _) = block_threads(&hasher);
        let (ran, runs) = mpsc::channel();
        let waiting = tokio::time::timeout(std::time::Duration::from_millis(50), hasher.run(move || ran.send(()).ok()));
        assert!(waiting.await.is_err(), "the threads are busy");
        drop(release);
        while hasher.queue_slots.available_permits() < all_slots {
            tokio::task::yield_now().await;
        }
        assert!(runs.try_recv().is_err(), "the job ran");
    }

    #[actix_web::test]
    async fn hash_queue_rejects_more_than_24_waiting_per_worker() {
        let hasher = Hasher::new(Vec::new(), None).unwrap();
        let (release, workers) = block_threads(&hasher);
        let hash = || {
            let hasher = hasher.clone();
            tokio::spawn(async move { hasher.hash(Password::unchecked("any")).await })
        };
        // A request that is being hashed has a queue slot, too: 24 wait for each worker.
        let waiting: Vec<_> = (0..workers * 25).map(|_| hash()).collect();
        while hasher.queue_slots.available_permits() > 0 {
            tokio::task::yield_now().await;
        }
        assert!(waiting.iter().all(|one| !one.is_finished()));
        assert!(matches!(hash().await.unwrap(), Err(Error::Busy)));
        drop(release);
        for one in waiting {
            assert!(one.await.unwrap().is_ok());
        }
        assert!(hash().await.unwrap().is_ok(), "a slot is free again");
    }
}
