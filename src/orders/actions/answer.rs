//! The operator's answer to a cancellation request.

use super::store::cancellations as store;
use crate::clock::Clock;
use crate::database::{Database, Error};
use crate::domain::Email;
use crate::mail::{self, AboutOrder, Message};
use crate::orders::cancellation::Verdict;
use crate::orders::monthly_totals::Changes;
use crate::orders::operator::OperatorOrder;
use crate::orders::order::OrderNumber;
use crate::orders::store::unreadable;
use crate::orders::url::order_url;

/// The result of [`answer_cancellation`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Answered {
    /// The customer gets a mail.
    Mailed,
    /// The order has no account with a confirmed address.
    NotMailed,
    /// The order has no request that waits for an answer.
    NoRequest,
}

/// Stores the answer. The customer sees it on the order's page, and gets it by mail at a confirmed address.
///
/// # Errors
/// The database fails.
pub async fn answer_cancellation(
    database: &Database,
    clock: &Clock,
    order: &OperatorOrder,
    verdict: Verdict,
) -> Result<Answered, Error> {
    let number = OrderNumber::parse(&order.number).ok_or_else(|| unreadable("number"))?;
    database
        .write(async |transaction| {
            if !store::answer_cancellation(transaction, &order.id, verdict, clock.now()).await? {
                return Ok(Answered::NoRequest);
            }
            let Some((user_id, email)) = store::find_owner(transaction, &order.id).await? else {
                return Ok(Answered::NotMailed);
            };
            let mut changes = Changes::default();
            changes.mark_changed(&user_id);
            let email = email.and_then(|email| Email::parse(&email).ok());
            if let Some(email) = &email {
                let message = AboutOrder::CancellationAnswered {
                    number: order.name.clone(),
                    path: order_url(&number),
                    is_accepted: verdict == Verdict::Accepted,
                };
                mail::enqueue(transaction, clock, email, Some(&user_id), &Message::AboutOrder(message)).await?;
            }
            changes.record(transaction).await?;
            Ok(if email.is_some() { Answered::Mailed } else { Answered::NotMailed })
        })
        .await
}
