//! How many orders a filter leaves, and what they cost, by span of time and currency.

use super::currency;
use super::sql::Sql;
use crate::clock::UnixSeconds;
use crate::database::{Engine, Error, Transaction};
use crate::orders::filter::Filter;
use crate::orders::money::{Currency, Money};

/// Spans of statements that connections keep prepared.
const KEPT_SPANS: usize = 60;

/// From the first moment up to, but without, the second.
pub(in crate::orders) type Span = (UnixSeconds, UnixSeconds);

/// What was placed in one span in one currency.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::orders) struct Sum {
    pub starts: UnixSeconds,
    pub orders: i64,
    /// What the orders come to.
    pub total: Money,
    /// The same without what was called off or went back.
    pub spent: Money,
}

impl Sum {
    pub(in crate::orders) fn currency(&self) -> Currency {
        self.total.currency()
    }
}

/// When the user's first and last orders were placed; `None` without any.
pub(in crate::orders) async fn first_and_last(
    snapshot: &mut Transaction,
    user_id: &str,
) -> Result<Option<Span>, Error> {
    let (first, last): (Option<i64>, Option<i64>) = sqlx::query_as(
        "SELECT (SELECT placed_at FROM orders WHERE user_id = $1 ORDER BY placed_at, id LIMIT 1),
                (SELECT placed_at FROM orders WHERE user_id = $2 ORDER BY placed_at DESC, id DESC LIMIT 1)",
    )
    .bind(user_id)
    .bind(user_id)
    .fetch_one(snapshot)
    .await?;
    Ok(first.zip(last).map(|(first, last)| (UnixSeconds::new(first), UnixSeconds::new(last))))
}

/// The sums of each span, in order of time and currency; spans in which nothing was placed are left out. Each span is a stretch of
/// one index, and nothing else is read.
pub(in crate::orders) async fn of_spans(
    snapshot: &mut Transaction,
    user_id: &str,
    filter: &Filter,
    spans: &[Span],
) -> Result<Vec<Sum>, Error> {
    if spans.is_empty() {
        return Ok(Vec::new());
    }
    let (sql, arguments) = of_spans_sql(snapshot.engine(), user_id, filter, spans)?.into_parts();
    // Each number of spans makes another statement: the long ones, which are rare, are not kept by the connections.
    let rows: Vec<(i64, String, i64, i64, i64)> =
        sqlx::query_as_with(sql, arguments).persistent(spans.len() <= KEPT_SPANS).fetch_all(snapshot).await?;
    let sum = |(starts, code, orders, total, spent): (i64, String, i64, i64, i64)| {
        let currency = currency(&code)?;
        let money = |minor| Money::new(minor, currency);
        Ok(Sum { starts: UnixSeconds::new(starts), orders, total: money(total), spent: money(spent) })
    };
    rows.into_iter().map(sum).collect()
}

pub(super) fn of_spans_sql(engine: Engine, user_id: &str, filter: &Filter, spans: &[Span]) -> Result<Sql, Error> {
    let mut sql = Sql::new(engine);
    sql.push("WITH spans (starts, ends) AS (VALUES ");
    for (index, (starts, ends)) in spans.iter().enumerate() {
        sql.push(if index == 0 { "(CAST(" } else { ", (CAST(" }).bind(starts.get())?;
        sql.push(" AS BIGINT), CAST(").bind(ends.get())?.push(" AS BIGINT))");
    }
    // CROSS JOIN has SQLite go through the spans on the outside.
    sql.push(
        ") SELECT starts, currency, COUNT(*), CAST(COALESCE(SUM(total), 0) AS BIGINT),
                  CAST(COALESCE(SUM(CASE WHEN status = 'cancelled' THEN 0 ELSE total - refunded END), 0) AS BIGINT)
         FROM spans CROSS JOIN orders WHERE placed_at >= starts AND placed_at < ends AND ",
    );
    sql.push_filter(user_id, filter)?.push(" GROUP BY starts, currency ORDER BY starts, currency");
    Ok(sql)
}
