//! Backup and restore.

use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::time::{Duration, Instant};

use sha2::{Digest, Sha256};
use sqlx::AnyPool;

use crate::app::{ANN, BOB, PASSWORD, TestApp};
use crate::mail_server::{MailServer, Mode};
use crate::mailbox;
use crate::sandbox::{CommandOutput, Sandbox};

/// The number of kills, spread over the duration of a command.
const KILLS: u32 = 25;

/// A sandbox with a migrated SQLite database; `None` on PostgreSQL, which has its own tools.
async fn sqlite_sandbox() -> Option<Sandbox> {
    let sandbox = Sandbox::new().await;
    sandbox.run_ok(&["migrate"]);
    (!sandbox.is_postgres()).then_some(sandbox)
}

fn fails_in_one_line(output: &CommandOutput) -> bool {
    output.is_one_line_error(1) && output.stdout.is_empty()
}

/// The files of the sandbox whose name contains `part`.
fn files(sandbox: &Sandbox, part: &str) -> Vec<PathBuf> {
    let entries = std::fs::read_dir(sandbox.path()).unwrap().map(|entry| entry.unwrap().path());
    let mut files: Vec<_> = entries.filter(|path| path.file_name().unwrap().to_string_lossy().contains(part)).collect();
    files.sort();
    files
}

async fn open(file: &Path) -> AnyPool {
    sqlx::any::install_default_drivers();
    let options = sqlx::any::AnyPoolOptions::new().max_connections(1);
    options.connect(&format!("sqlite://{}?mode=rwc", file.display())).await.unwrap()
}

async fn emails(database: &AnyPool) -> Vec<String> {
    sqlx::query_scalar("SELECT email FROM users ORDER BY email").fetch_all(database).await.unwrap()
}

/// The addresses in a closed database file, after an integrity check.
async fn emails_in(file: &Path) -> Vec<String> {
    let database = open(file).await;
    let integrity: String = sqlx::query_scalar("PRAGMA integrity_check").fetch_one(&database).await.unwrap();
    assert_eq!(integrity, "ok", "{}", file.display());
    let emails = emails(&database).await;
    database.close().await;
    emails
}

async fn insert_user(database: &AnyPool, email: &str) {
    let insert = "INSERT INTO users (id, email, password_hash, created_at) VALUES ($1, $2, '', 0)";
    sqlx::query(insert).bind(email).bind(email).execute(database).await.unwrap();
}

/// Fills the database with several megabytes.
async fn fill(database: &AnyPool) {
    let rows = "WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 60000)
                INSERT INTO audit_events (id, event, client_address, user_agent, at)
                SELECT 'row-' || i, 'signed-in', '192.0.2.1', 'a user agent of usual length', 4102444800 FROM n";
    sqlx::query(rows).execute(database).await.unwrap();
}

#[cfg(unix)]
fn mode(file: &Path) -> u32 {
    std::os::unix::fs::PermissionsExt::mode(&std::fs::metadata(file).unwrap().permissions()) & 0o777
}

#[tokio::test]
async fn restore_replaces_a_database_with_a_write_ahead_log() {
    let mut app = TestApp::start().await;
    if app.is_postgres() {
        let output = app.run(&["restore", "copy.db"]);
        assert!(fails_in_one_line(&output) && output.stderr.contains("pg_restore"), "{output:?}");
        return;
    }
    app.customer(ANN).await;
    app.run_ok(&["backup", "copy.db"]);
    app.customer(BOB).await;
    app.stop_with("KILL");
    let database = app.path().join("portal.db");
    assert!(app.path().join("portal.db-wal").exists(), "there is no write-ahead log");
    let output = app.run_ok(&["restore", "copy.db"]);
    assert!(output.contains(database.to_str().unwrap()), "{output}");
    assert_eq!(emails_in(&database).await, [ANN]);
    let replaced = files(&app, ".replaced-");
    assert!(replaced.len() == 1 && output.contains(replaced[0].to_str().unwrap()), "{replaced:?}: {output}");
    assert_eq!(emails_in(&replaced[0]).await, [ANN, BOB], "the replaced database is not complete");
    #[cfg(unix)]
    assert_eq!([mode(&database), mode(&replaced[0]), mode(&app.path().join("portal.db.lock"))], [0o600; 3]);
    assert!(files(&app, ".partial-").is_empty());
    app.restart().await;
    assert_eq!((app.log_in(ANN, PASSWORD).await.status, app.log_in(BOB, PASSWORD).await.status), (303, 401));
}

