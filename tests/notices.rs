//! The limit of confirmation mail, and the recipients of security notices.

use crate::app::{PASSWORD, TestApp};
use crate::http::Visitor;
use crate::mailbox::{self, CONFIRM, CONFIRM_NEW, mails, mails_to};

const ANN: &str = "ann@example.com";
const CHANGED: &str = "Your password was changed";
const PASSWORDS: [&str; 3] = ["a quiet harbour at dusk", "eleven brass owls in a row", "nine slow rivers going home"];

async fn change_password(visitor: &mut Visitor, from: &str, to: &str) {
    let fields = [("current_password", from), ("new_password", to)];
    assert_eq!(visitor.post("/account/password", &fields).await.leads_to(), (303, "/account#password"));
}

#[tokio::test]
async fn confirmation_mail_to_one_address_is_limited_across_accounts() {
    let app = TestApp::start().await;
    for round in 1..=7 {
        let mut visitor = app.customer(ANN).await;
        mailbox::all_gone(&app).await;
        assert_eq!(mails_to(&app, ANN, CONFIRM).len(), round.min(5), "after sign-up {round}");
        let deleted = visitor.post("/account/delete", &[("password", PASSWORD)]).await;
        assert_eq!(deleted.leads_to(), (303, "/login"));
    }
    let mut bob = app.verified_customer("bob@example.com").await;
    let change_to = |to| [("email", to), ("password", PASSWORD)];
    assert_eq!(bob.post("/account/email", &change_to(ANN)).await.status, 429, "a change to the address");
    let mut visitor = app.customer(ANN).await;
    assert_eq!(visitor.post("/account/verification", &[]).await.status, 429, "sent again");
    mailbox::all_gone(&app).await;
    assert!(mails_to(&app, ANN, CONFIRM_NEW).is_empty());
    let to_ann = mails(&app).into_iter().filter(|mail| mail.to == ANN).count();
    assert_eq!(to_ann, 5, "mail about deletions went to an address that was never confirmed");
    assert_eq!(bob.post("/account/email", &change_to("other@example.com")).await.status, 303, "another address");
}

#[tokio::test]
async fn confirmation_mail_is_sent_again_up_to_the_limit() {
    let app = TestApp::start().await;
    let mut visitor = app.customer(ANN).await;
    for _ in 0..4 {
        assert_eq!(visitor.post("/account/verification", &[]).await.status, 303);
    }
    let capped = visitor.post("/account/verification", &[]).await;
    assert!(capped.is_page(429), "{}", capped.status);
    assert!(capped.header("retry-after").unwrap().parse::<i64>().unwrap() <= 3600);
}

#[tokio::test]
async fn security_notices_are_sent_only_to_confirmed_addresses() {
    let app = TestApp::start().await;
    let mut visitor = app.customer(ANN).await;
    change_password(&mut visitor, PASSWORD, PASSWORDS[0]).await;
    visitor.post("/account/email", &[("email", "new@example.com"), ("password", PASSWORDS[0])]).await;
    let link = mailbox::mail_to(&app, "new@example.com", CONFIRM_NEW).await;
    assert_eq!(visitor.post("/verify", &[("token", link.token())]).await.status, 303);
    mailbox::all_gone(&app).await;
    let subjects: Vec<String> =
        mails(&app).into_iter().filter(|mail| mail.to == ANN).map(|mail| mail.subject).collect();
    assert!(subjects.iter().all(|subject| subject == CONFIRM), "{subjects:?}");
    let deleted = visitor.post("/account/delete", &[("password", PASSWORDS[0])]).await;
    assert_eq!(deleted.leads_to(), (303, "/login"));
    mailbox::mail_to(&app, "new@example.com", "Your account was deleted").await;
}

#[tokio::test]
async fn equal_security_notices_within_ten_minutes_are_merged() {
    let app = TestApp::start().await;
    let mut visitor = app.verified_customer(ANN).await;
    change_password(&mut visitor, PASSWORD, PASSWORDS[0]).await;
    change_password(&mut visitor, PASSWORDS[0], PASSWORDS[1]).await;
    mailbox::all_gone(&app).await;
    assert_eq!(mails_to(&app, ANN, CHANGED).len(), 1);
    let later =
        "UPDATE rate_limits SET last_at = last_at - 600, blocked_until = blocked_until - 600 WHERE key LIKE 'notice:%'";
    let done = sqlx::query(later).execute(&app.database().await).await.unwrap();
    assert_eq!(done.rows_affected(), 1);
    change_password(&mut visitor, PASSWORDS[1], PASSWORDS[2]).await;
    mailbox::all_gone(&app).await;
    assert_eq!(mails_to(&app, ANN, CHANGED).len(), 2, "a later notice is missing");
    let mut phone = app.visitor();
    let login = phone.request(reqwest::Method::POST, "/login").form(&[("email", ANN), ("password", PASSWORDS[2])]);
    phone.send(login).await;
    let fields = [("current_password", PASSWORDS[2]), ("new_password", PASSWORD)];
    let from_phone = phone.request(reqwest::Method::POST, "/account/password").form(&fields);
    let user_agent = "Mozilla/5.0 (Android 15; Mobile; rv:140.0) Gecko/140.0 Firefox/140.0";
    assert_eq!(phone.send(from_phone.header("user-agent", user_agent)).await.status, 303);
    mailbox::all_gone(&app).await;
    assert_eq!(mails_to(&app, ANN, CHANGED).len(), 3, "a notice about another device is merged");
}
