//! Recovery links: the owner takes the account back from an attacker who had a cookie and the password.

use reqwest::Method;
use sha2::{Digest, Sha256};
use sqlx::AssertSqlSafe;

use crate::app::{PASSWORD, TestApp};
use crate::http::{self, Answer, Visitor};
use crate::mail_server::{MailServer, Mood};
use crate::mailbox::{self, CONFIRM_NEW, NEW_PASSWORD, SentMail, mails_to};
use crate::shop::{export, order};
use crate::token::now;

const ANN: &str = "ann@example.com";
const EVIL: &str = "mallory@evil.example";
const WORSE: &str = "mallory@worse.example";
const ATTACKERS: &str = "eleven brass owls in a row";
const OWNERS: &str = "a quiet harbour at dusk";
const PASSWORD_CHANGED: &str = "Your password was changed";
const ADDRESS_CHANGED: &str = "Your e-mail address was changed";
const WEEK: i64 = 7 * 86_400;

async fn run(app: &TestApp, sql: &str) -> u64 {
    sqlx::query(AssertSqlSafe(sql)).execute(&app.database().await).await.unwrap().rows_affected()
}

async fn count(app: &TestApp, from: &str) -> i64 {
    sqlx::query_scalar(AssertSqlSafe(format!("SELECT COUNT(*) FROM {from}")))
        .fetch_one(&app.database().await)
        .await
        .unwrap()
}

async fn log_in(app: &TestApp, email: &str, password: &str) -> u16 {
    app.visitor().post("/login", &[("email", email), ("password", password)]).await.status
}

async fn log_in_as(app: &TestApp, email: &str, password: &str) -> Visitor {
    let mut visitor = app.visitor();
    assert_eq!(visitor.post("/login", &[("email", email), ("password", password)]).await.leads_to(), (303, "/orders"));
    visitor
}

async fn change_password(visitor: &mut Visitor, from: &str, to: &str) {
    let fields = [("current_password", from), ("new_password", to)];
    assert_eq!(visitor.post("/account/password", &fields).await.leads_to(), (303, "/account#password"));
}

/// Changes the address, including the confirmation.
async fn change_address(app: &TestApp, visitor: &mut Visitor, to: &str, password: &str) {
    let before = mails_to(app, to, CONFIRM_NEW).len();
    let asked = visitor.post("/account/email", &[("email", to), ("password", password)]).await;
    assert_eq!(asked.leads_to(), (303, "/account#email"));
    let link =
        mailbox::until("a link to the new address", || mails_to(app, to, CONFIRM_NEW).into_iter().nth(before)).await;
    assert_eq!(visitor.post("/verify", &[("token", link.token())]).await.leads_to(), (303, "/orders"), "to {to}");
}

async fn press(app: &TestApp, mail: &SentMail) -> Answer {
    app.visitor().post("/not-me", &[("token", mail.token())]).await
}

fn is_secured(answer: &Answer) -> bool {
    answer.leads_to() == (303, "/login")
}

fn is_expired(answer: &Answer, status: u16) -> bool {
    answer.is_page(status) && answer.text().contains("That link no longer works")
}

async fn choose_password(app: &TestApp, mail: &SentMail, password: &str) -> u16 {
    app.visitor().post("/password/reset", &[("token", mail.token()), ("password", password)]).await.status
}

/// The owner, with a confirmed address.
async fn owner(app: &TestApp) -> Visitor {
    app.verified_customer(ANN).await
}

/// The attacker, in the owner's session.
fn thief(app: &TestApp, owner: &Visitor) -> Visitor {
    let mut thief = app.visitor();
    thief.bring(&owner.token());
    thief
}

