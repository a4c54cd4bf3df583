//! Login and logout.

use std::time::{Duration, Instant};

use argon2::password_hash::PasswordHasher;
use argon2::{Algorithm, Argon2, Params, Version};

use crate::app::{PASSWORD, TestApp};
use crate::http::Answer;

async fn log_in(app: &TestApp, email: &str, password: &str) -> Answer {
    app.visitor().post("/login", &[("email", email), ("password", password)]).await
}

#[tokio::test]
async fn login_redirects_to_the_orders() {
    let app = TestApp::start().await;
    app.customer("ann@example.com").await;
    let mut visitor = app.visitor();
    assert!(visitor.get("/login").await.is_page(200));
    let answer = visitor.post("/login", &[("email", "ann@example.com"), ("password", PASSWORD)]).await;
    assert_eq!(answer.leads_to(), (303, "/orders"));
    assert_eq!(answer.session_cookie().unwrap().1, ["HttpOnly", "Path=/", "SameSite=Strict", "Secure"]);
    assert!(visitor.get("/orders").await.is_page(200));
}

#[tokio::test]
async fn unknown_address_looks_like_a_wrong_password() {
    let app = TestApp::start().await;
    app.customer("ann@example.com").await;
    let wrong = log_in(&app, "ann@example.com", "not the password at all").await;
    let unknown = log_in(&app, "bob@example.com", "not the password at all").await;
    assert!(wrong.is_page(401) && unknown.is_page(401));
    assert_eq!(wrong.text().replace("ann@", "bob@"), unknown.text());
    assert!(!wrong.text().contains("not the password at all"));
    assert!(wrong.text().contains("value=\"ann@example.com\""));
    assert!(wrong.session_cookie().is_none());
    let names = |answer: &Answer| answer.headers.iter().map(|(name, _)| name.clone()).collect::<Vec<_>>();
    assert_eq!(names(&wrong), names(&unknown));
}

#[tokio::test]
async fn unknown_address_takes_as_long_as_a_wrong_password() {
    let app = TestApp::start().await;
    app.customer("ann@example.com").await;
    let mut quickest = [Duration::MAX; 3];
    for _ in 0..8 {
        for (index, email) in ["ann@example.com", "bob@example.com", "no address"].into_iter().enumerate() {
            let began = Instant::now();
            log_in(&app, email, "not the password at all").await;
            quickest[index] = quickest[index].min(began.elapsed());
        }
    }
    let [wrong, unknown, malformed] = quickest;
    assert!(unknown > wrong / 2 && wrong > unknown / 2, "wrong {wrong:?}, unknown {unknown:?}");
    assert!(malformed > wrong / 2, "wrong {wrong:?}, malformed {malformed:?}");
}

#[tokio::test]
async fn login_redirects_to_next() {
    let app = TestApp::start().await;
    app.customer("ann@example.com").await;
    let mut visitor = app.visitor();
    let (status, login) = visitor.get("/orders/10248?x=1&y=a%20b").await.leads_to().to_owned_pair();
    assert_eq!((status, login.as_str()), (303, "/login?next=%2Forders%2F10248%3Fx%3D1%26y%3Da%2520b"));
    let form = visitor.get(&login).await;
    assert!(form.text().contains("name=\"next\" value=\"/orders/10248?x=1&#38;y=a%20b\""), "{}", form.text());
    let next = ("next", "/orders/10248?x=1&y=a%20b");
    let failed = visitor.post("/login", &[("email", "ann@example.com"), ("password", "wrong"), next]).await;
    assert!(failed.is_page(401));
    assert!(failed.text().contains("name=\"next\" value=\"/orders/10248?x=1&#38;y=a%20b\""), "next is missing");
    let done = visitor.post("/login", &[("email", "ann@example.com"), ("password", PASSWORD), next]).await;
    assert_eq!(done.leads_to(), (303, "/orders/10248?x=1&y=a%20b"));
}

trait ToOwnedPair {
    fn to_owned_pair(self) -> (u16, String);
}

impl ToOwnedPair for (u16, &str) {
    fn to_owned_pair(self) -> (u16, String) {
        (self.0, self.1.to_owned())
    }
}

