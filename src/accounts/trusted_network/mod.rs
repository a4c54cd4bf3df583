//! Trusted networks: the networks from which an account has logged in. Like trusted browsers they exempt the owner from waits that
//! attackers cause, also for clients without cookies.

pub(super) mod store;

use sha2::{Digest, Sha256};

use crate::domain::UserId;

/// Includes the user's id, so that the hashes of one network differ between accounts.
pub(super) fn hash(user_id: &UserId, network: &str) -> Vec<u8> {
    Sha256::new().chain_update(user_id.as_str()).chain_update([0]).chain_update(network).finalize().to_vec()
}
