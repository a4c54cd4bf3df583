//! Sample orders for new accounts in development, so that pages show something before an import. They belong to one account each and
//! are deleted when it gets real orders.

mod store;

pub(super) use store::remove_samples;

use super::monthly_totals;
use crate::clock::Clock;
use crate::database::{Error, Transaction};
use crate::domain::{UnixSeconds, UserId};

const DAY: i64 = 86_400;

struct Sample {
    days_ago: i64,
    payment: &'static str,
    fulfillment: &'static str,
    /// Days from placing to paying, sending and cancelling.
    paid: Option<i64>,
    sent: Option<i64>,
    cancelled: Option<i64>,
    /// In cents.
    shipping: i64,
    discount: i64,
    /// Index in [`PRODUCTS`], and quantity.
    lines: &'static [(usize, i64)],
}

/// Article number, name, price in cents.
const PRODUCTS: [(&str, &str, i64); 10] = [
    ("TEA-EG-250", "Earl Grey, loose leaf, 250 g", 1_290),
    ("TEA-SE-100", "Sencha, first flush, 100 g", 1_650),
    ("POT-CI-08", "Cast iron teapot, 0.8 l", 6_900),
    ("CUP-ST-2", "Stoneware cups, set of two", 2_400),
    ("KET-GN-10", "Gooseneck kettle, 1.0 l", 8_450),
    ("COF-ET-500", "Ethiopia Sidamo, whole bean, 500 g", 1_980),
    ("GRI-HA-01", "Hand grinder, steel burrs", 11_900),
    ("FIL-PA-100", "Paper filters, pack of 100", 650),
    ("HON-LI-350", "Linden honey, 350 g", 940),
    ("BIS-OA-200", "Oat biscuits, 200 g", 480),
];

/// Shorthand for a row of [`SAMPLES`].
#[rustfmt::skip]
#[allow(clippy::too_many_arguments)] // One argument for each column of the table below.
const fn sample(days_ago: i64, payment: &'static str, fulfillment: &'static str, paid: Option<i64>, sent: Option<i64>,
    cancelled: Option<i64>, shipping: i64, discount: i64, lines: &'static [(usize, i64)]) -> Sample {
    Sample { days_ago, payment, fulfillment, paid, sent, cancelled, shipping, discount, lines }
}

/// A year of orders, the newest first: every status, and more than one page.
#[rustfmt::skip]
const SAMPLES: [Sample; 24] = [
    sample(0, "pending", "unfulfilled", None, None, None, 490, 0, &[(5, 2), (7, 1)]),
    sample(2, "paid", "unfulfilled", Some(0), None, None, 0, 500, &[(4, 1)]),
    sample(6, "paid", "partial", Some(0), None, None, 0, 0, &[(2, 1), (3, 1), (0, 2)]),
    sample(11, "paid", "fulfilled", Some(0), Some(2), None, 490, 0, &[(0, 1), (8, 1)]),
    sample(24, "paid", "delivered", Some(0), Some(1), None, 490, 0, &[(5, 2), (9, 3)]),
    sample(31, "refunded", "fulfilled", Some(0), Some(2), None, 490, 0, &[(3, 1)]),
    sample(45, "paid", "delivered", Some(1), Some(3), None, 490, 0, &[(1, 1), (9, 1)]),
    sample(52, "voided", "unfulfilled", None, None, Some(1), 490, 0, &[(6, 1)]),
    sample(66, "paid", "delivered", Some(0), Some(2), None, 0, 1_000, &[(6, 1), (5, 1), (7, 2)]),
    sample(80, "paid", "delivered", Some(0), Some(1), None, 490, 0, &[(0, 2)]),
    sample(97, "paid", "delivered", Some(0), Some(2), None, 490, 0, &[(8, 2), (9, 2), (0, 1)]),
    sample(113, "partially_refunded", "delivered", Some(0), Some(1), None, 490, 0, &[(3, 2), (1, 1)]),
    sample(128, "paid", "delivered", Some(0), Some(4), None, 490, 0, &[(5, 1), (7, 1)]),
    sample(140, "paid", "delivered", Some(0), Some(1), None, 490, 0, &[(9, 4)]),
    sample(159, "paid", "delivered", Some(0), Some(2), None, 490, 0, &[(0, 1), (1, 1)]),
    sample(173, "paid", "delivered", Some(0), Some(2), None, 490, 250, &[(5, 3)]),
    sample(190, "paid", "delivered", Some(2), Some(4), None, 490, 0, &[(8, 1)]),
    sample(211, "paid", "delivered", Some(0), Some(1), None, 490, 0, &[(7, 3), (5, 2)]),
    sample(236, "paid", "delivered", Some(0), Some(2), None, 490, 0, &[(0, 1), (9, 2)]),
    sample(255, "paid", "delivered", Some(0), Some(3), None, 0, 0, &[(4, 1), (5, 1)]),
    sample(281, "paid", "delivered", Some(0), Some(2), None, 490, 0, &[(1, 2)]),
    sample(304, "paid", "delivered", Some(0), Some(1), None, 490, 0, &[(3, 1), (8, 1)]),
    sample(330, "paid", "delivered", Some(0), Some(2), None, 0, 0, &[(2, 1), (0, 1)]),
    sample(358, "paid", "delivered", Some(0), Some(2), None, 490, 0, &[(0, 1)]),
];

/// Inserts the sample orders of a new user. Their numbers begin with `S`.
pub async fn add_samples(
    transaction: &mut Transaction,
    user_id: &UserId,
    now: UnixSeconds,
    clock: &Clock,
) -> Result<(), Error> {
    for (index, sample) in SAMPLES.iter().enumerate().rev() {
        store::insert_sample(transaction, &new_sample(sample, index, user_id, now, clock)).await?;
    }
    monthly_totals::rebuild(transaction, user_id).await
}

fn new_sample(sample: &Sample, index: usize, user_id: &str, now: UnixSeconds, clock: &Clock) -> store::NewSample {
    // Another hour of the day for each order, never in the future.
    let placed_at =
        now.plus(-sample.days_ago * DAY - 1_800 - (i64::try_from(index).unwrap_or_default() * 7_517) % 36_000);
    let after = |days: Option<i64>| days.map(|days| placed_at.plus(days * DAY + 600 + 1_130 * days).min(now));
    let subtotal: i64 = sample.lines.iter().map(|(product, quantity)| PRODUCTS[*product].2 * quantity).sum();
    let total = subtotal + sample.shipping - sample.discount;
    let lines = sample.lines.iter().map(|(product, quantity)| (PRODUCTS[*product], *quantity)).collect();
    let refunded = match sample.payment {
        "refunded" => total,
        "partially_refunded" => 2_400,
        _ => 0,
    };
    store::NewSample {
        id: clock.new_id(),
        user_id: user_id.to_owned(),
        number: format!("S{}", 1_024 + 3 * (SAMPLES.len() - index)),
        placed_at,
        paid_at: after(sample.paid),
        fulfilled_at: after(sample.sent),
        cancelled_at: after(sample.cancelled),
        payment_status: sample.payment,
        fulfillment_status: sample.fulfillment,
        subtotal,
        shipping: sample.shipping,
        discount: sample.discount,
        refunded,
        total,
        lines,
    }
}