/// A recovery link of Ann's account.
async fn insert_recovery(app: &TestApp, token: &str) {
    let database = app.database().await;
    let recovery = "INSERT INTO recoveries (id, user_id, email, created_at, expires_at)
         SELECT 'recovery', id, email, 0, 4102444800 FROM users";
    sqlx::query(recovery).execute(&database).await.unwrap();
    let link = sqlx::query("INSERT INTO recovery_tokens (hash, recovery_id) VALUES ($1, 'recovery')");
    link.bind(Sha256::digest(token).to_vec()).execute(&database).await.unwrap();
    database.close().await;
    assert_eq!(app.get(&format!("/not-me?token={token}")).await.status, 200);
}

#[tokio::test]
async fn restored_database_has_no_valid_session_link_or_queued_mail() {
    let server = MailServer::start();
    let mut app = TestApp::start_with(&[("MAIL_URL", &server.url())]).await;
    if app.is_postgres() {
        return;
    }
    let mut visitor = app.customer(ANN).await;
    let mail = server.wait_for_mails(1).await.remove(0);
    let token = "5ca1ab1e".repeat(8);
    insert_recovery(&app, &token).await;
    server.set_mode(Mode::Defer);
    app.visitor().post("/password/forgot", &[("email", ANN)]).await;
    mailbox::wait_for("a deferred message", || app.run_ok(&["mail", "list"]).contains("deferred").then_some(())).await;
    app.run_ok(&["backup", "copy.db"]);
    app.stop_with("TERM");
    let output = app.run_ok(&["restore", "copy.db"]);
    assert!(output.contains("1 session ended, 2 links and 1 queued message removed"), "{output}");
    server.set_mode(Mode::Accept);
    app.restart().await;
    assert_eq!(visitor.get("/orders").await.status, 303, "the session is valid");
    assert_ne!(app.confirm_address(mail.token()).await.status, 303, "the link is valid");
    assert_eq!(app.get(&format!("/not-me?token={token}")).await.status, 404, "the recovery link is valid");
    assert!(app.run_ok(&["mail", "list"]).contains("empty"), "the message is queued");
    assert_eq!(app.log_in(ANN, PASSWORD).await.status, 303);
}

#[tokio::test]
async fn restore_fails_while_a_server_or_command_uses_the_database() {
    let mut app = TestApp::start().await;
    if app.is_postgres() {
        return;
    }
    app.customer(ANN).await;
    app.run_ok(&["backup", "copy.db"]);
    app.customer(BOB).await;
    let output = app.run(&["restore", "copy.db"]);
    assert!(fails_in_one_line(&output) && output.stderr.contains("order-portal serve"), "{output:?}");
    app.stop_with("TERM");
    let mut import = app.command(&["import", "-"]).stdin(Stdio::piped()).stderr(Stdio::null()).spawn().unwrap();
    mailbox::wait_for("an import that waits for input", || app.path().join("portal.db-shm").exists().then_some(()))
        .await;
    let output = app.run(&["restore", "copy.db"]);
    assert!(fails_in_one_line(&output) && output.stderr.contains("in use"), "{output:?}");
    assert!(files(&app, ".replaced-").is_empty() && files(&app, ".partial-").is_empty());
    drop(import.stdin.take());
    import.wait().unwrap();
    assert_eq!(emails_in(&app.path().join("portal.db")).await, [ANN, BOB], "the database was replaced");
    app.run_ok(&["restore", "copy.db"]);
    assert_eq!(emails_in(&app.path().join("portal.db")).await, [ANN]);
}

/// A program that ignores the lock file, such as the SQLite shell.
#[tokio::test]
async fn restore_fails_while_another_program_has_the_database_open() {
    let Some(sandbox) = sqlite_sandbox().await else { return };
    sandbox.run_ok(&["backup", "copy.db"]);
    let database = sandbox.database().await;
    insert_user(&database, ANN).await;
    let output = sandbox.run(&["restore", "copy.db"]);
    assert!(fails_in_one_line(&output) && output.stderr.contains("in use"), "{output:?}");
    assert_eq!(emails(&database).await, [ANN]);
    database.close().await;
    sandbox.run_ok(&["restore", "copy.db"]);
    assert_eq!(emails_in(&sandbox.path().join("portal.db")).await, [""; 0]);
}

