//! The token: a JWT signed with HS256, according to RFC 8725.
//!
//! The algorithm is fixed here and never chosen by the token (section 3.1); keys have at least 32 random bytes (3.5); `iss`, `sub` and `aud`
//! are checked, so that no token is valid as another kind (3.8, 3.9, 3.12). There is no leeway, so the clocks of all nodes must agree.
//! A token contains no personal data.

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use jsonwebtoken::{Algorithm, DecodingKey, EncodingKey, Header, Validation};
use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};
use strum::{EnumString, IntoStaticStr, VariantArray};

use crate::domain::{SessionId, UnixSeconds, UserId};
use crate::hex;

/// Longer tokens are rejected without parsing; valid ones have about 400 bytes.
const MAX_BYTES: usize = 2048;

/// A token of one audience is never valid for the other.
#[derive(Clone, Copy, Debug, PartialEq, Eq, EnumString, IntoStaticStr, VariantArray)]
#[strum(serialize_all = "lowercase")]
pub enum Audience {
    /// In the cookie of a browser.
    Web,
    /// The bearer token of the API.
    Api,
}

impl Audience {
    /// The code in the token's `aud` and in the database.
    pub fn code(self) -> &'static str {
        self.into()
    }
}

/// The claims of a token (RFC 7519 section 4.1), all required. Times are `NumericDate`s in whole seconds.
#[derive(Serialize, Deserialize)]
pub(super) struct Claims {
    pub iss: String,
    pub aud: String,
    /// The user's id.
    pub sub: String,
    /// The session's id (the name is from OpenID Connect Front-Channel Logout).
    pub sid: String,
    pub iat: i64,
    pub nbf: i64,
    pub exp: i64,
}

impl Claims {
    pub(super) fn new(
        issuer: &str,
        audience: Audience,
        (user_id, session_id): (&UserId, &SessionId),
        now: UnixSeconds,
        expires_at: UnixSeconds,
    ) -> Self {
        Self {
            iss: issuer.to_owned(),
            aud: audience.code().to_owned(),
            sub: user_id.as_str().to_owned(),
            sid: session_id.as_str().to_owned(),
            iat: now.get(),
            nbf: now.get(),
            exp: expires_at.get(),
        }
    }
}

/// Why a token is invalid. Only logged, never sent to the client.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
pub(super) enum TokenError {
    #[error("malformed")]
    Malformed,
    #[error("signed with an unknown key")]
    UnknownKey,
    #[error("invalid signature or claims")]
    Invalid,
    #[error("expired")]
    Expired { user_id: String },
}

/// Signs with the current secret; verifies with the current and the previous secrets.
pub struct Keys {
    issuer: String,
    header: Header,
    signing: EncodingKey,
    verifying: Vec<(String, DecodingKey)>,
    validation: Validation,
}

impl Keys {
    /// `issuer` is the site's origin.
    pub fn new<'a>(issuer: &str, current: &'a [u8], previous: impl IntoIterator<Item = &'a [u8]>) -> Self {
        let header = Header { kid: Some(key_id(current)), ..Header::new(Algorithm::HS256) };
        let all = std::iter::once(current).chain(previous);
        let verifying = all.map(|secret| (key_id(secret), DecodingKey::from_secret(secret))).collect();
        let mut validation = Validation::new(Algorithm::HS256);
        validation.set_issuer(&[issuer]);
        validation.set_required_spec_claims(&["exp", "nbf", "aud", "iss", "sub"]);
        // Checked below against the program's own clock.
        validation.validate_exp = false;
        validation.validate_aud = false;
        Self { issuer: issuer.to_owned(), header, signing: EncodingKey::from_secret(current), verifying, validation }
    }

    pub fn issuer(&self) -> &str {
        &self.issuer
    }

    pub(super) fn sign(&self, claims: &Claims) -> String {
        // Signing a struct of strings and numbers cannot fail; an empty token would be invalid.
        jsonwebtoken::encode(&self.header, claims, &self.signing).unwrap_or_default()
    }

    /// The claims and the session id of a token that is valid for this audience now.
    pub(super) fn verify(
        &self,
        token: &str,
        audience: Audience,
        now: UnixSeconds,
    ) -> Result<(Claims, SessionId), TokenError> {
        if token.len() > MAX_BYTES {
            return Err(TokenError::Malformed);
        }
        let header = jsonwebtoken::decode_header(token).map_err(|_| TokenError::Malformed)?;
        let has_expected_header =
            header.alg == Algorithm::HS256 && header.typ.as_deref() == Some("JWT") && !has_crit(token);
        let key_id = header.kid.filter(|_| has_expected_header).ok_or(TokenError::Malformed)?;
        let (_, key) = self.verifying.iter().find(|(id, _)| *id == key_id).ok_or(TokenError::UnknownKey)?;
        let decoded = jsonwebtoken::decode::<Claims>(token, key, &self.validation);
        let claims = decoded.map_err(|_| TokenError::Invalid)?.claims;
        let is_issued = claims.nbf <= now.get() && claims.iat <= now.get();
        let session_id = SessionId::parse(&claims.sid).ok_or(TokenError::Invalid)?;
        if !is_issued || claims.aud != audience.code() {
            return Err(TokenError::Invalid);
        }
        if now.get() >= claims.exp {
            return Err(TokenError::Expired { user_id: claims.sub });
        }
        Ok((claims, session_id))
    }
}

