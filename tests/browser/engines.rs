//! Differences between engines: the same steps in Chromium, Firefox and `WebKit` (the engine of Safari).
//!
//! Over HTTPS, because `WebKit` rejects `Secure` cookies over HTTP, even from localhost.

use std::io::{BufRead, BufReader};
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use fantoccini::actions::{InputSource, MOUSE_BUTTON_LEFT, MouseActions, PointerAction};
use fantoccini::{Client, Locator};
use serde_json::{Value, json};

use super::driver::Driver;
use crate::app::{ANN, PASSWORD, TestApp};
use crate::tls::{Certificate, https_sandbox};

#[derive(Clone, Copy, PartialEq)]
enum Engine {
    Chromium,
    Firefox,
    WebKit,
}

struct Browser {
    client: Client,
    origin: String,
    _driver: Driver,
    _screen: Option<Screen>,
}

/// A virtual screen: `WebKit` has no headless mode.
struct Screen {
    server: Child,
    display: String,
}

impl Screen {
    fn start() -> Self {
        let mut command = Command::new("Xvfb");
        command.args(["-displayfd", "1", "-screen", "0", "1920x1200x24", "-nolisten", "tcp"]);
        let mut server = command.stdout(Stdio::piped()).stderr(Stdio::null()).spawn().unwrap();
        let mut number = String::new();
        BufReader::new(server.stdout.take().unwrap()).read_line(&mut number).unwrap();
        Self { server, display: format!(":{}", number.trim()) }
    }
}

impl Drop for Screen {
    fn drop(&mut self) {
        self.server.kill().ok();
        self.server.wait().ok();
    }
}

impl Browser {
    async fn start(engine: Engine, origin: &str) -> Self {
        let screen = (engine == Engine::WebKit).then(Screen::start);
        let (program, options) = match engine {
            Engine::Chromium => {
                let arguments = ["--headless=new", "--no-sandbox", "--disable-dev-shm-usage", "--disable-gpu"];
                (Command::new("chromedriver"), json!({ "goog:chromeOptions": { "args": arguments } }))
            }
            Engine::Firefox => {
                (Command::new("geckodriver"), json!({ "moz:firefoxOptions": { "args": ["-headless"] } }))
            }
            Engine::WebKit => {
                let mut driver = Command::new("WebKitWebDriver");
                driver.env("DISPLAY", &screen.as_ref().unwrap().display).env("GDK_BACKEND", "x11");
                (driver, json!({}))
            }
        };
        let mut capabilities = options;
        capabilities["acceptInsecureCerts"] = json!(true);
        let driver = Driver::start(program);
        let client = driver.open_browser(&capabilities).await;
        Self { client, origin: origin.to_owned(), _driver: driver, _screen: screen }
    }

    async fn open(&self, path: &str) {
        self.client.goto(&format!("{}{path}", self.origin)).await.unwrap();
    }

    async fn path(&self) -> String {
        self.client.current_url().await.unwrap().path().to_owned()
    }

