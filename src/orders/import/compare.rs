//! Compares imported orders with stored ones: which are new, which change and how.

use std::borrow::Cow;
use std::collections::HashMap;

use super::identity::{Identity, identify};
use super::imported::ImportedOrder;
use super::merge::{differences, merge_lines, merge_values};
use super::report::{ImportSummary, OrderChange};
use super::store::lookup::{ExistingOrder, TakenNumbers, find_owners};
use super::store::stored::{StoredOrder, find_stored};
use super::store::write::{Source, Upsert};
use crate::clock::Clock;
use crate::database::{Error, Transaction};

/// An order of the file before it is written.
pub(super) struct PendingOrder {
    pub order: ImportedOrder,
    content_hash: Vec<u8>,
    /// Bytes of the files up to the end of the order.
    pub bytes_read: u64,
}

impl PendingOrder {
    pub(super) fn new(order: ImportedOrder, bytes_read: u64) -> Self {
        Self { content_hash: order.content_hash(), order, bytes_read }
    }
}

/// Where orders are compared, and for which shop.
pub(super) struct Comparison<'a> {
    pub clock: &'a Clock,
    pub shop: &'a str,
}

/// What a chunk of orders changes.
#[derive(Default)]
pub(super) struct Changes<'a> {
    pub upserts: Vec<Upsert<'a>>,
    pub changes: Vec<OrderChange>,
}

impl Comparison<'_> {
    /// Finds the new and the changed orders, and counts all. The owner of an order is the user with the verified email of the order; a
    /// known owner stays while the email of the order does not change.
    pub(super) async fn compare<'o>(
        &'o self,
        transaction: &mut Transaction,
        orders: &'o [PendingOrder],
        summary: &mut ImportSummary,
    ) -> Result<Changes<'o>, Error> {
        let imported: Vec<&ImportedOrder> = orders.iter().map(|pending| &pending.order).collect();
        let identities = identify(transaction, self.shop, &imported).await?;
        let mut stored = self.find_changed(transaction, orders, &identities).await?;
        let mut changes = Changes::default();
        for (pending, identity) in orders.iter().zip(identities) {
            if matches!(identity, Identity::Conflict(_)) {
                summary.skipped += 1;
                continue;
            }
            summary.orders += 1;
            summary.lines += pending.order.lines.len() as u64;
            match identity {
                Identity::Existing(existing) if existing.content_hash == pending.content_hash => {
                    summary.unchanged += 1;
                    summary.ownerless += u64::from(existing.user_id.is_none());
                }
                Identity::Existing(existing) => {
                    let stored = stored.remove(&existing.id);
                    changes.add_existing(self, pending, existing, stored, summary)?;
                }
                Identity::New | Identity::Conflict(_) => {
                    summary.new += 1;
                    changes.upserts.push(self.new_order(pending));
                }
            }
        }
        self.assign_owners(transaction, &mut changes.upserts, summary).await?;
        Ok(changes)
    }

    /// The stored values of orders whose content is another one.
    async fn find_changed(
        &self,
        transaction: &mut Transaction,
        orders: &[PendingOrder],
        identities: &[Identity],
    ) -> Result<HashMap<String, StoredOrder>, Error> {
        let changed = orders.iter().zip(identities).filter_map(|(pending, identity)| match identity {
            Identity::Existing(existing) if existing.content_hash != pending.content_hash => Some(existing.id.as_str()),
            _ => None,
        });
        let ids: Vec<&str> = changed.collect();
        if ids.is_empty() { Ok(HashMap::new()) } else { find_stored(transaction, &ids).await }
    }

    fn new_order<'o>(&'o self, pending: &'o PendingOrder) -> Upsert<'o> {
        let order = &pending.order;
        Upsert {
            id: self.clock.new_id(),
            source: Source::Shop(self.shop),
            external_id: Cow::Borrowed(&order.external_id),
            name: &order.name,
            number: String::new(),
            owner: None,
            values: Cow::Borrowed(&order.values),
            lines: Cow::Borrowed(&order.lines),
            content_hash: &pending.content_hash,
            existing_lines: 0,
            former: None,
        }
    }

    /// Sets the owners that follow from emails, and the numbers that new orders of users get.
    async fn assign_owners(
        &self,
        transaction: &mut Transaction,
        upserts: &mut [Upsert<'_>],
        summary: &mut ImportSummary,
    ) -> Result<(), Error> {
        let without = upserts.iter().filter(|upsert| upsert.owner.is_none());
        let emails = without.filter_map(|upsert| upsert.values.email.as_deref());
        let owners = find_owners(transaction, emails).await?;
        let mut needed = Vec::new();
        for (index, upsert) in upserts.iter_mut().enumerate() {
            // An order that keeps its owner keeps its number.
            if upsert.owner.is_none() {
                upsert.owner = upsert.values.email.as_ref().and_then(|email| owners.get(email)).cloned();
                summary.ownerless += u64::from(upsert.owner.is_none());
                needed.push(index);
            }
        }
        let wanted = needed.iter().filter_map(|index| {
            let upsert = &upserts[*index];
            Some((upsert.owner.as_deref()?, upsert.name.without_hash()))
        });
        let mut taken = TakenNumbers::find(transaction, wanted).await?;
        for index in needed {
            let upsert = &mut upserts[index];
            let number = upsert.name.number();
            upsert.number = match &upsert.owner {
                Some(owner) => taken.take(transaction, owner, &number).await?,
                None => number.as_str().to_owned(),
            };
        }
        Ok(())
    }
}

impl<'o> Changes<'o> {
    fn add_existing(
        &mut self,
        comparison: &'o Comparison<'_>,
        pending: &'o PendingOrder,
        existing: ExistingOrder,
        stored: Option<StoredOrder>,
        summary: &mut ImportSummary,
    ) -> Result<(), Error> {
        let order = &pending.order;
        let mut upsert = comparison.new_order(pending);
        upsert.former = existing.owner_and_counted()?;
        let mut texts = Vec::new();
        if let Some(stored) = stored {
            let values = merge_values(stored.values.clone(), order.columns, &order.values);
            let lines = merge_lines(&stored.lines, order.columns, &order.lines);
            texts = differences((&stored.values, &stored.lines), (&values, &lines));
            (upsert.values, upsert.lines) = (Cow::Owned(values), Cow::Owned(lines));
        }
        if texts.is_empty() {
            summary.unchanged += 1;
        } else {
            summary.changed += 1;
            self.changes.push(OrderChange { name: order.name.as_str().to_owned(), differences: texts });
        }
        if order.external_id.is_empty() {
            upsert.external_id = Cow::Owned(existing.external_id);
        }
        upsert.owner = existing.user_id.filter(|_| existing.email == upsert.values.email);
        (upsert.id, upsert.number, upsert.existing_lines) = (existing.id, existing.number, existing.line_count);
        self.upserts.push(upsert);
        Ok(())
    }
}
