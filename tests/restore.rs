//! Backups and their way back.

use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::time::{Duration, Instant};

use sha2::{Digest, Sha256};
use sqlx::AnyPool;

use crate::app::{PASSWORD, TestApp};
use crate::mail_server::{MailServer, Mood};
use crate::mailbox;
use crate::place::{Place, Ran};

const ANN: &str = "ann@example.com";
const BOB: &str = "bob@example.com";
/// How many moments a command is killed at.
const KILLS: u32 = 25;

/// A place with a migrated SQLite database; `None` on PostgreSQL, which has tools of its own.
async fn sqlite_place() -> Option<Place> {
    let place = Place::new().await;
    place.done(&["migrate"]);
    (!place.is_postgres()).then_some(place)
}

async fn log_in(app: &TestApp, email: &str) -> u16 {
    app.visitor().post("/login", &[("email", email), ("password", PASSWORD)]).await.status
}

fn fails_in_one_line(ran: &Ran) -> bool {
    ran.status == 1 && ran.stdout.is_empty() && ran.stderr.trim_end().lines().count() == 1
}

/// Files of the place whose name contains `part`.
fn files(place: &Place, part: &str) -> Vec<PathBuf> {
    let entries = std::fs::read_dir(place.path()).unwrap().map(|entry| entry.unwrap().path());
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

/// The addresses in a database file that nobody has open, once its integrity is checked.
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

/// Makes the database some megabytes large.
async fn fill(database: &AnyPool) {
    let rows = "WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 60000)
                INSERT INTO audit_events (id, event, client_address, user_agent, at)
                SELECT 'row-' || i, 'signed-in', '192.0.2.1', 'a program with a name of usual length', 4102444800 FROM n";
    sqlx::query(rows).execute(database).await.unwrap();
}

#[cfg(unix)]
fn mode(file: &Path) -> u32 {
    std::os::unix::fs::PermissionsExt::mode(&std::fs::metadata(file).unwrap().permissions()) & 0o777
}

#[tokio::test]
async fn restore_replaces_a_database_whose_write_ahead_log_was_left() {
    let mut app = TestApp::start().await;
    if app.is_postgres() {
        let ran = app.run(&["restore", "copy.db"]);
        assert!(fails_in_one_line(&ran) && ran.stderr.contains("pg_restore"), "{ran:?}");
        return;
    }
    app.customer(ANN).await;
    app.done(&["backup", "copy.db"]);
    app.customer(BOB).await;
    app.stop_by("KILL");
    let database = app.path().join("portal.db");
    assert!(app.path().join("portal.db-wal").exists(), "the log is what makes it difficult");
    let said = app.done(&["restore", "copy.db"]);
    assert!(said.contains(database.to_str().unwrap()), "{said}");
    assert_eq!(emails_in(&database).await, [ANN]);
    let replaced = files(&app, ".replaced-");
    assert!(replaced.len() == 1 && said.contains(replaced[0].to_str().unwrap()), "{replaced:?}: {said}");
    assert_eq!(emails_in(&replaced[0]).await, [ANN, BOB], "the replaced database is not complete");
    #[cfg(unix)]
    assert_eq!([mode(&database), mode(&replaced[0]), mode(&app.path().join("portal.db.lock"))], [0o600; 3]);
    assert!(files(&app, ".partial-").is_empty());
    app.start_again().await;
    assert_eq!((log_in(&app, ANN).await, log_in(&app, BOB).await), (303, 401));
}

/// A recovery link to the account of Ann.
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
async fn restored_database_brings_back_no_session_no_link_and_no_mail() {
    let server = MailServer::start();
    let mut app = TestApp::start_with(&[("MAIL_URL", &server.url())]).await;
    if app.is_postgres() {
        return;
    }
    let mut visitor = app.customer(ANN).await;
    let mail = server.has_taken(1).await.remove(0);
    let token = "5ca1ab1e".repeat(8);
    insert_recovery(&app, &token).await;
    server.is_now(Mood::PutsOff);
    app.visitor().post("/password/forgot", &[("email", ANN)]).await;
    mailbox::until("a deferred message", || app.done(&["mail", "list"]).contains("deferred").then_some(())).await;
    app.done(&["backup", "copy.db"]);
    app.stop_by("TERM");
    let said = app.done(&["restore", "copy.db"]);
    assert!(said.contains("1 session ended, 2 links and 1 queued message removed"), "{said}");
    server.is_now(Mood::Takes);
    app.start_again().await;
    assert_eq!(visitor.get("/orders").await.status, 303, "the session came back");
    assert_ne!(
        app.visitor().post("/verify", &[("token", mail.token()), ("password", PASSWORD)]).await.status,
        303,
        "the link came back"
    );
    assert_eq!(app.get(&format!("/not-me?token={token}")).await.status, 404, "the recovery link came back");
    assert!(app.done(&["mail", "list"]).contains("empty"), "the message came back");
    assert_eq!(log_in(&app, ANN).await, 303);
}

#[tokio::test]
async fn restore_refuses_while_a_server_or_a_command_uses_the_database() {
    let mut app = TestApp::start().await;
    if app.is_postgres() {
        return;
    }
    app.customer(ANN).await;
    app.done(&["backup", "copy.db"]);
    app.customer(BOB).await;
    let ran = app.run(&["restore", "copy.db"]);
    assert!(fails_in_one_line(&ran) && ran.stderr.contains("order-portal serve"), "{ran:?}");
    app.stop_by("TERM");
    let mut import = app.command(&["import", "-"]).stdin(Stdio::piped()).stderr(Stdio::null()).spawn().unwrap();
    mailbox::until("an import that waits for its input", || app.path().join("portal.db-shm").exists().then_some(()))
        .await;
    let ran = app.run(&["restore", "copy.db"]);
    assert!(fails_in_one_line(&ran) && ran.stderr.contains("in use"), "{ran:?}");
    assert!(files(&app, ".replaced-").is_empty() && files(&app, ".partial-").is_empty());
    drop(import.stdin.take());
    import.wait().unwrap();
    assert_eq!(emails_in(&app.path().join("portal.db")).await, [ANN, BOB], "it was replaced all the same");
    app.done(&["restore", "copy.db"]);
    assert_eq!(emails_in(&app.path().join("portal.db")).await, [ANN]);
}

/// One that knows nothing of the lock file: SQLite's own shell, say.
#[tokio::test]
async fn restore_refuses_while_another_program_has_the_database_open() {
    let Some(place) = sqlite_place().await else { return };
    place.done(&["backup", "copy.db"]);
    let database = place.database().await;
    insert_user(&database, ANN).await;
    let ran = place.run(&["restore", "copy.db"]);
    assert!(fails_in_one_line(&ran) && ran.stderr.contains("in use"), "{ran:?}");
    assert_eq!(emails(&database).await, [ANN]);
    database.close().await;
    place.done(&["restore", "copy.db"]);
    assert_eq!(emails_in(&place.path().join("portal.db")).await, [""; 0]);
}

#[tokio::test]
async fn restore_refuses_what_is_no_complete_copy_and_changes_nothing() {
    let Some(place) = sqlite_place().await else { return };
    let database = place.database().await;
    insert_user(&database, ANN).await;
    fill(&database).await;
    database.close().await;
    place.done(&["backup", "copy.db"]);
    let whole = std::fs::read(place.path().join("copy.db")).unwrap();
    place.write("text.db", "orders\n");
    place.write("empty.db", "");
    place.write("short.db", &whole[..whole.len() / 2 + 100]);
    let mut damaged = whole.clone();
    let middle = damaged.len() / 2;
    damaged[middle..middle + 20_000].fill(0x5a);
    place.write("damaged.db", damaged);
    place.write("open.db", &whole);
    place.write("open.db-wal", "changes");
    let foreign = open(&place.path().join("foreign.db")).await;
    sqlx::raw_sql("CREATE TABLE users (id TEXT)").execute(&foreign).await.unwrap();
    foreign.close().await;
    for (name, change) in [
        ("newer.db", "UPDATE _sqlx_migrations SET version = 99990101000000 WHERE version = 3"),
        ("changed.db", "UPDATE _sqlx_migrations SET checksum = X'00' WHERE version = 3"),
    ] {
        place.write(name, &whole);
        let copy = open(&place.path().join(name)).await;
        sqlx::raw_sql(change).execute(&copy).await.unwrap();
        copy.close().await;
    }
    let before = std::fs::read(place.path().join("portal.db")).unwrap();
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
        let ran = place.run(&["restore", name]);
        assert!(fails_in_one_line(&ran) && ran.stderr.contains(reason), "{name}: {ran:?}");
        assert!(ran.stderr.contains(name), "{name}: {ran:?}");
        assert!(std::fs::read(place.path().join("portal.db")).unwrap() == before, "{name} changed the database");
        assert!(files(&place, ".replaced-").is_empty() && files(&place, ".partial-").is_empty(), "{name}");
    }
    place.done(&["restore", "copy.db"]);
}

