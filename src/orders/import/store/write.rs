//! Writes orders and their lines: those of an import, and samples.

use std::borrow::Cow;

use sqlx::AssertSqlSafe;

use super::stored::stored_column;
use super::{distinct, select_each, tuples};
use crate::database::{Database, Engine, Error, Transaction, batches};
use crate::domain::{Money, UnixSeconds};
use crate::orders::import::fields::{FIELDS, Value};
use crate::orders::import::imported::{LineValues, OrderValues};
use crate::orders::monthly_totals::{Changes, OrderAmounts};
use crate::orders::order::OrderName;
use crate::orders::search::SearchText;
use crate::orders::status::{FulfillmentStatus, OrderStatus};
use crate::orders::store::{REQUEST_COLUMNS, remove_samples};
use crate::orders::summary::Summary;

/// Where an order comes from.
#[derive(Clone, Copy)]
pub(in crate::orders) enum Source<'a> {
    /// The shop of that name; the only one has none.
    Shop(&'a str),
    Sample {
        owner: &'a str,
    },
}

/// A new or changed order.
pub(in crate::orders) struct Upsert<'a> {
    pub id: String,
    pub source: Source<'a>,
    pub external_id: Cow<'a, str>,
    pub name: &'a OrderName,
    /// In addresses.
    pub number: String,
    pub owner: Option<String>,
    pub values: Cow<'a, OrderValues>,
    pub lines: Cow<'a, [LineValues]>,
    pub content_hash: &'a [u8],
    /// Number of stored lines.
    pub existing_lines: i64,
    /// The owner until now, and what the stored order counts in the owner's totals.
    pub former: Option<(String, OrderAmounts)>,
}

impl Upsert<'_> {
    pub(super) fn status(&self) -> OrderStatus {
        let values = &self.values;
        OrderStatus::derive(values.payment_status, values.fulfillment_status, values.cancelled_at.is_some())
    }

    fn counted(&self) -> OrderAmounts {
        let money = |minor| Money::new(minor, self.values.currency);
        OrderAmounts {
            placed_at: UnixSeconds::new(self.values.placed_at),
            status: self.status(),
            total: money(self.values.total),
            refunded: money(self.values.refunded),
        }
    }
}

/// Columns that are not fields of an export.
const COLUMNS: [&str; 16] = [
    "id",
    "source",
    "sample_owner_id",
    "shop",
    "external_id",
    "shop_number",
    "name",
    "number",
    "user_id",
    "line_count",
    "piece_count",
    "summary",
    "content_hash",
    "status",
    "search_prefix",
    "search_text",
];
/// Of [`COLUMNS`], those that never change.
const CONSTANT_COLUMNS: usize = 4;

