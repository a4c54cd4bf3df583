//! `order-portal copy`: whole databases, within one engine and between both. The source of most tests is an SQLite file; the target is of
//! the engine under test.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use sqlx::{AnyPool, AssertSqlSafe};

use crate::app::{ANN, TestApp};
use crate::sandbox::Sandbox;
use crate::shop::{line, order};

pub fn sqlite_url(file: &Path) -> String {
    format!("sqlite://{}", file.display())
}

/// A sandbox whose own database is the target, and a migrated SQLite file.
pub async fn target_and_source() -> (Sandbox, PathBuf) {
    let mut sandbox = Sandbox::new().await;
    let target = sandbox.setting("DATABASE_URL").to_owned();
    let source = sandbox.path().join("source.db");
    sandbox.set("DATABASE_URL", &sqlite_url(&source));
    sandbox.run_ok(&["migrate"]);
    sandbox.set("DATABASE_URL", &target);
    (sandbox, source)
}

pub async fn open(file: &Path) -> AnyPool {
    AnyPool::connect(&sqlite_url(file)).await.unwrap()
}

/// A column as its table's declaration has it.
struct Column {
    name: String,
    kind: String,
    is_required: bool,
}

async fn tables(database: &AnyPool) -> BTreeMap<String, (String, Vec<Column>)> {
    let all = "SELECT name, sql FROM sqlite_master WHERE type = 'table' AND name <> '_sqlx_migrations'
               AND name NOT LIKE 'sqlite%'";
    let mut tables = BTreeMap::new();
    let named: Vec<(String, String)> = sqlx::query_as(all).fetch_all(database).await.unwrap();
    for (table, sql) in named {
        let columns = "SELECT name, type, \"notnull\" FROM pragma_table_info($1) ORDER BY cid";
        let rows: Vec<(String, String, i64)> = sqlx::query_as(columns).bind(&table).fetch_all(database).await.unwrap();
        let column = |(name, kind, required)| Column { name, kind, is_required: required == 1 };
        tables.insert(table, (sql, rows.into_iter().map(column).collect()));
    }
    tables
}

/// The first value that a `CHECK (column IN ('…'` of the declaration accepts.
fn checked_value(declaration: &str, column: &str) -> Option<String> {
    let (_, after) = declaration.split_once(&format!("({column} IN ('"))?;
    after.split('\'').next().map(str::to_owned)
}

/// An SQL literal. The ids of all tables are equal, so that references are valid.
fn literal(declaration: &str, column: &Column, row: usize) -> String {
    let is_key = column.name == "id" || column.name == "key" || column.name.ends_with("_id");
    match column.kind.as_str() {
        _ if row == 0 && !column.is_required => "NULL".to_owned(),
        "BIGINT" => ["-9223372036854775808", "9223372036854775807", "0"][row].to_owned(),
        "BYTEA" => ["x''", "x'00ff0a'", "x'de'"][row].to_owned(),
        _ if is_key => format!("'{row}'"),
        _ => match checked_value(declaration, &column.name) {
            Some(value) => format!("'{value}'"),
            None => ["''", "'Zoë''s \"naïve\" — 日本 🧺\n\\N\t'", "'x'"][row].to_owned(),
        },
    }
}

/// Three rows in each table, with extreme values of each type.
async fn fill_every_table(database: &AnyPool) {
    let mut inserts = String::from("PRAGMA defer_foreign_keys = ON; DELETE FROM write_probe; DELETE FROM counters;");
    for (table, (declaration, columns)) in tables(database).await {
        for row in 0..3 {
            let values: Vec<String> = columns.iter().map(|column| literal(&declaration, column, row)).collect();
            inserts.push_str(&format!("INSERT INTO {table} VALUES ({});", values.join(", ")));
        }
    }
    let mut transaction = database.begin().await.unwrap();
    sqlx::raw_sql(AssertSqlSafe(inserts)).execute(&mut *transaction).await.unwrap();
    transaction.commit().await.unwrap();
}

