//! The shop's name, site, contact and links on pages, error pages and in mail.

use reqwest::Method;

use crate::app::{ANN, BOB, TestApp};
use crate::html::HOSTILE;
use crate::http::{self, Visitor};
use crate::mailbox::{self, CONFIRM, RESET};
use crate::pages::{Pages, escaped};
use crate::sandbox::Sandbox;
use crate::shop;

const NAME: &str = "Ann & Söhne <b>";
const LINKS: &str = "Imprint=https://shop.example/imprint?a=b, Terms & <i> = https://shop.example/terms";

const SETTINGS: [(&str, &str); 4] = [
    ("SHOP_NAME", NAME),
    ("SHOP_URL", "https://shop.example"),
    ("SHOP_CONTACT", "help@shop.example"),
    ("SHOP_LINKS", LINKS),
];

/// One page of each kind, with its status and the start of its title.
async fn pages_of_each_kind(app: &TestApp, ann: &mut Visitor) -> Vec<(http::Response, u16, String)> {
    let mut anonymous = app.visitor();
    let from_other_site = app.request(Method::GET, "/orders");
    let from_other_site = from_other_site.header("sec-fetch-site", "cross-site").header("sec-fetch-mode", "navigate");
    let pages = [
        (anonymous.get("/").await, 200, "Welcome"),
        (anonymous.get("/login").await, 200, "Log in"),
        (anonymous.get("/not-me").await, 404, "This link no longer works"),
        (anonymous.get("/nothing").await, 404, "Page not found"),
        (http::send(from_other_site).await, 200, "One moment"),
        (ann.get("/orders").await, 200, "Orders"),
        (ann.get("/orders").await, 200, "Orders"),
        (ann.get("/orders/5000").await, 200, "Order #5000"),
        (ann.get("/account").await, 200, "Account"),
        (ann.get("/orders/nothing").await, 404, "Page not found"),
    ];
    pages.into_iter().map(|(response, status, title)| (response, status, title.to_owned())).collect()
}

#[tokio::test]
async fn shop_name_is_in_title_header_and_footer_of_each_page() {
    let app = TestApp::start_with(&SETTINGS).await;
    let mut ann = app.verified_customer(ANN).await;
    app.import(&shop::orders(1, ANN));
    let mut pages = Pages::new("names");
    let name = "Ann &#38; Söhne &#60;b&#62;";
    for (response, status, title) in pages_of_each_kind(&app, &mut ann).await {
        let title = format!("<title>{title} · {name}</title>");
        pages.check(&title, &response, status, &[&title, &format!("<span>{name}</span>")]);
        let html = response.text();
        assert!(!html.contains("Order portal") && !html.contains("<b>") && !html.contains("<i>"), "{html}");
        let Some((_, footer)) = html.split_once("<footer") else { continue };
        for expected in [
            format!("<a href=\"https://shop.example\">{name}</a>"),
            "<a href=\"mailto:help@shop.example\">Contact</a>".to_owned(),
            "<a href=\"https://shop.example/imprint?a=b\">Imprint</a>".to_owned(),
            "<a href=\"https://shop.example/terms\">Terms &#38; &#60;i&#62;</a>".to_owned(),
        ] {
            assert!(footer.contains(&expected), "{expected}: {footer}");
        }
    }
    pages.finish();
}

#[tokio::test]
async fn default_shop_has_a_name_and_no_links() {
    let app = TestApp::start().await;
    let mut ann = app.verified_customer(ANN).await;
    app.import(&shop::orders(1, ANN));
    for (response, _, title) in pages_of_each_kind(&app, &mut ann).await {
        let html = response.text();
        assert!(html.contains(&format!("<title>{title} · Order portal</title>")), "{html}");
        assert!(!html.contains("mailto:") && !html.contains("href=\"https://"), "{html}");
    }
    app.customer(BOB).await;
    let mail = mailbox::mail_to(&app, BOB, CONFIRM).await;
    assert!(mail.raw.contains("From: order-portal <no-reply@localhost>"), "{}", mail.raw);
    assert!(mail.text.contains(&format!("Order portal, http://localhost:{}", app.port)), "{}", mail.text);
    assert!(!mail.text.contains("Contact") && !mail.html.contains("mailto:"), "{}", mail.text);
}

