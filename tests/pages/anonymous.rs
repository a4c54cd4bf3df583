//! Pages without a login: sign-up, login, links in mail; notices and the pages of production.

use order_portal::accounts::AccountNotice;
use order_portal::orders::OrderNotice;
use order_portal::sessions::SessionNotice;
use order_portal::web::Notice;
use strum::VariantArray;

use reqwest::Method;

use super::{LONG, Pages, escaped};
use crate::app::{ANN, BOB, PASSWORD, PRODUCTION, TestApp, WRONG_PASSWORD};
use crate::html::HOSTILE;
use crate::http::{self, Visitor};
use crate::mailbox::{self, CONFIRM, CONFIRM_NEW, RESET};

#[tokio::test]
async fn anonymous_pages_are_well_formed_in_every_state() {
    anonymous_pages().await.finish();
}

pub async fn anonymous_pages() -> Pages {
    let app = TestApp::start().await;
    let mut pages = Pages::new("anonymous");
    let mut anonymous = app.visitor();
    let (long, hostile) = ("w".repeat(LONG), escaped(HOSTILE));
    pages.check("front", &anonymous.get("/").await, 200, &["Development server"]);

    pages.check("login", &anonymous.get("/login").await, 200, &["aria-current=\"page\""]);
    let next = http::send(app.request(Method::GET, "/login").query(&[("next", "/orders?q=\"><b>&x")])).await;
    pages.check("login with next", &next, 200, &["name=\"next\" value=\"/orders?q=&#34;&#62;&#60;b&#62;&#38;x\""]);
    for (state, email, expected) in [
        ("login, wrong password", BOB, "value=\"bob@example.com\""),
        ("login, no address", "", "href=\"#email\""),
        ("login, hostile address", HOSTILE, &format!("value=\"{hostile}\"")),
        ("login, long address", &long, &long),
    ] {
        let fields = [("email", email), ("password", WRONG_PASSWORD), ("remember", "on"), ("next", "/orders/1?a=b&c")];
        pages.check(state, &anonymous.post("/login", &fields).await, 401, &[expected, "role=\"alert\"", " checked"]);
    }

    pages.check("sign-up", &anonymous.get("/signup").await, 200, &[]);
    for (state, email, password, expected) in [
        ("sign-up, address", "ann@", PASSWORD, "enter your password again"),
        ("sign-up, password", ANN, "short", "id=\"password-error\""),
        ("sign-up, both", "", "", "id=\"email-error\""),
        ("sign-up, hostile address", HOSTILE, HOSTILE, &format!("value=\"{hostile}\"")),
        ("sign-up, long address", &long, &long, &long),
    ] {
        pages.check(
            state,
            &anonymous.post("/signup", &[("email", email), ("password", password)]).await,
            422,
            &[expected],
        );
    }

    pages.check("forgot", &anonymous.get("/password/forgot").await, 200, &[]);
    for (state, email) in [("forgot, wrong", "ann@"), ("forgot, hostile", HOSTILE), ("forgot, long", &long)] {
        let response = anonymous.post("/password/forgot", &[("email", email)]).await;
        pages.check(state, &response, 422, &["id=\"email-error\"", &escaped(email)]);
    }
    pages.check("forgot, sent", &anonymous.get("/password/forgot?sent=1").await, 200, &["href=\"/dev/mail\""]);

    let mut ann = app.customer(ANN).await;
    anonymous.post("/password/forgot", &[("email", ANN)]).await;
    ann.post("/account/email", &[("email", "ann&co@example.com"), ("password", PASSWORD)]).await;
    let reset = mailbox::mail_to(&app, ANN, RESET).await;
    let verify = mailbox::mail_to(&app, ANN, CONFIRM).await;
    let change = mailbox::mail_to(&app, "ann&co@example.com", CONFIRM_NEW).await;
    for (who, visitor) in [("anonymous", &mut anonymous), ("customer", &mut ann)] {
        pages.check(&format!("reset, {who}"), &visitor.get(reset.path()).await, 200, &[ANN]);
        let weak = visitor.post("/password/reset", &[("token", reset.token()), ("password", "sh0rt!q")]).await;
        pages.check(&format!("reset, weak, {who}"), &weak, 422, &["id=\"password-error\""]);
        pages.check(&format!("verify, {who}"), &visitor.get(verify.path()).await, 200, &["There is an account with"]);
        let changed = visitor.get(change.path()).await;
        pages.check(&format!("verify a change, {who}"), &changed, 200, &["ann&#38;co@example.com"]);
        for path in ["/verify", "/password/reset"] {
            let state = format!("{path}, no link, {who}");
            let expected = match (path, who) {
                ("/password/reset", _) => "Request a new link",
                (_, "customer") => "Go to your orders",
                _ => "Log in for a new link",
            };
            pages.check(&state, &visitor.get(&format!("{path}?token=%3Cx")).await, 404, &[expected]);
            let response = visitor.post(path, &[("token", HOSTILE), ("password", PASSWORD)]).await;
            pages.check(&state, &response, 422, &[expected]);
        }
    }
    let failures = [("token", change.token()), ("password", WRONG_PASSWORD)];
    let failures = anonymous.post("/verify", &failures).await;
    pages.check("verify a change, wrong password", &failures, 401, &["id=\"password-error\"", "a…@example.com"]);
    for _ in 0..11 {
        anonymous.log_in(ANN, WRONG_PASSWORD).await;
    }
    let limited = anonymous.post("/verify", &[("token", verify.token()), ("password", PASSWORD)]).await;
    pages.check("verify, rate limited", &limited, 429, &["Try again in", "action=\"/verify\""]);
    ann.post("/verify", &[("token", verify.token())]).await;
    pages.check("verify, again", &ann.get(verify.path()).await, 200, &["is confirmed"]);
    let expired = ann.get("/verify?token=x").await;
    pages.check("no link, address confirmed", &expired, 404, &["Your email address ann@example.com is confirmed"]);
    let limited = anonymous.log_in(ANN, WRONG_PASSWORD).await;
    pages.check("login, rate limited", &limited, 429, &["Try again in", "action=\"/login\""]);
    check_recovery_pages(&app, &mut pages, &mut ann).await;
    pages
}

