//! The guard rejects invalid tokens: pages redirect to the login, the API answers 401 or 403.

use jsonwebtoken::Algorithm;
use reqwest::Method;
use serde_json::{Value, json};

use crate::app::TestApp;
use crate::http::{self, Answer};
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
        let web = Token::read(&app.customer("ann@example.com").await.token());
        let api = Token::read(&app.api_token("ann@example.com").await);
        let tokens = Self { app, web, api };
        assert!(
            tokens.page(&tokens.web.signed()).await.is_page(200),
            "a good cookie, signed again by the tests, must pass"
        );
        assert_eq!(tokens.orders(&tokens.api.signed()).await.status, 200, "a valid bearer token is rejected");
        tokens
    }

    async fn page(&self, token: &str) -> Answer {
        self.app.get_with_cookie("/orders", &format!("__Host-session={token}")).await
    }

    async fn orders(&self, token: &str) -> Answer {
        self.app.api_get("/api/userOrders", token).await
    }

    /// Asserts that pages and API reject a valid token after `alter`.
    async fn refuses(&self, what: &str, alter: impl Fn(&Token) -> String) {
        self.page_refuses(what, &alter(&self.web)).await;
        self.api_refuses(what, &alter(&self.api)).await;
    }

    async fn page_refuses(&self, what: &str, token: &str) {
        let answer = self.page(token).await;
        assert_eq!(answer.leads_to(), (303, "/login?next=%2Forders"), "the page, {what}");
    }

    async fn api_refuses(&self, what: &str, token: &str) {
        let answer = self.orders(token).await;
        // A scheme without a token counts as no token (RFC 6750 section 3.1).
        let (status, has_error) = if token.is_empty() { (401, false) } else { (403, true) };
        assert!(answer.is_problem(status), "the API, {what}: {} {}", answer.status, answer.text());
        let challenge = answer.header("www-authenticate").unwrap();
        assert!(challenge.starts_with("Bearer"), "{what}: {challenge}");
        assert_eq!(challenge.contains("error=\"invalid_token\""), has_error, "{what}: {challenge}");
    }
}

#[tokio::test]
async fn guard_redirects_anonymous_to_login_and_back() {
    let app = TestApp::start().await;
    for path in GUARDED {
        for method in [Method::GET, Method::HEAD] {
            let answer = http::send(app.request(method.clone(), path)).await;
            let login = format!("/login?next={}", path.replace('/', "%2F"));
            assert_eq!(answer.leads_to(), (303, login.as_str()), "{method} {path}");
            assert_eq!(answer.header("cache-control"), Some("no-store"));
            assert!(answer.all("set-cookie").is_empty(), "a notice without a session: {method} {path}");
        }
    }
    let answer = app.get("/api/userOrders").await;
    assert!(answer.is_problem(401));
    assert!(answer.header("www-authenticate").unwrap().starts_with("Bearer"));
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
        tokens.refuses(&format!("garbage {token:?}"), |_| token.clone()).await;
    }
}

#[tokio::test]
async fn guard_rejects_wrong_signature() {
    let tokens = ValidTokens::new().await;
    tokens
        .refuses("another secret", |token| {
            token.signed_by(b"a secret that somebody else made up today", Algorithm::HS256)
        })
        .await;
    tokens.refuses("an empty secret", |token| token.signed_by(b"", Algorithm::HS256)).await;
    tokens
        .refuses("the signature of other claims", |token| {
            let other = token.with("exp", now() + 100_000);
            format!("{}.{}", other.unsigned(), token.signed().rsplit('.').next().unwrap())
        })
        .await;
    tokens.refuses("a shortened signature", |token| token.signed()[..token.signed().len() - 2].to_owned()).await;
    tokens.refuses("a signature of zeros", |token| format!("{}.{}", token.unsigned(), to_base64(&[0; 32]))).await;
    tokens.refuses("another key id", |token| token.with_header("kid", "0123456789abcdef").signed()).await;
    tokens
        .refuses("a key id that is a path", |token| {
            token.with_header("kid", "../../../../dev/null").signed_by(b"", Algorithm::HS256)
        })
        .await;
    tokens.refuses("a key id that is no text", |token| token.with_header("kid", json!({ "a": 1 })).signed()).await;
}

#[tokio::test]
async fn guard_rejects_unsigned_token_with_any_spelling_of_none() {
    let tokens = ValidTokens::new().await;
    for bits in 0..16 {
        let raised = |(place, letter): (usize, char)| {
            if bits >> place & 1 == 1 { letter.to_ascii_uppercase() } else { letter }
        };
        let none: String = "none".chars().enumerate().map(raised).collect();
        tokens.refuses(&none, |token| format!("{}.", token.with_header("alg", none.as_str()).unsigned())).await;
        tokens.refuses(&none, |token| token.with_header("alg", none.as_str()).signed()).await;
    }
    for alg in [json!(""), json!(null), json!("null"), json!(0), json!(["HS256"]), json!("none "), json!("hs256")] {
        tokens
            .refuses(&alg.to_string(), |token| format!("{}.", token.with_header("alg", alg.clone()).unsigned()))
            .await;
        tokens.refuses(&alg.to_string(), |token| token.with_header("alg", alg.clone()).signed()).await;
    }
    tokens.refuses("no alg", |token| token.without_header("alg").signed()).await;
}