#[tokio::test]
async fn advice_to_ask_the_shop_links_to_its_contact() {
    for (contact, href) in [
        ("help@shop.example", "mailto:help@shop.example"),
        ("https://shop.example/help?a=b&c", "https://shop.example/help?a=b&#38;c"),
    ] {
        let app = TestApp::start_with(&[("SHOP_CONTACT", contact)]).await;
        let mut pages = Pages::new("shop");
        let link = |text: &str| format!("<a class=\"contact\" href=\"{href}\">{text}</a>");
        let mut ann = app.verified_customer(ANN).await;
        pages.check("no orders", &ann.get("/orders").await, 200, &[&link("Contact the shop")]);
        app.import(&shop::orders(1, ANN));
        let too_late = ann.post("/orders/5000/cancel", &[("key", "a-key-of-my-own")]).await;
        pages.check(
            "order, sent already",
            &too_late,
            422,
            &[&link("Contact the shop"), "To return it, contact the shop."],
        );
        pages.check(
            "error page",
            &ann.get("/nothing").await,
            404,
            &[&format!("If you {}, give", link("ask for help"))],
        );
        pages.check("recovery, no link", &app.get("/not-me").await, 404, &[&link("contact the shop")]);
        pages.finish();
    }
}

#[tokio::test]
async fn mail_has_name_site_contact_and_links_of_the_shop() {
    let app = TestApp::start_with(&SETTINGS).await;
    app.customer(ANN).await;
    let mail = mailbox::mail_to(&app, ANN, CONFIRM).await;
    let from = mail_parser::MessageParser::default().parse(mail.raw.as_bytes()).unwrap();
    let from = from.from().unwrap().first().unwrap();
    assert_eq!((from.name(), from.address()), (Some(NAME), Some("no-reply@localhost")), "{}", mail.raw);
    let footer = format!(
        "--\n{NAME}, http://localhost:{}\nShop: https://shop.example\nContact: help@shop.example\nImprint: https://shop.example/imprint?a=b\nTerms & <i>: https://shop.example/terms",
        app.port
    );
    assert!(mail.text.replace("\r\n", "\n").trim_end().ends_with(&footer), "{}", mail.text);
    for expected in [
        "Ann &#38; Söhne &#60;b&#62;, <a href=\"http://localhost:",
        "<a href=\"https://shop.example\">https://shop.example</a>",
        "<a href=\"mailto:help@shop.example\">help@shop.example</a>",
        "<a href=\"https://shop.example/terms\">Terms &#38; &#60;i&#62;</a>",
    ] {
        assert!(mail.html.contains(expected), "{expected}: {}", mail.html);
    }
    assert!(!mail.html.contains("Order portal") && !mail.html.contains("<b>"), "{}", mail.html);
}

#[tokio::test]
async fn markup_in_shop_settings_is_shown_as_text() {
    let settings = [
        ("SHOP_NAME", HOSTILE),
        ("SHOP_URL", "https://shop.example/\"'><hostile-element>"),
        ("SHOP_CONTACT", "https://shop.example/\"'><hostile-element>&lt;"),
        ("SHOP_LINKS", "\"'><hostile-element></ul></title>=https://shop.example/\"'><hostile-element>"),
    ];
    let app = TestApp::start_with(&settings).await;
    let mut ann = app.verified_customer(ANN).await;
    app.import(&shop::orders(1, ANN));
    let mut pages = Pages::new("shop");
    for (response, status, title) in pages_of_each_kind(&app, &mut ann).await {
        pages.check(&title, &response, status, &[&escaped(HOSTILE)]);
    }
    app.visitor().post("/password/forgot", &[("email", ANN)]).await;
    let mail = mailbox::mail_to(&app, ANN, RESET).await;
    assert!(!mail.html.contains("<hostile-element") && mail.html.contains(&escaped(HOSTILE)), "{}", mail.html);
    assert!(mail.text.contains(HOSTILE), "{}", mail.text);
    pages.finish();
}

