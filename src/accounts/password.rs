//! Passwords: which are taken, and how they are kept.
//!
//! Argon2id with m=19456 KiB, t=2, p=1 (OWASP Password Storage Cheat Sheet). Hashing is meant to be slow, so it runs off
//! the async workers, at most one per core at a time, behind a bounded queue: pages stay fast and past the queue
//! the answer is "busy" at once.

use std::sync::Arc;

use argon2::password_hash::{PasswordHasher as _, PasswordVerifier as _, phc::PasswordHash};
use argon2::{Algorithm, Argon2, Params, Version};
use tokio::sync::Semaphore;
use unicode_normalization::UnicodeNormalization;

use super::guessable;
use crate::web::Error;

/// Characters, after NFC (NIST SP 800-63B-4 section 3.1.1.2; ASVS 5.0 V6.2.1 and V6.2.9).
const SHORTEST: usize = 8;
const LONGEST: usize = 256;
/// zxcvbn's scale from 0 to 4: 2 is "somewhat guessable", over a million guesses.
const WEAKEST: zxcvbn::Score = zxcvbn::Score::Two;
/// zxcvbn takes time with length; what follows makes no password weaker.
const JUDGED: usize = 72;
/// What zxcvbn reads as letters ("l33t"), and how many kinds of it are looked at: the ten digits pass whole.
const SIGNS_FOR_LETTERS: &str = "4@8({[<369!1|70$5+%2";
const MOST_SIGNS: usize = 10;
/// Words of the address that are looked for, and the longest of them in bytes.
const MOST_WORDS: usize = 8;
const LONGEST_WORD: usize = 64;
/// Waiting for one core.
const QUEUE_PER_CORE: usize = 24;

const MEMORY_KIB: u32 = 19_456;
const PASSES: u32 = 2;
const LANES: u32 = 1;

/// A password on its way to be hashed; never shown, never stored.
pub struct Password(String);

/// Why a password is not taken, in words for the one who chose it.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
pub enum PasswordError {
    /// Nothing was typed.
    #[error("Choose a password.")]
    Missing,
    /// Under 8 characters.
    #[error("Use at least 8 characters. Several words in a row are easy to remember.")]
    TooShort,
    /// Over 256 characters.
    #[error("Use at most 256 characters.")]
    TooLong,
    /// Too easily guessed, and why.
    #[error("That password is too easy to guess. {0}")]
    Guessable(String),
}

impl Password {
    /// A password for an account with that address, on a site with those words in its name.
    fn choose(text: &str, email: &str, site_words: &[String]) -> Result<Self, PasswordError> {
        let password = Self::offered(text);
        let judgement = password.judge(email, site_words);
        password.held_to(&judgement, email, site_words)
    }

    pub(super) fn held_to(
        self,
        judgement: &zxcvbn::Entropy,
        email: &str,
        site_words: &[String],
    ) -> Result<Self, PasswordError> {
        if let Some(error) = Self::length_error(&self.0) {
            return Err(error);
        }
        if let Some(reason) = guessable::reason(&self.0, email, site_words) {
            return Err(PasswordError::Guessable(reason.to_owned()));
        }
        if judgement.score() < WEAKEST {
            return Err(PasswordError::Guessable(reason(judgement)));
        }
        Ok(self)
    }

    pub(super) fn judge(&self, email: &str, site_words: &[String]) -> zxcvbn::Entropy {
        judge(&self.0, email, site_words)
    }

    /// What is wrong with its length alone, which costs nothing to see.
    pub(super) fn length_error(text: &str) -> Option<PasswordError> {
        match text.nfc().count() {
            0 => Some(PasswordError::Missing),
            length if length < SHORTEST => Some(PasswordError::TooShort),
            length if length > LONGEST => Some(PasswordError::TooLong),
            _ => None,
        }
    }

    /// A password as it was typed to log in: whatever it is, it is only compared.
    pub fn offered(text: &str) -> Self {
        Self(text.nfc().collect())
    }
}

/// How hard the password is to guess for someone who knows the address and the site (ASVS 5.0 V6.2.4, V6.2.11).
fn judge(text: &str, email: &str, site_words: &[String]) -> zxcvbn::Entropy {
    let judged: String = tamed(text.chars().take(JUDGED));
    let words = guessable::words(email).filter(|word| word.len() <= LONGEST_WORD);
    let mut context: Vec<&str> = words.take(MOST_WORDS).collect();
    context.extend(Some(email).filter(|email| email.len() <= LONGEST_WORD));
    context.extend(["order-portal", "order portal", "orders", "portal"]);
    context.extend(site_words.iter().map(String::as_str));
    zxcvbn::zxcvbn(&judged, &context)
}

