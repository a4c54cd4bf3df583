//! The site around the pattern: database, responses, CSRF protection.

use std::fmt::Display;

use actix_web::body::MessageBody;
use actix_web::dev::{ServiceRequest, ServiceResponse};
use actix_web::error::ErrorInternalServerError;
use actix_web::http::header::{self, ContentType};
use actix_web::middleware::Next;
use actix_web::{Error, HttpResponse, HttpResponseBuilder, web};
use argon2::Argon2;
use argon2::password_hash::PasswordHasher;
use sqlx::SqlitePool;

pub const ORIGIN: &str = "http://localhost:8081";
pub const FORM: &str = include_str!("form.html");

pub struct Site {
    pub database: SqlitePool,
    pub secret: [u8; 32],
    pub dummy_hash: String,
}

pub async fn open_site() -> Result<web::Data<Site>, Box<dyn std::error::Error>> {
    // One connection: each one to `:memory:` would be another database.
    let database = sqlx::sqlite::SqlitePoolOptions::new().max_connections(1).connect("sqlite::memory:").await?;
    sqlx::raw_sql(include_str!("tables.sql")).execute(&database).await?;
    let mut secret = [0; 32];
    getrandom::fill(&mut secret)?;
    let dummy_hash = Argon2::default().hash_password(&secret).map_err(|error| error.to_string())?.to_string();
    Ok(web::Data::new(Site { database, secret, dummy_hash }))
}

/// Middleware: rejects forms that another site makes the browser send. Independent of `SameSite=Strict`, which prevents the same.
pub async fn csrf_protection(
    request: ServiceRequest,
    next: Next<impl MessageBody + 'static>,
) -> Result<ServiceResponse, Error> {
    let header = |name| request.headers().get(name).map(|value| value.to_str().unwrap_or_default());
    let is_own = match header("sec-fetch-site") {
        Some(site) => matches!(site, "same-origin" | "none"),
        None => header("origin").is_none_or(|origin| origin == ORIGIN),
    };
    if !request.method().is_safe() && !is_own {
        return Ok(request.into_response(HttpResponse::Forbidden().body("The form was sent by another site.")));
    }
    next.call(request).await.map(ServiceResponse::map_into_boxed_body)
}

/// `no-store`, so that the Back button shows nothing after logout.
pub fn html(mut response: HttpResponseBuilder, body: String) -> HttpResponse {
    response.insert_header(ContentType::html()).insert_header((header::CACHE_CONTROL, "no-store")).body(body)
}

/// The cause is for the log, never for the client.
pub fn internal(cause: impl Display) -> Error {
    eprintln!("{cause}");
    ErrorInternalServerError("something went wrong")
}
