//! Mail, and the inbox of the development server.

use std::collections::BTreeSet;

use reqwest::Method;

use super::Pages;
use crate::actions::{reorder, submit};
use crate::app::{PASSWORD, TestApp, WRONG_PASSWORD};
use crate::hostile::filled;
use crate::html::HOSTILE;
use crate::mailbox::{self, CONFIRM, CONFIRM_NEW};

#[tokio::test]
async fn mail_and_its_pages_are_well_formed_in_every_state() {
    let app = TestApp::start().await;
    let mut pages = Pages::new("mail");
    let mut ann = app.visitor();
    pages.check("inbox, empty", &ann.get("/dev/mail").await, 200, &["No mail has been sent yet"]);
    let email = "tom&jerry's@example.com";
    let sign_up = ann.request(Method::POST, "/signup").header("user-agent", HOSTILE);
    ann.send(sign_up.form(&[("email", email), ("password", PASSWORD)])).await;
    mailbox::mail_to(&app, email, CONFIRM).await;
    app.run_ok(&["user", "verify", email]);
    app.visitor().post("/password/forgot", &[("email", email)]).await;
    ann.post("/account/email", &[("email", "new&'@example.com"), ("password", PASSWORD)]).await;
    let mut rows = filled("#1", HOSTILE).map(|row| row.with("Email", email).with("Fulfillment Status", "unfulfilled"));
    rows[0] = rows[0].clone().with("Fulfilled at", "");
    app.import(&rows);
    reorder(&mut ann, "1").await;
    submit(&mut ann, "1", "cancel").await;
    let change = mailbox::mail_to(&app, "new&'@example.com", CONFIRM_NEW).await;
    ann.post("/verify", &[("token", change.token())]).await;
    ann.change_password(PASSWORD, WRONG_PASSWORD).await;
    mailbox::mail_to(&app, "new&'@example.com", "Your password was changed").await;
    ann.post("/account/delete", &[("password", WRONG_PASSWORD)]).await;
    mailbox::wait_for_empty_queue(&app).await;

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
    let subjects: BTreeSet<&str> = mails.iter().map(|mail| mail.subject.as_str()).collect();
    let kinds = [
        "Choose a new password",
        "Confirm your email address",
        "Confirm your new email address",
        "You asked to cancel an order",
        "Your account was deleted",
        "Email address change requested",
        "Your email address was changed",
        "Your order is placed",
        "Your password was changed",
    ];
    assert_eq!(subjects, kinds.into());

    let by_server = TestApp::start_with(&[("MAIL_URL", "smtp://127.0.0.1:9")]).await;
    pages.check("inbox of a mail server", &by_server.get("/dev/mail").await, 200, &["Mail goes to the server"]);
    pages.finish();
}
