//! The database of an older version: rows survive migrations and a restore.

use std::path::Path;

use sqlx::AnyPool;
use sqlx::migrate::Migrator;

use crate::app::ANN;
use crate::sandbox::Sandbox;
use crate::shop::{line, order};
use crate::token::now;

/// The last version before the account tables were renamed.
const BEFORE_RENAMES: i64 = 9;

/// The last version before columns of orders were renamed.
const BEFORE_ORDER_RENAMES: i64 = 8;

/// The last version whose orders have no summary.
const BEFORE_SUMMARIES: i64 = 12;

/// An empty database of that version.
async fn empty_database(version: i64) -> (Sandbox, AnyPool) {
    let sandbox = Sandbox::new().await;
    let migrations = sandbox.path().join("older-migrations");
    std::fs::create_dir(&migrations).unwrap();
    let all = Path::new(env!("CARGO_MANIFEST_DIR")).join("migrations");
    for file in std::fs::read_dir(all).unwrap().map(|file| file.unwrap()) {
        let name = file.file_name().into_string().unwrap();
        if name[..4].parse::<i64>().unwrap() <= version {
            std::fs::copy(file.path(), migrations.join(name)).unwrap();
        }
    }
    let file = sandbox.path().join("portal.db");
    if !sandbox.is_postgres() {
        std::fs::File::create(file).unwrap();
    }
    let database = sandbox.database().await;
    Migrator::new(migrations).await.unwrap().run(&database).await.unwrap();
    (sandbox, database)
}

/// A database with a row in each table that migration 10 renames.
async fn older_version() -> (Sandbox, AnyPool) {
    let (sandbox, database) = empty_database(BEFORE_RENAMES).await;
    for insert in [
        "INSERT INTO users (id, email, password_hash, created_at) VALUES ('u', 'ann@example.com', '', 0)",
        "INSERT INTO sessions (id, user_id, audience, idle_end, client_address, user_agent, created_at, last_seen_at, expires_at)
         VALUES ('idle', 'u', 'web', 'yes', '', '', 0, 0, 4102444800), ('remembered', 'u', 'web', 'no', '', '', 0, 0, 4102444800)",
        "INSERT INTO activity (id, user_id, event, client_address, user_agent, at) VALUES ('a', 'u', 'signed-up', '', '', 4102444800)",
        "INSERT INTO throttles VALUES ('k', 3, 0, 0, 4102444800, NULL)",
    ] {
        sqlx::query(insert).execute(&database).await.unwrap();
    }
    let token = "INSERT INTO mailed_tokens (hash, user_id, purpose, email, created_at, expires_at)
                 VALUES ($1, 'u', 'verify', 'ann@example.com', 0, 4102444800)";
    let trusted = ["browsers", "networks"]
        .map(|kind| format!("INSERT INTO known_{kind} (hash, user_id, last_used_at) VALUES ($1, 'u', 4102444800)"));
    for insert in trusted.into_iter().chain([token.to_owned()]) {
        sqlx::query(sqlx::AssertSqlSafe(insert)).bind(&b"hash"[..]).execute(&database).await.unwrap();
    }
    (sandbox, database)
}

#[tokio::test]
async fn migration_keeps_the_rows_of_renamed_tables() {
    let (sandbox, database) = older_version().await;
    let printed = sandbox.run_ok(&["migrate"]);
    assert!(printed.contains("applied 0010"), "{printed}");
    let sessions: Vec<(String, String)> =
        sqlx::query_as("SELECT id, is_persistent FROM sessions ORDER BY id").fetch_all(&database).await.unwrap();
    let expected = [("idle", "no"), ("remembered", "yes")].map(|(id, code)| (id.to_owned(), code.to_owned()));
    assert_eq!(sessions, expected);
    let (attempts, resets_at): (i64, i64) =
        sqlx::query_as("SELECT attempts, resets_at FROM rate_limits WHERE key = 'k'")
            .fetch_one(&database)
            .await
            .unwrap();
    assert_eq!((attempts, resets_at), (3, 4_102_444_800));
    for table in ["audit_events", "email_tokens", "trusted_browsers", "trusted_networks"] {
        assert_eq!(sandbox.count(&format!("{table} WHERE user_id = 'u'")).await, 1, "{table}");
    }
    sqlx::query("DELETE FROM users").execute(&database).await.unwrap();
    assert_eq!(sandbox.count("email_tokens").await, 0, "the foreign key of a renamed table is lost");
}

