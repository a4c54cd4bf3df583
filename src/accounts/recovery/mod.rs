//! Mailed links: confirm an address, reset a password, undo a change.
//!
//! A GET of a link changes nothing, because programs that scan mail follow links. The button on its page does.

mod link_page;
pub(super) mod not_me;
pub(super) mod reset;
pub(super) mod verify;
