//! The secrets that sign tokens, and the secret file of development.

use std::fmt;
use std::io::Write;
use std::path::Path;

use crate::hex;
use crate::private_files::{make_private_file, make_private_folder};

/// Bytes: as long as the hash, 256 bits (RFC 8725 section 3.5).
pub(super) const SHORTEST_SECRET: usize = 32;
pub(super) const DEVELOPMENT_SECRET: &str = "data/token-secret";
/// The value in `.env.example`.
pub(super) const PLACEHOLDER: &str = "replace-this-with-the-output-of-order-portal-secret";

/// The bytes of a secret. `Debug` does not print them.
#[derive(Clone)]
pub struct Secret(Vec<u8>);

impl Secret {
    pub(super) fn new(text: String) -> Self {
        Self(text.into_bytes())
    }

    pub fn bytes(&self) -> &[u8] {
        &self.0
    }
}

impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Secret(…)")
    }
}

/// Whether a secret repeats one character or a shorter unit: long, but easy to guess.
pub(super) fn is_repetitive(secret: &str) -> bool {
    let bytes = secret.as_bytes();
    (1..=bytes.len() / 2).any(|unit| bytes[..bytes.len() - unit] == bytes[unit..])
}

#[derive(Debug)]
pub struct TokenSecrets {
    /// Signs and verifies.
    pub current: Secret,
    /// Verify only.
    pub previous: Vec<Secret>,
}

/// A new secret: 64 random bytes in hex.
pub fn new_secret() -> std::io::Result<String> {
    hex::random::<64>().map_err(|error| std::io::Error::other(error.to_string()))
}

/// Whether a missing development secret is stored.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum SecretFile {
    /// The server's first run creates it.
    Create,
    /// A command that creates nothing gets a random secret, which is not stored.
    Read,
}

/// Reads the development secret, or creates it.
pub(super) fn development_secret(file: &Path, secret_file: SecretFile) -> std::io::Result<String> {
    if secret_file == SecretFile::Read && !file.exists() {
        return new_secret();
    }
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