#[tokio::test]
async fn recovery_restores_the_address_and_locks_the_attacker_out() {
    let app = TestApp::start().await;
    let file = app.write("orders.csv", export(&[order("#7001", ANN), order("#7002", EVIL), order("#7003", WORSE)]));
    app.done(&["import", &file]);
    let mut ann = owner(&app).await;
    let mut mallory = thief(&app, &ann);
    change_password(&mut mallory, PASSWORD, ATTACKERS).await;
    change_address(&app, &mut mallory, EVIL, ATTACKERS).await;
    let mut script = app.visitor();
    script.post("/login", &[("email", EVIL), ("password", ATTACKERS), ("remember", "on")]).await;
    let body = serde_json::json!({ "email": EVIL, "password": ATTACKERS });
    let token = app.api_post("/api/login", &body).await.json()["token"].as_str().unwrap().to_owned();
    app.visitor().post("/password/forgot", &[("email", EVIL)]).await;
    let attackers_reset = mailbox::mail_to(&app, EVIL, NEW_PASSWORD).await;
    mallory.post("/account/email", &[("email", WORSE), ("password", ATTACKERS)]).await;
    let attackers_change = mailbox::mail_to(&app, WORSE, CONFIRM_NEW).await;
    assert!(mallory.get("/orders/7002").await.is_page(200) && mallory.get("/orders/7001").await.is_page(200));
    assert_eq!(ann.get("/orders").await.status, 303, "the takeover failed");

    let notice = mailbox::mail_to(&app, ANN, ADDRESS_CHANGED).await;
    assert!(notice.text.contains("If this was not you") && notice.html.contains("This was not me"), "{}", notice.text);
    let mut reader = app.visitor();
    let page = reader.get(notice.path()).await;
    assert!(page.is_page(200) && page.text().contains("m…@evil.example"), "{}", page.text());
    assert_eq!(page.header("referrer-policy"), Some("strict-origin"));
    assert_eq!(log_in(&app, EVIL, ATTACKERS).await, 303, "showing the page changed the account");
    assert!(is_secured(&reader.post("/not-me", &[("token", notice.token())]).await));
    assert!(reader.get("/login").await.text().contains("The account is secured"));

    for visitor in [&mut mallory, &mut script] {
        assert_eq!(visitor.get("/orders").await.status, 303, "a session of the attacker is active");
    }
    assert_eq!(app.api_get("/api/userOrders", &token).await.status, 403, "an API token of the attacker is valid");
    assert_eq!(choose_password(&app, &attackers_reset, ATTACKERS).await, 422, "the attacker's reset link is valid");
    let fields = [("token", attackers_change.token()), ("password", ATTACKERS)];
    assert_eq!(app.visitor().post("/verify", &fields).await.status, 422, "the attacker's email change is pending");
    for table in ["trusted_browsers", "trusted_networks"] {
        assert_eq!(count(&app, table).await, 0, "{table}");
    }
    for email in [ANN, EVIL] {
        for password in [PASSWORD, ATTACKERS] {
            assert_eq!(log_in(&app, email, password).await, 401, "{email}");
        }
    }

    let reset = mailbox::mail_to(&app, ANN, NEW_PASSWORD).await;
    assert!(reset.text.contains("Your account was secured"), "{}", reset.text);
    assert_eq!(choose_password(&app, &reset, OWNERS).await, 303);
    let mut ann = log_in_as(&app, ANN, OWNERS).await;
    assert!(ann.get("/orders/7001").await.is_page(200), "the owner's order is gone");
    assert_eq!(ann.get("/orders/7002").await.status, 404, "an order of the attacker's address stays");
    let account = ann.get("/account/activity").await.text();
    for words in ["Account secured by the link", "E-mail address restored by the link"] {
        assert!(account.contains(words), "{words}: {account}");
    }
    let mut mallory = app.customer(EVIL).await;
    assert_eq!(mallory.get("/orders/7002").await.status, 404, "before the address is confirmed");
    app.done(&["user", "verify", EVIL]);
    assert!(mallory.get("/orders/7002").await.is_page(200), "the order was not released");
    assert!(is_expired(&press(&app, &notice).await, 422), "the token was valid twice");
}

