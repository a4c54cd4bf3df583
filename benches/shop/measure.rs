//! Measures requests for pages, from sending to the last byte, on a server that is started for it.

use std::net::TcpListener;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use reqwest::Client;
use serde_json::{Value, json};

use crate::{BUSY, ORDINARY, PASSWORD};

/// Measured requests for each page, after one to warm up.
const REQUESTS: usize = 15;
/// The page of the list that is measured as "a thousand pages in".
const DEEP_PAGE: usize = 1_000;

struct Server {
    process: Child,
    origin: String,
}

impl Drop for Server {
    fn drop(&mut self) {
        self.process.kill().ok();
        self.process.wait().ok();
    }
}

struct Customer {
    http: Client,
    origin: String,
    cookie: String,
    token: String,
}

pub async fn measure(url: &str) {
    let folder = tempfile::tempdir().unwrap();
    // Without memory for finished lists, each page is made anew.
    let server = start(url, &folder, "0").await;
    println!("{:44} {:>10} {:>10} {:>10}", "page", "median ms", "worst ms", "bytes");
    for email in [BUSY, ORDINARY] {
        let customer = log_in(&server, email).await;
        println!("{email}");
        pages(&customer).await;
    }
    println!("peak memory of the server: {} MiB", peak_memory(server.process.id()));
    drop(server);
    let server = start(url, &folder, "32").await;
    for email in [BUSY, ORDINARY] {
        log_in(&server, email).await.time(&format!("first page from memory, {email}"), "/orders").await;
    }
}

async fn pages(customer: &Customer) {
    customer.time("first page, with sums and chart", "/orders").await;
    if let Some(cursor) = customer.deep_cursor().await {
        customer.time("a thousand pages in", &format!("/orders?after={cursor}")).await;
    }
    customer.time("search, one product in 5,000", "/orders?q=kind+4242").await;
    customer.time("search, every fifth order, and a status", "/orders?q=linden+honey&status=refunded").await;
    customer.time("search that finds nothing", "/orders?q=unobtainable").await;
    customer.time("last year", "/orders?period=last-year").await;
    customer.time("highest total first", "/orders?sort=highest").await;
    customer.time("search, highest total first", "/orders?q=kind+4242&sort=highest").await;
    let number = customer.first_number().await;
    customer.time("one order", &format!("/orders/{number}")).await;
    customer.time("the list alone, as JSON", "/api/userOrders").await;
    customer.time_once("all of it as a spreadsheet", "/orders.csv").await;
}

async fn start(url: &str, folder: &tempfile::TempDir, cache_megabytes: &str) -> Server {
    let port = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
    let origin = format!("http://127.0.0.1:{port}");
    let process = Command::new(env!("CARGO_BIN_EXE_order-portal"))
        .current_dir(folder.path())
        .env_clear()
        .env("DATABASE_URL", url)
        .env("BIND_ADDR", format!("127.0.0.1:{port}"))
        .env("PUBLIC_URL", format!("http://localhost:{port}"))
        .env("STATIC_DIR", concat!(env!("CARGO_MANIFEST_DIR"), "/static"))
        .env("CACHE_MEGABYTES", cache_megabytes)
        .env("RUST_LOG", "warn")
        .stdout(Stdio::null())
        .spawn()
        .unwrap();
    let server = Server { process, origin };
    let began = Instant::now();
    while reqwest::get(format!("{}/healthz", server.origin)).await.is_err() {
        assert!(began.elapsed() < Duration::from_secs(60), "the server does not start");
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    server
}

async fn log_in(server: &Server, email: &str) -> Customer {
    let http = Client::builder().redirect(reqwest::redirect::Policy::none()).no_gzip().build().unwrap();
    let fields = [("email", email), ("password", PASSWORD)];
    let answer = http.post(format!("{}/login", server.origin)).form(&fields).send().await.unwrap();
    let cookies = answer.headers().get_all("set-cookie").iter().filter_map(|cookie| cookie.to_str().ok());
    let session =
        cookies.filter_map(|cookie| cookie.split(';').next()).find(|cookie| cookie.starts_with("__Host-session="));
    let cookie = session.expect("a session").to_owned();
    let credentials = json!({ "email": email, "password": PASSWORD });
    let answer = http.post(format!("{}/api/login", server.origin)).json(&credentials).send().await.unwrap();
    let token = answer.json::<Value>().await.unwrap()["token"].as_str().unwrap().to_owned();
    Customer { http, origin: server.origin.clone(), cookie, token }
}

impl Customer {
    async fn get(&self, path: &str) -> Vec<u8> {
        let request =
            self.http.get(format!("{}{path}", self.origin)).header("cookie", &self.cookie).bearer_auth(&self.token);
        let answer = request.send().await.unwrap();
        assert_eq!(answer.status(), 200, "{path}");
        answer.bytes().await.unwrap().to_vec()
    }

    async fn time(&self, what: &str, path: &str) {
        self.get(path).await;
        let (mut times, mut bytes) = (Vec::new(), 0);
        for _ in 0..REQUESTS {
            let began = Instant::now();
            bytes = self.get(path).await.len();
            times.push(began.elapsed());
        }
        times.sort_unstable();
        print(what, times[REQUESTS / 2], times[REQUESTS - 1], bytes);
    }

    async fn time_once(&self, what: &str, path: &str) {
        let began = Instant::now();
        let bytes = self.get(path).await.len();
        print(what, began.elapsed(), began.elapsed(), bytes);
    }

    /// The cursor after a thousand pages of twenty; `None` when there are fewer.
    async fn deep_cursor(&self) -> Option<String> {
        let mut cursor: Option<String> = None;
        for _ in 0..DEEP_PAGE / 5 {
            let after = cursor.map(|cursor| format!("&after={cursor}")).unwrap_or_default();
            let answer: Value =
                serde_json::from_slice(&self.get(&format!("/api/userOrders?limit=100{after}")).await).unwrap();
            cursor = Some(answer["next"].as_str()?.to_owned());
        }
        cursor
    }

    async fn first_number(&self) -> String {
        let answer: Value = serde_json::from_slice(&self.get("/api/userOrders?limit=1").await).unwrap();
        answer["orders"][0]["number"].as_str().unwrap().to_owned()
    }
}

fn print(what: &str, median: Duration, worst: Duration, bytes: usize) {
    let milliseconds = |time: Duration| time.as_secs_f64() * 1_000.0;
    println!("  {what:42} {:>10.1} {:>10.1} {bytes:>10}", milliseconds(median), milliseconds(worst));
}

/// In MiB; 0 where the system has no `/proc`.
fn peak_memory(process: u32) -> u64 {
    let status = std::fs::read_to_string(format!("/proc/{process}/status")).unwrap_or_default();
    let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:")).unwrap_or_default();
    line.trim().trim_end_matches(" kB").parse::<u64>().unwrap_or(0) / 1024
}
