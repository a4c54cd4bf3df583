//! Which stored order an imported one is.
//!
//! An order is the same if its shop, its number and its `Id` are. Without an `Id` on one side, equal numbers are the same order unless
//! placed time, customer and lines all differ: a second shop counts from #1001 too.

use std::collections::{HashMap, HashSet};

use super::imported::{ImportedOrder, LineValues};
use super::quote::quote;
use super::rows::canonical_id;
use super::store::lookup::{ExistingOrder, find_existing};
use super::store::stored::find_lines;
use crate::database::{Error, Transaction};
use crate::domain::UnixSeconds;

pub(super) enum Identity {
    New,
    Existing(ExistingOrder),
    /// Another order has the number, and no `Id` tells the two apart.
    Conflict(ExistingOrder),
}

impl ImportedOrder {
    /// Whether placed time, customer and lines all differ: then equal numbers do not make it the same order.
    pub(super) fn differs_in_all_from(&self, other: &Self) -> bool {
        self.differs_in_time_and_customer(other.values.placed_at, other.values.email.as_deref())
            && self.differs_in_lines(&other.lines)
    }

    fn differs_in_time_and_customer(&self, placed_at: i64, email: Option<&str>) -> bool {
        let is_same_customer = email.is_some() && self.values.email.as_deref() == email;
        self.values.placed_at != placed_at && !is_same_customer
    }

    fn differs_in_lines(&self, others: &[LineValues]) -> bool {
        let key = |line: &LineValues| (line.name.clone(), line.quantity, line.unit_price);
        !self.lines.iter().map(key).eq(others.iter().map(key))
    }

    /// Why the order is invalid when another one of its number was placed then by that customer.
    pub(super) fn conflict_with(&self, placed_at: i64, email: Option<&str>) -> String {
        let words = |placed_at: i64, email: Option<&str>| {
            let customer = email.map_or_else(|| "without email address".to_owned(), |email| format!("of {email}"));
            format!("{customer}, placed {}", UnixSeconds::new(placed_at))
        };
        format!(
            "{} ({}) would replace another order of this number ({}); export with the column Id, or name the shop with --shop",
            quote(self.name.as_str()),
            words(self.values.placed_at, self.values.email.as_deref()),
            words(placed_at, email),
        )
    }
}

/// Finds the stored order of each.
pub(super) async fn identify(
    transaction: &mut Transaction,
    shop: &str,
    orders: &[&ImportedOrder],
) -> Result<Vec<Identity>, Error> {
    let numbers = orders.iter().map(|order| order.name.without_hash());
    let existing = find_existing(transaction, shop, numbers).await?;
    let lines = lines_of_doubtful(transaction, orders, &existing).await?;
    // Two orders of one number, each with an Id, must not both take the stored one without Id.
    let mut taken = HashSet::new();
    let identify_one = |order: &&ImportedOrder| {
        let stored = existing.get(order.name.without_hash()).map(Vec::as_slice).unwrap_or_default();
        let candidates: Vec<&ExistingOrder> = stored.iter().filter(|stored| !taken.contains(&stored.id)).collect();
        let identity = match_candidates(order, &candidates, &lines);
        if let Identity::Existing(stored) = &identity {
            taken.insert(stored.id.clone());
        }
        identity
    };
    Ok(orders.iter().map(identify_one).collect())
}

fn match_candidates(
    order: &ImportedOrder,
    candidates: &[&ExistingOrder],
    lines: &HashMap<String, Vec<LineValues>>,
) -> Identity {
    let differs_in_all = |stored: &ExistingOrder| {
        order.differs_in_time_and_customer(stored.placed_at, stored.email.as_deref())
            && order.differs_in_lines(lines.get(&stored.id).map(Vec::as_slice).unwrap_or_default())
    };
    if !order.external_id.is_empty() {
        // Earlier versions stored ids as the file had them.
        let with_id = candidates.iter().find(|stored| canonical_id(&stored.external_id) == order.external_id);
        let without_id = candidates.iter().find(|stored| stored.external_id.is_empty() && !differs_in_all(stored));
        return with_id.or(without_id).map_or(Identity::New, |stored| Identity::Existing((*stored).clone()));
    }
    let mut same = candidates.iter().filter(|stored| !differs_in_all(stored));
    match (same.next(), same.next(), candidates.first()) {
        (Some(only), None, _) => Identity::Existing((*only).clone()),
        (Some(_), Some(_), _) => of_equal_ones(order, candidates),
        (None, _, Some(other)) => Identity::Conflict((*other).clone()),
        (None, ..) => Identity::New,
    }
}

/// Of several stored orders of the number, the one that was placed at the same time.
fn of_equal_ones(order: &ImportedOrder, candidates: &[&ExistingOrder]) -> Identity {
    let mut same_time = candidates.iter().filter(|stored| stored.placed_at == order.values.placed_at);
    match (same_time.next(), same_time.next()) {
        (Some(only), None) => Identity::Existing((*only).clone()),
        _ => Identity::Conflict(candidates[0].clone()),
    }
}

/// The lines of stored orders that differ in placed time and customer.
async fn lines_of_doubtful(
    transaction: &mut Transaction,
    orders: &[&ImportedOrder],
    existing: &HashMap<String, Vec<ExistingOrder>>,
) -> Result<HashMap<String, Vec<LineValues>>, Error> {
    let mut ids: Vec<[&str; 1]> = Vec::new();
    for order in orders {
        for stored in existing.get(order.name.without_hash()).into_iter().flatten() {
            let is_known = !order.external_id.is_empty() && !stored.external_id.is_empty();
            if !is_known && order.differs_in_time_and_customer(stored.placed_at, stored.email.as_deref()) {
                ids.push([&stored.id]);
            }
        }
    }
    if ids.is_empty() { Ok(HashMap::new()) } else { find_lines(transaction, &ids).await }
}