#[tokio::test]
async fn recovery_after_a_password_change_keeps_the_address() {
    let app = TestApp::start().await;
    let file = app.write("orders.csv", export(&[order("#7001", ANN)]));
    app.done(&["import", &file]);
    let ann = owner(&app).await;
    let mut mallory = thief(&app, &ann);
    change_password(&mut mallory, PASSWORD, ATTACKERS).await;
    let notice = mailbox::mail_to(&app, ANN, PASSWORD_CHANGED).await;
    assert!(is_secured(&press(&app, &notice).await));
    assert_eq!(mallory.get("/orders").await.status, 303);
    assert_eq!((log_in(&app, ANN, ATTACKERS).await, log_in(&app, ANN, PASSWORD).await), (401, 401));
    let reset = mailbox::mail_to(&app, ANN, NEW_PASSWORD).await;
    assert_eq!(choose_password(&app, &reset, OWNERS).await, 303);
    let mut ann = log_in_as(&app, ANN, OWNERS).await;
    assert!(ann.get("/orders/7001").await.is_page(200));
    assert!(!ann.get("/account/activity").await.text().contains("restored"));
}

#[tokio::test]
async fn unusable_password_takes_the_usual_time_and_never_matches() {
    let app = TestApp::start().await;
    let mut ann = owner(&app).await;
    change_password(&mut ann, PASSWORD, ATTACKERS).await;
    let notice = mailbox::mail_to(&app, ANN, PASSWORD_CHANGED).await;
    assert!(is_secured(&press(&app, &notice).await));
    let hash: String =
        sqlx::query_scalar("SELECT password_hash FROM users").fetch_one(&app.database().await).await.unwrap();
    assert!(hash.starts_with("$argon2id$v=19$m=19456,t=2,p=1$"), "other parameters: {hash}");
    for password in [PASSWORD, ATTACKERS, "", &hash] {
        assert_eq!(log_in(&app, ANN, password).await, 401, "{password}");
    }
    let body = serde_json::json!({ "email": ANN, "password": ATTACKERS });
    assert_eq!(app.api_post("/api/login", &body).await.status, 401);
    // The usual reset request works as well.
    app.visitor().post("/password/forgot", &[("email", ANN)]).await;
    mailbox::all_gone(&app).await;
    let resets = mails_to(&app, ANN, NEW_PASSWORD);
    assert_eq!(resets.len(), 2, "no mail for another request");
    assert_eq!(choose_password(&app, &resets[1], OWNERS).await, 303);
    assert_eq!(log_in(&app, ANN, OWNERS).await, 303);
}

#[tokio::test]
async fn recovery_revokes_the_links_to_later_addresses() {
    let app = TestApp::start().await;
    let ann = owner(&app).await;
    let mut mallory = thief(&app, &ann);
    change_address(&app, &mut mallory, EVIL, PASSWORD).await;
    change_password(&mut mallory, PASSWORD, ATTACKERS).await;
    change_address(&app, &mut mallory, WORSE, ATTACKERS).await;
    change_password(&mut mallory, ATTACKERS, PASSWORD).await;
    mailbox::all_gone(&app).await;
    let of = |to, subject| mails_to(&app, to, subject).remove(0);
    let later = [of(EVIL, PASSWORD_CHANGED), of(EVIL, ADDRESS_CHANGED), of(WORSE, PASSWORD_CHANGED)];
    for mail in &later {
        assert!(app.get(mail.path()).await.is_page(200), "{} to {}", mail.subject, mail.to);
    }
    assert!(is_secured(&press(&app, &of(ANN, ADDRESS_CHANGED)).await));
    for mail in &later {
        assert!(is_expired(&app.get(mail.path()).await, 404));
        assert!(is_expired(&press(&app, mail).await, 422), "{} to {} undoes the recovery", mail.subject, mail.to);
    }
    let reset = mailbox::mail_to(&app, ANN, NEW_PASSWORD).await;
    assert_eq!(choose_password(&app, &reset, OWNERS).await, 303);
    log_in_as(&app, ANN, OWNERS).await;
    for address in [EVIL, WORSE] {
        app.customer(address).await;
    }
}

