//! PostgreSQL's plans, which depend on statistics: on tables that were analysed and never vacuumed, as between an import and the next vacuum.
//! `tests/run` runs this with `TEST_POSTGRES_URL`, the address of a server.

use sqlx::{AnyConnection, AssertSqlSafe, Connection, Row};

use super::{all_filters, all_starts, months, rows_sql};
use crate::database::{Database, DatabaseUrl, Error, SqlBuilder};
use crate::orders::list::filter::{Filter, MonthRange};
use crate::orders::list::store::totals::{months_sql, stored_sql, total_months};
use crate::orders::list::store::{LIST_COLUMNS, PageStart, find_list_page};
use crate::orders::monthly_totals::MonthNumber;
use crate::orders::store::ORDER_COLUMNS;

/// A tenth of the orders are those of one customer; one in a hundred has a long text.
const ORDERS: &str = "INSERT INTO orders (id, source, shop_number, name, number, user_id, email, placed_at, payment_status, fulfillment_status,
        currency, subtotal, shipping, taxes, discount, refunded, total, line_count, ship_name, ship_company, ship_address1,
        ship_address2, ship_zip, ship_city, ship_province, ship_country, ship_phone, content_hash, status, search_prefix, search_text)
    SELECT 'order-' || i, 'shop', i::text, '#' || i, i::text,
        CASE WHEN i % 10 = 0 THEN 'user' ELSE 'user-' || (i * 7919) % 500 END, NULL, i, 'paid', 'fulfilled', 'EUR', 1, 0, 0, 0, 0,
        i % 1000, 1, repeat('name ', 20), '', '', '', '', '', '', '', '', 'x'::bytea, CASE WHEN i % 3 = 0 THEN 'sent' ELSE 'placed' END,
        '#' || i || ' tea cup', CASE WHEN i % 100 = 0 THEN repeat('tea cup ', 100) END
    FROM generate_series(1, 60000) i";

struct Postgres {
    server: String,
    name: String,
    database: Database,
}

impl Postgres {
    /// A database with orders.
    async fn start(name: &str) -> Self {
        sqlx::any::install_default_drivers();
        let server = std::env::var("TEST_POSTGRES_URL").expect("TEST_POSTGRES_URL");
        let name = format!("query_plans_{name}_{}", std::process::id());
        run(&server, &format!("CREATE DATABASE {name}")).await;
        let (host, _) = server.rsplit_once('/').unwrap();
        let url = format!("{host}/{name}");
        let database = Database::create_or_open(&DatabaseUrl::parse(&url).unwrap()).await.unwrap();
        database.migrate().await.unwrap();
        let users = "INSERT INTO users (id, email, password_hash, created_at)
            SELECT 'user' || suffix, 'a' || suffix || '@example.com', '', 0
            FROM (SELECT '-' || i AS suffix FROM generate_series(0, 499) i UNION ALL SELECT '') users";
        let totals = "INSERT INTO order_totals SELECT user_id, placed_at / 6000, currency, status, COUNT(*), SUM(total), SUM(total)
            FROM orders GROUP BY 1, 2, 3, 4";
        let versions = "INSERT INTO order_versions SELECT id, 1, 'UTC' FROM users";
        for sql in [users, ORDERS, versions, totals, "ANALYZE"] {
            run(&url, sql).await;
        }
        Self { server, name, database }
    }

    async fn stop(self) {
        self.database.close().await;
        run(&self.server, &format!("DROP DATABASE {}", self.name)).await;
    }

