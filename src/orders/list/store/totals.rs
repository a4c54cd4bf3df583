//! The queries of totals.

use super::{ListedOrder, OrderPage, PageStart, parse_list_page, parse_rows, push_filter, push_list_page};
use crate::database::{Database, Engine, Error, SqlBuilder, Transaction};
use crate::domain::{Money, UnixSeconds};
use crate::orders::list::filter::{Filter, MonthRange};
use crate::orders::list::status_filter::StatusFilter;
use crate::orders::monthly_totals::store::MAX_MONTHS;
use crate::orders::monthly_totals::{Month, MonthNumber, push_month};
use crate::orders::store::currency;

/// The totals of one month in one currency.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct MonthTotal {
    pub month: MonthNumber,
    pub order_count: i64,
    pub total: Money,
    /// The total without cancelled orders and refunds.
    pub spent: Money,
}

type TotalRow = (i64, String, i64, i64, i64);

fn month_total((month, code, order_count, total, spent): TotalRow) -> Result<MonthTotal, Error> {
    let currency = currency(&code)?;
    let money = |minor| Money::new(minor, currency);
    Ok(MonthTotal { month: MonthNumber(month), order_count, total: money(total), spent: money(spent) })
}

/// What is stored about all orders of a customer.
pub struct StoredTotals {
    pub version: i64,
    pub has_orders: bool,
    pub has_several_shops: bool,
    /// The time zone of the months; empty if the totals must be computed.
    pub zone: String,
    pub months: Vec<MonthTotal>,
}

type StoredRow = (i64, i64, i64, String, String, Option<String>);

/// The version of the customer's orders and the stored totals of these months. Without `range`, no totals.
pub async fn find_stored(
    snapshot: &mut Transaction,
    user_id: &str,
    filter: &Filter,
    range: Option<MonthRange>,
) -> Result<StoredTotals, Error> {
    let (sql, arguments) = stored_sql(snapshot.engine(), user_id, filter, range, None)?.into_parts();
    let row: StoredRow = sqlx::query_as_with(sql, arguments).fetch_one(snapshot).await?;
    Ok(StoredTotals::from_row(row)?.0)
}

/// The same with a page of the list, in one statement: BEGIN, COMMIT and a second statement would cost as much as the page.
pub async fn find_stored_with_page(
    database: &Database,
    user_id: &str,
    filter: &Filter,
    range: MonthRange,
    start: &PageStart,
) -> Result<(StoredTotals, OrderPage<ListedOrder>), Error> {
    let (sql, arguments) = stored_sql(database.engine(), user_id, filter, Some(range), Some(start))?.into_parts();
    let row: StoredRow = sqlx::query_as_with(sql, arguments).fetch_one(database.reader()).await?;
    let (stored, json) = StoredTotals::from_row(row)?;
    let page = parse_list_page(json.as_deref().unwrap_or("[]"), start)?;
    Ok((stored, page))
}

impl StoredTotals {
    /// Also returns the JSON of the page.
    fn from_row(row: StoredRow) -> Result<(Self, Option<String>), Error> {
        let (has_orders, has_several_shops, version, zone, months, page) = row;
        let months: Vec<TotalRow> = parse_rows(&months)?;
        let months = months.into_iter().map(month_total).collect::<Result<_, _>>()?;
        let (has_orders, has_several_shops) = (has_orders == 1, has_several_shops == 1);
        Ok((Self { version, has_orders, has_several_shops, zone, months }, page))
    }
}

