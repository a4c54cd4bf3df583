//! The server under test, as a process.

use std::fs::File;
use std::ops::{Deref, DerefMut};
use std::process::{Child, ExitStatus, Stdio};
use std::time::{Duration, Instant};

use reqwest::{Client, Method, RequestBuilder};
use rustix::process::{Pid, Signal, kill_process};
use serde_json::json;

use crate::http::{self, Response, Visitor};
use crate::sandbox::Sandbox;
use crate::shop::Row;

pub const ANN: &str = "ann@example.com";
pub const BOB: &str = "bob@example.com";

/// Valid passwords.
pub const PASSWORD: &str = "seven calm herons on one leg";
pub const NEW_PASSWORD: &str = "eleven brass owls in a row";
pub const OTHER_PASSWORD: &str = "a quiet harbour at dusk";
pub const WRONG_PASSWORD: &str = "not the password at all";

/// The settings of a production server at `https://shop.example`.
pub const PRODUCTION: [(&str, &str); 3] =
    [("APP_ENV", "production"), ("PUBLIC_URL", "https://shop.example"), ("MAIL_URL", "file://data/mail")];

const START_TIMEOUT: Duration = Duration::from_secs(30);
const STOP_TIMEOUT: Duration = Duration::from_secs(30);

/// A running server with its own sandbox; killed on drop.
pub struct TestApp {
    child: Child,
    http: Client,
    sandbox: Sandbox,
}

impl TestApp {
    pub async fn start() -> Self {
        Self::start_with(&[]).await
    }

    pub async fn start_with(settings: &[(&str, &str)]) -> Self {
        let mut sandbox = Sandbox::new().await;
        settings.iter().for_each(|(name, value)| sandbox.set(name, value));
        Self::start_in(sandbox).await
    }

    pub async fn start_in(sandbox: Sandbox) -> Self {
        let child = spawn(&sandbox);
        let mut app = Self { child, http: http::client(), sandbox };
        app.wait_until_ready().await;
        app
    }

    /// A server with imported orders, and Ann: verified and logged in.
    pub async fn start_with_orders(rows: &[Row]) -> (Self, Visitor) {
        let app = Self::start().await;
        let ann = app.verified_customer(ANN).await;
        app.import(rows);
        (app, ann)
    }

