//! Nobody passes the guard with a token that is not good in every respect: pages lead to the login, the API says 401 or
//! 403, and nothing breaks.

use jsonwebtoken::Algorithm;
use reqwest::Method;
use serde_json::{Value, json};

use crate::app::TestApp;
use crate::http::{self, Answer};
use crate::token::{Token, now, to_base64};

const GUARDED: [&str; 2] = ["/orders", "/orders/10248"];

/// A running program and one good token of each audience, both of the same customer.
struct Door {
    app: TestApp,
    web: Token,
    api: Token,
}

impl Door {
    async fn new() -> Self {
        let app = TestApp::start().await;
        let web = Token::read(&app.customer("ann@example.com").await.token());
        let api = Token::read(&app.api_token("ann@example.com").await);
        let door = Self { app, web, api };
        assert!(
            door.page(&door.web.signed()).await.is_page(200),
            "a good cookie, signed again by the tests, must pass"
        );
        assert_eq!(door.orders(&door.api.signed()).await.status, 200, "a good bearer token must pass");
        door
    }

    async fn page(&self, token: &str) -> Answer {
        self.app.get_with_cookie("/orders", &format!("__Host-session={token}")).await
    }

    async fn orders(&self, token: &str) -> Answer {
        self.app.api_get("/api/userOrders", token).await
    }

    /// Neither door opens for what `alter` makes of a good token.
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
        // A scheme without a token is no token (RFC 6750 section 3.1).
        let (status, has_error) = if token.is_empty() { (401, false) } else { (403, true) };
        assert!(answer.is_problem(status), "the API, {what}: {} {}", answer.status, answer.text());
        let challenge = answer.header("www-authenticate").unwrap();
        assert!(challenge.starts_with("Bearer"), "{what}: {challenge}");
        assert_eq!(challenge.contains("error=\"invalid_token\""), has_error, "{what}: {challenge}");
    }
}

#[tokio::test]
async fn who_brings_no_token_is_sent_to_log_in_and_back() {
    let app = TestApp::start().await;
    for path in GUARDED {
        for method in [Method::GET, Method::HEAD] {
            let answer = http::send(app.request(method.clone(), path)).await;
            let login = format!("/login?next={}", path.replace('/', "%2F"));
            assert_eq!(answer.leads_to(), (303, login.as_str()), "{method} {path}");
            assert_eq!(answer.header("cache-control"), Some("no-store"));
            assert!(answer.all("set-cookie").is_empty(), "a notice about a session that never was: {method} {path}");
        }
    }
    let answer = app.get("/api/userOrders").await;
    assert!(answer.is_problem(401));
    assert!(answer.header("www-authenticate").unwrap().starts_with("Bearer"));
}

#[tokio::test]
async fn what_is_no_token_is_refused() {
    let door = Door::new().await;
    let good = door.web.signed();
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
        door.refuses(&format!("garbage {token:?}"), |_| token.clone()).await;
    }
}

#[tokio::test]
async fn a_token_with_a_wrong_signature_is_refused() {
    let door = Door::new().await;
    door.refuses("another secret", |token| {
        token.signed_by(b"a secret that somebody else made up today", Algorithm::HS256)
    })
    .await;
    door.refuses("an empty secret", |token| token.signed_by(b"", Algorithm::HS256)).await;
    door.refuses("the signature of other claims", |token| {
        let other = token.with("exp", now() + 100_000);
        format!("{}.{}", other.unsigned(), token.signed().rsplit('.').next().unwrap())
    })
    .await;
    door.refuses("a shortened signature", |token| token.signed()[..token.signed().len() - 2].to_owned()).await;
    door.refuses("a signature of zeros", |token| format!("{}.{}", token.unsigned(), to_base64(&[0; 32]))).await;
    door.refuses("another key id", |token| token.with_header("kid", "0123456789abcdef").signed()).await;
    door.refuses("a key id that is a path", |token| {
        token.with_header("kid", "../../../../dev/null").signed_by(b"", Algorithm::HS256)
    })
    .await;
    door.refuses("a key id that is no text", |token| token.with_header("kid", json!({ "a": 1 })).signed()).await;
}

#[tokio::test]
async fn a_token_without_a_signature_is_refused_however_none_is_spelt() {
    let door = Door::new().await;
    for bits in 0..16 {
        let raised = |(place, letter): (usize, char)| {
            if bits >> place & 1 == 1 { letter.to_ascii_uppercase() } else { letter }
        };
        let none: String = "none".chars().enumerate().map(raised).collect();
        door.refuses(&none, |token| format!("{}.", token.with_header("alg", none.as_str()).unsigned())).await;
        door.refuses(&none, |token| token.with_header("alg", none.as_str()).signed()).await;
    }
    for alg in [json!(""), json!(null), json!("null"), json!(0), json!(["HS256"]), json!("none "), json!("hs256")] {
        door.refuses(&alg.to_string(), |token| format!("{}.", token.with_header("alg", alg.clone()).unsigned())).await;
        door.refuses(&alg.to_string(), |token| token.with_header("alg", alg.clone()).signed()).await;
    }
    door.refuses("no alg", |token| token.without_header("alg").signed()).await;
}

