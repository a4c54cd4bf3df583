//! The login page explains the missing cookie to a browser that rejects cookies.

use reqwest::Method;

use crate::app::{ANN, PASSWORD, PRODUCTION, TestApp};
use crate::http::{self, Response};

const MESSAGE: &str = "did not keep the cookie that logs you in";

/// Submits the form of a page and follows redirects without cookies, with that page as `Referer`, as browsers do. Returns the redirects
/// and the last page.
async fn send_without_cookies(app: &TestApp, form: &str, next: &str) -> (Vec<String>, Response) {
    let referer = format!("{}{form}", app.origin());
    let path = form.split('?').next().unwrap();
    let fields = [("email", ANN), ("password", PASSWORD), ("next", next)];
    let request = app.request(Method::POST, path).header("referer", &referer).form(&fields);
    let (mut response, mut redirects) = (http::send(request).await, Vec::new());
    while let (303, location) = response.redirect() {
        let location = location.to_owned();
        assert!(redirects.len() < 5, "{redirects:?}");
        response = http::send(app.request(Method::GET, &location).header("referer", &referer)).await;
        redirects.push(location);
    }
    (redirects, response)
}

#[tokio::test]
async fn login_page_explains_a_missing_cookie() {
    let app = TestApp::start().await;
    let (redirects, page) = send_without_cookies(&app, "/signup", "").await;
    assert_eq!(redirects, ["/orders", "/login?next=%2Forders"]);
    assert!(page.is_page(200) && page.text().contains(&format!("Your account is ready, but your browser {MESSAGE}")));
    let forms = [("/login", "", "/orders"), ("/login?next=%2Forders%2F1", "/orders/1", "/orders/1")];
    for (form, next, target) in forms {
        let (redirects, page) = send_without_cookies(&app, form, next).await;
        assert_eq!(redirects, [target.to_owned(), format!("/login?next={}", target.replace('/', "%2F"))]);
        let text = page.text();
        assert!(page.is_page(200) && text.contains(&format!("Your browser {MESSAGE}")), "{form}: {text}");
        assert!(text.contains("TLS_CERT") && text.contains("Safari"), "{form}: {text}");
    }
}

#[tokio::test]
async fn login_page_shows_no_cookie_message_without_a_login() {
    let app = TestApp::start().await;
    let origin = app.origin();
    let visits = [
        ("/login", Some(format!("{origin}/login")), None),
        // From the link in the page header.
        ("/login", Some(format!("{origin}/signup")), None),
        ("/login?next=//evil.example", Some(format!("{origin}/login")), None),
        ("/login?next=%2Forders", None, None),
        ("/login?next=%2Forders", Some(format!("{origin}/orders")), None),
        ("/login?next=%2Forders", Some(format!("{origin}/")), None),
        ("/login?next=%2Forders", Some("https://evil.example/login".to_owned()), None),
        ("/login?next=%2Forders", Some("not a URL".to_owned()), None),
        // The browser has the cookie, but its session has ended.
        ("/login?next=%2Forders", Some(format!("{origin}/login")), Some("__Host-session=over")),
    ];
    for (path, referer, cookie) in visits {
        let mut request = app.request(Method::GET, path);
        for (name, value) in [("referer", referer.as_deref()), ("cookie", cookie)] {
            request = value.map_or(request.try_clone().unwrap(), |value| request.header(name, value));
        }
        let page = http::send(request).await;
        assert!(page.is_page(200) && !page.text().contains(MESSAGE), "{path} {referer:?} {cookie:?}");
    }
}

#[tokio::test]
async fn cookie_message_in_production_is_for_customers() {
    let app = TestApp::start_with(&PRODUCTION).await;
    let request = app.request(Method::GET, "/login?next=%2Forders").header("host", "shop.example");
    let page = http::send(request.header("referer", "https://shop.example/login")).await.text();
    assert!(page.contains(MESSAGE) && page.contains("Allow cookies for this site"), "{page}");
    assert!(!page.contains("TLS_CERT") && !page.contains("Safari"), "{page}");
}
