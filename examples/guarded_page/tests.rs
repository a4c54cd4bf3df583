#![allow(clippy::unwrap_used)]

use actix_http::Request;
use actix_web::dev::Service;
use actix_web::http::StatusCode;
use actix_web::test::{TestRequest, call_service, init_service};

use super::*;

async fn app() -> impl Service<Request, Response = ServiceResponse, Error = Error> {
    let site = open_site().await.unwrap();
    init_service(App::new().app_data(site).wrap(from_fn(csrf_protection)).configure(routes)).await
}

fn post(path: &str) -> TestRequest {
    TestRequest::post().uri(path).set_form([("email", "ann@example.com"), ("password", "seven calm herons")])
}

#[actix_web::test]
async fn guard_accepts_the_session_until_logout() {
    let app = app().await;
    let get = |cookie: &Cookie<'static>| TestRequest::get().uri("/").cookie(cookie.clone()).to_request();
    let anonymous = TestRequest::get().uri("/").to_request();
    assert_eq!(call_service(&app, anonymous).await.status(), StatusCode::SEE_OTHER);
    let signed_up = call_service(&app, post("/signup").to_request()).await;
    let cookie = signed_up.response().cookies().next().unwrap().into_owned();
    assert!(
        cookie.http_only() == Some(true)
            && cookie.secure() == Some(true)
            && cookie.same_site() == Some(SameSite::Strict)
    );
    assert_eq!(call_service(&app, get(&cookie)).await.status(), StatusCode::OK);
    let forged = Cookie::new(COOKIE, format!("{}x", cookie.value()));
    assert_eq!(call_service(&app, get(&forged)).await.status(), StatusCode::SEE_OTHER);
    let logout = TestRequest::post().uri("/logout").cookie(cookie.clone()).to_request();
    assert_eq!(call_service(&app, logout).await.status(), StatusCode::SEE_OTHER);
    assert_eq!(
        call_service(&app, get(&cookie)).await.status(),
        StatusCode::SEE_OTHER,
        "the token is accepted after logout"
    );
}

#[actix_web::test]
async fn login_accepts_only_the_right_password() {
    let app = app().await;
    assert_eq!(call_service(&app, post("/login").to_request()).await.status(), StatusCode::UNAUTHORIZED);
    call_service(&app, post("/signup").to_request()).await;
    assert_eq!(call_service(&app, post("/signup").to_request()).await.status(), StatusCode::UNPROCESSABLE_ENTITY);
    assert_eq!(call_service(&app, post("/login").to_request()).await.status(), StatusCode::SEE_OTHER);
    let wrong =
        TestRequest::post().uri("/login").set_form([("email", "ann@example.com"), ("password", "something else")]);
    assert_eq!(call_service(&app, wrong.to_request()).await.status(), StatusCode::UNAUTHORIZED);
}

#[actix_web::test]
async fn csrf_rejects_form_of_another_site() {
    let app = app().await;
    for header in [("sec-fetch-site", "cross-site"), ("origin", "https://other.example")] {
        let forged = post("/signup").insert_header(header).to_request();
        assert_eq!(call_service(&app, forged).await.status(), StatusCode::FORBIDDEN);
    }
    let own = post("/signup").insert_header(("origin", ORIGIN)).to_request();
    assert_eq!(call_service(&app, own).await.status(), StatusCode::SEE_OTHER);
}