#[tokio::test]
async fn guard_rejects_other_algorithms_with_the_right_secret() {
    let tokens = ValidTokens::new().await;
    let secret = crate::place::SECRET.as_bytes();
    for (name, algorithm) in [("HS384", Algorithm::HS384), ("HS512", Algorithm::HS512)] {
        tokens.refuses(name, |token| token.with_header("alg", name).signed_by(secret, algorithm)).await;
        tokens.refuses("HS256 in the header alone", |token| token.signed_by(secret, algorithm)).await;
    }
    for name in ["HS384", "HS512", "RS256", "RS512", "PS256", "ES256", "EdDSA", "dir"] {
        tokens.refuses(name, |token| token.with_header("alg", name).signed()).await;
    }
}

#[tokio::test]
async fn guard_rejects_unexpected_headers() {
    let tokens = ValidTokens::new().await;
    tokens.refuses("no key id", |token| token.without_header("kid").signed()).await;
    tokens.refuses("critical extensions that are null", |token| token.with_header("crit", Value::Null).signed()).await;
    tokens.refuses("an unknown critical extension", |token| token.with_header("crit", json!(["exp"])).signed()).await;
    let jwk = json!({ "kty": "oct", "k": to_base64(b"a key that the token brings along itself") });
    tokens
        .refuses("a key of its own", |token| {
            token
                .with_header("jwk", jwk.clone())
                .signed_by(b"a key that the token brings along itself", Algorithm::HS256)
        })
        .await;
    tokens
        .refuses("a header that is a list", |token| {
            let claims = token.unsigned().split('.').nth(1).unwrap().to_owned();
            format!("{}.{claims}.{}", to_base64(b"[]"), to_base64(&[1; 32]))
        })
        .await;
}

#[tokio::test]
async fn guard_rejects_missing_claims() {
    let tokens = ValidTokens::new().await;
    for claim in ["iss", "aud", "exp", "nbf", "sid", "sub"] {
        tokens.refuses(&format!("no {claim}"), |token| token.without(claim).signed()).await;
    }
    tokens.refuses("no claims", |token| Token { claims: serde_json::Map::new(), ..token.clone() }.signed()).await;
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
            tokens.refuses(&format!("{claim} {value}"), |token| token.with(claim, value.clone()).signed()).await;
        }
    }
}

#[tokio::test]
async fn guard_checks_nbf_and_exp_without_leeway() {
    let tokens = ValidTokens::new().await;
    tokens.refuses("expired by one second", |token| token.with("exp", now() - 1).signed()).await;
    tokens.refuses("expired this second", |token| token.with("exp", now()).signed()).await;
    tokens.refuses("not yet valid", |token| token.with("nbf", now() + 5).signed()).await;
    tokens.refuses("expired long ago", |token| token.with("exp", 1_000_000_000).signed()).await;
}

#[tokio::test]
async fn guard_rejects_the_other_audience() {
    let tokens = ValidTokens::new().await;
    tokens.page_refuses("an API token in the cookie", &tokens.api.signed()).await;
    tokens.api_refuses("a web token as bearer", &tokens.web.signed()).await;
    tokens.page_refuses("an API session relabelled", &tokens.api.with("aud", "web").signed()).await;
    tokens.api_refuses("a web session relabelled", &tokens.web.with("aud", "api").signed()).await;
}

#[tokio::test]
async fn guard_rejects_the_session_of_another_user() {
    let tokens = ValidTokens::new().await;
    let other = Token::read(&tokens.app.customer("bob@example.com").await.token());
    let mixed = tokens.web.with("sub", other.claims["sub"].clone());
    tokens.page_refuses("another customer's user id", &mixed.signed()).await;
}

#[tokio::test]
async fn revoked_session_is_rejected_at_the_next_request() {
    let tokens = ValidTokens::new().await;
    let mut visitor = tokens.app.visitor();
    visitor.bring(&tokens.web.signed());
    visitor.post("/logout", &[]).await;
    tokens.page_refuses("revoked", &tokens.web.signed()).await;
    let logout = http::send(tokens.app.request(Method::POST, "/api/logout").bearer_auth(tokens.api.signed())).await;
    assert_eq!(logout.status, 204);
    tokens.api_refuses("revoked", &tokens.api.signed()).await;
}

