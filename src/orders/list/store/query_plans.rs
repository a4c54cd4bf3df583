//! The query plans of lists and totals: for every filter, one stretch of one index. These are SQLite's, `postgres.rs` has PostgreSQL's.

mod postgres;

use sqlx::Row;

use super::totals::{months_sql, stored_sql};
use super::{LIST_COLUMNS, PageStart, push_rows};
use crate::database::{Database, DatabaseUrl, Engine, SqlBuilder};
use crate::domain::UnixSeconds;
use crate::orders::list::cursor::Cursor;
use crate::orders::list::filter::{Filter, MonthRange};
use crate::orders::list::sort::{Sort, SortKey};
use crate::orders::list::status_filter::StatusFilter;
use crate::orders::monthly_totals::{Month, MonthNumber};
use crate::orders::order::Order;
use crate::orders::order::tests::order;
use crate::orders::status::OrderStatus;

async fn open_database(directory: &tempfile::TempDir) -> Database {
    let url = format!("sqlite://{}", directory.path().join("plans.db").display());
    let database = Database::create_or_open(&DatabaseUrl::parse(&url).unwrap()).await.unwrap();
    database.migrate().await.unwrap();
    database
}

/// The rows of a page.
fn rows_sql(engine: Engine, columns: &str, filter: &Filter, start: &PageStart) -> SqlBuilder {
    let mut sql = SqlBuilder::new(engine, "");
    push_rows(&mut sql, columns, "user", filter, start, 20).unwrap();
    sql
}

/// The steps of the plan, and the statement.
async fn explain(database: &Database, sql: SqlBuilder) -> (Vec<String>, String) {
    let (text, arguments) = sql.into_parts();
    let explain = sqlx::AssertSqlSafe(format!("EXPLAIN QUERY PLAN {}", text.0));
    let rows = sqlx::query_with(explain, arguments).fetch_all(database.reader()).await.unwrap();
    (rows.iter().map(|row| row.get::<String, _>("detail")).collect(), text.0)
}

fn all_filters() -> Vec<Filter> {
    let statuses = [None, Some(StatusFilter::Status(OrderStatus::Sent))];
    let searches = [Vec::new(), vec!["%tea%".to_owned()]];
    let dates =
        [(None, None), (Some(UnixSeconds::new(1)), None), (Some(UnixSeconds::new(1)), Some(UnixSeconds::new(9)))];
    let mut filters = Vec::new();
    for &sort in Sort::ALL {
        for status in statuses {
            for patterns in &searches {
                for (placed_from, placed_before) in dates {
                    filters.push(Filter { patterns: patterns.clone(), status, placed_from, placed_before, sort });
                }
            }
        }
    }
    filters
}

fn cursor(sort: Sort) -> Cursor {
    Cursor::at(&Order { placed_at: UnixSeconds::new(5), ..order("paid", "fulfilled") }, sort)
}

fn all_starts(sort: Sort) -> [PageStart; 3] {
    [PageStart::First, PageStart::After(cursor(sort)), PageStart::Before(cursor(sort))]
}

/// Months of so many seconds.
fn months(count: i64, length: i64) -> Vec<Month> {
    let month = |number| Month {
        number: MonthNumber(number),
        start: UnixSeconds::new(number * length),
        end: UnixSeconds::new((number + 1) * length),
    };
    (0..count).map(month).collect()
}

/// The steps that read orders.
fn reads(plan: &[String]) -> Vec<&str> {
    plan.iter().map(String::as_str).filter(|step| step.contains(" orders")).collect()
}

const LONG_TEXTS: &str = "SEARCH orders USING INDEX orders_with_long_text (user_id=?)";

#[actix_web::test]
async fn list_reads_only_the_customers_part_of_an_index() {
    let directory = tempfile::tempdir().unwrap();
    let database = open_database(&directory).await;
    for filter in all_filters() {
        for start in all_starts(filter.sort) {
            let sql = rows_sql(database.engine(), LIST_COLUMNS, &filter, &start);
            let (plan, _) = explain(&database, sql).await;
            let is_by_date = filter.sort.key() == SortKey::PlacedAt;
            let is_ids_first = filter.is_search() || filter.status.is_some();
            let index = if is_by_date { "orders_by_date (user_id=?" } else { "orders_by_" };
            let list = if is_ids_first { "SEARCH orders USING COVERING INDEX" } else { "SEARCH orders USING INDEX" };
            let list = format!("{list} {index}");
            let mut expected =
                if is_ids_first { vec!["SEARCH orders USING INDEX sqlite_autoindex_orders_1 (id=?)"] } else { vec![] };
            expected.push(&list);
            expected.extend(filter.is_search().then_some(LONG_TEXTS));
            let reads = reads(&plan);
            let are_expected = reads.iter().zip(&expected).all(|(step, expected)| step.starts_with(expected));
            assert!(reads.len() == expected.len() && are_expected, "{filter:?} {start:?}: {plan:?}");
            // The rows of the page may be sorted, never the orders of the customer.
            let sorts = plan.iter().filter(|step| step.contains("TEMP B-TREE")).count();
            assert!(!is_by_date || sorts <= usize::from(is_ids_first), "{filter:?} {start:?}: {plan:?}");
            let seeks_to_cursor =
                matches!(start, PageStart::First) || reads.iter().any(|step| step.contains("(placed_at,id)"));
            assert!(!is_by_date || seeks_to_cursor, "{filter:?} {start:?}: {plan:?}");
        }
    }
}

