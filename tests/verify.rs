//! Showing that an address is its owner's.

use reqwest::Method;
use sha2::{Digest, Sha256};

use crate::app::{PASSWORD, TestApp};
use crate::http::{Answer, Visitor};
use crate::post::{self, CONFIRM, Letter, NEW_PASSWORD};
use crate::shop::{export, order};

const ANN: &str = "ann@example.com";
const BANNER: &str = "action=\"/account/verification\"";
const DEAD: &str = "That link no longer works";

async fn is_verified(app: &TestApp, email: &str) -> bool {
    let query = "SELECT COUNT(*) FROM users WHERE email = $1 AND verified_at IS NOT NULL";
    let found: i64 = sqlx::query_scalar(query).bind(email).fetch_one(&app.database().await).await.unwrap();
    found == 1
}

async fn execute(app: &TestApp, statement: &'static str) {
    sqlx::query(statement).execute(&app.database().await).await.unwrap();
}

async fn confirm(visitor: &mut Visitor, token: &str) -> Answer {
    visitor.post("/verify", &[("token", token)]).await
}

/// The same without a session: with the account's password.
async fn confirm_with_password(app: &TestApp, token: &str) -> Answer {
    app.visitor().post("/verify", &[("token", token), ("password", PASSWORD)]).await
}

/// A customer and the letter that signing up has sent.
async fn customer_with_letter(app: &TestApp, email: &str) -> (Visitor, Letter) {
    let visitor = app.customer(email).await;
    (visitor, post::letter_to(app, email, CONFIRM).await)
}

/// Asserts that the page and its button say that the link is dead.
async fn assert_dead(app: &TestApp, path: &str, token: &str) {
    let page = crate::http::send(app.request(Method::GET, path).query(&[("token", token)])).await;
    assert!(page.is_page(404) && page.text().contains(DEAD), "GET with {token:?}: {}", page.status);
    let fields = [("token", token), ("password", "a quiet harbour at dusk")];
    let pressed = app.visitor().post(path, &fields).await;
    assert!(pressed.is_page(422) && pressed.text().contains(DEAD), "POST with {token:?}: {}", pressed.status);
}

#[tokio::test]
async fn the_orders_pages_ask_for_the_link_until_its_button_is_pressed() {
    let app = TestApp::start_with(&[("DEMO_ORDERS", "true")]).await;
    let (mut visitor, letter) = customer_with_letter(&app, ANN).await;
    let orders = visitor.get("/orders").await.text();
    let order = orders.split('"').find(|part| part.starts_with("/orders/")).unwrap().to_owned();
    for page in ["/orders", &order] {
        assert!(visitor.get(page).await.text().contains(BANNER), "{page}");
    }
    assert!(letter.url().starts_with(&format!("http://localhost:{}/verify?token=", app.port)), "{}", letter.url());
    for _ in 0..2 {
        let page = app.get(letter.path()).await;
        assert!(page.is_page(200) && page.text().contains(ANN) && page.text().contains(letter.token()));
        assert!(!is_verified(&app, ANN).await, "looking at the link confirmed the address");
    }
    assert_eq!(confirm(&mut visitor, letter.token()).await.leads_to(), (303, "/orders"));
    assert!(is_verified(&app, ANN).await);
    for page in ["/orders", &order] {
        assert!(!visitor.get(page).await.text().contains(BANNER), "{page}");
    }
}

#[tokio::test]
async fn confirming_brings_in_the_orders_of_that_address_and_later_imports_find_the_account() {
    let app = TestApp::start().await;
    let (mut visitor, letter) = customer_with_letter(&app, ANN).await;
    let file = app.write("first.csv", export(&[order("#7001", "Ann@Example.com"), order("#7002", "bob@example.com")]));
    app.done(&["import", &file]);
    assert_eq!(visitor.get("/orders/7001").await.status, 404);
    confirm(&mut visitor, letter.token()).await;
    assert!(visitor.get("/orders/7001").await.is_page(200));
    let file = app.write("later.csv", export(&[order("#7003", "ANN@example.com")]));
    app.done(&["import", &file]);
    assert!(visitor.get("/orders/7003").await.is_page(200));
    assert_eq!(visitor.get("/orders/7002").await.status, 404, "another address's order");
}

