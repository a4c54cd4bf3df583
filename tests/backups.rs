//! `order-portal backup`: one file, and on a schedule.

use std::path::{Path, PathBuf};
use std::process::{Child, Stdio};
use std::time::{Duration, Instant};

use rustix::process::{Pid, Signal, kill_process};
use sqlx::AnyPool;

use crate::app::{ANN, BOB, PASSWORD, TestApp};
use crate::sandbox::Sandbox;
use crate::shop::{export, line, order};

/// The command in the background; its log is in `backup.log`.
struct Schedule(Child);

impl Schedule {
    fn start(sandbox: &Sandbox, every: &str, keep: &str) -> Self {
        let log = std::fs::File::create(sandbox.path().join("backup.log")).unwrap();
        let mut command = sandbox.command(&["backup", "--every", every, "--keep", keep, "backups"]);
        Self(command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(log).spawn().unwrap())
    }

    /// Sends SIGTERM; returns the exit status.
    fn stop(mut self) -> Option<i32> {
        kill_process(Pid::from_child(&self.0), Signal::TERM).unwrap();
        self.0.wait().unwrap().code()
    }
}

/// Not left behind by a test that fails.
impl Drop for Schedule {
    fn drop(&mut self) {
        self.0.kill().ok();
        self.0.wait().ok();
    }
}

/// A sandbox with a migrated SQLite database; `None` on PostgreSQL.
async fn sqlite_sandbox() -> Option<Sandbox> {
    let sandbox = Sandbox::new().await;
    sandbox.run_ok(&["migrate"]);
    (!sandbox.is_postgres()).then_some(sandbox)
}

/// The complete backups, the oldest first.
fn backups(sandbox: &Sandbox) -> Vec<PathBuf> {
    let Ok(entries) = std::fs::read_dir(sandbox.path().join("backups")) else { return Vec::new() };
    let files = entries.map(|entry| entry.unwrap().path());
    let is_backup = |path: &PathBuf| {
        let name = path.file_name().unwrap().to_string_lossy();
        name.starts_with("order-portal-2") && name.ends_with("Z.db")
    };
    let mut files: Vec<PathBuf> = files.filter(is_backup).collect();
    files.sort();
    files
}

fn log(sandbox: &Sandbox) -> String {
    std::fs::read_to_string(sandbox.path().join("backup.log")).unwrap()
}

fn metric(sandbox: &Sandbox, name: &str) -> f64 {
    let text = std::fs::read_to_string(sandbox.path().join("backups/backup.prom")).unwrap();
    let line = text.lines().find(|line| line.starts_with(&format!("order_portal_backup_{name} ")));
    line.unwrap_or_else(|| panic!("no {name} in {text}")).split(' ').nth(1).unwrap().parse().unwrap()
}

