//! The guard and the `Cookie` header: duplicates, similar names, other cookies.

use reqwest::Method;
use reqwest::header::HeaderValue;

use crate::app::{ANN, TestApp};
use crate::http;

#[tokio::test]
async fn duplicate_session_cookies_are_ignored() {
    let app = TestApp::start().await;
    let token = app.customer(ANN).await.token();
    let twice = [
        format!("__Host-session={token}; __Host-session={token}"),
        format!("__Host-session={token}; __Host-session=x"),
        format!("__Host-session=x; __Host-session={token}"),
    ];
    for cookies in twice {
        let response = app.get_with_cookie("/orders", &cookies).await;
        assert_eq!(response.redirect(), (303, "/login?next=%2Forders"), "{}", &cookies[..30]);
    }
    let request = app.request(Method::GET, "/orders").header("cookie", format!("__Host-session={token}"));
    let in_two_lines = http::send(request.header("cookie", "__Host-session=x")).await;
    assert_eq!(in_two_lines.status, 303);
}

#[tokio::test]
async fn cookies_with_similar_names_are_ignored() {
    let app = TestApp::start().await;
    let token = app.customer(ANN).await.token();
    for name in ["session", "__Secure-session", "__host-session", "Host-session", "__Host-session2"] {
        let response = app.get_with_cookie("/orders", &format!("{name}={token}")).await;
        assert_eq!(response.status, 303, "{name}");
    }
    let among_others = format!("a=b; __Host-session={token}; odd; =; \"x\"=1");
    assert!(app.get_with_cookie("/orders", &among_others).await.is_page(200));
}

#[tokio::test]
async fn other_cookies_with_arbitrary_bytes_are_ignored() {
    let app = TestApp::start().await;
    let token = app.customer(ANN).await.token();
    let with = |before: &[u8], after: &[u8]| {
        let header = [before, format!("__Host-session={token}").as_bytes(), after].concat();
        let header = HeaderValue::from_bytes(&header).unwrap();
        http::send(app.request(Method::GET, "/orders").header("cookie", header))
    };
    let others: [&[u8]; 4] = [b"city=Z\xfcrich", "city=Zürich".as_bytes(), b"\xff\xfe", b"__Host-sessionid=x"];
    for other in others {
        let shown = String::from_utf8_lossy(other);
        assert!(with(&[other, b"; "].concat(), b"").await.is_page(200), "{shown} before");
        assert!(with(b"", &[b"; ", other].concat()).await.is_page(200), "{shown} after");
    }
    let notice = HeaderValue::from_bytes(b"city=Z\xfcrich; __Host-notice=logged-out").unwrap();
    let login = http::send(app.request(Method::GET, "/login").header("cookie", notice)).await;
    assert!(login.text().contains("You are logged out."), "{}", login.text());
    let cross_site = app.request(Method::GET, "/orders").header("cookie", "__Host-sessionid=x");
    let reload = cross_site.header("sec-fetch-site", "cross-site").header("sec-fetch-mode", "navigate");
    assert_eq!(http::send(reload).await.status, 200, "a cookie with a longer name is a session cookie");
}
