//! Recovery links: for seven days the owner of an address can undo a new password or a new address of the account.
//!
//! A recovery is stored with the change; its token is generated when the mail about the change is delivered. It belongs to the confirmed
//! address that the account had before the change. Consuming a recovery revokes it and all later ones of the account, and no earlier one.
//! Example: the address changes from A to B, then from B to C. The link sent to B restores B and leaves the link sent to A valid. The link
//! sent to A restores A and revokes the others, so the owners of B and C cannot undo it.

mod store;

use crate::domain::{Email, UnixSeconds, UserId};

pub(super) use store::insert_token;
pub use store::{consume, delete_expired, find, insert, list};

/// A change that can be undone.
pub struct Recovery {
    /// Sorts by the time of the change.
    pub id: String,
    pub user_id: UserId,
    /// The account's address before the change.
    pub email: Email,
    /// The time of the change.
    pub created_at: UnixSeconds,
}
