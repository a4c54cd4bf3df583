//! A Chromium of its own for one test.

use std::process::{Child, Command, Stdio};
use std::time::Duration;

use fantoccini::{Client, ClientBuilder, Locator};
use hyper_util::client::legacy::connect::HttpConnector;
use serde_json::{Value, json};
use tempfile::TempDir;
use tokio::io::{AsyncReadExt, AsyncWriteExt};

use crate::app::TestApp;
use crate::place::free_port;

/// Whether pages may run scripts.
#[derive(Clone, Copy, PartialEq)]
pub enum Scripts {
    On,
    Off,
}

pub struct Chromium {
    pub client: Client,
    driver: Driver,
    origin: String,
    _profile: TempDir,
}

struct Driver {
    process: Child,
    address: String,
}

impl Drop for Driver {
    fn drop(&mut self) {
        self.process.kill().ok();
        self.process.wait().ok();
    }
}

impl Chromium {
    pub async fn start(app: &TestApp, scripts: Scripts) -> Self {
        let port = free_port();
        let mut command = Command::new("chromedriver");
        command.arg(format!("--port={port}")).stdout(Stdio::null()).stderr(Stdio::null());
        let driver = Driver { process: command.spawn().unwrap(), address: format!("http://127.0.0.1:{port}") };
        let profile = tempfile::tempdir().unwrap();
        let arguments = [
            "--headless=new".to_owned(),
            "--no-sandbox".to_owned(),
            "--disable-dev-shm-usage".to_owned(),
            "--disable-gpu".to_owned(),
            format!("--user-data-dir={}", profile.path().display()),
        ];
        let allowed = if scripts == Scripts::On { 1 } else { 2 };
        let preferences = json!({ "profile.managed_default_content_settings.javascript": allowed });
        let options = json!({ "args": arguments, "prefs": preferences });
        let capabilities = json!({ "goog:chromeOptions": options }).as_object().unwrap().clone();
        let mut builder = ClientBuilder::new(HttpConnector::new());
        builder.capabilities(capabilities);
        for _ in 0..100 {
            if let Ok(client) = builder.connect(&driver.address).await {
                let origin = format!("http://localhost:{}", app.port);
                return Self { client, driver, origin, _profile: profile };
            }
            tokio::time::sleep(Duration::from_millis(100)).await;
        }
        panic!("Chromium does not start");
    }

    pub async fn open(&self, path: &str) {
        self.client.goto(&format!("{}{path}", self.origin)).await.unwrap();
    }

    /// Waits until the browser is there.
    pub async fn arrives_at(&self, path: &str) {
        for _ in 0..100 {
            if self.client.current_url().await.unwrap().path() == path {
                return;
            }
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
        let page = self.client.source().await.unwrap();
        panic!("not at {path} but at {}:\n{page}", self.client.current_url().await.unwrap());
    }

    pub async fn text(&self, selector: &str) -> String {
        self.client.wait().for_element(Locator::Css(selector)).await.unwrap().text().await.unwrap()
    }

    pub async fn press(&self, selector: &str) {
        self.client.wait().for_element(Locator::Css(selector)).await.unwrap().click().await.unwrap();
    }

    /// Fills the form on the page and sends it.
    pub async fn send_credentials(&self, email: &str, password: &str) {
        let field = self.client.find(Locator::Css("#email")).await.unwrap();
        field.clear().await.unwrap();
        field.send_keys(email).await.unwrap();
        self.client.find(Locator::Css("#password")).await.unwrap().send_keys(password).await.unwrap();
        self.press("main form [type=submit]").await;
    }

    pub async fn run(&self, script: &str) -> Value {
        self.client.execute(script, Vec::new()).await.unwrap()
    }

    /// A command of Chromium's own; answers what it gives back.
    pub async fn devtools(&self, command: &str, parameters: Value) -> Value {
        let session = self.client.session_id().await.unwrap().unwrap();
        let address = format!("{}/session/{session}/goog/cdp/execute", self.driver.address);
        let body = json!({ "cmd": command, "params": parameters });
        let answer = reqwest::Client::new().post(address).json(&body).send().await.unwrap();
        assert_eq!(answer.status(), 200);
        answer.json::<Value>().await.unwrap()["value"].take()
    }

    pub async fn close(self) {
        self.client.close().await.unwrap();
    }
}

/// Serves the page as another site would, and tells where.
pub async fn page_elsewhere(body: &str) -> String {
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = format!("http://127.0.0.1:{}/", listener.local_addr().unwrap().port());
    let page = format!("<!doctype html><title>elsewhere</title>{body}");
    tokio::spawn(async move {
        while let Ok((mut connection, _)) = listener.accept().await {
            // Whatever is asked for, the answer is the same page.
            let _ = connection.read_u8().await;
            let head = format!(
                "HTTP/1.1 200 OK\r\nContent-Type: text/html\r\nContent-Length: {}\r\nConnection: close\r\n\r\n",
                page.len()
            );
            connection.write_all(format!("{head}{page}").as_bytes()).await.ok();
        }
    });
    address
}
