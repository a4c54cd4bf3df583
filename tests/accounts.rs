//! Sign-up.

use crate::app::{ANN, PASSWORD, TestApp};
use crate::http::Response;
use crate::token::Token;

async fn sign_up(app: &TestApp, email: &str, password: &str) -> Response {
    app.visitor().post("/signup", &[("email", email), ("password", password)]).await
}

#[tokio::test]
async fn sign_up_creates_the_account_and_logs_in() {
    let app = TestApp::start().await;
    let mut visitor = app.visitor();
    let form = visitor.get("/signup").await;
    assert!(form.is_page(200));
    assert_eq!(visitor.post("/signup", &[("email", ANN), ("password", PASSWORD)]).await.redirect(), (303, "/orders"));
    let orders = visitor.get("/orders").await;
    assert!(orders.is_page(200));
    assert!(orders.text().contains(ANN));
}

#[tokio::test]
async fn session_cookie_has_the_documented_attributes() {
    let app = TestApp::start().await;
    let (token, attributes) = sign_up(&app, ANN, PASSWORD).await.session_cookie().unwrap();
    assert_eq!(attributes, ["HttpOnly", "Path=/", "SameSite=Strict", "Secure"]);
    let token = Token::read(&token);
    let mut claims: Vec<&str> = token.claims.keys().map(String::as_str).collect();
    claims.sort_unstable();
    assert_eq!(claims, ["aud", "exp", "iat", "iss", "nbf", "sid", "sub"], "the token contains other data");
    assert_eq!((&token.header["alg"], &token.header["typ"]), (&"HS256".into(), &"JWT".into()));
    assert!(token.header["kid"].is_string());
    assert_eq!(token.claims["aud"], "web");
    assert_eq!(token.time("exp") - token.time("iat"), 1800);
    assert_eq!(token.time("nbf"), token.time("iat"));
}

#[tokio::test]
async fn rejected_form_keeps_its_fields_except_the_password() {
    let app = TestApp::start().await;
    for (email, password) in [("ann@", PASSWORD), (ANN, "sh0rt!q"), ("", ""), (ANN, "qwertyuiop")] {
        let response = sign_up(&app, email, password).await;
        assert!(response.is_page(422), "{email} {password}: {}", response.status);
        let page = response.text();
        assert!(page.contains(&format!("value=\"{email}\"")), "{email} is lost");
        assert!(password.is_empty() || !page.contains(password), "the page contains the password");
        assert!(page.contains("aria-invalid=\"true\""), "no field is marked as invalid");
        assert!(response.session_cookie().is_none());
    }
}

#[tokio::test]
async fn first_invalid_field_has_the_focus() {
    let app = TestApp::start().await;
    let focused = |page: String| {
        let before = page.split("autofocus").next().unwrap().to_owned();
        assert_eq!(page.matches("autofocus").count(), 1);
        before.rsplit("<input id=\"").next().unwrap().split('"').next().unwrap().to_owned()
    };
    assert_eq!(focused(sign_up(&app, "ann@", "short").await.text()), "email");
    assert_eq!(focused(sign_up(&app, ANN, "short").await.text()), "password");
}

#[tokio::test]
async fn form_input_is_escaped() {
    let app = TestApp::start().await;
    for (typed, shown) in [
        ("\"><script>alert(1)</script>", "&#34;&#62;&#60;script&#62;alert(1)&#60;/script&#62;"),
        ("' onfocus='alert(1)", "&#39; onfocus=&#39;alert(1)"),
        ("{{ 7 * 7 }}", "{{ 7 * 7 }}"),
    ] {
        let page = sign_up(&app, typed, PASSWORD).await.text();
        assert!(page.contains(&format!("value=\"{shown}\"")), "{typed} is not shown as text:\n{page}");
        assert_eq!(page.contains(typed), typed == shown, "{typed} is markup:\n{page}");
    }
}

#[tokio::test]
async fn password_has_8_to_256_characters_of_any_kind() {
    let app = TestApp::start().await;
    let of = |length: usize| "qZ7~vö漢🦆 kX".chars().cycle().take(length).collect::<String>();
    for (email, length, status) in
        [("a@example.com", 7, 422), ("b@example.com", 8, 303), ("c@example.com", 256, 303), ("d@example.com", 257, 422)]
    {
        assert_eq!(sign_up(&app, email, &of(length)).await.status, status, "{length} characters");
    }
}

#[tokio::test]
async fn guessable_password_is_rejected_with_the_reason() {
    let app = TestApp::start().await;
    let common = ["password", "12345678", "qwertyuiop", "aaaaaaaaaa", "1g2w3e4r", "Zag12wsx", "homelesspa"];
    let derived = ["lonesome-traveller@example.com", "traveller2026!", "orderportal1", "2026.Lonesome", "Portal-99999"];
    for password in common.into_iter().chain(derived) {
        let response = sign_up(&app, "lonesome-traveller@example.com", password).await;
        assert_eq!(response.status, 422, "{password}");
        assert!(response.text().contains("id=\"password-error\""));
    }
}