#[tokio::test]
async fn recovery_of_a_later_address_keeps_earlier_links_valid() {
    let app = TestApp::start().await;
    let ann = owner(&app).await;
    let mut mallory = thief(&app, &ann);
    change_address(&app, &mut mallory, EVIL, PASSWORD).await;
    change_address(&app, &mut mallory, WORSE, PASSWORD).await;
    let attackers = mailbox::mail_to(&app, EVIL, ADDRESS_CHANGED).await;
    assert!(is_secured(&press(&app, &attackers).await));
    let reset = mailbox::mail_to(&app, EVIL, NEW_PASSWORD).await;
    assert_eq!(choose_password(&app, &reset, ATTACKERS).await, 303);
    assert_eq!(log_in(&app, EVIL, ATTACKERS).await, 303);
    let told = mailbox::mail_to(&app, EVIL, PASSWORD_CHANGED).await;
    assert!(is_secured(&press(&app, &mailbox::mail_to(&app, ANN, ADDRESS_CHANGED).await).await));
    assert_eq!(log_in(&app, EVIL, ATTACKERS).await, 401);
    let reset = mailbox::mail_to(&app, ANN, NEW_PASSWORD).await;
    assert_eq!(choose_password(&app, &reset, OWNERS).await, 303);
    assert_eq!(log_in(&app, ANN, OWNERS).await, 303);
    assert!(is_expired(&press(&app, &told).await, 422), "a link from before the recovery undoes it");
}

#[tokio::test]
async fn password_change_keeps_recovery_links_valid() {
    let app = TestApp::start().await;
    let ann = owner(&app).await;
    let mut mallory = thief(&app, &ann);
    change_address(&app, &mut mallory, EVIL, PASSWORD).await;
    let notice = mailbox::mail_to(&app, ANN, ADDRESS_CHANGED).await;
    change_password(&mut mallory, PASSWORD, ATTACKERS).await;
    app.visitor().post("/password/forgot", &[("email", EVIL)]).await;
    let reset = mailbox::mail_to(&app, EVIL, NEW_PASSWORD).await;
    assert_eq!(choose_password(&app, &reset, PASSWORD).await, 303);
    assert!(is_secured(&press(&app, &notice).await));
    assert_eq!(log_in(&app, EVIL, PASSWORD).await, 401);
}

#[tokio::test]
async fn recovery_link_is_single_use_under_concurrency() {
    let app = TestApp::start().await;
    let mut ann = owner(&app).await;
    change_password(&mut ann, PASSWORD, ATTACKERS).await;
    let notice = mailbox::mail_to(&app, ANN, PASSWORD_CHANGED).await;
    let answers = futures_util::future::join_all((0..4).map(|_| press(&app, &notice))).await;
    assert_eq!(answers.iter().filter(|answer| is_secured(answer)).count(), 1);
    assert_eq!(answers.iter().filter(|answer| is_expired(answer, 422)).count(), 3);
    mailbox::all_gone(&app).await;
    assert_eq!(mails_to(&app, ANN, NEW_PASSWORD).len(), 1);
}

