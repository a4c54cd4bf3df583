//! Security notices and confirmation mail: recipients, limits, merged notices.

use crate::app::{ANN, BOB, NEW_PASSWORD, OTHER_PASSWORD, PASSWORD, TestApp};
use crate::http::{Response, Visitor};
use crate::mail_server::{MailServer, Mode};
use crate::mailbox::{self, CONFIRM, CONFIRM_NEW, RESET, SentMail, mails, mails_to};

pub const PASSWORD_CHANGED: &str = "Your password was changed";
pub const ADDRESS_CHANGED: &str = "Your email address was changed";
const ATTACKER: &str = "mallory@evil.example";

pub async fn change_password(visitor: &mut Visitor, from: &str, to: &str) {
    let fields = [("current_password", from), ("new_password", to)];
    assert_eq!(visitor.post("/account/password", &fields).await.redirect(), (303, "/account#password"));
}

/// Changes the address and confirms the new one.
pub async fn change_address(app: &TestApp, visitor: &mut Visitor, to: &str, password: &str) {
    let before = mails_to(app, to, CONFIRM_NEW).len();
    let response = visitor.post("/account/email", &[("email", to), ("password", password)]).await;
    assert_eq!(response.redirect(), (303, "/account#email"));
    let link =
        mailbox::wait_for("a link to the new address", || mails_to(app, to, CONFIRM_NEW).into_iter().nth(before)).await;
    assert_eq!(visitor.post("/verify", &[("token", link.token())]).await.redirect(), (303, "/orders"), "to {to}");
}

/// Submits the form of a recovery link.
pub async fn use_link(app: &TestApp, mail: &SentMail) -> Response {
    app.visitor().post("/not-me", &[("token", mail.token())]).await
}

pub fn is_secured(response: &Response) -> bool {
    response.redirect() == (303, "/login")
}

pub async fn reset_password(app: &TestApp, mail: &SentMail, password: &str) -> u16 {
    app.visitor().post("/password/reset", &[("token", mail.token()), ("password", password)]).await.status
}

/// An attacker with the session cookie of the owner.
pub fn attacker(app: &TestApp, owner: &Visitor) -> Visitor {
    let mut attacker = app.visitor();
    attacker.set_session_token(&owner.token());
    attacker
}

#[tokio::test]
async fn confirmation_mail_to_one_address_is_limited_across_accounts() {
    let app = TestApp::start().await;
    for round in 1..=7 {
        let mut visitor = app.customer(ANN).await;
        mailbox::wait_for_empty_queue(&app).await;
        assert_eq!(mails_to(&app, ANN, CONFIRM).len(), round.min(5), "after sign-up {round}");
        let deleted = visitor.post("/account/delete", &[("password", PASSWORD)]).await;
        assert_eq!(deleted.redirect(), (303, "/login"));
    }
    let mut bob = app.verified_customer(BOB).await;
    let change_to = |to| [("email", to), ("password", PASSWORD)];
    assert_eq!(bob.post("/account/email", &change_to(ANN)).await.status, 429, "an email change to this address");
    let mut visitor = app.customer(ANN).await;
    assert_eq!(visitor.post("/account/verification", &[]).await.status, 429, "the same mail again");
    mailbox::wait_for_empty_queue(&app).await;
    assert!(mails_to(&app, ANN, CONFIRM_NEW).is_empty());
    let to_ann = mails(&app).into_iter().filter(|mail| mail.to == ANN).count();
    assert_eq!(to_ann, 5, "an unconfirmed address got mail about a deletion");
    assert_eq!(bob.post("/account/email", &change_to("other@example.com")).await.status, 303, "another address");
    // The limit does not apply to the mail that the owner of the address requests.
    visitor.post("/password/forgot", &[("email", ANN)]).await;
    mailbox::mail_to(&app, ANN, RESET).await;
}

