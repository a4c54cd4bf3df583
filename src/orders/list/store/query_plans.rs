//! SQLite's query plans for lists and totals: for every filter, one stretch of one index.

use sqlx::Row;

use super::totals::{months_sql, stored_sql};
use super::{LIST_COLUMNS, PageStart, page_sql};
use crate::database::{Database, DatabaseUrl, SqlBuilder};
use crate::domain::UnixSeconds;
use crate::orders::list::cursor::Cursor;
use crate::orders::list::filter::{Filter, MonthRange, StatusFilter};
use crate::orders::list::sort::{Sort, SortKey};
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

#[actix_web::test]
async fn list_reads_only_the_customers_part_of_an_index() {
    let directory = tempfile::tempdir().unwrap();
    let database = open_database(&directory).await;
    for filter in all_filters() {
        let cursor = cursor(filter.sort);
        for start in [PageStart::First, PageStart::After(cursor.clone()), PageStart::Before(cursor)] {
            let sql = page_sql(database.engine(), LIST_COLUMNS, "user", &filter, &start, 20).unwrap();
            let (plan, _) = explain(&database, sql).await;
            let is_by_date = filter.sort.key() == SortKey::PlacedAt;
            let index = if is_by_date { "orders_by_date (user_id=?" } else { "orders_by_" };
            let expected = format!("SEARCH orders USING INDEX {index}");
            assert!(plan[0].starts_with(&expected), "{filter:?} {start:?}: {plan:?}");
            assert!(!is_by_date || plan.len() == 1, "{filter:?} {start:?}: {plan:?}");
            let seeks_to_cursor = matches!(start, PageStart::First) || plan[0].contains("(placed_at,id)");
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
            let sql = page_sql(database.engine(), LIST_COLUMNS, "user", &filter, &start, 20).unwrap();
            let (plan, _) = explain(&database, sql).await;
            let expected = "SEARCH orders USING INDEX orders_cancellations_by_user (user_id=?";
            assert!(plan.len() == 1 && plan[0].starts_with(expected), "{sort:?} {start:?}: {plan:?}");
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
            let sql = page_sql(database.engine(), LIST_COLUMNS, "user", &filter, &start, 20).unwrap();
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
    let month = |number| Month {
        number: MonthNumber(number),
        start: UnixSeconds::new(number),
        end: UnixSeconds::new(number + 1),
    };
    let months: Vec<Month> = (0..96).map(month).collect();
    for filter in all_filters() {
        let sql = months_sql(database.engine(), "user", &filter, &months).unwrap();
        let (plan, _) = explain(&database, sql).await;
        let searches = plan.iter().filter(|step| step.contains("orders")).collect::<Vec<_>>();
        let index = if filter.patterns.is_empty() { "COVERING INDEX" } else { "INDEX" };
        let expected =
            format!("SEARCH orders USING {index} orders_by_date (user_id=? AND placed_at>? AND placed_at<?)");
        assert_eq!(searches, [&expected], "{filter:?}");
    }
}

#[actix_web::test]
async fn stored_totals_read_one_key_range() {
    let directory = tempfile::tempdir().unwrap();
    let database = open_database(&directory).await;
    for filter in all_filters() {
        let range = MonthRange { first: MonthNumber(0), last: MonthNumber(9) };
        let sql = stored_sql(database.engine(), "user", &filter, Some(range)).unwrap();
        let (plan, _) = explain(&database, sql).await;
        let reads: Vec<&String> = plan.iter().filter(|step| step.contains("order_totals")).collect();
        assert!(reads.len() == 1 && reads[0].contains("(user_id=? AND month>? AND month<?)"), "{filter:?}: {plan:?}");
        assert!(plan.iter().all(|step| !step.starts_with("SCAN order")), "{filter:?}: {plan:?}");
    }
}
