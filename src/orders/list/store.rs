//! The queries of lists and totals. Each names the user, and reads one stretch of one index (`store/query_plans.rs` checks it).

use serde::de::DeserializeOwned;
use sqlx::{Any, Executor};

use super::PAGE_SIZE;
use super::cursor::Cursor;
use super::filter::Filter;
use super::sort::{Sort, SortKey};
use super::status_filter::StatusFilter;
use crate::database::{Engine, Error, SqlBuilder, Transaction};
use crate::domain::{Money, UnixSeconds};
use crate::orders::order::{Order, OrderId, OrderName, OrderNumber};
use crate::orders::search;
use crate::orders::status::OrderStatus;
use crate::orders::store::{ORDER_COLUMNS, OrderRow, currency, unreadable};

/// What the rows of the list show.
const LIST_COLUMNS: &str = "id, number, name, placed_at, status, cancellation_asked_at, cancellation_answer, piece_count, summary, currency, \
     total, shop";

/// Where a page of the list begins.
#[derive(Clone, Debug)]
pub enum PageStart {
    First,
    After(Cursor),
    /// The page ends before the cursor.
    Before(Cursor),
}

/// One page of the list, in the order of the list.
pub struct OrderPage<T> {
    pub orders: Vec<T>,
    /// Whether more orders follow, or with [`PageStart::Before`], precede.
    pub has_more: bool,
}

impl<T> OrderPage<T> {
    pub(super) fn empty() -> Self {
        Self { orders: Vec::new(), has_more: false }
    }

    /// From the rows of [`push_page`].
    fn new(mut rows: Vec<T>, start: &PageStart, limit: u32) -> Self {
        let has_more = rows.len() > limit as usize;
        rows.truncate(limit as usize);
        if matches!(start, PageStart::Before(_)) {
            rows.reverse();
        }
        Self { orders: rows, has_more }
    }
}

/// Reads at most `limit` orders of the user. Also returns the version of the orders, see `monthly_totals`.
pub async fn find_page(
    engine: Engine,
    executor: impl Executor<'_, Database = Any>,
    user_id: &str,
    filter: &Filter,
    start: &PageStart,
    limit: u32,
) -> Result<(i64, OrderPage<Order>), Error> {
    let mut sql = SqlBuilder::new(engine, "SELECT COALESCE((SELECT version FROM order_versions WHERE user_id = ");
    sql.bind(user_id.to_owned())?.push("), 0), ");
    push_page(&mut sql, ORDER_COLUMNS, user_id, filter, start, limit)?;
    let (sql, arguments) = sql.into_parts();
    let query = sqlx::query_as_with(sql, arguments).persistent(!filter.is_search());
    let (version, json): (i64, String) = query.fetch_one(executor).await?;
    let rows: Vec<OrderRow> = parse_rows(&json)?;
    let orders = rows.into_iter().map(Order::try_from).collect::<Result<_, _>>()?;
    Ok((version, OrderPage::new(orders, start, limit)))
}

/// The rows of [`push_page`].
fn parse_rows<T: DeserializeOwned>(json: &str) -> Result<Vec<T>, Error> {
    serde_json::from_str(json).map_err(|error| Error::Decode(error.into()))
}

/// What the list shows of an order.
pub(super) struct ListedOrder {
    pub id: OrderId,
    pub number: OrderNumber,
    pub name: OrderName,
    pub placed_at: UnixSeconds,
    pub status: OrderStatus,
    /// When the cancellation was requested, unless the shop has answered.
    pub cancellation_asked_at: Option<UnixSeconds>,
    pub piece_count: i64,
    pub summary: String,
    pub total: Money,
    pub shop: String,
}

/// The values of [`LIST_COLUMNS`].
type ListRow = (
    String,
    String,
    String,
    UnixSeconds,
    String,
    Option<UnixSeconds>,
    Option<String>,
    i64,
    String,
    String,
    i64,
    String,
);

impl ListedOrder {
    pub(super) fn cursor(&self, sort: Sort) -> Cursor {
        Cursor::new(&self.id, self.placed_at, self.total, sort)
    }

    fn from_row(row: ListRow) -> Result<Self, Error> {
        let (id, number, name, placed_at, status, asked_at, answer, piece_count, summary, code, total, shop) = row;
        Ok(Self {
            id: OrderId::parse(&id).ok_or_else(|| unreadable("id"))?,
            number: OrderNumber::parse(&number).ok_or_else(|| unreadable("number"))?,
            name: OrderName::parse(&name).ok_or_else(|| unreadable("name"))?,
            placed_at,
            status: status.parse().map_err(|_| unreadable("status"))?,
            cancellation_asked_at: asked_at.filter(|_| answer.is_none()),
            piece_count,
            summary,
            total: Money::new(total, currency(&code)?),
            shop,
        })
    }
}

/// Reads one page of the list.
pub(super) async fn find_list_page(
    snapshot: &mut Transaction,
    user_id: &str,
    filter: &Filter,
    start: &PageStart,
) -> Result<OrderPage<ListedOrder>, Error> {
    let mut sql = SqlBuilder::new(snapshot.engine(), "SELECT ");
    push_list_page(&mut sql, user_id, filter, start)?;
    let (sql, arguments) = sql.into_parts();
    let json: String =
        sqlx::query_scalar_with(sql, arguments).persistent(!filter.is_search()).fetch_one(snapshot).await?;
    parse_list_page(&json, start)
}