/// Without signs that may stand for letters beyond the first ten kinds of them: zxcvbn tries all of their meanings with each other, and
/// with twenty kinds that takes seconds. Nobody writes a word in them.
fn tamed(text: impl Iterator<Item = char>) -> String {
    let mut kinds: Vec<char> = Vec::with_capacity(MOST_SIGNS);
    let tame = |letter: char| {
        if !SIGNS_FOR_LETTERS.contains(letter) || kinds.contains(&letter) {
            return letter;
        }
        if kinds.len() == MOST_SIGNS {
            return char::REPLACEMENT_CHARACTER;
        }
        kinds.push(letter);
        letter
    };
    text.map(tame).collect()
}

fn reason(judgement: &zxcvbn::Entropy) -> String {
    let feedback = judgement.feedback();
    let warning = feedback.and_then(zxcvbn::feedback::Feedback::warning).map(|warning| warning.to_string());
    let advice = feedback.and_then(|feedback| feedback.suggestions().first()).map(ToString::to_string);
    let said: Vec<String> = warning.into_iter().chain(advice).collect();
    if said.is_empty() { "Add another word or two.".to_owned() } else { said.join(" ") }
}

/// Hashes and checks passwords, a bounded number at a time. Clones share the queue.
#[derive(Clone)]
pub struct Hasher {
    argon2: Argon2<'static>,
    nobody: Arc<str>,
    site_words: Arc<[String]>,
    places: Arc<Semaphore>,
    cores: Arc<Semaphore>,
}

impl Hasher {
    /// A hasher for this computer's cores. `site_words` are in the site's name, so no password is made of them alone.
    ///
    /// # Errors
    /// When the operating system gives no randomness.
    pub fn new(site_words: Vec<String>) -> Result<Self, Error> {
        let cores = std::thread::available_parallelism().map_or(1, usize::from);
        let parameters = Params::new(MEMORY_KIB, PASSES, LANES, None).map_err(internal)?;
        let argon2 = Argon2::new(Algorithm::Argon2id, Version::V0x13, parameters);
        let mut nobody = [0_u8; 32];
        getrandom::fill(&mut nobody).map_err(|error| Error::Internal(error.to_string().into()))?;
        Ok(Self {
            nobody: hash(&argon2, &nobody)?.into(),
            argon2,
            site_words: site_words.into(),
            places: Arc::new(Semaphore::new(cores * (QUEUE_PER_CORE + 1))),
            cores: Arc::new(Semaphore::new(cores)),
        })
    }

    /// What is in the site's name.
    pub(super) fn site_words(&self) -> Arc<[String]> {
        Arc::clone(&self.site_words)
    }

    /// A password for an account with that address, or why it is not taken.
    ///
    /// # Errors
    /// [`Error::Busy`] when the queue is full.
    pub async fn choose(&self, text: &str, email: &str) -> Result<Result<Password, PasswordError>, Error> {
        let (text, email, site_words) = (text.to_owned(), email.to_owned(), Arc::clone(&self.site_words));
        self.run(move || Password::choose(&text, &email, &site_words)).await
    }

    /// The password as a PHC string with a salt of its own.
    ///
    /// # Errors
    /// [`Error::Busy`] when the queue is full.
    pub async fn hash(&self, password: Password) -> Result<String, Error> {
        let argon2 = self.argon2.clone();
        self.run(move || hash(&argon2, password.0.as_bytes())).await?
    }

    /// Whether the password is the one behind `stored`; without one, the same work is done and the answer is no.
    ///
    /// # Errors
    /// [`Error::Busy`] when the queue is full.
    pub async fn verify(&self, password: Password, stored: Option<&str>) -> Result<bool, Error> {
        let argon2 = self.argon2.clone();
        let is_known = stored.is_some();
        let against = stored.unwrap_or(&self.nobody).to_owned();
        self.run(move || {
            let parsed = PasswordHash::new(&against).map_err(internal)?;
            Ok(argon2.verify_password(password.0.as_bytes(), &parsed).is_ok() && is_known)
        })
        .await?
    }

    /// A PHC string that no password verifies against, as slowly as against any other.
    pub fn unusable(&self) -> &str {
        &self.nobody
    }

    /// Whether a PHC string was made with today's algorithm and parameters.
    pub fn is_current(&self, stored: &str) -> bool {
        let Ok(parsed) = PasswordHash::new(stored) else {
            return false;
        };
        let same = |parameters: &Params| {
            (parameters.m_cost(), parameters.t_cost(), parameters.p_cost()) == (MEMORY_KIB, PASSES, LANES)
        };
        parsed.algorithm.as_str() == "argon2id" && Params::try_from(&parsed).is_ok_and(|parameters| same(&parameters))
    }