/// The rows of each table, the declarations, and the versions of the migrations, sorted: PostgreSQL does not keep the order of rows.
pub async fn dump(file: &Path) -> BTreeMap<String, Vec<String>> {
    let database = open(file).await;
    let rows = async |sql: String| sqlx::query_scalar(AssertSqlSafe(sql)).fetch_all(&database).await.unwrap();
    let mut dump = BTreeMap::new();
    for (table, (_, columns)) in tables(&database).await {
        let values: Vec<String> = columns.iter().map(|column| format!("quote({})", column.name)).collect();
        let mut all: Vec<String> = rows(format!("SELECT {} FROM {table}", values.join(" || ',' || "))).await;
        all.sort();
        dump.insert(table, all);
    }
    let declarations = "SELECT name || COALESCE(sql, '') FROM sqlite_master ORDER BY type, name";
    dump.insert("declarations".to_owned(), rows(declarations.to_owned()).await);
    let versions = "SELECT version || description FROM _sqlx_migrations ORDER BY version";
    dump.insert("versions".to_owned(), rows(versions.to_owned()).await);
    database.close().await;
    dump
}

/// Copies the file into the database under test, and that one into a new file.
fn copy_there_and_back(sandbox: &Sandbox, source: &Path) -> (PathBuf, String) {
    let target = sandbox.setting("DATABASE_URL");
    let printed = sandbox.run_ok(&["copy", &sqlite_url(source), target]);
    let back = sandbox.path().join("new-directory/back.db");
    sandbox.run_ok(&["copy", target, &sqlite_url(&back)]);
    (back, printed)
}

#[tokio::test]
async fn copy_there_and_back_keeps_every_row_of_every_table() {
    let (sandbox, source) = target_and_source().await;
    let database = open(&source).await;
    fill_every_table(&database).await;
    database.close().await;
    let (back, printed) = copy_there_and_back(&sandbox, &source);
    let (before, after) = (dump(&source).await, dump(&back).await);
    assert!(before.len() >= 23, "{:?}", before.keys());
    for (table, rows) in &before {
        assert!(rows.len() >= 3, "{table} was not filled");
        assert_eq!(after[table], *rows, "{table}");
        let is_listed = printed.lines().any(|line| line.starts_with(&format!("{table} ")) && line.contains("3 rows"));
        assert!(is_listed || ["declarations", "versions"].contains(&table.as_str()), "{table}: {printed}");
    }
    assert_eq!(before.len(), after.len());
    assert!(printed.contains("checksum of each table are equal"), "{printed}");
    #[cfg(unix)]
    for (path, mode) in [(back.as_path(), 0o600), (back.parent().unwrap(), 0o700)] {
        let permissions = std::fs::metadata(path).unwrap().permissions();
        assert_eq!(std::os::unix::fs::PermissionsExt::mode(&permissions) & 0o777, mode, "{}", path.display());
    }
}

#[tokio::test]
async fn copy_keeps_more_rows_than_fit_one_batch() {
    let (sandbox, source) = target_and_source().await;
    let database = open(&source).await;
    let rows = "WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 5037)
                INSERT INTO audit_events (id, event, client_address, user_agent, at)
                SELECT hex(randomblob(16)), 'signed-in', '192.0.2.' || i, printf('%.*c', i % 300, 'x'), i FROM n";
    sqlx::raw_sql(rows).execute(&database).await.unwrap();
    let large = "UPDATE audit_events SET user_agent = printf('%.*c', 3000000, 'y') WHERE at % 1000 = 0";
    sqlx::raw_sql(large).execute(&database).await.unwrap();
    database.close().await;
    let (back, printed) = copy_there_and_back(&sandbox, &source);
    assert!(printed.contains("5,037 rows"), "{printed}");
    assert!(dump(&source).await == dump(&back).await);
}

