//! The data that every server gets: an export for the program's import, and the same orders in a database for the others.

use std::fmt::Write;
use std::path::{Path, PathBuf};

use order_portal::accounts::{Hasher, Password};
use order_portal::clock::Clock;
use sqlx::{AssertSqlSafe, Connection, SqliteConnection};
use time::OffsetDateTime;
use time::macros::format_description;

pub const PASSWORD: &str = "seven calm herons on one leg";
/// Customers with one page of orders. So many that a small cache holds few of their pages.
pub const SMALL_CUSTOMERS: u32 = 1_000;
const SMALL_ORDERS: u32 = 20;
pub const LARGE_CUSTOMERS: u32 = 50;
pub const LARGE_ORDERS: u32 = 2_000;
const FIRST_NUMBER: u32 = 100_000;
const PRODUCTS: u32 = 5_000;
const THREE_YEARS: i64 = 3 * 365 * 86_400;

/// Where the data is.
pub struct Dataset {
    pub export: PathBuf,
    pub database: PathBuf,
    pub password_hash: String,
}

struct Order {
    number: u32,
    customer: u32,
    placed_at: OffsetDateTime,
    status: &'static str,
    lines: Vec<Line>,
}

struct Line {
    product: u32,
    quantity: u32,
    unit_price: u32,
}

impl Order {
    fn subtotal(&self) -> u32 {
        self.lines.iter().map(|line| line.quantity * line.unit_price).sum()
    }

    fn total(&self) -> u32 {
        self.subtotal() + 490
    }
}

/// Customers are numbered: first the small ones, then the large ones.
pub fn customers() -> std::ops::Range<u32> {
    0..SMALL_CUSTOMERS + LARGE_CUSTOMERS
}

pub fn email(customer: u32) -> String {
    format!("customer{customer}@shop.example")
}

/// The numbers of a customer's orders, the oldest first.
pub fn numbers(customer: u32) -> std::ops::Range<u32> {
    let (first, orders) = match customer.checked_sub(SMALL_CUSTOMERS) {
        None => (customer * SMALL_ORDERS, SMALL_ORDERS),
        Some(large) => (SMALL_CUSTOMERS * SMALL_ORDERS + large * LARGE_ORDERS, LARGE_ORDERS),
    };
    FIRST_NUMBER + first..FIRST_NUMBER + first + orders
}

pub async fn generate(work: &Path) -> Dataset {
    std::fs::create_dir_all(work).unwrap();
    let hasher = Hasher::new(Vec::new(), None).unwrap();
    let password_hash = hasher.hash(Password::unchecked(PASSWORD)).await.unwrap();
    let dataset = Dataset { export: work.join("orders.csv"), database: work.join("peers.db"), password_hash };
    let orders: Vec<Order> = customers().flat_map(orders).collect();
    std::fs::write(&dataset.export, export(&orders)).unwrap();
    write_database(&dataset, &orders).await;
    dataset
}

/// One order after the other in equal steps over three years, the latest ones not sent yet.
fn orders(customer: u32) -> Vec<Order> {
    let numbers = numbers(customer);
    let (first, count) = (numbers.start, numbers.end - numbers.start);
    let now = Clock::system().now().get();
    let order = |number: u32| {
        let index = number - first;
        let age = THREE_YEARS * i64::from(count - index) / i64::from(count);
        let status = match index {
            _ if index + 2 >= count => "processing",
            _ if index % 33 == 5 => "cancelled",
            _ => "sent",
        };
        let line = |line: u32| Line {
            product: (number * 7 + line * 1319) % PRODUCTS,
            quantity: 1 + (number + line) % 3,
            unit_price: 100 + (number * 31 + line * 1709) % 4900,
        };
        let placed_at = OffsetDateTime::from_unix_timestamp(now - age).unwrap();
        Order { number, customer, placed_at, status, lines: (1..=1 + number % 4).map(line).collect() }
    };
    numbers.map(order).collect()
}

