//! Parses, alters and signs tokens.

use jsonwebtoken::{Algorithm, EncodingKey, crypto};
use serde_json::{Map, Value};

use crate::sandbox::SECRET;

/// A parsed token.
#[derive(Clone, Debug)]
pub struct Token {
    pub header: Map<String, Value>,
    pub claims: Map<String, Value>,
}

impl Token {
    pub fn read(token: &str) -> Self {
        let parts: Vec<&str> = token.split('.').collect();
        assert_eq!(parts.len(), 3, "{token}");
        let object = |part: &str| serde_json::from_slice(&from_base64(part)).unwrap();
        Self { header: object(parts[0]), claims: object(parts[1]) }
    }

    pub fn time(&self, claim: &str) -> i64 {
        self.claims[claim].as_i64().unwrap()
    }

    #[must_use]
    pub fn with(&self, claim: &str, value: impl Into<Value>) -> Self {
        let mut altered = self.clone();
        altered.claims.insert(claim.to_owned(), value.into());
        altered
    }

    #[must_use]
    pub fn without(&self, claim: &str) -> Self {
        let mut altered = self.clone();
        altered.claims.remove(claim);
        altered
    }

    #[must_use]
    pub fn with_header(&self, name: &str, value: impl Into<Value>) -> Self {
        let mut altered = self.clone();
        altered.header.insert(name.to_owned(), value.into());
        altered
    }

    #[must_use]
    pub fn without_header(&self, name: &str) -> Self {
        let mut altered = self.clone();
        altered.header.remove(name);
        altered
    }

    /// Signed with the valid secret.
    pub fn signed(&self) -> String {
        self.signed_by(SECRET.as_bytes(), Algorithm::HS256)
    }

    pub fn signed_by(&self, secret: &[u8], algorithm: Algorithm) -> String {
        let message = self.unsigned();
        let key = EncodingKey::from_secret(secret);
        let signature = crypto::sign(message.as_bytes(), &key, algorithm).unwrap();
        format!("{message}.{signature}")
    }

    /// Header and claims, without the last dot.
    pub fn unsigned(&self) -> String {
        let part = |object: &Map<String, Value>| to_base64(&serde_json::to_vec(object).unwrap());
        format!("{}.{}", part(&self.header), part(&self.claims))
    }
}

pub fn now() -> i64 {
    i64::try_from(jsonwebtoken::get_current_timestamp()).unwrap()
}

const LETTERS: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_";

/// RFC 4648 section 5, without padding.
pub fn to_base64(bytes: &[u8]) -> String {
    let mut text = String::new();
    for three in bytes.chunks(3) {
        let bits = three.iter().fold(0_usize, |bits, byte| bits << 8 | usize::from(*byte)) << (8 * (3 - three.len()));
        for letter in 0..=three.len() {
            text.push(char::from(LETTERS[bits >> (18 - 6 * letter) & 63]));
        }
    }
    text
}

fn from_base64(text: &str) -> Vec<u8> {
    let mut bytes = Vec::new();
    let (mut bits, mut count) = (0_usize, 0);
    for letter in text.bytes() {
        let value = LETTERS.iter().position(|known| *known == letter).unwrap();
        bits = bits << 6 | value;
        count += 6;
        if count >= 8 {
            count -= 8;
            bytes.push(u8::try_from(bits >> count & 255).unwrap());
        }
    }
    bytes
}