#[tokio::test]
async fn recovery_link_and_reserved_address_expire_after_seven_days() {
    let app = TestApp::start().await;
    let mut ann = owner(&app).await;
    change_address(&app, &mut ann, "ann@elsewhere.example", PASSWORD).await;
    let notice = mailbox::mail_to(&app, ANN, ADDRESS_CHANGED).await;
    let age = async |seconds: i64| {
        let sql =
            format!("UPDATE recoveries SET created_at = created_at - {seconds}, expires_at = expires_at - {seconds}");
        assert_eq!(run(&app, &sql).await, 1);
    };
    let mut bob = app.verified_customer("bob@example.com").await;
    let ask = async |bob: &mut Visitor| {
        run(&app, "DELETE FROM rate_limits").await;
        bob.post("/account/email", &[("email", ANN), ("password", PASSWORD)]).await
    };
    let sign_up = async || {
        let answer = app.visitor().post("/signup", &[("email", ANN), ("password", PASSWORD)]).await;
        let body = serde_json::json!({ "email": ANN, "password": PASSWORD });
        (answer, app.api_post("/api/createNewUser", &body).await.status)
    };
    age(WEEK - 60).await;
    // Like a taken address: sign-up says so, an email change does not and sends no link.
    let (refused, by_api) = sign_up().await;
    assert!(refused.is_page(422) && refused.text().contains("already has an account"), "{}", refused.status);
    assert_eq!(by_api, 422);
    assert_eq!(ask(&mut bob).await.leads_to(), (303, "/account#email"));
    mailbox::all_gone(&app).await;
    assert!(mails_to(&app, ANN, CONFIRM_NEW).is_empty(), "mail to a reserved address");
    assert_eq!(count(&app, "users WHERE email = 'ann@example.com'").await, 0);
    assert!(app.get(notice.path()).await.is_page(200));

    age(60).await;
    assert!(is_expired(&app.get(notice.path()).await, 404));
    assert!(is_expired(&press(&app, &notice).await, 422), "an expired token is valid");
    assert_eq!(log_in(&app, "ann@elsewhere.example", PASSWORD).await, 303);
    ask(&mut bob).await;
    let link = mailbox::mail_to(&app, ANN, CONFIRM_NEW).await;
    assert_eq!(bob.post("/verify", &[("token", link.token())]).await.leads_to(), (303, "/orders"));
    assert_eq!(log_in(&app, ANN, PASSWORD).await, 303, "the address cannot be taken after seven days");
}

#[tokio::test]
async fn email_change_to_a_reserved_address_fails_at_confirmation() {
    let app = TestApp::start().await;
    let mut ann = owner(&app).await;
    let mut bob = app.verified_customer("bob@example.com").await;
    change_address(&app, &mut ann, "ann@elsewhere.example", PASSWORD).await;
    // As if the token was issued before the address was reserved.
    let token = "5ca1ab1e".repeat(8);
    let link = "INSERT INTO email_tokens (hash, user_id, purpose, email, created_at, expires_at)
         SELECT $1, id, 'change-email', 'ann@example.com', 0, $2 FROM users WHERE email = 'bob@example.com'";
    let link = sqlx::query(link).bind(Sha256::digest(&token).to_vec()).bind(now() + 600);
    link.execute(&app.database().await).await.unwrap();
    assert_eq!(bob.post("/verify", &[("token", &token)]).await.status, 422);
    assert!(bob.get("/account").await.text().contains("bob@example.com"));
    change_address(&app, &mut ann, ANN, PASSWORD).await;
    assert_eq!(log_in(&app, ANN, PASSWORD).await, 303, "the owner could not restore the address");
}

#[tokio::test]
async fn unconfirmed_address_gets_no_recovery_link() {
    let app = TestApp::start().await;
    let mut attacker = app.customer(ANN).await;
    change_password(&mut attacker, PASSWORD, ATTACKERS).await;
    change_address(&app, &mut attacker, EVIL, ATTACKERS).await;
    mailbox::all_gone(&app).await;
    let to_ann = mailbox::mails(&app).into_iter().filter(|mail| mail.to == ANN && mail.raw.contains("not-me"));
    assert_eq!(to_ann.count(), 0, "a notice to an unconfirmed address");
    assert_eq!(count(&app, "recoveries").await, 0);
    app.customer(ANN).await;
}

#[tokio::test]
async fn merged_notice_keeps_the_link_of_the_first_notice_valid() {
    let app = TestApp::start().await;
    let mut ann = owner(&app).await;
    change_password(&mut ann, PASSWORD, ATTACKERS).await;
    change_password(&mut ann, ATTACKERS, OWNERS).await;
    mailbox::all_gone(&app).await;
    let notice = mailbox::mail_to(&app, ANN, PASSWORD_CHANGED).await;
    assert!(is_secured(&press(&app, &notice).await));
    assert_eq!(count(&app, "recoveries").await, 0);
    // A second attack within ten minutes: the owner gets another notice, because the first link is consumed.
    let reset = mailbox::mail_to(&app, ANN, NEW_PASSWORD).await;
    assert_eq!(choose_password(&app, &reset, ATTACKERS).await, 303);
    mailbox::all_gone(&app).await;
    let notices = mails_to(&app, ANN, PASSWORD_CHANGED);
    assert_eq!(notices.len(), 2, "the notice was merged with one whose token is consumed");
    assert!(is_secured(&press(&app, &notices[1]).await));
}