#[tokio::test]
async fn a_token_of_another_algorithm_is_refused_though_it_is_signed_with_the_right_secret() {
    let door = Door::new().await;
    let secret = crate::place::SECRET.as_bytes();
    for (name, algorithm) in [("HS384", Algorithm::HS384), ("HS512", Algorithm::HS512)] {
        door.refuses(name, |token| token.with_header("alg", name).signed_by(secret, algorithm)).await;
        door.refuses("HS256 in the header alone", |token| token.signed_by(secret, algorithm)).await;
    }
    for name in ["HS384", "HS512", "RS256", "RS512", "PS256", "ES256", "EdDSA", "dir"] {
        door.refuses(name, |token| token.with_header("alg", name).signed()).await;
    }
}

#[tokio::test]
async fn a_token_with_another_header_is_refused() {
    let door = Door::new().await;
    door.refuses("no key id", |token| token.without_header("kid").signed()).await;
    door.refuses("critical extensions that are null", |token| token.with_header("crit", Value::Null).signed()).await;
    door.refuses("an unknown critical extension", |token| token.with_header("crit", json!(["exp"])).signed()).await;
    let jwk = json!({ "kty": "oct", "k": to_base64(b"a key that the token brings along itself") });
    door.refuses("a key of its own", |token| {
        token.with_header("jwk", jwk.clone()).signed_by(b"a key that the token brings along itself", Algorithm::HS256)
    })
    .await;
    door.refuses("a header that is a list", |token| {
        let claims = token.unsigned().split('.').nth(1).unwrap().to_owned();
        format!("{}.{claims}.{}", to_base64(b"[]"), to_base64(&[1; 32]))
    })
    .await;
}

#[tokio::test]
async fn a_token_that_lacks_a_claim_is_refused() {
    let door = Door::new().await;
    for claim in ["iss", "aud", "exp", "nbf", "sid", "sub"] {
        door.refuses(&format!("no {claim}"), |token| token.without(claim).signed()).await;
    }
    door.refuses("no claims", |token| Token { claims: serde_json::Map::new(), ..token.clone() }.signed()).await;
}

#[tokio::test]
async fn a_token_with_a_wrong_claim_is_refused() {
    let door = Door::new().await;
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
            door.refuses(&format!("{claim} {value}"), |token| token.with(claim, value.clone()).signed()).await;
        }
    }
}

#[tokio::test]
async fn a_token_is_good_from_its_first_second_to_its_last_without_leeway() {
    let door = Door::new().await;
    door.refuses("expired by one second", |token| token.with("exp", now() - 1).signed()).await;
    door.refuses("expired this second", |token| token.with("exp", now()).signed()).await;
    door.refuses("not yet valid", |token| token.with("nbf", now() + 5).signed()).await;
    door.refuses("expired long ago", |token| token.with("exp", 1_000_000_000).signed()).await;
}

#[tokio::test]
async fn a_token_of_one_audience_never_passes_for_the_other() {
    let door = Door::new().await;
    door.page_refuses("an API token in the cookie", &door.api.signed()).await;
    door.api_refuses("a web token as bearer", &door.web.signed()).await;
    door.page_refuses("an API session relabelled", &door.api.with("aud", "web").signed()).await;
    door.api_refuses("a web session relabelled", &door.web.with("aud", "api").signed()).await;
}

#[tokio::test]
async fn a_session_of_one_customer_never_serves_another() {
    let door = Door::new().await;
    let other = Token::read(&door.app.customer("bob@example.com").await.token());
    let mixed = door.web.with("sub", other.claims["sub"].clone());
    door.page_refuses("another customer's user id", &mixed.signed()).await;
}

#[tokio::test]
async fn a_revoked_session_is_over_at_the_very_next_request() {
    let door = Door::new().await;
    let mut visitor = door.app.visitor();
    visitor.bring(&door.web.signed());
    visitor.post("/logout", &[]).await;
    door.page_refuses("revoked", &door.web.signed()).await;
    let logout = http::send(door.app.request(Method::POST, "/api/logout").bearer_auth(door.api.signed())).await;
    assert_eq!(logout.status, 204);
    door.api_refuses("revoked", &door.api.signed()).await;
}

#[tokio::test]
async fn a_disabled_user_is_out_at_the_very_next_request_and_back_only_by_logging_in() {
    let door = Door::new().await;
    door.app.done(&["user", "disable", "ann@example.com"]);
    door.refuses("disabled", Token::signed).await;
    let fields = [("email", "ann@example.com"), ("password", crate::app::PASSWORD)];
    assert_eq!(door.app.visitor().post("/login", &fields).await.status, 401);
    door.app.done(&["user", "enable", "ann@example.com"]);
    door.refuses("disabled once, which ended every session", Token::signed).await;
    assert_eq!(door.app.visitor().post("/login", &fields).await.leads_to(), (303, "/orders"));
}