#[tokio::test]
async fn restore_rejects_an_invalid_copy_and_changes_nothing() {
    let Some(sandbox) = sqlite_sandbox().await else { return };
    let database = sandbox.database().await;
    insert_user(&database, ANN).await;
    fill(&database).await;
    database.close().await;
    sandbox.run_ok(&["backup", "copy.db"]);
    let whole = std::fs::read(sandbox.path().join("copy.db")).unwrap();
    sandbox.write("text.db", "orders\n");
    sandbox.write("empty.db", "");
    sandbox.write("short.db", &whole[..whole.len() / 2 + 100]);
    let mut damaged = whole.clone();
    let middle = damaged.len() / 2;
    damaged[middle..middle + 20_000].fill(0x5a);
    sandbox.write("damaged.db", damaged);
    sandbox.write("open.db", &whole);
    sandbox.write("open.db-wal", "changes");
    let foreign = open(&sandbox.path().join("foreign.db")).await;
    sqlx::raw_sql("CREATE TABLE users (id TEXT)").execute(&foreign).await.unwrap();
    foreign.close().await;
    for (name, change) in [
        ("newer.db", "UPDATE _sqlx_migrations SET version = 99990101000000 WHERE version = 3"),
        ("changed.db", "UPDATE _sqlx_migrations SET checksum = X'00' WHERE version = 3"),
    ] {
        sandbox.write(name, &whole);
        let copy = open(&sandbox.path().join(name)).await;
        sqlx::raw_sql(change).execute(&copy).await.unwrap();
        copy.close().await;
    }
    let before = std::fs::read(sandbox.path().join("portal.db")).unwrap();
    for (name, reason) in [
        ("nowhere.db", "No such file"),
        (".", "not a file"),
        ("portal.db", "the database itself"),
        ("text.db", "not an SQLite database"),
        ("empty.db", "not an SQLite database"),
        ("short.db", "damaged"),
        ("damaged.db", "damaged"),
        ("open.db", "open.db-wal"),
        ("foreign.db", "not a database of order-portal"),
        ("newer.db", "newer"),
        ("changed.db", "migration 3"),
    ] {
        let output = sandbox.run(&["restore", name]);
        assert!(fails_in_one_line(&output) && output.stderr.contains(reason), "{name}: {output:?}");
        assert!(output.stderr.contains(name), "{name}: {output:?}");
        assert!(std::fs::read(sandbox.path().join("portal.db")).unwrap() == before, "{name} changed the database");
        assert!(files(&sandbox, ".replaced-").is_empty() && files(&sandbox, ".partial-").is_empty(), "{name}");
    }
    sandbox.run_ok(&["restore", "copy.db"]);
}

#[tokio::test]
async fn restore_accepts_a_copy_of_an_older_version() {
    let Some(sandbox) = sqlite_sandbox().await else { return };
    let old = open(&sandbox.path().join("old.db")).await;
    sqlx::raw_sql(include_str!("../migrations/0001_users_sessions_orders.sql")).execute(&old).await.unwrap();
    let attach = format!("ATTACH '{}' AS new", sandbox.path().join("portal.db").display());
    sqlx::raw_sql(sqlx::AssertSqlSafe(attach)).execute(&old).await.unwrap();
    let first = "CREATE TABLE _sqlx_migrations (version BIGINT PRIMARY KEY, description TEXT NOT NULL,
                     installed_on TIMESTAMP NOT NULL DEFAULT CURRENT_TIMESTAMP, success BOOLEAN NOT NULL,
                     checksum BLOB NOT NULL, execution_time BIGINT NOT NULL);
                 INSERT INTO _sqlx_migrations SELECT * FROM new._sqlx_migrations WHERE version = 1";
    sqlx::raw_sql(first).execute(&old).await.unwrap();
    insert_user(&old, ANN).await;
    old.close().await;
    let output = sandbox.run_ok(&["restore", "old.db"]);
    assert!(
        output.contains("0 sessions ended, 0 links and 0 queued messages") && output.contains("migrate"),
        "{output}"
    );
    sandbox.run_ok(&["migrate"]);
    assert!(sandbox.run_ok(&["user", "list"]).contains(ANN));
}

#[tokio::test]
async fn restore_creates_a_missing_database() {
    let Some(mut sandbox) = sqlite_sandbox().await else { return };
    sandbox.run_ok(&["backup", "copy.db"]);
    sandbox.set("DATABASE_URL", "sqlite://other-directory/shop.db");
    let output = sandbox.run_ok(&["restore", "copy.db"]);
    assert!(!output.contains("replaces"), "{output}");
    assert_eq!(emails_in(&sandbox.path().join("other-directory/shop.db")).await, [""; 0]);
    #[cfg(unix)]
    assert_eq!(mode(&sandbox.path().join("other-directory")), 0o700);
}

