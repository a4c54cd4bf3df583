//! Mail, and the inbox of the development server.

use std::collections::BTreeSet;

use reqwest::Method;

use super::Pages;
use crate::actions::{reorder, submit};
use crate::app::{PASSWORD, TestApp, WRONG_PASSWORD};
use crate::hostile::filled;
use crate::html::HOSTILE;
use crate::http::{self, Visitor};
use crate::mailbox::{self, CONFIRM, CONFIRM_NEW};
use crate::mfa;
use crate::passkeys;

/// Queues every kind of mail, to an account with this address, and delivers it.
pub async fn send_every_mail(app: &TestApp) {
    let mut ann = app.visitor();
    let email = "tom&jerry's@example.com";
    let sign_up = ann.request(Method::POST, "/signup").header("user-agent", HOSTILE);
    ann.send(sign_up.form(&[("email", email), ("password", PASSWORD)])).await;
    mailbox::mail_to(app, email, CONFIRM).await;
    app.run_ok(&["user", "verify", email]);
    app.visitor().post("/password/forgot", &[("email", email)]).await;
    let login = app.request(Method::POST, "/login").header("user-agent", HOSTILE);
    http::send(login.form(&[("email", email), ("password", PASSWORD)])).await;
    send_mail_about_factors(app, &mut ann, email).await;
    send_mail_about_passkeys(app, &mut ann).await;
    ann.post("/account/email", &[("email", "new&'@example.com"), ("password", PASSWORD)]).await;
    let unsent = |number: &str| {
        let mut rows =
            filled(number, HOSTILE).map(|row| row.with("Email", email).with("Fulfillment Status", "unfulfilled"));
        rows[0] = rows[0].clone().with("Fulfilled at", "").with("Cancelled at", "");
        rows
    };
    app.import(&[unsent("#1"), unsent("#2")].concat());
    reorder(&mut ann, "1").await;
    for number in ["1", "2"] {
        let fields = [("key", "a-key-of-my-own"), ("reason", HOSTILE)];
        let fields = [(fields[0].0, &*format!("{}-{number}", fields[0].1)), fields[1]];
        assert_eq!(ann.post(&format!("/orders/{number}/cancel"), &fields).await.status, 303);
    }
    assert_eq!(ann.post("/orders/1/cancel/undo", &[]).await.status, 303);
    submit(&mut ann, "1", "cancel").await;
    app.run_ok(&["orders", "cancellations", "done", "1"]);
    app.run_ok(&["orders", "cancellations", "decline", "2"]);
    let sent = unsent("#1").map(|row| row.with("Fulfillment Status", "fulfilled"));
    app.import(&sent);
    app.import(&[unsent("#1"), unsent("#2").map(|row| row.with("Fulfillment Status", "fulfilled"))].concat());
    app.import(&[sent, unsent("#2").map(|row| row.with("Cancelled at", "2024-03-09 10:00:00 +0000"))].concat());
    let change = mailbox::mail_to(app, "new&'@example.com", CONFIRM_NEW).await;
    ann.post("/verify", &[("token", change.token())]).await;
    ann.change_password(PASSWORD, WRONG_PASSWORD).await;
    mailbox::mail_to(app, "new&'@example.com", "Your password was changed").await;
    ann.post("/account/delete", &[("password", WRONG_PASSWORD)]).await;
    mailbox::wait_for_empty_queue(app).await;
    let subjects: BTreeSet<String> = mailbox::mails(app).into_iter().map(|mail| mail.subject).collect();
    let kinds = [
        "Cancellation accepted: order #1",
        "Cancellation declined: order #2",
        "Cancellation request withdrawn: order #1",
        "Cancellation requested: order #1",
        "Cancellation requested: order #2",
        "A passkey of your account was renamed",
        "A passkey was added to your account",
        "A passkey was removed from your account",
        "A recovery code was used",
        "Choose a new password",
        "Confirm your email address",
        "Confirm your new email address",
        "New login to your account",
        "New recovery codes were created",
        "Order #1: sent",
        "Order #2: sent",
        "Orders #2, #1: new status",
        "Request to order again: order #1",
        "Someone entered your password and a wrong code",
        "Two-step login is off",
        "Two-step login is on",
        "Two-step login was removed from your account",
        "Your account was deleted",
        "Email address change requested",
        "Your email address was changed",
        "Your password was changed",
    ];
    assert_eq!(subjects, kinds.map(str::to_owned).into());
}

/// Every mail about passkeys. The account has none at the end.
async fn send_mail_about_passkeys(app: &TestApp, ann: &mut Visitor) {
    passkeys::register(app, ann).await;
    let page = passkeys::pages(ann).await.remove(0);
    let name: String = HOSTILE.chars().take(60).collect();
    ann.post(&format!("{page}/rename"), &[("name", &name), ("password", PASSWORD)]).await;
    ann.post(&format!("{page}/remove"), &[("password", PASSWORD)]).await;
}

/// Every mail about two-step login. It is off at the end, and the customer logged in.
async fn send_mail_about_factors(app: &TestApp, ann: &mut Visitor, email: &str) {
    let (_, codes) = mfa::set_up(ann).await;
    ann.post("/account/mfa/disable", &[("password", PASSWORD), ("code", "123456")]).await;
    let fields = [("password", PASSWORD), ("code", &*codes[0])];
    let page = ann.post("/account/mfa/recovery-codes", &fields).await;
    let code = mfa::recovery_codes(&page.text()).remove(0);
    assert_eq!(ann.post("/account/mfa/disable", &[("password", PASSWORD), ("code", &code)]).await.status, 303);
    app.run_ok(&["user", "reset-mfa", email]);
    assert_eq!(ann.log_in(email, PASSWORD).await.status, 303);
}

/// Settings with which every kind of mail is sent.
pub const ALL_MAIL: [(&str, &str); 2] = [("SHOP_CONTACT", "help@shop.example"), ("ORDER_MAILS", "true")];

#[tokio::test]
async fn mail_and_its_pages_are_well_formed_in_every_state() {
    mail_pages().await.finish();
}

pub async fn mail_pages() -> Pages {
    let app = TestApp::start_with(&ALL_MAIL).await;
    let mut pages = Pages::new("mail");
    pages.check("inbox, empty", &app.get("/dev/mail").await, 200, &["No mail has been sent yet"]);
    send_every_mail(&app).await;

    let inbox = app.get("/dev/mail").await;
    pages.check("inbox", &inbox, 200, &["tom&#38;jerry&#39;s@example.com"]);
    let html = inbox.text();
    let paths: Vec<&str> = html.split("href=\"").filter_map(|rest| rest.split('"').next()).collect();
    let paths: Vec<&str> = paths.into_iter().filter(|path| path.starts_with("/dev/mail/")).collect();
    let mails = mailbox::mails(&app);
    assert_eq!(paths.len(), mails.len());
    for path in paths {
        pages.check(path, &app.get(path).await, 200, &["As HTML"]);
        pages.check(path, &app.get(&format!("{path}/html")).await, 200, &["<h1 style="]);
    }
    for mail in &mails {
        pages.record(&mail.text.replace("\r\n", "\n"));
        assert!(!mail.text.contains("&#") && !mail.text.trim().is_empty(), "{}", mail.text);
    }
    let by_server = TestApp::start_with(&[("MAIL_URL", "smtp://127.0.0.1:9")]).await;
    pages.check("inbox of a mail server", &by_server.get("/dev/mail").await, 200, &["Mail goes to the server"]);
    pages
}