    async fn run<T: Send + 'static>(&self, work: impl FnOnce() -> T + Send + 'static) -> Result<T, Error> {
        let place = Arc::clone(&self.places).try_acquire_owned().map_err(|_| Error::Busy)?;
        let core = Arc::clone(&self.cores).acquire_owned().await.map_err(|_| Error::Busy)?;
        // The permits go into the work: a client who hangs up does not free a core that still hashes.
        let done = tokio::task::spawn_blocking(move || {
            let result = work();
            drop((core, place));
            result
        });
        done.await.map_err(|error| Error::Internal(error.into()))
    }
}

fn hash(argon2: &Argon2<'_>, password: &[u8]) -> Result<String, Error> {
    argon2.hash_password(password).map(|hash| hash.to_string()).map_err(internal)
}

fn internal(error: impl std::fmt::Display) -> Error {
    Error::Internal(error.to_string().into())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn refusal(text: &str) -> Option<PasswordError> {
        Password::choose(text, "savea@northwind.example", &["northwind".to_owned(), "herring".to_owned()]).err()
    }

    #[test]
    fn length_is_counted_in_characters_not_bytes() {
        assert_eq!(refusal("kürzer!"), Some(PasswordError::TooShort));
        assert_eq!(refusal(&"ä".repeat(257)), Some(PasswordError::TooLong));
        assert_eq!(refusal(""), Some(PasswordError::Missing));
        assert_eq!(refusal("Grüße aus Köln 47"), None);
    }

    #[test]
    fn common_and_guessable_passwords_are_refused_with_the_reason() {
        for text in
            ["password", "12345678", "qwertyuiop", "northwind", "herring1", "savea@northwind.example", "aaaaaaaaaaaa"]
        {
            let Some(PasswordError::Guessable(reason)) = refusal(text) else { panic!("{text} was taken") };
            assert!(!reason.is_empty());
        }
    }

    #[test]
    fn no_password_and_no_address_take_long_to_judge() {
        let password = format!("4@8({{[<369!10$5+7%2|{}", "0".repeat(52));
        let words: Vec<String> = (3..=52).map(|length| "o".repeat(length)).collect();
        let began = std::time::Instant::now();
        judge(&password, &words.join("."), &[]);
        let taken = began.elapsed();
        assert!(taken < std::time::Duration::from_secs(2), "{taken:?}; it took nine seconds");
        assert!(refusal("1234567890").is_some() && refusal("0987654321").is_some());
    }

    #[test]
    fn long_passwords_of_any_letters_are_taken() {
        assert_eq!(refusal("correct horse battery staple"), None);
        assert_eq!(refusal(&"🦀 Krabben laufen seitwärts ".repeat(9)), None);
    }

    #[actix_web::test]
    async fn a_password_is_known_again_in_either_unicode_form_and_no_other_is() {
        let hasher = Hasher::new(Vec::new()).unwrap();
        let stored = hasher.hash(Password::offered("u\u{308}ber den Wolken")).await.unwrap();
        assert!(stored.starts_with("$argon2id$v=19$m=19456,t=2,p=1$") && hasher.is_current(&stored));
        assert!(hasher.verify(Password::offered("\u{fc}ber den Wolken"), Some(&stored)).await.unwrap());
        assert!(!hasher.verify(Password::offered("über den Dächern"), Some(&stored)).await.unwrap());
        assert!(!hasher.verify(Password::offered("über den Wolken"), None).await.unwrap());
    }

    #[test]
    fn a_hash_with_older_parameters_is_not_current() {
        let hasher = Hasher::new(Vec::new()).unwrap();
        let older = Argon2::new(Algorithm::Argon2id, Version::V0x13, Params::new(8192, 1, 1, None).unwrap());
        assert!(!hasher.is_current(&hash(&older, b"a password").unwrap()));
        assert!(!hasher.is_current("nonsense"));
    }

    #[actix_web::test]
    async fn hash_queue_refuses_what_comes_after_24_waiters_a_core() {
        let hasher = Hasher::new(Vec::new()).unwrap();
        let cores = hasher.cores.available_permits();
        let all_cores = u32::try_from(cores).unwrap();
        let busy = Arc::clone(&hasher.cores).acquire_many_owned(all_cores).await.unwrap();
        let hash = || {
            let hasher = hasher.clone();
            tokio::spawn(async move { hasher.hash(Password::offered("any")).await })
        };
        // Those that a core works on have a place as well.
        let waiting: Vec<_> = (0..cores * 25).map(|_| hash()).collect();
        while hasher.places.available_permits() > 0 {
            tokio::task::yield_now().await;
        }
        assert!(waiting.iter().all(|one| !one.is_finished()));
        assert!(matches!(hash().await.unwrap(), Err(Error::Busy)));
        drop(busy);
        for one in waiting {
            assert!(one.await.unwrap().is_ok());
        }
        assert!(hash().await.unwrap().is_ok(), "a place is free again");
    }
}
