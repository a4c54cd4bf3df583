//! Cookie sessions with JSON Web Tokens: the pattern alone. `cargo run --example guarded_page`, then <http://localhost:8081>. `site.rs` has
//! the rest of the site: database, responses, CSRF protection.
//!
//! It has sign-up and login with Argon2id, a token in a `__Host-` cookie that scripts cannot read, a session row that every request looks up
//! (so logout takes effect at once, on every server), a guard, and CSRF protection.
//!
//! It lacks what a public site needs: rate limits, a bounded hashing queue, password rules, a confirmed address, recovery by mail, renewal of
//! tokens, deletion of old sessions, a secret that survives a restart and can be rotated, a host check, security headers, error pages.
//! `docs/guarded-page.md` names the files of order-portal that have each.

use actix_web::body::MessageBody;
use actix_web::cookie::{Cookie, SameSite, time::Duration, time::OffsetDateTime};
use actix_web::dev::{ServiceRequest, ServiceResponse};
use actix_web::http::header;
use actix_web::middleware::{Next, from_fn};
use actix_web::{App, Error, HttpMessage, HttpRequest, HttpResponse, HttpServer, web};
use argon2::Argon2;
use argon2::password_hash::{PasswordHasher, PasswordVerifier, phc::PasswordHash};
use jsonwebtoken::{Algorithm, DecodingKey, EncodingKey, Header, Validation};
use site::{FORM, ORIGIN, Site, csrf_protection, html, internal, open_site};

mod site;
#[cfg(test)]
mod tests;

const COOKIE: &str = "__Host-session";
const LIFETIME_SECONDS: i64 = 1800;

#[derive(serde::Deserialize)]
struct Credentials {
    email: String,
    password: String,
}

/// Signed, not encrypted: it contains nothing that its owner must not read.
#[derive(serde::Serialize, serde::Deserialize)]
struct Claims {
    iss: String,
    sid: String,
    exp: i64,
}

/// The user of a request, from the guard.
#[derive(Clone)]
struct CurrentUser {
    email: String,
    session_id: String,
}

async fn sign_up(site: web::Data<Site>, form: web::Form<Credentials>) -> Result<HttpResponse, Error> {
    let Credentials { email, password } = form.into_inner();
    // Hashing takes tens of milliseconds by design, so it runs outside the async workers.
    let hash = web::block(move || Argon2::default().hash_password(password.as_bytes()).map(|hash| hash.to_string()));
    let hash = hash.await?.map_err(internal)?;
    let insert = sqlx::query("INSERT INTO users (email, password_hash) VALUES ($1, $2) ON CONFLICT DO NOTHING");
    let insert = insert.bind(email.trim().to_lowercase()).bind(hash).execute(&site.database);
    match insert.await.map_err(internal)? {
        done if done.rows_affected() == 1 => start_session(&site, done.last_insert_rowid()).await,
        _ => Ok(html(HttpResponse::UnprocessableEntity(), format!("{FORM} The address is taken."))),
    }
}

async fn log_in(site: web::Data<Site>, form: web::Form<Credentials>) -> Result<HttpResponse, Error> {
    let Credentials { email, password } = form.into_inner();
    let select = sqlx::query_as("SELECT id, password_hash FROM users WHERE email = $1");
    let select = select.bind(email.trim().to_lowercase()).fetch_optional(&site.database);
    let user: Option<(i64, String)> = select.await.map_err(internal)?;
    // An unknown address has the hash of a random password, so the response takes the same time.
    let (user_id, hash) = user.map_or((None, site.dummy_hash.clone()), |(id, hash)| (Some(id), hash));
    let verified = web::block(move || {
        PasswordHash::new(&hash).map(|hash| Argon2::default().verify_password(password.as_bytes(), &hash).is_ok())
    });
    let is_correct = verified.await?.map_err(internal)?;
    match user_id.filter(|_| is_correct) {
        Some(user_id) => start_session(&site, user_id).await,
        None => Ok(html(HttpResponse::Unauthorized(), format!("{FORM} Email or password is incorrect."))),
    }
}