    async fn wait_for_path(&self, path: &str) {
        for _ in 0..200 {
            if self.path().await == path {
                return;
            }
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
        panic!("not at {path} but at {}", self.path().await);
    }

    async fn run(&self, script: &str, arguments: Vec<Value>) -> Value {
        self.client.execute(script, arguments).await.unwrap()
    }

    /// Sets the width of the page.
    async fn set_width(&self, width: u32) {
        self.client.set_window_size(width, 900).await.unwrap();
        let inner = self.run("return innerWidth", vec![]).await.as_u64().unwrap();
        let frame = u64::from(width).saturating_sub(inner);
        self.client.set_window_size(width + u32::try_from(frame).unwrap(), 900).await.unwrap();
        for _ in 0..100 {
            if self.run("return innerWidth", vec![]).await == width {
                return;
            }
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
        panic!("the page is {} wide, not {width}", self.run("return innerWidth", vec![]).await);
    }

    /// Clicks at a position, not on an element.
    async fn click_at(&self, x: f64, y: f64) {
        let mouse = MouseActions::new("mouse".to_owned())
            .then(PointerAction::MoveTo { duration: None, x, y })
            .then(PointerAction::Down { button: MOUSE_BUTTON_LEFT })
            .then(PointerAction::Up { button: MOUSE_BUTTON_LEFT });
        self.client.perform_actions(mouse).await.unwrap();
    }

    async fn click_on(&self, selector: &str) {
        let script = "const element = document.querySelector(arguments[0]);
            element.scrollIntoView({ block: 'nearest', behavior: 'instant' });
            const box = element.getBoundingClientRect();
            return [Math.round(box.x + box.width / 2), Math.round(box.y + box.height / 2)]";
        let (x, y) = serde_json::from_value(self.run(script, vec![json!(selector)]).await).unwrap();
        self.click_at(x, y).await;
    }

    async fn fill(&self, selector: &str, text: &str) {
        let field = self.client.wait().for_element(Locator::Css(selector)).await.unwrap();
        field.send_keys(text).await.unwrap();
    }
}

/// Scrolls to the row; returns the path of its order and the point at a share of its width.
const POINT_IN_ROW: &str = "const row = document.querySelectorAll('table.orders tbody tr')[arguments[0]];
    row.scrollIntoView({ block: 'center', behavior: 'instant' });
    const box = row.getBoundingClientRect();
    const point = [Math.round(box.x + box.width * arguments[1]), Math.round(box.y + box.height / 2)];
    return [row.querySelector('a').pathname, ...point]";

/// Positions in a row as shares of its width; at 700 px the middle one is on the shape of a status.
const SHARES: [f64; 3] = [0.02, 0.5, 0.98];

/// The controls that another element covers.
const COVERED: &str = "scrollTo(0, 0);
    const controls = [...document.querySelectorAll('header a, header button, main :is(input, select, button)')];
    return controls.filter((control) => control.checkVisibility()).filter((control) => {
        const box = control.getBoundingClientRect();
        const top = document.elementFromPoint(box.x + box.width / 2, box.y + box.height / 2);
        return box.bottom < innerHeight && !control.contains(top);
    }).map((control) => control.outerHTML)";

/// Signs up, opens orders by clicks in the list, and uses the filter and the logout.
async fn clicks_open_orders(engine: Engine) {
    let mut sandbox = https_sandbox(&Certificate::new()).await;
    sandbox.set("DEMO_ORDERS", "true");
    let app = TestApp::start_in(sandbox).await;
    let browser = Browser::start(engine, app.setting("PUBLIC_URL")).await;
    browser.open("/signup").await;
    browser.fill("#email", ANN).await;
    browser.fill("#password", PASSWORD).await;
    browser.click_on("main form [type=submit]").await;
    browser.wait_for_path("/orders").await;
    // Cards and a table. Only Chromium can make its window as narrow as a phone.
    for width in [600, 700, 1440] {
        browser.set_width(width).await;
        for row in [0, 9, 19] {
            for share in SHARES {
                browser.open("/orders").await;
                let found = browser.run(POINT_IN_ROW, vec![json!(row), json!(share)]).await;
                let (order, x, y): (String, f64, f64) = serde_json::from_value(found).unwrap();
                browser.click_at(x, y).await;
                browser.wait_for_path(&order).await;
            }
        }
        browser.open("/orders").await;
        assert_eq!(browser.run(COVERED, vec![]).await, json!([]), "covered at {width} px");
        browser.click_on("#q").await;
        assert_eq!(browser.run("return document.activeElement.id", vec![]).await, "q");
        browser.fill("#q", "no such product").await;
        browser.click_on("form.filters button").await;
        browser.client.wait().for_element(Locator::Css("section.empty")).await.unwrap();
        assert_eq!(browser.path().await, "/orders");
    }
    browser.open("/orders").await;
    browser.click_on("form[action='/logout'] button").await;
    browser.wait_for_path("/login").await;
    browser.client.clone().close().await.unwrap();
}

#[tokio::test]
#[ignore = "needs Chromium and chromedriver; tests/run includes it"]
async fn clicks_open_orders_in_chromium() {
    clicks_open_orders(Engine::Chromium).await;
}

#[tokio::test]
#[ignore = "needs Firefox and geckodriver; tests/run includes it"]
async fn clicks_open_orders_in_firefox() {
    clicks_open_orders(Engine::Firefox).await;
}

#[tokio::test]
#[ignore = "needs WebKitWebDriver and Xvfb; tests/run includes it"]
async fn clicks_open_orders_in_webkit() {
    clicks_open_orders(Engine::WebKit).await;
}

#[tokio::test]
#[ignore = "needs WebKitWebDriver and Xvfb; tests/run includes it"]
async fn webkit_gets_a_cookie_message_over_http() {
    let app = TestApp::start().await;
    let browser = Browser::start(Engine::WebKit, app.setting("PUBLIC_URL")).await;
    browser.open("/signup").await;
    browser.fill("#email", ANN).await;
    browser.fill("#password", PASSWORD).await;
    browser.click_on("main form [type=submit]").await;
    browser.wait_for_path("/login").await;
    let alert = browser.client.wait().for_element(Locator::Css("[role=alert]")).await.unwrap();
    assert!(alert.text().await.unwrap().contains("did not keep the cookie that logs you in"));
    browser.client.clone().close().await.unwrap();
}