/// Appends a subquery: one page of the list as JSON, with only the columns that it shows.
fn push_list_page(sql: &mut SqlBuilder, user_id: &str, filter: &Filter, start: &PageStart) -> Result<(), Error> {
    push_page(sql, LIST_COLUMNS, user_id, filter, start, PAGE_SIZE)
}

/// The orders of [`push_list_page`].
fn parse_list_page(json: &str, start: &PageStart) -> Result<OrderPage<ListedOrder>, Error> {
    let rows: Vec<ListRow> = parse_rows(json)?;
    let orders = rows.into_iter().map(ListedOrder::from_row).collect::<Result<_, _>>()?;
    Ok(OrderPage::new(orders, start, PAGE_SIZE))
}

/// Appends a subquery: the rows of a page as one JSON text.
fn push_page(
    sql: &mut SqlBuilder,
    columns: &str,
    user_id: &str,
    filter: &Filter,
    start: &PageStart,
    limit: u32,
) -> Result<(), Error> {
    let json = sql.engine().json_rows(columns, &order_by(filter.sort, start));
    sql.push("(SELECT ").push(&json).push(" FROM (");
    push_rows(sql, columns, user_id, filter, start, limit)?;
    sql.push(") page)");
    Ok(())
}
/// Appends a SELECT of one row more than `limit`, which shows whether there are more. With a search or a status, first the ids: the index
/// alone shows which orders match, while PostgreSQL reads the row of each order before it tests it if the statement selects other columns.
fn push_rows(
    sql: &mut SqlBuilder,
    columns: &str,
    user_id: &str,
    filter: &Filter,
    start: &PageStart,
    limit: u32,
) -> Result<(), Error> {
    let order_by = order_by(filter.sort, start);
    let is_descending = is_descending(filter.sort, start);
    let beyond = if is_descending { "<" } else { ">" };
    let key = filter.sort.key().column();
    let (filter, cursor) = nearer_bound(filter, start, is_descending);
    let is_ids_first = filter.is_search() || filter.status.is_some();
    sql.push("SELECT ").push(columns).push(" FROM orders WHERE ");
    if is_ids_first {
        sql.push("id IN (SELECT id FROM orders WHERE ");
    }
    push_filter(sql, user_id, &filter)?;
    if let Some(cursor) = cursor {
        sql.push(&format!(" AND ({key}, id) {beyond} ("));
        sql.bind(cursor.value)?.push(", ").bind(cursor.id.as_str().to_owned())?.push(")");
    }
    sql.push(" ORDER BY ").push(&order_by).push(" LIMIT ").bind(i64::from(limit) + 1)?;
    if is_ids_first {
        sql.push(") ORDER BY ").push(&order_by);
    }
    Ok(())
}

fn order_by(sort: Sort, start: &PageStart) -> String {
    let key = sort.key().column();
    let direction = if is_descending(sort, start) { "DESC" } else { "ASC" };
    format!("{key} {direction}, id {direction}")
}

fn is_descending(sort: Sort, start: &PageStart) -> bool {
    sort.is_descending() != matches!(start, PageStart::Before(_))
}

/// When a date and the cursor both bound the same end of the list, keeps the nearer one: with both, SQLite may seek to the farther one
/// and read everything between them.
fn nearer_bound<'a>(filter: &Filter, start: &'a PageStart, is_descending: bool) -> (Filter, Option<&'a Cursor>) {
    let mut filter = filter.clone();
    let (PageStart::After(cursor) | PageStart::Before(cursor)) = start else {
        return (filter, None);
    };
    if filter.sort.key() == SortKey::Total {
        return (filter, Some(cursor));
    }
    let is_date_nearer = if is_descending {
        filter.placed_before.is_some_and(|before| before.get() <= cursor.value)
    } else {
        filter.placed_from.is_some_and(|from| from.get() > cursor.value)
    };
    if is_date_nearer {
        return (filter, None);
    }
    let date = if is_descending { &mut filter.placed_before } else { &mut filter.placed_from };
    *date = None;
    (filter, Some(cursor))
}

/// Appends `user_id = …` and the conditions of the filter.
fn push_filter(sql: &mut SqlBuilder, user_id: &str, filter: &Filter) -> Result<(), Error> {
    sql.push("user_id = ").bind(user_id.to_owned())?;
    match filter.status {
        Some(StatusFilter::Status(status)) => {
            sql.push(" AND status = ").bind(status.as_str().to_owned())?;
        }
        Some(StatusFilter::CancellationRequested) => {
            sql.push(
                " AND cancellation_asked_at IS NOT NULL AND cancellation_answer IS NULL AND status IN ('placed', 'processing')",
            );
        }
        None => {}
    }
    if let Some(from) = filter.placed_from {
        sql.push(" AND placed_at >= ").bind(from)?;
    }
    if let Some(before) = filter.placed_before {
        sql.push(" AND placed_at < ").bind(before)?;
    }
    if filter.is_search() {
        search::store::push_condition(sql.push(" AND "), user_id, &filter.patterns)?;
    }
    Ok(())
}

pub(super) mod totals;

#[cfg(test)]
mod query_plans;
