//! What each change of an account's passkeys leaves: an audit event, and a mail to the owner with a recovery link.

use super::name::PasskeyName;
use crate::accounts::Accounts;
use crate::accounts::audit::{self, Event};
use crate::accounts::security_notice::SecurityNotice;
use crate::accounts::store::Account;
use crate::database::{self, Transaction};
use crate::mail::{Message, RequestOrigin};
use crate::web::Client;

pub(super) struct PasskeyChange<'a> {
    /// `PasskeyAdded`, `PasskeyRenamed` or `PasskeyRemoved`.
    pub event: Event,
    /// The name after the change.
    pub name: &'a PasskeyName,
}
