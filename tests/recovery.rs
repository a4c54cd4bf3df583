//! Recovery links in security notices: the owner recovers the account from an attacker who had a session and the password.

use reqwest::Method;
use sha2::{Digest, Sha256};

use crate::app::{ANN, BOB, NEW_PASSWORD, OTHER_PASSWORD, PASSWORD, TestApp};
use crate::http::{self, Response, Visitor};
use crate::mailbox::{self, CONFIRM_NEW, RESET, mails_to};
use crate::notices::{
    ADDRESS_CHANGED, PASSWORD_CHANGED, attacker, change_address, change_password, is_secured, reset_password, use_link,
};
use crate::shop::order;
use crate::token::now;

const ATTACKER: &str = "mallory@evil.example";
const ATTACKER_2: &str = "mallory@worse.example";
const ATTACKER_PASSWORD: &str = NEW_PASSWORD;
const WEEK: i64 = 7 * 86_400;

fn is_expired(response: &Response, status: u16) -> bool {
    response.is_page(status) && response.text().contains("This link no longer works")
}

#[tokio::test]
async fn recovery_restores_the_address_and_ends_the_attackers_access() {
    let app = TestApp::start().await;
    app.import(&[order("#7001", ANN), order("#7002", ATTACKER), order("#7003", ATTACKER_2)]);
    let mut ann = app.verified_customer(ANN).await;
    let mut mallory = attacker(&app, &ann);
    change_password(&mut mallory, PASSWORD, ATTACKER_PASSWORD).await;
    change_address(&app, &mut mallory, ATTACKER, ATTACKER_PASSWORD).await;
    let mut other = app.visitor();
    other.post("/login", &[("email", ATTACKER), ("password", ATTACKER_PASSWORD), ("remember", "on")]).await;
    let body = serde_json::json!({ "email": ATTACKER, "password": ATTACKER_PASSWORD });
    let token = app.api_post("/api/login", &body).await.json()["token"].as_str().unwrap().to_owned();
    app.visitor().post("/password/forgot", &[("email", ATTACKER)]).await;
    let attacker_reset = mailbox::mail_to(&app, ATTACKER, RESET).await;
    mallory.post("/account/email", &[("email", ATTACKER_2), ("password", ATTACKER_PASSWORD)]).await;
    let attacker_change = mailbox::mail_to(&app, ATTACKER_2, CONFIRM_NEW).await;
    assert!(mallory.get("/orders/7002").await.is_page(200) && mallory.get("/orders/7001").await.is_page(200));
    assert_eq!(ann.get("/orders").await.status, 303, "the attack failed");

    let notice = mailbox::mail_to(&app, ANN, ADDRESS_CHANGED).await;
    assert!(notice.text.contains("If this was not you") && notice.html.contains("This was not me"), "{}", notice.text);
    let mut reader = app.visitor();
    let page = reader.get(notice.path()).await;
    assert!(page.is_page(200) && page.text().contains("m…@evil.example"), "{}", page.text());
    assert_eq!(page.header("referrer-policy"), Some("strict-origin"));
    assert_eq!(app.log_in(ATTACKER, ATTACKER_PASSWORD).await.status, 303, "GET changed the account");
    assert!(is_secured(&reader.post("/not-me", &[("token", notice.token())]).await));
    assert!(reader.get("/login").await.text().contains("Your account is secured"));

    for visitor in [&mut mallory, &mut other] {
        assert_eq!(visitor.get("/orders").await.status, 303, "a session of the attacker is active");
    }
    assert_eq!(app.api_get("/api/userOrders", &token).await.status, 403, "an API token of the attacker is valid");
    assert_eq!(
        reset_password(&app, &attacker_reset, ATTACKER_PASSWORD).await,
        422,
        "the attacker's reset link is valid"
    );
    let fields = [("token", attacker_change.token()), ("password", ATTACKER_PASSWORD)];
    assert_eq!(app.visitor().post("/verify", &fields).await.status, 422, "the attacker's email change is pending");
    for table in ["trusted_browsers", "trusted_networks"] {
        assert_eq!(app.count(table).await, 0, "{table}");
    }
    for email in [ANN, ATTACKER] {
        for password in [PASSWORD, ATTACKER_PASSWORD] {
            assert_eq!(app.log_in(email, password).await.status, 401, "{email}");
        }
    }

    let reset = mailbox::mail_to(&app, ANN, RESET).await;
    assert!(reset.text.contains("Your account was secured"), "{}", reset.text);
    assert_eq!(reset_password(&app, &reset, OTHER_PASSWORD).await, 303);
    let mut ann = app.new_session(ANN, OTHER_PASSWORD).await;
    assert!(ann.get("/orders/7001").await.is_page(200), "the owner's order is missing");
    assert_eq!(ann.get("/orders/7002").await.status, 404, "the account has an order of the attacker's address");
    let account = ann.get("/account/activity").await.text();
    for words in ["Account secured by the link", "Email address restored by the link"] {
        assert!(account.contains(words), "{words}: {account}");
    }
    let mut mallory = app.customer(ATTACKER).await;
    assert_eq!(mallory.get("/orders/7002").await.status, 404, "before the address is confirmed");
    app.run_ok(&["user", "verify", ATTACKER]);
    assert!(mallory.get("/orders/7002").await.is_page(200), "the order was not released");
    assert!(is_expired(&use_link(&app, &notice).await, 422), "the token was valid twice");
}

