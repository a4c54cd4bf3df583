//! Writing imported orders: what is known of a hundred is read at once, and some of them are written with one statement.

use std::collections::HashMap;

use sqlx::AssertSqlSafe;

use super::export::{ImportedLine, ImportedOrder};
use super::{ImportSummary, Mode};
use crate::clock::Clock;
use crate::database::{Database, Error, Transaction};
use crate::orders::order::Status;
use crate::orders::search::searched;

/// Rows that go into one statement: the largest that fits, then the next. Each size is one statement, which a connection keeps prepared.
const ROWS_AT_ONCE: [usize; 4] = [100, 20, 5, 1];

/// What is known of an order that was imported before.
struct Before {
    id: String,
    user_id: Option<String>,
    email: Option<String>,
    fingerprint: Vec<u8>,
}

/// An order that is to be written.
struct Change<'a> {
    order: &'a ImportedOrder,
    id: String,
    owner: Option<String>,
    fingerprint: Vec<u8>,
    is_new: bool,
}

/// Adds the orders that are new, updates those that the export says something else about than before, and counts both. An
/// order goes to the account whose address was shown to be the order's, and stays with it while the order's address does.
pub(super) async fn write(
    database: &Database,
    transaction: &mut Transaction,
    clock: &Clock,
    orders: &[ImportedOrder],
    mode: Mode,
    summary: &mut ImportSummary,
) -> Result<(), Error> {
    let before = before(transaction, orders).await?;
    let owners = owners(transaction, orders).await?;
    let mut changes = Vec::with_capacity(orders.len());
    for order in orders {
        let fingerprint = order.fingerprint();
        let owner = order.email.as_ref().and_then(|email| owners.get(email)).cloned();
        match before.get(&order.number) {
            Some(known) if known.fingerprint == fingerprint => summary.unchanged += 1,
            Some(known) => {
                summary.changed += 1;
                let kept = known.user_id.clone().filter(|_| known.email == order.email);
                changes.push(Change { order, id: known.id.clone(), owner: kept.or(owner), fingerprint, is_new: false });
            }
            None => {
                summary.new += 1;
                changes.push(Change { order, id: clock.new_id(), owner, fingerprint, is_new: true });
            }
        }
    }
    if changes.is_empty() || mode == Mode::DryRun {
        return Ok(());
    }
    for some in portions(&changes) {
        write_orders(database, transaction, some).await?;
    }
    write_lines(database, transaction, &changes).await?;
    remove_samples(transaction, &changes).await
}

async fn before(transaction: &mut Transaction, orders: &[ImportedOrder]) -> Result<HashMap<String, Before>, Error> {
    if orders.is_empty() {
        return Ok(HashMap::new());
    }
    let sql = format!(
        "SELECT number, id, user_id, email, fingerprint FROM orders WHERE issued_by = 'shop' AND number IN {}",
        tuple(1, orders.len())
    );
    let mut query = sqlx::query_as::<_, (String, String, Option<String>, Option<String>, Vec<u8>)>(AssertSqlSafe(sql));
    for order in orders {
        query = query.bind(&order.number);
    }
    let rows = query.fetch_all(&mut *transaction).await?;
    let known = |(number, id, user_id, email, fingerprint)| (number, Before { id, user_id, email, fingerprint });
    Ok(rows.into_iter().map(known).collect())
}

/// The users who were shown to own an address of these orders.
async fn owners(transaction: &mut Transaction, orders: &[ImportedOrder]) -> Result<HashMap<String, String>, Error> {
    let emails: Vec<&String> = orders.iter().filter_map(|order| order.email.as_ref()).collect();
    if emails.is_empty() {
        return Ok(HashMap::new());
    }
    let sql =
        format!("SELECT email, id FROM users WHERE verified_at IS NOT NULL AND email IN {}", tuple(1, emails.len()));
    let mut query = sqlx::query_as(AssertSqlSafe(sql));
    for email in emails {
        query = query.bind(email);
    }
    Ok(query.fetch_all(&mut *transaction).await?.into_iter().collect())
}

async fn write_orders(database: &Database, transaction: &mut Transaction, changes: &[Change<'_>]) -> Result<(), Error> {
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
        tuples(database, changes.len(), columns.len() + 2),
        updates.join(", ")
    );
    let mut query = sqlx::query(AssertSqlSafe(sql));
    for Change { order, id, owner, fingerprint, .. } in changes {
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

async fn write_lines(database: &Database, transaction: &mut Transaction, changes: &[Change<'_>]) -> Result<(), Error> {
    for change in changes.iter().filter(|change| !change.is_new) {
        sqlx::query("DELETE FROM order_lines WHERE order_id = $1").bind(&change.id).execute(&mut *transaction).await?;
    }
    let lines: Vec<(&str, i64, &ImportedLine)> = changes
        .iter()
        .flat_map(|change| (1..).zip(&change.order.lines).map(|(at, line)| (change.id.as_str(), at, line)))
        .collect();
    for some in portions(&lines) {
        let sql = format!(
            "INSERT INTO order_lines (order_id, position, sku, name, quantity, unit_price, discount) VALUES {}",
            tuples(database, some.len(), 7)
        );
        let mut query = sqlx::query(AssertSqlSafe(sql));
        for (id, position, line) in some {
            query = query.bind(*id).bind(*position).bind(&line.sku).bind(&line.name).bind(line.quantity);
            query = query.bind(line.unit_price).bind(line.discount);
        }
        query.execute(&mut *transaction).await?;
    }
    Ok(())
}

/// Who has real orders needs no samples.
async fn remove_samples(transaction: &mut Transaction, changes: &[Change<'_>]) -> Result<(), Error> {
    let mut owners: Vec<&String> = changes.iter().filter_map(|change| change.owner.as_ref()).collect();
    owners.sort_unstable();
    owners.dedup();
    for owner in owners {
        crate::orders::store::remove_samples(transaction, owner).await?;
    }
    Ok(())
}

/// `($1, $2, $3)`.
fn tuple(first: usize, length: usize) -> String {
    let names: Vec<String> = (first..first + length).map(|number| format!("${number}")).collect();
    format!("({})", names.join(", "))
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