#[tokio::test]
async fn copied_database_has_the_indexes_of_a_migrated_one() {
    let (sandbox, source) = target_and_source().await;
    if !sandbox.is_postgres() {
        // The other tests compare the declarations.
        return;
    }
    sandbox.run_ok(&["copy", &sqlite_url(&source), sandbox.setting("DATABASE_URL")]);
    let migrated = Sandbox::new().await;
    migrated.run_ok(&["migrate"]);
    let declarations = async |sandbox: &Sandbox| -> Vec<String> {
        let database = sandbox.database().await;
        let all = "SELECT indexdef FROM pg_indexes WHERE schemaname = 'public' ORDER BY indexname";
        let rows = sqlx::query_scalar(all).fetch_all(&database).await.unwrap();
        database.close().await;
        rows
    };
    let expected = declarations(&migrated).await;
    assert!(expected.len() > 40, "{expected:?}");
    assert_eq!(declarations(&sandbox).await, expected);
}

#[tokio::test]
async fn copied_shop_has_its_sessions_and_orders_while_the_source_is_served() {
    let rows = [order("#1001", ANN), line("#1001", ANN, "Pen"), order("#1002", ANN)];
    let (app, mut ann) = TestApp::start_with_orders(&rows).await;
    let mut target = Sandbox::new().await;
    // It is in the tokens.
    target.set("PUBLIC_URL", app.setting("PUBLIC_URL"));
    app.run_ok(&["copy", app.setting("DATABASE_URL"), target.setting("DATABASE_URL")]);
    let copy = TestApp::start_in(target).await;
    let mut visitor = copy.visitor();
    visitor.set_session_token(&ann.token());
    let (before, after) = (ann.get("/orders").await, visitor.get("/orders").await);
    assert_eq!((before.status, after.status), (200, 200));
    assert!(after.text().contains("1001") && after.text().contains("1002"), "{}", after.text());
    app.run_ok(&["user", "disable", ANN]);
    assert_eq!(visitor.get("/orders").await.status, 200, "the copy depends on the source");
}

#[tokio::test]
async fn copy_of_a_database_in_use_is_one_snapshot() {
    let (sandbox, source) = target_and_source().await;
    // The source of the engine under test.
    sandbox.run_ok(&["copy", &sqlite_url(&source), sandbox.setting("DATABASE_URL")]);
    let database = sandbox.database().await;
    let fill = "INSERT INTO users (id, email, password_hash, created_at) VALUES ('u', 'u@example.com', '', 0)";
    sqlx::query(fill).execute(&database).await.unwrap();
    for batch in 0..20 {
        let values: Vec<String> = (0..500).map(|row| format!("('{batch}-{row}', 'x', '', '', 0)")).collect();
        let insert =
            format!("INSERT INTO audit_events (id, event, client_address, user_agent, at) VALUES {}", values.join(","));
        sqlx::query(AssertSqlSafe(insert)).execute(&database).await.unwrap();
    }
    let writer = tokio::spawn(async move {
        // One table is read before audit_events, the other after it.
        for number in 0_i64.. {
            let mut transaction = database.begin().await.unwrap();
            for sql in [
                "INSERT INTO counters (name, value) VALUES ('written', $1) ON CONFLICT (name) DO UPDATE SET value = excluded.value",
                "UPDATE users SET created_at = $1",
            ] {
                sqlx::query(sql).bind(number).execute(&mut *transaction).await.unwrap();
            }
            if transaction.commit().await.is_err() {
                break;
            }
            tokio::time::sleep(std::time::Duration::from_millis(5)).await;
        }
    });
    let mut copies = Vec::new();
    for number in 0..3 {
        let copy = sandbox.path().join(format!("copy-{number}.db"));
        let (from, to) = (sandbox.setting("DATABASE_URL").to_owned(), sqlite_url(&copy));
        let mut command = sandbox.command(&["copy", &from, &to]);
        let output = tokio::task::spawn_blocking(move || command.output().unwrap()).await.unwrap();
        assert!(output.status.success(), "{output:?}");
        let copied = open(&copy).await;
        let select = "SELECT value, created_at FROM counters, users WHERE name = 'written'";
        copies.push(sqlx::query_as::<_, (i64, i64)>(select).fetch_one(&copied).await.unwrap());
        copied.close().await;
    }
    writer.abort();
    assert!(copies.iter().all(|(one, other)| one == other), "{copies:?}");
    assert!(copies[0].0 < copies[2].0, "nothing was written during the copies: {copies:?}");
}
