//! Writes imported orders, a hundred with one set of statements.
//!
//! The cost of a statement must not grow with the tables, also on a PostgreSQL server that never analysed them. Without statistics it
//! assumes that `number IN ($1, …)` together with another column matches most of the table, and reads the whole table. Therefore a lookup
//! is one `SELECT` by the whole key for each value, joined by `UNION ALL`, and lines are overwritten instead of deleted by their order.

pub(super) mod lease;

use std::collections::HashMap;

use sqlx::any::AnyRow;
use sqlx::{AssertSqlSafe, FromRow};

use super::ImportSummary;
use super::export::{ImportedLine, ImportedOrder};
use crate::clock::Clock;
use crate::database::{Database, Engine, Error, Transaction, batches};
use crate::domain::UnixSeconds;
use crate::orders::monthly_totals::{Changes, OrderAmounts};
use crate::orders::samples::remove_samples;
use crate::orders::search::SearchText;
use crate::orders::store::counted;

/// Orders that one set of statements compares and writes.
pub(super) const CHUNK: usize = 100;

/// An order of the file before it is written.
pub(super) struct PendingOrder {
    order: ImportedOrder,
    content_hash: Vec<u8>,
    /// Bytes of the file up to the end of the order.
    pub bytes_read: u64,
}

impl PendingOrder {
    pub(super) fn new(order: ImportedOrder, bytes_read: u64) -> Self {
        Self { content_hash: order.content_hash(), order, bytes_read }
    }
}

/// A stored order of the same number.
#[derive(FromRow)]
struct ExistingOrder {
    number: String,
    id: String,
    user_id: Option<String>,
    email: Option<String>,
    content_hash: Vec<u8>,
    line_count: i64,
    placed_at: UnixSeconds,
    status: String,
    currency: String,
    total: i64,
    refunded: i64,
}

impl ExistingOrder {
    fn counted(&self) -> Result<OrderAmounts, Error> {
        counted((self.placed_at, &self.status, &self.currency, self.total, self.refunded))
    }
}

/// A new or changed order.
pub(super) struct Upsert<'a> {
    order: &'a PendingOrder,
    id: String,
    owner: Option<String>,
    /// Number of stored lines.
    existing_lines: i64,
    /// The owner until now, and what the stored order counts in the owner's totals.
    former: Option<(String, OrderAmounts)>,
}

/// Finds the new and the changed orders, and counts all. The owner of an order is the user with the verified email of the order; a known
/// owner stays while the email of the order does not change.
pub(super) async fn compare<'a>(
    database: &Database,
    transaction: &mut Transaction,
    clock: &Clock,
    orders: &'a [PendingOrder],
    summary: &mut ImportSummary,
) -> Result<Vec<Upsert<'a>>, Error> {
    let existing = find_existing(database, transaction, orders).await?;
    let owners = find_owners(database, transaction, orders).await?;
    let mut upserts = Vec::with_capacity(orders.len());
    for pending in orders {
        let order = &pending.order;
        summary.orders += 1;
        summary.lines += order.lines.len() as u64;
        let owner = order.email.as_ref().and_then(|email| owners.get(email)).cloned();
        match existing.get(&order.number) {
            Some(stored) if stored.content_hash == pending.content_hash => summary.unchanged += 1,
            Some(stored) => {
                summary.changed += 1;
                let kept = stored.user_id.clone().filter(|_| stored.email == order.email);
                let (id, owner) = (stored.id.clone(), kept.or(owner));
                let former = stored.user_id.clone().map(|user_id| Ok::<_, Error>((user_id, stored.counted()?)));
                let former = former.transpose()?;
                upserts.push(Upsert { order: pending, id, owner, existing_lines: stored.line_count, former });
            }
            None => {
                summary.new += 1;
                upserts.push(Upsert { order: pending, id: clock.new_id(), owner, existing_lines: 0, former: None });
            }
        }
    }
    Ok(upserts)
}

async fn find_existing(
    database: &Database,
    transaction: &mut Transaction,
    orders: &[PendingOrder],
) -> Result<HashMap<String, ExistingOrder>, Error> {
    let select =
        "SELECT number, id, user_id, email, content_hash, line_count, placed_at, status, currency, total, refunded
         FROM orders WHERE issued_by = 'shop' AND number = ";
    let numbers: Vec<&str> = orders.iter().map(|pending| pending.order.number.as_str()).collect();
    let rows: Vec<ExistingOrder> = select_each(database, transaction, select, &numbers).await?;
    Ok(rows.into_iter().map(|row| (row.number.clone(), row)).collect())
}

