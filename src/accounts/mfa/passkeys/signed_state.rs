//! The state of a ceremony between start and finish. The browser keeps it, signed, so that anybody can start ceremonies without a write to
//! the database, and every node can finish them. See `docs/decisions/passkey-challenges-are-signed.md`.
//!
//! The state is not secret: it is the challenge and the options that the browser gets anyway. Its signature binds it to its purpose, for
//! example to an account, and to its expiry. The id of an answered state is stored until then, so that each is used once.

use aws_lc_rs::hmac;
use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};

use crate::domain::UnixSeconds;

/// How long a ceremony may take. WebAuthn level 3 section 15.1 recommends 5 to 10 minutes.
pub(super) const LIFETIME_SECONDS: i64 = 300;
const KEY_LABEL: &[u8] = b"order-portal passkey ceremony";
const SIGNATURE_BYTES: usize = 32;

/// Keys derived from the token secrets, so that no other signature of the program is valid here.
pub(super) struct StateKeys {
    /// The first one signs; all verify.
    keys: Vec<hmac::Key>,
}

/// A state with a valid signature that has not expired.
pub(super) struct OpenedState<T> {
    pub state: T,
    /// Unique for each state.
    pub challenge_id: Vec<u8>,
    pub expires_at: UnixSeconds,
}

#[derive(Serialize, Deserialize)]
struct Payload<T> {
    expires_at: UnixSeconds,
    state: T,
}

impl StateKeys {
    pub(super) fn new<'a>(current: &'a [u8], previous: impl IntoIterator<Item = &'a [u8]>) -> Self {
        let all = std::iter::once(current).chain(previous);
        Self { keys: all.map(derived_key).collect() }
    }

    /// Signs a state for one purpose.
    pub(super) fn sign<T: Serialize>(
        &self,
        purpose: &[&str],
        state: T,
        now: UnixSeconds,
    ) -> Result<String, serde_json::Error> {
        let payload = serde_json::to_vec(&Payload { expires_at: now.plus(LIFETIME_SECONDS), state })?;
        let signature = self.keys.first().map(|key| hmac::sign(key, &signed_bytes(purpose, &payload)));
        let mut bytes = signature.map(|signature| signature.as_ref().to_vec()).unwrap_or_default();
        bytes.extend(payload);
        Ok(URL_SAFE_NO_PAD.encode(bytes))
    }

    /// The state, if it was signed for this purpose and has not expired.
    pub(super) fn open<T: DeserializeOwned>(
        &self,
        purpose: &[&str],
        text: &str,
        now: UnixSeconds,
    ) -> Option<OpenedState<T>> {
        let bytes = URL_SAFE_NO_PAD.decode(text).ok()?;
        let (signature, payload) = bytes.split_at_checked(SIGNATURE_BYTES)?;
        let signed = signed_bytes(purpose, payload);
        self.keys.iter().find(|key| hmac::verify(key, &signed, signature).is_ok())?;
        let Payload { expires_at, state } = serde_json::from_slice(payload).ok()?;
        (now < expires_at).then(|| OpenedState { state, challenge_id: signature.to_vec(), expires_at })
    }
}

fn derived_key(secret: &[u8]) -> hmac::Key {
    let derived = hmac::sign(&hmac::Key::new(hmac::HMAC_SHA256, secret), KEY_LABEL);
    hmac::Key::new(hmac::HMAC_SHA256, derived.as_ref())
}

/// Each part of the purpose ends with a NUL, so that parts cannot run together.
fn signed_bytes(purpose: &[&str], payload: &[u8]) -> Vec<u8> {
    let mut bytes: Vec<u8> = purpose.iter().flat_map(|part| part.bytes().chain([0])).collect();
    bytes.extend(payload);
    bytes
}

#[cfg(test)]
mod tests {
    use super::*;

    const SECRET: &[u8] = b"a secret of at least thirty-two bytes";
    const OTHER_SECRET: &[u8] = b"another one of at least thirty-two bytes";
    const NOW: i64 = 1_800_000_000;

    fn now() -> UnixSeconds {
        UnixSeconds::new(NOW)
    }

    fn state_of(keys: &StateKeys, purpose: &[&str], text: &str, at: i64) -> Option<String> {
        keys.open::<String>(purpose, text, UnixSeconds::new(at)).map(|opened| opened.state)
    }

    #[test]
    fn state_is_valid_for_its_purpose_until_it_expires() {
        let keys = StateKeys::new(SECRET, []);
        let text = keys.sign(&["login"], "state", now()).unwrap();
        assert_eq!(state_of(&keys, &["login"], &text, NOW + LIFETIME_SECONDS - 1).as_deref(), Some("state"));
        assert_eq!(state_of(&keys, &["login"], &text, NOW + LIFETIME_SECONDS), None);
        for purpose in [&["registration"][..], &["login", ""], &["log", "in"], &[]] {
            assert_eq!(state_of(&keys, purpose, &text, NOW), None, "{purpose:?}");
        }
    }

    #[test]
    fn changed_state_is_rejected() {
        let keys = StateKeys::new(SECRET, []);
        let text = keys.sign(&["login"], "state", now()).unwrap();
        let bytes = URL_SAFE_NO_PAD.decode(&text).unwrap();
        for index in 0..bytes.len() {
            let mut changed = bytes.clone();
            changed[index] ^= 1;
            assert_eq!(state_of(&keys, &["login"], &URL_SAFE_NO_PAD.encode(changed), NOW), None, "byte {index}");
        }
        for text in ["", "a", "=", &text[..40], &format!("{text}="), &format!(" {text}")] {
            assert_eq!(state_of(&keys, &["login"], text, NOW), None, "{text:?}");
        }
    }

    #[test]
    fn state_stays_valid_when_the_secret_is_rotated() {
        let text = StateKeys::new(SECRET, []).sign(&["login"], "state", now()).unwrap();
        let rotated = StateKeys::new(OTHER_SECRET, [SECRET]);
        assert_eq!(state_of(&rotated, &["login"], &text, NOW).as_deref(), Some("state"));
        assert_eq!(state_of(&StateKeys::new(OTHER_SECRET, []), &["login"], &text, NOW), None);
    }

    #[test]
    fn challenge_ids_of_two_states_differ() {
        let keys = StateKeys::new(SECRET, []);
        let id = |state: &str| {
            let text = keys.sign(&["login"], state, now()).unwrap();
            keys.open::<String>(&["login"], &text, now()).unwrap().challenge_id
        };
        assert_ne!(id("one"), id("two"));
        assert_eq!(id("one"), id("one"));
    }
}