async fn start_session(site: &Site, user_id: i64) -> Result<HttpResponse, Error> {
    let mut random = [0; 16];
    getrandom::fill(&mut random).map_err(internal)?;
    let sid = format!("{:032x}", u128::from_be_bytes(random));
    let insert = sqlx::query("INSERT INTO sessions (id, user_id) VALUES ($1, $2)").bind(&sid).bind(user_id);
    insert.execute(&site.database).await.map_err(internal)?;
    let exp = OffsetDateTime::now_utc().unix_timestamp() + LIFETIME_SECONDS;
    let (key, claims) = (EncodingKey::from_secret(&site.secret), Claims { iss: ORIGIN.to_owned(), sid, exp });
    let token = jsonwebtoken::encode(&Header::new(Algorithm::HS256), &claims, &key).map_err(internal)?;
    Ok(HttpResponse::SeeOther().insert_header((header::LOCATION, "/")).cookie(session_cookie(token)).finish())
}

/// `HttpOnly`: scripts cannot read it. `Secure`, `__Host-`: never without TLS, nor set by another host. `SameSite`: not from another site.
fn session_cookie(token: String) -> Cookie<'static> {
    Cookie::build(COOKIE, token).path("/").secure(true).http_only(true).same_site(SameSite::Strict).finish()
}

/// Middleware: lets a request through if its token verifies and its session row exists; redirects others to the login page.
async fn guard(request: ServiceRequest, next: Next<impl MessageBody + 'static>) -> Result<ServiceResponse, Error> {
    let Some(user) = current_user(request.request()).await? else {
        let login = HttpResponse::SeeOther().insert_header((header::LOCATION, "/login")).finish();
        return Ok(request.into_response(login));
    };
    request.extensions_mut().insert(user);
    next.call(request).await.map(ServiceResponse::map_into_boxed_body)
}

async fn current_user(request: &HttpRequest) -> Result<Option<CurrentUser>, Error> {
    let (Some(site), Some(cookie)) = (request.app_data::<web::Data<Site>>(), request.cookie(COOKIE)) else {
        return Ok(None);
    };
    // The algorithm is fixed here and never chosen by the token (RFC 8725 section 3.1).
    let mut validation = Validation::new(Algorithm::HS256);
    validation.leeway = 0;
    validation.set_issuer(&[ORIGIN]);
    let key = DecodingKey::from_secret(&site.secret);
    let Ok(token) = jsonwebtoken::decode::<Claims>(cookie.value(), &key, &validation) else {
        return Ok(None);
    };
    let session_id = token.claims.sid;
    let select = "SELECT email FROM sessions JOIN users ON users.id = sessions.user_id WHERE sessions.id = $1";
    let select = sqlx::query_scalar(select).bind(&session_id).fetch_optional(&site.database);
    Ok(select.await.map_err(internal)?.map(|email| CurrentUser { email, session_id }))
}

async fn page(user: web::ReqData<CurrentUser>) -> HttpResponse {
    let email = user.email.replace('&', "&amp;").replace('<', "&lt;");
    let form = r#"<form method="post" action="/logout"><button>Log out</button></form>"#;
    html(HttpResponse::Ok(), format!("<!doctype html><title>Your page</title><p>Logged in as {email}.</p>{form}"))
}

async fn log_out(site: web::Data<Site>, user: web::ReqData<CurrentUser>) -> Result<HttpResponse, Error> {
    let delete = sqlx::query("DELETE FROM sessions WHERE id = $1").bind(&user.session_id);
    delete.execute(&site.database).await.map_err(internal)?;
    let mut cookie = session_cookie(String::new());
    cookie.set_max_age(Duration::ZERO);
    Ok(HttpResponse::SeeOther().insert_header((header::LOCATION, "/login")).cookie(cookie).finish())
}

fn routes(config: &mut web::ServiceConfig) {
    let form = || async { html(HttpResponse::Ok(), FORM.to_owned()) };
    let guarded =
        web::scope("").wrap(from_fn(guard)).route("/", web::get().to(page)).route("/logout", web::post().to(log_out));
    config
        .service(web::resource("/login").get(form).post(log_in))
        .service(web::resource("/signup").post(sign_up))
        .service(guarded);
}

#[actix_web::main]
async fn main() -> Result<(), Box<dyn std::error::Error>> {
    let site = open_site().await?;
    println!("guarded_page is at {ORIGIN}");
    let app = move || App::new().app_data(site.clone()).wrap(from_fn(csrf_protection)).configure(routes);
    Ok(HttpServer::new(app).bind("127.0.0.1:8081")?.run().await?)
}
