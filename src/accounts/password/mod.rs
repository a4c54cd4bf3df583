//! Passwords: the rules for new ones, hashing, and the strength meter, the filter of breached passwords.

mod breached;
mod guessable;
mod hasher;
pub(super) mod metrics;
mod rules;
pub(super) mod strength;

pub use breached::{BreachedPasswords, BuildError, Built, FilterError, build as build_breached_passwords};
pub use hasher::{Hasher, PasswordCheck};
pub use rules::{Password, PasswordError};
pub(super) use strength::StrengthQueue;
