//! Confirming an address.

use reqwest::Method;
use sha2::{Digest, Sha256};

use crate::app::{ANN, BOB, OTHER_PASSWORD, PASSWORD, TestApp};
use crate::http::{Response, Visitor};
use crate::mailbox::{self, CONFIRM, RESET, SentMail};
use crate::shop::order;

const BANNER: &str = "action=\"/account/verification\"";
const EXPIRED: &str = "This link no longer works";

async fn is_verified(app: &TestApp, email: &str) -> bool {
    let query = "SELECT COUNT(*) FROM users WHERE email = $1 AND verified_at IS NOT NULL";
    let found: i64 = sqlx::query_scalar(query).bind(email).fetch_one(&app.database().await).await.unwrap();
    found == 1
}

async fn confirm(visitor: &mut Visitor, token: &str) -> Response {
    visitor.post("/verify", &[("token", token)]).await
}

/// A customer and the confirmation mail.
async fn customer_with_mail(app: &TestApp, email: &str) -> (Visitor, SentMail) {
    let visitor = app.customer(email).await;
    (visitor, mailbox::mail_to(app, email, CONFIRM).await)
}

/// Asserts that the page of the link and its form show that the link has expired.
async fn assert_expired(app: &TestApp, path: &str, token: &str) {
    let page = crate::http::send(app.request(Method::GET, path).query(&[("token", token)])).await;
    assert!(page.is_page(404) && page.text().contains(EXPIRED), "GET with {token:?}: {}", page.status);
    let fields = [("token", token), ("password", OTHER_PASSWORD)];
    let response = app.visitor().post(path, &fields).await;
    assert!(response.is_page(422) && response.text().contains(EXPIRED), "POST with {token:?}: {}", response.status);
}

#[tokio::test]
async fn banner_is_shown_until_the_address_is_confirmed() {
    let app = TestApp::start_with(&[("DEMO_ORDERS", "true")]).await;
    let (mut visitor, mail) = customer_with_mail(&app, ANN).await;
    let orders = visitor.get("/orders").await.text();
    let order = orders.split('"').find(|part| part.starts_with("/orders/")).unwrap().to_owned();
    for page in ["/orders", &order] {
        assert!(visitor.get(page).await.text().contains(BANNER), "{page}");
    }
    assert!(mail.url().starts_with(&format!("http://localhost:{}/verify?token=", app.port)), "{}", mail.url());
    for _ in 0..2 {
        let page = app.get(mail.path()).await;
        assert!(page.is_page(200) && page.text().contains(ANN) && page.text().contains(mail.token()));
        assert!(!is_verified(&app, ANN).await, "showing the page confirmed the address");
    }
    assert_eq!(confirm(&mut visitor, mail.token()).await.redirect(), (303, "/orders"));
    assert!(is_verified(&app, ANN).await);
    for page in ["/orders", &order] {
        assert!(!visitor.get(page).await.text().contains(BANNER), "{page}");
    }
}

#[tokio::test]
async fn confirmation_assigns_existing_and_later_orders() {
    let app = TestApp::start().await;
    let (mut visitor, mail) = customer_with_mail(&app, ANN).await;
    app.import(&[order("#7001", "Ann@Example.com"), order("#7002", BOB)]);
    assert_eq!(visitor.get("/orders/7001").await.status, 404);
    confirm(&mut visitor, mail.token()).await;
    assert!(visitor.get("/orders/7001").await.is_page(200));
    app.import(&[order("#7003", "ANN@example.com")]);
    assert!(visitor.get("/orders/7003").await.is_page(200));
    assert_eq!(visitor.get("/orders/7002").await.status, 404, "another address's order");
}

#[tokio::test]
async fn user_verify_confirms_the_address_and_expires_the_link() {
    let app = TestApp::start().await;
    let (mut visitor, mail) = customer_with_mail(&app, ANN).await;
    for _ in 0..2 {
        app.run_ok(&["user", "verify", ANN]);
    }
    assert!(is_verified(&app, ANN).await);
    assert_expired(&app, "/verify", mail.token()).await;
    let activity = visitor.get("/account/activity").await.text();
    assert_eq!(activity.matches("Email address confirmed").count(), 1, "{activity}");
    assert!(activity.contains("The shop"), "{activity}");
}