#[tokio::test]
async fn the_operator_does_what_the_link_does_and_the_link_is_done_with() {
    let app = TestApp::start().await;
    let (mut visitor, letter) = customer_with_letter(&app, ANN).await;
    for _ in 0..2 {
        app.done(&["user", "verify", ANN]);
    }
    assert!(is_verified(&app, ANN).await);
    assert_dead(&app, "/verify", letter.token()).await;
    let activity = visitor.get("/account/activity").await.text();
    assert_eq!(activity.matches("E-mail address confirmed").count(), 1, "{activity}");
    assert!(activity.contains("The shop"), "{activity}");
}

#[tokio::test]
async fn a_link_works_once_however_many_press_it_at_the_same_time() {
    let app = TestApp::start().await;
    let (_, letter) = customer_with_letter(&app, ANN).await;
    let presses = (0..6).map(|_| async { confirm_with_password(&app, letter.token()).await.status });
    let mut statuses = futures_util::future::join_all(presses).await;
    statuses.sort_unstable();
    assert_eq!(statuses, [303, 422, 422, 422, 422, 422]);
    assert_dead(&app, "/verify", letter.token()).await;
    assert!(is_verified(&app, ANN).await);
}

#[tokio::test]
async fn link_takes_effect_only_in_a_session_of_its_account_or_with_its_password() {
    let app = TestApp::start().await;
    let (mut ann, letter) = customer_with_letter(&app, ANN).await;
    let mut bob = app.customer("bob@example.com").await;
    for (who, visitor) in [("anonymous", &mut app.visitor()), ("another account", &mut bob)] {
        let page = visitor.get(letter.path()).await;
        assert!(page.is_page(200) && page.text().contains(ANN), "{who}: {}", page.status);
        assert!(
            page.text().contains("name=\"password\"") && page.text().contains("action=\"/password/forgot\""),
            "{who}"
        );
        for password in ["", "not the password"] {
            let answer = visitor.post("/verify", &[("token", letter.token()), ("password", password)]).await;
            assert!(answer.is_page(401) && answer.text().contains("id=\"password-error\""), "{who}: {}", answer.status);
        }
        assert_eq!(confirm(visitor, letter.token()).await.status, 401, "{who}");
        assert!(!is_verified(&app, ANN).await, "{who} confirmed the address");
    }
    let mine = ann.get(letter.path()).await.text();
    assert!(!mine.contains("name=\"password\"") && !mine.contains("/password/forgot"), "{mine}");
    let answer = confirm_with_password(&app, letter.token()).await;
    assert_eq!(answer.leads_to(), (303, "/login"));
    assert!(answer.session_cookie().is_none(), "confirming logged in");
    assert!(is_verified(&app, ANN).await && !is_verified(&app, "bob@example.com").await);
}

#[tokio::test]
async fn wrong_passwords_with_a_link_are_limited_as_logins() {
    let app = TestApp::start().await;
    let (mut ann, letter) = customer_with_letter(&app, ANN).await;
    let mut last = None;
    for _ in 0..11 {
        let wrong = [("token", letter.token()), ("password", "not the password")];
        last = Some(app.visitor().post("/verify", &wrong).await);
    }
    let last = last.unwrap();
    assert!(last.is_page(429) && last.text().contains("Try again in"), "{}", last.status);
    assert!(last.header("retry-after").unwrap().parse::<u32>().unwrap() >= 1);
    assert_eq!(confirm_with_password(&app, letter.token()).await.status, 429, "the right password is looked at");
    let login = app.visitor().post("/login", &[("email", ANN), ("password", PASSWORD)]).await;
    assert_eq!(login.status, 429, "logins are counted apart");
    assert_eq!(confirm(&mut ann, letter.token()).await.leads_to(), (303, "/orders"), "the session's owner waits");
}

#[tokio::test]
async fn link_opened_again_says_to_its_owner_that_the_address_is_confirmed() {
    let app = TestApp::start().await;
    let (mut ann, letter) = customer_with_letter(&app, ANN).await;
    let mut bob = app.customer("bob@example.com").await;
    confirm(&mut ann, letter.token()).await;
    let again = ann.get(letter.path()).await;
    assert!(again.is_page(200) && again.text().contains("is confirmed"), "{}", again.status);
    assert!(!again.text().contains("Nothing was changed") && !again.text().contains("<button type=\"submit\">Confirm"));
    assert!(confirm(&mut ann, letter.token()).await.text().contains("is confirmed"));
    for (who, visitor) in [("anonymous", &mut app.visitor()), ("another account", &mut bob)] {
        let page = visitor.get(letter.path()).await;
        assert!(page.is_page(404) && page.text().contains(DEAD) && !page.text().contains(ANN), "{who}");
    }
}