#[tokio::test]
async fn next_redirects_only_within_this_site() {
    let app = TestApp::start().await;
    app.customer("ann@example.com").await;
    let elsewhere = [
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
    for next in elsewhere {
        let fields = [("email", "ann@example.com"), ("password", PASSWORD), ("next", next)];
        assert_eq!(app.visitor().post("/login", &fields).await.leads_to(), (303, "/orders"), "{next:?}");
        let request = app.request(reqwest::Method::GET, "/login").query(&[("next", next)]);
        let form = crate::http::send(request).await;
        assert!(form.is_page(200) && !form.text().contains("evil.example"), "{next:?}");
    }
}

#[tokio::test]
async fn login_pages_redirect_logged_in_users_to_the_orders() {
    let app = TestApp::start().await;
    let mut visitor = app.customer("ann@example.com").await;
    for path in ["/", "/login", "/signup"] {
        assert_eq!(visitor.get(path).await.leads_to(), (303, "/orders"), "GET {path}");
    }
    for path in ["/login", "/signup"] {
        let answer = visitor.post(path, &[("email", "bob@example.com"), ("password", PASSWORD)]).await;
        assert_eq!(answer.leads_to(), (303, "/orders"), "POST {path}");
    }
    assert_eq!(log_in(&app, "bob@example.com", PASSWORD).await.status, 401, "no account was made");
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
    let mut visitor = app.customer("ann@example.com").await;
    let token = visitor.token();
    let answer = visitor.post("/logout", &[]).await;
    assert_eq!(answer.leads_to(), (303, "/login"));
    assert_eq!(answer.header("clear-site-data"), Some("\"cache\""));
    let (value, attributes) = answer.session_cookie().unwrap();
    assert_eq!(value, "");
    assert!(
        ["HttpOnly", "Max-Age=0", "Path=/", "SameSite=Strict", "Secure"]
            .iter()
            .all(|one| attributes.iter().any(|sent| sent == one)),
        "{attributes:?}"
    );
    assert_eq!(visitor.get("/orders").await.leads_to(), (303, "/login?next=%2Forders"));
    let kept = app.get_with_cookie("/orders", &format!("__Host-session={token}")).await;
    assert_eq!(kept.leads_to(), (303, "/login?next=%2Forders"), "a copy of the cookie is valid");
}

#[tokio::test]
async fn logout_revokes_only_its_session() {
    let app = TestApp::start().await;
    let mut at_home = app.customer("ann@example.com").await;
    let mut at_work = app.visitor();
    at_work.post("/login", &[("email", "ann@example.com"), ("password", PASSWORD)]).await;
    at_home.post("/logout", &[]).await;
    assert!(at_work.get("/orders").await.is_page(200));
}

#[tokio::test]
async fn anonymous_logout_redirects_to_login() {
    let app = TestApp::start().await;
    assert_eq!(app.visitor().post("/logout", &[]).await.leads_to(), (303, "/login"));
    assert_eq!(app.get("/logout").await.status, 405);
}

#[tokio::test]
async fn notice_is_shown_once_after_a_redirect() {
    let app = TestApp::start().await;
    let mut visitor = app.customer("ann@example.com").await;
    visitor.post("/logout", &[]).await;
    let first = visitor.get("/login").await.text();
    let second = visitor.get("/login").await.text();
    assert!(first.contains("role=\"status\"") && !second.contains("role=\"status\""));
}

#[tokio::test]
async fn login_upgrades_a_hash_with_older_parameters() {
    let app = TestApp::start().await;
    app.customer("ann@example.com").await;
    let weak = Argon2::new(Algorithm::Argon2id, Version::V0x13, Params::new(4096, 1, 1, None).unwrap());
    let hash = weak.hash_password(PASSWORD.as_bytes()).unwrap().to_string();
    let database = app.database().await;
    let update = sqlx::query("UPDATE users SET password_hash = $1 WHERE email = 'ann@example.com'");
    update.bind(hash).execute(&database).await.unwrap();
    assert_eq!(log_in(&app, "ann@example.com", PASSWORD).await.status, 303);
    let query = "SELECT password_hash FROM users WHERE email = 'ann@example.com'";
    let renewed: String = sqlx::query_scalar(query).fetch_one(&database).await.unwrap();
    assert!(renewed.starts_with("$argon2id$v=19$m=19456,t=2,p=1$"), "{renewed}");
    assert_eq!(log_in(&app, "ann@example.com", PASSWORD).await.status, 303);
}