#[tokio::test]
async fn restore_replaces_a_damaged_database_and_keeps_its_files() {
    let Some(sandbox) = sqlite_sandbox().await else { return };
    sandbox.run_ok(&["backup", "copy.db"]);
    sandbox.write("portal.db", "no database at all");
    sandbox.write("portal.db-wal", "no log either");
    sandbox.run_ok(&["restore", "copy.db"]);
    assert_eq!(emails_in(&sandbox.path().join("portal.db")).await, [""; 0]);
    let mut replaced = files(&sandbox, ".replaced-");
    replaced.sort();
    replaced.retain(|file| !file.to_string_lossy().ends_with("-shm"));
    let contents: Vec<String> = replaced.iter().map(|file| std::fs::read_to_string(file).unwrap()).collect();
    assert_eq!(contents, ["no database at all", "no log either"], "{replaced:?}");
}

/// The duration of the command without a kill.
fn time_of(sandbox: &Sandbox, command: &[&str]) -> Duration {
    let began = Instant::now();
    sandbox.run_ok(command);
    began.elapsed()
}

async fn kill_after(sandbox: &Sandbox, command: &[&str], wait: Duration) {
    let mut child = sandbox.command(command).stdout(Stdio::null()).stderr(Stdio::null()).spawn().unwrap();
    tokio::time::sleep(wait).await;
    child.kill().unwrap();
    child.wait().unwrap();
}

#[tokio::test]
async fn killed_backup_leaves_a_complete_file_or_none() {
    let Some(sandbox) = sqlite_sandbox().await else { return };
    let database = sandbox.database().await;
    insert_user(&database, ANN).await;
    fill(&database).await;
    database.close().await;
    let copy = sandbox.path().join("copy.db");
    let whole = time_of(&sandbox, &["backup", "copy.db"]);
    let (mut complete, mut partial) = (0, 0);
    for number in 0..KILLS {
        std::fs::remove_file(&copy).ok();
        kill_after(&sandbox, &["backup", "copy.db"], whole * number / KILLS).await;
        partial += files(&sandbox, ".copy.db.partial-").len();
        if copy.exists() {
            assert_eq!(emails_in(&copy).await, [ANN]);
            complete += 1;
        }
    }
    assert!(partial > 0, "no kill of {KILLS} came during a write; {complete} backups were complete");
    std::fs::remove_file(&copy).ok();
    sandbox.run_ok(&["backup", "copy.db"]);
    assert!(files(&sandbox, ".partial-").is_empty(), "the next backup did not delete partial files");
}

#[tokio::test]
async fn killed_restore_leaves_the_old_or_the_new_database() {
    let Some(sandbox) = sqlite_sandbox().await else { return };
    let database = sandbox.database().await;
    fill(&database).await;
    sandbox.run_ok(&["backup", "copy.db"]);
    insert_user(&database, ANN).await;
    // The old database with a write-ahead log that has no checkpoint.
    for name in ["portal.db", "portal.db-wal"] {
        std::fs::copy(sandbox.path().join(name), sandbox.path().join(format!("kept-{name}"))).unwrap();
    }
    database.close().await;
    let reset_files = || {
        for file in files(&sandbox, ".replaced-") {
            std::fs::remove_file(file).unwrap();
        }
        std::fs::remove_file(sandbox.path().join("portal.db-shm")).ok();
        for name in ["portal.db", "portal.db-wal"] {
            std::fs::remove_file(sandbox.path().join(name)).ok();
            std::fs::copy(sandbox.path().join(format!("kept-{name}")), sandbox.path().join(name)).unwrap();
        }
    };
    reset_files();
    let whole = time_of(&sandbox, &["restore", "copy.db"]);
    let (mut old, mut new, mut partial) = (0, 0, 0);
    for number in 0..KILLS {
        reset_files();
        kill_after(&sandbox, &["restore", "copy.db"], whole * number / (KILLS - 3)).await;
        partial += files(&sandbox, ".portal.db.partial-").len();
        match emails_in(&sandbox.path().join("portal.db")).await.as_slice() {
            [] => new += 1,
            [email] if email == ANN => old += 1,
            other => panic!("{other:?} after {number}"),
        }
    }
    assert!(old > 0 && partial > 0, "{old} old databases, {new} new databases, {partial} partial files");
}
