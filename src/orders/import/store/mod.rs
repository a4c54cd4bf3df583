//! Writing imported orders, a hundred with one set of statements.
//!
//! Each statement costs the same however many orders there are, also on a PostgreSQL that never analysed the tables: without statistics
//! it takes `number IN ($1, …)` beside another column for most of the table and reads all of it. So what is looked up is one `SELECT` by
//! a whole key for each value, joined by `UNION ALL`, and lines are overwritten rather than deleted by their order.

pub(super) mod lease;

use std::collections::HashMap;

use sqlx::any::AnyRow;
use sqlx::{AssertSqlSafe, FromRow};

use super::ImportSummary;
use super::export::{ImportedLine, ImportedOrder};
use crate::clock::Clock;
use crate::database::{Database, Engine, Error, Transaction};
use crate::orders::order::Status;
use crate::orders::search::searched;

/// Rows that go into one statement: the largest that fits, then the next. Each size is one statement, which a connection keeps prepared.
const ROWS_AT_ONCE: [usize; 4] = [CHUNK, 20, 5, 1];
/// Orders that are compared and written with one set of statements.
pub(super) const CHUNK: usize = 100;

/// An order of the file that is not written yet.
pub(super) struct PendingOrder {
    order: ImportedOrder,
    fingerprint: Vec<u8>,
    /// Bytes of the file up to its end.
    pub bytes_read: u64,
}

impl PendingOrder {
    pub(super) fn new(order: ImportedOrder, bytes_read: u64) -> Self {
        Self { fingerprint: order.fingerprint(), order, bytes_read }
    }
}

/// What is known of an order that was imported before.
struct ExistingOrder {
    id: String,
    user_id: Option<String>,
    email: Option<String>,
    fingerprint: Vec<u8>,
    line_count: i64,
}

/// An order that is to be written.
pub(super) struct Upsert<'a> {
    order: &'a PendingOrder,
    id: String,
    owner: Option<String>,
    /// Lines that the database has of it.
    existing_lines: i64,
}

/// The orders that are new, and those that the export says something else about than before; counts both. An order goes to the account
/// whose address was shown to be the order's, and stays with it while the order's address does.
pub(super) async fn compare<'a>(
    database: &Database,
    transaction: &mut Transaction,
    clock: &Clock,
    orders: &'a [PendingOrder],
    summary: &mut ImportSummary,
) -> Result<Vec<Upsert<'a>>, Error> {
    let existing = existing(database, transaction, orders).await?;
    let owners = owners(database, transaction, orders).await?;
    let mut upserts = Vec::with_capacity(orders.len());
    for pending in orders {
        let order = &pending.order;
        summary.orders += 1;
        summary.lines += order.lines.len() as u64;
        let owner = order.email.as_ref().and_then(|email| owners.get(email)).cloned();
        match existing.get(&order.number) {
            Some(known) if known.fingerprint == pending.fingerprint => summary.unchanged += 1,
            Some(known) => {
                summary.changed += 1;
                let kept = known.user_id.clone().filter(|_| known.email == order.email);
                let (id, owner) = (known.id.clone(), kept.or(owner));
                upserts.push(Upsert { order: pending, id, owner, existing_lines: known.line_count });
            }
            None => {
                summary.new += 1;
                upserts.push(Upsert { order: pending, id: clock.new_id(), owner, existing_lines: 0 });
            }
        }
    }
    Ok(upserts)
}

async fn existing(
    database: &Database,
    transaction: &mut Transaction,
    orders: &[PendingOrder],
) -> Result<HashMap<String, ExistingOrder>, Error> {
    let select =
        "SELECT number, id, user_id, email, fingerprint, line_count FROM orders WHERE issued_by = 'shop' AND number = ";
    let numbers: Vec<&str> = orders.iter().map(|pending| pending.order.number.as_str()).collect();
    let rows: Vec<(String, String, Option<String>, Option<String>, Vec<u8>, i64)> =
        select_each(database, transaction, select, &numbers).await?;
    let known = |(number, id, user_id, email, fingerprint, line_count)| {
        (number, ExistingOrder { id, user_id, email, fingerprint, line_count })
    };
    Ok(rows.into_iter().map(known).collect())
}

/// The users who were shown to own an address of these orders.
async fn owners(
    database: &Database,
    transaction: &mut Transaction,
    orders: &[PendingOrder],
) -> Result<HashMap<String, String>, Error> {
    let emails = distinct(orders.iter().filter_map(|pending| pending.order.email.as_deref()));
    let select = "SELECT email, id FROM users WHERE verified_at IS NOT NULL AND email = ";
    Ok(select_each(database, transaction, select, &emails).await?.into_iter().collect())
}

