//! Cookie sessions with JSON Web Tokens: the pattern alone. `cargo run --example guarded_page`, then <http://localhost:8081>.
//!
//! Here is: sign-up and login with Argon2id, a token in a `__Host-` cookie that scripts cannot read, a session row that is looked up on
//! every request (so logout works at once, on every server), a guard, and CSRF protection.
//!
//! Not here, and needed on the internet: rate limits and a bounded queue for hashing, password rules, a confirmed address, recovery by mail,
//! renewal of tokens, a secret that survives a restart and can be replaced, a host check, security headers, error pages.
//! `docs/guarded-page.md` names the files of order-portal that do each.

use actix_web::body::{BoxBody, EitherBody, MessageBody};
use actix_web::cookie::{Cookie, SameSite, time::Duration, time::OffsetDateTime};
use actix_web::dev::{ServiceRequest, ServiceResponse};
use actix_web::error::{ErrorForbidden, ErrorInternalServerError};
use actix_web::http::header;
use actix_web::middleware::{Next, from_fn};
use actix_web::{App, Error, HttpMessage, HttpRequest, HttpResponse, HttpServer, web};
use argon2::Argon2;
use argon2::password_hash::{PasswordHasher, PasswordVerifier, phc::PasswordHash};
use jsonwebtoken::{DecodingKey, EncodingKey, Header, Validation};
use serde::{Deserialize, Serialize};
use sqlx::SqlitePool;

const COOKIE: &str = "__Host-session";
const ORIGIN: &str = "http://localhost:8081";
const LIFETIME_SECONDS: i64 = 1800;
const TABLES: &str =
    "CREATE TABLE users (id INTEGER PRIMARY KEY, email TEXT UNIQUE NOT NULL, password_hash TEXT NOT NULL);
                      CREATE TABLE sessions (id TEXT PRIMARY KEY, user_id INTEGER NOT NULL REFERENCES users (id));";
const FORM: &str = r#"<!doctype html><title>Log in</title><form method="post">
    <label>Email <input name="email" type="email" required></label>
    <label>Password <input name="password" type="password" minlength="8" required></label>
    <button formaction="/login">Log in</button> <button formaction="/signup">Sign up</button></form>"#;

struct Site {
    database: SqlitePool,
    secret: [u8; 32],
    /// Verified in place of an unknown user's, so that both take the same time.
    dummy_hash: String,
}

#[derive(Serialize, Deserialize)]
struct Claims {
    iss: String,
    sub: String,
    sid: String,
    exp: i64,
}

/// The logged-in user; the guard puts it into the request.
#[derive(Clone)]
struct CurrentUser {
    email: String,
    session_id: String,
}

#[derive(Deserialize)]
struct Credentials {
    email: String,
    password: String,
}

async fn sign_up(site: web::Data<Site>, form: web::Form<Credentials>) -> Result<HttpResponse, Error> {
    let Credentials { email, password } = form.into_inner();
    let hash = hash_blocking(password).await?;
    let added = sqlx::query("INSERT INTO users (email, password_hash) VALUES ($1, $2) ON CONFLICT DO NOTHING")
        .bind(email.trim().to_lowercase())
        .bind(hash)
        .execute(&site.database)
        .await
        .map_err(ErrorInternalServerError)?;
    match added.rows_affected() {
        0 => Ok(HttpResponse::UnprocessableEntity()
            .content_type("text/html")
            .body(format!("{FORM} That address is taken."))),
        _ => start_session(&site, added.last_insert_rowid()).await,
    }
}

async fn log_in(site: web::Data<Site>, form: web::Form<Credentials>) -> Result<HttpResponse, Error> {
    let Credentials { email, password } = form.into_inner();
    let user: Option<(i64, String)> = sqlx::query_as("SELECT id, password_hash FROM users WHERE email = $1")
        .bind(email.trim().to_lowercase())
        .fetch_optional(&site.database)
        .await
        .map_err(ErrorInternalServerError)?;
    let hash = user.as_ref().map_or(site.dummy_hash.clone(), |(_, hash)| hash.clone());
    // Off the async workers: hashing takes tens of milliseconds on purpose.
    let is_right = web::block(move || {
        let hash = PasswordHash::new(&hash).map_err(|error| error.to_string())?;
        Ok::<_, String>(Argon2::default().verify_password(password.as_bytes(), &hash).is_ok())
    });
    let is_right = is_right.await?.map_err(ErrorInternalServerError)?;
    match user.filter(|_| is_right) {
        Some((user_id, _)) => start_session(&site, user_id).await,
        None => Ok(HttpResponse::Unauthorized()
            .content_type("text/html")
            .body(format!("{FORM} Email or password is incorrect."))),
    }
}

async fn hash_blocking(password: String) -> Result<String, Error> {
    let hashed = web::block(move || Argon2::default().hash_password(password.as_bytes()).map(|hash| hash.to_string()));
    hashed.await?.map_err(|error| ErrorInternalServerError(error.to_string()))
}