/// As Shopify writes it.
fn export(orders: &[Order]) -> String {
    let time = format_description!("[year]-[month]-[day] [hour]:[minute]:[second] +0000");
    let mut csv = "Name,Email,Financial Status,Paid at,Fulfillment Status,Fulfilled at,Currency,Subtotal,Shipping,Taxes,Total,\
                   Discount Amount,Created at,Lineitem quantity,Lineitem name,Lineitem price,Lineitem sku,Lineitem discount,\
                   Shipping Name,Shipping Address1,Shipping City,Shipping Zip,Shipping Country,Cancelled at\n"
        .to_owned();
    for order in orders {
        let (number, email, placed_at) = (order.number, email(order.customer), order.placed_at.format(time).unwrap());
        let at = |status| if order.status == status { placed_at.as_str() } else { "" };
        let (sent_at, cancelled_at) = (at("sent"), at("cancelled"));
        let fulfillment = if order.status == "sent" { "fulfilled" } else { "unfulfilled" };
        let (subtotal, total) = (money(order.subtotal()), money(order.total()));
        for (index, Line { product, quantity, unit_price }) in order.lines.iter().enumerate() {
            let line = format!("{quantity},\"Sample, kind {product}\",{},SKU-{product},0.00", money(*unit_price));
            if index == 0 {
                writeln!(
                    csv,
                    "#{number},{email},paid,{placed_at},{fulfillment},{sent_at},EUR,{subtotal},4.90,0.00,{total},0.00,{placed_at},{line},\
                     Robin Sample,{} Harbour Street,Dublin,D02 X285,IE,{cancelled_at}",
                    number % 99
                )
            } else {
                writeln!(csv, "#{number},{email},,,,,,,,,,,{placed_at},{line},,,,,,")
            }
            .unwrap();
        }
    }
    csv
}

fn money(cents: u32) -> String {
    format!("{}.{:02}", cents / 100, cents % 100)
}

async fn write_database(dataset: &Dataset, orders: &[Order]) {
    for suffix in ["", "-wal", "-shm"] {
        std::fs::remove_file(format!("{}{suffix}", dataset.database.display())).ok();
    }
    let url = format!("sqlite://{}?mode=rwc", dataset.database.display());
    let mut connection = SqliteConnection::connect(&url).await.unwrap();
    let schema = include_str!("../peers/schema.sql");
    run(&mut connection, &format!("PRAGMA journal_mode = WAL; PRAGMA synchronous = OFF; {schema} BEGIN")).await;
    let users = customers().map(|customer| format!("({customer}, '{}', '{}')", email(customer), dataset.password_hash));
    insert(&mut connection, "users", users.collect()).await;
    let rows = orders.iter().map(|order| {
        let Order { number, customer, status, .. } = order;
        let placed_at = order.placed_at.format(format_description!("[year]-[month]-[day]T[hour]:[minute]:[second]Z"));
        let (placed_at, total, lines, house) = (placed_at.unwrap(), order.total(), order.lines.len(), number % 99);
        format!(
            "({number}, {customer}, {number}, '{placed_at}', '{status}', 'EUR', {total}, {lines}, 'Robin Sample', \
             '{house} Harbour Street', 'Dublin')"
        )
    });
    insert(&mut connection, "orders", rows.collect()).await;
    let rows = orders.iter().flat_map(|order| {
        order.lines.iter().enumerate().map(|(position, Line { product, quantity, unit_price })| {
            let number = order.number;
            format!("({number}, {position}, 'SKU-{product}', 'Sample, kind {product}', {quantity}, {unit_price})")
        })
    });
    insert(&mut connection, "order_lines", rows.collect()).await;
    run(&mut connection, "COMMIT; ANALYZE; PRAGMA wal_checkpoint(TRUNCATE)").await;
    connection.close().await.unwrap();
}

async fn insert(connection: &mut SqliteConnection, table: &str, rows: Vec<String>) {
    for rows in rows.chunks(500) {
        run(connection, &format!("INSERT INTO {table} VALUES {}", rows.join(", "))).await;
    }
}

pub async fn run(connection: &mut SqliteConnection, sql: &str) {
    sqlx::raw_sql(AssertSqlSafe(sql.to_owned())).execute(connection).await.unwrap();
}
