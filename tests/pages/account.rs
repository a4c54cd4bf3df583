//! The pages of the account.

use reqwest::Method;

use super::{LONG, Pages, escaped};
use crate::app::{NEW_PASSWORD, PASSWORD, TestApp, WRONG_PASSWORD};
use crate::html::HOSTILE;
use crate::http;

#[tokio::test]
async fn account_pages_are_well_formed_in_every_state() {
    account_pages().await.finish();
}

pub async fn account_pages() -> Pages {
    let app = TestApp::start_with(&[("ORDER_MAILS", "true")]).await;
    let mut pages = Pages::new("account");
    let mut ann = app.visitor();
    let sign_up = ann.request(Method::POST, "/signup").header("user-agent", HOSTILE);
    let response = ann.send(sign_up.form(&[("email", "ann&co'<s>@example.com"), ("password", PASSWORD)])).await;
    assert_eq!(response.status, 422, "an address with markup is accepted");
    let sign_up = ann.request(Method::POST, "/signup").header("user-agent", HOSTILE);
    let response = ann.send(sign_up.form(&[("email", "ann&co's@example.com"), ("password", PASSWORD)])).await;
    assert_eq!(response.redirect(), (303, "/orders"));
    pages.check("account", &ann.get("/account").await, 200, &["Not confirmed yet", "ann&#38;co&#39;s@example.com"]);
    // GET of a form address redirects to these sections.
    let sections = ["email", "password", "sessions", "order-mails", "data"].map(|id| format!(" id=\"{id}\""));
    pages.check("account sections", &ann.get("/account").await, 200, &sections.each_ref().map(String::as_str));
    for agent in ["Mozilla/5.0 (X11; Linux x86_64; rv:140.0) Gecko/20100101 Firefox/140.0", "", &"w".repeat(LONG)] {
        let request = app.request(Method::POST, "/login").header("user-agent", agent);
        http::send(request.form(&[("email", "ann&co's@example.com"), ("password", PASSWORD)])).await;
    }
    let body = serde_json::json!({ "email": "ann&co's@example.com", "password": PASSWORD });
    assert_eq!(app.api_post("/api/login", &body).await.status, 200);
    let several = ann.get("/account").await;
    pages.check(
        "account, several sessions",
        &several,
        200,
        &["Log out everywhere else", "(an app or script)", "Firefox on Linux"],
    );
    app.run_ok(&["user", "verify", "ann&co's@example.com"]);
    pages.check("account, confirmed", &ann.get("/account").await, 200, &["<span>Confirmed</span>"]);
    app.execute("UPDATE users SET password_breached_at = 1").await;
    pages.check(
        "account, breached password",
        &ann.get("/account").await,
        200,
        &["<a href=\"#password\">Change the password"],
    );
    pages.check("activity", &ann.get("/account/activity").await, 200, &["The shop"]);

    assert_eq!(ann.post("/account/order-mails", &[("order_mails", "off")]).await.status, 303);
    pages.check(
        "account, no order mail",
        &ann.get("/account").await,
        200,
        &["Turn on order emails", "class=\"notice\""],
    );

    let long = "w".repeat(LONG);
    for (state, email) in [("none", ""), ("wrong", "ann@"), ("hostile", HOSTILE), ("long", &long)] {
        let response = ann.post("/account/email", &[("email", email)]).await;
        pages.check(&format!("address, {state}"), &response, 422, &["id=\"new-email-error\"", &escaped(email)]);
    }
    for (state, current, new, expected) in [
        ("both", "", "short", "id=\"new-password-error\""),
        ("current", WRONG_PASSWORD, NEW_PASSWORD, "id=\"current-password-error\""),
        ("new", PASSWORD, "sh0rt!q", "id=\"new-password-error\""),
        ("long", PASSWORD, &long, "id=\"new-password-error\""),
    ] {
        let response = ann.change_password(current, new).await;
        pages.check(&format!("password, {state}"), &response, 422, &[expected, "Your changes were not saved"]);
    }

    pages.check("delete", &ann.get("/account/delete").await, 200, &[]);
    let failures = ann.post("/account/delete", &[("password", HOSTILE)]).await;
    pages.check("delete, wrong password", &failures, 422, &["id=\"password-error\""]);
    pages.check("time zone", &ann.get("/account/time-zone").await, 200, &[" selected>"]);
    for zone in [HOSTILE, "", &long] {
        let response = ann.post("/account/time-zone", &[("zone", zone)]).await;
        pages.check("time zone, none of the list", &response, 422, &["id=\"zone-error\""]);
    }

    for (state, password, message) in
        [("no password", "", "Enter your password"), ("wrong password", HOSTILE, "Password is incorrect")]
    {
        let fields = [("email", "new&'@example.com"), ("password", password)];
        let response = ann.post("/account/email", &fields).await;
        let expected = [
            "id=\"email-password-error\"",
            "value=\"new&#38;&#39;@example.com\"",
            "Your changes were not saved",
            message,
        ];
        pages.check(&format!("address, {state}"), &response, 422, &expected);
        let response = ann.post("/account/export", &[("password", password)]).await;
        let expected = ["id=\"export-password-error\"", "Your data was not downloaded", message];
        pages.check(&format!("export, {state}"), &response, 422, &expected);
    }
    pages
}
