//! Errors, and their response: a page, or under `/api` an `application/problem+json` (RFC 9457).
//!
//! An invalid form or a wrong password is not an error but a value that its page shows. actix's `ResponseError` does not see the request, so it
//! only leaves an [`ErrorDetail`] in the response; [`render_errors`], outside of all handlers, writes the page, also for actix's own empty 400, 404, 405 and 413.

use actix_web::body::{BoxBody, EitherBody, MessageBody};
use actix_web::dev::{ServiceRequest, ServiceResponse};
use actix_web::http::StatusCode;
use actix_web::http::header::{self, HeaderValue};
use actix_web::middleware::Next;
use actix_web::{HttpMessage, HttpRequest, HttpResponse, HttpResponseBuilder, ResponseError};
use askama::Template;
use serde_json::json;

use super::layout::Layout;
use crate::database;
use crate::domain::format_retry_after;
use crate::telemetry::RequestId;

/// Why a request cannot be answered; each variant is a status.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// 400, with the reason.
    #[error("{0}")]
    BadRequest(String),
    /// 401: not logged in, or wrong credentials.
    #[error("{0}")]
    Unauthorized(String),
    /// 401 from the API: the password is right, and a code is missing.
    #[error("a code is required: from the authenticator app, or a recovery code")]
    CodeRequired,
    /// 403, for any user.
    #[error("{0}")]
    Forbidden(String),
    /// 403 from the API for a token that is malformed, forged, expired or revoked.
    #[error("the access token is malformed, forged, expired or revoked")]
    InvalidToken,
    /// 404: it does not exist or belongs to another customer.
    #[error("nothing stands at this address")]
    NotFound,
    /// 408: the body did not arrive in time.
    #[error("the request did not arrive in time")]
    RequestTimeout,
    /// 413: the body is too large.
    #[error("the request is larger than anything this site takes")]
    PayloadTooLarge,
    /// 415, with the expected content type.
    #[error("send {0}")]
    UnsupportedMediaType(&'static str),
    /// 421: the request is for another host.
    #[error("this site does not answer to that host name")]
    Misdirected,
    /// 422: invalid fields of a JSON body, each with the reason.
    #[error("some fields are wrong")]
    InvalidFields(Vec<(&'static str, String)>),
    /// 429: rate limited.
    #[error("too many attempts; try again {}", format_retry_after(*.retry_after))]
    RateLimited {
        /// Seconds.
        retry_after: i64,
    },
    /// 503: too much work at once.
    #[error("the site is very busy; nothing was changed, please try again in a moment")]
    Busy,
    /// 503: the database is unavailable; the log has the cause.
    #[error("the site is not available at the moment; nothing was changed, please try again in a minute")]
    Unavailable,
    /// 500: a bug; the cause is only logged.
    #[error("something went wrong")]
    Internal(#[source] Box<dyn std::error::Error + Send + Sync>),
}

impl From<database::Error> for Error {
    fn from(error: database::Error) -> Self {
        match error {
            error if database::is_busy(&error) => Self::Busy,
            error if database::is_unavailable(&error) => Self::Unavailable,
            error => Self::Internal(error.into()),
        }
    }
}

impl From<askama::Error> for Error {
    fn from(error: askama::Error) -> Self {
        Self::Internal(error.into())
    }
}

impl ResponseError for Error {
    fn status_code(&self) -> StatusCode {
        match self {
            Self::BadRequest(_) => StatusCode::BAD_REQUEST,
            Self::Unauthorized(_) | Self::CodeRequired => StatusCode::UNAUTHORIZED,
            Self::Forbidden(_) | Self::InvalidToken => StatusCode::FORBIDDEN,
            Self::NotFound => StatusCode::NOT_FOUND,
            Self::RequestTimeout => StatusCode::REQUEST_TIMEOUT,
            Self::PayloadTooLarge => StatusCode::PAYLOAD_TOO_LARGE,
            Self::UnsupportedMediaType(_) => StatusCode::UNSUPPORTED_MEDIA_TYPE,
            Self::Misdirected => StatusCode::MISDIRECTED_REQUEST,
            Self::InvalidFields(_) => StatusCode::UNPROCESSABLE_ENTITY,
            Self::RateLimited { .. } => StatusCode::TOO_MANY_REQUESTS,
            Self::Busy | Self::Unavailable => StatusCode::SERVICE_UNAVAILABLE,
            Self::Internal(_) => StatusCode::INTERNAL_SERVER_ERROR,
        }
    }

    fn error_response(&self) -> HttpResponse {
        if let Self::Internal(source) = self {
            tracing::error!(error = %source, "a request failed");
        }
        let mut response = HttpResponseBuilder::new(self.status_code());
        match self {
            Self::RateLimited { retry_after } => {
                response.insert_header((header::RETRY_AFTER, retry_after.to_string()));
            }
            Self::Busy => {
                response.insert_header((header::RETRY_AFTER, "2"));
            }
            Self::Unavailable => {
                response.insert_header((header::RETRY_AFTER, "10"));
            }
            Self::InvalidToken => {
                // RFC 6750 section 3.1 names the error and answers 401; the status 403 is this API's contract, kept from the tutorial.
                let challenge = "Bearer realm=\"order-portal\", error=\"invalid_token\"";
                response.insert_header((header::WWW_AUTHENTICATE, challenge));
            }
            _ => {}
        }
        let fields = if let Self::InvalidFields(fields) = self { fields.clone() } else { Vec::new() };
        let mut response = response.finish();
        response.extensions_mut().insert(ErrorDetail {
            message: self.to_string(),
            fields,
            is_code_required: matches!(self, Self::CodeRequired),
        });
        response
    }
}

/// Left by an [`Error`] in its empty response, for [`render_errors`].
struct ErrorDetail {
    message: String,
    fields: Vec<(&'static str, String)>,
    is_code_required: bool,
}

/// Middleware: renders each error response that has no page yet, as a page or as a problem document. It keeps no clone of the request:
/// routing needs exclusive access to it.
///
/// # Errors
/// An `Err` passes through, so everything that is wrapped must return `Ok` with a status.
pub async fn render_errors<B: MessageBody + 'static>(
    request: ServiceRequest,
    next: Next<B>,
) -> Result<ServiceResponse<EitherBody<B, BoxBody>>, actix_web::Error> {
    let response = next.call(request).await?;
    if !is_bare_error(response.response()) {
        return Ok(response.map_into_left_body());
    }
    let (request, bare) = response.into_parts();
    let rendered = error_body(&request, bare.map_into_boxed_body());
    Ok(ServiceResponse::new(request, rendered).map_into_right_body())
}

fn is_bare_error<B>(response: &HttpResponse<B>) -> bool {
    let is_rendered = response.headers().get(header::CONTENT_TYPE).is_some_and(|kind| {
        [&b"text/html"[..], b"application/problem+json", b"application/json"]
            .iter()
            .any(|rendered| kind.as_bytes().starts_with(rendered))
    });
    (response.status().is_client_error() || response.status().is_server_error()) && !is_rendered
}

fn error_body(request: &HttpRequest, mut bare: HttpResponse) -> HttpResponse {
    let status = bare.status();
    let detail = bare.extensions_mut().remove::<ErrorDetail>();
    let mut response = HttpResponseBuilder::new(status);
    for (name, value) in bare.headers() {
        if name != header::CONTENT_TYPE && name != header::CONTENT_LENGTH {
            response.append_header((name, value));
        }
    }
    response.insert_header((header::CACHE_CONTROL, "no-store"));
    if request.path().starts_with("/api/") || request.path() == "/api" {
        problem(&mut response, request, status, detail, bare.headers().contains_key(header::WWW_AUTHENTICATE))
    } else {
        error_page(&mut response, request, status, detail)
    }
}

fn problem(
    response: &mut HttpResponseBuilder,
    request: &HttpRequest,
    status: StatusCode,
    detail: Option<ErrorDetail>,
    has_challenge: bool,
) -> HttpResponse {
    if matches!(status, StatusCode::UNAUTHORIZED | StatusCode::FORBIDDEN) && !has_challenge {
        response.insert_header((header::WWW_AUTHENTICATE, "Bearer realm=\"order-portal\""));
    }
    let (_, explanation) = text_for(status);
    let mut body = json!({
        "type": "about:blank",
        "title": status.canonical_reason().unwrap_or("Error"),
        "status": status.as_u16(),
        "detail": detail.as_ref().map_or(explanation, |detail| detail.message.as_str()),
        "request_id": request_id(request),
    });
    if detail.as_ref().is_some_and(|detail| detail.is_code_required) {
        body["code_required"] = true.into();
    }
    if let Some(detail) = detail.filter(|detail| !detail.fields.is_empty()) {
        body["errors"] =
            detail.fields.iter().map(|(field, reason)| json!({"field": field, "detail": reason})).collect();
    }
    response.insert_header((header::CONTENT_TYPE, "application/problem+json")).body(body.to_string())
}

#[derive(Template)]
#[template(path = "error.html")]
struct ErrorPage {
    layout: Layout,
    status: u16,
    title: &'static str,
    explanation: String,
    recovery_url: &'static str,
    recovery_label: &'static str,
    request_id: String,
}

fn error_page(
    response: &mut HttpResponseBuilder,
    request: &HttpRequest,
    status: StatusCode,
    detail: Option<ErrorDetail>,
) -> HttpResponse {
    let (title, explanation) = text_for(status);
    // The other statuses have texts that are better than the message for programs.
    let shown = detail.filter(|_| matches!(status.as_u16(), 400 | 403 | 429 | 503));
    let layout = Layout::of(request);
    let (recovery_url, recovery_label) =
        if layout.viewer.is_some() { ("/orders", "Go to your orders") } else { ("/", "Go to the start page") };
    let page = ErrorPage {
        layout,
        status: status.as_u16(),
        title,
        explanation: shown.map_or_else(|| explanation.to_owned(), |detail| sentence(&detail.message)),
        recovery_url,
        recovery_label,
        request_id: request_id(request),
    };
    response.insert_header((header::CONTENT_TYPE, HeaderValue::from_static("text/html; charset=utf-8")));
    match page.render() {
        Ok(html) => response.body(html),
        Err(_) => response.body(explanation),
    }
}

/// Title and explanation.
fn text_for(status: StatusCode) -> (&'static str, &'static str) {
    match status.as_u16() {
        400 => ("Invalid request", "The address or the form is not valid here. Nothing was changed."),
        401 => ("Please log in", "Log in to see this page."),
        403 => (
            "Request blocked",
            "The request came from another site, so nothing was changed. Go back, reload the page and try again.",
        ),
        404 => {
            ("Page not found", "Check the address. The page may have been removed, or it belongs to another account.")
        }
        405 => ("Action not available", "This page does not accept that kind of request. Nothing was changed."),
        408 => ("Request timed out", "Your request took too long to arrive. Nothing was changed. Please try again."),
        413 => ("Too much data", "The form is too large. Nothing was changed. Shorten your text and send it again."),
        415 => ("Form cannot be read", "This page accepts only forms sent by a browser. Nothing was changed."),
        421 => ("Wrong address", "This site is not available under that address. Check the address in your browser."),
        422 => ("Check the form", "Nothing was changed. Go back and check your entries."),
        429 => ("Too many attempts", "Please wait a few minutes, then try again."),
        503 => ("Please try again in a moment", "The site is very busy. Nothing was changed."),
        500..=599 => ("Something went wrong", "This is our fault. The error was logged. Please try again in a moment."),
        _ => ("Request failed", "Nothing was changed. Go back and try again."),
    }
}

fn sentence(text: &str) -> String {
    let mut letters = text.chars();
    let first = letters.next().map(char::to_uppercase).into_iter().flatten();
    let end = if text.ends_with('.') { "" } else { "." };
    first.chain(letters).chain(end.chars()).collect()
}

fn request_id(request: &HttpRequest) -> String {
    request.extensions().get::<RequestId>().map(|id| id.0.clone()).unwrap_or_default()
}
