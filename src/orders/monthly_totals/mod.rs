//! The version and the monthly totals of each customer's orders.
//!
//! Every transaction that inserts, changes, moves or deletes orders ends with [`Changes::record`] or [`rebuild`], which increment the
//! version and keep the totals current. Lists read the totals instead of all orders, and stored pages are keyed by the version. The deletion of
//! an account is the exception: its totals are deleted too.
//! `tests/order_versions.rs` changes orders in every way and fails when the version stays.
//!
//! A month is a month in the customer's time zone, or in the shop's while the customer's own is unknown. Totals that were computed for
//! another zone, or are marked stale (empty zone), are not used: a list then totals the orders themselves, until maintenance has rebuilt the
//! totals ([`rebuild_stale`]). Maintenance also finds the totals in another zone than the shop's after a change of that setting.

pub(super) mod store;

pub(super) use store::push_month;

use std::collections::{BTreeMap, BTreeSet};

use time::Date;

use super::status::OrderStatus;
use crate::database::{Database, Error, Transaction};
use crate::domain::{Money, UnixSeconds, UserId, Zone, next_month};

/// Customers whose totals one maintenance step rebuilds.
const REBUILD_BATCH: i64 = 20;

/// A month of the calendar: 12 times the year, plus the month from 0.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct MonthNumber(pub i64);

impl MonthNumber {
    pub(super) fn of(date: Date) -> Self {
        Self(i64::from(date.year()) * 12 + i64::from(u8::from(date.month())) - 1)
    }

    /// The first day; `None` outside the calendar.
    pub(super) fn first_day(self) -> Option<Date> {
        let month = u8::try_from(self.0.rem_euclid(12) + 1).ok()?;
        Date::from_calendar_date(i32::try_from(self.0.div_euclid(12)).ok()?, month.try_into().ok()?, 1).ok()
    }
}

/// A month in a time zone.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Month {
    pub number: MonthNumber,
    /// Inclusive.
    pub start: UnixSeconds,
    /// Exclusive.
    pub end: UnixSeconds,
}

/// The months from one time to the other.
pub(super) fn months(zone: &Zone, first: UnixSeconds, last: UnixSeconds) -> Vec<Month> {
    let date = zone.date(first);
    let mut first_day = date.replace_day(1).unwrap_or(date);
    let mut start = zone.start_of(first_day).min(first);
    let mut months = Vec::new();
    while start <= last {
        let next = next_month(first_day);
        // There is no month after the last one of the calendar.
        let end = next.map_or(UnixSeconds::new(i64::MAX), |next| zone.start_of(next));
        months.push(Month { number: MonthNumber::of(first_day), start, end });
        let Some(next) = next else { break };
        (first_day, start) = (next, end);
    }
    months
}

/// What an order adds to the totals of its owner.
#[derive(Clone, Copy, Debug)]
pub(super) struct OrderAmounts {
    pub placed_at: UnixSeconds,
    pub status: OrderStatus,
    pub total: Money,
    pub refunded: Money,
}

impl OrderAmounts {
    /// The total without cancelled orders, orders whose payment never came, and refunds; in minor units.
    fn spent(&self) -> i64 {
        match self.status {
            OrderStatus::Cancelled | OrderStatus::PaymentVoided | OrderStatus::Expired => 0,
            _ => self.total.minor().saturating_sub(self.refunded.minor()),
        }
    }
}

/// The changes of orders in one transaction.
#[derive(Debug, Default)]
pub(super) struct Changes {
    /// Every customer whose orders changed, even if the totals stay the same.
    users: BTreeSet<String>,
    amounts: Vec<(String, OrderAmounts, i64)>,
}

impl Changes {
    /// A change of what a customer sees of an order.
    pub(super) fn mark_changed(&mut self, user_id: &str) {
        self.users.insert(user_id.to_owned());
    }

    /// An order that the customer has from now on.
    pub(super) fn add(&mut self, user_id: &str, order: OrderAmounts) {
        self.mark_changed(user_id);
        self.amounts.push((user_id.to_owned(), order, 1));
    }

    /// An order that the customer no longer has in this form.
    pub(super) fn remove(&mut self, user_id: &str, order: OrderAmounts) {
        self.mark_changed(user_id);
        self.amounts.push((user_id.to_owned(), order, -1));
    }

    /// Writes the changes, as the last step of the transaction. The transaction must be serializable.
    pub(super) async fn record(self, transaction: &mut Transaction) -> Result<(), Error> {
        if self.users.is_empty() {
            return Ok(());
        }
        let users: Vec<&str> = self.users.iter().map(String::as_str).collect();
        let zones = store::find_zones(transaction, &users).await?;
        store::add_totals(transaction, &self.deltas(&zones)).await?;
        store::increment_versions(transaction, &users).await
    }