/// A row and a token that names it. Signed is not encrypted: the token holds nothing that its owner must not read.
async fn start_session(site: &Site, user_id: i64) -> Result<HttpResponse, Error> {
    let mut random = [0; 16];
    getrandom::fill(&mut random).map_err(|error| ErrorInternalServerError(error.to_string()))?;
    let session_id = format!("{:032x}", u128::from_be_bytes(random));
    sqlx::query("INSERT INTO sessions (id, user_id) VALUES ($1, $2)")
        .bind(&session_id)
        .bind(user_id)
        .execute(&site.database)
        .await
        .map_err(ErrorInternalServerError)?;
    let exp = OffsetDateTime::now_utc().unix_timestamp() + LIFETIME_SECONDS;
    let claims = Claims { iss: ORIGIN.to_owned(), sub: user_id.to_string(), sid: session_id, exp };
    let token = jsonwebtoken::encode(&Header::default(), &claims, &EncodingKey::from_secret(&site.secret));
    Ok(see_other("/", session_cookie(token.map_err(ErrorInternalServerError)?)))
}

/// Out of scripts' reach (`HttpOnly`), never sent in clear (`Secure`), by another site (`SameSite`) or set by another host (`__Host-`).
fn session_cookie(token: String) -> Cookie<'static> {
    Cookie::build(COOKIE, token).path("/").secure(true).http_only(true).same_site(SameSite::Strict).finish()
}

fn see_other(location: &str, cookie: Cookie<'_>) -> HttpResponse {
    HttpResponse::SeeOther().insert_header((header::LOCATION, location)).cookie(cookie).finish()
}

/// Middleware: lets a user through whose token verifies and whose session row exists; everyone else is sent to log in.
async fn guard<B: MessageBody + 'static>(
    request: ServiceRequest,
    next: Next<B>,
) -> Result<ServiceResponse<EitherBody<B, BoxBody>>, Error> {
    match current_user(request.request()).await? {
        Some(user) => {
            request.extensions_mut().insert(user);
            next.call(request).await.map(ServiceResponse::map_into_left_body)
        }
        None => {
            let login = HttpResponse::SeeOther().insert_header((header::LOCATION, "/login")).finish();
            Ok(request.into_response(login).map_into_right_body())
        }
    }
}

async fn current_user(request: &HttpRequest) -> Result<Option<CurrentUser>, Error> {
    let (Some(site), Some(cookie)) = (request.app_data::<web::Data<Site>>(), request.cookie(COOKIE)) else {
        return Ok(None);
    };
    // The algorithm is chosen here, never by the token (RFC 8725 section 3.1).
    let mut validation = Validation::new(jsonwebtoken::Algorithm::HS256);
    validation.leeway = 0;
    validation.set_issuer(&[ORIGIN]);
    let key = DecodingKey::from_secret(&site.secret);
    let Ok(token) = jsonwebtoken::decode::<Claims>(cookie.value(), &key, &validation) else {
        return Ok(None);
    };
    let email: Option<String> = sqlx::query_scalar(
        "SELECT email FROM sessions JOIN users ON users.id = sessions.user_id WHERE sessions.id = $1 AND users.id = $2",
    )
    .bind(&token.claims.sid)
    .bind(token.claims.sub.parse::<i64>().unwrap_or_default())
    .fetch_optional(&site.database)
    .await
    .map_err(ErrorInternalServerError)?;
    Ok(email.map(|email| CurrentUser { email, session_id: token.claims.sid }))
}

/// Middleware: refuses a form that another site had the browser send. `SameSite=Strict` does the same from the other side.
async fn csrf_protection<B: MessageBody>(request: ServiceRequest, next: Next<B>) -> Result<ServiceResponse<B>, Error> {
    let sent = |name| request.headers().get(name).map(|value| value.to_str().unwrap_or_default());
    let is_own = match sent("sec-fetch-site") {
        Some(site) => matches!(site, "same-origin" | "none"),
        None => sent("origin").is_none_or(|origin| origin == ORIGIN),
    };
    if !request.method().is_safe() && !is_own {
        return Err(ErrorForbidden("sent by another site"));
    }
    next.call(request).await
}

async fn page(user: web::ReqData<CurrentUser>) -> HttpResponse {
    let email = user.email.replace('&', "&amp;").replace('<', "&lt;");
    let page = format!(
        r#"<!doctype html><title>Yours</title><p>Logged in as {email}.</p>
        <form method="post" action="/logout"><button>Log out</button></form>"#
    );
    // Not stored, or the Back button would show it after logout.
    HttpResponse::Ok().insert_header((header::CACHE_CONTROL, "no-store")).content_type("text/html").body(page)
}

async fn log_out(site: web::Data<Site>, user: web::ReqData<CurrentUser>) -> Result<HttpResponse, Error> {
    let deleted = sqlx::query("DELETE FROM sessions WHERE id = $1").bind(&user.session_id).execute(&site.database);
    deleted.await.map_err(ErrorInternalServerError)?;
    let mut cookie = session_cookie(String::new());
    cookie.set_max_age(Duration::ZERO);
    Ok(see_other("/login", cookie))
}

