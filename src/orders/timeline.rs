//! What happened to an order, and what is still to come.

use super::order::{Order, Status};
use crate::clock::UnixSeconds;

/// One thing that happened, or will.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Event {
    pub what: String,
    /// `None` when the shop does not tell, or while it lies ahead.
    pub at: Option<UnixSeconds>,
    pub is_ahead: bool,
}

/// What happened, in the order in which it did; then what happened at a time that the shop does not tell; then what lies ahead.
pub(super) fn timeline(order: &Order) -> Vec<Event> {
    let mut happened: Vec<(&str, Option<UnixSeconds>)> = vec![("Placed", Some(order.placed_at))];
    let is_paid = matches!(order.payment_status.as_str(), "paid" | "partially_refunded" | "refunded");
    if is_paid || order.paid_at.is_some() {
        happened.push(("Paid", order.paid_at));
    }
    match order.fulfillment_status.as_str() {
        "fulfilled" | "delivered" => happened.push(("Sent", order.fulfilled_at)),
        "partial" | "partially_fulfilled" => happened.push(("Partly sent", order.fulfilled_at)),
        _ if order.fulfilled_at.is_some() => happened.push(("Sent", order.fulfilled_at)),
        _ => {}
    }
    if order.cancellation_asked_at.is_some() {
        happened.push(("You asked to cancel", order.cancellation_asked_at));
    }
    if order.cancelled_at.is_some() {
        happened.push(("Cancelled", order.cancelled_at));
    }
    if order.fulfillment_status == "delivered" {
        happened.push(("Delivered", None));
    }
    // The sort keeps what happened at one moment in the order above.
    happened.sort_by_key(|(_, at)| (at.is_none(), *at));
    let mut events: Vec<Event> =
        happened.into_iter().map(|(what, at)| Event { what: what.to_owned(), at, is_ahead: false }).collect();
    if let Some(what) = refund(order) {
        events.push(Event { what, at: None, is_ahead: false });
    }
    events.extend(ahead(order.status).iter().map(|what| Event { what: (*what).to_owned(), at: None, is_ahead: true }));
    events
}

fn refund(order: &Order) -> Option<String> {
    match order.payment_status.as_str() {
        "refunded" => Some("Refunded".to_owned()),
        _ if order.refunded.is_zero() => None,
        _ => Some(format!("{} refunded", order.refunded)),
    }
}

fn ahead(status: Status) -> &'static [&'static str] {
    match status {
        Status::Placed => &["Paid", "Sent", "Delivered"],
        Status::Processing | Status::PartlySent => &["Sent", "Delivered"],
        Status::Sent => &["Delivered"],
        Status::Delivered | Status::Cancelled | Status::Refunded => &[],
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::orders::order::tests::order;

    fn said(order: &Order) -> Vec<String> {
        let mark = |event: &Event| match (event.at, event.is_ahead) {
            (Some(at), _) => format!("{} {}", event.what, at.get()),
            (None, true) => format!("({})", event.what),
            (None, false) => event.what.clone(),
        };
        timeline(order).iter().map(mark).collect()
    }

    #[test]
    fn a_paid_order_waits_to_be_sent() {
        let paid = Order { paid_at: Some(UnixSeconds::new(20)), ..order("paid", "unfulfilled") };
        assert_eq!(said(&paid), ["Placed 10", "Paid 20", "(Sent)", "(Delivered)"]);
    }

    #[test]
    fn things_stand_in_the_order_in_which_they_happened() {
        let sent_before_paid = Order {
            paid_at: Some(UnixSeconds::new(40)),
            fulfilled_at: Some(UnixSeconds::new(30)),
            ..order("paid", "delivered")
        };
        assert_eq!(said(&sent_before_paid), ["Placed 10", "Sent 30", "Paid 40", "Delivered"]);
    }

    #[test]
    fn a_cancelled_order_has_nothing_ahead() {
        let cancelled = Order {
            cancellation_asked_at: Some(UnixSeconds::new(15)),
            cancelled_at: Some(UnixSeconds::new(20)),
            status: Status::Cancelled,
            ..order("refunded", "unfulfilled")
        };
        assert_eq!(said(&cancelled), ["Placed 10", "You asked to cancel 15", "Cancelled 20", "Paid", "Refunded"]);
    }
}
