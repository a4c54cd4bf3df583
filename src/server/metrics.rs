//! Metrics in Prometheus' text format, on a listener of their own that is not public.
//!
//! Some are read from the database during a scrape. A scrape waits a moment for them and never fails without them: they keep their last
//! values, and `db_up` is 0.

use std::net::{IpAddr, SocketAddr};
use std::sync::{Arc, LazyLock};
use std::time::{Duration, Instant};

use actix_web::body::{EitherBody, MessageBody};
use actix_web::dev::{ServerHandle, ServiceRequest, ServiceResponse};
use actix_web::http::header::{self, ContentType};
use actix_web::middleware::{Next, from_fn};
use actix_web::{App, HttpResponse, HttpServer, web};
use prometheus::IntGauge;
use tokio::sync::Mutex;
use tokio::time::timeout;

use super::app::AppState;
use super::error::ServeError;
use super::listeners::listen;
use crate::database::Error;
use crate::metrics::gauge;
use crate::web::headers;
use crate::{accounts, mail, orders, sessions, telemetry};

/// How long a scrape waits for the database.
const SCRAPE_WAIT: Duration = Duration::from_secs(1);
/// How long a reading may take. A scrape does not wait for it, but the next reading begins after it.
const READ_TIMEOUT: Duration = Duration::from_secs(10);
/// Pause between readings: longer after one that took long, because of a million sessions for instance.
const READ_INTERVAL: Duration = Duration::from_secs(10);
const MAX_READ_INTERVAL: Duration = Duration::from_secs(60);
const PAUSE_FACTOR: u32 = 20;

static DB_UP: LazyLock<IntGauge> =
    LazyLock::new(|| gauge("db_up", "Whether the last reading of metrics from the database succeeded."));

/// Registers all metrics and starts the listener.
pub fn start(address: SocketAddr, state: &AppState) -> Result<ServerHandle, ServeError> {
    register_all(state);
    let listener = listen(address, "METRICS_ADDR")?;
    let hosts = web::Data::new(OwnHosts::new(state.site.origin.as_str()));
    let readings = web::Data::new(Readings::new(state.clone()));
    let app = move || {
        App::new()
            .app_data(hosts.clone())
            .app_data(readings.clone())
            .wrap(from_fn(require_own_host))
            .wrap(from_fn(headers::secure))
            .service(web::resource("/metrics").get(metrics).head(metrics))
    };
    let server = HttpServer::new(app)
        .workers(1)
        .disable_signals()
        .listen(listener)
        .map_err(|error| ServeError::Failed(error.to_string()))?
        .run();
    let handle = server.handle();
    actix_web::rt::spawn(server);
    tracing::info!(%address, "metrics");
    Ok(handle)
}

fn register_all(state: &AppState) {
    telemetry::register_metrics(state.clock.now());
    accounts::register_metrics();
    orders::register_metrics();
    sessions::register_metrics();
    mail::register_metrics();
    state.database.record_metrics();
    LazyLock::force(&DB_UP);
}

async fn metrics(readings: web::Data<Readings>) -> HttpResponse {
    readings.refresh().await;
    readings.state.database.record_metrics();
    HttpResponse::Ok().content_type("text/plain; version=0.0.4").body(telemetry::metrics_text())
}

/// Readings of the metrics in the database.
struct Readings {
    state: AppState,
    /// When the next reading is due. Locked during a reading.
    due: Arc<Mutex<Instant>>,
}

impl Readings {
    fn new(state: AppState) -> Self {
        Self { state, due: Arc::new(Mutex::new(Instant::now())) }
    }

    /// Reads when that is due. The reading runs in a task of its own: given up, it would begin again with each scrape.
    async fn refresh(&self) {
        // Otherwise another scrape has begun a reading.
        let Ok(mut due) = Arc::clone(&self.due).try_lock_owned() else { return };
        if Instant::now() < *due {
            return;
        }
        let state = self.state.clone();
        let reading = actix_web::rt::spawn(async move {
            let began = Instant::now();
            let is_read = matches!(timeout(READ_TIMEOUT, read(&state)).await, Ok(Ok(())));
            DB_UP.set(i64::from(is_read));
            let pause = (began.elapsed() * PAUSE_FACTOR).clamp(READ_INTERVAL, MAX_READ_INTERVAL);
            *due = Instant::now() + if is_read { pause } else { READ_INTERVAL };
        });
        if timeout(SCRAPE_WAIT, reading).await.is_err() {
            DB_UP.set(0);
        }
    }
}

async fn read(state: &AppState) -> Result<(), Error> {
    mail::read_metrics(&state.database, state.clock.now()).await?;
    orders::read_metrics(&state.database).await?;
    state.sessions.read_metrics().await
}

/// The names of this listener. Without a check a page of another site could read the metrics through a browser, by a name that resolves to
/// this address (DNS rebinding).
struct OwnHosts(Vec<String>);

impl OwnHosts {
    fn new(public_origin: &str) -> Self {
        let own_name = hostname::get().ok().map(|name| name.to_string_lossy().to_ascii_lowercase());
        let public_host = url::Url::parse(public_origin).ok().and_then(|url| url.host_str().map(str::to_owned));
        Self(["localhost".to_owned()].into_iter().chain(own_name).chain(public_host).collect())
    }

    fn contain(&self, host: &str) -> bool {
        let name = match host.rsplit_once(':') {
            Some((name, port)) if port.bytes().all(|digit| digit.is_ascii_digit()) => name,
            _ => host,
        };
        let address = name.strip_prefix('[').and_then(|name| name.strip_suffix(']')).unwrap_or(name);
        address.parse::<IpAddr>().is_ok() || self.0.contains(&name.to_ascii_lowercase())
    }
}

const REFUSED: &str = "metrics answer to an IP address, localhost, this computer's name and the host of PUBLIC_URL\n";

async fn require_own_host<B: MessageBody + 'static>(
    request: ServiceRequest,
    next: Next<B>,
) -> Result<ServiceResponse<EitherBody<B>>, actix_web::Error> {
    let host = request.headers().get(header::HOST).and_then(|host| host.to_str().ok());
    let is_own = host.zip(request.app_data::<web::Data<OwnHosts>>()).is_some_and(|(host, own)| own.contain(host));
    if is_own {
        return next.call(request).await.map(ServiceResponse::map_into_left_body);
    }
    let refused = HttpResponse::MisdirectedRequest().insert_header(ContentType::plaintext()).body(REFUSED);
    Ok(request.into_response(refused).map_into_right_body())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn own_hosts_are_addresses_and_known_names() {
        let own = OwnHosts::new("https://shop.example:8443");
        for host in
            ["127.0.0.1:9464", "192.0.2.1", "[::1]:9464", "[::1]", "LOCALHOST:9464", "localhost", "Shop.example:1"]
        {
            assert!(own.contain(host), "{host}");
        }
        for host in ["evil.example:9464", "127.0.0.1.evil.example", "localhost.evil.example", "", ":9464", "[::1"] {
            assert!(!own.contain(host), "{host}");
        }
    }
}