#[tokio::test]
async fn restore_accepts_a_copy_of_an_older_version() {
    let Some(place) = sqlite_place().await else { return };
    let old = open(&place.path().join("old.db")).await;
    sqlx::raw_sql(include_str!("../migrations/0001_users_sessions_orders.sql")).execute(&old).await.unwrap();
    let attach = format!("ATTACH '{}' AS new", place.path().join("portal.db").display());
    sqlx::raw_sql(sqlx::AssertSqlSafe(attach)).execute(&old).await.unwrap();
    let first = "CREATE TABLE _sqlx_migrations (version BIGINT PRIMARY KEY, description TEXT NOT NULL,
                     installed_on TIMESTAMP NOT NULL DEFAULT CURRENT_TIMESTAMP, success BOOLEAN NOT NULL,
                     checksum BLOB NOT NULL, execution_time BIGINT NOT NULL);
                 INSERT INTO _sqlx_migrations SELECT * FROM new._sqlx_migrations WHERE version = 1";
    sqlx::raw_sql(first).execute(&old).await.unwrap();
    insert_user(&old, ANN).await;
    old.close().await;
    let said = place.done(&["restore", "old.db"]);
    assert!(said.contains("0 sessions ended, 0 links and 0 queued messages") && said.contains("migrate"), "{said}");
    place.done(&["migrate"]);
    assert!(place.done(&["user", "list"]).contains(ANN));
}

