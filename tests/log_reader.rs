//! A log reader that stops reading blocks nothing.

use std::io::{PipeReader, PipeWriter, Read, Write};
use std::net::TcpListener;
use std::process::{Child, ExitStatus, Stdio};
use std::time::{Duration, Instant};

use reqwest::Client;
use rustix::process::{Pid, Signal, kill_process};

use crate::http;
use crate::sandbox::Sandbox;

/// A server whose output goes to pipes; killed on drop.
struct Piped {
    child: Child,
    sandbox: Sandbox,
    http: Client,
}

impl Piped {
    fn spawn(sandbox: Sandbox, stdout: impl Into<Stdio>, stderr: impl Into<Stdio>) -> Self {
        let mut command = sandbox.command(&["serve"]);
        command.stdin(Stdio::null()).stdout(stdout).stderr(stderr);
        let child = command.spawn().unwrap();
        Self { child, sandbox, http: http::client() }
    }

    async fn wait_until_ready(&mut self) {
        let began = Instant::now();
        while !self.responds("/healthz").await {
            assert!(began.elapsed() < Duration::from_secs(30), "the server is not ready");
            assert!(self.child.try_wait().unwrap().is_none(), "the server exited");
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    }

    async fn responds(&self, path: &str) -> bool {
        let request = self.http.get(format!("http://127.0.0.1:{}{path}", self.sandbox.port));
        request.timeout(Duration::from_secs(5)).send().await.is_ok()
    }

    /// Sends requests with long log lines. Returns the number of responses before the first missing one.
    async fn send_requests(&self, times: usize) -> usize {
        let path = format!("/{}", "x".repeat(4000));
        for number in 0..times {
            if !self.responds(&path).await {
                return number;
            }
        }
        times
    }

    fn terminate(&self) {
        kill_process(Pid::from_child(&self.child), Signal::TERM).unwrap();
    }

    fn wait(&mut self, timeout: Duration) -> ExitStatus {
        let began = Instant::now();
        loop {
            if let Some(status) = self.child.try_wait().unwrap() {
                return status;
            }
            assert!(began.elapsed() < timeout, "the server does not exit");
            std::thread::sleep(Duration::from_millis(10));
        }
    }
}

impl Drop for Piped {
    fn drop(&mut self) {
        self.child.kill().ok();
        self.child.wait().ok();
    }
}

/// A pipe that is full while nothing reads from it.
fn full_pipe() -> (PipeReader, PipeWriter) {
    let (reader, writer) = std::io::pipe().unwrap();
    let mut filler = writer.try_clone().unwrap();
    std::thread::spawn(move || while filler.write_all(&[b'.'; 1024]).is_ok() {});
    std::thread::sleep(Duration::from_millis(300));
    (reader, writer)
}

/// 6 MB of lines, more than the pipe and the queue can hold.
const REQUESTS: usize = 1500;

#[tokio::test]
async fn blocked_log_delays_no_request_and_drops_are_counted() {
    let (mut unread, stderr) = std::io::pipe().unwrap();
    let mut app = Piped::spawn(Sandbox::new().await, Stdio::null(), stderr);
    app.wait_until_ready().await;
    assert_eq!(app.send_requests(REQUESTS).await, REQUESTS, "requests waited for the log reader");
    let reader = std::thread::spawn(move || {
        let mut log = Vec::new();
        unread.read_to_end(&mut log).unwrap();
        String::from_utf8(log).unwrap()
    });
    tokio::time::sleep(Duration::from_secs(1)).await;
    assert!(app.responds("/after").await);
    app.terminate();
    assert_eq!(app.wait(Duration::from_secs(20)).code(), Some(0));
    let log = reader.join().unwrap();
    let notices = log.lines().filter_map(|line| line.split_once(" log lines dropped"));
    let dropped: usize = notices.map(|(before, _)| before.rsplit(' ').next().unwrap().parse::<usize>().unwrap()).sum();
    let written = log.lines().filter(|line| line.contains("xxxx")).count();
    assert!(dropped > 0 && written > 500, "{dropped} dropped, {written} written");
    assert_eq!(dropped + written, REQUESTS, "drops are miscounted");
    assert!(log.contains("/after") && log.trim_end().ends_with("stopped"), "lines after the notice are missing");
}

#[tokio::test]
async fn drop_notice_is_json_in_a_json_log() {
    let (mut unread, stderr) = std::io::pipe().unwrap();
    let mut sandbox = Sandbox::new().await;
    sandbox.set("LOG_FORMAT", "json");
    let mut app = Piped::spawn(sandbox, Stdio::null(), stderr);
    app.wait_until_ready().await;
    app.send_requests(REQUESTS).await;
    let reader = std::thread::spawn(move || {
        let mut log = String::new();
        unread.read_to_string(&mut log).unwrap();
        log
    });
    app.terminate();
    app.wait(Duration::from_secs(20));
    let log = reader.join().unwrap();
    let lines = log.lines().map(|line| serde_json::from_str::<serde_json::Value>(line).unwrap());
    let dropped = lines.filter_map(|line| line["dropped"].as_u64()).sum::<u64>();
    assert!(dropped > 0, "no notice");
}

#[tokio::test]
async fn stop_does_not_wait_for_a_blocked_log() {
    let (_unread, stderr) = std::io::pipe().unwrap();
    let mut app = Piped::spawn(Sandbox::new().await, Stdio::null(), stderr);
    app.wait_until_ready().await;
    app.send_requests(REQUESTS).await;
    app.terminate();
    assert_eq!(app.wait(Duration::from_secs(15)).code(), Some(0));
}

#[tokio::test]
async fn failed_start_does_not_wait_for_a_blocked_log() {
    let sandbox = Sandbox::new().await;
    let _listener = TcpListener::bind(("127.0.0.1", sandbox.port)).unwrap();
    let (_unread, stderr) = full_pipe();
    let mut app = Piped::spawn(sandbox, Stdio::null(), stderr);
    assert_eq!(app.wait(Duration::from_secs(15)).code(), Some(1));
}

#[tokio::test]
async fn start_and_stop_need_no_reader_of_standard_output() {
    let (full, writer) = full_pipe();
    let (closed, broken) = std::io::pipe().unwrap();
    drop(closed);
    for stdout in [writer, broken] {
        let mut app = Piped::spawn(Sandbox::new().await, stdout, Stdio::null());
        app.wait_until_ready().await;
        app.terminate();
        assert_eq!(app.wait(Duration::from_secs(15)).code(), Some(0));
    }
    drop(full);
}

#[tokio::test]
async fn closed_standard_error_does_not_stop_the_server() {
    let (closed, stderr) = std::io::pipe().unwrap();
    drop(closed);
    let mut app = Piped::spawn(Sandbox::new().await, Stdio::null(), stderr);
    app.wait_until_ready().await;
    assert_eq!(app.send_requests(100).await, 100);
    app.terminate();
    assert_eq!(app.wait(Duration::from_secs(15)).code(), Some(0));
}
