//! What all responses of the API have in common: problem documents, and no caching.

use actix_web::HttpResponseBuilder;
use actix_web::http::header;
use serde::Serialize;
use utoipa::ToSchema;

/// Why a request failed (RFC 9457). `web::error` writes the document; this type describes it.
#[derive(Serialize, ToSchema)]
pub(super) struct Problem {
    /// `about:blank`: the status says what kind it is.
    #[serde(rename = "type")]
    kind: String,
    /// The status in words.
    title: String,
    /// The HTTP status.
    status: u16,
    /// What is wrong, in words.
    detail: String,
    /// Names the request in the site's log.
    request_id: String,
    /// The fields that are wrong, with status 422.
    errors: Option<Vec<WrongField>>,
}

/// Why a login failed.
#[derive(Serialize, ToSchema)]
pub(super) struct LoginProblem {
    #[serde(flatten)]
    problem: Problem,
    /// `true` if the password is right and a code is missing: send the same again with `code`.
    code_required: Option<bool>,
}

/// One wrong field.
#[derive(Serialize, ToSchema)]
pub(super) struct WrongField {
    field: String,
    detail: String,
}

/// Tokens and personal data must not be cached (RFC 6749 section 5.1).
pub(super) fn no_store(response: &mut HttpResponseBuilder) -> &mut HttpResponseBuilder {
    response.insert_header((header::CACHE_CONTROL, "no-store"))
}
