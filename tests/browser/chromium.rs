//! A Chromium of its own for one test.

use std::path::Path;
use std::process::Command;
use std::time::{Duration, Instant};

use fantoccini::elements::Element;
use fantoccini::error::CmdError;
use fantoccini::{Client, Locator};
use serde_json::{Value, json};
use tempfile::TempDir;
use tokio::io::{AsyncReadExt, AsyncWriteExt};

use super::driver::Driver;
use crate::app::TestApp;

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

impl Chromium {
    pub async fn start(app: &TestApp, scripts: Scripts) -> Self {
        let driver = Driver::start(Command::new("chromedriver"));
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
        let capabilities = json!({ "goog:chromeOptions": options, "goog:loggingPrefs": { "browser": "ALL" } });
        let client = driver.open_browser(&capabilities).await;
        Self { client, driver, origin: format!("http://localhost:{}", app.port), _profile: profile }
    }

    pub async fn open(&self, path: &str) {
        self.client.goto(&format!("{}{path}", self.origin)).await.unwrap();
    }

    /// Waits until the browser is there.
    pub async fn arrives_at(&self, path: &str) {
        for _ in 0..200 {
            if self.client.current_url().await.unwrap().path() == path {
                return;
            }
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
        let page = self.client.source().await.unwrap();
        panic!("not at {path} but at {}:\n{page}", self.client.current_url().await.unwrap());
    }

    pub async fn text(&self, selector: &str) -> String {
        self.with(selector, |element| async move { element.text().await }).await
    }

    /// Waits until the text of the element is as expected. Right after a click it may still be that of the page before.
    pub async fn reads(&self, selector: &str, is_expected: impl Fn(&str) -> bool) {
        let mut text = String::new();
        for _ in 0..200 {
            text = self.text(selector).await;
            if is_expected(&text) {
                return;
            }
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
        panic!("{selector} at {} reads {text:?}", self.address().await);
    }

    pub async fn press(&self, selector: &str) {
        self.with(selector, |element| async move { element.click().await }).await;
    }

    /// Does something with the first element that matches. Repeats it when the next page replaced the element meanwhile, and
    /// for two seconds when another element covers it, as a page's transition does.
    async fn with<T, F>(&self, selector: &str, action: impl Fn(Element) -> F) -> T
    where
        F: Future<Output = Result<T, CmdError>>,
    {
        let began = Instant::now();
        loop {
            let element = self.client.wait().for_element(Locator::Css(selector)).await.unwrap();
            match action(element).await {
                Err(error) if error.is_stale_element_reference() => {}
                Err(error) if is_click_intercepted(&error) && began.elapsed() < Duration::from_secs(2) => {
                    tokio::time::sleep(Duration::from_millis(50)).await;
                }
                done => return done.unwrap(),
            }
        }
    }

    pub async fn has(&self, selector: &str) -> bool {
        !self.client.find_all(Locator::Css(selector)).await.unwrap().is_empty()
    }

    /// Waits until nothing on the page is of that kind any more.
    pub async fn gone(&self, selector: &str) {
        for _ in 0..200 {
            if !self.has(selector).await {
                return;
            }
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
        panic!("{selector} is still on the page at {}", self.address().await);
    }

    /// Waits until the page shows the words.
    pub async fn shows(&self, words: &str) {
        for _ in 0..200 {
            // Between two pages there may be no body.
            let body = self.run("return document.body?.innerText ?? ''").await;
            if body.as_str().unwrap().contains(words) {
                return;
            }
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
        panic!("{words:?} is not on the page at {}:\n{}", self.address().await, self.text("body").await);
    }

    pub async fn address(&self) -> String {
        self.client.current_url().await.unwrap().to_string()
    }

    /// Types into a field in place of what it holds.
    pub async fn fill(&self, selector: &str, text: &str) {
        let fill = |field: Element| async move {
            field.clear().await?;
            field.send_keys(text).await
        };
        self.with(selector, fill).await;
    }

    /// Fills the form on the page and sends it.
    pub async fn send_credentials(&self, email: &str, password: &str) {
        self.fill("#email", email).await;
        self.client.find(Locator::Css("#password")).await.unwrap().send_keys(password).await.unwrap();
        self.press("main form [type=submit]").await;
    }

    pub async fn run(&self, script: &str) -> Value {
        self.client.execute(script, Vec::new()).await.unwrap()
    }

    /// The mail of that subject, in development's inbox, once it has left.
    pub async fn open_mail(&self, subject: &str) {
        for _ in 0..100 {
            self.open("/dev/mail").await;
            let found = self.client.find(Locator::LinkText(subject)).await;
            if let Ok(letter) = found {
                letter.click().await.unwrap();
                self.shows(subject).await;
                return;
            }
            tokio::time::sleep(Duration::from_millis(100)).await;
        }
        panic!("no mail of that subject came: {subject}");
    }

    /// The session cookie as the browser keeps it, out of scripts' reach.
    pub async fn session_cookie(&self) -> Value {
        self.command(reqwest::Method::GET, "cookie/__Host-session", &json!({})).await.unwrap()
    }

    /// Has the browser hold the session cookie of another one.
    pub async fn set_session_cookie(&self, token: &str) {
        let cookie = json!({
            "name": "__Host-session", "value": token, "url": format!("{}/", self.origin), "path": "/",
            "secure": true, "httpOnly": true, "sameSite": "Strict",
        });
        assert_eq!(self.devtools("Network.setCookie", cookie).await["success"], true);
    }

    /// A command of Chromium's own.
    pub async fn devtools(&self, command: &str, parameters: Value) -> Value {
        self.try_devtools(command, parameters).await.unwrap_or_else(|message| panic!("{command}: {message}"))
    }

    /// A command of Chromium's own, or the message of its failure.
    pub async fn try_devtools(&self, command: &str, parameters: Value) -> Result<Value, String> {
        let body = json!({ "cmd": command, "params": parameters });
        self.command(reqwest::Method::POST, "goog/cdp/execute", &body).await
    }

    /// A command of the driver that the client does not know, or the message of its failure.
    async fn command(&self, method: reqwest::Method, path: &str, body: &Value) -> Result<Value, String> {
        let session = self.client.session_id().await.unwrap().unwrap();
        let address = format!("{}/session/{session}/{path}", self.driver.address);
        let answer = reqwest::Client::new().request(method, address).json(body).send().await.unwrap();
        let status = answer.status();
        let mut answer = answer.json::<Value>().await.unwrap();
        if status.is_success() { Ok(answer["value"].take()) } else { Err(answer["value"]["message"].to_string()) }
    }

    /// Has downloads land in the folder.
    pub async fn download_to(&self, folder: &Path) {
        let parameters = json!({ "behavior": "allow", "downloadPath": folder.to_str().unwrap() });
        self.devtools("Browser.setDownloadBehavior", parameters).await;
    }

    /// Holds the page to phones' widths and to the contrast promised for text and controls, in light and in dark.
    pub async fn looks_right(&self) {
        let address = self.address().await;
        for width in [320, 390] {
            let metrics = json!({ "width": width, "height": 720, "deviceScaleFactor": 1, "mobile": true });
            self.devtools("Emulation.setDeviceMetricsOverride", metrics).await;
            let overflow = "return document.documentElement.scrollWidth - document.documentElement.clientWidth";
            assert_eq!(self.run(overflow).await, 0, "{address} scrolls sideways at {width}");
        }
        for scheme in ["light", "dark"] {
            let features = json!({ "features": [{ "name": "prefers-color-scheme", "value": scheme }] });
            self.devtools("Emulation.setEmulatedMedia", features).await;
            let faint = self.run(include_str!("contrast.js")).await;
            assert_eq!(faint, json!([]), "{address} in {scheme}");
        }
        self.devtools("Emulation.setEmulatedMedia", json!({ "features": [] })).await;
        self.devtools("Emulation.clearDeviceMetricsOverride", json!({})).await;
    }

    /// Ends the browser; on none of the pages that it was at may anything have been refused or have failed.
    pub async fn close(self) {
        let log = self.command(reqwest::Method::POST, "se/log", &json!({ "type": "browser" })).await.unwrap();
        let worth_a_look = |entry: &&Value| entry["level"] != "INFO" && !is_as_it_should_be(entry);
        let complaints: Vec<&Value> = log.as_array().unwrap().iter().filter(worth_a_look).collect();
        assert!(complaints.is_empty(), "{complaints:#?}");
        self.client.close().await.unwrap();
    }
}

fn is_click_intercepted(error: &CmdError) -> bool {
    matches!(error, CmdError::Standard(error) if error.error() == "element click intercepted")
}

/// What Chromium notes as an error and is none: a page with a status of its own, a form that was wrong say, as if a file were
/// missing; and a page that moves in differently from the one before, a mail as HTML say.
fn is_as_it_should_be(entry: &Value) -> bool {
    // A page that is left before its view transition begins; nothing failed.
    if entry["message"].as_str().is_some_and(|message| message.ends_with("Transition was skipped")) {
        return true;
    }
    let message = entry["message"].as_str().unwrap();
    let is_status = message.contains("the server responded with a status of 4") && !message.contains("/static/");
    is_status || message.ends_with("ViewTransition opt-in disabled")
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
