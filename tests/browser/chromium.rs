//! A Chromium browser with its own profile, controlled through `chromedriver`.

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

/// Whether JavaScript is enabled.
#[derive(Clone, Copy, PartialEq)]
pub enum Scripts {
    On,
    Off,
}

pub const DEFAULT_FONT_SIZE: u32 = 16;

pub struct Chromium {
    pub client: Client,
    driver: Driver,
    origin: String,
    _profile: TempDir,
}

impl Chromium {
    pub async fn start(app: &TestApp, scripts: Scripts) -> Self {
        Self::start_at(format!("http://localhost:{}", app.port), scripts).await
    }

    pub async fn start_at(origin: String, scripts: Scripts) -> Self {
        Self::start_with_font_size(origin, scripts, DEFAULT_FONT_SIZE).await
    }

    /// `font_size` is that of the browser's settings, in pixels.
    pub async fn start_with_font_size(origin: String, scripts: Scripts, font_size: u32) -> Self {
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
        let preferences = json!({
            "profile.managed_default_content_settings.javascript": allowed,
            "webkit.webprefs.default_font_size": font_size,
        });
        let options = json!({ "args": arguments, "prefs": preferences });
        let capabilities = json!({ "goog:chromeOptions": options, "goog:loggingPrefs": { "browser": "ALL" } });
        let client = driver.open_browser(&capabilities).await;
        Self { client, driver, origin, _profile: profile }
    }

    pub async fn open(&self, path: &str) {
        self.client.goto(&format!("{}{path}", self.origin)).await.unwrap();
    }

