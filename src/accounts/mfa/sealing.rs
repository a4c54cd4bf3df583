//! Encrypts the secrets of factors, so that a copy of the database gives no codes (ASVS 5.0 V11.3.2, V14.2.4): AES-256-GCM with keys derived
//! from `TOKEN_SECRET` by HKDF-SHA-256 (RFC 5869).
//!
//! Rotation: `TOKEN_SECRET_PREVIOUS` still decrypts, and maintenance encrypts such secrets again under the current key, so a previous secret
//! is needed only until the next maintenance run. The context (the user's id) is authenticated: a secret that is copied to another account
//! cannot be decrypted there.

use aws_lc_rs::aead::{AES_256_GCM, Aad, LessSafeKey, NONCE_LEN, Nonce, UnboundKey};
use aws_lc_rs::error::Unspecified;
use aws_lc_rs::hkdf::{HKDF_SHA256, Salt};

use crate::hex;

const SALT: &[u8] = b"order-portal";
const KEY_PURPOSE: &[u8] = b"secrets of factors, encryption key";
const ID_PURPOSE: &[u8] = b"secrets of factors, key id";

/// Encrypts with the key of the current secret; decrypts also with those of the previous ones.
pub struct SealingKeys {
    current: SealingKey,
    previous: Vec<SealingKey>,
}

struct SealingKey {
    id: String,
    key: LessSafeKey,
}

/// An encrypted value and the id of its key.
pub struct Sealed {
    pub bytes: Vec<u8>,
    pub key_id: String,
}

impl SealingKeys {
    /// # Errors
    /// Never for a secret of any length; the library's functions could fail.
    pub fn new<'a>(current: &'a [u8], previous: impl IntoIterator<Item = &'a [u8]>) -> Result<Self, Unspecified> {
        let previous = previous.into_iter().map(SealingKey::derive).collect::<Result<_, _>>()?;
        Ok(Self { current: SealingKey::derive(current)?, previous })
    }

    pub(super) fn previous_ids(&self) -> impl Iterator<Item = &str> {
        self.previous.iter().map(|key| key.id.as_str()).filter(|id| *id != self.current.id)
    }

    /// Encrypts a value again under the current key.
    pub(super) fn reseal(&self, context: &str, bytes: Vec<u8>, key_id: &str) -> Option<Sealed> {
        let plain = self.open(context, &Sealed { bytes, key_id: key_id.to_owned() })?;
        self.seal(context, &plain).ok()
    }

    /// Encrypts under a random nonce, which precedes the result.
    pub(super) fn seal(&self, context: &str, plain: &[u8]) -> Result<Sealed, Unspecified> {
        let mut nonce = [0_u8; NONCE_LEN];
        getrandom::fill(&mut nonce).map_err(|_| Unspecified)?;
        let mut sealed = plain.to_vec();
        let SealingKey { id, key } = &self.current;
        let aad = Aad::from(context.as_bytes());
        key.seal_in_place_append_tag(Nonce::assume_unique_for_key(nonce), aad, &mut sealed)?;
        Ok(Sealed { bytes: [&nonce, sealed.as_slice()].concat(), key_id: id.clone() })
    }

    /// Decrypts. `None` if the key is unknown, or the value was changed or belongs to another context.
    pub(super) fn open(&self, context: &str, sealed: &Sealed) -> Option<Vec<u8>> {
        let mut all = std::iter::once(&self.current).chain(&self.previous);
        let SealingKey { key, .. } = all.find(|key| key.id == sealed.key_id)?;
        let (nonce, encrypted) = sealed.bytes.split_first_chunk::<NONCE_LEN>()?;
        let mut buffer = encrypted.to_vec();
        let nonce = Nonce::assume_unique_for_key(*nonce);
        let plain = key.open_in_place(nonce, Aad::from(context.as_bytes()), &mut buffer).ok()?;
        Some(plain.to_vec())
    }
}

impl SealingKey {
    fn derive(secret: &[u8]) -> Result<Self, Unspecified> {
        let extracted = Salt::new(HKDF_SHA256, SALT).extract(secret);
        let key: UnboundKey = extracted.expand(&[KEY_PURPOSE], &AES_256_GCM)?.into();
        let mut id = [0_u8; 32];
        extracted.expand(&[ID_PURPOSE], HKDF_SHA256)?.fill(&mut id)?;
        Ok(Self { id: hex::encode(&id[..8]), key: LessSafeKey::new(key) })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const OLD: &[u8] = b"the secret of last year, 32 bytes long";
    const NEW: &[u8] = b"the secret of this year, 32 bytes long";

    #[test]
    fn sealed_secret_opens_only_in_its_context_and_unchanged() {
        let keys = SealingKeys::new(NEW, []).unwrap();
        let sealed = keys.seal("ann", b"plain").unwrap();
        assert_eq!(keys.open("ann", &sealed).unwrap(), b"plain");
        assert!(!sealed.bytes.windows(5).any(|part| part == b"plain"));
        assert!(keys.open("bob", &sealed).is_none());
        for place in 0..sealed.bytes.len() {
            let mut bytes = sealed.bytes.clone();
            bytes[place] ^= 1;
            assert!(keys.open("ann", &Sealed { bytes, key_id: sealed.key_id.clone() }).is_none(), "{place}");
        }
        for length in 0..sealed.bytes.len() {
            let bytes = sealed.bytes[..length].to_vec();
            assert!(keys.open("ann", &Sealed { bytes, key_id: sealed.key_id.clone() }).is_none(), "{length}");
        }
        assert_ne!(keys.seal("ann", b"plain").unwrap().bytes, sealed.bytes);
    }

    #[test]
    fn previous_secret_opens_and_never_seals() {
        let sealed = SealingKeys::new(OLD, []).unwrap().seal("ann", b"plain").unwrap();
        let rotated = SealingKeys::new(NEW, [OLD]).unwrap();
        assert_eq!(rotated.open("ann", &sealed).unwrap(), b"plain");
        assert_eq!(rotated.previous_ids().collect::<Vec<_>>(), [sealed.key_id.as_str()]);
        let resealed = rotated.reseal("ann", sealed.bytes.clone(), &sealed.key_id).unwrap();
        assert_eq!(SealingKeys::new(NEW, []).unwrap().open("ann", &resealed).unwrap(), b"plain");
        assert!(SealingKeys::new(NEW, []).unwrap().open("ann", &sealed).is_none());
    }
}
