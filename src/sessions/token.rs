//! The token: a JWT signed with HS256, held to RFC 8725.
//!
//! One algorithm, chosen here and never by the token (section 3.1); keys of at least 32 random bytes (3.5); `iss`, `sub` and
//! `aud` checked, so that no token passes for another kind (3.8, 3.9, 3.12); no leeway, so the clocks of all nodes
//! have to agree; nothing about the person inside.

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use jsonwebtoken::{Algorithm, DecodingKey, EncodingKey, Header, Validation};
use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};

use crate::clock::UnixSeconds;
use crate::hex;

/// The longest token that is looked at, in bytes; ours are around 400.
const LONGEST: usize = 2048;

/// Whom a token is for: one never passes for the other.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Audience {
    /// The cookie of a browser.
    Web,
    /// The bearer token of a script or app.
    Api,
}

impl Audience {
    /// As in the token's `aud` and the session's row.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Web => "web",
            Self::Api => "api",
        }
    }
}

/// The claims of a token (RFC 7519 section 4.1); times are `NumericDate`s in whole seconds. Each must be there.
#[derive(Serialize, Deserialize)]
pub(super) struct Claims {
    pub iss: String,
    pub aud: String,
    /// The user's id.
    pub sub: String,
    /// The session's id (as OpenID Connect Front-Channel Logout names it).
    pub sid: String,
    pub iat: i64,
    pub nbf: i64,
    pub exp: i64,
}

impl Claims {
    pub(super) fn new(
        issuer: &str,
        audience: Audience,
        user_id: &str,
        session_id: &str,
        now: UnixSeconds,
        expires_at: UnixSeconds,
    ) -> Self {
        Self {
            iss: issuer.to_owned(),
            aud: audience.as_str().to_owned(),
            sub: user_id.to_owned(),
            sid: session_id.to_owned(),
            iat: now.get(),
            nbf: now.get(),
            exp: expires_at.get(),
        }
    }
}

/// Why a token was refused, for the log alone: no answer tells.
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

/// Signs with the current secret; verifies with it and with those before it.
pub struct Keys {
    issuer: String,
    header: Header,
    signing: EncodingKey,
    verifying: Vec<(String, DecodingKey)>,
    validation: Validation,
}

impl Keys {
    /// `issuer` is the site's origin; `current` signs; `previous` still verify.
    pub fn new<'a>(issuer: &str, current: &'a [u8], previous: impl IntoIterator<Item = &'a [u8]>) -> Self {
        let header = Header { kid: Some(key_id(current)), ..Header::new(Algorithm::HS256) };
        let all = std::iter::once(current).chain(previous);
        let verifying = all.map(|secret| (key_id(secret), DecodingKey::from_secret(secret))).collect();
        let mut validation = Validation::new(Algorithm::HS256);
        validation.set_issuer(&[issuer]);
        validation.set_required_spec_claims(&["exp", "nbf", "aud", "iss", "sub"]);
        // Times are held against the program's own clock, below.
        validation.validate_exp = false;
        validation.validate_aud = false;
        Self { issuer: issuer.to_owned(), header, signing: EncodingKey::from_secret(current), verifying, validation }
    }

    /// The `iss` of every token.
    pub fn issuer(&self) -> &str {
        &self.issuer
    }

    pub(super) fn sign(&self, claims: &Claims) -> String {
        // An HMAC over a struct of strings and numbers has no way to fail; an empty token would be refused everywhere.
        jsonwebtoken::encode(&self.header, claims, &self.signing).unwrap_or_default()
    }

    /// The claims of a token that is ours, for this audience, and good now.
    pub(super) fn verify(&self, token: &str, audience: Audience, now: UnixSeconds) -> Result<Claims, TokenError> {
        if token.len() > LONGEST {
            return Err(TokenError::Malformed);
        }
        let header = jsonwebtoken::decode_header(token).map_err(|_| TokenError::Malformed)?;
        let is_ours = header.alg == Algorithm::HS256 && header.typ.as_deref() == Some("JWT") && !has_crit(token);
        let key_id = header.kid.filter(|_| is_ours).ok_or(TokenError::Malformed)?;
        let (_, key) = self.verifying.iter().find(|(id, _)| *id == key_id).ok_or(TokenError::UnknownKey)?;
        let decoded = jsonwebtoken::decode::<Claims>(token, key, &self.validation);
        let claims = decoded.map_err(|_| TokenError::Invalid)?.claims;
        let has_begun = claims.nbf <= now.get() && claims.iat <= now.get();
        if !has_begun || !is_id(&claims.sid) || claims.aud != audience.as_str() {
            return Err(TokenError::Invalid);
        }
        if now.get() >= claims.exp {
            return Err(TokenError::Expired { user_id: claims.sub });
        }
        Ok(claims)
    }
}