#[tokio::test]
async fn recovery_after_a_password_change_keeps_the_address() {
    let app = TestApp::start().await;
    app.import(&[order("#7001", ANN)]);
    let ann = app.verified_customer(ANN).await;
    let mut mallory = attacker(&app, &ann);
    change_password(&mut mallory, PASSWORD, ATTACKER_PASSWORD).await;
    let notice = mailbox::mail_to(&app, ANN, PASSWORD_CHANGED).await;
    assert!(is_secured(&use_link(&app, &notice).await));
    assert_eq!(mallory.get("/orders").await.status, 303);
    assert_eq!((app.log_in(ANN, ATTACKER_PASSWORD).await.status, app.log_in(ANN, PASSWORD).await.status), (401, 401));
    let reset = mailbox::mail_to(&app, ANN, RESET).await;
    assert_eq!(reset_password(&app, &reset, OTHER_PASSWORD).await, 303);
    let mut ann = app.new_session(ANN, OTHER_PASSWORD).await;
    assert!(ann.get("/orders/7001").await.is_page(200));
    assert!(!ann.get("/account/activity").await.text().contains("restored"));
}

#[tokio::test]
async fn unusable_password_hash_has_usual_parameters() {
    let app = TestApp::start().await;
    let mut ann = app.verified_customer(ANN).await;
    change_password(&mut ann, PASSWORD, ATTACKER_PASSWORD).await;
    let notice = mailbox::mail_to(&app, ANN, PASSWORD_CHANGED).await;
    assert!(is_secured(&use_link(&app, &notice).await));
    let hash: String =
        sqlx::query_scalar("SELECT password_hash FROM users").fetch_one(&app.database().await).await.unwrap();
    assert!(hash.starts_with("$argon2id$v=19$m=19456,t=2,p=1$"), "other parameters: {hash}");
    for password in [PASSWORD, ATTACKER_PASSWORD, "", &hash] {
        assert_eq!(app.log_in(ANN, password).await.status, 401, "{password}");
    }
    let body = serde_json::json!({ "email": ANN, "password": ATTACKER_PASSWORD });
    assert_eq!(app.api_post("/api/login", &body).await.status, 401);
    // A reset request works too.
    app.visitor().post("/password/forgot", &[("email", ANN)]).await;
    mailbox::wait_for_empty_queue(&app).await;
    let resets = mails_to(&app, ANN, RESET);
    assert_eq!(resets.len(), 2, "the second request sent no mail");
    assert_eq!(reset_password(&app, &resets[1], OTHER_PASSWORD).await, 303);
    assert_eq!(app.log_in(ANN, OTHER_PASSWORD).await.status, 303);
}

