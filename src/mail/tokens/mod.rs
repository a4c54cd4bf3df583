//! One-time tokens in mailed links. Following such a link shows that its reader receives mail at the address.
//!
//! A token is 256 random bits from the operating system, 64 hex digits in the link. The database has only its SHA-256 (ASVS 5.0 V6.5.2),
//! with purpose, account, address and expiry. Consuming deletes it, so it works once. A token that has confirmed an address is kept for
//! a while, so that its link says "confirmed"; it cannot change anything.

mod store;

use std::time::Duration;

use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};
use strum::{EnumString, IntoStaticStr};

use crate::domain::days;
use crate::hex;

pub use store::{EmailToken, consume, delete_expired, find, keep_confirmed, remove_queued, revoke, revoke_all};
pub(super) use store::{issue, revoke_one};

const BYTES: usize = 32;

/// What a token is valid for. It is never valid for another purpose.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, EnumString, IntoStaticStr)]
#[strum(serialize_all = "kebab-case")]
pub enum Purpose {
    /// Confirming the account's address.
    Verify,
    /// Setting a new password.
    Reset,
    /// Confirming the account's new address.
    ChangeEmail,
}

impl Purpose {
    /// The code in the database.
    pub(super) fn code(self) -> &'static str {
        self.into()
    }

    /// The page of its link.
    pub(super) fn path(self) -> &'static str {
        match self {
            Self::Verify | Self::ChangeEmail => "/verify",
            Self::Reset => "/password/reset",
        }
    }

    fn lifetime(self) -> Duration {
        match self {
            Self::Verify | Self::ChangeEmail => days(1),
            Self::Reset => Duration::from_mins(30),
        }
    }
}

/// A well-formed token. It is neither logged nor stored.
pub struct Token(String);

impl Token {
    pub(super) fn generate() -> Result<Self, getrandom::Error> {
        hex::random::<BYTES>().map(Self)
    }

    pub fn parse(text: &str) -> Option<Self> {
        let is_hex = text.bytes().all(|byte| matches!(byte, b'0'..=b'9' | b'a'..=b'f'));
        (text.len() == 2 * BYTES && is_hex).then(|| Self(text.to_owned()))
    }

    pub fn as_str(&self) -> &str {
        &self.0
    }

    pub(super) fn hash(&self) -> Vec<u8> {
        Sha256::digest(self.0.as_bytes()).to_vec()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn token_has_256_random_bits_and_survives_parsing() {
        let (one, other) = (Token::generate().unwrap(), Token::generate().unwrap());
        assert_ne!(one.as_str(), other.as_str());
        assert_eq!(one.as_str().len(), 64);
        assert_eq!(Token::parse(one.as_str()).unwrap().hash(), one.hash());
    }

    #[test]
    fn malformed_token_is_rejected_without_a_query() {
        for text in ["", "abc", &"g".repeat(64), &"a".repeat(63), &"a".repeat(65), &"A".repeat(64), &"é".repeat(32)] {
            assert!(Token::parse(text).is_none(), "{text}");
        }
    }
}
