//! What letters look like, and the inbox of a development server.

use reqwest::Method;

use crate::app::{PASSWORD, TestApp};
use crate::http;
use crate::post::{self, CONFIRM, Letter, NEW_PASSWORD};

const ANN: &str = "ann@example.com";
const FIREFOX: &str = "Mozilla/5.0 (X11; Linux x86_64; rv:140.0) Gecko/20100101 Firefox/140.0";

fn header(letter: &Letter, name: &str) -> String {
    let head = letter.raw.split("\r\n\r\n").next().unwrap().replace("\r\n ", " ");
    let mut found = head.lines().filter_map(|line| line.strip_prefix(&format!("{name}: ")).map(str::to_owned));
    let value = found.next().unwrap_or_else(|| panic!("no {name} in {head}"));
    assert!(found.next().is_none(), "{name} twice in {head}");
    value
}

#[tokio::test]
async fn every_letter_has_a_text_part_an_html_part_and_the_headers_that_mail_needs() {
    let app = TestApp::start_with(&[("MAIL_FROM", "The Shop <no-reply@shop.example>")]).await;
    let mut visitor = app.customer(ANN).await;
    post::letter_to(&app, ANN, CONFIRM).await;
    app.done(&["user", "verify", ANN]);
    visitor.post("/password/forgot", &[("email", ANN)]).await;
    visitor.post("/account/email", &[("email", "ann@elsewhere.example"), ("password", PASSWORD)]).await;
    post::all_gone(&app).await;
    let letters = post::letters(&app);
    assert_eq!(letters.len(), 4);
    for letter in &letters {
        assert!(header(letter, "From").contains("<no-reply@shop.example>"));
        assert!(!header(letter, "Subject").is_empty() && !header(letter, "Date").is_empty());
        assert!(header(letter, "Message-ID").ends_with("@shop.example>"));
        assert_eq!(header(letter, "Auto-Submitted"), "auto-generated");
        assert!(header(letter, "Content-Type").starts_with("multipart/alternative"));
        assert!(letter.text.contains("127.0.0.1") && letter.html.contains("127.0.0.1"), "from where is not said");
        if letter.subject != "Your e-mail address is about to change" {
            assert!(letter.html.contains(&format!("href=\"{}\"", letter.url())), "{}", letter.html);
        }
    }
    let mut ids: Vec<String> = letters.iter().map(|letter| header(letter, "Message-ID")).collect();
    ids.sort();
    ids.dedup();
    assert_eq!(ids.len(), letters.len());
}

#[tokio::test]
async fn letters_load_nothing_and_run_nothing() {
    let app = TestApp::start().await;
    app.customer(ANN).await;
    let html = post::letter_to(&app, ANN, CONFIRM).await.html;
    for part in ["<script", "<img", "<link", "<iframe", "url(", "src="] {
        assert!(!html.contains(part), "{part} in {html}");
    }
}

#[tokio::test]
async fn what_a_stranger_wrote_shows_as_text_and_the_device_as_words_alone() {
    let app = TestApp::start().await;
    let sign_up = |email: &'static str, agent: &'static str| {
        let fields = [("email", email), ("password", PASSWORD)];
        http::send(app.request(Method::POST, "/signup").header("user-agent", agent).form(&fields))
    };
    sign_up("bob@example.com", "<script>alert(1)</script>\"'&").await;
    sign_up("carol@example.com", FIREFOX).await;
    let odd = "tom&jerry's{{7*7}}@example.com";
    let mut visitor = app.verified_customer(ANN).await;
    assert_eq!(visitor.post("/account/email", &[("email", odd), ("password", PASSWORD)]).await.status, 303);
    let letter = post::letter_to(&app, "bob@example.com", CONFIRM).await;
    assert!(!letter.raw.contains("alert") && letter.text.contains("An unknown program"), "{}", letter.text);
    let letter = post::letter_to(&app, "carol@example.com", CONFIRM).await;
    assert!(letter.text.contains("Firefox on Linux") && !letter.raw.contains("Gecko"), "{}", letter.text);
    let letter = post::letter_to(&app, ANN, "Your e-mail address is about to change").await;
    assert!(letter.text.contains(odd), "{}", letter.text);
    assert!(letter.html.contains("tom&#38;jerry&#39;s{{7*7}}@example.com"), "{}", letter.html);
    post::all_gone(&app).await;
    assert_eq!(post::letters_to(&app, odd, post::CONFIRM_NEW).len(), 1);
}

