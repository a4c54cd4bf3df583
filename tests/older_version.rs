//! A database that an older version has used: its rows survive the migrations and the restore.

use std::path::Path;

use sqlx::AnyPool;
use sqlx::migrate::Migrator;

use crate::place::Place;
use crate::token::now;

/// The last version before tables of accounts were renamed.
const BEFORE_RENAMES: i64 = 9;

/// A database of that version with one row of each table that migration 10 renames.
async fn place_of_older_version() -> (Place, AnyPool) {
    let place = Place::new().await;
    let migrations = place.path().join("older-migrations");
    std::fs::create_dir(&migrations).unwrap();
    let all = Path::new(env!("CARGO_MANIFEST_DIR")).join("migrations");
    for file in std::fs::read_dir(all).unwrap().map(|file| file.unwrap()) {
        let name = file.file_name().into_string().unwrap();
        if name[..4].parse::<i64>().unwrap() <= BEFORE_RENAMES {
            std::fs::copy(file.path(), migrations.join(name)).unwrap();
        }
    }
    let file = place.path().join("portal.db");
    if !place.is_postgres() {
        std::fs::File::create(file).unwrap();
    }
    let database = place.database().await;
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
    (place, database)
}

#[tokio::test]
async fn migration_keeps_the_rows_of_renamed_tables() {
    let (place, database) = place_of_older_version().await;
    let printed = place.done(&["migrate"]);
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
        let sql = sqlx::AssertSqlSafe(format!("SELECT COUNT(*) FROM {table} WHERE user_id = 'u'"));
        assert_eq!(sqlx::query_scalar::<_, i64>(sql).fetch_one(&database).await.unwrap(), 1, "{table}");
    }
    sqlx::query("DELETE FROM users").execute(&database).await.unwrap();
    let left: i64 = sqlx::query_scalar("SELECT COUNT(*) FROM email_tokens").fetch_one(&database).await.unwrap();
    assert_eq!(left, 0, "the foreign key of a renamed table is lost");
}

#[tokio::test]
async fn restore_ends_sessions_and_tokens_of_an_older_version() {
    let (place, database) = place_of_older_version().await;
    database.close().await;
    if place.is_postgres() {
        return;
    }
    std::fs::rename(place.path().join("portal.db"), place.path().join("copy.db")).unwrap();
    let printed = place.done(&["restore", "copy.db"]);
    assert!(printed.contains("2 sessions ended, 1 link and 0 queued messages removed"), "{printed}");
    place.done(&["migrate"]);
    let database = place.database().await;
    let active: i64 = sqlx::query_scalar("SELECT COUNT(*) FROM sessions WHERE revoked_at IS NULL AND expires_at > $1")
        .bind(now())
        .fetch_one(&database)
        .await
        .unwrap();
    assert_eq!(active, 0);
}
