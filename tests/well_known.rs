//! `/favicon.ico` and `/.well-known/`.

use reqwest::Method;
use time::format_description::well_known::Rfc3339;
use time::{Duration, OffsetDateTime};

use crate::app::{ANN, PRODUCTION, TestApp};
use crate::http;

#[tokio::test]
async fn favicon_is_an_icon_with_a_cache_lifetime() {
    let app = TestApp::start().await;
    let icon = app.get("/favicon.ico").await;
    assert_eq!((icon.status, icon.header("content-type")), (200, Some("image/x-icon")));
    assert!(icon.header("cache-control").unwrap().contains("max-age="));
    assert!(icon.body.starts_with(&[0, 0, 1, 0]) && icon.body.len() < 5_000, "{} bytes", icon.body.len());
    assert_eq!(app.customer(ANN).await.get("/favicon.ico").await.body, icon.body);
}

#[tokio::test]
async fn security_txt_is_missing_without_a_contact() {
    let app = TestApp::start().await;
    assert!(app.get("/.well-known/security.txt").await.is_page(404));
}

#[tokio::test]
async fn security_txt_has_contact_expiry_and_canonical_url() {
    let contacts = [
        ("security@shop.example", "mailto:security@shop.example"),
        ("https://shop.example/security", "https://shop.example/security"),
    ];
    for (contact, uri) in contacts {
        let production = [
            ("APP_ENV", "production"),
            ("PUBLIC_URL", "https://orders.shop.example"),
            ("MAIL_URL", "file://data/mail"),
            ("SECURITY_CONTACT", contact),
        ];
        let app = TestApp::start_with(&production).await;
        let request = app.request(Method::GET, "/.well-known/security.txt").header("host", "orders.shop.example");
        let response = http::send(request).await;
        assert_eq!((response.status, response.header("content-type")), (200, Some("text/plain; charset=utf-8")));
        let text = response.text();
        let field = |name: &str| {
            let mut values = text.lines().filter_map(|line| line.split_once(": ")).filter(|(found, _)| *found == name);
            let (_, value) = values.next().unwrap_or_else(|| panic!("no {name}: {text}"));
            assert!(values.next().is_none(), "{name} twice: {text}");
            value.to_owned()
        };
        assert_eq!(field("Contact"), uri);
        assert_eq!(field("Canonical"), "https://orders.shop.example/.well-known/security.txt");
        assert_eq!(field("Preferred-Languages"), "en");
        let left = OffsetDateTime::parse(&field("Expires"), &Rfc3339).unwrap() - OffsetDateTime::now_utc();
        assert!(left > Duration::days(90) && left < Duration::days(365), "{left}");
        assert!(app.run_ok(&["check"]).contains(uri), "check does not print the contact");
    }
}

#[tokio::test]
async fn passkey_endpoints_are_urls_of_the_public_origin() {
    let production = [&PRODUCTION[..], &[("PUBLIC_URL", "https://orders.shop.example")]].concat();
    let app = TestApp::start_with(&production).await;
    let request = app.request(Method::GET, "/.well-known/passkey-endpoints").header("host", "orders.shop.example");
    let response = http::send(request).await;
    assert_eq!((response.status, response.header("content-type")), (200, Some("application/json")));
    let page = "https://orders.shop.example/account/passkeys";
    assert_eq!(response.json(), serde_json::json!({ "enroll": page, "manage": page }));
}