/// Ann has an order with two lines and a reorder of it, and a sample with the number of the order.
async fn insert_orders(database: &AnyPool) {
    let user = "INSERT INTO users (id, email, password_hash, created_at, verified_at) VALUES ('u', 'ann@example.com', '', 0, 1)";
    sqlx::query(user).execute(database).await.unwrap();
    for (id, issued_by, number, fulfillment, payment, copy_of, cancelled_at) in [
        ("o1", "shop", "5000", "unfulfilled", "voided", None, None),
        ("o2", "shop", "5001", "fulfilled", "paid", Some("5000"), None),
        ("o3", "shop", "EU-7", "restocked", "paid", None, None),
        ("o4", "u", "5000", "unfulfilled", "paid", None, Some(7_i64)),
    ] {
        let order = "INSERT INTO orders (id, issued_by, number, user_id, email, placed_at, cancelled_at, payment_status, \
             fulfillment_status, currency, subtotal, shipping, taxes, discount, refunded, total, line_count, ship_name, ship_company, \
             ship_address1, ship_address2, ship_zip, ship_city, ship_province, ship_country, ship_phone, fingerprint, status, \
             search_head, copy_of) \
             VALUES ($1, $2, $3, 'u', 'ann@example.com', 5, $4, $5, $6, 'EUR', 1, 2, 3, 4, 5, 6, 2, 'n', 'c', 'a1', 'a2', 'z', \
             'ci', 'p', 'co', 'ph', $7, 'placed', 'text', $8)";
        sqlx::query(order)
            .bind(id)
            .bind(issued_by)
            .bind(number)
            .bind(cancelled_at)
            .bind(payment)
            .bind(fulfillment)
            .bind(&b"hash"[..])
            .bind(copy_of)
            .execute(database)
            .await
            .unwrap();
        for position in [1_i64, 2] {
            let line = "INSERT INTO order_lines (order_id, position, sku, name, quantity, unit_price, discount) \
                        VALUES ($1, $2, 's', 'Pen', 2, 3, 0)";
            sqlx::query(line).bind(id).bind(position).execute(database).await.unwrap();
        }
    }
    let counter = "UPDATE counters SET value = 1234 WHERE name = 'orders placed here'";
    sqlx::query(counter).execute(database).await.unwrap();
}

type Row = (String, String, Option<String>, String, String, String, String, String);

#[tokio::test]
async fn migrations_keep_orders_with_their_lines_and_owners() {
    let (sandbox, database) = empty_database(BEFORE_ORDER_RENAMES).await;
    insert_orders(&database).await;
    sandbox.run_ok(&["migrate"]);
    let orders: Vec<Row> = sqlx::query_as(
        "SELECT id, source, sample_owner_id, shop_number, name, number, status, COALESCE(reordered_from, '') FROM orders ORDER BY id",
    )
    .fetch_all(&database)
    .await
    .unwrap();
    let row = |id: &str, owner: Option<&str>, shop_number: &str, number: &str, status: &str, reordered_from: &str| {
        let source = if owner.is_some() { "sample" } else { "shop" };
        let text = str::to_owned;
        let name = format!("#{shop_number}");
        (
            text(id),
            text(source),
            owner.map(text),
            text(shop_number),
            name,
            text(number),
            text(status),
            text(reordered_from),
        )
    };
    let expected = [
        row("o1", None, "5000", "5000", "payment_voided", ""),
        row("o2", None, "5001", "5001", "placed", "5000"),
        row("o3", None, "EU-7", "EU-7", "cancelled", ""),
        row("o4", Some("u"), "5000", "5000-2", "cancelled", ""),
    ];
    assert_eq!(orders, expected);
    let kept = "SELECT COUNT(*) FROM orders WHERE user_id = 'u' AND email = 'ann@example.com' AND placed_at = 5 AND subtotal = 1 \
                AND shipping = 2 AND taxes = 3 AND discount = 4 AND refunded = 5 AND total = 6 AND ship_phone = 'ph' AND \
                ship_name = 'n' AND ship_zip = 'z' AND search_prefix = 'text' AND content_hash = $1";
    let kept: i64 = sqlx::query_scalar(kept).bind(&b"hash"[..]).fetch_one(&database).await.unwrap();
    let lines: i64 =
        sqlx::query_scalar("SELECT COUNT(*) FROM order_lines WHERE sku = 's' AND name = 'Pen' AND quantity = 2")
            .fetch_one(&database)
            .await
            .unwrap();
    assert_eq!((kept, lines), (4, 8));
    let counter: i64 =
        sqlx::query_scalar("SELECT value FROM counters WHERE name = 'reorders'").fetch_one(&database).await.unwrap();
    assert_eq!(counter, 1234);
    sqlx::query("DELETE FROM users").execute(&database).await.unwrap();
    let owned: i64 =
        sqlx::query_scalar("SELECT COUNT(*) FROM orders WHERE user_id IS NOT NULL").fetch_one(&database).await.unwrap();
    sqlx::query("DELETE FROM orders WHERE id = 'o1'").execute(&database).await.unwrap();
    let lines: i64 = sqlx::query_scalar("SELECT COUNT(*) FROM order_lines").fetch_one(&database).await.unwrap();
    assert_eq!((owned, lines), (0, 6), "a foreign key is lost");
}

