//! Logs, request ids, metrics.

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
use prometheus::{HistogramVec, IntCounterVec, TextEncoder, register_histogram_vec, register_int_counter_vec};
use tracing::Instrument;
use tracing_subscriber::filter::{EnvFilter, LevelFilter, filter_fn};
use tracing_subscriber::layer::SubscriberExt;
use tracing_subscriber::util::SubscriberInitExt;
use tracing_subscriber::{Layer, Registry};

use crate::config::LogFormat;
use writer::LogWriter;

/// Libraries that tell what they carry when they talk much: headers with tokens, statements with values. Whatever the
/// filter says, they are held to warnings.
const DISCREET: [&str; 12] = [
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
];

/// The name of one request, in its log lines and in `X-Request-Id`: 64 random bits in hex.
#[derive(Clone, Debug)]
pub struct RequestId(pub String);

static WRITER: OnceLock<LogWriter> = OnceLock::new();

/// Starts logging to standard error, panics included. `filter` is as `RUST_LOG` has it, checked before. Called once.
pub fn init(format: LogFormat, filter: &str) {
    let wanted = EnvFilter::try_new(filter).unwrap_or_else(|_| EnvFilter::new("info"));
    // Beside the filter and not within it, where a more exact directive would win.
    let discreet = filter_fn(|about| *about.level() <= LevelFilter::WARN || !is_discreet(about.target()));
    // Without a hint of its own the other's would be lost, and each line that nobody wants would be asked about.
    let discreet = discreet.with_max_level_hint(LevelFilter::TRACE);
    let writer = WRITER.get_or_init(|| LogWriter::start(std::io::stderr()));
    let lines = tracing_subscriber::fmt::layer().with_writer(writer.clone());
    let is_terminal = std::io::IsTerminal::is_terminal(&std::io::stderr());
    let lines: Box<dyn Layer<Registry> + Send + Sync> = match format {
        LogFormat::Pretty => lines.with_ansi(is_terminal).with_target(false).boxed(),
        LogFormat::Json => lines.json().flatten_event(true).with_current_span(true).with_span_list(false).boxed(),
    };
    // Filters of the whole: one of a layer remembers what it refused when a library merely asks whether a line is wanted, and drops the
    // thread's next line instead. Only a second call fails, and then logging is on already.
    tracing_subscriber::registry().with(lines).with(discreet).with(wanted).try_init().ok();
    std::panic::set_hook(Box::new(log_panic));
}

/// Waits until the log is written, for a second at most. Answers whether it is; if not, nobody reads standard error, and
/// printing to it would block for ever.
pub fn flush() -> bool {
    WRITER.get().is_none_or(LogWriter::flush)
}

/// A panic's own message would block its thread when nobody reads standard error.
fn log_panic(panic: &PanicHookInfo) {
    let location = panic.location().map(ToString::to_string);
    let backtrace = Backtrace::capture();
    let backtrace = (backtrace.status() == BacktraceStatus::Captured).then(|| backtrace.to_string());
    tracing::error!(location, backtrace, "panicked: {}", panic.payload_as_str().unwrap_or("no message"));
    flush();
}

/// Whether a target is one of those libraries, or a part of one.
fn is_discreet(target: &str) -> bool {
    let library = target.split("::").next().unwrap_or(target);
    DISCREET.contains(&library)
}

/// Middleware, the outermost: names the request, logs it with its status and time, counts it. The query is left out: it
/// may carry a mailed token.
///
/// # Errors
/// Those of what it wraps.
pub async fn trace_request<B: MessageBody>(
    request: ServiceRequest,
    next: Next<B>,
) -> Result<ServiceResponse<B>, actix_web::Error> {
    let began = Instant::now();
    let id = new_id();
    request.extensions_mut().insert(RequestId(id.clone()));
    let path = request.path().escape_debug().to_string();
    let method = method_name(request.method());
    let span = tracing::info_span!("request", id, method, path);
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

fn method_name(method: &Method) -> &'static str {
    match method.as_str() {
        "GET" => "GET",
        "HEAD" => "HEAD",
        "POST" => "POST",
        "PUT" => "PUT",
        "DELETE" => "DELETE",
        "OPTIONS" => "OPTIONS",
        "PATCH" => "PATCH",
        _ => "OTHER",
    }
}

static ANSWERED: LazyLock<Option<IntCounterVec>> = LazyLock::new(|| {
    register_int_counter_vec!("http_requests_total", "Requests answered.", &["method", "route", "status"]).ok()
});

static TOOK: LazyLock<Option<HistogramVec>> = LazyLock::new(|| {
    register_histogram_vec!("http_request_duration_seconds", "Time to the answer's head.", &["method", "route"]).ok()
});

/// Counts by route, not by path: there are as many paths as anyone cares to try.
fn count(request: &HttpRequest, method: &str, status: u16, seconds: f64) {
    let route = request.match_pattern().unwrap_or_else(|| "none".to_owned());
    if let Some(answered) = &*ANSWERED {
        answered.with_label_values(&[method, &route, &status.to_string()]).inc();
    }
    if let Some(took) = &*TOOK {
        took.with_label_values(&[method, &route]).observe(seconds);
    }
}

/// What was counted, in Prometheus' text format 0.0.4.
pub fn metrics_text() -> String {
    TextEncoder::new().encode_to_string(&prometheus::gather()).unwrap_or_default()
}
