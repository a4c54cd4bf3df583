//! Metrics: all are there from the start and documented, and each moves when its event happens.

mod database;
mod features;
mod listener;

use std::collections::{BTreeMap, BTreeSet};
use std::time::{Duration, Instant};

use crate::app::TestApp;
use crate::http::{Response, send_raw};
use crate::sandbox::{Sandbox, free_port};

/// Readings from the database are at least 10 seconds apart.
const READING_TIMEOUT: Duration = Duration::from_secs(30);

/// The metrics of a server.
pub struct Metrics {
    pub port: u16,
}

impl Metrics {
    /// Turns the metrics of a server on.
    pub fn enable(sandbox: &mut Sandbox) -> Self {
        let port = free_port();
        sandbox.set("METRICS_ADDR", &format!("127.0.0.1:{port}"));
        Self { port }
    }

    pub fn response(&self, host: &str) -> Response {
        let request = format!("GET /metrics HTTP/1.1\r\nHost: {host}\r\nConnection: close\r\n\r\n");
        send_raw(self.port, request.as_bytes()).unwrap()
    }

    pub fn text(&self) -> String {
        let response = self.response(&format!("localhost:{}", self.port));
        assert_eq!(response.status, 200, "{}", response.text());
        response.text()
    }

    /// Each series with its value, like `mail_queue_length{state="failed"}`.
    pub fn series(&self) -> BTreeMap<String, f64> {
        let text = self.text();
        let lines = text.lines().filter(|line| !line.starts_with('#'));
        let parse = |line: &str| {
            let (series, value) = line.rsplit_once(' ').unwrap();
            (series.to_owned(), value.parse().unwrap())
        };
        lines.map(parse).collect()
    }

    pub fn value(&self, series: &str) -> f64 {
        let all = self.series();
        *all.get(series).unwrap_or_else(|| panic!("no {series} in {all:?}"))
    }

    /// Waits until a series has a value.
    pub async fn wait_for(&self, series: &str, condition: impl Fn(f64) -> bool) {
        let began = Instant::now();
        loop {
            let value = self.value(series);
            if condition(value) {
                return;
            }
            assert!(began.elapsed() < READING_TIMEOUT, "{series} is {value}");
            tokio::time::sleep(Duration::from_millis(200)).await;
        }
    }
}

async fn start() -> (TestApp, Metrics) {
    start_with(&[]).await
}

async fn start_with(settings: &[(&str, &str)]) -> (TestApp, Metrics) {
    let mut sandbox = Sandbox::new().await;
    settings.iter().for_each(|(name, value)| sandbox.set(name, value));
    let metrics = Metrics::enable(&mut sandbox);
    (TestApp::start_in(sandbox).await, metrics)
}

/// Series that are 0 from the start: name, label, values.
const ZERO: [(&str, &str, &[&str]); 20] = [
    ("http_connections_refused_total", "", &[]),
    (
        "login_attempts_total",
        "outcome",
        &[
            "success",
            "wrong_password",
            "unknown_address",
            "disabled",
            "rate_limited",
            "second_step_needed",
            "second_step_wrong",
            "wrong_passkey",
        ],
    ),
    (
        "rate_limit_rejections_total",
        "limit",
        &["login-here", "login-account", "login-address", "sign-up", "mail-here", "confirm", "password-change"],
    ),
    ("hash_queue_length", "", &[]),
    ("hash_queue_wait_seconds_count", "", &[]),
    ("hash_queue_rejections_total", "", &[]),
    ("response_cache_hits_total", "", &[]),
    ("response_cache_misses_total", "", &[]),
    ("response_cache_bytes", "", &[]),
    ("mail_queue_length", "state", &["waiting", "failed"]),
    ("mail_queue_oldest_age_seconds", "", &[]),
    ("mail_deliveries_total", "outcome", &["delivered", "deferred", "failed"]),
    ("sessions_active", "audience", &["web", "api"]),
    ("import_last_success_timestamp_seconds", "", &[]),
    ("import_last_end_timestamp_seconds", "", &[]),
    ("import_last_duration_seconds", "", &[]),
    ("import_last_orders", "result", &["new", "changed", "unchanged", "skipped", "ownerless"]),
    ("import_last_lines", "", &[]),
    ("db_pool_timeouts_total", "pool", &["read", "write"]),
    ("db_pool_timeouts_total", "pool", &["all"]),
];

