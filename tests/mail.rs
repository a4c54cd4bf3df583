//! The content of mail, and the inbox of a development server.

use reqwest::Method;

use crate::app::{ANN, BOB, PASSWORD, PRODUCTION, TestApp};
use crate::http;
use crate::mailbox::{self, CONFIRM, RESET, SentMail};

const FIREFOX: &str = "Mozilla/5.0 (X11; Linux x86_64; rv:140.0) Gecko/20100101 Firefox/140.0";

fn header(mail: &SentMail, name: &str) -> String {
    let head = mail.raw.split("\r\n\r\n").next().unwrap().replace("\r\n ", " ");
    let mut found = head.lines().filter_map(|line| line.strip_prefix(&format!("{name}: ")).map(str::to_owned));
    let value = found.next().unwrap_or_else(|| panic!("no {name} in {head}"));
    assert!(found.next().is_none(), "{name} twice in {head}");
    value
}

#[tokio::test]
async fn mail_has_text_and_html_parts_and_required_headers() {
    let app = TestApp::start_with(&[("MAIL_FROM", "The Shop <no-reply@shop.example>")]).await;
    let mut visitor = app.customer(ANN).await;
    mailbox::mail_to(&app, ANN, CONFIRM).await;
    app.run_ok(&["user", "verify", ANN]);
    visitor.post("/password/forgot", &[("email", ANN)]).await;
    visitor.post("/account/email", &[("email", "ann@elsewhere.example"), ("password", PASSWORD)]).await;
    mailbox::wait_for_empty_queue(&app).await;
    let mails = mailbox::mails(&app);
    assert_eq!(mails.len(), 4);
    for mail in &mails {
        assert!(header(mail, "From").contains("<no-reply@shop.example>"));
        assert!(!header(mail, "Subject").is_empty() && !header(mail, "Date").is_empty());
        assert!(header(mail, "Message-ID").ends_with("@shop.example>"));
        assert_eq!(header(mail, "Auto-Submitted"), "auto-generated");
        assert!(header(mail, "Content-Type").starts_with("multipart/alternative"));
        assert!(mail.text.contains("127.0.0.1") && mail.html.contains("127.0.0.1"), "the client address is missing");
        if mail.subject != "Email address change requested" {
            assert!(mail.html.contains(&format!("href=\"{}\"", mail.url())), "{}", mail.html);
        }
    }
    let mut ids: Vec<String> = mails.iter().map(|mail| header(mail, "Message-ID")).collect();
    ids.sort();
    ids.dedup();
    assert_eq!(ids.len(), mails.len());
}

#[tokio::test]
async fn mail_html_has_no_scripts_and_external_content() {
    let app = TestApp::start().await;
    app.customer(ANN).await;
    let html = mailbox::mail_to(&app, ANN, CONFIRM).await.html;
    for part in ["<script", "<img", "<link", "<iframe", "url(", "src="] {
        assert!(!html.contains(part), "{part} in {html}");
    }
}

#[tokio::test]
async fn mail_escapes_input_and_describes_the_device() {
    let app = TestApp::start().await;
    let sign_up = |email: &'static str, agent: &'static str| {
        let fields = [("email", email), ("password", PASSWORD)];
        http::send(app.request(Method::POST, "/signup").header("user-agent", agent).form(&fields))
    };
    sign_up(BOB, "<script>alert(1)</script>\"'&").await;
    sign_up("carol@example.com", FIREFOX).await;
    let special = "tom&jerry's{{7*7}}@example.com";
    let mut visitor = app.verified_customer(ANN).await;
    assert_eq!(visitor.post("/account/email", &[("email", special), ("password", PASSWORD)]).await.status, 303);
    let mail = mailbox::mail_to(&app, BOB, CONFIRM).await;
    assert!(!mail.raw.contains("alert") && mail.text.contains("An unknown program"), "{}", mail.text);
    let mail = mailbox::mail_to(&app, "carol@example.com", CONFIRM).await;
    assert!(mail.text.contains("Firefox on Linux") && !mail.raw.contains("Gecko"), "{}", mail.text);
    let mail = mailbox::mail_to(&app, ANN, "Email address change requested").await;
    assert!(mail.text.contains(special), "{}", mail.text);
    assert!(mail.html.contains("tom&#38;jerry&#39;s{{7*7}}@example.com"), "{}", mail.html);
    mailbox::wait_for_empty_queue(&app).await;
    assert_eq!(mailbox::mails_to(&app, special, mailbox::CONFIRM_NEW).len(), 1);
}