#[tokio::test]
async fn recovery_revokes_the_links_to_later_addresses() {
    let app = TestApp::start().await;
    let ann = app.verified_customer(ANN).await;
    let mut mallory = attacker(&app, &ann);
    change_address(&app, &mut mallory, ATTACKER, PASSWORD).await;
    change_password(&mut mallory, PASSWORD, ATTACKER_PASSWORD).await;
    change_address(&app, &mut mallory, ATTACKER_2, ATTACKER_PASSWORD).await;
    change_password(&mut mallory, ATTACKER_PASSWORD, PASSWORD).await;
    mailbox::wait_for_empty_queue(&app).await;
    let of = |to, subject| mails_to(&app, to, subject).remove(0);
    let later = [of(ATTACKER, PASSWORD_CHANGED), of(ATTACKER, ADDRESS_CHANGED), of(ATTACKER_2, PASSWORD_CHANGED)];
    for mail in &later {
        assert!(app.get(mail.path()).await.is_page(200), "{} to {}", mail.subject, mail.to);
    }
    assert!(is_secured(&use_link(&app, &of(ANN, ADDRESS_CHANGED)).await));
    for mail in &later {
        assert!(is_expired(&app.get(mail.path()).await, 404));
        assert!(
            is_expired(&use_link(&app, mail).await, 422),
            "{} to {} is valid after the recovery",
            mail.subject,
            mail.to
        );
    }
    let reset = mailbox::mail_to(&app, ANN, RESET).await;
    assert_eq!(reset_password(&app, &reset, OTHER_PASSWORD).await, 303);
    app.new_session(ANN, OTHER_PASSWORD).await;
    for address in [ATTACKER, ATTACKER_2] {
        app.customer(address).await;
    }
}

#[tokio::test]
async fn recovery_of_a_later_address_keeps_earlier_links_valid() {
    let app = TestApp::start().await;
    let ann = app.verified_customer(ANN).await;
    let mut mallory = attacker(&app, &ann);
    change_address(&app, &mut mallory, ATTACKER, PASSWORD).await;
    change_address(&app, &mut mallory, ATTACKER_2, PASSWORD).await;
    let notice_to_attacker = mailbox::mail_to(&app, ATTACKER, ADDRESS_CHANGED).await;
    assert!(is_secured(&use_link(&app, &notice_to_attacker).await));
    let reset = mailbox::mail_to(&app, ATTACKER, RESET).await;
    assert_eq!(reset_password(&app, &reset, ATTACKER_PASSWORD).await, 303);
    assert_eq!(app.log_in(ATTACKER, ATTACKER_PASSWORD).await.status, 303);
    let notice = mailbox::mail_to(&app, ATTACKER, PASSWORD_CHANGED).await;
    assert!(is_secured(&use_link(&app, &mailbox::mail_to(&app, ANN, ADDRESS_CHANGED).await).await));
    assert_eq!(app.log_in(ATTACKER, ATTACKER_PASSWORD).await.status, 401);
    let reset = mailbox::mail_to(&app, ANN, RESET).await;
    assert_eq!(reset_password(&app, &reset, OTHER_PASSWORD).await, 303);
    assert_eq!(app.log_in(ANN, OTHER_PASSWORD).await.status, 303);
    assert!(is_expired(&use_link(&app, &notice).await, 422), "a link from before the recovery is valid");
}

#[tokio::test]
async fn password_change_keeps_recovery_links_valid() {
    let app = TestApp::start().await;
    let ann = app.verified_customer(ANN).await;
    let mut mallory = attacker(&app, &ann);
    change_address(&app, &mut mallory, ATTACKER, PASSWORD).await;
    let notice = mailbox::mail_to(&app, ANN, ADDRESS_CHANGED).await;
    change_password(&mut mallory, PASSWORD, ATTACKER_PASSWORD).await;
    app.visitor().post("/password/forgot", &[("email", ATTACKER)]).await;
    let reset = mailbox::mail_to(&app, ATTACKER, RESET).await;
    assert_eq!(reset_password(&app, &reset, PASSWORD).await, 303);
    assert!(is_secured(&use_link(&app, &notice).await));
    assert_eq!(app.log_in(ATTACKER, PASSWORD).await.status, 401);
}

#[tokio::test]
async fn recovery_link_is_single_use_under_concurrency() {
    let app = TestApp::start().await;
    let mut ann = app.verified_customer(ANN).await;
    change_password(&mut ann, PASSWORD, ATTACKER_PASSWORD).await;
    let notice = mailbox::mail_to(&app, ANN, PASSWORD_CHANGED).await;
    let responses = futures_util::future::join_all((0..4).map(|_| use_link(&app, &notice))).await;
    assert_eq!(responses.iter().filter(|response| is_secured(response)).count(), 1);
    assert_eq!(responses.iter().filter(|response| is_expired(response, 422)).count(), 3);
    mailbox::wait_for_empty_queue(&app).await;
    assert_eq!(mails_to(&app, ANN, RESET).len(), 1);
}

