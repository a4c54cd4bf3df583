//! Login and logout.

use std::time::{Duration, Instant};

use argon2::password_hash::PasswordHasher;
use argon2::{Algorithm, Argon2, Params, Version};

use crate::app::{ANN, BOB, PASSWORD, TestApp, WRONG_PASSWORD};
use crate::http::Response;

#[tokio::test]
async fn login_redirects_to_the_orders() {
    let app = TestApp::start().await;
    app.customer(ANN).await;
    let mut visitor = app.visitor();
    assert!(visitor.get("/login").await.is_page(200));
    let response = visitor.log_in(ANN, PASSWORD).await;
    assert_eq!(response.redirect(), (303, "/orders"));
    assert_eq!(response.session_cookie().unwrap().1, ["HttpOnly", "Path=/", "SameSite=Strict", "Secure"]);
    assert!(visitor.get("/orders").await.is_page(200));
}

#[tokio::test]
async fn unknown_address_looks_like_a_wrong_password() {
    let app = TestApp::start().await;
    app.customer(ANN).await;
    let wrong = app.log_in(ANN, WRONG_PASSWORD).await;
    let unknown = app.log_in(BOB, WRONG_PASSWORD).await;
    assert!(wrong.is_page(401) && unknown.is_page(401));
    assert_eq!(wrong.text().replace("ann@", "bob@"), unknown.text());
    assert!(!wrong.text().contains(WRONG_PASSWORD));
    assert!(wrong.text().contains("value=\"ann@example.com\""));
    assert!(wrong.session_cookie().is_none());
    let names = |response: &Response| response.headers.iter().map(|(name, _)| name.clone()).collect::<Vec<_>>();
    assert_eq!(names(&wrong), names(&unknown));
}

#[tokio::test]
async fn malformed_address_takes_as_long_as_a_wrong_password() {
    let app = TestApp::start().await;
    app.customer(ANN).await;
    let mut fastest = [Duration::MAX; 2];
    for _ in 0..8 {
        for (index, email) in [ANN, "no address"].into_iter().enumerate() {
            let began = Instant::now();
            app.log_in(email, WRONG_PASSWORD).await;
            fastest[index] = fastest[index].min(began.elapsed());
        }
    }
    let [wrong, malformed] = fastest;
    assert!(malformed > wrong / 2, "wrong {wrong:?}, malformed {malformed:?}");
}

#[tokio::test]
async fn login_redirects_to_next() {
    let app = TestApp::start().await;
    app.customer(ANN).await;
    let mut visitor = app.visitor();
    let login = "/login?next=%2Forders%2F10248%3Fx%3D1%26y%3Da%2520b";
    assert_eq!(visitor.get("/orders/10248?x=1&y=a%20b").await.redirect(), (303, login));
    let form = visitor.get(login).await;
    assert!(form.text().contains("name=\"next\" value=\"/orders/10248?x=1&#38;y=a%20b\""), "{}", form.text());
    let next = ("next", "/orders/10248?x=1&y=a%20b");
    let failed = visitor.post("/login", &[("email", ANN), ("password", "wrong"), next]).await;
    assert!(failed.is_page(401));
    assert!(failed.text().contains("name=\"next\" value=\"/orders/10248?x=1&#38;y=a%20b\""), "next is missing");
    let done = visitor.post("/login", &[("email", ANN), ("password", PASSWORD), next]).await;
    assert_eq!(done.redirect(), (303, "/orders/10248?x=1&y=a%20b"));
}

#[tokio::test]
async fn next_redirects_only_within_this_site() {
    let app = TestApp::start().await;
    app.customer(ANN).await;
    let other_sites = [
        "//evil.example",
        "///evil.example",
        "/\\evil.example",
        "\\/evil.example",
        "\\\\evil.example",
        "/\t/evil.example",
        "\t//evil.example",
        "/\n/evil.example",
        "/\r\n/evil.example",
        " //evil.example",
        "https://evil.example",
        "http:evil.example",
        "javascript:alert(1)",
        "data:text/html,x",
        "evil.example",
        "/orders\r\nSet-Cookie: a=b",
        "/\u{0}/evil.example",
        "@evil.example",
        "",
    ];
    for next in other_sites {
        let fields = [("email", ANN), ("password", PASSWORD), ("next", next)];
        assert_eq!(app.visitor().post("/login", &fields).await.redirect(), (303, "/orders"), "{next:?}");
        let request = app.request(reqwest::Method::GET, "/login").query(&[("next", next)]);
        let form = crate::http::send(request).await;
        assert!(form.is_page(200) && !form.text().contains("evil.example"), "{next:?}");
    }
}

