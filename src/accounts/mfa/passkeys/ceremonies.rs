//! The ceremonies of WebAuthn level 3 (sections 7.1 and 7.2) by `webauthn-rs`, with this site's options: a discoverable credential and user
//! verification are required, so that a passkey logs in without an address and suffices alone.

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use serde_json::{Value, json};
use url::Url;
use uuid::Uuid;
use webauthn_rs::prelude::{
    AuthenticationResult, DiscoverableAuthentication, Passkey, PasskeyRegistration, PublicKeyCredential,
    RegisterPublicKeyCredential, WebauthnError,
};
use webauthn_rs::{Webauthn, WebauthnBuilder};

use super::signed_state::{LIFETIME_SECONDS, OpenedState, StateKeys};
use crate::domain::UnixSeconds;
use crate::web::Error;

/// The longest credential id (WebAuthn level 3 section 7.1 step 25).
const MAX_CREDENTIAL_ID_BYTES: usize = 1023;

/// The relying party of all ceremonies.
pub struct Passkeys {
    /// `None` if the public URL has no domain: an IP address cannot be a relying party.
    relying_party: Option<RelyingParty>,
    keys: StateKeys,
}

struct RelyingParty {
    webauthn: Webauthn,
    id: String,
}

/// An account as the authenticator stores it.
pub(super) struct AuthenticatorUser<'a> {
    /// Random, so that it says nothing about the person (section 14.6.1).
    pub handle: Uuid,
    pub email: &'a str,
}

/// Why a registration or an assertion is refused.
#[derive(Debug, thiserror::Error)]
pub(super) enum Refusal {
    #[error("{0}")]
    Invalid(WebauthnError),
    /// The private key may have been copied (section 6.1.1).
    #[error("the signature counter did not increase")]
    Copied,
}

impl From<WebauthnError> for Refusal {
    fn from(error: WebauthnError) -> Self {
        match error {
            WebauthnError::CredentialPossibleCompromise => Self::Copied,
            error => Self::Invalid(error),
        }
    }
}

impl Passkeys {
    /// `origin` is the public URL, `name` the shop's name; the token secrets sign the state of ceremonies.
    pub fn new<'a>(
        origin: &str,
        name: &str,
        current_secret: &'a [u8],
        previous_secrets: impl IntoIterator<Item = &'a [u8]>,
    ) -> Self {
        Self { relying_party: relying_party(origin, name), keys: StateKeys::new(current_secret, previous_secrets) }
    }

    /// The domain to which the passkeys belong; 404 without one.
    pub(super) fn relying_party_id(&self) -> Result<&str, Error> {
        self.relying_party().map(|relying_party| relying_party.id.as_str())
    }

    fn relying_party(&self) -> Result<&RelyingParty, Error> {
        self.relying_party.as_ref().ok_or(Error::NotFound)
    }

    /// Options for `navigator.credentials.get`, with the signed state. Without `allowed` the browser offers every passkey of the site.
    pub(super) fn start_assertion(
        &self,
        purpose: &[&str],
        allowed: &[Vec<u8>],
        now: UnixSeconds,
    ) -> Result<Value, Error> {
        let webauthn = &self.relying_party()?.webauthn;
        let (mut options, state) = webauthn.start_discoverable_authentication().map_err(internal)?;
        options.public_key.extensions = None;
        let mut options = json!(options.public_key);
        options["allowCredentials"] = descriptors(allowed);
        self.with_state(purpose, &options, state, now)
    }

    /// The state of an assertion, if it is valid now.
    pub(super) fn open_assertion(
        &self,
        purpose: &[&str],
        state: &str,
        now: UnixSeconds,
    ) -> Option<OpenedState<DiscoverableAuthentication>> {
        self.keys.open(purpose, state, now)
    }

    /// Verifies the assertion of a passkey. The caller has checked whose passkey it is.
    pub(super) fn verify_assertion(
        &self,
        assertion: &PublicKeyCredential,
        state: DiscoverableAuthentication,
        passkey: &Passkey,
    ) -> Result<AuthenticationResult, Refusal> {
        let webauthn = &self.relying_party().map_err(|_| WebauthnError::Configuration)?.webauthn;
        Ok(webauthn.finish_discoverable_authentication_v2(assertion, state, passkey)?)
    }

    /// Options for `navigator.credentials.create`, with the signed state. An authenticator with one of `existing` refuses.
    pub(super) fn start_registration(
        &self,
        purpose: &[&str],
        user: &AuthenticatorUser<'_>,
        existing: &[Vec<u8>],
        now: UnixSeconds,
    ) -> Result<Value, Error> {
        let webauthn = &self.relying_party()?.webauthn;
        let (options, state) =
            webauthn.start_passkey_registration(user.handle, user.email, user.email, None).map_err(internal)?;
        let mut options = json!(options.public_key);
        // The library leaves it to the authenticator whether the credential is discoverable.
        options["authenticatorSelection"] =
            json!({ "residentKey": "required", "requireResidentKey": true, "userVerification": "required" });
        options["excludeCredentials"] = descriptors(existing);
        self.with_state(purpose, &options, (user.handle, state), now)
    }

    /// The handle and the state of a registration, if it is valid now.
    pub(super) fn open_registration(
        &self,
        purpose: &[&str],
        state: &str,
        now: UnixSeconds,
    ) -> Option<OpenedState<(Uuid, PasskeyRegistration)>> {
        self.keys.open(purpose, state, now)
    }

    /// Verifies a new credential.
    pub(super) fn verify_registration(
        &self,
        credential: &RegisterPublicKeyCredential,
        state: &PasskeyRegistration,
    ) -> Result<Passkey, Refusal> {
        let webauthn = &self.relying_party().map_err(|_| WebauthnError::Configuration)?.webauthn;
        let is_discoverable = credential.extensions.cred_props.as_ref().and_then(|properties| properties.rk);
        if is_discoverable == Some(false) {
            return Err(Refusal::Invalid(WebauthnError::CredentialNotFound));
        }
        let passkey = webauthn.finish_passkey_registration(credential, state)?;
        if passkey.cred_id().len() > MAX_CREDENTIAL_ID_BYTES {
            return Err(Refusal::Invalid(WebauthnError::CredentialNotFound));
        }
        Ok(passkey)
    }

    fn with_state(
        &self,
        purpose: &[&str],
        options: &Value,
        state: impl serde::Serialize,
        now: UnixSeconds,
    ) -> Result<Value, Error> {
        let state = self.keys.sign(purpose, state, now).map_err(|error| Error::Internal(error.into()))?;
        Ok(json!({ "publicKey": options, "state": state }))
    }
}

