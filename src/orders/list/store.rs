//! The queries of lists and totals. Each names the user, and reads one stretch of one index (`store/query_plans.rs` checks it).

use super::cursor::Cursor;
use super::filter::Filter;
use super::sort::SortKey;
use crate::database::{Engine, Error, SqlBuilder, Transaction};
use crate::domain::{Currency, Money, UnixSeconds};
use crate::orders::order::Order;
use crate::orders::search;
use crate::orders::store::{ORDER_COLUMNS, currency};

/// The largest number of spans for which connections keep a prepared statement.
const MAX_PREPARED_SPANS: usize = 60;

/// Where a page of the list begins.
#[derive(Clone, Debug)]
pub enum PageStart {
    First,
    After(Cursor),
    /// The page ends before the cursor.
    Before(Cursor),
}

/// One page of the list, in the order of the list.
pub struct OrderPage {
    pub orders: Vec<Order>,
    /// Whether more orders follow, or with [`PageStart::Before`], precede.
    pub has_more: bool,
}

/// Reads at most `limit` orders of the user.
pub async fn find_page(
    snapshot: &mut Transaction,
    user_id: &str,
    filter: &Filter,
    start: &PageStart,
    limit: u32,
) -> Result<OrderPage, Error> {
    let (sql, arguments) = page_sql(snapshot.engine(), user_id, filter, start, limit)?.into_parts();
    let mut orders: Vec<Order> = sqlx::query_as_with(sql, arguments).fetch_all(snapshot).await?;
    let has_more = orders.len() > limit as usize;
    orders.truncate(limit as usize);
    if matches!(start, PageStart::Before(_)) {
        orders.reverse();
    }
    Ok(OrderPage { orders, has_more })
}

/// Selects one row more than `limit`, which shows whether there are more.
pub(super) fn page_sql(
    engine: Engine,
    user_id: &str,
    filter: &Filter,
    start: &PageStart,
    limit: u32,
) -> Result<SqlBuilder, Error> {
    let is_backward = matches!(start, PageStart::Before(_));
    let is_descending = filter.sort.is_descending() != is_backward;
    let (beyond, direction) = if is_descending { ("<", "DESC") } else { (">", "ASC") };
    let key = filter.sort.key().column();
    let (filter, cursor) = nearer_bound(filter, start, is_descending);
    let mut sql = SqlBuilder::new(engine, &format!("SELECT {ORDER_COLUMNS} FROM orders WHERE "));
    push_filter(&mut sql, user_id, &filter)?;
    if let Some(cursor) = cursor {
        sql.push(&format!(" AND ({key}, id) {beyond} ("));
        sql.bind(cursor.value)?.push(", ").bind(cursor.id.as_str().to_owned())?.push(")");
    }
    sql.push(&format!(" ORDER BY {key} {direction}, id {direction} LIMIT ")).bind(i64::from(limit) + 1)?;
    Ok(sql)
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
    if let Some(status) = filter.status {
        sql.push(" AND status = ").bind(status.as_str().to_owned())?;
    }
    if let Some(from) = filter.placed_from {
        sql.push(" AND placed_at >= ").bind(from)?;
    }
    if let Some(before) = filter.placed_before {
        sql.push(" AND placed_at < ").bind(before)?;
    }
    for pattern in &filter.patterns {
        search::store::push_condition(sql.push(" AND "), pattern)?;
    }
    Ok(())
}

/// A span of time.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Span {
    /// Inclusive.
    pub start: UnixSeconds,
    /// Exclusive.
    pub end: UnixSeconds,
}

/// The totals of one span in one currency.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct SpanTotal {
    pub start: UnixSeconds,
    pub order_count: i64,
    pub total: Money,
    /// The total without cancelled orders and refunds.
    pub spent: Money,
}

impl SpanTotal {
    pub(super) fn currency(&self) -> Currency {
        self.total.currency()
    }
}

/// When the user's first and last orders were placed; `None` without orders.
pub(super) async fn find_first_and_last(
    snapshot: &mut Transaction,
    user_id: &str,
) -> Result<Option<(UnixSeconds, UnixSeconds)>, Error> {
    let (first, last): (Option<UnixSeconds>, Option<UnixSeconds>) = sqlx::query_as(
        "SELECT (SELECT placed_at FROM orders WHERE user_id = $1 ORDER BY placed_at, id LIMIT 1),
                (SELECT placed_at FROM orders WHERE user_id = $2 ORDER BY placed_at DESC, id DESC LIMIT 1)",
    )
    .bind(user_id)
    .bind(user_id)
    .fetch_one(snapshot)
    .await?;
    Ok(first.zip(last))
}

/// Totals each span, sorted by time and currency. Spans without orders are left out.
pub(super) async fn total_spans(
    snapshot: &mut Transaction,
    user_id: &str,
    filter: &Filter,
    spans: &[Span],
) -> Result<Vec<SpanTotal>, Error> {
    if spans.is_empty() {
        return Ok(Vec::new());
    }
    let (sql, arguments) = total_spans_sql(snapshot.engine(), user_id, filter, spans)?.into_parts();
    // Each number of spans is another statement. The long ones are rare, so connections do not keep them prepared.
    let rows: Vec<(UnixSeconds, String, i64, i64, i64)> =
        sqlx::query_as_with(sql, arguments).persistent(spans.len() <= MAX_PREPARED_SPANS).fetch_all(snapshot).await?;
    let total = |(start, code, order_count, total, spent): (_, String, _, i64, i64)| {
        let currency = currency(&code)?;
        let money = |minor| Money::new(minor, currency);
        Ok(SpanTotal { start, order_count, total: money(total), spent: money(spent) })
    };
    rows.into_iter().map(total).collect()
}

pub(super) fn total_spans_sql(
    engine: Engine,
    user_id: &str,
    filter: &Filter,
    spans: &[Span],
) -> Result<SqlBuilder, Error> {
    let mut sql = SqlBuilder::new(engine, "WITH spans (starts, ends) AS (VALUES ");
    for (index, span) in spans.iter().enumerate() {
        sql.push(if index == 0 { "(CAST(" } else { ", (CAST(" }).bind(span.start)?;
        sql.push(" AS BIGINT), CAST(").bind(span.end)?.push(" AS BIGINT))");
    }
    // With CROSS JOIN, SQLite makes the spans the outer loop.
    sql.push(
        ") SELECT starts, currency, COUNT(*), CAST(COALESCE(SUM(total), 0) AS BIGINT),
                  CAST(COALESCE(SUM(CASE WHEN status = 'cancelled' THEN 0 ELSE total - refunded END), 0) AS BIGINT)
         FROM spans CROSS JOIN orders WHERE placed_at >= starts AND placed_at < ends AND ",
    );
    push_filter(&mut sql, user_id, filter)?;
    sql.push(" GROUP BY starts, currency ORDER BY starts, currency");
    Ok(sql)
}

#[cfg(test)]
mod query_plans;
