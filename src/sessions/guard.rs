//! The guard: [`load_session`] authenticates the request, [`require_user`] redirects anonymous requests to the login page, and
//! [`reload_from_same_site`] recognizes a customer who follows a link from another site to a public page.
//!
//! 1. Verify the cookie's token, then read the session with one query ([`Sessions::resume`]).
//! 2. Put [`CurrentUser`] and the layout's `Viewer` into the request.
//! 3. After half of the token's lifetime, set a cookie with a new token.
//! 4. On a guarded route without user: redirect to the login page, which leads back afterwards. After a link from another site the browser
//!    does not send the Strict cookie, so such a request gets a page that reloads itself from this site.
//!
//! A refusal is `Ok(request.into_response(..))`, not `Err`: with `Err` the outer middleware would add neither headers nor a page.

use actix_web::body::{BoxBody, EitherBody, MessageBody};
use actix_web::dev::{ServiceRequest, ServiceResponse};
use actix_web::http::Method;
use actix_web::http::StatusCode;
use actix_web::http::header::{self, HeaderName, HeaderValue};
use actix_web::middleware::Next;
use actix_web::{Error as ActixError, HttpMessage, HttpRequest, HttpResponse, ResponseError, web};
use askama::Template;

use super::{Audience, CurrentUser, Issued, Resumed, SessionNotice, Sessions, cookie};
use crate::clock::Clock;
use crate::web::{Error, Layout, NextPath, Notice, Site, page, same_origin_referer, see_other};

const SERVER_TIMING: HeaderName = HeaderName::from_static("server-timing");

/// Middleware: authenticates the request by its cookie and renews the cookie.
pub async fn load_session<B: MessageBody + 'static>(
    request: ServiceRequest,
    next: Next<B>,
) -> Result<ServiceResponse<EitherBody<B>>, ActixError> {
    let resumed = match resume_and_renew(request.request()).await {
        Ok(resumed) => resumed,
        Err(error) => return Ok(request.into_response(error.error_response()).map_into_right_body()),
    };
    let (mut renewed, mut timing) = (None, None);
    if let Some((resumed, issued)) = resumed {
        timing = session_timing(request.request(), &resumed.user, issued.as_ref());
        request.extensions_mut().insert(resumed.user);
        request.extensions_mut().insert(resumed.viewer);
        renewed = issued;
    }
    let mut response = next.call(request).await?;
    if let Some(timing) = timing {
        response.headers_mut().insert(SERVER_TIMING, timing);
    }
    // A cookie that the handler has set (logout, reauthentication) takes precedence.
    if let Some(issued) = renewed
        && response.response().cookies().all(|set| set.name() != cookie::NAME)
    {
        response.response_mut().add_cookie(&cookie::session_cookie(&issued)).ok();
    }
    Ok(response.map_into_left_body())
}

/// How long the session lasts if this browser sends no further request, in milliseconds, and whether it can be extended beyond that. The
/// page's script warns before the end. It is sent in a header because the page may come from memory; `Server-Timing` is the only header of
/// its own page that a script can read (W3C Server Timing).
fn session_timing(request: &HttpRequest, user: &CurrentUser, renewed: Option<&Issued>) -> Option<HeaderValue> {
    let clock = request.app_data::<web::Data<Clock>>()?;
    let expires_at = renewed.map_or(user.token_expires_at, |issued| issued.expires_at);
    let milliseconds = expires_at.since(clock.now()).max(0) * 1000;
    let can_extend = if expires_at < user.session_expires_at { ";desc=extendable" } else { "" };
    HeaderValue::try_from(format!("session;dur={milliseconds}{can_extend}")).ok()
}

async fn resume_and_renew(request: &HttpRequest) -> Result<Option<(Resumed, Option<Issued>)>, Error> {
    let Some(token) = cookie::read(request) else {
        return Ok(None);
    };
    let Some(sessions) = request.app_data::<web::Data<Sessions>>() else {
        return Ok(None);
    };
    let Some(resumed) = sessions.resume(&token, Audience::Web).await? else {
        return Ok(None);
    };
    let renewed = sessions.renew(&resumed).await;
    Ok(Some((resumed, renewed)))
}

/// Middleware: requires an authenticated user; redirects other requests to the login page.
pub async fn require_user<B: MessageBody + 'static>(
    request: ServiceRequest,
    next: Next<B>,
) -> Result<ServiceResponse<EitherBody<B, BoxBody>>, ActixError> {
    if request.extensions().contains::<CurrentUser>() {
        return next.call(request).await.map(ServiceResponse::map_into_left_body);
    }
    let response = redirect_to_login(request.request()).unwrap_or_else(|error| error.error_response());
    Ok(request.into_response(response).map_into_right_body())
}

/// Middleware for a public page that depends on the session: a customer who follows a link from another site is recognized, too.
pub async fn reload_from_same_site<B: MessageBody + 'static>(
    request: ServiceRequest,
    next: Next<B>,
) -> Result<ServiceResponse<EitherBody<B, BoxBody>>, ActixError> {
    match same_site_reload(request.request()) {
        None => next.call(request).await.map(ServiceResponse::map_into_left_body),
        Some(response) => {
            let response = response.unwrap_or_else(|error| error.error_response());
            Ok(request.into_response(response).map_into_right_body())
        }
    }
}

#[derive(Template)]
#[template(path = "same_site_reload.html")]
struct SameSiteReloadPage {
    layout: Layout,
    url: String,
}

/// The page that repeats the request from this site, if the request came from another site.
fn same_site_reload(request: &HttpRequest) -> Option<Result<HttpResponse, Error>> {
    let here = NextPath::parse(request.uri().path_and_query()?.as_str())?;
    if request.method() != Method::GET || !is_link_from_another_site(request) {
        return None;
    }
    let view = SameSiteReloadPage { layout: Layout::of(request), url: here.as_str().to_owned() };
    Some(page(StatusCode::OK, &view).map(|mut response| {
        // The URL may contain the token of a mailed link.
        let origin_only = header::HeaderValue::from_static("strict-origin");
        response.headers_mut().insert(header::REFERRER_POLICY, origin_only);
        response
    }))
}

pub(super) fn redirect_to_login(request: &HttpRequest) -> Result<HttpResponse, Error> {
    if let Some(response) = same_site_reload(request) {
        return response;
    }
    let here = request.uri().path_and_query().and_then(|path| NextPath::parse(path.as_str()));
    let next = if request.method() == Method::GET { here } else { form_page(request).or(here) };
    let mut response = see_other(&next.map_or_else(|| "/login".to_owned(), |page| page.login_url()));
    if cookie::is_present(request) {
        SessionNotice::Expired.show_next(&mut response);
    }
    Ok(response)
}

/// The page with the form of this request. The customer returns there after the login.
fn form_page(request: &HttpRequest) -> Option<NextPath> {
    let site = request.app_data::<web::Data<Site>>()?;
    let referer = same_origin_referer(request, site)?;
    let path = match referer.query() {
        Some(query) => format!("{}?{query}", referer.path()),
        None => referer.path().to_owned(),
    };
    NextPath::parse(&path)
}

/// A link from another site comes without the Strict cookie. The reload comes from this site, so there is no loop.
fn is_link_from_another_site(request: &HttpRequest) -> bool {
    let has = |name, value: &str| request.headers().get(name).is_some_and(|sent| sent.as_bytes() == value.as_bytes());
    has("sec-fetch-site", "cross-site") && has("sec-fetch-mode", "navigate") && !cookie::is_present(request)
}
