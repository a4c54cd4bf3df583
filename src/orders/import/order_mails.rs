//! `ORDER_MAILS`: mail to customers whose orders an import has changed. The transactions of the import store the changes; its end queues one
//! mail for each customer. The changes of an import that stops wait for the next one, so that a customer gets one mail for both.

use super::interrupt::Interrupt;
use super::store::lease::Lease;
use super::store::state_changes::{self, StateChange};
use crate::clock::Clock;
use crate::database::{Database, Engine, Error};
use crate::mail::{AboutOrder, ChangedOrder, Message};
use crate::orders::url::order_url;

/// Orders in one mail.
const MAX_LISTED: usize = 30;

/// Queues the mail, in transactions with the pauses of the import, until all is queued, another import has the lease or the import is
/// interrupted. The next import queues the rest.
pub(super) async fn enqueue(
    database: &Database,
    clock: &Clock,
    lease: &Lease,
    interrupt: &Interrupt,
) -> Result<(), Error> {
    while !interrupt.is_requested() && state_changes::enqueue_some(database, clock, lease, message).await? > 0 {
        if database.engine() == Engine::Sqlite {
            tokio::time::sleep(super::load::SQLITE_PAUSE).await;
        }
    }
    Ok(())
}

/// Removes what a former import left when the shop does not want such mail now.
pub(super) async fn discard(database: &Database) -> Result<(), Error> {
    state_changes::delete_all(database).await
}

fn message(changes: &[StateChange]) -> Message {
    let order = |change: &StateChange| ChangedOrder {
        number: change.name.to_string(),
        path: order_url(&change.number),
        state: change.status.label().to_lowercase(),
    };
    let orders = changes.iter().take(MAX_LISTED).map(order).collect();
    Message::AboutOrder(AboutOrder::StatesChanged { orders, more: changes.len().saturating_sub(MAX_LISTED) })
}
