//! Fills a database with SQL only: ten million orders in minutes.

use std::time::Instant;

use order_portal::accounts::{Hasher, Password};
use order_portal::clock::Clock;
use order_portal::database::{Database, DatabaseUrl};
use order_portal::domain::Zone;
use order_portal::orders;
use sqlx::{AnyConnection, AssertSqlSafe, Connection};

use crate::{BUSY, ORDINARY, PASSWORD};

const CUSTOMERS: i64 = 100_000;
const PRODUCTS: i64 = 5_000;
/// Orders in one statement.
const CHUNK: i64 = 100_000;
const EIGHT_YEARS: i64 = 8 * 365 * 86_400;

pub async fn fill(url: &str, orders: i64, busy_every: i64) {
    let began = Instant::now();
    let database = Database::create_or_open(&DatabaseUrl::parse(url).expect("a database")).await.unwrap();
    database.migrate().await.unwrap();
    database.close().await;
    let mut connection = AnyConnection::connect(url).await.unwrap();
    if url.starts_with("sqlite:") {
        run(&mut connection, "PRAGMA journal_mode = OFF").await;
        run(&mut connection, "PRAGMA synchronous = OFF").await;
        run(&mut connection, "PRAGMA cache_size = -4000000").await;
    }
    let indexes = drop_indexes(&mut connection, url).await;
    insert_customers(&mut connection).await;
    create_products(&mut connection).await;
    let now = Clock::system().now().get();
    let mut first = 1;
    while first <= orders {
        let last = (first + CHUNK - 1).min(orders);
        run(&mut connection, &orders_sql((first, last), orders, busy_every, now, url.starts_with("sqlite:"))).await;
        run(&mut connection, &lines_sql(first, last)).await;
        eprint!("\r{last} of {orders} orders, {} s", began.elapsed().as_secs());
        first = last + 1;
    }
    run(&mut connection, "DROP TABLE bench_products").await;
    run(&mut connection, &summaries_sql()).await;
    for index in indexes {
        run(&mut connection, &index).await;
        eprint!("\n{index}, {} s", began.elapsed().as_secs());
    }
    run(&mut connection, if url.starts_with("sqlite:") { "ANALYZE" } else { "VACUUM (ANALYZE)" }).await;
    if url.starts_with("sqlite:") {
        run(&mut connection, "PRAGMA journal_mode = WAL").await;
    }
    compute_totals(&mut connection, url).await;
    connection.close().await.unwrap();
    eprintln!("\nfilled in {} s", began.elapsed().as_secs());
}

async fn run(connection: &mut AnyConnection, sql: &str) {
    sqlx::raw_sql(AssertSqlSafe(sql.to_owned()))
        .execute(connection)
        .await
        .unwrap_or_else(|error| panic!("{error}: {sql}"));
}

/// Creating an index at the end is faster.
async fn drop_indexes(connection: &mut AnyConnection, url: &str) -> Vec<String> {
    let select = if url.starts_with("sqlite:") {
        "SELECT name, sql FROM sqlite_master WHERE type = 'index' AND tbl_name IN ('orders', 'order_lines') AND sql IS NOT NULL"
    } else {
        "SELECT indexname::text, indexdef::text FROM pg_indexes WHERE tablename IN ('orders', 'order_lines')
         AND indexname LIKE 'orders\\_%' AND indexname NOT LIKE '%key'"
    };
    let indexes: Vec<(String, String)> = sqlx::query_as(select).fetch_all(&mut *connection).await.unwrap();
    for (name, _) in &indexes {
        run(connection, &format!("DROP INDEX {name}")).await;
    }
    indexes.into_iter().map(|(_, sql)| sql).collect()
}

/// The id of the customer with this number, as an SQL expression.
fn customer_id(expression: &str) -> String {
    format!("'00000000-0000-7000-8000-' || SUBSTR(CAST(1000000000000 + {expression} AS TEXT), 2)")
}

