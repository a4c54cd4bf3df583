//! The app: its routes, the order of its middleware; running, draining, stopping.

use std::net::{SocketAddr, TcpListener};
use std::time::Duration;

use actix_files::Files;
use actix_web::dev::{Server, ServerHandle};
use actix_web::http::StatusCode;
use actix_web::http::header::{self, ContentType};
use actix_web::middleware::{Compress, from_fn};
use actix_web::{App, HttpResponse, HttpServer, web};
use askama::Template;
use tokio::sync::watch;
use tokio::task::JoinHandle;

use crate::accounts::{self, Accounts, Hasher, HeldAbout, Hooks, OnDeleted, OnSignUp, OnVerified};
use crate::clock::Clock;
use crate::config::{Config, Environment, TlsFiles};
use crate::database::{Database, OpenError};
use crate::sessions::{CurrentUser, Keys, Lifetimes, Sessions, guard};
use crate::web::{Assets, Error, Layout, Site, assets, error, headers, notice, origin, page, see_other};
use crate::{api, mail, orders, telemetry};

/// How long a client may take to send a request's head; its body has a limit of its own.
const HEAD_ARRIVES_WITHIN: Duration = Duration::from_secs(10);
/// How long a connection without a request is kept.
const KEEP_ALIVE: Duration = Duration::from_secs(30);
/// How long requests in flight may take after the order to stop.
const DRAIN_SECONDS: u64 = 30;
/// How long mail that is under way may take after that.
const BACKGROUND_STOPS_WITHIN: Duration = Duration::from_secs(12);
/// How often upkeep looks for something to remove, and how long it pauses while there is.
const UPKEEP_EVERY: Duration = Duration::from_secs(60);
const UPKEEP_BREATH: Duration = Duration::from_millis(200);

/// What happens to orders when an account is made in development: it starts with samples.
const SAMPLES: OnSignUp =
    |transaction, user_id, now, clock| Box::pin(orders::add_samples(transaction, user_id, now, clock));

/// What happens to orders when an address turns out to be someone's: those placed with it become theirs.
pub const CLAIM: OnVerified = |transaction, user_id, email| Box::pin(orders::claim(transaction, user_id, email));

/// What goes of orders when an account is deleted: the samples that were made for it.
pub const REMOVE_SAMPLES: OnDeleted = |transaction, user_id| Box::pin(orders::remove_samples(transaction, user_id));

/// The orders of a user, as the API shows them.
const ORDERS_OF: HeldAbout = |database, user_id| Box::pin(api::orders_of(database, user_id));

