//! The login page explains to a browser without cookies why a correct password leads back to it.

use reqwest::Method;

use crate::app::{PASSWORD, TestApp};
use crate::http::{self, Answer};

const EMAIL: &str = "ann@example.com";
const UNKEPT: &str = "did not keep the cookie that logs you in";

/// Submits the form of a page and follows redirects without cookies, with that page as `Referer`, as browsers do. Returns the redirects
/// and the last page.
async fn send_without_cookies(app: &TestApp, form: &str, next: &str) -> (Vec<String>, Answer) {
    let referer = format!("{}{form}", app.origin());
    let path = form.split('?').next().unwrap();
    let fields = [("email", EMAIL), ("password", PASSWORD), ("next", next)];
    let request = app.request(Method::POST, path).header("referer", &referer).form(&fields);
    let (mut answer, mut redirects) = (http::send(request).await, Vec::new());
    while let (303, location) = answer.leads_to() {
        let location = location.to_owned();
        assert!(redirects.len() < 5, "{redirects:?}");
        answer = http::send(app.request(Method::GET, &location).header("referer", &referer)).await;
        redirects.push(location);
    }
    (redirects, answer)
}

#[tokio::test]
async fn login_page_explains_a_missing_cookie() {
    let app = TestApp::start().await;
    let (redirects, page) = send_without_cookies(&app, "/signup", "").await;
    assert_eq!(redirects, ["/orders", "/login?next=%2Forders"]);
    assert!(page.is_page(200) && page.text().contains(&format!("Your account is ready, but your browser {UNKEPT}")));
    let forms = [("/login", "", "/orders"), ("/login?next=%2Forders%2F1", "/orders/1", "/orders/1")];
    for (form, next, target) in forms {
        let (redirects, page) = send_without_cookies(&app, form, next).await;
        assert_eq!(redirects, [target.to_owned(), format!("/login?next={}", target.replace('/', "%2F"))]);
        let text = page.text();
        assert!(page.is_page(200) && text.contains(&format!("Your browser {UNKEPT}")), "{form}: {text}");
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
        assert!(page.is_page(200) && !page.text().contains(UNKEPT), "{path} {referer:?} {cookie:?}");
    }
}

#[tokio::test]
async fn cookie_message_in_production_is_for_customers() {
    let production =
        [("APP_ENV", "production"), ("PUBLIC_URL", "https://shop.example"), ("MAIL_URL", "file://data/mail")];
    let app = TestApp::start_with(&production).await;
    let request = app.request(Method::GET, "/login?next=%2Forders").header("host", "shop.example");
    let page = http::send(request.header("referer", "https://shop.example/login")).await.text();
    assert!(page.contains(UNKEPT) && page.contains("Allow cookies for this site"), "{page}");
    assert!(!page.contains("TLS_CERT") && !page.contains("Safari"), "{page}");
}
