//! Logs, request ids, metrics of requests and of the process.

mod writer;

use std::backtrace::{Backtrace, BacktraceStatus};
use std::panic::PanicHookInfo;
use std::sync::{LazyLock, OnceLock};
use std::time::Instant;

use actix_web::body::MessageBody;
use actix_web::dev::{ServiceRequest, ServiceResponse};
use actix_web::http::Method;
use actix_web::http::header::{HeaderName, HeaderValue};
use actix_web::middleware::Next;
use actix_web::{HttpMessage, HttpRequest};
use prometheus::{HistogramVec, IntCounterVec, IntGauge, IntGaugeVec, TextEncoder};
use tracing::Instrument;
use tracing_subscriber::filter::{EnvFilter, LevelFilter, filter_fn};
use tracing_subscriber::layer::SubscriberExt;
use tracing_subscriber::util::SubscriberInitExt;
use tracing_subscriber::{Layer, Registry};

use crate::config::LogFormat;
use crate::domain::UnixSeconds;
use crate::metrics::{counters, gauge, gauges, histograms};
use writer::LogWriter;

/// Libraries that log headers with tokens, statements with values, or credentials below the level WARN. Whatever the filter says, they are capped at
/// WARN.
const CAPPED_TARGETS: [&str; 14] = [
    "actix_http",
    "actix_web",
    "actix_files",
    "actix_server",
    "actix_rt",
    "askama",
    "hyper",
    "mio",
    "rustls",
    "sqlx",
    "sqlx_core",
    "tokio_util",
    "webauthn_rs",
    "webauthn_rs_core",
];

/// The id of a request, in its log lines and in `X-Request-Id`: 64 random bits in hex.
#[derive(Clone, Debug)]
pub struct RequestId(pub String);

static WRITER: OnceLock<LogWriter> = OnceLock::new();

/// Starts logging to standard error, panics included. `filter` is a valid `RUST_LOG`. Called once.
pub fn init(format: LogFormat, filter: &str) {
    let wanted = EnvFilter::try_new(filter).unwrap_or_else(|_| EnvFilter::new("info"));
    // Not as directives of the filter, because there a more specific directive would take precedence.
    let capped = filter_fn(|about| {
        // What clients send and how they leave: an error for each malformed request would hide others.
        let is_about_clients = about.target().starts_with("actix_http::h1");
        !is_about_clients && (*about.level() <= LevelFilter::WARN || !is_capped(about.target()))
    });
    // Without a hint the filter's own hint would be lost, and every disabled line would be checked.
    let capped = capped.with_max_level_hint(LevelFilter::TRACE);
    let writer = WRITER.get_or_init(|| LogWriter::start(std::io::stderr()));
    let lines = tracing_subscriber::fmt::layer().with_writer(writer.clone());
    let is_terminal = std::io::IsTerminal::is_terminal(&std::io::stderr());
    let lines: Box<dyn Layer<Registry> + Send + Sync> = match format {
        LogFormat::Pretty => lines.with_ansi(is_terminal).with_target(false).boxed(),
        LogFormat::Json => lines.json().flatten_event(true).with_current_span(true).with_span_list(false).boxed(),
    };
    // Global filters, not per-layer ones: when a library only asks whether a line is enabled, a per-layer filter remembers its refusal and drops
    // the thread's next line. `try_init` fails only if it is called twice.
    tracing_subscriber::registry().with(lines).with(capped).with(wanted).try_init().ok();
    std::panic::set_hook(Box::new(log_panic));
}

/// Waits until the log is written, at most a second. Returns false if standard error is blocked; printing to it would block forever.
pub fn flush() -> bool {
    WRITER.get().is_none_or(LogWriter::flush)
}

/// The default panic message would block the thread if standard error is blocked.
fn log_panic(panic: &PanicHookInfo) {
    let location = panic.location().map(ToString::to_string);
    let backtrace = Backtrace::capture();
    let backtrace = (backtrace.status() == BacktraceStatus::Captured).then(|| backtrace.to_string());
    tracing::error!(location, backtrace, "panicked: {}", panic.payload_as_str().unwrap_or("no message"));
    flush();
}

/// Whether a target belongs to one of [`CAPPED_TARGETS`].
fn is_capped(target: &str) -> bool {
    let library = target.split("::").next().unwrap_or(target);
    CAPPED_TARGETS.contains(&library)
}

/// Outer middleware: gives the request an id, logs it with status and time, counts it. The query is not logged: it may contain a mailed
/// token.
pub async fn trace_request<B: MessageBody>(
    request: ServiceRequest,
    next: Next<B>,
) -> Result<ServiceResponse<B>, actix_web::Error> {
    let began = Instant::now();
    let id = new_id();
    request.extensions_mut().insert(RequestId(id.clone()));
    let path = request.path().escape_debug().to_string();
    let method = method_label(request.method());
    // Recorded later, by `web::client` and `sessions`.
    let (client, user) = (tracing::field::Empty, tracing::field::Empty);
    let span = tracing::info_span!("request", id, method, path, client, user);
    async move {
        let mut response = next.call(request).await?;
        if let Ok(value) = HeaderValue::from_str(&id) {
            response.headers_mut().insert(HeaderName::from_static("x-request-id"), value);
        }
        let took = began.elapsed();
        let status = response.status().as_u16();
        count(response.request(), method, status, took.as_secs_f64());
        tracing::info!(status, ms = took.as_millis(), "answered");
        Ok(response)
    }
    .instrument(span)
    .await
}

fn new_id() -> String {
    let random = getrandom::u64().unwrap_or_default();
    format!("{random:016x}")
}

/// Clients can send any method, and a metric must not have any number of labels.
fn method_label(method: &Method) -> &'static str {
    const METHODS: [&str; 7] = ["GET", "HEAD", "POST", "PUT", "DELETE", "OPTIONS", "PATCH"];
    METHODS.into_iter().find(|known| *known == method.as_str()).unwrap_or("OTHER")
}

static BUILD: LazyLock<IntGaugeVec> = LazyLock::new(|| gauges("build_info", "The program's version.", &["version"]));
static START: LazyLock<IntGauge> =
    LazyLock::new(|| gauge("process_start_time_seconds", "When the server started, as a Unix timestamp."));
static ANSWERED: LazyLock<IntCounterVec> =
    LazyLock::new(|| counters("http_requests_total", "Requests answered.", &["method", "route", "status"]));
static TOOK: LazyLock<HistogramVec> = LazyLock::new(|| {
    histograms("http_request_duration_seconds", "Time until the response's head.", &["method", "route"])
});

/// Registers the metrics of requests and of the process.
pub fn register_metrics(started_at: UnixSeconds) {
    BUILD.with_label_values(&[env!("CARGO_PKG_VERSION")]).set(1);
    START.set(started_at.get());
    LazyLock::force(&ANSWERED);
    LazyLock::force(&TOOK);
}

/// Counts by route, not by path: clients can request any number of paths.
fn count(request: &HttpRequest, method: &str, status: u16, seconds: f64) {
    let route = request.match_pattern().unwrap_or_else(|| "none".to_owned());
    ANSWERED.with_label_values(&[method, &route, &status.to_string()]).inc();
    TOOK.with_label_values(&[method, &route]).observe(seconds);
}

/// All metrics, in Prometheus' text format 0.0.4.
pub fn metrics_text() -> String {
    TextEncoder::new().encode_to_string(&prometheus::gather()).unwrap_or_default()
}