fn relying_party(origin: &str, name: &str) -> Option<RelyingParty> {
    let url = Url::parse(origin).ok()?;
    let id = url.domain()?.to_owned();
    let timeout = std::time::Duration::from_secs(LIFETIME_SECONDS.unsigned_abs());
    let webauthn = WebauthnBuilder::new(&id, &url).ok()?.rp_name(name).timeout(timeout).build().ok()?;
    Some(RelyingParty { webauthn, id })
}

fn descriptors(credential_ids: &[Vec<u8>]) -> Value {
    credential_ids.iter().map(|id| json!({ "type": "public-key", "id": URL_SAFE_NO_PAD.encode(id) })).collect()
}

fn internal(error: WebauthnError) -> Error {
    Error::Internal(error.into())
}

#[cfg(test)]
mod tests {
    use super::*;

    const SECRET: &[u8] = b"a secret of at least thirty-two bytes";

    fn passkeys(origin: &str) -> Passkeys {
        Passkeys::new(origin, "Shop", SECRET, [])
    }

    fn now() -> UnixSeconds {
        UnixSeconds::new(1_800_000_000)
    }

    #[test]
    fn registration_requires_discoverable_credentials_and_user_verification() {
        let user = AuthenticatorUser { handle: Uuid::from_u128(7), email: "ann@example.com" };
        let started = passkeys("https://shop.example").start_registration(&["r"], &user, &[vec![1, 2]], now()).unwrap();
        let options = &started["publicKey"];
        assert_eq!(options["rp"], json!({ "name": "Shop", "id": "shop.example" }));
        let selection =
            json!({ "residentKey": "required", "requireResidentKey": true, "userVerification": "required" });
        assert_eq!(options["authenticatorSelection"], selection);
        assert_eq!(options["excludeCredentials"], json!([{ "type": "public-key", "id": "AQI" }]));
        assert_eq!(options["attestation"], "none");
        assert_eq!(options["user"]["id"], URL_SAFE_NO_PAD.encode(user.handle.as_bytes()));
    }

    #[test]
    fn assertion_requires_user_verification_and_has_no_mediation() {
        let passkeys = passkeys("http://localhost:8080");
        let started = passkeys.start_assertion(&["login"], &[], now()).unwrap();
        assert_eq!(started["publicKey"]["rpId"], "localhost");
        assert_eq!(started["publicKey"]["userVerification"], "required");
        assert_eq!(started["publicKey"]["allowCredentials"], json!([]));
        assert_eq!(started["publicKey"]["timeout"], 300_000);
        assert_eq!(started.get("mediation"), None);
        let again = passkeys.start_assertion(&["login"], &[], now()).unwrap();
        assert_ne!(started["publicKey"]["challenge"], again["publicKey"]["challenge"]);
    }

    #[test]
    fn ip_addresses_have_no_passkeys() {
        for origin in ["http://127.0.0.1:8080", "https://[::1]", "https://192.0.2.1"] {
            assert!(
                matches!(passkeys(origin).start_assertion(&["login"], &[], now()), Err(Error::NotFound)),
                "{origin}"
            );
        }
        assert_eq!(passkeys("https://shop.example:8443").relying_party_id().unwrap(), "shop.example");
    }
}