/// The users with a verified email of these orders, by email.
async fn find_owners(
    database: &Database,
    transaction: &mut Transaction,
    orders: &[PendingOrder],
) -> Result<HashMap<String, String>, Error> {
    let emails = distinct(orders.iter().filter_map(|pending| pending.order.email.as_deref()));
    let select = "SELECT email, id FROM users WHERE verified_at IS NOT NULL AND email = ";
    Ok(select_each(database, transaction, select, &emails).await?.into_iter().collect())
}

/// Writes the result of [`compare`], in the same transaction.
pub(super) async fn write(
    database: &Database,
    transaction: &mut Transaction,
    upserts: &[Upsert<'_>],
    changes: &mut Changes,
) -> Result<(), Error> {
    for batch in batches(upserts) {
        write_orders(database, transaction, batch).await?;
    }
    write_lines(database, transaction, upserts).await?;
    delete_surplus_lines(database, transaction, upserts).await?;
    delete_samples(database, transaction, upserts, changes).await?;
    for Upsert { order, owner, former, .. } in upserts {
        if let Some((user_id, counted)) = former {
            changes.remove(user_id, *counted);
        }
        if let Some(user_id) = owner {
            changes.add(user_id, order.order.counted());
        }
    }
    Ok(())
}

async fn write_orders(database: &Database, transaction: &mut Transaction, upserts: &[Upsert<'_>]) -> Result<(), Error> {
    let columns = [
        "number",
        "user_id",
        "email",
        "placed_at",
        "paid_at",
        "fulfilled_at",
        "cancelled_at",
        "payment_status",
        "fulfillment_status",
        "currency",
        "subtotal",
        "shipping",
        "taxes",
        "discount",
        "refunded",
        "total",
        "line_count",
        "ship_name",
        "ship_company",
        "ship_address1",
        "ship_address2",
        "ship_zip",
        "ship_city",
        "ship_province",
        "ship_country",
        "ship_phone",
        "content_hash",
        "status",
        "search_prefix",
        "search_text",
    ];
    let updates: Vec<String> = columns[1..].iter().map(|column| format!("{column} = excluded.{column}")).collect();
    let sql = format!(
        "INSERT INTO orders (id, issued_by, {}) VALUES {} ON CONFLICT (issued_by, number) DO UPDATE SET {}",
        columns.join(", "),
        tuples(database, upserts.len(), columns.len() + 2),
        updates.join(", ")
    );
    let mut query = sqlx::query(AssertSqlSafe(sql));
    for Upsert { order, id, owner, .. } in upserts {
        let PendingOrder { order, content_hash, .. } = order;
        let lines = i64::try_from(order.lines.len()).unwrap_or(i64::MAX);
        let address = &order.address;
        query = query.bind(id).bind("shop").bind(&order.number).bind(owner).bind(&order.email);
        query = query.bind(order.placed_at).bind(order.paid_at).bind(order.fulfilled_at).bind(order.cancelled_at);
        query = query.bind(&order.payment_status).bind(&order.fulfillment_status).bind(order.currency.code());
        query = query.bind(order.subtotal).bind(order.shipping).bind(order.taxes).bind(order.discount);
        query = query.bind(order.refunded).bind(order.total).bind(lines);
        query = query.bind(&address.name).bind(&address.company).bind(&address.address1).bind(&address.address2);
        query = query.bind(&address.zip).bind(&address.city).bind(&address.province).bind(&address.country);
        query = query.bind(&address.phone);
        let status = order.status();
        let lines = order.lines.iter().map(|line| (line.sku.as_str(), line.name.as_str()));
        let text = SearchText::new(&order.number, lines);
        query = query.bind(content_hash).bind(status.as_str()).bind(text.prefix).bind(text.full);
    }
    query.execute(&mut *transaction).await.map(drop)
}

async fn write_lines(database: &Database, transaction: &mut Transaction, upserts: &[Upsert<'_>]) -> Result<(), Error> {
    let lines: Vec<(&str, i64, &ImportedLine)> = upserts
        .iter()
        .flat_map(|upsert| (1..).zip(&upsert.order.order.lines).map(|(at, line)| (upsert.id.as_str(), at, line)))
        .collect();
    for batch in batches(&lines) {
        let sql = format!(
            "INSERT INTO order_lines (order_id, position, sku, name, quantity, unit_price, discount) VALUES {}
             ON CONFLICT (order_id, position) DO UPDATE SET sku = excluded.sku, name = excluded.name,
                 quantity = excluded.quantity, unit_price = excluded.unit_price, discount = excluded.discount",
            tuples(database, batch.len(), 7)
        );
        let mut query = sqlx::query(AssertSqlSafe(sql));
        for (id, position, line) in batch {
            query = query.bind(*id).bind(*position).bind(&line.sku).bind(&line.name).bind(line.quantity);
            query = query.bind(line.unit_price).bind(line.discount);
        }
        query.execute(&mut *transaction).await?;
    }
    Ok(())
}

/// Deletes the lines of orders that have fewer lines than before.
async fn delete_surplus_lines(
    database: &Database,
    transaction: &mut Transaction,
    upserts: &[Upsert<'_>],
) -> Result<(), Error> {
    let mut surplus = Vec::new();
    for upsert in upserts {
        let lines = i64::try_from(upsert.order.order.lines.len()).unwrap_or(i64::MAX);
        surplus.extend((lines..upsert.existing_lines).map(|index| (upsert.id.as_str(), index + 1)));
    }
    for batch in batches(&surplus) {
        let keys = (0..batch.len()).map(|index| {
            let [order_id, position] = [1, 2].map(|column| database.placeholder(2 * index + column));
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

/// Deletes the samples of users who have real orders now.
async fn delete_samples(
    database: &Database,
    transaction: &mut Transaction,
    upserts: &[Upsert<'_>],
    changes: &mut Changes,
) -> Result<(), Error> {
    let owners = distinct(upserts.iter().filter_map(|upsert| upsert.owner.as_deref()));
    let select = "SELECT issued_by FROM orders WHERE issued_by = ";
    let with_samples: Vec<(String,)> = select_each(database, transaction, select, &owners).await?;
    for owner in distinct(with_samples.iter().map(|(owner,)| owner.as_str())) {
        remove_samples(transaction, owner, changes).await?;
    }
    Ok(())
}

/// Vacuums and analyses after a large import on PostgreSQL: with the statistics from before it, the planner may read the orders of the
/// whole shop for one customer's page.
pub(super) async fn vacuum(database: &Database) -> Result<(), Error> {
    if database.engine() == Engine::Postgres {
        database.execute_outside_transaction("VACUUM (ANALYZE) orders, order_lines").await?;
    }
    Ok(())
}

/// Runs `select`, which ends with `column = `, for each value. To the planner each is a separate query.
async fn select_each<T>(
    database: &Database,
    transaction: &mut Transaction,
    select: &str,
    values: &[&str],
) -> Result<Vec<T>, Error>
where
    T: for<'r> FromRow<'r, AnyRow> + Send + Unpin,
{
    let mut rows = Vec::new();
    for batch in batches(values) {
        let selects = (1..=batch.len()).map(|number| format!("{select}{}", database.placeholder(number)));
        let sql = selects.collect::<Vec<_>>().join(" UNION ALL ");
        let mut query = sqlx::query_as(AssertSqlSafe(sql));
        for value in batch {
            query = query.bind(*value);
        }
        rows.extend(query.fetch_all(&mut *transaction).await?);
    }
    Ok(rows)
}

fn distinct<'a>(values: impl Iterator<Item = &'a str>) -> Vec<&'a str> {
    let mut values: Vec<&str> = values.collect();
    values.sort_unstable();
    values.dedup();
    values
}

/// Placeholders for that many rows: `($1, $2), ($3, $4)`.
fn tuples(database: &Database, rows: usize, columns: usize) -> String {
    let mut text = String::with_capacity(rows * columns * 6);
    for row in 0..rows {
        text.push_str(if row == 0 { "(" } else { ", (" });
        for column in 0..columns {
            text.push_str(if column == 0 { "" } else { ", " });
            text.push_str(&database.placeholder(1 + row * columns + column));
        }
        text.push(')');
    }
    text
}