#[tokio::test]
async fn login_pages_redirect_logged_in_users_to_the_orders() {
    let app = TestApp::start().await;
    let mut visitor = app.customer(ANN).await;
    for path in ["/", "/login", "/signup"] {
        assert_eq!(visitor.get(path).await.redirect(), (303, "/orders"), "GET {path}");
    }
    for path in ["/login", "/signup"] {
        let response = visitor.post(path, &[("email", BOB), ("password", PASSWORD)]).await;
        assert_eq!(response.redirect(), (303, "/orders"), "POST {path}");
    }
    assert_eq!(app.log_in(BOB, PASSWORD).await.status, 401, "an account was created");
}

#[tokio::test]
async fn front_page_is_shown_to_anonymous_visitors() {
    let app = TestApp::start().await;
    let page = app.get("/").await;
    assert!(page.is_page(200));
    assert!(page.text().contains("href=\"/signup\"") && page.text().contains("href=\"/login\""));
}

#[tokio::test]
async fn logout_revokes_the_session_and_removes_the_cookie() {
    let app = TestApp::start().await;
    let mut visitor = app.customer(ANN).await;
    let token = visitor.token();
    let response = visitor.post("/logout", &[]).await;
    assert_eq!(response.redirect(), (303, "/login"));
    assert_eq!(response.header("clear-site-data"), Some("\"cache\""));
    let (value, attributes) = response.session_cookie().unwrap();
    assert_eq!(value, "");
    assert!(
        ["HttpOnly", "Max-Age=0", "Path=/", "SameSite=Strict", "Secure"]
            .iter()
            .all(|one| attributes.iter().any(|sent| sent == one)),
        "{attributes:?}"
    );
    assert_eq!(visitor.get("/orders").await.redirect(), (303, "/login?next=%2Forders"));
    let revoked = app.get_with_token("/orders", &token).await;
    assert_eq!(revoked.redirect(), (303, "/login?next=%2Forders"), "the revoked token is valid");
}

#[tokio::test]
async fn logout_revokes_only_its_session() {
    let app = TestApp::start().await;
    let mut first = app.customer(ANN).await;
    let mut second = app.new_session(ANN, PASSWORD).await;
    first.post("/logout", &[]).await;
    assert!(second.get("/orders").await.is_page(200));
}

#[tokio::test]
async fn anonymous_logout_redirects_to_login() {
    let app = TestApp::start().await;
    assert_eq!(app.visitor().post("/logout", &[]).await.redirect(), (303, "/login"));
    assert_eq!(app.get("/logout").await.status, 405);
}

#[tokio::test]
async fn notice_is_shown_once_after_a_redirect() {
    let app = TestApp::start().await;
    let mut visitor = app.customer(ANN).await;
    visitor.post("/logout", &[]).await;
    let first = visitor.get("/login").await.text();
    let second = visitor.get("/login").await.text();
    assert!(first.contains("role=\"status\"") && !second.contains("role=\"status\""));
}

#[tokio::test]
async fn login_upgrades_a_hash_with_older_parameters() {
    let app = TestApp::start().await;
    app.customer(ANN).await;
    let weak = Argon2::new(Algorithm::Argon2id, Version::V0x13, Params::new(4096, 1, 1, None).unwrap());
    let hash = weak.hash_password(PASSWORD.as_bytes()).unwrap().to_string();
    let database = app.database().await;
    let update = sqlx::query("UPDATE users SET password_hash = $1 WHERE email = 'ann@example.com'");
    update.bind(hash).execute(&database).await.unwrap();
    assert_eq!(app.log_in(ANN, PASSWORD).await.status, 303);
    let query = "SELECT password_hash FROM users WHERE email = 'ann@example.com'";
    let renewed: String = sqlx::query_scalar(query).fetch_one(&database).await.unwrap();
    assert!(renewed.starts_with("$argon2id$v=19$m=19456,t=2,p=1$"), "{renewed}");
    assert_eq!(app.log_in(ANN, PASSWORD).await.status, 303);
}

#[tokio::test]
async fn empty_login_field_is_named_and_does_not_count() {
    let app = TestApp::start().await;
    app.customer(ANN).await;
    for _ in 0..12 {
        for (email, password, errors) in [
            ("", PASSWORD, &["id=\"email-error\">Enter your email address."][..]),
            (ANN, "", &["id=\"password-error\">Enter your password."]),
            (" ", "", &["id=\"email-error\">Enter your email address.", "id=\"password-error\">Enter your password."]),
        ] {
            let response = app.log_in(email, password).await;
            assert!(response.is_page(401), "{email:?}: {}", response.status);
            let page = response.text();
            assert_eq!(page.matches("class=\"error\"").count(), errors.len(), "{page}");
            assert!(
                errors.iter().all(|error| page.contains(error)) && page.matches("autofocus").count() == 1,
                "{page}"
            );
            assert!(!page.contains("is incorrect"), "{page}");
        }
    }
    assert_eq!(app.log_in(ANN, PASSWORD).await.status, 303);
}