#[tokio::test]
async fn restore_creates_a_database_that_is_missing() {
    let Some(mut place) = sqlite_place().await else { return };
    place.done(&["backup", "copy.db"]);
    place.set("DATABASE_URL", "sqlite://elsewhere/shop.db");
    let said = place.done(&["restore", "copy.db"]);
    assert!(!said.contains("replaces"), "{said}");
    assert_eq!(emails_in(&place.path().join("elsewhere/shop.db")).await, [""; 0]);
    #[cfg(unix)]
    assert_eq!(mode(&place.path().join("elsewhere")), 0o700);
}

/// A damaged database is what a restore is for.
#[tokio::test]
async fn restore_replaces_a_damaged_database_and_keeps_all_of_it() {
    let Some(place) = sqlite_place().await else { return };
    place.done(&["backup", "copy.db"]);
    place.write("portal.db", "no database at all");
    place.write("portal.db-wal", "no log either");
    place.done(&["restore", "copy.db"]);
    assert_eq!(emails_in(&place.path().join("portal.db")).await, [""; 0]);
    let mut replaced = files(&place, ".replaced-");
    replaced.sort();
    replaced.retain(|file| !file.to_string_lossy().ends_with("-shm"));
    let contents: Vec<String> = replaced.iter().map(|file| std::fs::read_to_string(file).unwrap()).collect();
    assert_eq!(contents, ["no database at all", "no log either"], "{replaced:?}");
}

/// How long the command takes when nobody interferes.
fn time_of(place: &Place, command: &[&str]) -> Duration {
    let began = Instant::now();
    place.done(command);
    began.elapsed()
}

async fn kill_after(place: &Place, command: &[&str], wait: Duration) {
    let mut child = place.command(command).stdout(Stdio::null()).stderr(Stdio::null()).spawn().unwrap();
    tokio::time::sleep(wait).await;
    child.kill().unwrap();
    child.wait().unwrap();
}

#[tokio::test]
async fn backup_killed_at_any_moment_leaves_a_complete_file_or_none() {
    let Some(place) = sqlite_place().await else { return };
    let database = place.database().await;
    insert_user(&database, ANN).await;
    fill(&database).await;
    database.close().await;
    let copy = place.path().join("copy.db");
    let whole = time_of(&place, &["backup", "copy.db"]);
    let (mut complete, mut partial) = (0, 0);
    for number in 0..KILLS {
        std::fs::remove_file(&copy).ok();
        kill_after(&place, &["backup", "copy.db"], whole * number / KILLS).await;
        partial += files(&place, ".copy.db.partial-").len();
        if copy.exists() {
            assert_eq!(emails_in(&copy).await, [ANN]);
            complete += 1;
        }
    }
    assert!(partial > 0, "none of {KILLS} was killed while it wrote; {complete} were complete");
    std::fs::remove_file(&copy).ok();
    place.done(&["backup", "copy.db"]);
    assert!(files(&place, ".partial-").is_empty(), "the next backup left what killed ones had written");
}

#[tokio::test]
async fn restore_killed_at_any_moment_leaves_the_old_database_or_the_new_one() {
    let Some(place) = sqlite_place().await else { return };
    let database = place.database().await;
    fill(&database).await;
    place.done(&["backup", "copy.db"]);
    insert_user(&database, ANN).await;
    // The old one, with a log that is not folded in.
    for name in ["portal.db", "portal.db-wal"] {
        std::fs::copy(place.path().join(name), place.path().join(format!("kept-{name}"))).unwrap();
    }
    database.close().await;
    let put_back = || {
        for file in files(&place, ".replaced-") {
            std::fs::remove_file(file).unwrap();
        }
        std::fs::remove_file(place.path().join("portal.db-shm")).ok();
        for name in ["portal.db", "portal.db-wal"] {
            std::fs::remove_file(place.path().join(name)).ok();
            std::fs::copy(place.path().join(format!("kept-{name}")), place.path().join(name)).unwrap();
        }
    };
    put_back();
    let whole = time_of(&place, &["restore", "copy.db"]);
    let (mut old, mut new, mut partial) = (0, 0, 0);
    for number in 0..KILLS {
        put_back();
        kill_after(&place, &["restore", "copy.db"], whole * number / (KILLS - 3)).await;
        partial += files(&place, ".portal.db.partial-").len();
        match emails_in(&place.path().join("portal.db")).await.as_slice() {
            [] => new += 1,
            [email] if email == ANN => old += 1,
            other => panic!("{other:?} after {number}"),
        }
    }
    assert!(old > 0 && partial > 0, "{old} times the old database, {new} times the new one, {partial} partial files");
}