#[tokio::test]
async fn all_metrics_exist_at_the_first_scrape() {
    let (app, metrics) = start().await;
    let all = metrics.series();
    let other_pools: &[&str] = if app.is_postgres() { &["read", "write"] } else { &["all"] };
    for (name, label, values) in ZERO.into_iter().filter(|(_, _, values)| *values != other_pools) {
        let series: Vec<String> = match label {
            "" => vec![name.to_owned()],
            label => values.iter().map(|value| format!("{name}{{{label}=\"{value}\"}}")).collect(),
        };
        for series in series {
            assert_eq!(all.get(&series), Some(&0.0), "{series}");
        }
    }
    let version = env!("CARGO_PKG_VERSION");
    assert_eq!(all[&format!("build_info{{version=\"{version}\"}}")], 1.0);
    assert_eq!(all["db_up"], 1.0);
    assert!((crate::token::now() as f64 - all["process_start_time_seconds"]).abs() < 60.0);
    assert!(all["http_connections_limit"] >= 32.0 && all.contains_key("http_connections_open"));
    assert!(all["db_statements_total"] > 0.0 && all["db_query_duration_seconds_count"] > 0.0);
    let (pool, size) = if app.is_postgres() { ("all", 8.0) } else { ("write", 1.0) };
    assert_eq!(all[&format!("db_pool_connections_max{{pool=\"{pool}\"}}")], size);
    assert!(all.keys().any(|series| series.starts_with("http_request_duration_seconds_bucket")));
}

fn operate() -> String {
    std::fs::read_to_string(concat!(env!("CARGO_MANIFEST_DIR"), "/docs/operate.md")).unwrap()
}

/// The names in the first cell of a table's row.
fn names_in_first_cell(row: &str) -> Vec<String> {
    let cell = row.trim_start_matches("| ").split(" | ").next().unwrap();
    cell.split(", ").map(|name| name.trim_matches('`').to_owned()).collect()
}

/// The names in the table of the section "Metrics".
fn documented() -> BTreeSet<String> {
    let text = operate();
    let table = text.split("| metric | type | labels | is |\n|---|---|---|---|\n").nth(1).unwrap();
    table.lines().take_while(|line| !line.is_empty()).flat_map(names_in_first_cell).collect()
}

#[tokio::test]
async fn all_rate_limits_are_documented_and_none_else() {
    let (_app, metrics) = start().await;
    let all = metrics.series();
    let label = |series: &String| {
        Some(series.strip_prefix("rate_limit_rejections_total{limit=\"")?.strip_suffix("\"}")?.to_owned())
    };
    let limits: BTreeSet<String> = all.keys().filter_map(label).collect();
    let text = operate();
    let rows =
        text.split("| limit | counts |\n|---|---|\n").nth(1).unwrap().lines().take_while(|line| !line.is_empty());
    assert_eq!(limits, rows.flat_map(names_in_first_cell).collect());
}

#[tokio::test]
async fn all_metrics_are_documented_and_none_else() {
    let certificate = crate::tls::Certificate::new();
    let mut sandbox = crate::tls::https_sandbox(&certificate).await;
    let metrics = Metrics::enable(&mut sandbox);
    let app = TestApp::start_in(sandbox).await;
    let mut tls = certificate.connect(crate::connections::connect_from([127, 0, 0, 1], app.port));
    std::io::Write::write_all(&mut tls, b"GET /healthz HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n").unwrap();
    std::io::Read::read_to_end(&mut tls, &mut Vec::new()).ok();
    let text = metrics.text();
    let names = text.lines().filter_map(|line| line.strip_prefix("# TYPE ")?.split(' ').next().map(str::to_owned));
    assert_eq!(names.collect::<BTreeSet<_>>(), documented());
}