#[tokio::test]
async fn recovery_link_and_reserved_address_expire_after_seven_days() {
    let app = TestApp::start().await;
    let mut ann = app.verified_customer(ANN).await;
    change_address(&app, &mut ann, "ann@elsewhere.example", PASSWORD).await;
    let notice = mailbox::mail_to(&app, ANN, ADDRESS_CHANGED).await;
    let age = async |seconds: i64| {
        let sql =
            format!("UPDATE recoveries SET created_at = created_at - {seconds}, expires_at = expires_at - {seconds}");
        assert_eq!(app.execute(&sql).await, 1);
    };
    let mut bob = app.verified_customer(BOB).await;
    let ask = async |bob: &mut Visitor| {
        app.execute("DELETE FROM rate_limits").await;
        bob.post("/account/email", &[("email", ANN), ("password", PASSWORD)]).await
    };
    let sign_up = async || {
        let response = app.visitor().post("/signup", &[("email", ANN), ("password", PASSWORD)]).await;
        let body = serde_json::json!({ "email": ANN, "password": PASSWORD });
        (response, app.api_post("/api/createNewUser", &body).await.status)
    };
    age(WEEK - 60).await;
    // A reserved address behaves like a taken one: sign-up shows an error, an email change sends no link.
    let (rejected, by_api) = sign_up().await;
    assert!(rejected.is_page(422) && rejected.text().contains("already has an account"), "{}", rejected.status);
    assert_eq!(by_api, 422);
    assert_eq!(ask(&mut bob).await.redirect(), (303, "/account#email"));
    mailbox::wait_for_empty_queue(&app).await;
    assert!(mails_to(&app, ANN, CONFIRM_NEW).is_empty(), "mail to a reserved address");
    assert_eq!(app.count("users WHERE email = 'ann@example.com'").await, 0);
    assert!(app.get(notice.path()).await.is_page(200));

    age(60).await;
    assert!(is_expired(&app.get(notice.path()).await, 404));
    assert!(is_expired(&use_link(&app, &notice).await, 422), "an expired token is valid");
    assert_eq!(app.log_in("ann@elsewhere.example", PASSWORD).await.status, 303);
    ask(&mut bob).await;
    let link = mailbox::mail_to(&app, ANN, CONFIRM_NEW).await;
    assert_eq!(bob.post("/verify", &[("token", link.token())]).await.redirect(), (303, "/orders"));
    assert_eq!(app.log_in(ANN, PASSWORD).await.status, 303, "the address is reserved after seven days");
}

#[tokio::test]
async fn email_change_to_a_reserved_address_fails_at_confirmation() {
    let app = TestApp::start().await;
    let mut ann = app.verified_customer(ANN).await;
    let mut bob = app.verified_customer(BOB).await;
    change_address(&app, &mut ann, "ann@elsewhere.example", PASSWORD).await;
    // As if the token was issued before the address was reserved.
    let token = "5ca1ab1e".repeat(8);
    let link = "INSERT INTO email_tokens (hash, user_id, purpose, email, created_at, expires_at)
         SELECT $1, id, 'change-email', 'ann@example.com', 0, $2 FROM users WHERE email = 'bob@example.com'";
    let link = sqlx::query(link).bind(Sha256::digest(&token).to_vec()).bind(now() + 600);
    link.execute(&app.database().await).await.unwrap();
    assert_eq!(bob.post("/verify", &[("token", &token)]).await.status, 422);
    assert!(bob.get("/account").await.text().contains(BOB));
    change_address(&app, &mut ann, ANN, PASSWORD).await;
    assert_eq!(app.log_in(ANN, PASSWORD).await.status, 303, "the owner could not restore the address");
}

#[tokio::test]
async fn unconfirmed_address_gets_no_recovery_link() {
    let app = TestApp::start().await;
    let mut attacker = app.customer(ANN).await;
    change_password(&mut attacker, PASSWORD, ATTACKER_PASSWORD).await;
    change_address(&app, &mut attacker, ATTACKER, ATTACKER_PASSWORD).await;
    mailbox::wait_for_empty_queue(&app).await;
    let to_ann = mailbox::mails(&app).into_iter().filter(|mail| mail.to == ANN && mail.raw.contains("not-me"));
    assert_eq!(to_ann.count(), 0, "a notice to an unconfirmed address");
    assert_eq!(app.count("recoveries").await, 0);
    app.customer(ANN).await;
}