/// The pages of recovery links. Ann is logged in and has confirmed her address.
async fn check_recovery_pages(app: &TestApp, pages: &mut Pages, ann: &mut Visitor) {
    let mut anonymous = app.visitor();
    ann.change_password(PASSWORD, WRONG_PASSWORD).await;
    let new_password = mailbox::mail_to(app, ANN, "Your password was changed").await;
    ann.post("/account/email", &[("email", "ann&sons@example.com"), ("password", WRONG_PASSWORD)]).await;
    let change = mailbox::mail_to(app, "ann&sons@example.com", CONFIRM_NEW).await;
    for (who, visitor) in [("anonymous", &mut anonymous), ("customer", &mut *ann)] {
        let page = visitor.get(new_password.path()).await;
        pages.check(&format!("recovery, same address, {who}"), &page, 200, &["Secure account", ANN]);
        assert!(!page.text().contains("in place of"), "{}", page.text());
    }
    ann.post("/verify", &[("token", change.token())]).await;
    let new_address = mailbox::mail_to(app, ANN, "Your email address was changed").await;
    let page = anonymous.get(new_address.path()).await;
    pages.check("recovery, another address", &page, 200, &["in place of a…@example.com", ANN]);
    assert!(!page.text().contains("sons"), "{}", page.text());
    assert_eq!(anonymous.post("/not-me", &[("token", new_address.token())]).await.redirect(), (303, "/login"));
    pages.check("login after recovery", &anonymous.get("/login").await, 200, &["Your account is secured"]);
    for path in [new_address.path(), "/not-me", "/not-me?token=%3Cx"] {
        pages.check("recovery, no link", &anonymous.get(path).await, 404, &["Reset your password"]);
    }
    for token in [new_address.token(), HOSTILE, ""] {
        let response = anonymous.post("/not-me", &[("token", token)]).await;
        pages.check("recovery, no link pressed", &response, 422, &["Reset your password"]);
    }
}

#[tokio::test]
async fn notices_and_pages_of_production_are_well_formed() {
    production_pages().await.finish();
}

pub async fn production_pages() -> Pages {
    let app = TestApp::start_with(&PRODUCTION).await;
    let mut pages = Pages::new("production");
    let get = |path: &str, notice: &str| {
        let request = app.request(Method::GET, path).header("host", "shop.example");
        http::send(request.header("cookie", format!("__Host-notice={notice}")))
    };
    for path in ["/", "/login", "/signup", "/password/forgot", "/password/forgot?sent=1"] {
        let response = get(path, "").await;
        pages.check(path, &response, 200, &[]);
        assert!(!response.text().contains("Development server") && !response.text().contains("/dev/mail"), "{path}");
        assert!(!response.text().contains("class=\"notice\""), "{path}");
    }
    pages.check("missing page", &get("/nothing", "").await, 404, &[]);
    let request = app.request(Method::GET, "/login?next=%2Forders").header("host", "shop.example");
    let response = http::send(request.header("referer", "https://shop.example/login")).await;
    pages.check("cookie not kept", &response, 200, &["did not keep the cookie"]);
    let codes = codes::<AccountNotice>().chain(codes::<OrderNotice>()).chain(codes::<SessionNotice>());
    let codes: Vec<&str> = codes.collect();
    assert!(codes.len() > 10 && codes.contains(&"logged-out"), "{codes:?}");
    for code in codes {
        pages.check(code, &get("/login", code).await, 200, &["<p class=\"notice\" role=\"status\">"]);
    }
    pages
}

fn codes<N: Notice + VariantArray>() -> impl Iterator<Item = &'static str> {
    N::VARIANTS.iter().map(|notice| (*notice).into())
}