#[tokio::test]
async fn a_deleted_user_is_nobody() {
    let door = Door::new().await;
    let database = door.app.database().await;
    let delete = sqlx::query("DELETE FROM users WHERE email = 'ann@example.com'");
    delete.execute(&database).await.unwrap();
    door.refuses("deleted", Token::signed).await;
}

#[tokio::test]
async fn a_token_of_64_kib_is_refused() {
    let door = Door::new().await;
    let long = "x".repeat(64 * 1024);
    door.page_refuses("64 KiB of one letter", &long).await;
    door.api_refuses("64 KiB of one letter", &long).await;
    let padded = |token: &Token| token.with("padding", "x".repeat(48 * 1024)).signed();
    door.refuses("64 KiB with a good signature", padded).await;
}

#[tokio::test]
async fn duplicated_cookies_are_no_cookie() {
    let door = Door::new().await;
    let good = door.web.signed();
    let twice = [
        format!("__Host-session={good}; __Host-session={good}"),
        format!("__Host-session={good}; __Host-session=x"),
        format!("__Host-session=x; __Host-session={good}"),
    ];
    for cookies in twice {
        let answer = door.app.get_with_cookie("/orders", &cookies).await;
        assert_eq!(answer.leads_to(), (303, "/login?next=%2Forders"), "{}", &cookies[..30]);
    }
    let request = door.app.request(Method::GET, "/orders").header("cookie", format!("__Host-session={good}"));
    let in_two_lines = http::send(request.header("cookie", "__Host-session=x")).await;
    assert_eq!(in_two_lines.status, 303);
}

#[tokio::test]
async fn cookies_of_other_names_neither_help_nor_harm() {
    let door = Door::new().await;
    let good = door.web.signed();
    for name in ["session", "__Secure-session", "__host-session", "Host-session", "__Host-session2"] {
        let answer = door.app.get_with_cookie("/orders", &format!("{name}={good}")).await;
        assert_eq!(answer.status, 303, "{name}");
    }
    let among_others = format!("a=b; __Host-session={good}; odd; =; \"x\"=1");
    assert!(door.app.get_with_cookie("/orders", &among_others).await.is_page(200));
}

#[tokio::test]
async fn bearer_token_is_read_from_one_header_of_one_scheme() {
    let door = Door::new().await;
    let good = door.api.signed();
    let with = |value: String| door.app.request(Method::GET, "/api/userOrders").header("authorization", value);
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
async fn a_link_from_another_site_is_answered_by_a_page_that_asks_again_from_here() {
    let door = Door::new().await;
    let cross = |method| {
        let request = door.app.request(method, "/orders?after=x%22y");
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
    assert_eq!(with_cookie.status, 303, "a cookie that does not hold must not go in a circle");
    let same_site = door
        .app
        .request(Method::GET, "/orders")
        .header("sec-fetch-site", "same-origin")
        .header("sec-fetch-mode", "navigate");
    assert_eq!(http::send(same_site).await.status, 303);
    let image = door
        .app
        .request(Method::GET, "/orders")
        .header("sec-fetch-site", "cross-site")
        .header("sec-fetch-mode", "no-cors");
    assert_eq!(http::send(image).await.status, 303);
}

#[tokio::test]
async fn cookies_of_other_names_have_no_influence_whatever_bytes_they_hold() {
    let door = Door::new().await;
    let good = door.web.signed();
    let with = |before: &[u8], after: &[u8]| {
        let header = [before, format!("__Host-session={good}").as_bytes(), after].concat();
        let header = reqwest::header::HeaderValue::from_bytes(&header).unwrap();
        http::send(door.app.request(Method::GET, "/orders").header("cookie", header))
    };
    let others: [&[u8]; 4] = [b"city=Z\xfcrich", "city=Zürich".as_bytes(), b"\xff\xfe", b"__Host-sessionid=x"];
    for other in others {
        let shown = String::from_utf8_lossy(other);
        assert!(with(&[other, b"; "].concat(), b"").await.is_page(200), "{shown} before");
        assert!(with(b"", &[b"; ", other].concat()).await.is_page(200), "{shown} after");
    }
    let notice = reqwest::header::HeaderValue::from_bytes(b"city=Z\xfcrich; __Host-notice=logged-out").unwrap();
    let login = http::send(door.app.request(Method::GET, "/login").header("cookie", notice)).await;
    assert!(login.text().contains("You are logged out."), "{}", login.text());
    let cross_site = door.app.request(Method::GET, "/orders").header("cookie", "__Host-sessionid=x");
    let reload = cross_site.header("sec-fetch-site", "cross-site").header("sec-fetch-mode", "navigate");
    assert_eq!(http::send(reload).await.status, 200, "a cookie of a longer name counts as ours");
}
