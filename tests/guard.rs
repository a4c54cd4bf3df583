//! The guard rejects invalid tokens: pages redirect to the login, the API answers 401 or 403.

use jsonwebtoken::Algorithm;
use reqwest::Method;
use serde_json::{Value, json};

use crate::app::{ANN, BOB, PASSWORD, TestApp};
use crate::http::{self, Response};
use crate::token::{Token, now, to_base64};

const GUARDED: [&str; 2] = ["/orders", "/orders/10248"];

/// A running server and a valid token of each audience, for the same customer.
struct ValidTokens {
    app: TestApp,
    web: Token,
    api: Token,
}

impl ValidTokens {
    async fn new() -> Self {
        let app = TestApp::start().await;
        let web = Token::read(&app.customer(ANN).await.token());
        let api = Token::read(&app.api_token(ANN).await);
        let tokens = Self { app, web, api };
        assert!(tokens.page(&tokens.web.signed()).await.is_page(200), "a valid token is rejected");
        assert_eq!(tokens.orders(&tokens.api.signed()).await.status, 200, "a valid bearer token is rejected");
        tokens
    }

    async fn page(&self, token: &str) -> Response {
        self.app.get_with_token("/orders", token).await
    }

    async fn orders(&self, token: &str) -> Response {
        self.app.api_get("/api/userOrders", token).await
    }

    /// Asserts that pages and API reject a valid token after `alter`.
    async fn assert_rejected(&self, case: &str, alter: impl Fn(&Token) -> String) {
        self.assert_page_rejects(case, &alter(&self.web)).await;
        self.assert_api_rejects(case, &alter(&self.api)).await;
    }

    async fn assert_page_rejects(&self, case: &str, token: &str) {
        let response = self.page(token).await;
        assert_eq!(response.redirect(), (303, "/login?next=%2Forders"), "the page, {case}");
    }

    async fn assert_api_rejects(&self, case: &str, token: &str) {
        let response = self.orders(token).await;
        // A scheme without a token counts as no token (RFC 6750 section 3.1).
        let (status, has_error) = if token.is_empty() { (401, false) } else { (403, true) };
        assert!(response.is_problem(status), "the API, {case}: {} {}", response.status, response.text());
        let challenge = response.header("www-authenticate").unwrap();
        assert!(challenge.starts_with("Bearer"), "{case}: {challenge}");
        assert_eq!(challenge.contains("error=\"invalid_token\""), has_error, "{case}: {challenge}");
    }
}

#[tokio::test]
async fn guard_redirects_anonymous_to_login_and_back() {
    let app = TestApp::start().await;
    for path in GUARDED {
        for method in [Method::GET, Method::HEAD] {
            let response = http::send(app.request(method.clone(), path)).await;
            let login = format!("/login?next={}", path.replace('/', "%2F"));
            assert_eq!(response.redirect(), (303, login.as_str()), "{method} {path}");
            assert_eq!(response.header("cache-control"), Some("no-store"));
            assert!(
                response.header_values("set-cookie").is_empty(),
                "a notice without a former session: {method} {path}"
            );
        }
    }
    let response = app.get("/api/userOrders").await;
    assert!(response.is_problem(401));
    let challenge = response.header("www-authenticate").unwrap();
    assert!(challenge.starts_with("Bearer") && !challenge.contains("error="), "RFC 6750 section 3.1: {challenge}");
}

#[tokio::test]
async fn guard_rejects_malformed_tokens() {
    let tokens = ValidTokens::new().await;
    let good = tokens.web.signed();
    let parts: Vec<&str> = good.split('.').collect();
    let garbage = [
        String::new(),
        "x".into(),
        ".".into(),
        "..".into(),
        "...".into(),
        "a.b.c".into(),
        "null".into(),
        "undefined".into(),
        "{}".into(),
        "'--".into(),
        "%00".into(),
        "🦆".into(),
        format!("{good}."),
        format!(".{good}"),
        format!("{good}a"),
        format!("{}.{}", parts[0], parts[1]),
        format!("{}.{}.", parts[0], parts[1]),
        format!("{}..{}", parts[0], parts[2]),
        format!(".{}.{}", parts[1], parts[2]),
        format!("{}={}", parts[0], parts[1]),
        good.to_uppercase(),
        format!("\"{good}\"x"),
        format!("{}=.{}.{}", parts[0], parts[1], parts[2]),
        "a.".repeat(300),
    ];
    for token in garbage {
        tokens.assert_rejected(&format!("garbage {token:?}"), |_| token.clone()).await;
    }
}

