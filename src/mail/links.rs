//! One-time links: what a mail carries to show that its reader has the address.
//!
//! A token is 256 random bits from the operating system, 64 hex digits in the link; the database keeps its SHA-256 alone (ASVS 5.0
//! V6.5.2), with what it is for, whose it is, where it went and until when. Redeeming deletes it, so it works once; one that has
//! confirmed an address is kept as a record of that, which changes nothing any more.

use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};

use super::store;
use crate::clock::UnixSeconds;
use crate::database::{Database, Error, Transaction};
use crate::hex;

const BYTES: usize = 32;

/// What a link is for: one never passes for another.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Purpose {
    /// The account's address is its owner's.
    Verify,
    /// A new password in place of a forgotten one.
    Reset,
    /// The account's new address is its owner's.
    ChangeEmail,
}

impl Purpose {
    pub(super) fn as_str(self) -> &'static str {
        match self {
            Self::Verify => "verify",
            Self::Reset => "reset",
            Self::ChangeEmail => "change-email",
        }
    }

    pub(super) fn parse(text: &str) -> Option<Self> {
        [Self::Verify, Self::Reset, Self::ChangeEmail].into_iter().find(|purpose| purpose.as_str() == text)
    }

    /// Seconds from the mail's leaving.
    pub(super) fn lifetime(self) -> i64 {
        match self {
            Self::Reset => 30 * 60,
            Self::Verify | Self::ChangeEmail => 24 * 3600,
        }
    }

    /// The page that the link leads to.
    pub(super) fn path(self) -> &'static str {
        match self {
            Self::Reset => "/password/reset",
            Self::Verify | Self::ChangeEmail => "/verify",
        }
    }
}

/// A link's token, well-formed. Neither shown nor stored as it is.
pub struct Token(String);

impl Token {
    /// A new one.
    ///
    /// # Errors
    /// When the operating system gives no randomness.
    pub(super) fn new() -> Result<Self, getrandom::Error> {
        hex::random::<BYTES>().map(Self)
    }

    /// The token of a link; `None` for what none of ours holds.
    pub fn parse(text: &str) -> Option<Self> {
        let is_hex = text.bytes().all(|byte| matches!(byte, b'0'..=b'9' | b'a'..=b'f'));
        (text.len() == 2 * BYTES && is_hex).then(|| Self(text.to_owned()))
    }

    /// As it stands in the link.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    pub(super) fn hash(&self) -> Vec<u8> {
        Sha256::digest(self.0.as_bytes()).to_vec()
    }
}

/// What a link stands for.
#[derive(Debug)]
pub struct Link {
    /// Whose account.
    pub user_id: String,
    /// What for.
    pub purpose: Purpose,
    /// Where it was sent.
    pub email: String,
    /// Whether the address is confirmed already, so that nothing is left to do.
    pub is_done: bool,
}

/// The link that holds at this moment; changes nothing.
///
/// # Errors
/// The database's.
pub async fn find(database: &Database, token: &Token, now: UnixSeconds) -> Result<Option<Link>, Error> {
    store::find_token(database, &token.hash(), now).await
}

/// Takes the link, which never holds again.
///
/// # Errors
/// The database's.
pub async fn redeem(transaction: &mut Transaction, token: &Token, now: UnixSeconds) -> Result<Option<Link>, Error> {
    store::take_token(transaction, &token.hash(), now).await
}

/// Keeps a redeemed link as the record that it has confirmed its address.
///
/// # Errors
/// The database's.
pub async fn keep_as_done(
    transaction: &mut Transaction,
    token: &Token,
    link: &Link,
    now: UnixSeconds,
) -> Result<(), Error> {
    store::insert_done_token(transaction, &token.hash(), link, now).await
}

/// Removes from the queue the links for `purpose` that the user is about to be sent.
///
/// # Errors
/// The database's.
pub async fn unqueue(transaction: &mut Transaction, user_id: &str, purpose: Purpose) -> Result<(), Error> {
    store::unqueue_tokens(transaction, user_id, purpose).await
}

/// Makes void every link that gives access or changes something.
///
/// # Errors
/// The database's.
pub async fn void_all(transaction: &mut Transaction, user_id: &str) -> Result<(), Error> {
    for purpose in [Purpose::Verify, Purpose::Reset, Purpose::ChangeEmail] {
        void(transaction, user_id, purpose).await?;
    }
    Ok(())
}

/// Makes void every link for `purpose` that the user was sent or is about to be sent.
///
/// # Errors
/// The database's.
pub async fn void(transaction: &mut Transaction, user_id: &str, purpose: Purpose) -> Result<(), Error> {
    store::void_tokens(transaction, user_id, purpose).await
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_token_has_256_random_bits_and_is_known_again() {
        let (one, other) = (Token::new().unwrap(), Token::new().unwrap());
        assert_ne!(one.as_str(), other.as_str());
        assert_eq!(one.as_str().len(), 64);
        assert_eq!(Token::parse(one.as_str()).unwrap().hash(), one.hash());
    }

    #[test]
    fn what_is_no_token_is_not_looked_up() {
        for text in ["", "abc", &"g".repeat(64), &"a".repeat(63), &"a".repeat(65), &"A".repeat(64), &"é".repeat(32)] {
            assert!(Token::parse(text).is_none(), "{text}");
        }
    }
}
