//! What signs tokens, and the secret that development makes for itself.

use std::fmt;
use std::io::Write;
use std::path::Path;

use crate::hex;
use crate::private_files::{make_private_file, make_private_folder};

/// Below this a secret can be guessed (RFC 8725 section 3.5: as long as the hash, 256 bits).
pub(super) const SHORTEST_SECRET: usize = 32;
/// Where development keeps the secret that it makes.
pub(super) const DEVELOPMENT_SECRET: &str = "data/token-secret";
/// What `.env.example` holds in the secret's place.
pub(super) const PLACEHOLDER: &str = "replace-this-with-the-output-of-order-portal-secret";

/// A secret's bytes; shown to nobody.
#[derive(Clone)]
pub struct Secret(Vec<u8>);

impl Secret {
    pub(super) fn new(text: String) -> Self {
        Self(text.into_bytes())
    }

    /// The bytes.
    pub fn bytes(&self) -> &[u8] {
        &self.0
    }
}

impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Secret(…)")
    }
}

/// Whether a secret is one character, or a shorter unit, over and over: long enough and yet easily guessed.
pub(super) fn is_repetitive(secret: &str) -> bool {
    let bytes = secret.as_bytes();
    (1..=bytes.len() / 2).any(|unit| bytes[..bytes.len() - unit] == bytes[unit..])
}

/// What signs tokens and what still verifies them.
#[derive(Debug)]
pub struct TokenSecrets {
    /// Signs.
    pub current: Secret,
    /// Only verify.
    pub previous: Vec<Secret>,
}

/// A new secret: 64 bytes from the operating system, in hex.
///
/// # Errors
/// When the system has no randomness to give.
pub fn new_secret() -> std::io::Result<String> {
    hex::random::<64>().map_err(|error| std::io::Error::other(error.to_string()))
}

/// The secret that development keeps between runs, made on the first.
pub(super) fn kept_for_development(file: &Path) -> std::io::Result<String> {
    if let Some(folder) = file.parent() {
        make_private_folder(folder)?;
    }
    match make_private_file(file) {
        Ok(mut new) => {
            let secret = new_secret()?;
            new.write_all(secret.as_bytes())?;
            Ok(secret)
        }
        Err(error) if error.kind() == std::io::ErrorKind::AlreadyExists => {
            let kept = std::fs::read_to_string(file)?.trim().to_owned();
            if kept.len() >= SHORTEST_SECRET {
                Ok(kept)
            } else {
                Err(std::io::Error::other("the file holds no secret; remove it"))
            }
        }
        Err(error) => Err(error),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn secret_that_repeats_a_unit_is_repetitive() {
        for unit in ["a", "0", "ab", "password", "a longer unit of 30 characters"] {
            let cut = unit.repeat(40).chars().take(64).collect::<String>();
            assert!(is_repetitive(&unit.repeat(40)) && is_repetitive(&cut), "{unit}");
        }
        assert!(is_repetitive(&new_secret().unwrap().repeat(2)));
        assert!(!is_repetitive(&new_secret().unwrap()) && !is_repetitive("a secret that ends as it begins: a secret"));
    }
}