pub(super) fn stored_sql(
    engine: Engine,
    user_id: &str,
    filter: &Filter,
    range: Option<MonthRange>,
    page: Option<&PageStart>,
) -> Result<SqlBuilder, Error> {
    let user_id = || user_id.to_owned();
    // Not EXISTS, for which PostgreSQL may read the table until it meets an order of the customer.
    let mut sql = SqlBuilder::new(engine, "SELECT CASE WHEN (SELECT id FROM orders WHERE user_id = ");
    sql.bind(user_id())?.push(
        " ORDER BY placed_at, id LIMIT 1) IS NULL THEN 0 ELSE 1 END, CASE WHEN (SELECT MIN(shop) FROM orders WHERE user_id = ",
    );
    sql.bind(user_id())?.push(" AND shop >= '') <> (SELECT MAX(shop) FROM orders WHERE user_id = ");
    sql.bind(user_id())?
        .push(" AND shop >= '') THEN 1 ELSE 0 END, COALESCE(version, 0), COALESCE(totals_zone, ''), (SELECT ");
    sql.push(&engine.json_rows("month, currency, order_count, total, spent", "month, currency")).push(
        " FROM (SELECT month, currency, CAST(SUM(order_count) AS BIGINT) AS order_count, CAST(SUM(total) AS BIGINT) AS total,
                       CAST(SUM(spent) AS BIGINT) AS spent FROM order_totals WHERE user_id = ",
    );
    sql.bind(user_id())?;
    let (first, last) = range.map_or((1, 0), |range| (range.first.0, range.last.0));
    sql.push(" AND month >= ").bind(first)?.push(" AND month <= ").bind(last)?;
    if let Some(StatusFilter::Status(status)) = filter.status {
        sql.push(" AND status = ").bind(status.as_str().to_owned())?;
    }
    sql.push(" GROUP BY month, currency HAVING SUM(order_count) <> 0) months), ");
    match page {
        Some(start) => push_list_page(&mut sql, &user_id(), filter, start)?,
        None => drop(sql.push("NULL")),
    }
    sql.push(" FROM (SELECT 1 AS one) one LEFT JOIN order_versions v ON v.user_id = ").bind(user_id())?;
    Ok(sql)
}

/// When the user's first and last orders were placed; `None` without orders.
pub async fn find_first_and_last(
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

/// Totals the orders of each month, sorted by month and currency. Months without orders are left out.
pub async fn total_months(
    snapshot: &mut Transaction,
    user_id: &str,
    filter: &Filter,
    months: &[Month],
) -> Result<Vec<MonthTotal>, Error> {
    let mut totals = Vec::new();
    for months in months.chunks(MAX_MONTHS) {
        let Some((sql, arguments)) =
            months_sql(snapshot.engine(), user_id, filter, months)?.map(SqlBuilder::into_parts)
        else {
            continue;
        };
        // Each number of months is another statement. A search is planned for its words, see `search`.
        let query = sqlx::query_as_with(sql, arguments).persistent(false);
        let rows: Vec<TotalRow> = query.fetch_all(&mut *snapshot).await?;
        totals.extend(rows.into_iter().map(month_total).collect::<Result<Vec<_>, _>>()?);
    }
    Ok(totals)
}

/// `None` without months.
pub(super) fn months_sql(
    engine: Engine,
    user_id: &str,
    filter: &Filter,
    months: &[Month],
) -> Result<Option<SqlBuilder>, Error> {
    let (Some(first), Some(last)) = (months.first(), months.last()) else { return Ok(None) };
    let from = filter.placed_from.map_or(first.start, |from| from.max(first.start));
    let before = filter.placed_before.map_or(last.end, |before| before.min(last.end));
    let filter = Filter { placed_from: Some(from), placed_before: Some(before), ..filter.clone() };
    let mut sql = SqlBuilder::new(engine, "SELECT ");
    push_month(&mut sql, months)?;
    sql.push(
        " AS month, currency, COUNT(*), CAST(COALESCE(SUM(total), 0) AS BIGINT),
             CAST(COALESCE(SUM(CASE WHEN status IN ('cancelled', 'payment_voided', 'expired') THEN 0 ELSE total - refunded END), 0) AS BIGINT)
         FROM orders WHERE ",
    );
    push_filter(&mut sql, user_id, &filter)?;
    sql.push(" GROUP BY month, currency ORDER BY month, currency");
    Ok(Some(sql))
}