#[tokio::test]
async fn verification_token_is_single_use_under_concurrency() {
    let app = TestApp::start().await;
    let (_, mail) = customer_with_mail(&app, ANN).await;
    let attempts = (0..6).map(|_| async { app.confirm_address(mail.token()).await.status });
    let mut statuses = futures_util::future::join_all(attempts).await;
    statuses.sort_unstable();
    assert_eq!(statuses, [303, 422, 422, 422, 422, 422]);
    assert_expired(&app, "/verify", mail.token()).await;
    assert!(is_verified(&app, ANN).await);
}

#[tokio::test]
async fn verification_requires_a_session_or_the_password() {
    let app = TestApp::start().await;
    let (mut ann, mail) = customer_with_mail(&app, ANN).await;
    let mut bob = app.customer(BOB).await;
    for (who, visitor) in [("anonymous", &mut app.visitor()), ("another account", &mut bob)] {
        let page = visitor.get(mail.path()).await;
        assert!(page.is_page(200) && page.text().contains(ANN), "{who}: {}", page.status);
        assert!(
            page.text().contains("name=\"password\"") && page.text().contains("action=\"/password/forgot\""),
            "{who}"
        );
        for password in ["", "not the password"] {
            let response = visitor.post("/verify", &[("token", mail.token()), ("password", password)]).await;
            assert!(
                response.is_page(401) && response.text().contains("id=\"password-error\""),
                "{who}: {}",
                response.status
            );
        }
        assert_eq!(confirm(visitor, mail.token()).await.status, 401, "{who}");
        assert!(!is_verified(&app, ANN).await, "{who} confirmed the address");
    }
    let own = ann.get(mail.path()).await.text();
    assert!(!own.contains("name=\"password\"") && !own.contains("/password/forgot"), "{own}");
    let response = app.confirm_address(mail.token()).await;
    assert_eq!(response.redirect(), (303, "/login"));
    assert!(response.session_cookie().is_none(), "confirmation logged in");
    assert!(is_verified(&app, ANN).await && !is_verified(&app, BOB).await);
}

#[tokio::test]
async fn verification_passwords_are_limited_like_logins() {
    let app = TestApp::start().await;
    let (mut ann, mail) = customer_with_mail(&app, ANN).await;
    let mut last = None;
    for _ in 0..11 {
        let wrong = [("token", mail.token()), ("password", "not the password")];
        last = Some(app.visitor().post("/verify", &wrong).await);
    }
    let last = last.unwrap();
    assert!(last.is_page(429) && last.text().contains("Try again in"), "{}", last.status);
    assert!(last.header("retry-after").unwrap().parse::<u32>().unwrap() >= 1);
    assert_eq!(app.confirm_address(mail.token()).await.status, 429, "a password is verified during a wait");
    let login = app.log_in(ANN, PASSWORD).await;
    assert_eq!(login.status, 429, "logins have another counter");
    assert_eq!(
        confirm(&mut ann, mail.token()).await.redirect(),
        (303, "/orders"),
        "a session of the account is limited"
    );
}

#[tokio::test]
async fn used_verification_link_shows_its_owner_the_confirmation() {
    let app = TestApp::start().await;
    let (mut ann, mail) = customer_with_mail(&app, ANN).await;
    let mut bob = app.customer(BOB).await;
    confirm(&mut ann, mail.token()).await;
    let again = ann.get(mail.path()).await;
    assert!(again.is_page(200) && again.text().contains("is confirmed"), "{}", again.status);
    assert!(!again.text().contains("Nothing was changed") && !again.text().contains("<button type=\"submit\">Confirm"));
    assert!(confirm(&mut ann, mail.token()).await.text().contains("is confirmed"));
    for (who, visitor) in [("anonymous", &mut app.visitor()), ("another account", &mut bob)] {
        let page = visitor.get(mail.path()).await;
        assert!(page.is_page(404) && page.text().contains(EXPIRED) && !page.text().contains(ANN), "{who}");
    }
}