#[tokio::test]
async fn owner_who_follows_the_link_from_another_site_is_recognised() {
    let app = TestApp::start().await;
    let (mut ann, letter) = customer_with_letter(&app, ANN).await;
    let arrival = |request: reqwest::RequestBuilder| {
        request.header("sec-fetch-site", "cross-site").header("sec-fetch-mode", "navigate")
    };
    let page = crate::http::send(arrival(app.request(Method::GET, letter.path()))).await;
    assert!(page.status == 200 && page.text().contains(&format!("0; url={}", letter.path())), "{}", page.text());
    assert_eq!(page.header("referrer-policy"), Some("strict-origin"));
    assert_eq!(page.header("cache-control"), Some("no-store"));
    let from_here = ann.request(Method::GET, letter.path()).header("sec-fetch-site", "same-origin");
    let reloaded = ann.send(from_here.header("sec-fetch-mode", "navigate")).await;
    assert!(reloaded.is_page(200) && !reloaded.text().contains("name=\"password\""), "{}", reloaded.text());
    let with_cookie = ann.request(Method::GET, letter.path());
    assert!(ann.send(arrival(with_cookie)).await.is_page(200), "a request with a cookie is asked to reload");
    let without = app.request(Method::GET, letter.path()).header("sec-fetch-site", "same-origin");
    let without = crate::http::send(without.header("sec-fetch-mode", "navigate")).await;
    assert!(without.is_page(200) && without.text().contains("name=\"password\""), "it loops");
}

#[tokio::test]
async fn what_is_not_a_link_of_ours_reads_like_one_that_no_longer_works() {
    let app = TestApp::start().await;
    let (_, letter) = customer_with_letter(&app, ANN).await;
    let token = letter.token();
    let other_digit = if token.ends_with('0') { "1" } else { "0" };
    let changed = [
        format!("{}{other_digit}", &token[..63]),
        token[..63].to_owned(),
        format!("{token}0"),
        format!(" {token}"),
        token.to_uppercase().replace(|letter: char| letter.is_ascii_digit(), "A"),
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
            assert_dead(&app, path, token).await;
        }
    }
    for path in ["/verify", "/verify?token", "/verify?token=%ff%fe", "/verify?token=%00", "/password/reset"] {
        let page = app.get(path).await;
        assert!(page.is_page(404) && page.text().contains(DEAD), "{path}: {}", page.status);
    }
    assert!(!is_verified(&app, ANN).await);
    assert_eq!(confirm_with_password(&app, token).await.status, 303, "the real one suffered");
}

#[tokio::test]
async fn a_link_is_dead_once_its_time_is_over() {
    let app = TestApp::start().await;
    let (_, letter) = customer_with_letter(&app, ANN).await;
    let lasts = "SELECT expires_at - created_at FROM mailed_tokens";
    let lasts: i64 = sqlx::query_scalar(lasts).fetch_one(&app.database().await).await.unwrap();
    assert_eq!(lasts, 24 * 3600);
    sqlx::query("UPDATE mailed_tokens SET expires_at = $1")
        .bind(crate::token::now())
        .execute(&app.database().await)
        .await
        .unwrap();
    assert_dead(&app, "/verify", letter.token()).await;
    assert!(!is_verified(&app, ANN).await);
}

#[tokio::test]
async fn a_link_for_one_thing_never_passes_for_another_and_trying_does_not_use_it_up() {
    let app = TestApp::start().await;
    let mut visitor = app.customer(ANN).await;
    visitor.post("/password/forgot", &[("email", ANN)]).await;
    let verify = post::letter_to(&app, ANN, CONFIRM).await;
    let reset = post::letter_to(&app, ANN, NEW_PASSWORD).await;
    assert_dead(&app, "/verify", reset.token()).await;
    assert_dead(&app, "/password/reset", verify.token()).await;
    assert!(!is_verified(&app, ANN).await);
    assert_eq!(app.visitor().post("/login", &[("email", ANN), ("password", PASSWORD)]).await.status, 303);
    assert_eq!(confirm_with_password(&app, verify.token()).await.status, 303);
    let fields = [("token", reset.token()), ("password", "a quiet harbour at dusk")];
    assert_eq!(app.visitor().post("/password/reset", &fields).await.status, 303);
}