#[tokio::test]
async fn disabled_user_is_rejected_at_the_next_request() {
    let tokens = ValidTokens::new().await;
    tokens.app.done(&["user", "disable", "ann@example.com"]);
    tokens.refuses("disabled", Token::signed).await;
    let fields = [("email", "ann@example.com"), ("password", crate::app::PASSWORD)];
    assert_eq!(tokens.app.visitor().post("/login", &fields).await.status, 401);
    tokens.app.done(&["user", "enable", "ann@example.com"]);
    tokens.refuses("disabled once, which ended every session", Token::signed).await;
    assert_eq!(tokens.app.visitor().post("/login", &fields).await.leads_to(), (303, "/orders"));
}

#[tokio::test]
async fn deleted_user_is_rejected() {
    let tokens = ValidTokens::new().await;
    let database = tokens.app.database().await;
    let delete = sqlx::query("DELETE FROM users WHERE email = 'ann@example.com'");
    delete.execute(&database).await.unwrap();
    tokens.refuses("deleted", Token::signed).await;
}

#[tokio::test]
async fn guard_rejects_a_token_of_64_kib() {
    let tokens = ValidTokens::new().await;
    let long = "x".repeat(64 * 1024);
    tokens.page_refuses("64 KiB of one letter", &long).await;
    tokens.api_refuses("64 KiB of one letter", &long).await;
    let padded = |token: &Token| token.with("padding", "x".repeat(48 * 1024)).signed();
    tokens.refuses("64 KiB with a good signature", padded).await;
}

#[tokio::test]
async fn duplicate_session_cookies_are_ignored() {
    let tokens = ValidTokens::new().await;
    let good = tokens.web.signed();
    let twice = [
        format!("__Host-session={good}; __Host-session={good}"),
        format!("__Host-session={good}; __Host-session=x"),
        format!("__Host-session=x; __Host-session={good}"),
    ];
    for cookies in twice {
        let answer = tokens.app.get_with_cookie("/orders", &cookies).await;
        assert_eq!(answer.leads_to(), (303, "/login?next=%2Forders"), "{}", &cookies[..30]);
    }
    let request = tokens.app.request(Method::GET, "/orders").header("cookie", format!("__Host-session={good}"));
    let in_two_lines = http::send(request.header("cookie", "__Host-session=x")).await;
    assert_eq!(in_two_lines.status, 303);
}

#[tokio::test]
async fn cookies_with_similar_names_are_ignored() {
    let tokens = ValidTokens::new().await;
    let good = tokens.web.signed();
    for name in ["session", "__Secure-session", "__host-session", "Host-session", "__Host-session2"] {
        let answer = tokens.app.get_with_cookie("/orders", &format!("{name}={good}")).await;
        assert_eq!(answer.status, 303, "{name}");
    }
    let among_others = format!("a=b; __Host-session={good}; odd; =; \"x\"=1");
    assert!(tokens.app.get_with_cookie("/orders", &among_others).await.is_page(200));
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
        let answer = http::send(with(value.clone())).await;
        assert!(answer.is_problem(status), "{}: {}", &value[..value.len().min(12)], answer.status);
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
    let cross = |method| {
        let request = tokens.app.request(method, "/orders?after=x%22y");
        request.header("sec-fetch-site", "cross-site").header("sec-fetch-mode", "navigate")
    };
    let arrival = http::send(cross(Method::GET)).await;
    assert_eq!(arrival.status, 200);
    assert_eq!(arrival.header("cache-control"), Some("no-store"));
    assert!(
        arrival.text().contains("http-equiv=\"refresh\" content=\"0; url=/orders?after=x%22y\""),
        "{}",
        arrival.text()
    );
    let with_cookie = http::send(cross(Method::GET).header("cookie", "__Host-session=bad")).await;
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
async fn other_cookies_with_arbitrary_bytes_are_ignored() {
    let tokens = ValidTokens::new().await;
    let good = tokens.web.signed();
    let with = |before: &[u8], after: &[u8]| {
        let header = [before, format!("__Host-session={good}").as_bytes(), after].concat();
        let header = reqwest::header::HeaderValue::from_bytes(&header).unwrap();
        http::send(tokens.app.request(Method::GET, "/orders").header("cookie", header))
    };
    let others: [&[u8]; 4] = [b"city=Z\xfcrich", "city=Zürich".as_bytes(), b"\xff\xfe", b"__Host-sessionid=x"];
    for other in others {
        let shown = String::from_utf8_lossy(other);
        assert!(with(&[other, b"; "].concat(), b"").await.is_page(200), "{shown} before");
        assert!(with(b"", &[b"; ", other].concat()).await.is_page(200), "{shown} after");
    }
    let notice = reqwest::header::HeaderValue::from_bytes(b"city=Z\xfcrich; __Host-notice=logged-out").unwrap();
    let login = http::send(tokens.app.request(Method::GET, "/login").header("cookie", notice)).await;
    assert!(login.text().contains("You are logged out."), "{}", login.text());
    let cross_site = tokens.app.request(Method::GET, "/orders").header("cookie", "__Host-sessionid=x");
    let reload = cross_site.header("sec-fetch-site", "cross-site").header("sec-fetch-mode", "navigate");
    assert_eq!(http::send(reload).await.status, 200, "a cookie with a longer name is accepted");
}