#[tokio::test]
async fn a_development_server_shows_what_it_has_sent() {
    let app = TestApp::start().await;
    let mut visitor = app.visitor();
    assert!(visitor.get("/dev/mail").await.text().contains("No mail has been sent yet"));
    visitor.post("/signup", &[("email", ANN), ("password", PASSWORD)]).await;
    visitor.post("/password/forgot", &[("email", ANN)]).await;
    let sent = visitor.get("/password/forgot?sent=1").await;
    assert!(sent.text().contains("href=\"/dev/mail\""), "{}", sent.text());
    assert!(visitor.get("/orders").await.text().contains("href=\"/dev/mail\""));
    post::all_gone(&app).await;
    let inbox = visitor.get("/dev/mail").await;
    assert!(inbox.is_page(200) && inbox.text().contains(ANN) && inbox.text().contains(CONFIRM));
    let inbox = inbox.text();
    let of_reset = inbox.split("<li>").find(|line| line.contains(NEW_PASSWORD)).unwrap();
    let path = of_reset.split('"').find(|part| part.starts_with("/dev/mail/")).unwrap();
    let letter = visitor.get(path).await;
    let url = post::letter_to(&app, ANN, NEW_PASSWORD).await.url().to_owned();
    assert!(letter.is_page(200) && letter.text().contains(&format!("<a href=\"{url}\">")), "{}", letter.text());
    let html = visitor.get(&format!("{path}/html")).await;
    let policy = html.header("content-security-policy").unwrap();
    assert!(html.status == 200 && html.text().contains(&url) && policy.contains("default-src 'none'"), "{policy}");
    for path in ["/dev/mail/nothing", "/dev/mail/..%2f..%2fportal", "/dev/mail/%00", "/dev/mail/nothing/html"] {
        assert_eq!(visitor.get(path).await.status, 404, "{path}");
    }
}

#[tokio::test]
async fn in_production_nobody_is_shown_mail() {
    let production =
        [("APP_ENV", "production"), ("PUBLIC_URL", "https://shop.example"), ("MAIL_URL", "file://data/mail")];
    let app = TestApp::start_with(&production).await;
    let of_site = |method, path: &str| app.request(method, path).header("host", "shop.example");
    let fields = [("email", ANN), ("password", PASSWORD)];
    assert_eq!(http::send(of_site(Method::POST, "/signup").form(&fields)).await.status, 303);
    let letter = post::letter_to(&app, ANN, CONFIRM).await;
    assert!(letter.url().starts_with("https://shop.example/verify?token="), "{}", letter.url());
    assert!(http::send(of_site(Method::GET, letter.path())).await.is_page(200));
    let file = std::fs::read_dir(app.path().join("data/mail")).unwrap().next().unwrap().unwrap();
    let id = file.file_name().to_string_lossy().replace(".eml", "");
    for path in ["/dev/mail", &format!("/dev/mail/{id}"), &format!("/dev/mail/{id}/html")] {
        assert!(http::send(of_site(Method::GET, path)).await.is_page(404), "{path}");
    }
    let sent = http::send(of_site(Method::GET, "/password/forgot?sent=1")).await;
    assert!(sent.is_page(200) && !sent.text().contains("/dev/mail"));
}

#[tokio::test]
#[cfg(unix)]
async fn letters_on_disk_are_for_their_owner_alone() {
    use std::os::unix::fs::PermissionsExt;
    let app = TestApp::start().await;
    app.customer(ANN).await;
    post::letter_to(&app, ANN, CONFIRM).await;
    let folder = app.path().join("data/mail");
    let mode = |path: &std::path::Path| std::fs::metadata(path).unwrap().permissions().mode() & 0o777;
    assert_eq!(mode(&folder), 0o700);
    for entry in std::fs::read_dir(&folder).unwrap() {
        assert_eq!(mode(&entry.unwrap().path()), 0o600);
    }
}