/// Why the server did not start or stopped; each says what to do.
#[derive(Debug, thiserror::Error)]
pub enum ServeError {
    /// The static files are not where they should be.
    #[error("{0}")]
    Assets(String),
    /// The database does not open.
    #[error(transparent)]
    Database(#[from] OpenError),
    /// The address is taken or not this computer's.
    #[error("cannot listen on {address}: {source}; stop what listens there, or set {variable}")]
    Listen {
        /// The address.
        address: SocketAddr,
        /// The setting that names it.
        variable: &'static str,
        /// What the system says.
        source: std::io::Error,
    },
    /// Mail cannot be sent the way that the settings say.
    #[error("{0}")]
    Mail(String),
    /// The certificate or its key cannot be used.
    #[error("cannot use TLS_CERT and TLS_KEY: {0}; name PEM files with the certificate chain and its private key")]
    Tls(String),
    /// Anything else.
    #[error("the server failed: {0}; the log says more")]
    Failed(String),
}

/// Serves until told to stop (SIGTERM or Ctrl-C), finishes what is in flight, then closes the database.
///
/// # Errors
/// [`ServeError`].
pub async fn run(config: Config, clock: Clock) -> Result<(), ServeError> {
    let assets = Assets::load(&config.static_dir).map_err(ServeError::Assets)?;
    let database = Database::open(&config.database_url).await?;
    for migration in database.migrate().await? {
        tracing::info!(version = migration.version, what = migration.description, "a migration was applied");
    }
    let listener = listen(config.bind_addr, "BIND_ADDR")?;
    let bound = listener.local_addr().unwrap_or(config.bind_addr);
    let origin = config.origin_at(bound.port());
    let house = House::build(&config, clock, database.clone(), assets, &origin, bound.port())?;
    let server = start(listener, &config, house.clone())?;
    let metrics = config.metrics_addr.map(start_metrics).transpose()?;
    let background = Background::start(&house);

    let handle = server.handle();
    actix_web::rt::spawn(stop_on_signal(handle));
    println!("order-portal is at {origin}");
    tracing::info!(address = %bound, origin, "serving");
    for warning in config.warnings() {
        tracing::warn!("{warning}");
    }
    let served = server.await.map_err(|error| ServeError::Failed(error.to_string()));
    if let Some(metrics) = metrics {
        metrics.stop(false).await;
    }
    background.stop().await;
    database.close().await;
    tracing::info!("stopped");
    served
}

fn listen(address: SocketAddr, variable: &'static str) -> Result<TcpListener, ServeError> {
    TcpListener::bind(address).map_err(|source| ServeError::Listen { address, variable, source })
}

/// Everything that handlers find in app data.
#[derive(Clone)]
struct House {
    site: web::Data<Site>,
    database: web::Data<Database>,
    clock: web::Data<Clock>,
    sessions: web::Data<Sessions>,
    accounts: web::Data<Accounts>,
    transport: web::Data<mail::Transport>,
}

impl House {
    fn build(
        config: &Config,
        clock: Clock,
        database: Database,
        assets: Assets,
        origin: &str,
        port: u16,
    ) -> Result<Self, ServeError> {
        let development = config.environment == Environment::Development;
        let previous = config.token_secrets.previous.iter().map(crate::config::Secret::bytes);
        let keys = Keys::new(origin, config.token_secrets.current.bytes(), previous);
        let lifetimes = Lifetimes {
            token: config.token_ttl_seconds,
            session: config.session_max_seconds,
            remembered: config.remember_me_seconds,
        };
        let sessions = Sessions::new(database.clone(), clock.clone(), keys, lifetimes);
        let hasher = Hasher::new(words_of(origin)).map_err(|error| ServeError::Failed(error.to_string()))?;
        let hooks = Hooks {
            on_sign_up: config.demo_orders.then_some(SAMPLES),
            on_verified: CLAIM,
            on_deleted: REMOVE_SAMPLES,
            orders_of: ORDERS_OF,
        };
        let accounts = Accounts::new(database.clone(), clock.clone(), sessions.clone(), hasher, hooks);
        let transport = mail::Transport::new(config).map_err(ServeError::Mail)?;
        let loopback_ports = if development { vec![port, port_of(origin)] } else { Vec::new() };
        let site = Site {
            assets,
            origin: origin::OwnOrigin::new(origin, loopback_ports),
            trusted_proxies: config.trusted_proxies.clone(),
            development,
        };
        Ok(Self {
            site: web::Data::new(site),
            database: web::Data::new(database),
            clock: web::Data::new(clock),
            sessions: web::Data::new(sessions),
            accounts: web::Data::new(accounts),
            transport: web::Data::new(transport),
        })
    }
}

/// Words of the site's name, for passwords not to be made of.
fn words_of(origin: &str) -> Vec<String> {
    let host = url::Url::parse(origin).ok().and_then(|url| url.host_str().map(str::to_owned)).unwrap_or_default();
    host.split('.').filter(|word| word.len() > 2).map(str::to_owned).chain([host.clone()]).collect()
}

fn port_of(origin: &str) -> u16 {
    url::Url::parse(origin).ok().and_then(|url| url.port_or_known_default()).unwrap_or_default()
}

/// The app of one worker. Middleware runs from the last `wrap` inwards: a request is named and logged, gets its security
/// headers and its compression, a page for whatever fails inside, and is held to its host and origin before any
/// handler sees it.
macro_rules! app {
    ($house:expr) => {{
        let house = $house;
        App::new()
            .app_data(house.site.clone())
            .app_data(house.database.clone())
            .app_data(house.clock.clone())
            .app_data(house.sessions.clone())
            .app_data(house.accounts.clone())
            .app_data(house.transport.clone())
            .app_data(web::FormConfig::default().limit(crate::web::body::LARGEST))
            .app_data(web::JsonConfig::default().limit(crate::web::body::LARGEST))
            .wrap(from_fn(origin::refuse_forged))
            .wrap(from_fn(origin::require_own_host))
            .wrap(from_fn(error::late_errors))
            .wrap(from_fn(headers::head_as_get))
            .wrap(Compress::default())
            .wrap(from_fn(headers::secure))
            .wrap(from_fn(telemetry::trace_request))
            .configure(|routes| routes_of(routes, &house.site))
    }};
}

fn start(listener: TcpListener, config: &Config, house: House) -> Result<Server, ServeError> {
    let server = HttpServer::new(move || app!(house.clone()))
        .client_request_timeout(HEAD_ARRIVES_WITHIN)
        .client_disconnect_timeout(Duration::from_secs(3))
        .keep_alive(KEEP_ALIVE)
        .shutdown_timeout(DRAIN_SECONDS)
        .disable_signals();
    let failed = |error: std::io::Error| ServeError::Failed(error.to_string());
    let server = match &config.tls {
        Some(files) => server.listen_rustls_0_23(listener, tls_config(files)?).map_err(failed)?,
        None => server.listen(listener).map_err(failed)?,
    };
    Ok(server.run())
}

fn routes_of(routes: &mut web::ServiceConfig, site: &Site) {
    let files = Files::new("", site.assets.folder()).use_etag(true).use_last_modified(true).prefer_utf8(true);
    routes
        .service(web::scope("/static").wrap(from_fn(assets::cache)).service(files))
        .service(web::resource("/healthz").get(healthz))
        .service(web::resource("/readyz").get(readyz))
        .service(web::resource("/robots.txt").get(robots))
        .service(
            web::redirect("/.well-known/change-password", "/account#password").using_status_code(StatusCode::FOUND),
        )
        .configure(api::configure)
        .service(
            web::scope("")
                .wrap(from_fn(guard::load_session))
                .wrap(from_fn(notice::show_once))
                .service(web::resource("/").get(front))
                .configure(accounts::configure)
                .configure(|routes| {
                    if site.development {
                        mail::configure_development(routes);
                    }
                })
                .service(
                    web::scope("/account").wrap(from_fn(guard::require_user)).configure(accounts::configure_account),
                )
                .service(orders::spreadsheet().wrap(from_fn(guard::require_user)))
                .service(web::scope("/orders").wrap(from_fn(guard::require_user)).configure(orders::configure))
                .default_service(web::to(nothing_here)),
        );
}

#[derive(Template)]
#[template(path = "front.html")]
struct FrontPage {
    layout: Layout,
}

async fn front(layout: Layout, user: Option<CurrentUser>) -> Result<HttpResponse, Error> {
    match user {
        Some(_) => Ok(see_other("/orders")),
        None => page(StatusCode::OK, &FrontPage { layout }),
    }
}

async fn nothing_here() -> Result<HttpResponse, Error> {
    Err(Error::NotFound)
}

/// The process lives.
async fn healthz() -> HttpResponse {
    plain(StatusCode::OK, "ok\n")
}

/// The database answers.
async fn readyz(database: web::Data<Database>) -> HttpResponse {
    match database.ping().await {
        Ok(()) => plain(StatusCode::OK, "ready\n"),
        Err(error) => {
            tracing::error!(%error, "the database does not answer");
            actix_web::ResponseError::error_response(&Error::Busy)
        }
    }
}

/// Nothing here is for search engines but the front page.
async fn robots() -> HttpResponse {
    plain(StatusCode::OK, "User-agent: *\nAllow: /$\nDisallow: /\n")
}

fn plain(status: StatusCode, text: &'static str) -> HttpResponse {
    HttpResponse::build(status)
        .insert_header(ContentType::plaintext())
        .insert_header((header::CACHE_CONTROL, "no-store"))
        .body(text)
}

/// Prometheus' text on a listener of its own, which the public does not reach.
fn start_metrics(address: SocketAddr) -> Result<ServerHandle, ServeError> {
    let listener = listen(address, "METRICS_ADDR")?;
    let server =
        HttpServer::new(|| App::new().wrap(from_fn(headers::secure)).service(web::resource("/metrics").get(metrics)))
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

async fn metrics() -> HttpResponse {
    HttpResponse::Ok().content_type("text/plain; version=0.0.4").body(telemetry::metrics_text())
}

/// What HTTPS is served with: the chain and its key, which must fit each other.
///
/// # Errors
/// [`ServeError::Tls`].
pub fn tls_config(files: &TlsFiles) -> Result<rustls::ServerConfig, ServeError> {
    use rustls::pki_types::pem::PemObject;
    use rustls::pki_types::{CertificateDer, PrivateKeyDer};
    let failed = |what: String| ServeError::Tls(what);
    let chain = CertificateDer::pem_file_iter(&files.cert)
        .and_then(Iterator::collect::<Result<Vec<_>, _>>)
        .map_err(|error| failed(format!("{}: {error}", files.cert.display())))?;
    let key = PrivateKeyDer::from_pem_file(&files.key)
        .map_err(|error| failed(format!("{}: {error}", files.key.display())))?;
    let provider = std::sync::Arc::new(rustls::crypto::aws_lc_rs::default_provider());
    rustls::ServerConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .and_then(|builder| builder.with_no_client_auth().with_single_cert(chain, key))
        .map_err(|error| failed(error.to_string()))
}

/// What goes on beside requests: mail leaves, and what nobody needs any more is removed.
struct Background {
    stop: watch::Sender<bool>,
    tasks: [JoinHandle<()>; 2],
}

impl Background {
    fn start(house: &House) -> Self {
        let (stop, stopped) = watch::channel(false);
        let site = house.site.origin.as_str().to_owned();
        let (database, clock) = (house.database.as_ref().clone(), house.clock.as_ref().clone());
        let transport = house.transport.as_ref().clone();
        let delivery = mail::deliver(database, clock, transport, site, stopped.clone());
        let tasks = [actix_web::rt::spawn(delivery), actix_web::rt::spawn(keep_up(house.clone(), stopped))];
        Self { stop, tasks }
    }

    /// Lets what is under way finish, for a while.
    async fn stop(self) {
        self.stop.send(true).ok();
        for task in self.tasks {
            tokio::time::timeout(BACKGROUND_STOPS_WITHIN, task).await.ok();
        }
    }
}

/// Upkeep: each minute, small batches with pauses in between, so that no request waits for it.
async fn keep_up(house: House, mut stop: watch::Receiver<bool>) {
    loop {
        let removed = match clean(&house).await {
            Ok(removed) => removed,
            Err(error) => {
                tracing::error!(%error, "upkeep failed and is tried again");
                0
            }
        };
        let pause = if removed > 0 { UPKEEP_BREATH } else { UPKEEP_EVERY };
        tokio::select! {
            _ = stop.changed() => return,
            () = tokio::time::sleep(pause) => {}
        }
    }
}

async fn clean(house: &House) -> Result<u64, crate::database::Error> {
    Ok(house.sessions.clean().await?
        + mail::clean_tokens(&house.database, house.clock.now()).await?
        + mail::delete_old_failures(&house.database, house.clock.now()).await?
        + orders::clean(&house.database, house.clock.now()).await?
        + house.accounts.clean().await?)
}

async fn stop_on_signal(handle: ServerHandle) {
    let interrupt = tokio::signal::ctrl_c();
    #[cfg(unix)]
    {
        let terminate = tokio::signal::unix::signal(tokio::signal::unix::SignalKind::terminate());
        if let Ok(mut terminate) = terminate {
            tokio::select! { _ = interrupt => {}, _ = terminate.recv() => {} }
        } else {
            interrupt.await.ok();
        }
    }
    #[cfg(not(unix))]
    interrupt.await.ok();
    tracing::info!("stopping: what is in flight is finished first");
    handle.stop(true).await;
}
