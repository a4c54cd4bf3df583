//! Outgoing mail: messages, the queue, delivery, and the one-time tokens in mailed links.
//!
//! | module | purpose |
//! |---|---|
//! | `message.rs` | [`Message`]: every mail that the program sends, and its text |
//! | `content.rs` | the parts of a mail, and when and from where its request came |
//! | `factor_messages.rs` | the texts of mail about factors of the login |
//! | `order_messages.rs` | the texts of mail about orders, to customers and to the shop |
//! | `queue/` | [`enqueue`], the worker [`deliver`], the operator's commands |
//! | [`tokens`] | one-time tokens in mailed links |
//! | [`recoveries`] | changes of an account that the owner of the address can undo by a mailed link |
//! | `transport.rs` | SMTP, or files in a directory |
//! | `inbox.rs` | `/dev/mail`: sent mail, in development only |
//!
//! To add a mail: a variant of [`Message`] with its text in `message.rs`, and a call of [`enqueue`] in the transaction of the change.
//!
//! Invariants: a request only writes to the queue, so an unavailable mail server neither delays nor fails a page. The token of a link is
//! generated when its mail is delivered; its plain text exists only in that mail.

mod content;
mod factor_messages;
mod inbox;
mod message;
mod order_messages;
mod queue;
pub mod recoveries;
pub mod tokens;
mod transport;

pub use content::{RequestOrigin, Sender};
pub use factor_messages::{AboutFactors, FactorChange};
pub use inbox::configure_development;
pub use message::Message;
pub use order_messages::{AboutOrder, ChangedOrder, ToShop, mail_lines};
pub use queue::{delete_old_failures, deliver, enqueue, operator};
pub use transport::{Transport, TransportError};