    /// Asserts that each table is read by an index, which leads to the customer's part or to one order.
    async fn assert_reads_a_part(&self, sql: SqlBuilder, what: &str) -> String {
        let (text, arguments) = sql.into_parts();
        let explain = AssertSqlSafe(format!("EXPLAIN {}", text.0));
        let rows = sqlx::query_with(explain, arguments).fetch_all(self.database.reader()).await.unwrap();
        let plan: Vec<String> = rows.iter().map(|row| row.get::<String, _>(0)).collect();
        let whole = plan.join("\n");
        assert!(!whole.contains("Seq Scan"), "{what}:\n{whole}");
        let index_scans = ["Index Scan", "Index Only Scan"];
        let scans = plan.iter().filter(|line| index_scans.iter().any(|scan| line.contains(scan))).count();
        let conditions: Vec<&String> = plan.iter().filter(|line| line.contains("Index Cond:")).collect();
        let is_part = |condition: &str| condition.contains("user_id = ") || condition.contains("(id = ");
        assert_eq!(scans, conditions.len(), "{what} reads a whole index:\n{whole}");
        assert!(scans > 0 && conditions.iter().all(|condition| is_part(condition)), "{what}:\n{whole}");
        whole
    }
}

async fn run(url: &str, sql: &str) {
    let mut connection = AnyConnection::connect(url).await.unwrap();
    sqlx::raw_sql(AssertSqlSafe(sql.to_owned())).execute(&mut connection).await.unwrap();
    connection.close().await.unwrap();
}

#[actix_web::test]
#[ignore = "needs a PostgreSQL server in TEST_POSTGRES_URL; tests/run includes it"]
async fn postgres_reads_only_the_customers_part_of_an_index() {
    let postgres = Postgres::start("parts").await;
    let engine = postgres.database.engine();
    for filter in all_filters() {
        for start in all_starts(filter.sort) {
            for columns in [LIST_COLUMNS, ORDER_COLUMNS] {
                let sql = rows_sql(engine, columns, &filter, &start);
                let plan = postgres.assert_reads_a_part(sql, &format!("list {filter:?} {start:?}")).await;
                // The index shows whether an order matches.
                let filters_rows = filter.placed_from.is_none() && (filter.is_search() || filter.status.is_some());
                assert!(!filters_rows || plan.contains("Index Only Scan"), "{filter:?} {start:?}:\n{plan}");
            }
        }
        let sql = months_sql(engine, "user", &filter, &months(96, 700)).unwrap().unwrap();
        postgres.assert_reads_a_part(sql, &format!("totals {filter:?}")).await;
        let range = MonthRange { first: MonthNumber(0), last: MonthNumber(9) };
        let sql = stored_sql(engine, "user", &filter, Some(range), Some(&PageStart::First)).unwrap();
        postgres.assert_reads_a_part(sql, &format!("list and stored totals {filter:?}")).await;
    }
    postgres.stop().await;
}

/// A statement that is kept prepared gets a plan for any words after five executions, which may be slow for the next ones.
#[actix_web::test]
#[ignore = "needs a PostgreSQL server in TEST_POSTGRES_URL; tests/run includes it"]
async fn postgres_plans_each_search_for_its_words() {
    let postgres = Postgres::start("words").await;
    let search = Filter { patterns: vec!["%tea%".to_owned()], ..Filter::default() };
    let prepared = postgres.database.read(async |snapshot| {
        find_list_page(snapshot, "user", &search, &PageStart::First).await?;
        total_months(snapshot, "user", &search, &months(3, 1)).await?;
        find_list_page(snapshot, "user", &Filter::default(), &PageStart::First).await?;
        let prepared =
            "SELECT statement FROM pg_prepared_statements WHERE statement LIKE 'SELECT %orders WHERE user_id%'";
        sqlx::query_scalar(prepared).persistent(false).fetch_all(snapshot).await
    });
    let jit: String = sqlx::query_scalar("SHOW jit").fetch_one(postgres.database.reader()).await.unwrap();
    assert_eq!(jit, "off");
    let prepared: Result<Vec<String>, Error> = prepared.await;
    let prepared = prepared.unwrap();
    assert!(prepared.len() == 1 && !prepared[0].contains("search"), "{prepared:?}");
    postgres.stop().await;
}
