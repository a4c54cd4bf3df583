//! The pages of two-step login.

use super::Pages;
use crate::app::{ANN, PASSWORD, TestApp, WRONG_PASSWORD};
use crate::html::HOSTILE;
use crate::mfa::{Authenticator, after_password, recovery_codes, send_code};

#[tokio::test]
async fn two_step_login_pages_are_well_formed_in_every_state() {
    mfa_pages().await.finish();
}

pub async fn mfa_pages() -> Pages {
    let shop = [("SHOP_NAME", "Tom & Jerry's: <b>Cheese</b>"), ("SHOP_CONTACT", "help@shop.example")];
    let app = TestApp::start_with(&shop).await;
    let mut pages = Pages::new("mfa");
    let mut ann = app.customer(ANN).await;
    pages.check("unconfirmed", &ann.get("/account/mfa").await, 200, &["Confirm your email address first"]);
    app.run_ok(&["user", "verify", ANN]);
    pages.check("off", &ann.get("/account/mfa").await, 200, &["action=\"/account/mfa/start\""]);
    let page = ann.post("/account/mfa/start", &[("password", WRONG_PASSWORD)]).await;
    pages.check("start, wrong password", &page, 422, &["href=\"#start-password\""]);

    let page = ann.post("/account/mfa/start", &[("password", PASSWORD)]).await;
    let issuer = "otpauth://totp/Tom%20%26%20Jerry%27s%20%20%3Cb%3ECheese%3C%2Fb%3E:ann%40example.com?";
    pages.check("setup", &page, 200, &["data-totp-secret=", issuer]);
    let authenticator = Authenticator::of_page(&page.text());
    for code in ["", HOSTILE, &authenticator.wrong_code()] {
        let page = ann.post("/account/mfa/confirm", &[("code", code)]).await;
        pages.check(&format!("setup, {code}"), &page, 422, &["id=\"code-error\""]);
    }
    let page = ann.post("/account/mfa/confirm", &[("code", &authenticator.code(0))]).await;
    pages.check("recovery codes", &page, 200, &["Two-step login is on.", "data-recovery-code"]);
    let codes = recovery_codes(&page.text());
    pages.check("on", &ann.get("/account/mfa").await, 200, &["<strong>On</strong>", "10 left"]);
    pages.check("account, on", &ann.get("/account").await, 200, &["10 recovery codes left"]);
    pages.check("delete, on", &ann.get("/account/delete").await, 200, &["id=\"code-help\""]);
    for (path, field) in [("disable", "disable"), ("recovery-codes", "codes")] {
        for (password, code) in [("", ""), (PASSWORD, ""), (PASSWORD, HOSTILE), (WRONG_PASSWORD, "123456")] {
            let page = ann.post(&format!("/account/mfa/{path}"), &[("password", password), ("code", code)]).await;
            let failed = if password == PASSWORD { "code" } else { "password" };
            let expected = [format!("id=\"{field}-{failed}-error\""), format!("href=\"#{field}-{failed}\"")];
            pages.check(&format!("{path} {password} {code}"), &page, 422, &expected.each_ref().map(String::as_str));
        }
    }
    let fields = [("current_password", ""), ("new_password", "short"), ("email", "x"), ("password", "")];
    for path in ["/account/password", "/account/email", "/account/export", "/account/delete"] {
        pages.check(path, &ann.post(path, &fields).await, 422, &["-error\""]);
    }
    let both = ann.post("/account/password", &[("current_password", ""), ("new_password", "short")]).await;
    let expected = ["id=\"current-password-error\"", "id=\"password-code-error\"", "id=\"new-password-error\""];
    pages.check("password, all fields", &both, 422, &expected);
    let page = ann.post("/account/mfa/recovery-codes", &[("password", PASSWORD), ("code", &codes[0])]).await;
    pages.check("new recovery codes", &page, 200, &["data-recovery-code"]);
    let codes = recovery_codes(&page.text());

    let mut visitor = after_password(&app, ANN, PASSWORD).await;
    let contact = "href=\"mailto:help@shop.example\"";
    pages.check("code", &visitor.get("/login/code").await, 200, &["Start again", contact]);
    for code in ["", HOSTILE, &"9".repeat(super::LONG)] {
        pages.check(&format!("code, {code}"), &send_code(&mut visitor, code).await, 401, &["id=\"code-error\""]);
    }
    app.execute("DELETE FROM recovery_codes").await;
    pages.check("on, no codes", &ann.get("/account/mfa").await, 200, &["None left"]);
    pages.check("account, no codes", &ann.get("/account").await, 200, &["no recovery codes left"]);
    assert_eq!(send_code(&mut visitor, &codes[0]).await.status, 401);
    pages
}