#[tokio::test]
async fn guard_rejects_wrong_signature() {
    let tokens = ValidTokens::new().await;
    tokens
        .assert_rejected("another secret", |token| {
            token.signed_by(b"a secret that the server does not have", Algorithm::HS256)
        })
        .await;
    tokens.assert_rejected("an empty secret", |token| token.signed_by(b"", Algorithm::HS256)).await;
    tokens
        .assert_rejected("the signature of other claims", |token| {
            let other = token.with("exp", now() + 100_000);
            format!("{}.{}", other.unsigned(), token.signed().rsplit('.').next().unwrap())
        })
        .await;
    tokens
        .assert_rejected("a shortened signature", |token| token.signed()[..token.signed().len() - 2].to_owned())
        .await;
    tokens
        .assert_rejected("a signature of zeros", |token| format!("{}.{}", token.unsigned(), to_base64(&[0; 32])))
        .await;
    tokens.assert_rejected("another key id", |token| token.with_header("kid", "0123456789abcdef").signed()).await;
    tokens
        .assert_rejected("a key id that is a path", |token| {
            token.with_header("kid", "../../../../dev/null").signed_by(b"", Algorithm::HS256)
        })
        .await;
    tokens
        .assert_rejected("a key id that is no text", |token| token.with_header("kid", json!({ "a": 1 })).signed())
        .await;
}

#[tokio::test]
async fn guard_rejects_unsigned_token_with_any_spelling_of_none() {
    let tokens = ValidTokens::new().await;
    for bits in 0..16 {
        let raised = |(position, letter): (usize, char)| {
            if bits >> position & 1 == 1 { letter.to_ascii_uppercase() } else { letter }
        };
        let none: String = "none".chars().enumerate().map(raised).collect();
        tokens.assert_rejected(&none, |token| format!("{}.", token.with_header("alg", none.as_str()).unsigned())).await;
        tokens.assert_rejected(&none, |token| token.with_header("alg", none.as_str()).signed()).await;
    }
    for alg in [json!(""), json!(null), json!("null"), json!(0), json!(["HS256"]), json!("none "), json!("hs256")] {
        tokens
            .assert_rejected(&alg.to_string(), |token| format!("{}.", token.with_header("alg", alg.clone()).unsigned()))
            .await;
        tokens.assert_rejected(&alg.to_string(), |token| token.with_header("alg", alg.clone()).signed()).await;
    }
    tokens.assert_rejected("no alg", |token| token.without_header("alg").signed()).await;
}

#[tokio::test]
async fn guard_rejects_other_algorithms_with_the_right_secret() {
    let tokens = ValidTokens::new().await;
    let secret = crate::sandbox::SECRET.as_bytes();
    for (name, algorithm) in [("HS384", Algorithm::HS384), ("HS512", Algorithm::HS512)] {
        tokens.assert_rejected(name, |token| token.with_header("alg", name).signed_by(secret, algorithm)).await;
        tokens.assert_rejected("HS256 in the header alone", |token| token.signed_by(secret, algorithm)).await;
    }
    for name in ["HS384", "HS512", "RS256", "RS512", "PS256", "ES256", "EdDSA", "dir"] {
        tokens.assert_rejected(name, |token| token.with_header("alg", name).signed()).await;
    }
}

#[tokio::test]
async fn guard_rejects_unexpected_headers() {
    let tokens = ValidTokens::new().await;
    tokens.assert_rejected("no key id", |token| token.without_header("kid").signed()).await;
    tokens
        .assert_rejected("critical extensions that are null", |token| token.with_header("crit", Value::Null).signed())
        .await;
    tokens
        .assert_rejected("an unknown critical extension", |token| token.with_header("crit", json!(["exp"])).signed())
        .await;
    let jwk = json!({ "kty": "oct", "k": to_base64(b"the key in the header of the token") });
    tokens
        .assert_rejected("a key in the header", |token| {
            token.with_header("jwk", jwk.clone()).signed_by(b"the key in the header of the token", Algorithm::HS256)
        })
        .await;
    tokens
        .assert_rejected("a header that is a list", |token| {
            let claims = token.unsigned().split('.').nth(1).unwrap().to_owned();
            format!("{}.{claims}.{}", to_base64(b"[]"), to_base64(&[1; 32]))
        })
        .await;
}

