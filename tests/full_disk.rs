//! SQLite on a full disk, and after space is free again. The tests mount a small disk, which requires root: `cargo test` ignores them,
//! and `tests/run` includes them.

use std::fs::File;
use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::Command;

use crate::app::{ANN, PASSWORD, TestApp};
use crate::sandbox::Sandbox;

/// A disk of 30 MB.
struct Disk {
    directory: tempfile::TempDir,
}

impl Disk {
    fn mount() -> Self {
        let directory = tempfile::tempdir().unwrap();
        let mut command = Command::new("mount");
        command.args(["-t", "tmpfs", "-o", "size=30m", "tmpfs"]).arg(directory.path());
        assert!(command.status().unwrap().success(), "mount requires root");
        Self { directory }
    }

    fn path(&self) -> &Path {
        self.directory.path()
    }

    fn filler(&self) -> PathBuf {
        self.path().join("filler")
    }

    /// Fills the disk except for a number of 4 KiB pages.
    fn fill_up_to(&self, pages_left: u64) {
        let mut filler = File::create(self.filler()).unwrap();
        while filler.write_all(&[1; 4096]).is_ok() {}
        let length = filler.metadata().unwrap().len();
        filler.set_len(length.saturating_sub(pages_left * 4096)).unwrap();
    }

    fn free(&self) {
        std::fs::remove_file(self.filler()).unwrap();
    }
}

impl Drop for Disk {
    fn drop(&mut self) {
        Command::new("umount").arg("--lazy").arg(self.path()).status().ok();
    }
}

async fn sandbox_on(disk: &Disk) -> Sandbox {
    let mut sandbox = Sandbox::new().await;
    sandbox.set("DATABASE_URL", &format!("sqlite://{}", disk.path().join("portal.db").display()));
    sandbox
}

async fn sign_up(app: &TestApp, email: &str) -> u16 {
    app.visitor().post("/signup", &[("email", email), ("password", PASSWORD)]).await.status
}

/// Signs up until five attempts in a row get 503. Every other failure is an error.
async fn write_until_full(app: &TestApp, round: u64) {
    let mut failed = 0;
    for number in 0..200 {
        let email = format!("full{round}-{number}@example.com");
        let request = app.request(reqwest::Method::POST, "/signup");
        // Another client address for each round, so that no rate limit applies.
        let request = request.header("x-forwarded-for", format!("203.0.{round}.1"));
        let response = crate::http::send(request.form(&[("email", email.as_str()), ("password", PASSWORD)])).await;
        assert!(response.status == 303 || response.is_page(503), "{}\n{}", response.status, app.logs());
        assert!(response.status == 303 || response.header("retry-after").is_some());
        failed = if response.status == 503 { failed + 1 } else { 0 };
        if failed == 5 {
            return;
        }
    }
    panic!("the disk did not fill up");
}

#[tokio::test]
#[ignore = "mounts a small disk"]
async fn writer_recovers_from_a_full_disk_without_restart() {
    let disk = Disk::mount();
    let mut sandbox = sandbox_on(&disk).await;
    sandbox.set("TRUSTED_PROXIES", "127.0.0.1");
    let mut app = TestApp::start_in(sandbox).await;
    let mut ann = app.customer(ANN).await;
    for round in 0..10 {
        // From no space to enough for the start of a transaction.
        disk.fill_up_to(round * 3);
        write_until_full(&app, round).await;
        assert_eq!(app.get("/readyz").await.status, 503, "round {round}:\n{}", app.logs());
        assert_eq!(ann.get("/orders").await.status, 200, "reads must work");
        assert!(app.logs().contains(disk.path().to_str().unwrap()), "the log does not name the disk");
        disk.free();
        tokio::time::sleep(std::time::Duration::from_millis(1100)).await;
        assert_eq!(app.get("/readyz").await.status, 200);
        assert_eq!(sign_up(&app, &format!("after{round}@example.com")).await, 303, "{}", app.logs());
        let mut visitor = app.visitor();
        let login = [("email", ANN), ("password", PASSWORD)];
        assert_eq!(visitor.post("/login", &login).await.redirect(), (303, "/orders"));
        let token = visitor.token();
        assert_eq!(visitor.post("/logout", &[]).await.redirect(), (303, "/login"));
        visitor.set_session_token(&token);
        assert_eq!(visitor.get("/orders").await.status, 303, "the revoked session is valid");
        app.run_ok(&["user", "verify", ANN]);
    }
    app.stop_with("KILL");
    app.restart().await;
    for round in 0..10 {
        let login = [("email", &*format!("after{round}@example.com")), ("password", PASSWORD)];
        assert_eq!(app.visitor().post("/login", &login).await.status, 303, "an account was lost");
    }
}

#[tokio::test]
#[ignore = "mounts a small disk"]
async fn start_on_a_full_or_read_only_disk_fails_at_once() {
    let disk = Disk::mount();
    let mut sandbox = sandbox_on(&disk).await;
    sandbox.run_ok(&["migrate"]);
    disk.fill_up_to(0);
    let failed_start = |sandbox: &Sandbox| {
        let began = std::time::Instant::now();
        let output = sandbox.run(&["serve"]);
        assert!(began.elapsed() < std::time::Duration::from_secs(5), "{output:?}");
        let line = output.stderr.lines().last().unwrap_or_default().to_owned();
        assert!(output.status == 1 && line.contains(disk.path().to_str().unwrap()), "{output:?}");
        line
    };
    let line = failed_start(&sandbox);
    assert!(line.contains("free space"), "{line}");
    disk.free();
    let remount = |mode: &str| {
        let option = format!("remount,{mode}");
        assert!(Command::new("mount").args(["-o", &option]).arg(disk.path()).status().unwrap().success());
    };
    remount("ro");
    let line = failed_start(&sandbox);
    assert!(line.contains("read") || line.contains("unable to open"), "{line}");
    sandbox.set("DATABASE_URL", &format!("sqlite://{}", disk.path().join("other.db").display()));
    failed_start(&sandbox);
    remount("rw");
    TestApp::start_in(sandbox).await;
}
