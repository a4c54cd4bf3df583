//! An assertion: the answer of a browser that proves the possession of a passkey, for login and reauthentication.

use serde::Deserialize;
use webauthn_rs::prelude::PublicKeyCredential;

use super::ceremonies::Refusal;
use super::store::{self, StoredPasskey};
use crate::accounts::Accounts;
use crate::accounts::audit::Event;
use crate::database::{self, Transaction};
use crate::domain::UnixSeconds;
use crate::web::{Client, Error};

/// What the script sends.
#[derive(Deserialize)]
pub(super) struct Assertion {
    /// As `start` has sent it.
    state: String,
    credential: PublicKeyCredential,
}

impl Assertion {
    pub(super) fn credential_id(&self) -> &[u8] {
        self.credential.get_credential_id()
    }

    /// Whether it names the account of the passkey; `None` if it names no account.
    pub(super) fn names_owner_of(&self, stored: &StoredPasskey) -> Option<bool> {
        let handle = self.credential.get_user_unique_id()?;
        Some(stored.handle.is_some_and(|own| own.as_bytes() == handle))
    }
}

/// A passkey with a valid assertion.
pub(in crate::accounts) struct VerifiedPasskey {
    stored: StoredPasskey,
    /// With the new signature counter.
    updated: String,
    challenge_id: Vec<u8>,
    expires_at: UnixSeconds,
}

impl Accounts {
    /// Verifies an assertion of this passkey. The caller has checked the passkey's account.
    pub(super) async fn verify_assertion(
        &self,
        purpose: &[&str],
        assertion: &Assertion,
        stored: StoredPasskey,
        client: &Client,
    ) -> Result<Option<VerifiedPasskey>, Error> {
        let Some(opened) = self.passkeys.open_assertion(purpose, &assertion.state, self.clock.now()) else {
            return Ok(None);
        };
        let result = match self.passkeys.verify_assertion(&assertion.credential, opened.state, &stored.passkey) {
            Ok(result) => result,
            Err(refusal) => {
                self.record_refusal(&stored, &refusal, client).await?;
                return Ok(None);
            }
        };
        let mut passkey = stored.passkey.clone();
        passkey.update_credential(&result);
        let updated = serde_json::to_string(&passkey).map_err(|error| Error::Internal(error.into()))?;
        let (challenge_id, expires_at) = (opened.challenge_id, opened.expires_at);
        Ok(Some(VerifiedPasskey { stored, updated, challenge_id, expires_at }))
    }

    /// A passkey that may have been copied is refused (its owner can log in with the password), and the activity log says so.
    async fn record_refusal(&self, stored: &StoredPasskey, refusal: &Refusal, client: &Client) -> Result<(), Error> {
        tracing::info!(user = %stored.user_id, reason = %refusal, "passkey refused");
        match refusal {
            Refusal::Copied => Ok(self.record(&stored.user_id, Event::PasskeyCopied, client).await?),
            Refusal::Invalid(_) => Ok(()),
        }
    }
}

impl VerifiedPasskey {
    /// Stores that challenge and passkey were used. Returns whether the challenge was unused, and the passkey neither removed nor used since
    /// it was read.
    pub(in crate::accounts) async fn record_use(
        &self,
        transaction: &mut Transaction,
        now: UnixSeconds,
    ) -> Result<bool, database::Error> {
        Ok(store::use_challenge(transaction, &self.challenge_id, self.expires_at).await?
            && store::record_use(transaction, &self.stored, &self.updated, now).await?)
    }
}
