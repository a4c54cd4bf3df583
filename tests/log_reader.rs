//! Whoever reads the log may stop reading: nothing waits for that.

use std::io::{PipeReader, PipeWriter, Read, Write};
use std::net::TcpListener;
use std::process::{Child, ExitStatus, Stdio};
use std::time::{Duration, Instant};

use reqwest::Client;
use rustix::process::{Pid, Signal, kill_process};

use crate::http;
use crate::place::Place;

/// The program with pipes in place of files; killed when this is dropped.
struct Piped {
    child: Child,
    place: Place,
    http: Client,
}

impl Piped {
    fn spawn(place: Place, stdout: impl Into<Stdio>, stderr: impl Into<Stdio>) -> Self {
        let mut command = place.command(&["serve"]);
        command.stdin(Stdio::null()).stdout(stdout).stderr(stderr);
        let child = command.spawn().unwrap();
        Self { child, place, http: http::client() }
    }

    async fn wait_until_it_serves(&mut self) {
        let began = Instant::now();
        while !self.is_answered("/healthz").await {
            assert!(began.elapsed() < Duration::from_secs(30), "the program does not serve");
            assert!(self.child.try_wait().unwrap().is_none(), "the program ended");
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    }

    async fn is_answered(&self, path: &str) -> bool {
        let request = self.http.get(format!("http://127.0.0.1:{}{path}", self.place.port));
        request.timeout(Duration::from_secs(5)).send().await.is_ok()
    }

    /// Makes requests whose log lines are long. Answers how many were answered until one was not.
    async fn ask(&self, times: usize) -> usize {
        let path = format!("/{}", "x".repeat(4000));
        for number in 0..times {
            if !self.is_answered(&path).await {
                return number;
            }
        }
        times
    }

    fn terminate(&self) {
        kill_process(Pid::from_child(&self.child), Signal::TERM).unwrap();
    }

    fn wait(&mut self, within: Duration) -> ExitStatus {
        let began = Instant::now();
        loop {
            if let Some(status) = self.child.try_wait().unwrap() {
                return status;
            }
            assert!(began.elapsed() < within, "the program does not end");
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

/// A pipe that is full and stays so while its reader is not read.
fn full_pipe() -> (PipeReader, PipeWriter) {
    let (reader, writer) = std::io::pipe().unwrap();
    let mut filler = writer.try_clone().unwrap();
    std::thread::spawn(move || while filler.write_all(&[b'.'; 1024]).is_ok() {});
    std::thread::sleep(Duration::from_millis(300));
    (reader, writer)
}

/// More than a pipe and the queue hold: 6 MB of lines.
const REQUESTS: usize = 1500;

#[tokio::test]
async fn blocked_log_delays_no_request_and_drops_are_counted() {
    let (mut unread, stderr) = std::io::pipe().unwrap();
    let mut app = Piped::spawn(Place::new().await, Stdio::null(), stderr);
    app.wait_until_it_serves().await;
    assert_eq!(app.ask(REQUESTS).await, REQUESTS, "requests waited for the log's reader");
    let reads = std::thread::spawn(move || {
        let mut log = Vec::new();
        unread.read_to_end(&mut log).unwrap();
        String::from_utf8(log).unwrap()
    });
    tokio::time::sleep(Duration::from_secs(1)).await;
    assert!(app.is_answered("/after").await);
    app.terminate();
    assert_eq!(app.wait(Duration::from_secs(20)).code(), Some(0));
    let log = reads.join().unwrap();
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
    let mut place = Place::new().await;
    place.set("LOG_FORMAT", "json");
    let mut app = Piped::spawn(place, Stdio::null(), stderr);
    app.wait_until_it_serves().await;
    app.ask(REQUESTS).await;
    let reads = std::thread::spawn(move || {
        let mut log = String::new();
        unread.read_to_string(&mut log).unwrap();
        log
    });
    app.terminate();
    app.wait(Duration::from_secs(20));
    let log = reads.join().unwrap();
    let lines = log.lines().map(|line| serde_json::from_str::<serde_json::Value>(line).unwrap());
    let dropped = lines.filter_map(|line| line["dropped"].as_u64()).sum::<u64>();
    assert!(dropped > 0, "no notice");
}

#[tokio::test]
async fn stop_does_not_wait_for_a_blocked_log() {
    let (_unread, stderr) = std::io::pipe().unwrap();
    let mut app = Piped::spawn(Place::new().await, Stdio::null(), stderr);
    app.wait_until_it_serves().await;
    app.ask(REQUESTS).await;
    app.terminate();
    assert_eq!(app.wait(Duration::from_secs(15)).code(), Some(0));
}

#[tokio::test]
async fn failed_start_does_not_wait_for_a_blocked_log() {
    let place = Place::new().await;
    let _taken = TcpListener::bind(("127.0.0.1", place.port)).unwrap();
    let (_unread, stderr) = full_pipe();
    let mut app = Piped::spawn(place, Stdio::null(), stderr);
    assert_eq!(app.wait(Duration::from_secs(15)).code(), Some(1));
}

#[tokio::test]
async fn start_and_stop_do_not_need_a_reader_of_standard_output() {
    let (full, writer) = full_pipe();
    let (closed, broken) = std::io::pipe().unwrap();
    drop(closed);
    for stdout in [writer, broken] {
        let mut app = Piped::spawn(Place::new().await, stdout, Stdio::null());
        app.wait_until_it_serves().await;
        app.terminate();
        assert_eq!(app.wait(Duration::from_secs(15)).code(), Some(0));
    }
    drop(full);
}

#[tokio::test]
async fn closed_standard_error_stops_nothing() {
    let (closed, stderr) = std::io::pipe().unwrap();
    drop(closed);
    let mut app = Piped::spawn(Place::new().await, Stdio::null(), stderr);
    app.wait_until_it_serves().await;
    assert_eq!(app.ask(100).await, 100);
    app.terminate();
    assert_eq!(app.wait(Duration::from_secs(15)).code(), Some(0));
}