#[tokio::test]
async fn guard_rejects_missing_claims() {
    let tokens = ValidTokens::new().await;
    for claim in ["iss", "aud", "exp", "nbf", "sid", "sub"] {
        tokens.assert_rejected(&format!("no {claim}"), |token| token.without(claim).signed()).await;
    }
    tokens
        .assert_rejected("no claims", |token| Token { claims: serde_json::Map::new(), ..token.clone() }.signed())
        .await;
}

#[tokio::test]
async fn guard_rejects_wrong_claims() {
    let tokens = ValidTokens::new().await;
    let wrong: [(&str, Vec<Value>); 6] = [
        ("iss", vec![json!("https://evil.example"), json!(""), json!(null), json!(1), json!("http://localhost")]),
        ("aud", vec![json!("admin"), json!(""), json!(null), json!(7), json!([]), json!("WEB"), json!("API")]),
        ("exp", vec![json!(0), json!(-1), json!(null), json!("never"), json!([]), json!(-1.0e300)]),
        ("nbf", vec![json!(null), json!("now"), json!(i64::MAX), json!(u64::MAX), json!(1.0e300)]),
        (
            "sid",
            vec![
                json!("nobody"),
                json!(""),
                json!(null),
                json!(1),
                json!("' OR 1=1 --"),
                json!("00000000-0000-7000-8000-000000000000"),
                json!("a\0b"),
            ],
        ),
        ("sub", vec![json!("nobody"), json!(""), json!(null), json!(1), json!("a\0b")]),
    ];
    for (claim, values) in wrong {
        for value in values {
            tokens
                .assert_rejected(&format!("{claim} {value}"), |token| token.with(claim, value.clone()).signed())
                .await;
        }
    }
}

#[tokio::test]
async fn guard_checks_nbf_and_exp_without_leeway() {
    let tokens = ValidTokens::new().await;
    tokens.assert_rejected("expired by one second", |token| token.with("exp", now() - 1).signed()).await;
    tokens.assert_rejected("expired this second", |token| token.with("exp", now()).signed()).await;
    tokens.assert_rejected("not yet valid", |token| token.with("nbf", now() + 5).signed()).await;
    tokens.assert_rejected("expired long ago", |token| token.with("exp", 1_000_000_000).signed()).await;
}

#[tokio::test]
async fn guard_rejects_the_other_audience() {
    let tokens = ValidTokens::new().await;
    tokens.assert_page_rejects("an API token in the cookie", &tokens.api.signed()).await;
    tokens.assert_api_rejects("a web token as bearer", &tokens.web.signed()).await;
    tokens.assert_page_rejects("an API session relabelled", &tokens.api.with("aud", "web").signed()).await;
    tokens.assert_api_rejects("a web session relabelled", &tokens.web.with("aud", "api").signed()).await;
}

#[tokio::test]
async fn guard_rejects_the_session_of_another_user() {
    let tokens = ValidTokens::new().await;
    let other = Token::read(&tokens.app.customer(BOB).await.token());
    let mixed = tokens.web.with("sub", other.claims["sub"].clone());
    tokens.assert_page_rejects("another customer's user id", &mixed.signed()).await;
}

#[tokio::test]
async fn revoked_session_is_rejected_at_the_next_request() {
    let tokens = ValidTokens::new().await;
    let mut visitor = tokens.app.visitor();
    visitor.set_session_token(&tokens.web.signed());
    visitor.post("/logout", &[]).await;
    tokens.assert_page_rejects("revoked", &tokens.web.signed()).await;
    let logout = http::send(tokens.app.request(Method::POST, "/api/logout").bearer_auth(tokens.api.signed())).await;
    assert_eq!(logout.status, 204);
    tokens.assert_api_rejects("revoked", &tokens.api.signed()).await;
}