/// Whether the header has `crit`, which requires extensions that are not supported (RFC 7515 section 4.1.11). `Header` reads `null` as
/// absent.
fn has_crit(token: &str) -> bool {
    let header = token.split('.').next().and_then(|part| URL_SAFE_NO_PAD.decode(part).ok());
    let header = header.and_then(|json| serde_json::from_slice::<serde_json::Map<_, _>>(&json).ok());
    header.is_none_or(|header| header.contains_key("crit"))
}

/// Identifies a secret without revealing it: the first 64 bits of a hash that is used for nothing else.
fn key_id(secret: &[u8]) -> String {
    let digest = Sha256::new().chain_update(b"order-portal key id\0").chain_update(secret).finalize();
    hex::encode(&digest[..8])
}

#[cfg(test)]
mod tests {
    use super::*;

    const SECRET: &[u8] = b"a secret of at least 32 bytes, for tests";
    const SITE: &str = "https://shop.example";

    fn at(seconds: i64) -> UnixSeconds {
        UnixSeconds::new(seconds)
    }

    fn keys() -> Keys {
        Keys::new(SITE, SECRET, [])
    }

    fn claims() -> Claims {
        let (user_id, session_id) = (UserId::new("user".to_owned()), SessionId::new("session".to_owned()));
        Claims::new(SITE, Audience::Web, (&user_id, &session_id), at(1000), at(2800))
    }

    fn token(keys: &Keys) -> String {
        keys.sign(&Claims { iss: keys.issuer().to_owned(), ..claims() })
    }

    #[test]
    fn token_is_valid_from_its_first_second_until_its_expiry() {
        let keys = keys();
        let token = token(&keys);
        let is_valid = |now| keys.verify(&token, Audience::Web, at(now)).is_ok();
        assert!(!is_valid(999) && is_valid(1000) && is_valid(2799) && !is_valid(2800));
    }

    #[test]
    fn token_of_another_site_or_secret_is_rejected() {
        let other_site = Keys::new("https://other.example", SECRET, []);
        let other_secret = Keys::new(SITE, b"nobody here knows this secret at all....", []);
        for other in [other_site, other_secret] {
            assert!(keys().verify(&token(&other), Audience::Web, at(1000)).is_err());
        }
    }

    #[test]
    fn token_with_unexpected_header_is_rejected_despite_valid_signature() {
        let keys = keys();
        let claims = claims();
        let good = keys.header.clone();
        let headers = [
            Header { kid: None, ..good.clone() },
            Header { typ: None, ..good.clone() },
            Header { crit: Some(vec!["exp".into()]), ..good.clone() },
            Header { alg: Algorithm::HS384, ..good.clone() },
            Header { alg: Algorithm::HS512, ..good },
        ];
        for header in headers {
            let token = jsonwebtoken::encode(&header, &claims, &keys.signing).unwrap();
            assert!(keys.verify(&token, Audience::Web, at(1000)).is_err(), "{header:?}");
        }
    }

    #[test]
    fn token_error_has_the_reason_and_the_user_of_an_expired_token() {
        let keys = keys();
        let verify =
            |keys: &Keys, token: &str, now| keys.verify(token, Audience::Web, at(now)).map(|(claims, _)| claims.sub);
        let good = token(&keys);
        let (unsigned, _) = good.rsplit_once('.').unwrap();
        let other_key = Keys::new(SITE, b"nobody here knows this secret at all....", []);
        assert_eq!(verify(&keys, &good, 1000), Ok("user".to_owned()));
        assert_eq!(verify(&keys, &good, 2800), Err(TokenError::Expired { user_id: "user".to_owned() }));
        assert_eq!(verify(&keys, &good, 999), Err(TokenError::Invalid));
        assert_eq!(verify(&keys, &format!("{unsigned}.AAAA"), 2800), Err(TokenError::Invalid));
        assert_eq!(verify(&other_key, &good, 1000), Err(TokenError::UnknownKey));
        assert_eq!(verify(&keys, "nonsense", 1000), Err(TokenError::Malformed));
    }
}
