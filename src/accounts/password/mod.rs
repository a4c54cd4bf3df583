//! Passwords: the rules for new ones, hashing, and the strength meter.

mod guessable;
mod hasher;
pub(super) mod metrics;
mod rules;
pub(super) mod strength;

pub use hasher::{Hasher, PasswordCheck};
pub use rules::{Password, PasswordError};
pub(super) use strength::StrengthQueue;