/// Whether the header has a `crit`, which asks for extensions that we do not know (RFC 7515 section 4.1.11). `Header` reads a null one
/// as none.
fn has_crit(token: &str) -> bool {
    let header = token.split('.').next().and_then(|part| URL_SAFE_NO_PAD.decode(part).ok());
    let header = header.and_then(|json| serde_json::from_slice::<serde_json::Map<_, _>>(&json).ok());
    header.is_none_or(|header| header.contains_key("crit"))
}

/// Names a secret without telling it: the first 64 bits of a hash made for nothing else.
fn key_id(secret: &[u8]) -> String {
    let digest = Sha256::new().chain_update(b"order-portal key id\0").chain_update(secret).finalize();
    hex::encode(&digest[..8])
}

/// Whether a session's id may go to the database. Signed or not, only the shape that we write does: PostgreSQL fails on a NUL.
pub(super) fn is_id(text: &str) -> bool {
    text.len() <= 64 && text.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'-')
}

#[cfg(test)]
mod tests {
    use super::*;

    const SECRET: &[u8] = b"a secret of at least 32 bytes, for tests";
    const OLDER: &[u8] = b"an older secret of at least 32 bytes too";
    const SITE: &str = "https://shop.example";

    fn at(seconds: i64) -> UnixSeconds {
        UnixSeconds::new(seconds)
    }

    fn keys() -> Keys {
        Keys::new(SITE, SECRET, [OLDER])
    }

    fn token(keys: &Keys) -> String {
        keys.sign(&Claims::new(keys.issuer(), Audience::Web, "user", "session", at(1000), at(2800)))
    }

    #[test]
    fn a_token_holds_from_its_first_second_to_the_last_before_its_end() {
        let keys = keys();
        let token = token(&keys);
        let holds = |now| keys.verify(&token, Audience::Web, at(now)).is_ok();
        assert!(!holds(999) && holds(1000) && holds(2799) && !holds(2800));
    }

    #[test]
    fn a_token_of_one_audience_never_passes_for_the_other() {
        let keys = keys();
        assert!(keys.verify(&token(&keys), Audience::Api, at(1000)).is_err());
    }

    #[test]
    fn a_token_of_another_site_or_secret_is_refused() {
        let other_site = Keys::new("https://other.example", SECRET, []);
        let other_secret = Keys::new(SITE, b"nobody here knows this secret at all....", []);
        for other in [other_site, other_secret] {
            assert!(keys().verify(&token(&other), Audience::Web, at(1000)).is_err());
        }
    }

    #[test]
    fn a_secret_that_was_replaced_still_verifies_while_it_is_named() {
        let before = Keys::new(SITE, OLDER, []);
        assert!(keys().verify(&token(&before), Audience::Web, at(1000)).is_ok());
        assert!(Keys::new(SITE, SECRET, []).verify(&token(&before), Audience::Web, at(1000)).is_err());
    }

    #[test]
    fn a_token_with_another_header_is_refused_though_its_signature_is_right() {
        let keys = keys();
        let claims = Claims::new(SITE, Audience::Web, "user", "session", at(1000), at(2800));
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
    fn refusal_names_its_reason_and_the_user_of_an_expired_token() {
        let keys = keys();
        let verify =
            |keys: &Keys, token: &str, now| keys.verify(token, Audience::Web, at(now)).map(|claims| claims.sub);
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

    #[test]
    fn nonsense_is_refused() {
        for token in ["", ".", "..", "a.b.c", "eyJhbGciOiJub25lIn0.e30.", &"a".repeat(65536)] {
            assert!(keys().verify(token, Audience::Web, at(1000)).is_err());
        }
    }

    #[test]
    fn session_id_is_up_to_64_letters_digits_and_hyphens() {
        assert!(is_id("0190-aZ9") && is_id(&"a".repeat(64)));
        for text in [&"a".repeat(65), "a b", "a\0b", "a_b", "a.b", "\u{e9}"] {
            assert!(!is_id(text), "{text:?}");
            let keys = keys();
            let token = keys.sign(&Claims::new(SITE, Audience::Web, "user", text, at(1000), at(2800)));
            assert!(keys.verify(&token, Audience::Web, at(1000)).is_err(), "{text:?}");
        }
    }
}
