//! The program under test, running.

use std::fs::File;
use std::ops::{Deref, DerefMut};
use std::process::{Child, ExitStatus, Stdio};
use std::time::{Duration, Instant};

use reqwest::{Client, Method, RequestBuilder};
use rustix::process::{Pid, Signal, kill_process};
use serde_json::json;

use crate::http::{self, Answer, Visitor};
use crate::place::Place;

/// A password that nothing is wrong with.
pub const PASSWORD: &str = "seven calm herons on one leg";

const STARTS_WITHIN: Duration = Duration::from_secs(30);
const STOPS_WITHIN: Duration = Duration::from_secs(30);

/// A server of its own for one test. Stopped when this is dropped.
pub struct TestApp {
    child: Child,
    http: Client,
    place: Place,
}

impl TestApp {
    pub async fn start() -> Self {
        Self::start_with(&[]).await
    }

    pub async fn start_with(settings: &[(&str, &str)]) -> Self {
        let mut place = Place::new().await;
        settings.iter().for_each(|(name, value)| place.set(name, value));
        Self::start_in(place).await
    }

    pub async fn start_in(place: Place) -> Self {
        let child = spawn(&place);
        let mut app = Self { child, http: http::client(), place };
        app.wait_until_it_serves().await;
        app
    }

    async fn wait_until_it_serves(&mut self) {
        let began = Instant::now();
        loop {
            let probe = self.http.get(format!("{}/healthz", self.origin()));
            let serves = match self.place.is_set("TLS_CERT") {
                // This client speaks no TLS; the program prints its address when it serves.
                true => self.logs().contains("order-portal is at"),
                false => probe.send().await.is_ok_and(|answer| answer.status() == 200),
            };
            if serves {
                return;
            }
            if let Some(status) = self.child.try_wait().unwrap() {
                panic!("the program ended at its start with {status}:\n{}", self.logs());
            }
            assert!(began.elapsed() < STARTS_WITHIN, "the program does not serve:\n{}", self.logs());
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    }

    /// Where the program is reached. It is not `PUBLIC_URL`, which says `localhost`, so that both names are tried.
    pub fn origin(&self) -> String {
        format!("http://127.0.0.1:{}", self.port)
    }

    /// What the program has written to standard output and standard error so far. Lines are written after the answer that
    /// they are about, so this waits until no more come, for a while.
    pub fn logs(&self) -> String {
        let read = || {
            ["stdout.log", "stderr.log"].map(|name| std::fs::read_to_string(self.path().join(name)).unwrap()).concat()
        };
        let mut logs = read();
        for _ in 0..20 {
            std::thread::sleep(Duration::from_millis(100));
            let later = read();
            if later == logs {
                break;
            }
            logs = later;
        }
        logs
    }

    /// Has the signal sent to the program and waits for its end.
    pub fn stop_by(&mut self, signal: &str) -> ExitStatus {
        self.signal(signal);
        self.wait()
    }

    /// The process that serves.
    pub fn pid(&self) -> u32 {
        self.child.id()
    }

    /// The memory that it holds, in KiB.
    pub fn memory(&self) -> u64 {
        let status = std::fs::read_to_string(format!("/proc/{}/status", self.pid())).unwrap();
        let line = status.lines().find(|line| line.starts_with("VmRSS:")).unwrap();
        line.split_whitespace().nth(1).unwrap().parse().unwrap()
    }

    /// Sends one of the signals that tests use, by the system call: a bare machine has no `kill` program.
    pub fn signal(&self, name: &str) {
        let signal = match name {
            "TERM" => Signal::TERM,
            "INT" => Signal::INT,
            "HUP" => Signal::HUP,
            "KILL" => Signal::KILL,
            _ => panic!("no test sends {name}"),
        };
        kill_process(Pid::from_child(&self.child), signal).unwrap();
    }

    pub fn wait(&mut self) -> ExitStatus {
        let began = Instant::now();
        loop {
            if let Some(status) = self.child.try_wait().unwrap() {
                return status;
            }
            assert!(began.elapsed() < STOPS_WITHIN, "the program does not stop:\n{}", self.logs());
            std::thread::sleep(Duration::from_millis(10));
        }
    }

    /// Starts the program again, on the same data, after it was stopped.
    pub async fn start_again(&mut self) {
        self.child = spawn(&self.place);
        self.wait_until_it_serves().await;
    }

    pub fn visitor(&self) -> Visitor {
        Visitor::new(self.http.clone(), self.origin())
    }

    /// A visitor with a new account, signed in.
    pub async fn customer(&self, email: &str) -> Visitor {
        let mut visitor = self.visitor();
        let answer = visitor.post("/signup", &[("email", email), ("password", PASSWORD)]).await;
        assert_eq!(answer.leads_to(), (303, "/orders"), "sign-up of {email}: {}", answer.text());
        visitor
    }

    /// The same, and the address is verified.
    pub async fn verified_customer(&self, email: &str) -> Visitor {
        let visitor = self.customer(email).await;
        self.done(&["user", "verify", email]);
        visitor
    }

    pub fn request(&self, method: Method, path: &str) -> RequestBuilder {
        self.http.request(method, format!("{}{path}", self.origin()))
    }

    pub async fn get(&self, path: &str) -> Answer {
        http::send(self.request(Method::GET, path)).await
    }

    /// A page asked for with a `Cookie` header as it stands.
    pub async fn get_with_cookie(&self, path: &str, cookie: &str) -> Answer {
        http::send(self.request(Method::GET, path).header("cookie", cookie)).await
    }

    /// A new account by way of the API; answers its token.
    pub async fn api_account(&self, email: &str) -> String {
        let answer = self.api_post("/api/createNewUser", &json!({ "email": email, "password": PASSWORD })).await;
        assert_eq!(answer.status, 201, "{}", answer.text());
        answer.json()["token"].as_str().unwrap().to_owned()
    }

    /// A token of an account that exists.
    pub async fn api_token(&self, email: &str) -> String {
        let answer = self.api_post("/api/login", &json!({ "email": email, "password": PASSWORD })).await;
        assert_eq!(answer.status, 200, "{}", answer.text());
        answer.json()["token"].as_str().unwrap().to_owned()
    }

    pub async fn api_post(&self, path: &str, body: &serde_json::Value) -> Answer {
        http::send(self.request(Method::POST, path).json(body)).await
    }

    pub async fn api_get(&self, path: &str, token: &str) -> Answer {
        http::send(self.request(Method::GET, path).bearer_auth(token)).await
    }
}

fn spawn(place: &Place) -> Child {
    let log = |name: &str| File::options().create(true).append(true).open(place.path().join(name)).unwrap();
    let mut command = place.command(&["serve"]);
    command.stdin(Stdio::null()).stdout(log("stdout.log")).stderr(log("stderr.log"));
    command.spawn().unwrap()
}

impl Deref for TestApp {
    type Target = Place;

    fn deref(&self) -> &Place {
        &self.place
    }
}

impl DerefMut for TestApp {
    fn deref_mut(&mut self) -> &mut Place {
        &mut self.place
    }
}

/// Must not panic: a panic while another one unwinds aborts the run and hides every other result.
impl Drop for TestApp {
    fn drop(&mut self) {
        self.child.kill().ok();
        self.child.wait().ok();
    }
}