/// Inserts or overwrites orders with their lines, and adds what changes in the totals of their owners.
pub(in crate::orders) async fn write(
    transaction: &mut Transaction,
    upserts: &[Upsert<'_>],
    changes: &mut Changes,
) -> Result<(), Error> {
    delete_samples(transaction, upserts, changes).await?;
    for upsert in upserts {
        if let Some((user_id, counted)) = &upsert.former {
            changes.remove(user_id, *counted);
        }
        if let Some(user_id) = &upsert.owner {
            changes.add(user_id, upsert.counted());
        }
    }
    for batch in batches(upserts) {
        write_orders(transaction, batch).await?;
    }
    write_lines(transaction, upserts).await?;
    delete_surplus_lines(transaction, upserts).await?;
    record_deliveries(transaction, upserts).await
}

async fn write_orders(transaction: &mut Transaction, upserts: &[Upsert<'_>]) -> Result<(), Error> {
    let fields = FIELDS.iter().filter_map(|field| stored_column(field.storage));
    let columns: Vec<&str> = COLUMNS.into_iter().chain(["details"]).chain(fields).collect();
    let updates = columns[CONSTANT_COLUMNS..].iter().map(|column| format!("{column} = excluded.{column}"));
    let of_owner = REQUEST_COLUMNS.map(|column| {
        format!(
            "{column} = CASE WHEN orders.user_id IS NULL OR orders.user_id = excluded.user_id THEN orders.{column} END"
        )
    });
    let updates: Vec<String> = updates.chain(of_owner).collect();
    let sql = format!(
        "INSERT INTO orders ({}) VALUES {} ON CONFLICT (id) DO UPDATE SET {}",
        columns.join(", "),
        tuples(transaction.engine(), upserts.len(), columns.len()),
        updates.join(", ")
    );
    let mut query = sqlx::query(AssertSqlSafe(sql));
    for upsert in upserts {
        let (source, sample_owner, shop) = match upsert.source {
            Source::Shop(shop) => ("shop", None, shop),
            Source::Sample { owner } => ("sample", Some(owner), ""),
        };
        let values: &OrderValues = &upsert.values;
        let lines = i64::try_from(upsert.lines.len()).unwrap_or(i64::MAX);
        let texts = upsert.lines.iter().map(|line| (line.sku.as_str(), line.name.as_str()));
        let text = SearchText::new(upsert.name.without_hash(), texts);
        let summary = Summary::new(upsert.lines.iter().map(|line| (line.name.as_str(), line.quantity)));
        let details = serde_json::to_string(&values.details).map_err(|error| Error::Encode(error.into()))?;
        query = query.bind(&upsert.id).bind(source).bind(sample_owner).bind(shop).bind(upsert.external_id.as_ref());
        query = query.bind(upsert.name.without_hash()).bind(upsert.name.as_str()).bind(&upsert.number);
        query = query.bind(&upsert.owner).bind(lines).bind(summary.piece_count).bind(summary.text);
        query = query.bind(upsert.content_hash).bind(upsert.status().as_str());
        query = query.bind(text.prefix).bind(text.full).bind(details);
        for field in FIELDS.iter().filter(|field| stored_column(field.storage).is_some()) {
            query = match &field.value {
                Value::Email(lens) => query.bind((lens.get)(values).as_deref()),
                Value::Time(lens) | Value::Money(lens) => query.bind(*(lens.get)(values)),
                Value::OptionalTime(lens) | Value::OptionalMoney(lens) => query.bind(*(lens.get)(values)),
                Value::Payment(lens) => query.bind((lens.get)(values).as_str()),
                Value::Fulfillment(lens) => query.bind((lens.get)(values).as_str()),
                Value::Currency(lens) => query.bind((lens.get)(values).code()),
                Value::Text(lens) | Value::Code(lens) | Value::Url(lens) => query.bind((lens.get)(values).as_str()),
                // Always a part of the details.
                Value::Taxes(_) => query,
            };
        }
    }
    query.execute(&mut *transaction).await.map(drop)
}

async fn write_lines(transaction: &mut Transaction, upserts: &[Upsert<'_>]) -> Result<(), Error> {
    let lines: Vec<(&str, i64, &LineValues)> = upserts
        .iter()
        .flat_map(|upsert| (1..).zip(upsert.lines.iter()).map(|(at, line)| (upsert.id.as_str(), at, line)))
        .collect();
    for batch in batches(&lines) {
        let sql = format!(
            "INSERT INTO order_lines (order_id, position, sku, name, quantity, unit_price, discount, fulfillment_status)
             VALUES {}
             ON CONFLICT (order_id, position) DO UPDATE SET sku = excluded.sku, name = excluded.name,
                 quantity = excluded.quantity, unit_price = excluded.unit_price, discount = excluded.discount,
                 fulfillment_status = excluded.fulfillment_status",
            tuples(transaction.engine(), batch.len(), 8)
        );
        let mut query = sqlx::query(AssertSqlSafe(sql));
        for (id, position, line) in batch {
            query = query.bind(*id).bind(*position).bind(&line.sku).bind(&line.name).bind(line.quantity);
            query = query.bind(line.unit_price).bind(line.discount).bind(&line.fulfillment_status);
        }
        query.execute(&mut *transaction).await?;
    }
    Ok(())
}

/// Deletes the lines of orders that have fewer lines than before.
async fn delete_surplus_lines(transaction: &mut Transaction, upserts: &[Upsert<'_>]) -> Result<(), Error> {
    let engine = transaction.engine();
    let mut surplus = Vec::new();
    for upsert in upserts {
        let lines = i64::try_from(upsert.lines.len()).unwrap_or(i64::MAX);
        surplus.extend((lines..upsert.existing_lines).map(|index| (upsert.id.as_str(), index + 1)));
    }
    for batch in batches(&surplus) {
        let keys = (0..batch.len()).map(|index| {
            let [order_id, position] = [1, 2].map(|column| engine.placeholder(2 * index + column));
            format!("(order_id = {order_id} AND position = {position})")
        });
        let sql = format!("DELETE FROM order_lines WHERE {}", keys.collect::<Vec<_>>().join(" OR "));
        let mut query = sqlx::query(AssertSqlSafe(sql));
        for (order_id, position) in batch {
            query = query.bind(*order_id).bind(*position);
        }
        query.execute(&mut *transaction).await?;
    }
    Ok(())
}

/// Stores that the shop's exports report deliveries, once they do.
async fn record_deliveries(transaction: &mut Transaction, upserts: &[Upsert<'_>]) -> Result<(), Error> {
    let delivered = upserts.iter().find_map(|upsert| match upsert.source {
        Source::Shop(shop) if upsert.values.fulfillment_status == FulfillmentStatus::Delivered => Some(shop),
        _ => None,
    });
    let Some(shop) = delivered else { return Ok(()) };
    sqlx::query("INSERT INTO counters (name, value) VALUES ($1, 1) ON CONFLICT (name) DO NOTHING")
        .bind(format!("deliveries:{shop}"))
        .execute(&mut *transaction)
        .await
        .map(drop)
}

/// Deletes the samples of users who get orders of the shop.
async fn delete_samples(
    transaction: &mut Transaction,
    upserts: &[Upsert<'_>],
    changes: &mut Changes,
) -> Result<(), Error> {
    let of_shop = upserts.iter().filter(|upsert| matches!(upsert.source, Source::Shop(_)));
    let owners = distinct(of_shop.filter_map(|upsert| Some([upsert.owner.as_deref()?])));
    let select = "SELECT sample_owner_id FROM orders WHERE sample_owner_id = {}";
    let with_samples: Vec<(String,)> = select_each(transaction, select, &owners).await?;
    for [owner] in distinct(with_samples.iter().map(|(owner,)| [owner.as_str()])) {
        remove_samples(transaction, owner, changes).await?;
    }
    Ok(())
}

/// Vacuums and analyses after a large import on PostgreSQL: with the statistics from before it, the planner may read the orders of the
/// whole shop for one customer's page.
pub(in crate::orders::import) async fn vacuum(database: &Database) -> Result<(), Error> {
    if database.engine() == Engine::Postgres {
        database.execute_outside_transaction("VACUUM (ANALYZE) orders, order_lines").await?;
    }
    Ok(())
}