#[tokio::test]
async fn verification_link_from_another_site_finds_the_session() {
    let app = TestApp::start().await;
    let (mut ann, mail) = customer_with_mail(&app, ANN).await;
    let from_other_site = |request: reqwest::RequestBuilder| {
        request.header("sec-fetch-site", "cross-site").header("sec-fetch-mode", "navigate")
    };
    let page = crate::http::send(from_other_site(app.request(Method::GET, mail.path()))).await;
    assert!(page.status == 200 && page.text().contains(&format!("0; url={}", mail.path())), "{}", page.text());
    assert_eq!(page.header("referrer-policy"), Some("strict-origin"));
    assert_eq!(page.header("cache-control"), Some("no-store"));
    let same_site = ann.request(Method::GET, mail.path()).header("sec-fetch-site", "same-origin");
    let reloaded = ann.send(same_site.header("sec-fetch-mode", "navigate")).await;
    assert!(reloaded.is_page(200) && !reloaded.text().contains("name=\"password\""), "{}", reloaded.text());
    let with_cookie = ann.request(Method::GET, mail.path());
    assert!(ann.send(from_other_site(with_cookie)).await.is_page(200), "a request with a cookie gets the reload page");
    let without = app.request(Method::GET, mail.path()).header("sec-fetch-site", "same-origin");
    let without = crate::http::send(without.header("sec-fetch-mode", "navigate")).await;
    assert!(without.is_page(200) && without.text().contains("name=\"password\""), "the reload page loops");
}

#[tokio::test]
async fn invalid_token_looks_like_an_expired_one() {
    let app = TestApp::start().await;
    let (_, mail) = customer_with_mail(&app, ANN).await;
    let token = mail.token();
    let other_digit = if token.ends_with('0') { "1" } else { "0" };
    let changed = [
        format!("{}{other_digit}", &token[..63]),
        token[..63].to_owned(),
        format!("{token}0"),
        format!(" {token}"),
        token.to_uppercase().replace(|character: char| character.is_ascii_digit(), "A"),
        "0".repeat(64),
        String::new(),
        "x".repeat(10_000),
        "\0".repeat(64),
        "é".repeat(32),
        "' OR 1=1 --".to_owned(),
        "<script>alert(1)</script>".to_owned(),
    ];
    for token in changed.iter().filter(|changed| *changed != token) {
        for path in ["/verify", "/password/reset"] {
            assert_expired(&app, path, token).await;
        }
    }
    for path in ["/verify", "/verify?token", "/verify?token=%ff%fe", "/verify?token=%00", "/password/reset"] {
        let page = app.get(path).await;
        assert!(page.is_page(404) && page.text().contains(EXPIRED), "{path}: {}", page.status);
    }
    assert!(!is_verified(&app, ANN).await);
    assert_eq!(app.confirm_address(token).await.status, 303, "the token was consumed");
}

#[tokio::test]
async fn verification_token_expires() {
    let app = TestApp::start().await;
    let (_, mail) = customer_with_mail(&app, ANN).await;
    let lifetime = "SELECT expires_at - created_at FROM email_tokens";
    let lifetime: i64 = sqlx::query_scalar(lifetime).fetch_one(&app.database().await).await.unwrap();
    assert_eq!(lifetime, 24 * 3600);
    sqlx::query("UPDATE email_tokens SET expires_at = $1")
        .bind(crate::token::now())
        .execute(&app.database().await)
        .await
        .unwrap();
    assert_expired(&app, "/verify", mail.token()).await;
    assert!(!is_verified(&app, ANN).await);
}

#[tokio::test]
async fn token_is_invalid_for_another_purpose_and_not_consumed() {
    let app = TestApp::start().await;
    let mut visitor = app.customer(ANN).await;
    visitor.post("/password/forgot", &[("email", ANN)]).await;
    let verify = mailbox::mail_to(&app, ANN, CONFIRM).await;
    let reset = mailbox::mail_to(&app, ANN, RESET).await;
    assert_expired(&app, "/verify", reset.token()).await;
    assert_expired(&app, "/password/reset", verify.token()).await;
    assert!(!is_verified(&app, ANN).await);
    assert_eq!(app.log_in(ANN, PASSWORD).await.status, 303);
    assert_eq!(app.confirm_address(verify.token()).await.status, 303);
    let fields = [("token", reset.token()), ("password", OTHER_PASSWORD)];
    assert_eq!(app.visitor().post("/password/reset", &fields).await.status, 303);
}

