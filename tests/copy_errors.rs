//! What `order-portal copy` refuses, and what a failed or killed copy leaves.

use std::process::Stdio;
use std::time::{Duration, Instant};

use rustix::process::{Pid, Signal, kill_process};
use sqlx::AssertSqlSafe;

use crate::app::TestApp;
use crate::copy::{dump, open, sqlite_url, target_and_source};
use crate::sandbox::{CommandOutput, Sandbox};

const KILLS: u32 = 12;

fn fails_in_one_line(output: &CommandOutput) -> bool {
    output.is_one_line_error(1) && output.stdout.is_empty()
}

fn copy(sandbox: &Sandbox, from: &str, to: &str) -> CommandOutput {
    sandbox.run(&["copy", from, to])
}

/// Whether the target of the sandbox is absent or has no rows.
async fn is_empty(sandbox: &Sandbox) -> bool {
    let is_absent = !sandbox.is_postgres() && !sandbox.path().join("portal.db").exists();
    is_absent || sandbox.count("users").await + sandbox.count("audit_events").await == 0
}

async fn execute(file: &std::path::Path, sql: &str) {
    let database = open(file).await;
    sqlx::raw_sql(AssertSqlSafe(sql)).execute(&database).await.unwrap();
    database.close().await;
}

const ADD_USER: &str = "INSERT INTO users (id, email, password_hash, created_at) VALUES ('u', 'u@example.com', '', 0)";

#[tokio::test]
async fn copy_refuses_a_target_with_rows() {
    let (sandbox, source) = target_and_source().await;
    execute(&source, ADD_USER).await;
    let target = sandbox.setting("DATABASE_URL");
    sandbox.run_ok(&["migrate"]);
    sandbox
        .execute("INSERT INTO rate_limits (key, attempts, last_at, blocked_until, resets_at) VALUES ('k', 1, 0, 0, 0)")
        .await;
    let output = copy(&sandbox, &sqlite_url(&source), target);
    assert!(fails_in_one_line(&output) && output.stderr.contains("rate_limits has rows"), "{output:?}");
    assert_eq!((sandbox.count("users").await, sandbox.count("rate_limits").await), (0, 1));
    sandbox.execute("DELETE FROM rate_limits").await;
    sandbox.execute("UPDATE counters SET value = 7").await;
    // A migrated database without more rows is empty, used by check or not.
    sandbox.run_ok(&["check"]);
    sandbox.run_ok(&["copy", &sqlite_url(&source), target]);
    assert_eq!((sandbox.count("users").await, sandbox.count("counters WHERE value = 7").await), (1, 0));
    let again = copy(&sandbox, &sqlite_url(&source), target);
    assert!(fails_in_one_line(&again) && again.stderr.contains("not empty"), "{again:?}");
}

#[tokio::test]
async fn copy_refuses_a_target_of_another_program() {
    let (sandbox, source) = target_and_source().await;
    let target = sandbox.setting("DATABASE_URL");
    if sandbox.is_postgres() {
        sandbox.execute("CREATE TABLE films (title TEXT)").await;
    } else {
        std::fs::File::create(sandbox.path().join("portal.db")).unwrap();
        sandbox.execute("CREATE TABLE films (title TEXT)").await;
        sandbox.write("notes.txt", "not a database, and longer than the first bytes of one");
        let output = copy(&sandbox, &sqlite_url(&source), "sqlite://notes.txt");
        assert!(fails_in_one_line(&output) && output.stderr.contains("not a database of order-portal"), "{output:?}");
        assert!(std::fs::read_to_string(sandbox.path().join("notes.txt")).unwrap().starts_with("not a database"));
    }
    let output = copy(&sandbox, &sqlite_url(&source), target);
    assert!(fails_in_one_line(&output) && output.stderr.contains("not a database of order-portal"), "{output:?}");
    assert_eq!(sandbox.count("films").await, 0);
}

#[tokio::test]
async fn copy_refuses_the_source_as_target() {
    let (sandbox, source) = target_and_source().await;
    let same = "same database";
    let output = copy(&sandbox, &sqlite_url(&source), "sqlite://./source.db");
    assert!(fails_in_one_line(&output) && output.stderr.contains(same), "{output:?}");
    std::fs::hard_link(&source, sandbox.path().join("linked.db")).unwrap();
    let output = copy(&sandbox, &sqlite_url(&source), "sqlite://linked.db");
    assert!(fails_in_one_line(&output) && output.stderr.contains(same), "{output:?}");
    if sandbox.is_postgres() {
        let target = sandbox.setting("DATABASE_URL");
        sandbox.run_ok(&["migrate"]);
        let other_name = target.replace("127.0.0.1", "localhost");
        let output = copy(&sandbox, target, &other_name);
        assert!(fails_in_one_line(&output) && output.stderr.contains(same), "{output:?}");
    }
}

