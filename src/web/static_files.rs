//! Static files: from memory; ranges and files that are not in memory by actix-files.
//!
//! Each representation has its own strong `ETag`, so that a client never combines bytes of two: a range is always of the plain content, and a tag of a
//! compressed representation in `If-Range` gets the whole file (RFC 9110 section 8.8.1).

use actix_web::body::{BoxBody, EitherBody, MessageBody};
use actix_web::dev::{ServiceRequest, ServiceResponse};
use actix_web::http::header::{self, EntityTag, HeaderMap, HeaderName, HeaderValue, IfMatch, IfNoneMatch, IfRange};
use actix_web::http::{Method, StatusCode};
use actix_web::middleware::Next;
use actix_web::{Error, HttpMessage, HttpResponse, web};

use super::Site;
use super::assets::{Asset, Representation};
use super::compression::Coding;

const IMMUTABLE: &str = "public, max-age=31536000, immutable";
const REVALIDATE: &str = "no-cache";
/// An SVG image may have styles and embedded images. Opened by itself, it is a document, which must not run scripts (a logo is the operator's file).
const SVG_POLICY: &str = "default-src 'none'; style-src 'unsafe-inline'; img-src data:; sandbox";
const CONDITIONAL_HEADERS: [HeaderName; 5] =
    [header::IF_MATCH, header::IF_NONE_MATCH, header::IF_MODIFIED_SINCE, header::IF_UNMODIFIED_SINCE, header::IF_RANGE];

/// Middleware around actix-files.
pub async fn serve<B: MessageBody + 'static>(
    mut request: ServiceRequest,
    next: Next<B>,
) -> Result<ServiceResponse<EitherBody<BoxBody, B>>, Error> {
    let site = request.app_data::<web::Data<Site>>().cloned();
    let asset = site.as_ref().and_then(|site| site.assets.find(request.path()));
    let Some(asset) = asset.filter(|_| request.method() == Method::GET) else {
        let mut response = next.call(request).await?;
        if response.status().is_success() || response.status().is_redirection() {
            response.headers_mut().insert(header::CACHE_CONTROL, HeaderValue::from_static(REVALIDATE));
        }
        if response.status() == StatusCode::METHOD_NOT_ALLOWED {
            response.headers_mut().insert(header::ALLOW, HeaderValue::from_static("GET, HEAD"));
        }
        return Ok(response.map_into_right_body());
    };

    let is_range = is_range_request(&request, asset);
    let coding = Coding::accepted(&request).filter(|_| !is_range);
    let representation = asset.representation(coding);
    let cache_control = if asset.is_current(request.query_string()) { IMMUTABLE } else { REVALIDATE };
    let status = precondition(&request, &representation.tag);
    if status != StatusCode::OK || !is_range {
        let response = full_response(asset, representation, status, cache_control);
        return Ok(request.into_response(response).map_into_left_body());
    }
    // The preconditions are met; actix-files must not check its own.
    CONDITIONAL_HEADERS.iter().for_each(|name| {
        request.headers_mut().remove(name);
    });
    let mut response = next.call(request).await?;
    if response.status().is_success() {
        let headers = response.headers_mut();
        insert_validators(headers, &representation, cache_control);
        insert_content_headers(headers, asset, &representation);
    }
    Ok(response.map_into_right_body())
}

/// Without a directory: what is not in memory does not exist.
pub async fn not_found(method: Method) -> Result<HttpResponse, super::Error> {
    if method == Method::GET { Err(super::Error::NotFound) } else { Ok(HttpResponse::MethodNotAllowed().finish()) }
}

/// Whether to send a range. `Range` is ignored if the range could be of another representation.
fn is_range_request(request: &ServiceRequest, asset: &Asset) -> bool {
    let headers = request.headers();
    let is_in_bytes = |range: &HeaderValue| range.as_bytes().to_ascii_lowercase().starts_with(b"bytes=");
    let is_same = match request.get_header::<IfRange>() {
        Some(IfRange::EntityTag(tag)) => tag.strong_eq(&asset.representation(None).tag),
        Some(IfRange::Date(_)) => false,
        None => !headers.contains_key(header::IF_RANGE),
    };
    headers.get(header::RANGE).is_some_and(is_in_bytes) && is_same && asset.is_on_disk()
}

/// The status after the request's preconditions (RFC 9110 section 13.2.2).
fn precondition(request: &ServiceRequest, tag: &EntityTag) -> StatusCode {
    if let Some(IfMatch::Items(tags)) = request.get_header()
        && !tags.iter().any(|one| one.strong_eq(tag))
    {
        return StatusCode::PRECONDITION_FAILED;
    }
    match request.get_header() {
        Some(IfNoneMatch::Any) => StatusCode::NOT_MODIFIED,
        Some(IfNoneMatch::Items(tags)) if tags.iter().any(|one| one.weak_eq(tag)) => StatusCode::NOT_MODIFIED,
        _ => StatusCode::OK,
    }
}

fn full_response(
    asset: &Asset,
    representation: Representation,
    status: StatusCode,
    cache_control: &'static str,
) -> HttpResponse {
    let mut response = HttpResponse::new(status);
    match status {
        StatusCode::OK => {
            insert_validators(response.headers_mut(), &representation, cache_control);
            insert_content_headers(response.headers_mut(), asset, &representation);
            response.set_body(BoxBody::new(representation.content))
        }
        StatusCode::NOT_MODIFIED => {
            insert_validators(response.headers_mut(), &representation, cache_control);
            response
        }
        _ => response,
    }
}

fn insert_validators(headers: &mut HeaderMap, representation: &Representation, cache_control: &'static str) {
    headers.insert(header::CACHE_CONTROL, HeaderValue::from_static(cache_control));
    headers.insert(header::VARY, HeaderValue::from_static("Accept-Encoding"));
    insert(headers, header::ETAG, &representation.tag.to_string());
}

fn insert_content_headers(headers: &mut HeaderMap, asset: &Asset, representation: &Representation) {
    headers.insert(header::ACCEPT_RANGES, HeaderValue::from_static("bytes"));
    insert(headers, header::CONTENT_TYPE, &asset.content_type);
    if asset.content_type == "image/svg+xml" {
        headers.insert(header::CONTENT_SECURITY_POLICY, HeaderValue::from_static(SVG_POLICY));
    }
    if let Some(coding) = representation.coding {
        headers.insert(header::CONTENT_ENCODING, coding.name());
    }
}

fn insert(headers: &mut HeaderMap, name: HeaderName, value: &str) {
    if let Ok(value) = HeaderValue::from_str(value) {
        headers.insert(name, value);
    }
}
