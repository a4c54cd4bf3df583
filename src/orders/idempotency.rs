//! A form that places or cancels something carries a key, so that a double click or a reload does it once: the second time the
//! answer to the first is given again.

use getrandom::Error;

use crate::hex;

const BYTES: usize = 16;
/// The longest key that is taken, in characters.
const LONGEST: usize = 64;

/// Whatever tells one sending of a form from another; 128 random bits in ours.
pub(super) struct IdempotencyKey(String);

impl IdempotencyKey {
    /// A new one.
    pub(super) fn new() -> Result<Self, Error> {
        hex::random::<BYTES>().map(Self)
    }

    /// The key of a form: letters, digits, `-` and `_`.
    pub(super) fn parse(text: &str) -> Option<Self> {
        let is_plain = text.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'-' || byte == b'_');
        ((8..=LONGEST).contains(&text.len()) && is_plain).then(|| Self(text.to_owned()))
    }

    pub(super) fn as_str(&self) -> &str {
        &self.0
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_key_is_taken_back_and_nonsense_is_not() {
        let key = IdempotencyKey::new().unwrap();
        assert!(IdempotencyKey::parse(key.as_str()).is_some());
        for text in ["", "short", "with space in it", "nul\0nul\0nul", &"a".repeat(65)] {
            assert!(IdempotencyKey::parse(text).is_none(), "{text:?}");
        }
    }
}
