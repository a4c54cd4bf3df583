//! Ids of rows. Each kind is a type of its own, so that one is never passed for another.

use std::fmt;
use std::ops::Deref;

const MAX_BYTES: usize = 64;

/// The id of an account.
#[derive(Clone, Debug, PartialEq, Eq, sqlx::Type)]
#[sqlx(transparent)]
pub struct UserId(String);

impl UserId {
    /// Accepts only the characters that the program writes, like [`SessionId::parse`].
    pub fn parse(text: &str) -> Option<Self> {
        is_id(text).then(|| Self(text.to_owned()))
    }

    /// An id that the program generated.
    pub fn new(id: String) -> Self {
        Self(id)
    }

    pub fn as_str(&self) -> &str {
        &self.0
    }

    pub fn into_string(self) -> String {
        self.0
    }
}

impl Deref for UserId {
    type Target = str;

    fn deref(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for UserId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// The id of a session.
#[derive(Clone, Debug, PartialEq, Eq, sqlx::Type)]
#[sqlx(transparent)]
pub struct SessionId(String);

impl SessionId {
    /// Accepts only the characters that the program writes, also from a signed token: PostgreSQL fails on a NUL byte.
    pub fn parse(text: &str) -> Option<Self> {
        is_id(text).then(|| Self(text.to_owned()))
    }

    /// An id that the program generated.
    pub fn new(id: String) -> Self {
        Self(id)
    }

    pub fn as_str(&self) -> &str {
        &self.0
    }

    pub fn into_string(self) -> String {
        self.0
    }
}

fn is_id(text: &str) -> bool {
    text.len() <= MAX_BYTES && text.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'-')
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn session_id_is_up_to_64_letters_digits_and_hyphens() {
        assert!(SessionId::parse("0190-aZ9").is_some() && SessionId::parse(&"a".repeat(64)).is_some());
        for text in [&"a".repeat(65), "a b", "a\0b", "a_b", "a.b", "\u{e9}"] {
            assert!(SessionId::parse(text).is_none(), "{text:?}");
        }
    }
}
