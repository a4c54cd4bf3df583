//! The timeline of an order: past events and expected ones.

use crate::domain::UnixSeconds;
use crate::orders::cancellation::{Answer, Verdict};
use crate::orders::order::Order;
use crate::orders::status::{FulfillmentStatus, OrderStatus, PaymentStatus};

#[derive(Debug, PartialEq, Eq)]
pub(super) struct Event {
    pub label: String,
    /// `None` when the export has no time for it, or while it is pending.
    pub at: Option<UnixSeconds>,
    pub is_pending: bool,
}

/// Past events by time, then past events of unknown time, then pending events. A delivery is pending only if the shop reports deliveries.
pub(super) fn timeline(order: &Order, reports_deliveries: bool) -> Vec<Event> {
    let mut past = past_events(order);
    // The sort is stable: events of the same second keep their order.
    past.sort_by_key(|(_, at)| (at.is_none(), *at));
    let past = past.into_iter().map(|(label, at)| Event { label: label.to_owned(), at, is_pending: false });
    let refund = refund(order).map(|label| Event { label, at: None, is_pending: false });
    let pending = pending(order).filter(|label| *label != "Delivered" || reports_deliveries).map(|label| Event {
        label: label.to_owned(),
        at: None,
        is_pending: true,
    });
    past.chain(refund).chain(pending).collect()
}

fn past_events(order: &Order) -> Vec<(&'static str, Option<UnixSeconds>)> {
    let mut events = vec![("Placed", Some(order.placed_at))];
    if order.payment_status.was_paid() || order.paid_at.is_some() {
        events.push(("Paid", order.paid_at));
    }
    match order.fulfillment_status {
        FulfillmentStatus::Fulfilled | FulfillmentStatus::Delivered => events.push(("Sent", order.fulfilled_at)),
        FulfillmentStatus::Partial | FulfillmentStatus::PartiallyFulfilled => {
            events.push(("Partly sent", order.fulfilled_at));
        }
        _ if order.fulfilled_at.is_some() => events.push(("Sent", order.fulfilled_at)),
        _ => {}
    }
    if let Some(cancellation) = &order.cancellation {
        events.push(("Cancellation requested", Some(cancellation.requested_at)));
        if let Some(Answer { verdict, at }) = cancellation.answer {
            let label = match verdict {
                Verdict::Accepted => "Cancellation accepted by the shop",
                Verdict::Declined => "Cancellation declined by the shop",
            };
            events.push((label, Some(at)));
        }
    }
    if order.cancelled_at.is_some() {
        events.push(("Cancelled", order.cancelled_at));
    }
    if order.fulfillment_status == FulfillmentStatus::Delivered {
        events.push(("Delivered", None));
    }
    events
}

fn refund(order: &Order) -> Option<String> {
    match order.payment_status {
        PaymentStatus::Refunded => Some("Refunded".to_owned()),
        _ if order.refunded.is_zero() => None,
        _ => Some(format!("{} refunded", order.refunded)),
    }
}

fn pending(order: &Order) -> impl Iterator<Item = &'static str> {
    let answer = order.open_cancellation().and_then(|cancellation| cancellation.answer);
    let is_given_up = answer.is_some_and(|answer| answer.verdict == Verdict::Accepted);
    let after = match order.status {
        _ if is_given_up => &[][..],
        OrderStatus::Placed => &["Paid", "Sent", "Delivered"][..],
        OrderStatus::Processing | OrderStatus::PartlySent => &["Sent", "Delivered"][..],
        OrderStatus::Sent => &["Delivered"][..],
        OrderStatus::Delivered
        | OrderStatus::Cancelled
        | OrderStatus::Refunded
        | OrderStatus::PaymentVoided
        | OrderStatus::Expired => &[][..],
    };
    after.iter().copied()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::orders::cancellation::Cancellation;
    use crate::orders::order::tests::order;

    /// Label and time of each event; pending ones in brackets.
    fn summary(order: &Order) -> Vec<String> {
        let text = |event: &Event| match (event.at, event.is_pending) {
            (Some(at), _) => format!("{} {}", event.label, at.get()),
            (None, true) => format!("({})", event.label),
            (None, false) => event.label.clone(),
        };
        timeline(order, true).iter().map(text).collect()
    }

    #[test]
    fn paid_order_has_pending_events() {
        let paid = Order { paid_at: Some(UnixSeconds::new(20)), ..order("paid", "unfulfilled") };
        assert_eq!(summary(&paid), ["Placed 10", "Paid 20", "(Sent)", "(Delivered)"]);
    }

    #[test]
    fn delivery_is_pending_only_if_the_shop_reports_deliveries() {
        let paid = order("paid", "unfulfilled");
        let labels: Vec<String> = timeline(&paid, false).into_iter().map(|event| event.label).collect();
        assert_eq!(labels, ["Placed", "Paid", "Sent"]);
        assert!(timeline(&order("voided", "unfulfilled"), true).iter().all(|event| !event.is_pending));
    }

    #[test]
    fn events_are_sorted_by_time() {
        let sent_before_paid = Order {
            paid_at: Some(UnixSeconds::new(40)),
            fulfilled_at: Some(UnixSeconds::new(30)),
            ..order("paid", "delivered")
        };
        assert_eq!(summary(&sent_before_paid), ["Placed 10", "Sent 30", "Paid 40", "Delivered"]);
    }

    #[test]
    fn cancelled_order_has_no_pending_events() {
        let cancelled = Order {
            cancellation: Some(Cancellation {
                requested_at: UnixSeconds::new(15),
                reason: String::new(),
                answer: Some(Answer { verdict: Verdict::Accepted, at: UnixSeconds::new(17) }),
            }),
            cancelled_at: Some(UnixSeconds::new(20)),
            status: OrderStatus::Cancelled,
            ..order("refunded", "unfulfilled")
        };
        assert_eq!(
            summary(&cancelled),
            [
                "Placed 10",
                "Cancellation requested 15",
                "Cancellation accepted by the shop 17",
                "Cancelled 20",
                "Paid",
                "Refunded"
            ]
        );
    }

    #[test]
    fn accepted_cancellation_leaves_nothing_pending() {
        let request = |answer| Cancellation { requested_at: UnixSeconds::new(15), reason: String::new(), answer };
        let answer = |verdict| Answer { verdict, at: UnixSeconds::new(17) };
        for (answer, has_pending) in
            [(None, true), (Some(answer(Verdict::Declined)), true), (Some(answer(Verdict::Accepted)), false)]
        {
            let order = Order { cancellation: Some(request(answer)), ..order("paid", "unfulfilled") };
            assert_eq!(timeline(&order, true).iter().any(|event| event.is_pending), has_pending, "{answer:?}");
        }
    }
}
