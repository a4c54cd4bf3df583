//! Rust's usual choice: axum, axum-login, tower-sessions in SQLite, sqlx, askama.
//!
//! Settings: `PORT`, `DATABASE`, `SHELLS`, `STATIC`.

mod login;
mod orders;

use std::str::FromStr;
use std::sync::Arc;

use axum::Router;
use axum::routing::{get, post};
use axum::serve::ListenerExt;
use axum_login::{AuthManagerLayerBuilder, login_required};
use sqlx::SqlitePool;
use sqlx::sqlite::{SqliteConnectOptions, SqliteJournalMode, SqliteSynchronous};
use tower_http::compression::CompressionLayer;
use tower_http::services::ServeDir;
use tower_sessions::cookie::SameSite;
use tower_sessions::{Expiry, SessionManagerLayer};
use tower_sessions_sqlx_store::SqliteStore;

use crate::login::Backend;
use crate::orders::Shells;

// The program has this allocator, too: the comparison is not about allocators.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

#[derive(Clone)]
struct AppState {
    pool: SqlitePool,
    shells: Arc<Shells>,
}

#[tokio::main]
async fn main() {
    let options = SqliteConnectOptions::from_str(&format!("sqlite://{}", setting("DATABASE")))
        .unwrap()
        .journal_mode(SqliteJournalMode::Wal)
        .synchronous(SqliteSynchronous::Normal);
    let pool = SqlitePool::connect_with(options).await.unwrap();
    let store = SqliteStore::new(pool.clone());
    store.migrate().await.unwrap();
    let sessions = SessionManagerLayer::new(store)
        .with_same_site(SameSite::Strict)
        .with_expiry(Expiry::OnInactivity(time::Duration::days(1)));
    let auth = AuthManagerLayerBuilder::new(Backend::new(pool.clone()), sessions).build();
    let state = AppState { pool, shells: Arc::new(Shells::read(&setting("SHELLS"))) };
    let app = Router::new()
        .route("/orders", get(orders::list))
        .route("/orders/{number}", get(orders::one))
        .route("/logout", post(login::log_out))
        .route_layer(login_required!(Backend, login_url = "/login"))
        .route("/api/userOrders", get(orders::api))
        .route("/login", post(login::log_in))
        .layer(auth)
        .nest_service("/static", ServeDir::new(setting("STATIC")))
        .layer(CompressionLayer::new())
        .route("/healthz", get(|| async { "ok" }))
        .with_state(state);
    let listener = tokio::net::TcpListener::bind(format!("127.0.0.1:{}", setting("PORT"))).await.unwrap();
    let listener = listener.tap_io(|stream| stream.set_nodelay(true).unwrap());
    axum::serve(listener, app).with_graceful_shutdown(terminated()).await.unwrap();
}

fn setting(name: &str) -> String {
    std::env::var(name).unwrap_or_else(|_| panic!("set {name}"))
}

async fn terminated() {
    use tokio::signal::unix::{SignalKind, signal};
    signal(SignalKind::terminate()).unwrap().recv().await;
}