#[tokio::test]
async fn recovery_link_of_a_disabled_account_does_nothing() {
    let app = TestApp::start().await;
    let mut ann = app.verified_customer(ANN).await;
    change_password(&mut ann, PASSWORD, ATTACKER_PASSWORD).await;
    let notice = mailbox::mail_to(&app, ANN, PASSWORD_CHANGED).await;
    app.run_ok(&["user", "disable", ANN]);
    assert!(is_expired(&app.get(notice.path()).await, 404));
    assert!(is_expired(&use_link(&app, &notice).await, 422));
    app.run_ok(&["user", "enable", ANN]);
    assert_eq!(app.log_in(ANN, ATTACKER_PASSWORD).await.status, 303, "the password was made unusable");
    assert!(is_secured(&use_link(&app, &notice).await));
}

#[tokio::test]
async fn recovery_resets_the_limits_of_the_account() {
    let app = TestApp::start_with(&[("TRUSTED_PROXIES", "127.0.0.1")]).await;
    let mut ann = app.verified_customer(ANN).await;
    change_password(&mut ann, PASSWORD, ATTACKER_PASSWORD).await;
    let notice = mailbox::mail_to(&app, ANN, PASSWORD_CHANGED).await;
    let guess = || app.request(Method::POST, "/login").header("x-forwarded-for", "203.0.113.9");
    let fields = |password| [("email", ANN), ("password", password)];
    for _ in 0..10 {
        http::send(guess().form(&fields(PASSWORD))).await;
    }
    assert_eq!(http::send(guess().form(&fields(ATTACKER_PASSWORD))).await.status, 429);
    assert!(is_secured(&use_link(&app, &notice).await));
    assert_eq!(http::send(guess().form(&fields(ATTACKER_PASSWORD))).await.status, 401);
}

#[tokio::test]
async fn recovery_link_from_another_site_gets_the_reload_page() {
    let app = TestApp::start().await;
    let mut ann = app.verified_customer(ANN).await;
    change_password(&mut ann, PASSWORD, ATTACKER_PASSWORD).await;
    let notice = mailbox::mail_to(&app, ANN, PASSWORD_CHANGED).await;
    let arrival = app.request(Method::GET, notice.path()).header("sec-fetch-site", "cross-site");
    let arrival = http::send(arrival.header("sec-fetch-mode", "navigate")).await;
    assert!(arrival.status == 200 && arrival.text().contains("http-equiv=\"refresh\""), "{}", arrival.text());
    assert_eq!(arrival.header("referrer-policy"), Some("strict-origin"));
}

#[tokio::test]
async fn recovery_token_is_in_neither_database_nor_log() {
    let mut app = TestApp::start_with(&[("RUST_LOG", "trace")]).await;
    let mut ann = app.verified_customer(ANN).await;
    change_password(&mut ann, PASSWORD, ATTACKER_PASSWORD).await;
    let notice = mailbox::mail_to(&app, ANN, PASSWORD_CHANGED).await;
    let hash: Vec<u8> =
        sqlx::query_scalar("SELECT hash FROM recovery_tokens").fetch_one(&app.database().await).await.unwrap();
    assert_eq!(hash, Sha256::digest(notice.token()).to_vec());
    app.get(notice.path()).await;
    assert!(is_secured(&use_link(&app, &notice).await));
    use_link(&app, &notice).await;
    app.stop_with("TERM");
    let logs = app.logs();
    assert!(logs.contains("account secured by recovery link") && logs.contains("/not-me"), "the log is empty");
    let line = logs.lines().find(|line| line.contains(notice.token()));
    assert!(line.is_none(), "the log contains the token: {}", line.unwrap());
}

#[tokio::test]
async fn reserved_addresses_are_part_of_the_data_export() {
    let app = TestApp::start().await;
    let mut ann = app.verified_customer(ANN).await;
    change_address(&app, &mut ann, "ann@elsewhere.example", PASSWORD).await;
    let export = ann.post("/account/export", &[("password", PASSWORD)]).await.json();
    assert_eq!(export["kept_addresses"][0]["email"], ANN);
    assert!(export["kept_addresses"][0]["until"].as_str().unwrap().ends_with('Z'));
}
