//! Making an account, logging in and out.

use actix_web::{HttpResponse, web};
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use super::bearer::BearerUser;
use super::problem::{Problem, no_store};
use crate::accounts::{Accounts, SignUpRefused, Visit};
use crate::clock::Clock;
use crate::sessions::{Audience, Ending, Issued};
use crate::web::body::Json;
use crate::web::{Client, Error};

/// An e-mail address and its password.
#[derive(Deserialize, ToSchema)]
pub(super) struct Credentials {
    /// The e-mail address.
    #[schema(example = "savea@northwind.example", format = "email", max_length = 254)]
    email: String,
    /// 8 to 256 characters of any kind.
    #[schema(example = "correct horse battery staple", format = "password", min_length = 8, max_length = 256)]
    password: String,
}

/// A token to send as `Authorization: Bearer <token>` (RFC 6750).
#[derive(Serialize, ToSchema)]
pub(super) struct TokenAnswer {
    /// The token. What is inside is nobody's business but this site's.
    token: String,
    /// Always `Bearer`.
    #[schema(example = "Bearer")]
    token_type: &'static str,
    /// Seconds until it ends.
    #[schema(example = 1800)]
    expires_in: i64,
}

/// Who is signed in and until when.
#[derive(Serialize, ToSchema)]
pub(super) struct SessionAnswer {
    /// The user's id.
    user_id: String,
    /// The user's address.
    email: String,
    /// Whether the address was shown to be theirs; only then do orders placed with it show.
    email_verified: bool,
    /// The session's id.
    session_id: String,
    /// When the token ends (RFC 3339).
    #[schema(example = "2026-01-31T12:30:00Z", format = "date-time")]
    expires_at: String,
}

/// Make an account and get its first token.
#[utoipa::path(post, path = "/api/createNewUser", tag = "accounts", operation_id = "createNewUser", request_body = Credentials, responses(
    (status = 201, description = "The account was made", body = TokenAnswer),
    (status = 400, description = "The body is not JSON of that shape", body = Problem, content_type = "application/problem+json"),
    (status = 422, description = "The address or the password is not taken, and why", body = Problem, content_type = "application/problem+json"),
    (status = 429, description = "Too many tries; again after Retry-After seconds", body = Problem, content_type = "application/problem+json"),
    (status = 503, description = "Busy; again after Retry-After seconds", body = Problem, content_type = "application/problem+json"),
))]
pub(super) async fn create_new_user(
    client: Client,
    accounts: web::Data<Accounts>,
    clock: web::Data<Clock>,
    Json(body): Json<Credentials>,
) -> Result<HttpResponse, Error> {
    let signed_in = accounts.sign_up(&body.email, &body.password, visit(&client)).await?.map_err(invalid)?;
    Ok(no_store(&mut HttpResponse::Created()).json(answer(signed_in.issued, &clock)))
}

/// Get a token for an account.
#[utoipa::path(post, path = "/api/login", tag = "accounts", operation_id = "login", request_body = Credentials, responses(
    (status = 200, description = "Signed in", body = TokenAnswer),
    (status = 400, description = "The body is not JSON of that shape", body = Problem, content_type = "application/problem+json"),
    (status = 401, description = "The address and the password do not go together", body = Problem, content_type = "application/problem+json"),
    (status = 429, description = "Too many tries; again after Retry-After seconds", body = Problem, content_type = "application/problem+json"),
    (status = 503, description = "Busy; again after Retry-After seconds", body = Problem, content_type = "application/problem+json"),
))]
pub(super) async fn login(
    client: Client,
    accounts: web::Data<Accounts>,
    clock: web::Data<Clock>,
    Json(body): Json<Credentials>,
) -> Result<HttpResponse, Error> {
    let signed_in = accounts.log_in(&body.email, &body.password, visit(&client)).await?;
    let wrong = || Error::Unauthorized("the e-mail address and the password do not go together".to_owned());
    Ok(no_store(&mut HttpResponse::Ok()).json(answer(signed_in.ok_or_else(wrong)?.issued, &clock)))
}

fn visit(client: &Client) -> Visit<'_> {
    Visit { audience: Audience::Api, ending: Ending::Fixed, client, browser: None, zone: None }
}

/// Who the token belongs to and until when it holds.
#[utoipa::path(get, path = "/api/session", tag = "accounts", operation_id = "session", security(("bearer" = [])), responses(
    (status = 200, description = "The session", body = SessionAnswer),
    (status = 401, description = "No token", body = Problem, content_type = "application/problem+json"),
    (status = 403, description = "A token that does not hold", body = Problem, content_type = "application/problem+json"),
))]
pub(super) async fn session(caller: BearerUser) -> HttpResponse {
    no_store(&mut HttpResponse::Ok()).json(SessionAnswer {
        user_id: caller.user.user_id,
        email: caller.viewer.email,
        email_verified: caller.viewer.verified,
        session_id: caller.user.session_id,
        expires_at: caller.user.token_expires_at.to_string(),
    })
}

/// End the token.
#[utoipa::path(post, path = "/api/logout", tag = "accounts", operation_id = "logout", security(("bearer" = [])), responses(
    (status = 204, description = "The token is dead"),
    (status = 401, description = "No token", body = Problem, content_type = "application/problem+json"),
    (status = 403, description = "A token that does not hold", body = Problem, content_type = "application/problem+json"),
))]
pub(super) async fn logout(
    caller: BearerUser,
    client: Client,
    accounts: web::Data<Accounts>,
) -> Result<HttpResponse, Error> {
    accounts.log_out(&caller.user, &client).await?;
    Ok(HttpResponse::NoContent().finish())
}

fn answer(issued: Issued, clock: &Clock) -> TokenAnswer {
    let expires_in = issued.expires_at.since(clock.now());
    TokenAnswer { token: issued.token, token_type: "Bearer", expires_in }
}

fn invalid(refused: SignUpRefused) -> Error {
    let email = refused.email.map(|reason| ("email", reason));
    let password = refused.password.map(|reason| ("password", reason));
    Error::Invalid(email.into_iter().chain(password).collect())
}