#[tokio::test]
async fn security_notices_are_sent_only_to_confirmed_addresses() {
    let app = TestApp::start().await;
    let mut visitor = app.customer(ANN).await;
    change_password(&mut visitor, PASSWORD, OTHER_PASSWORD).await;
    visitor.post("/account/email", &[("email", "new@example.com"), ("password", OTHER_PASSWORD)]).await;
    let link = mailbox::mail_to(&app, "new@example.com", CONFIRM_NEW).await;
    assert_eq!(visitor.post("/verify", &[("token", link.token())]).await.status, 303);
    mailbox::wait_for_empty_queue(&app).await;
    let subjects: Vec<String> =
        mails(&app).into_iter().filter(|mail| mail.to == ANN).map(|mail| mail.subject).collect();
    assert!(subjects.iter().all(|subject| subject == CONFIRM), "{subjects:?}");
    let deleted = visitor.post("/account/delete", &[("password", OTHER_PASSWORD)]).await;
    assert_eq!(deleted.redirect(), (303, "/login"));
    mailbox::mail_to(&app, "new@example.com", "Your account was deleted").await;
}

#[tokio::test]
async fn equal_security_notices_within_ten_minutes_are_merged() {
    let app = TestApp::start().await;
    let mut visitor = app.verified_customer(ANN).await;
    change_password(&mut visitor, PASSWORD, OTHER_PASSWORD).await;
    change_password(&mut visitor, OTHER_PASSWORD, NEW_PASSWORD).await;
    mailbox::wait_for_empty_queue(&app).await;
    assert_eq!(mails_to(&app, ANN, PASSWORD_CHANGED).len(), 1);
    let later =
        "UPDATE rate_limits SET last_at = last_at - 600, blocked_until = blocked_until - 600 WHERE key LIKE 'notice:%'";
    assert_eq!(app.execute(later).await, 1);
    let last = "nine slow rivers going home";
    change_password(&mut visitor, NEW_PASSWORD, last).await;
    mailbox::wait_for_empty_queue(&app).await;
    assert_eq!(mails_to(&app, ANN, PASSWORD_CHANGED).len(), 2, "the notice after ten minutes is missing");
    let mut phone = app.visitor();
    let login = phone.request(reqwest::Method::POST, "/login").form(&[("email", ANN), ("password", last)]);
    phone.send(login).await;
    let fields = [("current_password", last), ("new_password", PASSWORD)];
    let from_phone = phone.request(reqwest::Method::POST, "/account/password").form(&fields);
    let user_agent = "Mozilla/5.0 (Android 15; Mobile; rv:140.0) Gecko/140.0 Firefox/140.0";
    assert_eq!(phone.send(from_phone.header("user-agent", user_agent)).await.status, 303);
    mailbox::wait_for_empty_queue(&app).await;
    assert_eq!(mails_to(&app, ANN, PASSWORD_CHANGED).len(), 3, "the notice about another device is merged");
}

#[tokio::test]
async fn merged_notice_keeps_the_link_of_the_first_notice_valid() {
    let app = TestApp::start().await;
    let mut ann = app.verified_customer(ANN).await;
    change_password(&mut ann, PASSWORD, NEW_PASSWORD).await;
    change_password(&mut ann, NEW_PASSWORD, OTHER_PASSWORD).await;
    mailbox::wait_for_empty_queue(&app).await;
    let notice = mailbox::mail_to(&app, ANN, PASSWORD_CHANGED).await;
    assert!(is_secured(&use_link(&app, &notice).await));
    assert_eq!(app.count("recoveries").await, 0);
    // A second attack within ten minutes sends another notice, because the first link is consumed.
    let reset = mailbox::mail_to(&app, ANN, RESET).await;
    assert_eq!(reset_password(&app, &reset, NEW_PASSWORD).await, 303);
    mailbox::wait_for_empty_queue(&app).await;
    let notices = mails_to(&app, ANN, PASSWORD_CHANGED);
    assert_eq!(notices.len(), 2, "the notice was merged with one whose token is consumed");
    assert!(is_secured(&use_link(&app, &notices[1]).await));
}