async fn insert_customers(connection: &mut AnyConnection) {
    let hasher = Hasher::new(Vec::new(), None).unwrap();
    let hash = hasher.hash(Password::unchecked(PASSWORD)).await.unwrap();
    let sql = format!(
        "WITH RECURSIVE n (i) AS (SELECT 0 UNION ALL SELECT i + 1 FROM n WHERE i < {CUSTOMERS} - 1)
         INSERT INTO users (id, email, password_hash, created_at, verified_at)
         SELECT {}, CASE i WHEN 0 THEN '{BUSY}' WHEN 1 THEN '{ORDINARY}' ELSE 'customer' || CAST(i AS TEXT) || '@shop.example' END,
                '{hash}', 1000000000, 1000000000 FROM n",
        customer_id("i")
    );
    run(connection, &sql).await;
}

async fn create_products(connection: &mut AnyConnection) {
    run(
        connection,
        "CREATE TABLE bench_products (id BIGINT PRIMARY KEY NOT NULL, sku TEXT NOT NULL, name TEXT NOT NULL)",
    )
    .await;
    let sql = format!(
        "WITH RECURSIVE n (i) AS (SELECT 0 UNION ALL SELECT i + 1 FROM n WHERE i < {PRODUCTS} - 1)
         INSERT INTO bench_products (id, sku, name)
         SELECT i, 'SKU-' || CAST(1000 + i AS TEXT),
                CASE i % 5 WHEN 0 THEN 'Earl Grey' WHEN 1 THEN 'Stoneware' WHEN 2 THEN 'Cast iron' WHEN 3 THEN 'Linden' ELSE 'Oat' END
                || CASE i % 4 WHEN 0 THEN ' tea' WHEN 1 THEN ' cup' WHEN 2 THEN ' pot' ELSE ' honey' END
                || ', kind ' || CAST(i AS TEXT)
         FROM n"
    );
    run(connection, &sql).await;
}

/// The product on line `line` of order `i`.
fn product(line: u32) -> String {
    format!("((i * 7 + {line} * 1319) % {PRODUCTS})")
}

fn amount(line: u32) -> String {
    format!("((100 + (i * 31 + {line} * 1709) % 4900) * (1 + (i + {line}) % 3))")
}

fn order_id(expression: &str) -> String {
    format!("'01900000-0000-7000-8000-' || SUBSTR(CAST(1000000000000 + {expression} AS TEXT), 2)")
}