    fn deltas(&self, zones: &BTreeMap<String, Zone>) -> BTreeMap<store::Key, store::Totals> {
        let mut deltas: BTreeMap<store::Key, store::Totals> = BTreeMap::new();
        for (user_id, order, sign) in &self.amounts {
            let Some(zone) = zones.get(user_id) else { continue };
            let key = store::Key {
                user_id: user_id.clone(),
                month: MonthNumber::of(zone.date(order.placed_at)),
                currency: order.total.currency().code(),
                status: order.status.as_str(),
            };
            let totals = deltas.entry(key).or_default();
            totals.order_count += sign;
            totals.total = totals.total.saturating_add(sign * order.total.minor());
            totals.spent = totals.spent.saturating_add(sign * order.spent());
        }
        deltas.retain(|_, totals| *totals != store::Totals::default());
        deltas
    }
}

/// Computes the totals of a customer again, after many of their orders changed, and increments the version. When neither the
/// customer's zone nor one of earlier totals is known, they are stale until maintenance.
pub(super) async fn rebuild(transaction: &mut Transaction, user_id: &UserId) -> Result<(), Error> {
    match store::find_zone(transaction, user_id).await? {
        Some(zone) => rebuild_in(transaction, user_id, &zone).await,
        None => {
            store::mark_stale(transaction, user_id).await?;
            store::increment_versions(transaction, &[user_id]).await
        }
    }
}

/// The same for a customer whose totals were never computed, or not in this zone. `shop_zone` is used when the customer's own is unknown.
pub(super) async fn start(transaction: &mut Transaction, user_id: &UserId, shop_zone: &Zone) -> Result<(), Error> {
    let zone = store::find_user_zone(transaction, user_id).await?;
    rebuild_in(transaction, user_id, zone.as_ref().unwrap_or(shop_zone)).await
}

async fn rebuild_in(transaction: &mut Transaction, user_id: &UserId, zone: &Zone) -> Result<(), Error> {
    store::compute_totals(transaction, user_id, zone).await?;
    store::set_zone(transaction, user_id, zone).await
}

/// Maintenance: rebuilds the totals of customers without current ones, for example after a change of the time zone; returns how many. When
/// there are none, marks those that are in another zone than the shop's.
pub(super) async fn rebuild_stale(database: &Database, shop_zone: &Zone) -> Result<u64, Error> {
    let users = store::find_stale(database, REBUILD_BATCH).await?;
    if users.is_empty() {
        return store::mark_other_zones(database, shop_zone).await;
    }
    for user_id in &users {
        database.write(async |transaction| start(transaction, user_id, shop_zone).await).await?;
    }
    Ok(users.len() as u64)
}

#[cfg(test)]
mod tests {
    use time::macros::{date, datetime};

    use super::*;

    #[test]
    fn months_have_no_gap_or_overlap_across_clock_changes() {
        let zone = Zone::parse("Europe/Berlin").unwrap();
        let at = |time: time::OffsetDateTime| UnixSeconds::from(time);
        let all = months(&zone, at(datetime!(2023-01-31 23:30 UTC)), at(datetime!(2024-12-31 22:59 UTC)));
        assert_eq!(all.len(), 23);
        let first_days = [all[0], all[22]].map(|month| month.number.first_day().unwrap());
        assert_eq!(first_days, [date!(2023 - 02 - 01), date!(2024 - 12 - 01)]);
        assert!(all.windows(2).all(|pair| pair[0].end == pair[1].start));
        assert_eq!(all[2].start.to_string(), "2023-03-31T22:00:00Z");
    }

    #[test]
    fn months_reach_both_ends_of_the_calendar() {
        let (first, last) = (UnixSeconds::new(i64::MIN), UnixSeconds::new(i64::MAX));
        assert_eq!(months(&Zone::utc(), first, last).len(), 120_000);
        assert_eq!(months(&Zone::utc(), last, last).len(), 1);
        assert!(months(&Zone::utc(), last, first).is_empty());
    }

    #[test]
    fn month_number_and_first_day_are_inverse() {
        for first_day in [date!(0000 - 01 - 01), date!(1996 - 07 - 01), date!(9999 - 12 - 01)] {
            assert_eq!(MonthNumber::of(first_day).first_day(), Some(first_day));
        }
        assert_eq!(MonthNumber::of(date!(1996 - 07 - 31)), MonthNumber(1996 * 12 + 6));
    }
}