#[tokio::test]
async fn recovery_link_of_a_disabled_account_does_nothing() {
    let app = TestApp::start().await;
    let mut ann = owner(&app).await;
    change_password(&mut ann, PASSWORD, ATTACKERS).await;
    let notice = mailbox::mail_to(&app, ANN, PASSWORD_CHANGED).await;
    app.done(&["user", "disable", ANN]);
    assert!(is_expired(&app.get(notice.path()).await, 404));
    assert!(is_expired(&press(&app, &notice).await, 422));
    app.done(&["user", "enable", ANN]);
    assert_eq!(log_in(&app, ANN, ATTACKERS).await, 303, "the password was made unusable");
    assert!(is_secured(&press(&app, &notice).await));
}

#[tokio::test]
async fn recovery_resets_the_limits_of_the_account() {
    let app = TestApp::start_with(&[("TRUSTED_PROXIES", "127.0.0.1")]).await;
    let mut ann = owner(&app).await;
    change_password(&mut ann, PASSWORD, ATTACKERS).await;
    let notice = mailbox::mail_to(&app, ANN, PASSWORD_CHANGED).await;
    let guess = || app.request(Method::POST, "/login").header("x-forwarded-for", "203.0.113.9");
    let fields = |password| [("email", ANN), ("password", password)];
    for _ in 0..10 {
        http::send(guess().form(&fields(PASSWORD))).await;
    }
    assert_eq!(http::send(guess().form(&fields(ATTACKERS))).await.status, 429);
    assert!(is_secured(&press(&app, &notice).await));
    assert_eq!(http::send(guess().form(&fields(ATTACKERS))).await.status, 401);
}

#[tokio::test]
async fn recovery_link_from_another_site_gets_the_reload_page() {
    let app = TestApp::start().await;
    let mut ann = owner(&app).await;
    change_password(&mut ann, PASSWORD, ATTACKERS).await;
    let notice = mailbox::mail_to(&app, ANN, PASSWORD_CHANGED).await;
    let arrival = app.request(Method::GET, notice.path()).header("sec-fetch-site", "cross-site");
    let arrival = http::send(arrival.header("sec-fetch-mode", "navigate")).await;
    assert!(arrival.status == 200 && arrival.text().contains("http-equiv=\"refresh\""), "{}", arrival.text());
    assert_eq!(arrival.header("referrer-policy"), Some("strict-origin"));
    let forged = app.request(Method::POST, "/not-me").header("sec-fetch-site", "cross-site");
    assert_eq!(http::send(forged.form(&[("token", notice.token())])).await.status, 403);
    assert!(app.get(notice.path()).await.is_page(200));
}

#[tokio::test]
async fn recovery_token_is_in_neither_database_nor_log() {
    let mut app = TestApp::start_with(&[("RUST_LOG", "trace")]).await;
    let mut ann = owner(&app).await;
    change_password(&mut ann, PASSWORD, ATTACKERS).await;
    let notice = mailbox::mail_to(&app, ANN, PASSWORD_CHANGED).await;
    let hash: Vec<u8> =
        sqlx::query_scalar("SELECT hash FROM recovery_tokens").fetch_one(&app.database().await).await.unwrap();
    assert_eq!(hash, Sha256::digest(notice.token()).to_vec());
    app.get(notice.path()).await;
    assert!(is_secured(&press(&app, &notice).await));
    press(&app, &notice).await;
    app.stop_by("TERM");
    let logs = app.logs();
    assert!(logs.contains("account secured by recovery link") && logs.contains("/not-me"), "the log is empty");
    let line = logs.lines().find(|line| line.contains(notice.token()));
    assert!(line.is_none(), "the log contains the token: {}", line.unwrap());
}