async fn wait_until(what: &str, mut is_true: impl FnMut() -> bool) {
    let began = Instant::now();
    while !is_true() {
        assert!(began.elapsed() < Duration::from_secs(30), "waited for: {what}");
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
}

/// The schedule has started its metrics and its first backup.
async fn wait_for_backups(sandbox: &Sandbox, count: usize) {
    wait_until("backups", || backups(sandbox).len() >= count).await;
}

#[tokio::test]
async fn backup_during_serve_is_complete_and_private() {
    let app = TestApp::start().await;
    app.customer(ANN).await;
    let output = app.run(&["backup", "copy.db"]);
    if app.is_postgres() {
        assert!(output.is_one_line_error(1) && output.stderr.contains("pg_dump"), "{output:?}");
        return;
    }
    assert_eq!(output.status, 0, "{output:?}");
    app.customer(BOB).await;
    let copy = app.path().join("copy.db");
    #[cfg(unix)]
    assert_eq!(
        std::os::unix::fs::PermissionsExt::mode(&std::fs::metadata(&copy).unwrap().permissions()) & 0o777,
        0o600
    );
    let second = app.run(&["backup", "copy.db"]);
    assert!(second.is_one_line_error(1), "an older backup was overwritten: {second:?}");
    let mut sandbox = Sandbox::new().await;
    sandbox.set("DATABASE_URL", &format!("sqlite://{}", copy.display()));
    let restored = TestApp::start_in(sandbox).await;
    let log_in = async |email| restored.log_in(email, PASSWORD).await.status;
    assert_eq!((log_in(ANN).await, log_in(BOB).await), (303, 401));
}

#[tokio::test]
async fn backup_that_cannot_be_written_is_a_one_line_error() {
    let app = TestApp::start().await;
    let output = app.run(&["backup", "no/such/folder/copy.db"]);
    assert!(output.is_one_line_error(1), "{output:?}");
}

#[tokio::test]
async fn scheduled_backups_keep_the_newest_and_all_other_files() {
    let Some(sandbox) = sqlite_sandbox().await else { return };
    let directory = sandbox.path().join("backups");
    std::fs::create_dir(&directory).unwrap();
    let others = ["order-portal-before-upgrade.db", "portal.db", "order-portal-20200101T000000Z.db.txt"];
    others.iter().for_each(|name| std::fs::write(directory.join(name), "kept").unwrap());
    let old = directory.join("order-portal-20200101T000000Z.db");
    std::fs::write(&old, "an old backup").unwrap();
    let schedule = Schedule::start(&sandbox, "1s", "2");
    wait_until("three backups", || log(&sandbox).matches("backup written").count() >= 3).await;
    assert_eq!(schedule.stop(), Some(0), "{}", log(&sandbox));
    let left = backups(&sandbox);
    assert!(left.len() == 2 && !left.contains(&old), "{left:?}");
    assert!(others.iter().all(|name| std::fs::read_to_string(directory.join(name)).unwrap() == "kept"));
    #[cfg(unix)]
    for file in &left {
        let mode = std::os::unix::fs::PermissionsExt::mode(&file.metadata().unwrap().permissions()) & 0o777;
        assert_eq!(mode, 0o600, "{}", file.display());
    }
    let names: Vec<_> = std::fs::read_dir(&directory).unwrap().map(|entry| entry.unwrap().file_name()).collect();
    assert_eq!(names.len(), others.len() + 3, "{names:?}");
    let size = left[1].metadata().unwrap().len();
    assert!((metric(&sandbox, "last_size_bytes") - size as f64).abs() < 1.0);
    assert!((crate::token::now() as f64 - metric(&sandbox, "last_success_timestamp_seconds")).abs() < 60.0);
    assert!(metric(&sandbox, "last_duration_seconds") > 0.0);
    assert!(metric(&sandbox, "failures_total").abs() < 0.5 && (metric(&sandbox, "files") - 2.0).abs() < 0.5);
}

#[tokio::test]
async fn restarted_schedule_waits_for_the_interval_since_the_newest() {
    let Some(sandbox) = sqlite_sandbox().await else { return };
    let schedule = Schedule::start(&sandbox, "1h", "3");
    wait_for_backups(&sandbox, 1).await;
    assert_eq!(schedule.stop(), Some(0));
    let schedule = Schedule::start(&sandbox, "1h", "3");
    wait_until("the start", || log(&sandbox).contains("scheduled backups started")).await;
    tokio::time::sleep(Duration::from_millis(1500)).await;
    assert_eq!(schedule.stop(), Some(0));
    assert_eq!(backups(&sandbox).len(), 1);
    assert!(metric(&sandbox, "last_success_timestamp_seconds") > 0.0 && metric(&sandbox, "last_size_bytes") > 0.0);
    let schedule = Schedule::start(&sandbox, "1s", "3");
    wait_for_backups(&sandbox, 2).await;
    assert_eq!(schedule.stop(), Some(0));
}

#[tokio::test]
async fn failed_scheduled_backup_is_logged_counted_and_retried() {
    let Some(sandbox) = sqlite_sandbox().await else { return };
    let schedule = Schedule::start(&sandbox, "1s", "5");
    wait_for_backups(&sandbox, 1).await;
    let (database, away) = (sandbox.path().join("portal.db"), sandbox.path().join("away.db"));
    std::fs::rename(&database, &away).unwrap();
    wait_until("a failure", || {
        sandbox.path().join("backups/backup.prom").exists() && metric(&sandbox, "failures_total") >= 1.0
    })
    .await;
    assert!(log(&sandbox).contains("ERROR") && log(&sandbox).contains("portal.db"), "{}", log(&sandbox));
    let before = backups(&sandbox).len();
    std::fs::rename(&away, &database).unwrap();
    wait_for_backups(&sandbox, before + 1).await;
    assert_eq!(schedule.stop(), Some(0));
}

#[tokio::test]
async fn schedule_that_cannot_work_fails_at_its_start() {
    let sandbox = Sandbox::new().await;
    let command = ["backup", "--every", "1h", "backups"];
    if !sandbox.is_postgres() {
        let output = sandbox.run(&command);
        assert!(output.is_one_line_error(1) && output.stderr.contains("portal.db"), "{output:?}");
    }
    assert!(!sandbox.path().join("backups").exists());
    sandbox.run_ok(&["migrate"]);
    if sandbox.is_postgres() {
        let output = sandbox.run(&command);
        assert!(output.is_one_line_error(1) && output.stderr.contains("pg_dump"), "{output:?}");
        return;
    }
    sandbox.write("backups", "a file");
    let output = sandbox.run(&command);
    assert!(output.is_one_line_error(1) && output.stderr.contains("directory backups"), "{output:?}");
}

/// Rows that break a rule of their table: `restore` would refuse the copy.
#[tokio::test]
async fn backup_that_fails_its_verification_is_removed() {
    let Some(sandbox) = sqlite_sandbox().await else { return };
    let database = sandbox.database().await;
    let invalid = "PRAGMA ignore_check_constraints = ON;
                   INSERT INTO users (id, email, password_hash, created_at) VALUES ('u', 'u@example.com', '', 0);
                   INSERT INTO sessions (id, user_id, audience, is_persistent, client_address, user_agent, created_at, last_seen_at,
                       expires_at) VALUES ('s', 'u', 'nobody', 'no', '', '', 0, 0, 0)";
    sqlx::raw_sql(invalid).execute(&database).await.unwrap();
    database.close().await;
    let output = sandbox.run(&["backup", "copy.db"]);
    assert!(output.is_one_line_error(1) && output.stderr.contains("cannot be used"), "{output:?}");
    let names = std::fs::read_dir(sandbox.path()).unwrap().map(|entry| entry.unwrap().file_name());
    assert!(!names.into_iter().any(|name| name.to_string_lossy().contains("copy.db")));
}

async fn open(file: &Path) -> AnyPool {
    AnyPool::connect(&format!("sqlite://{}", file.display())).await.unwrap()
}

/// Whether the database has whole orders: an import writes them with their lines.
async fn has_whole_orders(file: &Path) -> bool {
    let database = open(file).await;
    let torn =
        "SELECT COUNT(*) FROM orders WHERE line_count <> (SELECT COUNT(*) FROM order_lines WHERE order_id = orders.id)";
    let torn: i64 = sqlx::query_scalar(torn).fetch_one(&database).await.unwrap();
    database.close().await;
    torn == 0
}

#[tokio::test]
async fn scheduled_backup_during_writes_can_be_restored() {
    let mut app = TestApp::start().await;
    if app.is_postgres() {
        return;
    }
    app.verified_customer(ANN).await;
    let names = (1..4000).map(|number| format!("#{number}"));
    let rows: Vec<_> = names.flat_map(|name| [order(&name, ANN), line(&name, ANN, "Pen")]).collect();
    app.write("orders.csv", export(&rows));
    let mut import =
        app.command(&["import", "orders.csv"]).stdout(Stdio::null()).stderr(Stdio::null()).spawn().unwrap();
    let schedule = Schedule::start(&app, "1s", "1000");
    let mut during_import = 0;
    while import.try_wait().unwrap().is_none() {
        during_import = backups(&app).len();
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    assert!(during_import > 0, "the import ended before the first backup:\n{}", log(&app));
    wait_for_backups(&app, during_import + 2).await;
    assert_eq!(schedule.stop(), Some(0));
    app.customer(BOB).await;
    assert_eq!(app.stop_with("TERM").code(), Some(0));
    let all = backups(&app);
    let (mut counts, newest) = (Vec::new(), all.last().unwrap().clone());
    for backup in [&all[0], &newest] {
        let printed = app.run_ok(&["restore", backup.to_str().unwrap()]);
        assert!(printed.contains("1 session ended"), "{printed}");
        assert!(has_whole_orders(&app.path().join("portal.db")).await, "{}", backup.display());
        counts.push(app.count("orders").await);
        // The replaced database is named by the second.
        tokio::time::sleep(Duration::from_millis(1100)).await;
    }
    assert!(counts[0] < 3999 && counts[1] == 3999, "{counts:?}");
    app.restart().await;
    assert_eq!((app.log_in(ANN, PASSWORD).await.status, app.log_in(BOB, PASSWORD).await.status), (303, 401));
}
