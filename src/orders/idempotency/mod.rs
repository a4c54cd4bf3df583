//! Idempotency keys: a form that places or cancels an order carries a key, so that a double click or a reload acts once. The second
//! request gets the stored response of the first.

pub(super) mod store;

use getrandom::Error;

use crate::hex;

const RANDOM_BYTES: usize = 16;
const MAX_CHARS: usize = 64;

/// Identifies one submission of a form. The keys of the pages are 128 random bits.
pub(super) struct IdempotencyKey(String);

impl IdempotencyKey {
    pub(super) fn generate() -> Result<Self, Error> {
        hex::random::<RANDOM_BYTES>().map(Self)
    }

    /// Parses the key of a submitted form: letters, digits, `-` and `_`.
    pub(super) fn parse(text: &str) -> Option<Self> {
        let is_plain = text.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'-' || byte == b'_');
        ((1..=MAX_CHARS).contains(&text.len()) && is_plain).then(|| Self(text.to_owned()))
    }

    pub(super) fn as_str(&self) -> &str {
        &self.0
    }
}
