//! An SQLite database on a disk that is full, and has space again. A small disk is mounted, which only root may do: these are ignored by
//! plain `cargo test`, and tests/run includes them.

use std::fs::File;
use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::Command;

use crate::app::{PASSWORD, TestApp};
use crate::place::Place;

/// A disk of 30 MB.
struct Disk {
    directory: tempfile::TempDir,
}

impl Disk {
    fn mount() -> Self {
        let directory = tempfile::tempdir().unwrap();
        let mut command = Command::new("mount");
        command.args(["-t", "tmpfs", "-o", "size=30m", "tmpfs"]).arg(directory.path());
        assert!(command.status().unwrap().success(), "mounting takes root");
        Self { directory }
    }

    fn path(&self) -> &Path {
        self.directory.path()
    }

    fn filler(&self) -> PathBuf {
        self.path().join("filler")
    }

    /// Leaves at most so many pages of 4 KiB.
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

async fn place_on(disk: &Disk) -> Place {
    let mut place = Place::new().await;
    place.set("DATABASE_URL", &format!("sqlite://{}", disk.path().join("portal.db").display()));
    place
}

async fn sign_up(app: &TestApp, email: &str) -> u16 {
    app.visitor().post("/signup", &[("email", email), ("password", PASSWORD)]).await.status
}

/// Fails with 503 until nothing more can be written, and never in another way.
async fn write_until_full(app: &TestApp, round: u64) {
    let mut failed = 0;
    for number in 0..200 {
        let email = format!("full{round}-{number}@example.com");
        let request = app.request(reqwest::Method::POST, "/signup");
        // No rate limit is to be met.
        let request = request.header("x-forwarded-for", format!("203.0.{round}.1"));
        let answer = crate::http::send(request.form(&[("email", email.as_str()), ("password", PASSWORD)])).await;
        assert!(answer.status == 303 || answer.is_page(503), "{}\n{}", answer.status, app.logs());
        assert!(answer.status == 303 || answer.header("retry-after").is_some());
        failed = if answer.status == 503 { failed + 1 } else { 0 };
        if failed == 5 {
            return;
        }
    }
    panic!("the disk never got full");
}

#[tokio::test]
#[ignore = "mounts a small disk"]
async fn writer_recovers_from_a_full_disk_without_restart() {
    let disk = Disk::mount();
    let mut place = place_on(&disk).await;
    place.set("TRUSTED_PROXIES", "127.0.0.1");
    let mut app = TestApp::start_in(place).await;
    let mut ann = app.customer("ann@example.com").await;
    for round in 0..10 {
        // Between nothing at all and enough for a transaction to begin.
        disk.fill_up_to(round * 3);
        write_until_full(&app, round).await;
        assert_eq!(app.get("/readyz").await.status, 503, "round {round}:\n{}", app.logs());
        assert_eq!(ann.get("/orders").await.status, 200, "reading is possible");
        assert!(app.logs().contains(disk.path().to_str().unwrap()), "the log does not say which disk");
        disk.free();
        tokio::time::sleep(std::time::Duration::from_millis(1100)).await;
        assert_eq!(app.get("/readyz").await.status, 200);
        assert_eq!(sign_up(&app, &format!("after{round}@example.com")).await, 303, "{}", app.logs());
        let mut visitor = app.visitor();
        let login = [("email", "ann@example.com"), ("password", PASSWORD)];
        assert_eq!(visitor.post("/login", &login).await.leads_to(), (303, "/orders"));
        let token = visitor.token();
        assert_eq!(visitor.post("/logout", &[]).await.leads_to(), (303, "/login"));
        visitor.bring(&token);
        assert_eq!(visitor.get("/orders").await.status, 303, "a logged-out cookie opens the orders");
        app.done(&["user", "verify", "ann@example.com"]);
    }
    app.stop_by("KILL");
    app.start_again().await;
    for round in 0..10 {
        let login = [("email", &*format!("after{round}@example.com")), ("password", PASSWORD)];
        assert_eq!(app.visitor().post("/login", &login).await.status, 303, "an account was lost");
    }
}

#[tokio::test]
#[ignore = "mounts a small disk"]
async fn start_on_a_full_or_read_only_disk_says_so_at_once() {
    let disk = Disk::mount();
    let mut place = place_on(&disk).await;
    place.done(&["migrate"]);
    disk.fill_up_to(0);
    let refused = |place: &Place| {
        let began = std::time::Instant::now();
        let ran = place.run(&["serve"]);
        assert!(began.elapsed() < std::time::Duration::from_secs(5), "{ran:?}");
        let line = ran.stderr.lines().last().unwrap_or_default().to_owned();
        assert!(ran.status == 1 && line.contains(disk.path().to_str().unwrap()), "{ran:?}");
        line
    };
    let line = refused(&place);
    assert!(line.contains("free space"), "{line}");
    disk.free();
    let remount = |mode: &str| {
        let option = format!("remount,{mode}");
        assert!(Command::new("mount").args(["-o", &option]).arg(disk.path()).status().unwrap().success());
    };
    remount("ro");
    let line = refused(&place);
    assert!(line.contains("read") || line.contains("unable to open"), "{line}");
    place.set("DATABASE_URL", &format!("sqlite://{}", disk.path().join("other.db").display()));
    refused(&place);
    remount("rw");
    TestApp::start_in(place).await;
}
