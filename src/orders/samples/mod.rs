//! Sample orders for new accounts in development, so that pages show something before an import. They belong to one account each and
//! are deleted when it gets real orders.
//!
//! `orders.csv` is an export of a year of orders: every status, and more than one page. It is parsed and written as an import does it.

use std::borrow::Cow;

use super::import::store::write::{Source, Upsert, write};
use super::import::{ImportedOrder, parse_samples};
use super::monthly_totals::{self, Changes};
use crate::clock::Clock;
use crate::database::{Error, Transaction};
use crate::domain::{UnixSeconds, UserId, Zone};

const EXPORT: &str = include_str!("orders.csv");
/// 2025-01-01, the moment at which `orders.csv` was exported.
const EXPORTED_AT: i64 = 1_735_689_600;

/// Inserts the sample orders of a new user. Their numbers begin with `S`.
pub async fn add_samples(
    transaction: &mut Transaction,
    user_id: &UserId,
    shop_zone: &Zone,
    now: UnixSeconds,
    clock: &Clock,
) -> Result<(), Error> {
    let mut orders = parse_samples(EXPORT).map_err(|error| Error::Decode(error.into()))?;
    orders.iter_mut().for_each(|order| move_to(now, order));
    // The oldest first: ids of the same second then have the order of the list.
    let upserts: Vec<Upsert<'_>> = orders.iter().rev().map(|order| upsert(order, user_id, clock)).collect();
    write(transaction, &upserts, &mut Changes::default()).await?;
    // The totals are rebuilt as a whole.
    monthly_totals::start(transaction, user_id, shop_zone).await
}

fn upsert<'a>(order: &'a ImportedOrder, user_id: &'a str, clock: &Clock) -> Upsert<'a> {
    Upsert {
        id: clock.new_id(),
        source: Source::Sample { owner: user_id },
        external_id: Cow::Borrowed(""),
        name: &order.name,
        number: order.name.number().as_str().to_owned(),
        owner: Some(user_id.to_owned()),
        values: Cow::Borrowed(&order.values),
        lines: Cow::Borrowed(&order.lines),
        content_hash: &[],
        existing_lines: 0,
        former: None,
    }
}

/// Moves the times of an order as if the export was made now.
fn move_to(now: UnixSeconds, order: &mut ImportedOrder) {
    let moved = |at: i64| now.plus(at - EXPORTED_AT).min(now).get();
    let values = &mut order.values;
    values.placed_at = moved(values.placed_at);
    for at in [&mut values.paid_at, &mut values.fulfilled_at, &mut values.cancelled_at] {
        *at = at.map(moved);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::orders::status::OrderStatus;

    #[test]
    fn samples_have_every_status_of_a_paid_order_and_none_is_in_the_future() {
        let now = UnixSeconds::new(EXPORTED_AT + 1_000_000);
        let mut orders = parse_samples(EXPORT).unwrap();
        orders.iter_mut().for_each(|order| move_to(now, order));
        assert_eq!(orders.len(), 24);
        let statuses: Vec<OrderStatus> = orders
            .iter()
            .map(|order| &order.values)
            .map(|order| {
                OrderStatus::derive(order.payment_status, order.fulfillment_status, order.cancelled_at.is_some())
            })
            .collect();
        for status in ["placed", "processing", "partly_sent", "sent", "delivered", "refunded", "cancelled"] {
            assert!(statuses.contains(&status.parse().unwrap()), "{status}");
        }
        assert!(orders.iter().all(|order| order.values.placed_at < now.get()));
    }
}