#[tokio::test]
async fn link_of_a_rejected_notice_is_revoked() {
    let server = MailServer::start();
    let app = TestApp::start_with(&[("MAIL_URL", &server.url())]).await;
    let mut ann = app.customer(ANN).await;
    server.wait_for_mails(1).await;
    app.run_ok(&["user", "verify", ANN]);
    server.set_mode(Mode::Defer);
    change_password(&mut ann, PASSWORD, NEW_PASSWORD).await;
    mailbox::wait_for("a deferred message", || app.run_ok(&["mail", "list"]).contains("deferred").then_some(())).await;
    assert_eq!(app.count("recovery_tokens").await, 0);
    server.set_mode(Mode::Accept);
    let mails = server.wait_for_mails(2).await;
    let notice = mails.iter().find(|mail| mail.subject == PASSWORD_CHANGED).unwrap();
    assert_eq!(app.count("recovery_tokens").await, 1);
    assert!(is_secured(&use_link(&app, notice).await));
}

#[tokio::test]
async fn notice_to_the_former_address_survives_account_deletion() {
    let server = MailServer::start();
    let app = TestApp::start_with(&[("MAIL_URL", &server.url())]).await;
    let ann = app.customer(ANN).await;
    server.wait_for_mails(1).await;
    app.run_ok(&["user", "verify", ANN]);
    let mut mallory = attacker(&app, &ann);
    mallory.post("/account/email", &[("email", ATTACKER), ("password", PASSWORD)]).await;
    let mails = server.wait_for_mails(3).await;
    let link = mails.iter().find(|mail| mail.subject == CONFIRM_NEW).unwrap();
    server.set_mode(Mode::Defer);
    assert_eq!(mallory.post("/verify", &[("token", link.token())]).await.redirect(), (303, "/orders"));
    assert_eq!(mallory.post("/account/delete", &[("password", PASSWORD)]).await.redirect(), (303, "/login"));
    server.set_mode(Mode::Accept);
    let mails = server.wait_for_mails(5).await;
    let notice = mails.iter().find(|mail| mail.subject == ADDRESS_CHANGED);
    let notice = notice.unwrap_or_else(|| panic!("no notice to the owner: {mails:?}"));
    assert_eq!(notice.to, ANN);
    assert!(notice.text.contains("contact the shop at once") && !notice.text.contains("?token="), "{}", notice.text);
}

#[tokio::test]
async fn new_owner_of_an_address_cannot_delete_its_queued_notices() {
    let server = MailServer::start();
    server.set_mode(Mode::Defer);
    let app = TestApp::start_with(&[("MAIL_URL", &server.url())]).await;
    app.verified_customer(ANN).await.post("/account/delete", &[("password", PASSWORD)]).await;
    assert_eq!(app.count("mail_queue").await, 1, "no notice about the deletion");
    let mut second = app.customer(ANN).await;
    assert_eq!(second.post("/account/delete", &[("password", PASSWORD)]).await.redirect(), (303, "/login"));
    assert_eq!(app.count("mail_queue").await, 1, "the notice to the former owner is deleted");
}

#[tokio::test]
async fn notice_is_not_merged_with_one_of_a_former_account() {
    let app = TestApp::start().await;
    for password in [NEW_PASSWORD, OTHER_PASSWORD] {
        let mut ann = app.verified_customer(ANN).await;
        change_password(&mut ann, PASSWORD, password).await;
        ann.post("/account/delete", &[("password", password)]).await;
    }
    mailbox::wait_for("two notices", || {
        let notices = mailbox::mails(&app).into_iter().filter(|mail| mail.subject == PASSWORD_CHANGED);
        (notices.count() == 2).then_some(())
    })
    .await;
}
