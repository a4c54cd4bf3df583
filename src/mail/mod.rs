//! Messages and how they leave.
//!
//! Hands out [`Email`], which every part that deals with addresses shares, so that one person has one address everywhere;
//! [`post`], which puts a [`Message`] into the queue; [`links`], the one-time links that messages carry; [`recoveries`], those by which
//! an owner undoes what a security notice tells of; and [`deliver`], what the server runs in the background. In development `/dev/mail` shows what was sent.
//!
//! Invariants: posting touches the database alone, so a mail server that is down neither blocks nor fails a page; a link's token
//! is made when its mail leaves and stands nowhere but in the mail.

mod address;
mod delivery;
mod inbox;
pub mod links;
mod message;
mod store;
mod transport;

pub use address::{Email, EmailError};
pub use delivery::deliver;
pub use inbox::configure_development;
pub use message::{AboutOrder, Message, Occasion};
pub use store::{clean_tokens, delete_old_failures, operator, post, recoveries};
pub use transport::{Transport, TransportError};