#[tokio::test]
async fn copy_refuses_a_source_that_is_absent_or_of_another_version() {
    let (sandbox, source) = target_and_source().await;
    let target = sandbox.setting("DATABASE_URL");
    let output = copy(&sandbox, "sqlite://nowhere/shop.db", target);
    let full = sandbox.path().join("nowhere/shop.db");
    assert!(fails_in_one_line(&output) && output.stderr.contains(full.to_str().unwrap()), "{output:?}");
    let changes = [
        ("DELETE FROM _sqlx_migrations WHERE version = (SELECT MAX(version) FROM _sqlx_migrations)", "order-portal migrate"),
        ("INSERT INTO _sqlx_migrations SELECT 99990101000000, description, installed_on, success, checksum, execution_time
          FROM _sqlx_migrations WHERE version = 3", "newer"),
    ];
    for (change, reason) in changes {
        let changed = sandbox.path().join("changed.db");
        std::fs::copy(&source, &changed).unwrap();
        execute(&changed, change).await;
        let output = copy(&sandbox, &sqlite_url(&changed), target);
        assert!(fails_in_one_line(&output) && output.stderr.contains(reason), "{output:?}");
    }
    execute(&source, "ALTER TABLE users ADD COLUMN nickname TEXT").await;
    let output = copy(&sandbox, &sqlite_url(&source), target);
    assert!(fails_in_one_line(&output) && output.stderr.contains("users"), "{output:?}");
    assert!(is_empty(&sandbox).await);
}

#[tokio::test]
async fn copy_names_tables_that_it_leaves_out() {
    let (sandbox, source) = target_and_source().await;
    execute(&source, "CREATE TABLE notes (at TIMESTAMP); INSERT INTO notes VALUES (1.5)").await;
    let output = copy(&sandbox, &sqlite_url(&source), sandbox.setting("DATABASE_URL"));
    assert!(output.status == 0 && output.stderr.contains("notes"), "{output:?}");
}

#[tokio::test]
async fn copy_never_prints_a_password() {
    let sandbox = Sandbox::new().await;
    let port = crate::sandbox::free_port();
    let secret = format!("postgres://portal:hunter2@127.0.0.1:{port}/shop?sslmode=disable");
    for (from, to, status) in [
        (secret.as_str(), "sqlite://copy.db", 1),
        ("sqlite://source.db", secret.as_str(), 1),
        ("postgre://portal:hunter2@db/shop", "sqlite://copy.db", 2),
        ("sqlite://source.db", "portal:hunter2@db/shop", 2),
        (secret.as_str(), secret.as_str(), 1),
    ] {
        let output = copy(&sandbox, from, to);
        assert!(output.is_one_line_error(status) && !output.text().contains("hunter2"), "{output:?}");
    }
    assert!(!sandbox.path().join("copy.db").exists());
}

#[tokio::test]
async fn copy_refuses_a_target_in_use() {
    let (sandbox, source) = target_and_source().await;
    if sandbox.is_postgres() {
        sandbox.run_ok(&["migrate"]);
        let database = sandbox.database().await;
        let mut transaction = database.begin().await.unwrap();
        sqlx::query("SELECT COUNT(*) FROM users").fetch_one(&mut *transaction).await.unwrap();
        let output = copy(&sandbox, &sqlite_url(&source), sandbox.setting("DATABASE_URL"));
        assert!(fails_in_one_line(&output) && output.stderr.contains("in use"), "{output:?}");
        return;
    }
    let served = TestApp::start().await;
    let output = copy(&sandbox, &sqlite_url(&source), served.setting("DATABASE_URL"));
    assert!(fails_in_one_line(&output) && output.stderr.contains("in use"), "{output:?}");
    assert_eq!(served.get("/login").await.status, 200);
}

#[tokio::test]
async fn failed_copy_leaves_the_target_empty() {
    let (sandbox, source) = target_and_source().await;
    let target = sandbox.setting("DATABASE_URL");
    execute(&source, ADD_USER).await;
    // Text with an invalid encoding, in a table that comes after users.
    execute(&source, "INSERT INTO sessions (id, user_id, audience, is_persistent, client_address, user_agent, created_at, last_seen_at,
         expires_at) VALUES ('s', 'u', 'web', 'no', '', x'ff', 0, 0, 0)").await;
    let output = copy(&sandbox, &sqlite_url(&source), target);
    assert!(fails_in_one_line(&output) && output.stderr.contains("table sessions"), "{output:?}");
    assert!(is_empty(&sandbox).await);
    execute(&source, "UPDATE sessions SET user_agent = ''").await;
    sandbox.run_ok(&["copy", &sqlite_url(&source), target]);
    assert_eq!((sandbox.count("users").await, sandbox.count("sessions").await), (1, 1));
}

const ADD_EVENTS: &str = "WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 20000)
    INSERT INTO audit_events (id, event, client_address, user_agent, at)
    SELECT 'row-' || i, 'signed-in', '192.0.2.1', 'a user agent of usual length', 4102444800 FROM n";

#[tokio::test]
async fn killed_copy_leaves_the_target_empty_or_complete() {
    let (sandbox, source) = target_and_source().await;
    execute(&source, ADD_EVENTS).await;
    let reference = sandbox.path().join("reference.db");
    let began = Instant::now();
    sandbox.run_ok(&["copy", &sqlite_url(&source), &sqlite_url(&reference)]);
    let whole = began.elapsed();
    let target = sandbox.setting("DATABASE_URL");
    let command = ["copy", &sqlite_url(&source), target];
    let mut empty = 0;
    for number in 0..KILLS {
        let mut child = sandbox.command(&command).stdout(Stdio::null()).stderr(Stdio::null()).spawn().unwrap();
        tokio::time::sleep(whole * number / KILLS).await;
        child.kill().unwrap();
        child.wait().unwrap();
        let is_absent = !sandbox.is_postgres() && !sandbox.path().join("portal.db").exists();
        let events = if is_absent { 0 } else { count_events(&sandbox).await };
        assert!(events == 0 || events == 20_000, "{events} rows after kill {number}");
        if events > 0 {
            break;
        }
        empty += 1;
    }
    assert!(empty > KILLS / 3, "only {empty} kills came before the end");
    if is_empty(&sandbox).await {
        sandbox.run_ok(&command);
    }
    let back = sandbox.path().join("back.db");
    sandbox.run_ok(&["copy", target, &sqlite_url(&back)]);
    assert!(dump(&back).await == dump(&source).await);
    let partial = std::fs::read_dir(sandbox.path()).unwrap().map(|entry| entry.unwrap().file_name());
    assert!(!partial.into_iter().any(|name| name.to_string_lossy().contains(".partial-")));
}

/// 0 before the migrations. The server ends the killed command's transaction meanwhile.
async fn count_events(sandbox: &Sandbox) -> i64 {
    let database = sandbox.database().await;
    let count = sqlx::query_scalar("SELECT COUNT(*) FROM audit_events").fetch_one(&database).await;
    database.close().await;
    count.unwrap_or(0)
}

#[tokio::test]
async fn copy_stopped_by_a_signal_says_that_the_target_has_no_rows() {
    let (sandbox, source) = target_and_source().await;
    execute(&source, ADD_EVENTS).await;
    execute(&source, &ADD_EVENTS.replace("'row-'", "'more-'").replace("20000", "200000")).await;
    let command = ["copy", &sqlite_url(&source), sandbox.setting("DATABASE_URL")];
    let child = sandbox.command(&command).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
    tokio::time::sleep(Duration::from_millis(1500)).await;
    kill_process(Pid::from_child(&child), Signal::INT).unwrap();
    let output = CommandOutput::from(child.wait_with_output().unwrap());
    assert!(fails_in_one_line(&output) && output.stderr.contains("run the same command again"), "{output:?}");
    assert!(is_empty(&sandbox).await);
}

/// A trigger of the target that drops rows, and one that changes them.
#[tokio::test]
async fn copy_detects_rows_that_differ_afterwards() {
    let (sandbox, source) = target_and_source().await;
    if !sandbox.is_postgres() {
        // An SQLite target is a new file, without triggers.
        return;
    }
    execute(&source, ADD_USER).await;
    sandbox.run_ok(&["migrate"]);
    for result in ["NULL", "NEW"] {
        let function = format!(
            "CREATE OR REPLACE FUNCTION spoil() RETURNS trigger LANGUAGE plpgsql AS
             'BEGIN NEW.created_at = 1; RETURN {result}; END'"
        );
        sandbox.execute(&function).await;
        sandbox
            .execute("CREATE OR REPLACE TRIGGER spoil BEFORE INSERT ON users FOR EACH ROW EXECUTE FUNCTION spoil()")
            .await;
        let output = copy(&sandbox, &sqlite_url(&source), sandbox.setting("DATABASE_URL"));
        assert!(fails_in_one_line(&output) && output.stderr.contains("table users differs"), "{output:?}");
        assert_eq!(sandbox.count("users").await, 0);
    }
    sandbox.execute("DROP TRIGGER spoil ON users").await;
    sandbox.run_ok(&["copy", &sqlite_url(&source), sandbox.setting("DATABASE_URL")]);
    assert_eq!(sandbox.count("users WHERE created_at = 0").await, 1);
}

#[tokio::test]
async fn copy_creates_an_absent_postgres_database() {
    let (sandbox, source) = target_and_source().await;
    if !sandbox.is_postgres() {
        return;
    }
    execute(&source, ADD_USER).await;
    let target = sandbox.setting("DATABASE_URL");
    let created = format!("{target}_created");
    sandbox.run_ok(&["copy", &sqlite_url(&source), &created]);
    let (_, name) = created.rsplit_once('/').unwrap();
    let back = copy(&sandbox, &created, "sqlite://back.db");
    sandbox.execute(&format!("DROP DATABASE {name} WITH (FORCE)")).await;
    assert_eq!(back.status, 0, "{back:?}");
    assert!(dump(&sandbox.path().join("back.db")).await == dump(&source).await);
}
