//! The guard, in two steps: [`load_session`] finds out who a request is from, [`require_user`] turns strangers away.
//!
//! 1. The cookie's token is verified and its session's row read, in one query ([`Sessions::resume`]).
//! 2. [`CurrentUser`] and the layout's `Viewer` go into the request.
//! 3. Past half of its life the token is renewed with the answer.
//! 4. A guarded route without a user answers with the login page's address, which leads back; or, when the browser
//!    held the Strict cookie back because the link stood on another site, with a page that asks again from here.
//!
//! Both answer `Ok(request.into_response(..))`, never `Err`: with an error the middleware outside would add neither
//! headers nor a page.

use actix_web::body::{BoxBody, EitherBody, MessageBody};
use actix_web::dev::{ServiceRequest, ServiceResponse};
use actix_web::http::Method;
use actix_web::http::StatusCode;
use actix_web::http::header;
use actix_web::middleware::Next;
use actix_web::{Error as ActixError, HttpMessage, HttpRequest, HttpResponse, ResponseError, web};
use askama::Template;

use super::{Audience, CurrentUser, Issued, Resumed, Sessions, cookie};
use crate::clock::Clock;
use crate::web::{Error, Layout, NextPath, Notice, Site, own_referer, page, see_other};

/// Middleware: signs the request in when its cookie holds, and renews the cookie when it is time.
///
/// # Errors
/// Those of what it wraps.
pub async fn load_session<B: MessageBody + 'static>(
    request: ServiceRequest,
    next: Next<B>,
) -> Result<ServiceResponse<EitherBody<B>>, ActixError> {
    let resumed = match resume_and_renew(request.request()).await {
        Ok(resumed) => resumed,
        Err(error) => return Ok(request.into_response(error.error_response()).map_into_right_body()),
    };
    let mut renewed = None;
    if let Some((mut resumed, issued)) = resumed {
        if let Some(issued) = &issued {
            resumed.viewer.ends_in += issued.expires_at.since(resumed.user.token_expires_at);
            resumed.viewer.can_stay = issued.expires_at < resumed.user.session_expires_at;
        }
        request.extensions_mut().insert(resumed.user);
        request.extensions_mut().insert(resumed.viewer);
        renewed = issued;
    }
    let now = request.app_data::<web::Data<Clock>>().map(|clock| clock.now());
    let mut response = next.call(request).await?;
    // A handler that set the cookie itself (logged out, password given again) has the last word.
    if let (Some(issued), Some(now)) = (renewed, now)
        && response.response().cookies().all(|set| set.name() != cookie::NAME)
    {
        response.response_mut().add_cookie(&cookie::carry(&issued, now)).ok();
    }
    Ok(response.map_into_left_body())
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

/// Middleware: lets a signed-in user pass; everyone else is sent to log in and comes back afterwards.
///
/// # Errors
/// Those of what it wraps.
pub async fn require_user<B: MessageBody + 'static>(
    request: ServiceRequest,
    next: Next<B>,
) -> Result<ServiceResponse<EitherBody<B, BoxBody>>, ActixError> {
    if request.extensions().contains::<CurrentUser>() {
        return next.call(request).await.map(ServiceResponse::map_into_left_body);
    }
    let answer = turn_away(request.request()).unwrap_or_else(|error| error.error_response());
    Ok(request.into_response(answer).map_into_right_body())
}

/// Middleware for a page that anyone may see and that looks different to its owner: a customer who follows a link to it from another
/// site is recognised.
///
/// # Errors
/// Those of what it wraps.
pub async fn reload_arrival<B: MessageBody + 'static>(
    request: ServiceRequest,
    next: Next<B>,
) -> Result<ServiceResponse<EitherBody<B, BoxBody>>, ActixError> {
    match arrival_page(request.request()) {
        None => next.call(request).await.map(ServiceResponse::map_into_left_body),
        Some(answer) => {
            let answer = answer.unwrap_or_else(|error| error.error_response());
            Ok(request.into_response(answer).map_into_right_body())
        }
    }
}

#[derive(Template)]
#[template(path = "arrival.html")]
struct ArrivalPage {
    layout: Layout,
    url: String,
}

/// The page that asks again from this site, if the request came from another one.
fn arrival_page(request: &HttpRequest) -> Option<Result<HttpResponse, Error>> {
    let here = NextPath::parse(request.uri().path_and_query()?.as_str())?;
    if request.method() != Method::GET || !arrives_from_another_site(request) {
        return None;
    }
    let shown = ArrivalPage { layout: Layout::of(request), url: here.as_str().to_owned() };
    Some(page(StatusCode::OK, &shown).map(|mut answer| {
        // The address may hold the token of a mailed link.
        let origin_alone = header::HeaderValue::from_static("strict-origin");
        answer.headers_mut().insert(header::REFERRER_POLICY, origin_alone);
        answer
    }))
}

pub(super) fn turn_away(request: &HttpRequest) -> Result<HttpResponse, Error> {
    if let Some(answer) = arrival_page(request) {
        return answer;
    }
    let here = request.uri().path_and_query().and_then(|path| NextPath::parse(path.as_str()));
    let leads_back = here.filter(|_| request.method() == Method::GET).or_else(|| form_page(request));
    let mut answer = see_other(&leads_back.map_or_else(|| "/login".to_owned(), |page| page.login_address()));
    if cookie::is_present(request) {
        Notice::SessionOver.show_next(&mut answer);
    }
    Ok(answer)
}

/// The page whose form was sent after the session's end, which the customer comes back to after logging in.
fn form_page(request: &HttpRequest) -> Option<NextPath> {
    let site = request.app_data::<web::Data<Site>>()?;
    let referer = own_referer(request, site)?;
    let path = match referer.query() {
        Some(query) => format!("{}?{query}", referer.path()),
        None => referer.path().to_owned(),
    };
    NextPath::parse(&path)
}

/// A link that was followed from another site comes without the Strict cookie. The page's reload comes from this site,
/// so this cannot happen twice in a row.
fn arrives_from_another_site(request: &HttpRequest) -> bool {
    let says = |name, value: &str| request.headers().get(name).is_some_and(|sent| sent.as_bytes() == value.as_bytes());
    says("sec-fetch-site", "cross-site") && says("sec-fetch-mode", "navigate") && !cookie::is_present(request)
}
