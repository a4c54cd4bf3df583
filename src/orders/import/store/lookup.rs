//! Stored orders with the numbers of imported ones, and the users that own them.

use std::collections::{HashMap, HashSet};

use super::{distinct, select_each};
use crate::database::{Database, Error, Transaction};
use crate::domain::UnixSeconds;
use crate::orders::monthly_totals::OrderAmounts;
use crate::orders::order::OrderNumber;
use crate::orders::store::counted;

/// A stored order that may be the one of the file.
#[derive(Clone, Debug, sqlx::FromRow)]
pub(in crate::orders::import) struct ExistingOrder {
    pub id: String,
    pub shop_number: String,
    pub external_id: String,
    pub number: String,
    pub user_id: Option<String>,
    pub email: Option<String>,
    pub placed_at: i64,
    pub content_hash: Vec<u8>,
    pub line_count: i64,
    pub status: String,
    pub currency: String,
    pub total: i64,
    pub refunded: i64,
}

impl ExistingOrder {
    /// The owner, and what the order counts in the owner's totals.
    pub(in crate::orders::import) fn owner_and_counted(&self) -> Result<Option<(String, OrderAmounts)>, Error> {
        let Some(user_id) = self.user_id.clone() else { return Ok(None) };
        let placed_at = UnixSeconds::new(self.placed_at);
        let counted = counted((placed_at, &self.status, &self.currency, self.total, self.refunded))?;
        Ok(Some((user_id, counted)))
    }
}

/// Whether any order was imported yet.
pub(in crate::orders::import) async fn has_orders(database: &Database) -> Result<bool, Error> {
    let order: Option<(String,)> =
        sqlx::query_as("SELECT id FROM orders WHERE source = 'shop' LIMIT 1").fetch_optional(database.reader()).await?;
    Ok(order.is_some())
}

/// The orders of a shop with these numbers, by number.
pub(in crate::orders::import) async fn find_existing(
    transaction: &mut Transaction,
    shop: &str,
    numbers: impl Iterator<Item = &str>,
) -> Result<HashMap<String, Vec<ExistingOrder>>, Error> {
    let select =
        "SELECT id, shop_number, external_id, number, user_id, email, placed_at, content_hash, line_count, status,
                      currency, total, refunded
                  FROM orders WHERE source = 'shop' AND shop_number = {} AND shop = {}";
    let keys = distinct(numbers.map(|number| [number, shop]));
    let rows: Vec<ExistingOrder> = select_each(transaction, select, &keys).await?;
    let mut existing: HashMap<String, Vec<ExistingOrder>> = HashMap::with_capacity(rows.len());
    for row in rows {
        existing.entry(row.shop_number.clone()).or_default().push(row);
    }
    existing.values_mut().for_each(|orders| orders.sort_by(|one, other| one.id.cmp(&other.id)));
    Ok(existing)
}

/// The users with these verified emails, by email.
pub(in crate::orders::import) async fn find_owners(
    transaction: &mut Transaction,
    emails: impl Iterator<Item = &str>,
) -> Result<HashMap<String, String>, Error> {
    let select = "SELECT email, id FROM users WHERE verified_at IS NOT NULL AND email = {}";
    let emails = distinct(emails.map(|email| [email]));
    let rows: Vec<(String, String)> = select_each(transaction, select, &emails).await?;
    Ok(rows.into_iter().collect())
}

/// The numbers that users have for their orders, as far as orders of the file need one of them.
pub(in crate::orders) struct TakenNumbers(HashSet<(String, String)>);

impl TakenNumbers {
    /// Looks up pairs of user and number.
    pub(in crate::orders) async fn find(
        transaction: &mut Transaction,
        wanted: impl Iterator<Item = (&str, &str)>,
    ) -> Result<Self, Error> {
        // Samples are deleted before the user gets an order.
        let select = "SELECT user_id, number FROM orders WHERE user_id = {} AND number = {} AND source = 'shop'";
        let keys = distinct(wanted.map(|(user_id, number)| [user_id, number]));
        let rows: Vec<(String, String)> = select_each(transaction, select, &keys).await?;
        Ok(Self(rows.into_iter().collect()))
    }

    /// Takes the number for an order of the user, or the first free one with a suffix.
    pub(in crate::orders) async fn take(
        &mut self,
        transaction: &mut Transaction,
        user_id: &str,
        wanted: &OrderNumber,
    ) -> Result<String, Error> {
        let mut number = wanted.clone();
        for n in 2.. {
            if self.0.insert((user_id.to_owned(), number.as_str().to_owned())) {
                break;
            }
            number = wanted.with_suffix(n);
            let Self(found) = Self::find(transaction, std::iter::once((user_id, number.as_str()))).await?;
            self.0.extend(found);
        }
        Ok(number.as_str().to_owned())
    }
}
