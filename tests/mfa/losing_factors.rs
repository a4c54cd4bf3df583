//! Lost factors, and an attacker's factors: reset, "This was not me", and the operator's command.

use super::{ON, REMOVED, after_password, recovery_codes, send_code, set_up, two_step_customer};
use crate::app::{ANN, NEW_PASSWORD, OTHER_PASSWORD, PASSWORD, TestApp};
use crate::http::Visitor;
use crate::mailbox::{self, RESET};

async fn reset_by_mail(app: &TestApp, password: &str) -> Visitor {
    let mut visitor = app.visitor();
    visitor.post("/password/forgot", &[("email", ANN)]).await;
    let mail = mailbox::wait_for("the reset mail", || mailbox::mails_to(app, ANN, RESET).pop()).await;
    let fields = [("token", mail.token()), ("password", password)];
    assert_eq!(visitor.post("/password/reset", &fields).await.redirect(), (303, "/login"));
    visitor
}

#[tokio::test]
async fn reset_on_a_confirmed_account_keeps_its_factors() {
    let app = TestApp::start().await;
    let (_, authenticator, _) = two_step_customer(&app, ANN).await;
    // Whoever reads the mail alone does not get in.
    let mut visitor = reset_by_mail(&app, NEW_PASSWORD).await;
    assert_eq!(visitor.log_in(ANN, NEW_PASSWORD).await.redirect(), (303, "/login/code"));
    assert_eq!(visitor.get("/orders").await.status, 303);
    let code = authenticator.fresh_code(&app).await;
    assert_eq!(send_code(&mut visitor, &code).await.redirect(), (303, "/orders"));
    assert_eq!(app.count("recovery_codes").await, 10);
}

#[tokio::test]
async fn reset_that_confirms_the_address_removes_an_attackers_factors() {
    let app = TestApp::start().await;
    // The attacker signs up with the customer's address and gets no factor.
    let mut attacker = app.customer(ANN).await;
    let page = attacker.post("/account/mfa/start", &[("password", PASSWORD)]).await;
    assert!(page.status == 422 && !page.text().contains("data-totp-secret"));
    // Even if there was one: the customer's reset removes it, and with it every way in.
    app.run_ok(&["user", "verify", ANN]);
    let (authenticator, codes) = set_up(&mut attacker).await;
    app.execute("UPDATE users SET verified_at = NULL").await;
    let mut pending = after_password(&app, ANN, PASSWORD).await;
    let mut customer = reset_by_mail(&app, OTHER_PASSWORD).await;
    assert_eq!(customer.log_in(ANN, OTHER_PASSWORD).await.redirect(), (303, "/orders"), "the customer is locked out");
    assert_eq!(attacker.get("/orders").await.status, 303);
    assert_eq!(send_code(&mut pending, &codes[0]).await.redirect(), (303, "/login"));
    for table in ["totp_factors", "recovery_codes", "pending_logins"] {
        assert_eq!(app.count(table).await, 0, "{table}");
    }
    // The customer's own factor replaces it.
    let page = customer.post("/account/mfa/start", &[("password", OTHER_PASSWORD)]).await;
    assert_ne!(super::Authenticator::of_page(&page.text()).secret, authenticator.secret);
}

#[tokio::test]
async fn not_me_removes_factors_added_since_its_event() {
    let app = TestApp::start().await;
    app.verified_customer(ANN).await;
    // The attacker knows the password: the owner gets the mail "new login".
    let mut attacker = app.new_session(ANN, PASSWORD).await;
    let mail = mailbox::mail_to(&app, ANN, "New login to your account").await;
    let (_, codes) = set_up(&mut attacker).await;
    let mut pending = after_password(&app, ANN, PASSWORD).await;
    let mut owner = app.visitor();
    assert_eq!(owner.post("/not-me", &[("token", mail.token())]).await.redirect(), (303, "/login"));
    for table in ["totp_factors", "recovery_codes", "pending_logins"] {
        assert_eq!(app.count(table).await, 0, "{table}");
    }
    assert_eq!(send_code(&mut pending, &codes[0]).await.redirect(), (303, "/login"));
    assert_eq!(attacker.get("/orders").await.status, 303);
    let mut owner = reset_by_mail(&app, NEW_PASSWORD).await;
    assert_eq!(owner.log_in(ANN, NEW_PASSWORD).await.redirect(), (303, "/orders"));
}