#[tokio::test]
async fn address_and_password_are_normalized_at_login() {
    let app = TestApp::start().await;
    assert_eq!(sign_up(&app, " Ann@Example.COM ", "une fo\u{ea}t calme et vert").await.status, 303);
    assert_eq!(sign_up(&app, ANN, PASSWORD).await.status, 422);
    // The same password, decomposed.
    let fields = [("email", "ANN@example.com"), ("password", "une foe\u{302}t calme et vert")];
    assert_eq!(app.visitor().post("/login", &fields).await.status, 303);
}

#[tokio::test]
async fn sign_up_with_a_taken_address_keeps_its_password() {
    let app = TestApp::start().await;
    app.customer(ANN).await;
    let second = sign_up(&app, ANN, "another password altogether").await;
    assert!(second.is_page(422));
    assert!(second.session_cookie().is_none());
    assert_eq!(app.log_in(ANN, PASSWORD).await.status, 303);
}

#[tokio::test]
async fn concurrent_sign_ups_with_one_address_succeed_once() {
    let app = TestApp::start().await;
    let attempts = (0..6).map(|_| sign_up(&app, ANN, PASSWORD));
    let responses = futures_util::future::join_all(attempts).await;
    let mut statuses: Vec<u16> = responses.iter().map(|response| response.status).collect();
    statuses.sort_unstable();
    assert_eq!(statuses, [303, 422, 422, 422, 422, 422]);
}

#[tokio::test]
async fn malformed_form_is_rejected_with_a_page() {
    let app = TestApp::start().await;
    let send = |path: &str, body: &'static str| {
        let request = app.request(reqwest::Method::POST, path);
        crate::http::send(request.header("content-type", "application/x-www-form-urlencoded").body(body))
    };
    for body in [
        "",
        "email",
        "email=a%40example.com",
        "password=x",
        "email=a&email=b&password=c&password=d",
        "&&&=&=",
        "%",
        "email[]=a&password[x]=b",
    ] {
        for path in ["/signup", "/login"] {
            let response = send(path, body).await;
            assert!(response.is_page(400), "{path} {body}: {}", response.status);
        }
    }
    // Both fields with invalid values.
    assert!(send("/signup", "email=%ff%fe&password=%00").await.is_page(422));
    assert!(send("/login", "email=%ff%fe&password=%00").await.is_page(401));
    for address in ["a\0b@example.com", "a@example.com\r\nbcc: b@example.com", "💥@example.com@", &"a".repeat(5000)] {
        assert!(sign_up(&app, address, PASSWORD).await.is_page(422), "{address:?}");
    }
    assert_eq!(sign_up(&app, "nul@example.com", "seven\0calm herons on one leg").await.redirect(), (303, "/orders"));
    let with_nul = [("email", "nul@example.com"), ("password", "seven\0calm herons on one leg")];
    assert_eq!(app.visitor().post("/login", &with_nul).await.status, 303);
    let up_to_nul = [("email", "nul@example.com"), ("password", "seven")];
    assert_eq!(app.visitor().post("/login", &up_to_nul).await.status, 401, "the password was cut at NUL");
}

#[tokio::test]
async fn passwords_are_stored_as_argon2id_with_documented_parameters() {
    let app = TestApp::start().await;
    app.customer(ANN).await;
    let query = "SELECT password_hash FROM users WHERE email = 'ann@example.com'";
    let hash: String = sqlx::query_scalar(query).fetch_one(&app.database().await).await.unwrap();
    assert!(hash.starts_with("$argon2id$v=19$m=19456,t=2,p=1$"), "{hash}");
}

#[tokio::test]
async fn acknowledged_sign_up_survives_a_kill() {
    let mut app = TestApp::start().await;
    let mut visitor = app.customer(ANN).await;
    app.stop_with("KILL");
    app.restart().await;
    assert!(visitor.get("/orders").await.is_page(200));
    assert_eq!(app.log_in(ANN, PASSWORD).await.status, 303);
}

#[tokio::test]
async fn strength_meter_answers_while_another_client_floods_it() {
    let app = TestApp::start_with(&[("TRUSTED_PROXIES", "127.0.0.1")]).await;
    let rate = async |address: &str, password: &str| {
        let request = app.request(reqwest::Method::POST, "/password/strength").header("x-forwarded-for", address);
        crate::http::send(request.form(&[("email", ANN), ("password", password)])).await
    };
    // The estimate of this password is slow.
    let hard = format!("4@8({{[<369!10$5{}", "ab".repeat(28));
    let (done, stop) = (std::cell::Cell::new(0), std::cell::Cell::new(false));
    let flood = async || {
        while !stop.get() {
            let status = rate("203.0.113.9", &hard).await.status;
            assert!(matches!(status, 200 | 503), "{status}");
            done.set(done.get() + 1);
        }
    };
    let customer = async || {
        for number in 0..20 {
            let response = rate("198.51.100.7", &format!("seven calm herons {number}")).await;
            assert_eq!(response.status, 200, "the meter is blocked: {}", response.text());
        }
        stop.set(true);
    };
    tokio::join!(flood(), flood(), flood(), flood(), customer());
    assert!(done.get() > 4, "the other client sent only {} requests", done.get());
}