#[tokio::test]
async fn disabled_user_is_rejected_at_the_next_request() {
    let tokens = ValidTokens::new().await;
    tokens.app.run_ok(&["user", "disable", ANN]);
    tokens.assert_rejected("disabled", Token::signed).await;
    assert_eq!(tokens.app.log_in(ANN, PASSWORD).await.status, 401);
    tokens.app.run_ok(&["user", "enable", ANN]);
    tokens.assert_rejected("enabled again after its sessions were revoked", Token::signed).await;
    assert_eq!(tokens.app.log_in(ANN, PASSWORD).await.redirect(), (303, "/orders"));
}

#[tokio::test]
async fn deleted_user_is_rejected() {
    let tokens = ValidTokens::new().await;
    tokens.app.execute("DELETE FROM users WHERE email = 'ann@example.com'").await;
    tokens.assert_rejected("deleted", Token::signed).await;
}

#[tokio::test]
async fn guard_rejects_a_token_of_64_kib() {
    let tokens = ValidTokens::new().await;
    let long = "x".repeat(64 * 1024);
    tokens.assert_page_rejects("64 KiB of one letter", &long).await;
    tokens.assert_api_rejects("64 KiB of one letter", &long).await;
    let padded = |token: &Token| token.with("padding", "x".repeat(48 * 1024)).signed();
    tokens.assert_rejected("64 KiB with a good signature", padded).await;
}

#[tokio::test]
async fn bearer_token_requires_one_header_with_its_scheme() {
    let tokens = ValidTokens::new().await;
    let good = tokens.api.signed();
    let with = |value: String| tokens.app.request(Method::GET, "/api/userOrders").header("authorization", value);
    for (value, status) in [
        (format!("Basic {good}"), 401),
        (good.clone(), 401),
        (format!("Bearer{good}"), 401),
        ("Bearer".to_owned(), 401),
        ("Bearer ".to_owned(), 401),
        (format!("Bearer {good} {good}"), 403),
        (format!("Bearer {good}, Bearer {good}"), 403),
    ] {
        let response = http::send(with(value.clone())).await;
        assert!(response.is_problem(status), "{}: {}", &value[..value.len().min(12)], response.status);
    }
    for (first, second) in [(good.as_str(), "x"), ("x", &good), (&good, &good)] {
        let twice =
            http::send(with(format!("Bearer {first}")).header("authorization", format!("Bearer {second}"))).await;
        assert!(twice.is_problem(403), "two headers: {}", twice.status);
    }
    let lower = http::send(with(format!("bearer {good}"))).await;
    assert_eq!(lower.status, 200, "the scheme is case-insensitive (RFC 9110 section 11.1)");
}

#[tokio::test]
async fn link_from_another_site_gets_a_page_that_reloads_itself() {
    let tokens = ValidTokens::new().await;
    let from_other_site = |method| {
        let request = tokens.app.request(method, "/orders?after=x%22y");
        request.header("sec-fetch-site", "cross-site").header("sec-fetch-mode", "navigate")
    };
    let reload = http::send(from_other_site(Method::GET)).await;
    assert_eq!(reload.status, 200);
    assert_eq!(reload.header("cache-control"), Some("no-store"));
    assert!(
        reload.text().contains("http-equiv=\"refresh\" content=\"0; url=/orders?after=x%22y\""),
        "{}",
        reload.text()
    );
    let with_cookie = http::send(from_other_site(Method::GET).header("cookie", "__Host-session=bad")).await;
    assert_eq!(with_cookie.status, 303, "an invalid cookie causes a redirect loop");
    let same_site = tokens
        .app
        .request(Method::GET, "/orders")
        .header("sec-fetch-site", "same-origin")
        .header("sec-fetch-mode", "navigate");
    assert_eq!(http::send(same_site).await.status, 303);
    let image = tokens
        .app
        .request(Method::GET, "/orders")
        .header("sec-fetch-site", "cross-site")
        .header("sec-fetch-mode", "no-cors");
    assert_eq!(http::send(image).await.status, 303);
}

#[tokio::test]
async fn form_of_an_anonymous_request_leads_back_after_the_login() {
    let app = TestApp::start().await;
    let mut stranger = app.visitor();
    for path in
        ["/orders/1/cancel", "/orders/1/cancel/undo", "/orders/1/again", "/account/email", "/account/session/extend"]
    {
        let location = format!("/login?next={}", path.replace('/', "%2F"));
        assert_eq!(stranger.post(path, &[("key", "k1")]).await.redirect(), (303, location.as_str()), "{path}");
    }
}
