//! The database of an older version: rows survive migrations and a restore.

use std::path::Path;

use sqlx::AnyPool;
use sqlx::migrate::Migrator;

use crate::app::ANN;
use crate::sandbox::Sandbox;
use crate::shop::{export, orders};
use crate::token::now;

/// The last version before the account tables were renamed.
const BEFORE_RENAMES: i64 = 9;

/// A database of that version with a row in each table that migration 10 renames.
async fn older_version() -> (Sandbox, AnyPool) {
    let sandbox = Sandbox::new().await;
    let migrations = sandbox.path().join("older-migrations");
    std::fs::create_dir(&migrations).unwrap();
    let all = Path::new(env!("CARGO_MANIFEST_DIR")).join("migrations");
    for file in std::fs::read_dir(all).unwrap().map(|file| file.unwrap()) {
        let name = file.file_name().into_string().unwrap();
        if name[..4].parse::<i64>().unwrap() <= BEFORE_RENAMES {
            std::fs::copy(file.path(), migrations.join(name)).unwrap();
        }
    }
    let file = sandbox.path().join("portal.db");
    if !sandbox.is_postgres() {
        std::fs::File::create(file).unwrap();
    }
    let database = sandbox.database().await;
    Migrator::new(migrations).await.unwrap().run(&database).await.unwrap();
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

/// Reverts `0009_orders_names.sql`.
async fn revert_renamed_columns(sandbox: &Sandbox) {
    let revert = "ALTER TABLE orders RENAME COLUMN reordered_from TO copy_of;
        ALTER TABLE orders RENAME COLUMN search_prefix TO search_head;
        ALTER TABLE orders RENAME COLUMN content_hash TO fingerprint;
        DROP INDEX orders_without_search_text;
        CREATE INDEX orders_unsearchable ON orders (id) WHERE search_head = '';
        DROP INDEX orders_reorders;
        CREATE INDEX orders_placed_here ON orders (placed_at) WHERE copy_of IS NOT NULL;
        UPDATE counters SET name = 'orders placed here', value = 1234 WHERE name = 'reorders';
        UPDATE orders SET copy_of = '5000' WHERE number = '5001';
        DELETE FROM _sqlx_migrations WHERE version = 9";
    let database = sandbox.database().await;
    sqlx::raw_sql(revert).execute(&database).await.unwrap();
    database.close().await;
}

#[tokio::test]
async fn migration_renames_order_columns_and_keeps_their_values() {
    let sandbox = Sandbox::new().await;
    sandbox.run_ok(&["migrate"]);
    sandbox.write("orders.csv", export(&orders(3, ANN)));
    sandbox.run_ok(&["import", "orders.csv"]);
    revert_renamed_columns(&sandbox).await;
    sandbox.run_ok(&["migrate"]);
    let unchanged = "3 orders with 3 lines: 0 new, 0 changed, 3 unchanged\n";
    assert_eq!(sandbox.run_ok(&["import", "orders.csv"]), unchanged, "the content hash is lost");
    let database = sandbox.database().await;
    let reorders: Vec<(String, String)> =
        sqlx::query_as("SELECT number, search_prefix FROM orders WHERE reordered_from = '5000'")
            .fetch_all(&database)
            .await
            .unwrap();
    assert_eq!(reorders, [("5001".to_owned(), "#5001\nnb-1 notebook, ruled".to_owned())]);
    let counter: i64 =
        sqlx::query_scalar("SELECT value FROM counters WHERE name = 'reorders'").fetch_one(&database).await.unwrap();
    assert_eq!(counter, 1234);
    database.close().await;
}