fn orders_sql((first, last): (i64, i64), orders: i64, busy_every: i64, now: i64, is_sqlite: bool) -> String {
    let line = |line: u32| format!("'\n' || LOWER(p{line}.sku || ' ' || p{line}.name)");
    format!(
        "WITH RECURSIVE n (i) AS (SELECT CAST({first} AS BIGINT) UNION ALL SELECT i + 1 FROM n WHERE i < {last}),
         h (i, hash) AS (SELECT i, (i * 2654435761) % 4294967296 FROM n),
         o (i, hash, customer, lines, placed_at, kind) AS (
             SELECT i, hash,
                    CASE WHEN i % {busy_every} = 0 THEN 0 WHEN i % {twentieth} = 1 THEN 1 ELSE 2 + hash % ({CUSTOMERS} - 2) END,
                    1 + (hash / 7) % 4, {first_placed_at} + CAST({EIGHT_YEARS} AS BIGINT) * i / {orders},
                    CASE WHEN i > {orders} - {orders} / 1000 THEN 'processing' WHEN hash % 100 < 3 THEN 'cancelled'
                         WHEN hash % 100 < 5 THEN 'refunded' ELSE 'delivered' END
             FROM h),
         s (i, customer, lines, placed_at, kind, subtotal) AS (
             SELECT i, customer, lines, placed_at, kind, {a1} + CASE WHEN lines > 1 THEN {a2} ELSE 0 END
                    + CASE WHEN lines > 2 THEN {a3} ELSE 0 END + CASE WHEN lines > 3 THEN {a4} ELSE 0 END
             FROM o)
         INSERT INTO orders (id, source, shop_number, name, number, user_id, email, placed_at, paid_at, fulfilled_at, cancelled_at, payment_status,
             fulfillment_status, currency, subtotal, shipping, taxes, discount, refunded, total, line_count, ship_name, ship_company,
             ship_address1, ship_address2, ship_zip, ship_city, ship_province, ship_country, ship_phone, content_hash, status, search_prefix)
         SELECT {id}, 'shop', CAST(100000 + i AS TEXT), '#' || CAST(100000 + i AS TEXT), CAST(100000 + i AS TEXT), {customer},
                CASE customer WHEN 0 THEN '{BUSY}' WHEN 1 THEN '{ORDINARY}' ELSE 'customer' || CAST(customer AS TEXT) || '@shop.example' END,
                placed_at, placed_at + 60, CASE WHEN kind IN ('delivered', 'refunded') THEN placed_at + 172800 END,
                CASE WHEN kind = 'cancelled' THEN placed_at + 3600 END, CASE WHEN kind = 'refunded' THEN 'refunded' ELSE 'paid' END,
                CASE WHEN kind IN ('delivered', 'refunded') THEN 'delivered' ELSE 'unfulfilled' END, 'EUR', subtotal, 490, 0, 0,
                CASE WHEN kind = 'refunded' THEN subtotal + 490 ELSE 0 END, subtotal + 490, lines, 'Robin Sample', '',
                CAST(1 + i % 99 AS TEXT) || ' Harbour Street', '', 'D02 X285', 'Dublin', '', 'Ireland', '', {content_hash}, kind,
                '#' || CAST(100000 + i AS TEXT) || {l1} || CASE WHEN lines > 1 THEN {l2} ELSE '' END
                || CASE WHEN lines > 2 THEN {l3} ELSE '' END || CASE WHEN lines > 3 THEN {l4} ELSE '' END
         FROM s JOIN bench_products p1 ON p1.id = {p1} JOIN bench_products p2 ON p2.id = {p2}
                JOIN bench_products p3 ON p3.id = {p3} JOIN bench_products p4 ON p4.id = {p4}",
        twentieth = (orders / 20).max(1),
        first_placed_at = now - EIGHT_YEARS,
        id = order_id("i"),
        customer = customer_id("customer"),
        content_hash = if is_sqlite { "x'78'" } else { "'x'::bytea" },
        a1 = amount(1), a2 = amount(2), a3 = amount(3), a4 = amount(4),
        l1 = line(1), l2 = line(2), l3 = line(3), l4 = line(4),
        p1 = product(1), p2 = product(2), p3 = product(3), p4 = product(4),
    )
}

/// The statement of the migration that writes the summaries.
fn summaries_sql() -> String {
    let migration = include_str!("../../migrations/0013_order_summary.sql");
    let (_, update) = migration.split_once("\nUPDATE orders").unwrap();
    let (update, _) = update.split_once(';').unwrap();
    format!("UPDATE orders{update}")
}

/// Stores the totals of the two customers, as after an import.
async fn compute_totals(connection: &mut AnyConnection, url: &str) {
    let customers = format!("SELECT id, 1, '' FROM users WHERE email IN ('{BUSY}', '{ORDINARY}')");
    run(connection, &format!("INSERT INTO order_versions (user_id, version, totals_zone) {customers}")).await;
    let database = Database::open_existing(&DatabaseUrl::parse(url).unwrap()).await.unwrap();
    for (step, done) in orders::run_maintenance(&database, &Zone::utc(), Clock::system().now()).await {
        done.unwrap_or_else(|error| panic!("{step}: {error}"));
    }
    database.close().await;
}

fn lines_sql(first: i64, last: i64) -> String {
    let lines: Vec<String> = (1..=4)
        .map(|line| {
            format!(
                "SELECT {id}, {line}, p.sku, p.name, 1 + (i + {line}) % 3, 100 + (i * 31 + {line} * 1709) % 4900, 0
                 FROM n JOIN bench_products p ON p.id = {product}
                 WHERE {line} <= 1 + ((i * 2654435761) % 4294967296 / 7) % 4",
                id = order_id("i"),
                product = product(line),
            )
        })
        .collect();
    format!(
        "WITH RECURSIVE n (i) AS (SELECT CAST({first} AS BIGINT) UNION ALL SELECT i + 1 FROM n WHERE i < {last})
         INSERT INTO order_lines (order_id, position, sku, name, quantity, unit_price, discount) {} ",
        lines.join(" UNION ALL ")
    )
}
