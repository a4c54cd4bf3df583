//! Messages and how they leave: addresses first.
//!
//! Hands out [`Email`], which every part that deals with addresses shares, so that one person has one address everywhere.

mod address;

pub use address::{Email, EmailError};
