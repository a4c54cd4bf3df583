//! Types without I/O, shared by all features.

mod ids;

pub use ids::{SessionId, UserId};