/// Orders with the name and the quantity of each line.
fn orders_with_odd_lines() -> Vec<Vec<(String, i64)>> {
    let names = |names: &[&str]| names.iter().map(|name| ((*name).to_owned(), 2)).collect::<Vec<_>>();
    vec![
        names(&["Clay mug"]),
        names(&["Clay mug", "Saucer"]),
        names(&["Clay mug", "Clay mug"]),
        names(&["Clay mug", "Saucer", "Clay mug", "clay mug", "Tray", "Saucer"]),
        names(&[&"é".repeat(120)]),
        names(&[&"é".repeat(121)]),
        names(&[&"漢".repeat(51), &"x".repeat(50)]),
        names(&[&format!("{} y{}", "x".repeat(48), "z".repeat(90)), "👩‍👩‍👧‍👦 cup", "Ü"]),
        names(&[&format!("{}\u{a0}y{}", "x".repeat(48), "z".repeat(90)), "b"]),
        vec![("Mug".to_owned(), 3), ("Saucer".to_owned(), -1), ("Tray".to_owned(), 0)],
        (0..300).map(|index| (format!("Line {index}"), 1_000_000)).collect(),
    ]
}

#[tokio::test]
async fn migration_writes_the_summary_that_an_import_writes() {
    let rows = orders_with_odd_lines().into_iter().zip(1..).flat_map(|(lines, number)| {
        lines.into_iter().enumerate().map(move |(index, (name, quantity))| {
            let number = format!("#{number}");
            let row = if index == 0 { order(&number, ANN) } else { line(&number, ANN, "") };
            row.with("Lineitem name", &name).with("Lineitem quantity", &quantity.to_string())
        })
    });
    let imported = Sandbox::new().await;
    imported.run_ok(&["migrate"]);
    imported.import(&rows.collect::<Vec<_>>());
    let database = imported.database().await;
    let select = "SELECT number, summary, piece_count FROM orders ORDER BY number";
    let expected: Vec<(String, String, i64)> = sqlx::query_as(select).fetch_all(&database).await.unwrap();
    assert_eq!((expected.len(), expected[0].1.as_str()), (11, "Clay mug"));

    let (sandbox, older) = empty_database(BEFORE_SUMMARIES).await;
    let lines: Vec<(String, i64, String, i64)> = sqlx::query_as(
        "SELECT o.number, l.position, l.name, l.quantity FROM order_lines l JOIN orders o ON o.id = l.order_id ORDER BY o.number, position",
    )
    .fetch_all(&database)
    .await
    .unwrap();
    for (number, position, name, quantity) in lines {
        let order = "INSERT INTO orders (id, source, shop_number, name, number, placed_at, payment_status, fulfillment_status, currency, \
             subtotal, shipping, taxes, discount, refunded, total, line_count, ship_name, ship_company, ship_address1, ship_address2, \
             ship_zip, ship_city, ship_province, ship_country, ship_phone, content_hash) \
             VALUES ($1, 'shop', $2, $3, $4, 0, 'paid', 'fulfilled', 'EUR', 0, 0, 0, 0, 0, 0, 1, '', '', '', '', '', '', '', '', '', $5) \
             ON CONFLICT (id) DO NOTHING";
        let mut insert = sqlx::query(order);
        for _ in 0..4 {
            insert = insert.bind(&number);
        }
        insert.bind(&b"hash"[..]).execute(&older).await.unwrap();
        let line = "INSERT INTO order_lines (order_id, position, sku, name, quantity, unit_price, discount) VALUES ($1, $2, '', $3, $4, 0, 0)";
        let insert = sqlx::query(line).bind(&number).bind(position).bind(name).bind(quantity);
        insert.execute(&older).await.unwrap();
    }
    sandbox.run_ok(&["migrate"]);
    let migrated: Vec<(String, String, i64)> = sqlx::query_as(select).fetch_all(&older).await.unwrap();
    assert_eq!(migrated, expected);
}

#[tokio::test]
async fn restore_ends_sessions_and_tokens_of_an_older_version() {
    let (sandbox, database) = older_version().await;
    database.close().await;
    if sandbox.is_postgres() {
        return;
    }
    std::fs::rename(sandbox.path().join("portal.db"), sandbox.path().join("copy.db")).unwrap();
    let printed = sandbox.run_ok(&["restore", "copy.db"]);
    assert!(printed.contains("2 sessions ended, 1 link and 0 queued messages removed"), "{printed}");
    sandbox.run_ok(&["migrate"]);
    let database = sandbox.database().await;
    let active: i64 = sqlx::query_scalar("SELECT COUNT(*) FROM sessions WHERE revoked_at IS NULL AND expires_at > $1")
        .bind(now())
        .fetch_one(&database)
        .await
        .unwrap();
    assert_eq!(active, 0);
}