    async fn wait_until_ready(&mut self) {
        let began = Instant::now();
        loop {
            let probe = self.http.get(format!("{}/healthz", self.origin()));
            let is_ready = match self.sandbox.is_set("TLS_CERT") {
                // This client has no TLS. The server prints its address when it is ready.
                true => self.logs().contains("order-portal is at"),
                false => probe.send().await.is_ok_and(|response| response.status() == 200),
            };
            if is_ready {
                return;
            }
            if let Some(status) = self.child.try_wait().unwrap() {
                panic!("the server exited at start with {status}:\n{}", self.logs());
            }
            assert!(began.elapsed() < START_TIMEOUT, "the server is not ready:\n{}", self.logs());
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    }

    /// The address of the server. `PUBLIC_URL` has `localhost` as its host, so the tests use both names.
    pub fn origin(&self) -> String {
        format!("http://127.0.0.1:{}", self.port)
    }

    /// Standard output and standard error up to now. Lines are written after the response that they describe, so this waits
    /// until no more arrive.
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

    pub fn pid(&self) -> u32 {
        self.child.id()
    }

    /// The resident memory of the process, in KiB.
    pub fn memory(&self) -> u64 {
        let status = std::fs::read_to_string(format!("/proc/{}/status", self.pid())).unwrap();
        let line = status.lines().find(|line| line.starts_with("VmRSS:")).unwrap();
        line.split_whitespace().nth(1).unwrap().parse().unwrap()
    }

    /// Sends a signal by the system call: a minimal machine has no `kill` program.
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

    /// Sends the signal and waits for the exit.
    pub fn stop_with(&mut self, signal: &str) -> ExitStatus {
        self.signal(signal);
        self.wait()
    }

    /// Waits for the exit.
    pub fn wait(&mut self) -> ExitStatus {
        let began = Instant::now();
        loop {
            if let Some(status) = self.child.try_wait().unwrap() {
                return status;
            }
            assert!(began.elapsed() < STOP_TIMEOUT, "the server does not stop:\n{}", self.logs());
            std::thread::sleep(Duration::from_millis(10));
        }
    }

    /// Whether the server has exited, with status 0.
    pub fn has_stopped(&mut self) -> bool {
        let status = self.child.try_wait().unwrap();
        status.inspect(|status| assert!(status.success(), "{status}:\n{}", self.logs())).is_some()
    }

    /// Starts the stopped server again with the same data.
    pub async fn restart(&mut self) {
        self.child = spawn(&self.sandbox);
        self.wait_until_ready().await;
    }

    pub fn visitor(&self) -> Visitor {
        Visitor::new(self.http.clone(), self.origin())
    }

    /// A logged-in visitor with a new account.
    pub async fn customer(&self, email: &str) -> Visitor {
        let mut visitor = self.visitor();
        let response = visitor.post("/signup", &[("email", email), ("password", PASSWORD)]).await;
        assert_eq!(response.redirect(), (303, "/orders"), "sign-up of {email}: {}", response.text());
        visitor
    }

    /// A logged-in visitor with a new account and a verified address.
    pub async fn verified_customer(&self, email: &str) -> Visitor {
        let visitor = self.customer(email).await;
        self.run_ok(&["user", "verify", email]);
        visitor
    }

    /// A login from a new browser.
    pub async fn log_in(&self, email: &str, password: &str) -> Response {
        self.visitor().log_in(email, password).await
    }

    /// A new session of an existing account.
    pub async fn new_session(&self, email: &str, password: &str) -> Visitor {
        let mut visitor = self.visitor();
        assert_eq!(visitor.log_in(email, password).await.redirect(), (303, "/orders"), "login of {email}");
        visitor
    }

    /// Confirms an address without a session, by the password of the account.
    pub async fn confirm_address(&self, token: &str) -> Response {
        self.visitor().post("/verify", &[("token", token), ("password", PASSWORD)]).await
    }

    pub fn request(&self, method: Method, path: &str) -> RequestBuilder {
        self.http.request(method, format!("{}{path}", self.origin()))
    }

    pub async fn get(&self, path: &str) -> Response {
        http::send(self.request(Method::GET, path)).await
    }

    /// A GET request with this `Cookie` header.
    pub async fn get_with_cookie(&self, path: &str, cookie: &str) -> Response {
        http::send(self.request(Method::GET, path).header("cookie", cookie)).await
    }

    /// A GET request with this token in the session cookie.
    pub async fn get_with_token(&self, path: &str, token: &str) -> Response {
        self.get_with_cookie(path, &format!("__Host-session={token}")).await
    }

    /// Creates an account by the API; returns its token.
    pub async fn api_account(&self, email: &str) -> String {
        let response = self.api_post("/api/createNewUser", &json!({ "email": email, "password": PASSWORD })).await;
        assert_eq!(response.status, 201, "{}", response.text());
        response.json()["token"].as_str().unwrap().to_owned()
    }

    /// A new API token of an existing account.
    pub async fn api_token(&self, email: &str) -> String {
        let response = self.api_post("/api/login", &json!({ "email": email, "password": PASSWORD })).await;
        assert_eq!(response.status, 200, "{}", response.text());
        response.json()["token"].as_str().unwrap().to_owned()
    }

    pub async fn api_post(&self, path: &str, body: &serde_json::Value) -> Response {
        http::send(self.request(Method::POST, path).json(body)).await
    }

    pub async fn api_get(&self, path: &str, token: &str) -> Response {
        http::send(self.request(Method::GET, path).bearer_auth(token)).await
    }
}

fn spawn(sandbox: &Sandbox) -> Child {
    let log = |name: &str| File::options().create(true).append(true).open(sandbox.path().join(name)).unwrap();
    let mut command = sandbox.command(&["serve"]);
    command.stdin(Stdio::null()).stdout(log("stdout.log")).stderr(log("stderr.log"));
    command.spawn().unwrap()
}

impl Deref for TestApp {
    type Target = Sandbox;

    fn deref(&self) -> &Sandbox {
        &self.sandbox
    }
}

impl DerefMut for TestApp {
    fn deref_mut(&mut self) -> &mut Sandbox {
        &mut self.sandbox
    }
}

/// Must not panic: a panic during another panic aborts the run and hides all other results.
impl Drop for TestApp {
    fn drop(&mut self) {
        self.child.kill().ok();
        self.child.wait().ok();
    }
}