#[tokio::test]
async fn link_in_the_mail_about_a_new_factor_removes_it() {
    let app = TestApp::start().await;
    two_step_customer(&app, ANN).await;
    let mail = mailbox::mail_to(&app, ANN, ON).await;
    let mut owner = app.visitor();
    assert!(owner.get(mail.path()).await.is_page(200));
    assert_eq!(owner.post("/not-me", &[("token", mail.token())]).await.redirect(), (303, "/login"));
    assert_eq!(app.count("totp_factors").await, 0);
    assert_eq!(app.count("audit_events WHERE event = 'factors-reset'").await, 1);
}

#[tokio::test]
async fn not_me_keeps_earlier_factors_and_removes_new_codes() {
    let app = TestApp::start().await;
    let (_, authenticator, _) = two_step_customer(&app, ANN).await;
    app.execute("UPDATE totp_factors SET confirmed_at = confirmed_at - 100").await;
    app.execute("UPDATE recovery_codes SET created_at = created_at - 100").await;
    let mut attacker = after_password(&app, ANN, PASSWORD).await;
    send_code(&mut attacker, &authenticator.fresh_code(&app).await).await;
    let mail = mailbox::mail_to(&app, ANN, "New login to your account").await;
    let fields = [("password", PASSWORD), ("code", &*authenticator.fresh_code(&app).await)];
    let page = attacker.post("/account/mfa/recovery-codes", &fields).await;
    assert_eq!(recovery_codes(&page.text()).len(), 10);
    let mut owner = app.visitor();
    assert_eq!(owner.post("/not-me", &[("token", mail.token())]).await.redirect(), (303, "/login"));
    assert_eq!(app.count("recovery_codes").await, 0, "the attacker's codes work");
    let mut owner = reset_by_mail(&app, NEW_PASSWORD).await;
    assert_eq!(owner.log_in(ANN, NEW_PASSWORD).await.redirect(), (303, "/login/code"), "the owner's factor is removed");
    assert_eq!(send_code(&mut owner, &authenticator.fresh_code(&app).await).await.redirect(), (303, "/orders"));
}

#[tokio::test]
async fn operator_removes_factors_and_the_owner_is_told() {
    let app = TestApp::start().await;
    let (mut ann, _, codes) = two_step_customer(&app, ANN).await;
    let mut pending = after_password(&app, ANN, PASSWORD).await;
    let shown = app.run_ok(&["user", "show", ANN]);
    assert!(
        shown.contains("two-step login  authenticator app since ") && shown.contains("10 recovery codes left"),
        "{shown}"
    );
    let done = app.run_ok(&["user", "reset-mfa", ANN]);
    assert!(done.contains("ann@example.com has no second factor and no passkey any more"), "{done}");
    assert!(app.run_ok(&["user", "show", ANN]).contains("two-step login  off"));
    for table in ["totp_factors", "recovery_codes", "pending_logins"] {
        assert_eq!(app.count(table).await, 0, "{table}");
    }
    assert_eq!(send_code(&mut pending, &codes[0]).await.redirect(), (303, "/login"));
    assert_eq!(ann.get("/account").await.status, 303, "the session goes on");
    assert_eq!(ann.log_in(ANN, PASSWORD).await.redirect(), (303, "/orders"));
    let mail = mailbox::mail_to(&app, ANN, REMOVED).await;
    assert!(mail.text.contains("by the shop") && mail.path().starts_with("/not-me?"), "{}", mail.text);
    let activity = ann.get("/account/activity").await.text();
    assert!(activity.contains("Passkeys and two-step login removed") && activity.contains("The shop"), "{activity}");
    let missing = app.run(&["user", "reset-mfa", "nobody@example.com"]);
    assert!(missing.is_one_line_error(1), "{missing:?}");
}
