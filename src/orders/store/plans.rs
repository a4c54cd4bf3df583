//! How SQLite goes about the queries of lists and sums: by an index alone, whatever is asked for.

use sqlx::Row;

use super::sql::Sql;
use super::sums::of_spans_sql;
use super::{From, list_sql};
use crate::clock::UnixSeconds;
use crate::database::{Database, DatabaseUrl};
use crate::orders::cursor::Cursor;
use crate::orders::filter::{Filter, Sort};
use crate::orders::order::tests::order;
use crate::orders::order::{Order, Status};

async fn database(folder: &tempfile::TempDir) -> Database {
    let url = format!("sqlite://{}", folder.path().join("plans.db").display());
    let database = Database::create_or_open(&DatabaseUrl::parse(&url).unwrap()).await.unwrap();
    database.migrate().await.unwrap();
    database
}

async fn plan(database: &Database, sql: Sql) -> Vec<String> {
    let (text, arguments) = sql.into_parts();
    let text = sqlx::AssertSqlSafe(format!("EXPLAIN QUERY PLAN {}", text.0));
    let rows = sqlx::query_with(text, arguments).fetch_all(database.reader()).await.unwrap();
    rows.iter().map(|row| row.get::<String, _>("detail")).collect()
}

fn filters() -> Vec<Filter> {
    let statuses = [None, Some(Status::Sent)];
    let searches = [Vec::new(), vec!["%tea%".to_owned()]];
    let dates =
        [(None, None), (Some(UnixSeconds::new(1)), None), (Some(UnixSeconds::new(1)), Some(UnixSeconds::new(9)))];
    let mut filters = Vec::new();
    for (sort, _, _) in Sort::ALL {
        for status in statuses {
            for patterns in &searches {
                for (from, until) in dates {
                    filters.push(Filter { patterns: patterns.clone(), status, from, until, sort });
                }
            }
        }
    }
    filters
}

#[actix_web::test]
async fn no_list_reads_more_than_its_customers_part_of_an_index() {
    let folder = tempfile::tempdir().unwrap();
    let database = database(&folder).await;
    for filter in filters() {
        let cursor = Cursor::at(&Order { placed_at: UnixSeconds::new(5), ..order("paid", "fulfilled") }, filter.sort);
        for from in [From::Start, From::After(cursor.clone()), From::Before(cursor)] {
            let plan = plan(&database, list_sql(database.engine(), "user", &filter, &from, 20).unwrap()).await;
            let index = match filter.sort {
                Sort::Newest | Sort::Oldest => "orders_by_date (user_id=?",
                Sort::Highest | Sort::Lowest => "orders_by_",
            };
            assert!(
                plan[0].starts_with(&format!("SEARCH orders USING INDEX {index}")),
                "{filter:?} {from:?}: {plan:?}"
            );
            let is_in_order = matches!(filter.sort, Sort::Newest | Sort::Oldest);
            assert!(!is_in_order || plan.len() == 1, "{filter:?} {from:?}: {plan:?}");
            let leads_to_place = matches!(from, From::Start) || plan[0].contains("(placed_at,id)");
            assert!(!is_in_order || leads_to_place, "{filter:?} {from:?}: {plan:?}");
        }
    }
}

/// What makes page 1,000 as cheap as page 1: the index leads to the cursor, and nothing before it is read and thrown away.
#[actix_web::test]
async fn list_seeks_to_its_cursor_in_each_order_and_skips_no_rows() {
    let folder = tempfile::tempdir().unwrap();
    let database = database(&folder).await;
    for (sort, _, _) in Sort::ALL {
        let filter = Filter { patterns: Vec::new(), status: None, from: None, until: None, sort };
        let cursor = Cursor::at(&Order { placed_at: UnixSeconds::new(5), ..order("paid", "fulfilled") }, sort);
        let key = match sort {
            Sort::Newest | Sort::Oldest => "(placed_at,id)",
            Sort::Highest | Sort::Lowest => "(total,id)",
        };
        for (from, goes_back) in [(From::After(cursor.clone()), false), (From::Before(cursor), true)] {
            let beyond = if matches!(sort, Sort::Newest | Sort::Highest) == goes_back { ">" } else { "<" };
            let sql = list_sql(database.engine(), "user", &filter, &from, 20).unwrap();
            let (text, arguments) = sql.into_parts();
            assert!(!text.0.contains("OFFSET"), "{}", text.0);
            let explain = sqlx::AssertSqlSafe(format!("EXPLAIN QUERY PLAN {}", text.0));
            let rows = sqlx::query_with(explain, arguments).fetch_all(database.reader()).await.unwrap();
            let steps: Vec<String> = rows.iter().map(|row| row.get("detail")).collect();
            let seek = format!("(user_id=? AND {key}{beyond}(?,?))");
            assert!(steps.len() == 1 && steps[0].ends_with(&seek), "{sort:?} {from:?}: {steps:?} in place of {seek}");
        }
    }
}

#[actix_web::test]
async fn no_sum_reads_more_than_one_index() {
    let folder = tempfile::tempdir().unwrap();
    let database = database(&folder).await;
    let spans: Vec<_> = (0..96).map(|month| (UnixSeconds::new(month), UnixSeconds::new(month + 1))).collect();
    for filter in filters() {
        let plan = plan(&database, of_spans_sql(database.engine(), "user", &filter, &spans).unwrap()).await;
        let searches = plan.iter().filter(|step| step.contains("orders")).collect::<Vec<_>>();
        let index = if filter.patterns.is_empty() { "COVERING INDEX" } else { "INDEX" };
        let expected =
            format!("SEARCH orders USING {index} orders_by_date (user_id=? AND placed_at>? AND placed_at<?)");
        assert_eq!(searches, [&expected], "{filter:?}");
    }
}
