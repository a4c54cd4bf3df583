//! Error pages and the reload page.

use reqwest::Method;

use super::Pages;
use crate::app::{ANN, PASSWORD, TestApp};
use crate::http;

#[tokio::test]
async fn error_pages_are_well_formed_with_and_without_a_session() {
    error_pages().await.finish();
}

pub async fn error_pages() -> Pages {
    let app = TestApp::start().await;
    let mut pages = Pages::new("errors");
    let token = app.customer(ANN).await.token();
    for (who, cookie, link) in
        [("anonymous", String::new(), "Go to the start page"), ("customer", token, "Go to your orders")]
    {
        let request =
            |method: Method, path: &str| app.request(method, path).header("cookie", format!("__Host-session={cookie}"));
        for (status, sent) in [
            (400, request(Method::POST, "/password/forgot").form(&[("nothing", "x")])),
            (403, request(Method::POST, "/password/forgot").header("sec-fetch-site", "cross-site")),
            (404, request(Method::GET, "/verify/nothing/%3Cx%3E\"")),
            (405, request(Method::DELETE, "/password/forgot")),
            (413, request(Method::POST, "/password/forgot").form(&[("email", "w".repeat(2_000_000))])),
            (415, request(Method::POST, "/password/forgot").body("x")),
        ] {
            let expected = ["If you ask for help, give this reference", &format!("Error {status}")];
            let response = http::send(sent).await;
            pages.check(&format!("{status}, {who}"), &response, status, &expected);
            // Earlier checks reject the request before the session is known.
            let knows_who = matches!(status, 400 | 404 | 405 | 413 | 415) && who == "customer";
            let shown = if knows_who { link } else { "Go to the start page" };
            assert!(response.text().contains(shown), "{status}, {who}: {}", response.text());
        }
    }
    let other_host = http::send(app.request(Method::GET, "/").header("host", "evil.example")).await;
    pages.check("421", &other_host, 421, &["Error 421"]);
    for number in 0..30 {
        app.visitor().post("/password/forgot", &[("email", &format!("customer{number}@example.com"))]).await;
    }
    let limited = app.visitor().post("/password/forgot", &[("email", ANN)]).await;
    pages.check("429", &limited, 429, &["try again in"]);
    let from_other_site = app.request(Method::GET, "/orders?q=%22%3E%3Cb%3E&x=';url=//evil.example");
    let from_other_site = from_other_site.header("sec-fetch-site", "cross-site").header("sec-fetch-mode", "navigate");
    pages.check(
        "from another site",
        &http::send(from_other_site).await,
        200,
        &["content=\"0; url=/orders?q=%22%3E%3Cb%3E&#38;x"],
    );
    let mut ann = app.new_session(ANN, PASSWORD).await;
    app.execute("ALTER TABLE orders RENAME TO orders_away").await;
    pages.check("500", &ann.get("/orders").await, 500, &["Error 500", "Go to your orders"]);
    app.execute("ALTER TABLE orders_away RENAME TO orders").await;
    pages.check("after the 500", &ann.get("/orders").await, 200, &["No orders yet"]);
    pages
}