#[tokio::test]
async fn times_in_mail_are_those_of_the_customer_or_else_of_the_shop() {
    let app = TestApp::start_with(&[("SHOP_TIME_ZONE", "Asia/Tokyo")]).await;
    let mut ann = app.customer(ANN).await;
    let created = mailbox::mail_to(&app, ANN, CONFIRM).await;
    app.run_ok(&["user", "verify", ANN]);
    assert!(created.text.contains(" Tokyo time (UTC+09:00), from 127.0.0.1 ("), "{}", created.text);
    assert_eq!(ann.post("/account/time-zone", &[("zone", "Asia/Kolkata")]).await.status, 303);
    ann.post("/account/email", &[("email", BOB), ("password", PASSWORD)]).await;
    // To the address of the account, and to one that has no account yet, for this account.
    for (to, subject) in [(ANN, "Email address change requested"), (BOB, mailbox::CONFIRM_NEW)] {
        let mail = mailbox::mail_to(&app, to, subject).await;
        assert!(mail.text.contains(" Kolkata time (UTC+05:30), from"), "{}", mail.text);
    }
    ann.post("/account/time-zone", &[("zone", "UTC")]).await;
    app.visitor().post("/password/forgot", &[("email", ANN)]).await;
    let reset = mailbox::mail_to(&app, ANN, mailbox::RESET).await;
    assert!(reset.text.contains(" UTC, from"), "{}", reset.text);
}

#[tokio::test]
async fn development_server_shows_sent_mail() {
    let app = TestApp::start().await;
    let mut visitor = app.visitor();
    assert!(visitor.get("/dev/mail").await.text().contains("No mail has been sent yet"));
    visitor.post("/signup", &[("email", ANN), ("password", PASSWORD)]).await;
    visitor.post("/password/forgot", &[("email", ANN)]).await;
    let sent = visitor.get("/password/forgot?sent=1").await;
    assert!(sent.text().contains("href=\"/dev/mail\""), "{}", sent.text());
    assert!(visitor.get("/orders").await.text().contains("href=\"/dev/mail\""));
    mailbox::wait_for_empty_queue(&app).await;
    let inbox = visitor.get("/dev/mail").await;
    assert!(inbox.is_page(200) && inbox.text().contains(ANN) && inbox.text().contains(CONFIRM));
    let inbox = inbox.text();
    let of_reset = inbox.split("<li>").find(|line| line.contains(RESET)).unwrap();
    let path = of_reset.split('"').find(|part| part.starts_with("/dev/mail/")).unwrap();
    let mail = visitor.get(path).await;
    let url = mailbox::mail_to(&app, ANN, RESET).await.url().to_owned();
    assert!(mail.is_page(200) && mail.text().contains(&format!("<a href=\"{url}\">")), "{}", mail.text());
    let html = visitor.get(&format!("{path}/html")).await;
    let policy = html.header("content-security-policy").unwrap();
    assert!(html.status == 200 && html.text().contains(&url) && policy.contains("default-src 'none'"), "{policy}");
    for path in ["/dev/mail/nothing", "/dev/mail/..%2f..%2fportal", "/dev/mail/%00", "/dev/mail/nothing/html"] {
        assert_eq!(visitor.get(path).await.status, 404, "{path}");
    }
}

#[tokio::test]
async fn production_server_has_no_mail_pages() {
    let app = TestApp::start_with(&PRODUCTION).await;
    let request = |method, path: &str| app.request(method, path).header("host", "shop.example");
    let fields = [("email", ANN), ("password", PASSWORD)];
    assert_eq!(http::send(request(Method::POST, "/signup").form(&fields)).await.status, 303);
    let mail = mailbox::mail_to(&app, ANN, CONFIRM).await;
    assert!(mail.url().starts_with("https://shop.example/verify?token="), "{}", mail.url());
    assert!(http::send(request(Method::GET, mail.path())).await.is_page(200));
    let file = std::fs::read_dir(app.path().join("data/mail")).unwrap().next().unwrap().unwrap();
    let id = file.file_name().to_string_lossy().replace(".eml", "");
    for path in ["/dev/mail", &format!("/dev/mail/{id}"), &format!("/dev/mail/{id}/html")] {
        assert!(http::send(request(Method::GET, path)).await.is_page(404), "{path}");
    }
    let sent = http::send(request(Method::GET, "/password/forgot?sent=1")).await;
    assert!(sent.is_page(200) && !sent.text().contains("/dev/mail"));
}

#[tokio::test]
#[cfg(unix)]
async fn mail_files_are_readable_only_by_their_owner() {
    use std::os::unix::fs::PermissionsExt;
    let app = TestApp::start().await;
    app.customer(ANN).await;
    mailbox::mail_to(&app, ANN, CONFIRM).await;
    let directory = app.path().join("data/mail");
    let mode = |path: &std::path::Path| std::fs::metadata(path).unwrap().permissions().mode() & 0o777;
    assert_eq!(mode(&directory), 0o700);
    for entry in std::fs::read_dir(&directory).unwrap() {
        assert_eq!(mode(&entry.unwrap().path()), 0o600);
    }
}
