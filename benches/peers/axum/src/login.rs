//! Login and logout.

use std::sync::Arc;

use argon2::{Algorithm, Argon2, Params, PasswordHash, PasswordVerifier, Version};
use axum::extract::Form;
use axum::http::StatusCode;
use axum::response::{IntoResponse, Redirect, Response};
use axum_login::{AuthSession, AuthUser, AuthnBackend, UserId};
use serde::Deserialize;
use sqlx::{FromRow, SqlitePool};
use tokio::sync::Semaphore;

#[derive(Clone, Debug, FromRow)]
pub struct User {
    pub id: i64,
    password_hash: String,
}

impl AuthUser for User {
    type Id = i64;

    fn id(&self) -> i64 {
        self.id
    }

    fn session_auth_hash(&self) -> &[u8] {
        self.password_hash.as_bytes()
    }
}

#[derive(Clone, Deserialize)]
pub struct Credentials {
    email: String,
    password: String,
}

#[derive(Clone)]
pub struct Backend {
    pool: SqlitePool,
    /// One hash per core at a time.
    hashing: Arc<Semaphore>,
}

impl Backend {
    pub fn new(pool: SqlitePool) -> Self {
        let cores = std::thread::available_parallelism().map_or(1, usize::from);
        Self { pool, hashing: Arc::new(Semaphore::new(cores)) }
    }
}

impl AuthnBackend for Backend {
    type User = User;
    type Credentials = Credentials;
    type Error = sqlx::Error;

    async fn authenticate(&self, credentials: Credentials) -> Result<Option<User>, sqlx::Error> {
        let select = sqlx::query_as("SELECT id, password_hash FROM users WHERE email = ?").bind(&credentials.email);
        let user: Option<User> = select.fetch_optional(&self.pool).await?;
        let Some(user) = user else { return Ok(None) };
        let _permit = self.hashing.acquire().await.unwrap();
        let verified = tokio::task::spawn_blocking(move || verify(&user, &credentials.password).then_some(user));
        Ok(verified.await.unwrap())
    }

    async fn get_user(&self, id: &UserId<Self>) -> Result<Option<User>, sqlx::Error> {
        let select = sqlx::query_as("SELECT id, password_hash FROM users WHERE id = ?").bind(id);
        select.fetch_optional(&self.pool).await
    }
}

fn verify(user: &User, password: &str) -> bool {
    let argon2 = Argon2::new(Algorithm::Argon2id, Version::V0x13, Params::new(19_456, 2, 1, None).unwrap());
    let hash = PasswordHash::new(&user.password_hash).unwrap();
    argon2.verify_password(password.as_bytes(), &hash).is_ok()
}

pub async fn log_in(mut auth: AuthSession<Backend>, Form(credentials): Form<Credentials>) -> Response {
    match auth.authenticate(credentials).await {
        Ok(Some(user)) => match auth.login(&user).await {
            Ok(()) => Redirect::to("/orders").into_response(),
            Err(_) => StatusCode::INTERNAL_SERVER_ERROR.into_response(),
        },
        Ok(None) => StatusCode::UNAUTHORIZED.into_response(),
        Err(_) => StatusCode::INTERNAL_SERVER_ERROR.into_response(),
    }
}

pub async fn log_out(mut auth: AuthSession<Backend>) -> Response {
    match auth.logout().await {
        Ok(_) => Redirect::to("/login").into_response(),
        Err(_) => StatusCode::INTERNAL_SERVER_ERROR.into_response(),
    }
}