#[tokio::test]
async fn sender_of_mail_is_mail_from_if_set() {
    let settings = [("SHOP_NAME", NAME), ("MAIL_FROM", "Orders <orders@shop.example>")];
    let app = TestApp::start_with(&settings).await;
    app.customer(BOB).await;
    let mail = mailbox::mail_to(&app, BOB, CONFIRM).await;
    assert!(mail.raw.contains("From: Orders <orders@shop.example>"), "{}", mail.raw);
    assert!(mail.text.contains(&format!("{NAME}, ")), "{}", mail.text);
}

#[tokio::test]
async fn password_must_not_consist_of_the_shop_name() {
    let app = TestApp::start_with(&[("SHOP_NAME", "Walrus & Marmalade")]).await;
    let response = app.visitor().post("/signup", &[("email", ANN), ("password", "marmalade-walrus-2026")]).await;
    assert!(response.is_page(422) && response.text().contains("this site&#39;s name"), "{}", response.text());
}

const PNG: &[u8] = b"\x89PNG\r\n\x1a\n\0\0\0\rIHDR\0\0\0\x01\0\0\0\x01\x08\x06\0\0\0\x1f\x15\xc4\x89";
const SVG: &[u8] =
    b"<?xml version=\"1.0\"?><svg xmlns=\"http://www.w3.org/2000/svg\" viewBox=\"0 0 2 1\"><script>alert(1)</script></svg>";

async fn start_with_logo(file: &str, content: &[u8]) -> TestApp {
    let mut sandbox = Sandbox::new().await;
    std::fs::write(sandbox.path().join(file), content).unwrap();
    SETTINGS.iter().for_each(|(name, value)| sandbox.set(name, value));
    sandbox.set("SHOP_LOGO", file);
    TestApp::start_in(sandbox).await
}

async fn pages_with_logo(app: &TestApp) -> Pages {
    let mut ann = app.verified_customer(ANN).await;
    app.import(&shop::orders(1, ANN));
    let mut pages = Pages::new("logo");
    let alt = "alt=\"Ann &#38; Söhne &#60;b&#62;\"";
    for (response, status, title) in pages_of_each_kind(app, &mut ann).await {
        pages.check(&title, &response, status, &["<img class=\"logo\" src=\"/static/shop-logo.", alt]);
    }
    pages
}

pub async fn logo_pages() -> Pages {
    pages_with_logo(&start_with_logo("logo.png", PNG).await).await
}

#[tokio::test]
async fn logo_is_in_the_header_of_each_page_and_served_from_memory() {
    for (file, content, kind) in [
        ("logo.png", PNG, "image/png"),
        ("logo", b"RIFF\x10\0\0\0WEBPVP8 ....", "image/webp"),
        ("a logo.xml", SVG, "image/svg+xml"),
    ] {
        let app = start_with_logo(file, content).await;
        let pages = pages_with_logo(&app).await;
        let front = app.get("/").await.text();
        let url = front.split("class=\"logo\" src=\"").nth(1).unwrap().split('"').next().unwrap();
        for headers in [&[][..], &[("range", "bytes=0-3")]] {
            let request = headers
                .iter()
                .fold(app.request(Method::GET, url), |request, (name, value)| request.header(*name, *value));
            let logo = http::send(request).await;
            assert!(logo.status == 200 && logo.body == content, "{url}: {}", logo.status);
            assert_eq!(logo.header("content-type"), Some(kind));
            assert_eq!(logo.header("cache-control"), Some("public, max-age=31536000, immutable"));
            let policy = logo.header("content-security-policy").unwrap();
            assert_eq!(policy.ends_with("; sandbox"), kind == "image/svg+xml", "{policy}");
            assert!(policy.starts_with("default-src 'none'") && !policy.contains("script-src 'unsafe"), "{policy}");
        }
        pages.finish();
    }
}