#[tokio::test]
async fn reserved_addresses_are_part_of_the_data_export() {
    let app = TestApp::start().await;
    let mut ann = owner(&app).await;
    change_address(&app, &mut ann, "ann@elsewhere.example", PASSWORD).await;
    let held = ann.post("/account/export", &[("password", PASSWORD)]).await.json();
    assert_eq!(held["kept_addresses"][0]["email"], ANN);
    assert!(held["kept_addresses"][0]["until"].as_str().unwrap().ends_with('Z'));
}

#[tokio::test]
async fn link_of_a_rejected_notice_is_revoked() {
    let server = MailServer::start();
    let app = TestApp::start_with(&[("MAIL_URL", &server.url())]).await;
    let mut ann = app.customer(ANN).await;
    server.has_taken(1).await;
    app.done(&["user", "verify", ANN]);
    server.is_now(Mood::PutsOff);
    change_password(&mut ann, PASSWORD, ATTACKERS).await;
    mailbox::until("a deferred message", || app.done(&["mail", "list"]).contains("deferred").then_some(())).await;
    assert_eq!(count(&app, "recovery_tokens").await, 0);
    server.is_now(Mood::Takes);
    let mails = server.has_taken(2).await;
    let notice = mails.iter().find(|mail| mail.subject == PASSWORD_CHANGED).unwrap();
    assert_eq!(count(&app, "recovery_tokens").await, 1);
    assert!(is_secured(&press(&app, notice).await));
}

#[tokio::test]
async fn notice_to_the_former_address_survives_account_deletion() {
    let server = MailServer::start();
    let app = TestApp::start_with(&[("MAIL_URL", &server.url())]).await;
    let ann = app.customer(ANN).await;
    server.has_taken(1).await;
    app.done(&["user", "verify", ANN]);
    let mut mallory = thief(&app, &ann);
    mallory.post("/account/email", &[("email", EVIL), ("password", PASSWORD)]).await;
    let mails = server.has_taken(3).await;
    let link = mails.iter().find(|mail| mail.subject == CONFIRM_NEW).unwrap();
    server.is_now(Mood::PutsOff);
    assert_eq!(mallory.post("/verify", &[("token", link.token())]).await.leads_to(), (303, "/orders"));
    assert_eq!(mallory.post("/account/delete", &[("password", PASSWORD)]).await.leads_to(), (303, "/login"));
    server.is_now(Mood::Takes);
    let mails = server.has_taken(5).await;
    let notice = mails.iter().find(|mail| mail.subject == ADDRESS_CHANGED);
    let notice = notice.unwrap_or_else(|| panic!("no notice to the owner: {mails:?}"));
    assert_eq!(notice.to, ANN);
    assert!(notice.text.contains("tell the shop at once") && !notice.text.contains("?token="), "{}", notice.text);
}

#[tokio::test]
async fn squatter_of_a_former_address_cannot_delete_its_notices() {
    let server = MailServer::start();
    server.is_now(Mood::PutsOff);
    let app = TestApp::start_with(&[("MAIL_URL", &server.url())]).await;
    app.verified_customer(ANN).await.post("/account/delete", &[("password", PASSWORD)]).await;
    assert_eq!(count(&app, "mail_queue").await, 1, "the owner is told of the deletion");
    let mut squatter = app.customer(ANN).await;
    assert_eq!(squatter.post("/account/delete", &[("password", PASSWORD)]).await.leads_to(), (303, "/login"));
    assert_eq!(count(&app, "mail_queue").await, 1, "the notice to the owner is gone");
}

#[tokio::test]
async fn notice_is_not_merged_with_one_of_a_former_account() {
    let app = TestApp::start().await;
    for password in ["eleven brass owls", "twelve brass owls"] {
        let mut ann = app.verified_customer(ANN).await;
        change_password(&mut ann, PASSWORD, password).await;
        ann.post("/account/delete", &[("password", password)]).await;
    }
    mailbox::until("two notices", || {
        let notices = mailbox::mails(&app).into_iter().filter(|mail| mail.subject == PASSWORD_CHANGED);
        (notices.count() == 2).then_some(())
    })
    .await;
}