#[tokio::test]
async fn tokens_are_stored_as_hashes() {
    let app = TestApp::start().await;
    let (_, mail) = customer_with_mail(&app, ANN).await;
    let database = app.database().await;
    let hash: Vec<u8> = sqlx::query_scalar("SELECT hash FROM email_tokens").fetch_one(&database).await.unwrap();
    assert_eq!(hash, Sha256::digest(mail.token().as_bytes()).to_vec());
    if !app.is_postgres() {
        let files = ["portal.db", "portal.db-wal"].map(|name| std::fs::read(app.path().join(name)).unwrap()).concat();
        let contains = |text: &str| files.windows(text.len()).any(|window| window == text.as_bytes());
        assert!(contains(ANN), "the search does not work");
        assert!(!contains(mail.token()), "the database contains the token");
    }
}

#[tokio::test]
async fn queued_mail_contains_no_token() {
    let unavailable = format!("smtp://127.0.0.1:{}", crate::sandbox::free_port());
    let app = TestApp::start_with(&[("MAIL_URL", &unavailable)]).await;
    app.customer(ANN).await;
    mailbox::wait_for("an attempt", || app.logs().contains("mail deferred").then_some(())).await;
    let query = "SELECT id || recipient || message FROM mail_queue";
    let row: String = sqlx::query_scalar(query).fetch_one(&app.database().await).await.unwrap();
    let longest_hex = row.split(|character: char| !character.is_ascii_hexdigit()).map(str::len).max().unwrap();
    assert!(row.contains(ANN) && longest_hex < 32, "{row}");
}

#[tokio::test]
async fn verification_mail_is_sent_again_up_to_a_limit() {
    let app = TestApp::start().await;
    let (mut visitor, first) = customer_with_mail(&app, ANN).await;
    for _ in 0..4 {
        assert_eq!(visitor.post("/account/verification", &[]).await.redirect(), (303, "/orders"));
    }
    let limited = visitor.post("/account/verification", &[]).await;
    assert!(limited.is_page(429), "{}", limited.status);
    assert!((1..=3600).contains(&limited.header("retry-after").unwrap().parse::<u32>().unwrap()));
    mailbox::wait_for_empty_queue(&app).await;
    let mails = mailbox::mails_to(&app, ANN, CONFIRM);
    assert_eq!(mails.len(), 5);
    assert_eq!(confirm(&mut visitor, mails[4].token()).await.status, 303);
    assert_expired(&app, "/verify", first.token()).await;
    app.execute("DELETE FROM rate_limits").await;
    visitor.post("/account/verification", &[]).await;
    mailbox::wait_for_empty_queue(&app).await;
    assert_eq!(mailbox::mails_to(&app, ANN, CONFIRM).len(), 5, "a confirmed address got another mail");
}

#[tokio::test]
async fn token_of_a_former_address_is_invalid() {
    let app = TestApp::start().await;
    let mut visitor = app.customer(ANN).await;
    visitor.post("/password/forgot", &[("email", ANN)]).await;
    let verify = mailbox::mail_to(&app, ANN, CONFIRM).await;
    let reset = mailbox::mail_to(&app, ANN, RESET).await;
    app.execute("UPDATE users SET email = 'ann@elsewhere.example'").await;
    assert_expired(&app, "/verify", verify.token()).await;
    assert_expired(&app, "/password/reset", reset.token()).await;
    assert!(!is_verified(&app, "ann@elsewhere.example").await);
    let fields = [("email", "ann@elsewhere.example"), ("password", PASSWORD)];
    assert_eq!(app.visitor().post("/login", &fields).await.status, 303, "the password was replaced");
}