fn routes(config: &mut web::ServiceConfig) {
    let form = || async { HttpResponse::Ok().content_type("text/html").body(FORM) };
    config
        .service(web::resource("/login").get(form).post(log_in))
        .service(web::resource("/signup").post(sign_up))
        .service(
            web::scope("")
                .wrap(from_fn(guard))
                .route("/", web::get().to(page))
                .route("/logout", web::post().to(log_out)),
        );
}

async fn open_site(database_url: &str) -> Result<web::Data<Site>, Box<dyn std::error::Error>> {
    // One connection: each one to `:memory:` would be another database.
    let database = sqlx::sqlite::SqlitePoolOptions::new().max_connections(1).connect(database_url).await?;
    sqlx::raw_sql(TABLES).execute(&database).await?;
    let mut secret = [0; 32];
    getrandom::fill(&mut secret)?;
    let dummy_hash = Argon2::default().hash_password(&secret).map_err(|error| error.to_string())?.to_string();
    Ok(web::Data::new(Site { database, secret, dummy_hash }))
}

#[actix_web::main]
async fn main() -> Result<(), Box<dyn std::error::Error>> {
    let site = open_site("sqlite::memory:").await?;
    println!("guarded_page is at {ORIGIN}");
    let app = move || App::new().app_data(site.clone()).wrap(from_fn(csrf_protection)).configure(routes);
    Ok(HttpServer::new(app).bind("127.0.0.1:8081")?.run().await?)
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use actix_web::http::StatusCode;
    use actix_web::test::{TestRequest, call_service, init_service, try_call_service};

    use super::*;

    macro_rules! app {
        () => {{
            let site = open_site("sqlite::memory:").await.unwrap();
            init_service(App::new().app_data(site).wrap(from_fn(csrf_protection)).configure(routes)).await
        }};
    }

    fn post(path: &str) -> TestRequest {
        TestRequest::post().uri(path).set_form([("email", "ann@example.com"), ("password", "seven calm herons")])
    }

    #[actix_web::test]
    async fn session_opens_the_page_until_logout() {
        let app = app!();
        let get = |cookie: Option<Cookie<'static>>| {
            let request = TestRequest::get().uri("/");
            cookie.map_or(TestRequest::get().uri("/"), |cookie| request.cookie(cookie)).to_request()
        };
        assert_eq!(call_service(&app, get(None)).await.status(), StatusCode::SEE_OTHER);
        let signed_up = call_service(&app, post("/signup").to_request()).await;
        let cookie = signed_up.response().cookies().next().unwrap().into_owned();
        assert!(
            cookie.http_only() == Some(true)
                && cookie.secure() == Some(true)
                && cookie.same_site() == Some(SameSite::Strict)
        );
        assert_eq!(call_service(&app, get(Some(cookie.clone()))).await.status(), StatusCode::OK);
        let forged = Cookie::new(COOKIE, format!("{}x", cookie.value()));
        assert_eq!(call_service(&app, get(Some(forged))).await.status(), StatusCode::SEE_OTHER);
        let logout = TestRequest::post().uri("/logout").cookie(cookie.clone()).to_request();
        assert_eq!(call_service(&app, logout).await.status(), StatusCode::SEE_OTHER);
        assert_eq!(
            call_service(&app, get(Some(cookie))).await.status(),
            StatusCode::SEE_OTHER,
            "the token outlives its session"
        );
    }

    #[actix_web::test]
    async fn login_takes_the_right_password_alone() {
        let app = app!();
        assert_eq!(call_service(&app, post("/login").to_request()).await.status(), StatusCode::UNAUTHORIZED);
        call_service(&app, post("/signup").to_request()).await;
        assert_eq!(call_service(&app, post("/signup").to_request()).await.status(), StatusCode::UNPROCESSABLE_ENTITY);
        assert_eq!(call_service(&app, post("/login").to_request()).await.status(), StatusCode::SEE_OTHER);
        let wrong =
            TestRequest::post().uri("/login").set_form([("email", "ann@example.com"), ("password", "something else")]);
        assert_eq!(call_service(&app, wrong.to_request()).await.status(), StatusCode::UNAUTHORIZED);
    }

    #[actix_web::test]
    async fn form_of_another_site_is_refused() {
        let app = app!();
        for header in [("sec-fetch-site", "cross-site"), ("origin", "https://other.example")] {
            let refused = try_call_service(&app, post("/signup").insert_header(header).to_request()).await;
            assert_eq!(refused.unwrap_err().as_response_error().status_code(), StatusCode::FORBIDDEN);
        }
        let own = post("/signup").insert_header(("origin", ORIGIN)).to_request();
        assert_eq!(call_service(&app, own).await.status(), StatusCode::SEE_OTHER);
    }
}
