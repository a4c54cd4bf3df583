//! Sign-up, login, logout and the current session.

use actix_web::{HttpResponse, web};
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use super::bearer::BearerUser;
use super::problem::{LoginProblem, Problem, no_store};
use crate::accounts::{Accounts, LogIn, LoginContext, SignUp, SignUpErrors};
use crate::sessions::{Audience, Expiry, Issued};
use crate::web::body::Json;
use crate::web::{Client, Error};

/// An email address and its password.
#[derive(Deserialize, ToSchema)]
pub(super) struct Credentials {
    /// The email address.
    #[schema(example = "savea@northwind.example", format = "email", max_length = 254)]
    email: String,
    /// 8 to 256 characters of any kind.
    #[schema(example = "correct horse battery staple", format = "password", min_length = 8, max_length = 256)]
    password: String,
}

/// An email address, its password and, with two-step login, a code.
#[derive(Deserialize, ToSchema)]
pub(super) struct LoginCredentials {
    /// The email address.
    #[schema(example = "savea@northwind.example", format = "email", max_length = 254)]
    email: String,
    /// The account's password.
    #[schema(example = "correct horse battery staple", format = "password", max_length = 256)]
    password: String,
    /// A code from the authenticator app, or a recovery code. Required if two-step login is on.
    #[serde(default)]
    #[schema(example = "123456", nullable = false)]
    code: Option<String>,
}

/// A token to send as `Authorization: Bearer <token>` (RFC 6750).
#[derive(Serialize, ToSchema)]
pub(super) struct TokenResponse {
    /// Opaque: do not depend on its content.
    token: String,
    /// Always `Bearer`.
    #[schema(example = "Bearer")]
    token_type: &'static str,
    /// Seconds until it expires.
    #[schema(example = 1800)]
    expires_in: i64,
}

/// The user and the expiry of the token.
#[derive(Serialize, ToSchema)]
pub(super) struct SessionResponse {
    /// The user's id.
    user_id: String,
    /// The user's address.
    email: String,
    /// Whether the address is confirmed; only then the orders placed with it are listed.
    email_verified: bool,
    /// The session's id.
    session_id: String,
    /// When the token expires (RFC 3339).
    #[schema(example = "2026-01-31T12:30:00Z", format = "date-time")]
    expires_at: String,
}

/// Create an account and get its first token.
#[utoipa::path(post, path = "/api/createNewUser", tag = "accounts", operation_id = "createNewUser", request_body = Credentials, responses(
    (status = 201, description = "The account was created", body = TokenResponse),
    (status = 422, description = "The email address or the password is rejected, with the reason", body = Problem, content_type = "application/problem+json"),
))]
pub(super) async fn create_new_user(
    client: Client,
    accounts: web::Data<Accounts>,
    Json(body): Json<Credentials>,
) -> Result<HttpResponse, Error> {
    match accounts.sign_up(&body.email, &body.password, login_context(&client)).await? {
        SignUp::Created(logged_in) => Ok(no_store(&mut HttpResponse::Created()).json(token_response(logged_in.issued))),
        SignUp::Rejected(errors) => Err(invalid(errors)),
    }
}

/// Get a token for an account.
#[utoipa::path(post, path = "/api/login", tag = "accounts", operation_id = "login", request_body = LoginCredentials, responses(
    (status = 200, description = "Logged in", body = TokenResponse),
    (status = 401, description = "Email, password or code is incorrect, or a code is required", body = LoginProblem, content_type = "application/problem+json"),
))]
pub(super) async fn login(
    client: Client,
    accounts: web::Data<Accounts>,
    Json(body): Json<LoginCredentials>,
) -> Result<HttpResponse, Error> {
    let code = body.code.unwrap_or_default();
    match accounts.log_in(&body.email, &body.password, code.trim(), login_context(&client)).await? {
        LogIn::Done(logged_in) => Ok(no_store(&mut HttpResponse::Ok()).json(token_response(logged_in.issued))),
        LogIn::WrongCredentials => Err(Error::Unauthorized("email or password is incorrect".to_owned())),
        LogIn::CodeRequired => Err(Error::CodeRequired),
        LogIn::WrongCode => Err(Error::Unauthorized("the code is incorrect or was used before".to_owned())),
    }
}

fn login_context(client: &Client) -> LoginContext<'_> {
    LoginContext {
        audience: Audience::Api,
        expiry: Expiry::Fixed,
        client,
        browser: None,
        zone: None,
        supports_passkeys: false,
    }
}

/// The user and the expiry of the token.
#[utoipa::path(get, path = "/api/session", tag = "accounts", operation_id = "session", security(("bearer" = [])), responses(
    (status = 200, description = "The session", body = SessionResponse),
))]
pub(super) async fn session(caller: BearerUser) -> HttpResponse {
    no_store(&mut HttpResponse::Ok()).json(SessionResponse {
        user_id: caller.user.user_id.into_string(),
        email: caller.viewer.email,
        email_verified: caller.viewer.is_verified,
        session_id: caller.user.session_id.into_string(),
        expires_at: caller.user.token_expires_at.to_string(),
    })
}

/// Revoke the token.
#[utoipa::path(post, path = "/api/logout", tag = "accounts", operation_id = "logout", security(("bearer" = [])), responses(
    (status = 204, description = "The token is revoked"),
))]
pub(super) async fn logout(
    caller: BearerUser,
    client: Client,
    accounts: web::Data<Accounts>,
) -> Result<HttpResponse, Error> {
    accounts.log_out(&caller.user, &client).await?;
    Ok(HttpResponse::NoContent().finish())
}

fn token_response(issued: Issued) -> TokenResponse {
    let expires_in = issued.expires_at.since(issued.issued_at);
    TokenResponse { token: issued.token, token_type: "Bearer", expires_in }
}

fn invalid(errors: SignUpErrors) -> Error {
    let email = errors.email.map(|reason| ("email", reason));
    let password = errors.password.map(|reason| ("password", reason));
    Error::InvalidFields(email.into_iter().chain(password).collect())
}
