//! The pages of passkeys, at the public URL.

use super::{LONG, Pages, escaped};
use crate::app::{ANN, PASSWORD, TestApp, WRONG_PASSWORD};
use crate::html::HOSTILE;
use crate::http::{Visitor, client};
use crate::mfa;
use crate::passkeys::{self, at_public_url, log_in, public_origin, register};

#[tokio::test]
async fn passkey_pages_are_well_formed_in_every_state() {
    let app = TestApp::start().await;
    let mut pages = Pages::new("passkeys");
    let mut ann = app.customer(ANN).await;
    pages.check("other host", &ann.get("/account/passkeys").await, 200, &["Passkeys work only at http://localhost:"]);
    let mut local = at_public_url(&app, &ann);
    pages.check("login", &Visitor::new(client(), public_origin(&app)).get("/login").await, 200, &["data-passkey="]);
    pages.check("unconfirmed", &local.get("/account/passkeys").await, 200, &["Confirm your email address first."]);
    app.run_ok(&["user", "verify", ANN]);
    pages.check("none", &local.get("/account/passkeys").await, 200, &["You have no passkey yet.", "<noscript>"]);
    pages.check("account, none", &local.get("/account").await, 200, &["Add<span class=\"unseen\"> a passkey"]);
    let mut passkey = register(&app, &mut ann).await;
    local = at_public_url(&app, &ann);
    pages.check("one", &local.get("/account/passkeys").await, 200, &["Not used yet", "Use a passkey"]);
    log_in(&mut app.visitor(), &mut passkey).await;
    pages.check("used", &local.get("/account/passkeys").await, 200, &["Last used ", "data-passkey-signal="]);
    pages.check("account, one", &local.get("/account").await, 200, &["1 passkey", "Use a passkey"]);
    pages.check("delete", &local.get("/account/delete").await, 200, &["Use a passkey"]);
    pages.check("two-step login", &local.get("/account/mfa").await, 200, &["Use a passkey"]);

    let page = passkeys::pages(&mut local).await.remove(0);
    pages.check("passkey", &local.get(&page).await, 200, &["Save name", "Remove passkey"]);
    let rename = format!("{page}/rename");
    for name in ["", &"w".repeat(LONG)] {
        let response = local.post(&rename, &[("name", name), ("password", PASSWORD)]).await;
        pages.check("rename, no name", &response, 422, &["href=\"#name\"", "id=\"name-error\"", &escaped(name)]);
    }
    let response = local.post(&rename, &[("name", "x"), ("password", WRONG_PASSWORD)]).await;
    pages.check("rename, wrong password", &response, 422, &["href=\"#rename-password\"", "value=\"x\""]);
    let response = local.post(&format!("{page}/remove"), &[("passkey", HOSTILE)]).await;
    pages.check("remove, wrong passkey", &response, 422, &["href=\"#remove-password\"", "was not accepted"]);
    let hostile: String = HOSTILE.chars().take(60).collect();
    assert_eq!(local.post(&rename, &[("name", &hostile), ("password", PASSWORD)]).await.status, 303);
    pages.check("hostile name", &local.get("/account/passkeys").await, 200, &[&escaped(&hostile), "was renamed"]);
    pages.check("passkey, hostile name", &local.get(&page).await, 200, &[&escaped(&hostile)]);

    ann.set_session_token(&local.token());
    mfa::set_up(&mut ann).await;
    local = at_public_url(&app, &ann);
    pages.check("with two-step login", &local.get("/account/passkeys").await, 200, &["id=\"code\""]);
    pages.check("passkey with two-step login", &local.get(&page).await, 200, &["id=\"remove-code\""]);
    app.execute("DELETE FROM passkeys").await;
    pages.check("all removed", &local.get("/account/passkeys").await, 200, &["data-passkey-signal="]);
    pages.finish();
}

#[tokio::test]
async fn page_with_the_offer_is_well_formed() {
    let app = TestApp::start().await;
    app.verified_customer(ANN).await;
    let mut pages = Pages::new("passkey offer");
    let mut visitor = Visitor::new(client(), public_origin(&app));
    visitor.post("/login", &[("email", ANN), ("password", PASSWORD), ("next", "/orders?q=%22a%22&sort=total")]).await;
    let page = visitor.get("/orders?q=%22a%22&sort=total").await;
    pages.check("offer", &page, 200, &["<a href=\"/orders?q=%22a%22&#38;sort=total\">Not now</a>"]);
    pages.finish();
}