/// Writes what [`compare`] answered, in the same transaction.
pub(super) async fn write(
    database: &Database,
    transaction: &mut Transaction,
    upserts: &[Upsert<'_>],
) -> Result<(), Error> {
    for portion in portions(upserts) {
        write_orders(database, transaction, portion).await?;
    }
    write_lines(database, transaction, upserts).await?;
    delete_surplus_lines(database, transaction, upserts).await?;
    delete_samples(database, transaction, upserts).await
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
        "fingerprint",
        "status",
        "search_head",
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
        let PendingOrder { order, fingerprint, .. } = order;
        let lines = i64::try_from(order.lines.len()).unwrap_or(i64::MAX);
        let to = &order.address;
        query = query.bind(id).bind("shop").bind(&order.number).bind(owner).bind(&order.email);
        query = query.bind(order.placed_at).bind(order.paid_at).bind(order.fulfilled_at).bind(order.cancelled_at);
        query = query.bind(&order.payment_status).bind(&order.fulfillment_status).bind(order.currency.code());
        query = query.bind(order.subtotal).bind(order.shipping).bind(order.taxes).bind(order.discount);
        query = query.bind(order.refunded).bind(order.total).bind(lines);
        for part in
            [&to.name, &to.company, &to.address1, &to.address2, &to.zip, &to.city, &to.province, &to.country, &to.phone]
        {
            query = query.bind(part);
        }
        let status = Status::of(&order.payment_status, &order.fulfillment_status, order.cancelled_at.is_some());
        let lines = order.lines.iter().map(|line| (line.sku.as_str(), line.name.as_str()));
        let searched = searched(&order.number, lines);
        query = query.bind(fingerprint).bind(status.as_str()).bind(searched.head).bind(searched.whole);
    }
    query.execute(&mut *transaction).await.map(drop)
}

async fn write_lines(database: &Database, transaction: &mut Transaction, upserts: &[Upsert<'_>]) -> Result<(), Error> {
    let lines: Vec<(&str, i64, &ImportedLine)> = upserts
        .iter()
        .flat_map(|upsert| (1..).zip(&upsert.order.order.lines).map(|(at, line)| (upsert.id.as_str(), at, line)))
        .collect();
    for portion in portions(&lines) {
        let sql = format!(
            "INSERT INTO order_lines (order_id, position, sku, name, quantity, unit_price, discount) VALUES {}
             ON CONFLICT (order_id, position) DO UPDATE SET sku = excluded.sku, name = excluded.name,
                 quantity = excluded.quantity, unit_price = excluded.unit_price, discount = excluded.discount",
            tuples(database, portion.len(), 7)
        );
        let mut query = sqlx::query(AssertSqlSafe(sql));
        for (id, position, line) in portion {
            query = query.bind(*id).bind(*position).bind(&line.sku).bind(&line.name).bind(line.quantity);
            query = query.bind(line.unit_price).bind(line.discount);
        }
        query.execute(&mut *transaction).await?;
    }
    Ok(())
}

/// Lines of orders that have fewer now.
async fn delete_surplus_lines(
    database: &Database,
    transaction: &mut Transaction,
    upserts: &[Upsert<'_>],
) -> Result<(), Error> {
    let mut surplus = Vec::new();
    for upsert in upserts {
        let lines = i64::try_from(upsert.order.order.lines.len()).unwrap_or(i64::MAX);
        surplus.extend((lines..upsert.existing_lines).map(|before| (upsert.id.as_str(), before + 1)));
    }
    for portion in portions(&surplus) {
        let keys = (0..portion.len()).map(|index| {
            let [order_id, position] = [1, 2].map(|column| database.placeholder(2 * index + column));
            format!("(order_id = {order_id} AND position = {position})")
        });
        let sql = format!("DELETE FROM order_lines WHERE {}", keys.collect::<Vec<_>>().join(" OR "));
        let mut query = sqlx::query(AssertSqlSafe(sql));
        for (order_id, position) in portion {
            query = query.bind(*order_id).bind(*position);
        }
        query.execute(&mut *transaction).await?;
    }
    Ok(())
}

/// Who has real orders needs no samples.
async fn delete_samples(
    database: &Database,
    transaction: &mut Transaction,
    upserts: &[Upsert<'_>],
) -> Result<(), Error> {
    let owners = distinct(upserts.iter().filter_map(|upsert| upsert.owner.as_deref()));
    let select = "SELECT issued_by FROM orders WHERE issued_by = ";
    let with_samples: Vec<(String,)> = select_each(database, transaction, select, &owners).await?;
    for owner in distinct(with_samples.iter().map(|(owner,)| owner.as_str())) {
        crate::orders::store::remove_samples(transaction, owner).await?;
    }
    Ok(())
}

/// Ends a large import on PostgreSQL, which plans by what it knows of a table: until it has looked again, one of its plans reads the whole
/// shop for one customer's page.
pub(super) async fn vacuum(database: &Database) -> Result<(), Error> {
    if database.engine() == Engine::Postgres {
        database.execute_outside_transaction("VACUUM (ANALYZE) orders, order_lines").await?;
    }
    Ok(())
}

/// Selects for each of these values, with which `select` ends; each is a query of its own to the planner.
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
    for portion in portions(values) {
        let selects = (1..=portion.len()).map(|number| format!("{select}{}", database.placeholder(number)));
        let sql = selects.collect::<Vec<_>>().join(" UNION ALL ");
        let mut query = sqlx::query_as(AssertSqlSafe(sql));
        for value in portion {
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

/// As many tuples as rows.
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

/// The rows in portions of [`ROWS_AT_ONCE`].
fn portions<T>(rows: &[T]) -> impl Iterator<Item = &[T]> {
    let mut rest = rows;
    std::iter::from_fn(move || {
        let size = ROWS_AT_ONCE.into_iter().find(|size| *size <= rest.len())?;
        let (portion, after) = rest.split_at(size);
        rest = after;
        Some(portion)
    })
}