#[actix_web::test]
async fn pending_requests_read_their_own_index() {
    let directory = tempfile::tempdir().unwrap();
    let database = open_database(&directory).await;
    for sort in [Sort::Newest, Sort::Oldest] {
        let filter = Filter { status: Some(StatusFilter::CancellationRequested), sort, ..Filter::default() };
        for start in [PageStart::First, PageStart::After(cursor(sort)), PageStart::Before(cursor(sort))] {
            let sql = rows_sql(database.engine(), LIST_COLUMNS, &filter, &start);
            let (plan, _) = explain(&database, sql).await;
            let expected = "SEARCH orders USING INDEX orders_cancellations_by_user (user_id=?";
            let reads: Vec<&String> = plan.iter().filter(|step| step.contains("orders USING")).collect();
            // The ids first, then the orders with these ids.
            let is_by_id = |step: &&String| step.contains("(id=?)");
            let (by_id, others): (Vec<&String>, Vec<&String>) = reads.into_iter().partition(is_by_id);
            assert!(by_id.len() == 1 && others.len() == 1, "{sort:?} {start:?}: {plan:?}");
            assert!(others[0].starts_with(expected), "{sort:?} {start:?}: {plan:?}");
        }
    }
}

/// Page 1,000 costs the same as page 1: the index leads to the cursor, and no row before it is read and skipped.
#[actix_web::test]
async fn list_seeks_to_its_cursor_in_each_order_and_skips_no_rows() {
    let directory = tempfile::tempdir().unwrap();
    let database = open_database(&directory).await;
    for &sort in Sort::ALL {
        let filter = Filter { sort, ..Filter::default() };
        let cursor = cursor(sort);
        let key = match sort.key() {
            SortKey::PlacedAt => "(placed_at,id)",
            SortKey::Total => "(total,id)",
        };
        for (start, is_backward) in [(PageStart::After(cursor.clone()), false), (PageStart::Before(cursor), true)] {
            let beyond = if sort.is_descending() == is_backward { ">" } else { "<" };
            let sql = rows_sql(database.engine(), LIST_COLUMNS, &filter, &start);
            let (plan, statement) = explain(&database, sql).await;
            assert!(!statement.contains("OFFSET"), "{statement}");
            let seek = format!("(user_id=? AND {key}{beyond}(?,?))");
            assert!(plan.len() == 1 && plan[0].ends_with(&seek), "{sort:?} {start:?}: {plan:?} instead of {seek}");
        }
    }
}

#[actix_web::test]
async fn totals_read_one_index_only() {
    let directory = tempfile::tempdir().unwrap();
    let database = open_database(&directory).await;
    for filter in all_filters() {
        let sql = months_sql(database.engine(), "user", &filter, &months(96, 1)).unwrap().unwrap();
        let (plan, _) = explain(&database, sql).await;
        let mut expected =
            vec!["SEARCH orders USING COVERING INDEX orders_by_date (user_id=? AND placed_at>? AND placed_at<?)"];
        expected.extend(filter.is_search().then_some(LONG_TEXTS));
        assert_eq!(reads(&plan), expected, "{filter:?}");
    }
}

#[actix_web::test]
async fn stored_totals_read_one_key_range() {
    let directory = tempfile::tempdir().unwrap();
    let database = open_database(&directory).await;
    for filter in all_filters() {
        let range = MonthRange { first: MonthNumber(0), last: MonthNumber(9) };
        for start in [None].into_iter().chain(all_starts(filter.sort).map(Some)) {
            let sql = stored_sql(database.engine(), "user", &filter, Some(range), start.as_ref()).unwrap();
            let (plan, _) = explain(&database, sql).await;
            let reads: Vec<&String> = plan.iter().filter(|step| step.contains("order_totals")).collect();
            let is_range = reads.len() == 1 && reads[0].contains("(user_id=? AND month>? AND month<?)");
            assert!(is_range, "{filter:?} {start:?}: {plan:?}");
            assert!(plan.iter().all(|step| !step.starts_with("SCAN order")), "{filter:?} {start:?}: {plan:?}");
        }
    }
}