#[tokio::test]
async fn unusable_logo_stops_the_start_with_its_reason() {
    let mut sandbox = Sandbox::new().await;
    let large = [PNG, &vec![0; 200 * 1024]].concat();
    let html = [b"<html>", SVG].concat();
    for (file, content, reason) in [
        ("large.png", Some(&large[..]), "the file is larger"),
        ("photo.png", Some(b"\xff\xd8\xff\xe0 JFIF"), "the file is none of these"),
        ("page.svg", Some(&html), "the file is none of these"),
        ("absent.svg", None, "the file cannot be read"),
    ] {
        if let Some(content) = content {
            std::fs::write(sandbox.path().join(file), content).unwrap();
        }
        sandbox.set("SHOP_LOGO", file);
        for command in ["serve", "check"] {
            let output = sandbox.run(&[command]);
            let line =
                format!("SHOP_LOGO holds \"{file}\"; it takes a PNG, WebP or SVG file of at most 200 KB; {reason}");
            assert!(output.status == 2 && output.stderr.contains(&line), "{command} {file}: {output:?}");
        }
    }
    std::fs::write(sandbox.path().join("exact.png"), [PNG, &vec![0; 200 * 1024 - PNG.len()]].concat()).unwrap();
    sandbox.set("SHOP_LOGO", "exact.png");
    assert!(!sandbox.run(&["check"]).stderr.contains("SHOP_LOGO"));
}

#[tokio::test]
async fn accent_is_in_mail() {
    let html = async |settings: &[(&str, &str)]| {
        let app = TestApp::start_with(settings).await;
        app.customer(ANN).await;
        mailbox::mail_to(&app, ANN, mailbox::CONFIRM).await.html
    };
    let (own, red) = (html(&[]).await, html(&[("SHOP_ACCENT", "#c00")]).await);
    let button = |html: &str| html.split("bgcolor=\"").nth(1).unwrap()[..7].to_owned();
    assert_eq!(button(&own), "#00523a");
    assert_ne!(button(&red), button(&own));
    let dark = |html: &str| html.split(".page .button { background-color: ").nth(1).unwrap()[..7].to_owned();
    assert_ne!(dark(&red), dark(&own));
    assert!(!red.contains(&button(&own)) && !red.contains(&dark(&own)), "{red}");
}

#[tokio::test]
async fn accent_is_in_the_stylesheet_under_its_own_content_hash() {
    let stylesheet = async |settings: &[(&str, &str)]| {
        let app = TestApp::start_with(settings).await;
        let front = app.get("/").await.text();
        let url = front.split("rel=\"stylesheet\" href=\"").nth(1).unwrap().split('"').next().unwrap().to_owned();
        let css = app.get(&url).await;
        assert_eq!(css.header("cache-control"), Some("public, max-age=31536000, immutable"));
        assert!(!front.contains("style="), "{front}");
        let dark = front.split("theme-color\" content=\"").nth(2).unwrap().split('"').next().unwrap().to_owned();
        (url, css.text(), dark)
    };
    let own = stylesheet(&[]).await;
    let red = stylesheet(&[("SHOP_ACCENT", "#c00")]).await;
    let blue = stylesheet(&[("SHOP_ACCENT", "oklch(90% 0.2 264)")]).await;
    for (one, other) in [(&own, &red), (&own, &blue), (&red, &blue)] {
        assert!(one.0 != other.0 && one.1 != other.1 && one.2 != other.2, "{} {}", one.0, other.0);
    }
    assert!(
        red.1.starts_with(&own.1) && red.1.contains("--hue: 29.2; --accent: light-dark(oklch(39% "),
        "{}",
        &red.1[own.1.len()..]
    );
    assert!(blue.1.contains("--hue: 264.0; --accent: light-dark(oklch(39% 0."), "{}", &blue.1[own.1.len()..]);
}