#[tokio::test]
async fn the_database_holds_hashes_and_nothing_that_a_link_could_be_made_from() {
    let app = TestApp::start().await;
    let (_, letter) = customer_with_letter(&app, ANN).await;
    let database = app.database().await;
    let hash: Vec<u8> = sqlx::query_scalar("SELECT hash FROM mailed_tokens").fetch_one(&database).await.unwrap();
    assert_eq!(hash, Sha256::digest(letter.token().as_bytes()).to_vec());
    if !app.is_postgres() {
        let files = ["portal.db", "portal.db-wal"].map(|name| std::fs::read(app.path().join(name)).unwrap()).concat();
        let holds = |text: &str| files.windows(text.len()).any(|window| window == text.as_bytes());
        assert!(holds(ANN), "this is not what the database writes");
        assert!(!holds(letter.token()), "the token stands in the database");
    }
}

#[tokio::test]
async fn a_letter_that_waits_holds_no_link_yet() {
    let nowhere = format!("smtp://127.0.0.1:{}", crate::place::free_port());
    let app = TestApp::start_with(&[("MAIL_URL", &nowhere)]).await;
    app.customer(ANN).await;
    post::until("an attempt", || app.logs().contains("mail deferred").then_some(())).await;
    let query = "SELECT id || recipient || message FROM mail_queue";
    let row: String = sqlx::query_scalar(query).fetch_one(&app.database().await).await.unwrap();
    let longest_hex = row.split(|letter: char| !letter.is_ascii_hexdigit()).map(str::len).max().unwrap();
    assert!(row.contains(ANN) && longest_hex < 32, "{row}");
}

#[tokio::test]
async fn the_link_is_sent_again_on_request_but_not_without_end() {
    let app = TestApp::start().await;
    let (mut visitor, first) = customer_with_letter(&app, ANN).await;
    let mut sent = 0;
    let put_off = loop {
        let answer = visitor.post("/account/verification", &[]).await;
        if answer.status != 303 {
            break answer;
        }
        assert_eq!(answer.leads_to(), (303, "/orders"));
        sent += 1;
        assert!(sent < 30, "asked for {sent} letters and got them all");
    };
    assert!(sent >= 3 && put_off.is_page(429), "{sent} letters, then {}", put_off.status);
    assert!(put_off.header("retry-after").unwrap().parse::<u32>().unwrap() >= 1);
    post::all_gone(&app).await;
    let letters = post::letters_to(&app, ANN, CONFIRM);
    assert_eq!(letters.len(), 1 + sent);
    assert_eq!(confirm(&mut visitor, letters[sent].token()).await.status, 303);
    assert_dead(&app, "/verify", first.token()).await;
    execute(&app, "DELETE FROM throttles").await;
    visitor.post("/account/verification", &[]).await;
    post::all_gone(&app).await;
    assert_eq!(post::letters_to(&app, ANN, CONFIRM).len(), 1 + sent, "a confirmed address was asked again");
}

#[tokio::test]
async fn a_link_to_an_address_that_the_account_no_longer_has_is_dead() {
    let app = TestApp::start().await;
    let mut visitor = app.customer(ANN).await;
    visitor.post("/password/forgot", &[("email", ANN)]).await;
    let verify = post::letter_to(&app, ANN, CONFIRM).await;
    let reset = post::letter_to(&app, ANN, NEW_PASSWORD).await;
    execute(&app, "UPDATE users SET email = 'ann@elsewhere.example'").await;
    assert_dead(&app, "/verify", verify.token()).await;
    assert_dead(&app, "/password/reset", reset.token()).await;
    assert!(!is_verified(&app, "ann@elsewhere.example").await);
    let fields = [("email", "ann@elsewhere.example"), ("password", PASSWORD)];
    assert_eq!(app.visitor().post("/login", &fields).await.status, 303, "the password was replaced");
}