    /// Waits until the browser shows this path.
    pub async fn wait_for_path(&self, path: &str) {
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

    /// Waits until the text of the element is as expected: after a click it may be that of the previous page.
    pub async fn wait_for_text_of(&self, selector: &str, is_expected: impl Fn(&str) -> bool) {
        let mut text = String::new();
        for _ in 0..200 {
            text = self.text(selector).await;
            if is_expected(&text) {
                return;
            }
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
        panic!("{selector} at {} has the text {text:?}", self.address().await);
    }

    pub async fn click(&self, selector: &str) {
        self.with(selector, |element| async move { element.click().await }).await;
    }

    /// Applies the action to the first matching element. Retries if a new page replaced the element, and for two seconds while another
    /// element covers it, as a page transition does.
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

    /// Waits until no element matches.
    pub async fn wait_until_gone(&self, selector: &str) {
        for _ in 0..200 {
            if !self.has(selector).await {
                return;
            }
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
        panic!("{selector} is still on the page at {}", self.address().await);
    }

    /// Waits until the page shows the text.
    pub async fn wait_for_text(&self, text: &str) {
        for _ in 0..200 {
            // During a navigation there may be no body.
            let body = self.run("return document.body?.innerText ?? ''").await;
            if body.as_str().unwrap().contains(text) {
                return;
            }
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
        panic!("{text:?} is not on the page at {}:\n{}", self.address().await, self.text("body").await);
    }

    pub async fn address(&self) -> String {
        self.client.current_url().await.unwrap().to_string()
    }

    /// Replaces the value of a field by typing.
    pub async fn fill(&self, selector: &str, text: &str) {
        let fill = |field: Element| async move {
            field.clear().await?;
            field.send_keys(text).await
        };
        self.with(selector, fill).await;
    }

    pub async fn sign_up(&self, email: &str, password: &str) {
        self.open("/signup").await;
        self.send_credentials(email, password).await;
        self.wait_for_path("/orders").await;
    }

    pub async fn log_in(&self, email: &str, password: &str) {
        self.open("/login").await;
        self.send_credentials(email, password).await;
        self.wait_for_path("/orders").await;
    }

    /// Fills and submits the form on the page.
    pub async fn send_credentials(&self, email: &str, password: &str) {
        self.fill("#email", email).await;
        self.client.find(Locator::Css("#password")).await.unwrap().send_keys(password).await.unwrap();
        self.click("main form [type=submit]").await;
    }

    pub async fn run(&self, script: &str) -> Value {
        self.client.execute(script, Vec::new()).await.unwrap()
    }

    /// Waits for the mail in the inbox of the development server, and opens it.
    pub async fn open_mail(&self, subject: &str) {
        for _ in 0..100 {
            self.open("/dev/mail").await;
            let found = self.client.find(Locator::LinkText(subject)).await;
            if let Ok(link) = found {
                link.click().await.unwrap();
                self.wait_for_text(subject).await;
                return;
            }
            tokio::time::sleep(Duration::from_millis(100)).await;
        }
        panic!("no mail with the subject {subject}");
    }

    /// The session cookie, which scripts cannot read.
    pub async fn session_cookie(&self) -> Value {
        self.command(reqwest::Method::GET, "cookie/__Host-session", &json!({})).await.unwrap()
    }

    /// Sets the session cookie.
    pub async fn set_session_cookie(&self, token: &str) {
        let cookie = json!({
            "name": "__Host-session", "value": token, "url": format!("{}/", self.origin), "path": "/",
            "secure": true, "httpOnly": true, "sameSite": "Strict",
        });
        assert_eq!(self.devtools("Network.setCookie", cookie).await["success"], true);
    }

    /// Sends a command of the Chrome `DevTools` protocol.
    pub async fn devtools(&self, command: &str, parameters: Value) -> Value {
        self.try_devtools(command, parameters).await.unwrap_or_else(|message| panic!("{command}: {message}"))
    }

    /// Sends a command of the Chrome `DevTools` protocol; returns its error message on failure.
    pub async fn try_devtools(&self, command: &str, parameters: Value) -> Result<Value, String> {
        let body = json!({ "cmd": command, "params": parameters });
        self.command(reqwest::Method::POST, "goog/cdp/execute", &body).await
    }

    /// Sends a `WebDriver` command that the client has no method for; returns its error message on failure.
    pub async fn command(&self, method: reqwest::Method, path: &str, body: &Value) -> Result<Value, String> {
        let session = self.client.session_id().await.unwrap().unwrap();
        let address = format!("{}/session/{session}/{path}", self.driver.address);
        let response = reqwest::Client::new().request(method, address).json(body).send().await.unwrap();
        let status = response.status();
        let mut response = response.json::<Value>().await.unwrap();
        if status.is_success() { Ok(response["value"].take()) } else { Err(response["value"]["message"].to_string()) }
    }

    /// Sets the directory of downloads.
    pub async fn download_to(&self, directory: &Path) {
        let parameters = json!({ "behavior": "allow", "downloadPath": directory.to_str().unwrap() });
        self.devtools("Browser.setDownloadBehavior", parameters).await;
    }

    /// Asserts that the page fits the width of a phone, and the contrast of text and controls in the light and the dark scheme.
    pub async fn assert_layout_and_contrast(&self) {
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
            let low = self.run(include_str!("contrast.js")).await;
            assert_eq!(low, json!([]), "{address} in {scheme}");
        }
        self.devtools("Emulation.setEmulatedMedia", json!({ "features": [] })).await;
        self.devtools("Emulation.clearDeviceMetricsOverride", json!({})).await;
    }

    /// Closes the browser and asserts that its log has no error.
    pub async fn close(self) {
        let log = self.command(reqwest::Method::POST, "se/log", &json!({ "type": "browser" })).await.unwrap();
        let is_error = |entry: &&Value| entry["level"] != "INFO" && !is_expected(entry);
        let errors: Vec<&Value> = log.as_array().unwrap().iter().filter(is_error).collect();
        assert!(errors.is_empty(), "{errors:#?}");
        self.client.close().await.unwrap();
    }
}

fn is_click_intercepted(error: &CmdError) -> bool {
    matches!(error, CmdError::Standard(error) if error.error() == "element click intercepted")
}

const TRANSITIONS: [&str; 3] = ["Transition was skipped", "ViewTransition opt-in disabled", "Page already revealed"];

/// Entries that are no fault: pages with a 4xx status, such as a rejected form, and view transitions that do not run.
fn is_expected(entry: &Value) -> bool {
    let message = entry["message"].as_str().unwrap();
    let is_status = message.contains("the server responded with a status of 4") && !message.contains("/static/");
    // A page is left before its transition starts, or shown before it is ready, or the other page has none (a mail as HTML).
    let is_transition = TRANSITIONS.iter().any(|end| message.ends_with(end));
    is_status || is_transition
}

/// Serves a page on another origin; returns its URL.
pub async fn serve_on_other_origin(body: &str) -> String {
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = format!("http://127.0.0.1:{}/", listener.local_addr().unwrap().port());
    let page = format!("<!doctype html><title>other site</title>{body}");
    tokio::spawn(async move {
        while let Ok((mut connection, _)) = listener.accept().await {
            // Each request gets the same page.
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
