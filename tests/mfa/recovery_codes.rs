//! Recovery codes.

use super::{CODE_USED, CODES_REPLACED, after_password, recovery_codes, send_code, two_step_customer};
use crate::app::{ANN, PASSWORD, TestApp};
use crate::mailbox;

#[tokio::test]
async fn recovery_code_logs_in_once_and_the_owner_is_told() {
    let app = TestApp::start().await;
    let (_, _, codes) = two_step_customer(&app, ANN).await;
    let mut visitor = after_password(&app, ANN, PASSWORD).await;
    assert_eq!(send_code(&mut visitor, &codes[0]).await.redirect(), (303, "/orders"));
    let mail = mailbox::mail_to(&app, ANN, CODE_USED).await;
    assert!(mail.text.contains("9 are left") && mail.path().starts_with("/not-me?"), "{}", mail.text);
    assert!(visitor.get("/account").await.text().contains("9 recovery codes left"));
    assert!(visitor.get("/account/mfa").await.text().contains("9 left"));
    assert!(visitor.get("/account/activity").await.text().contains("Recovery code used"));
    let mut again = after_password(&app, ANN, PASSWORD).await;
    assert_eq!(send_code(&mut again, &codes[0]).await.status, 401, "the code works twice");
    // As people type it.
    let typed = codes[1].to_uppercase().replace('-', " ").replace('0', "O").replace('1', "I");
    assert_eq!(send_code(&mut again, &format!("  {typed}\t")).await.redirect(), (303, "/orders"));
}

#[tokio::test]
async fn all_ten_recovery_codes_work_and_none_is_left() {
    let app = TestApp::start().await;
    let (mut ann, authenticator, codes) = two_step_customer(&app, ANN).await;
    for code in &codes {
        let mut visitor = after_password(&app, ANN, PASSWORD).await;
        assert_eq!(send_code(&mut visitor, code).await.redirect(), (303, "/orders"), "{code}");
    }
    assert!(ann.get("/account").await.text().contains("no recovery codes left"));
    assert!(ann.get("/account/mfa").await.text().contains("None left"));
    let mut visitor = after_password(&app, ANN, PASSWORD).await;
    assert_eq!(send_code(&mut visitor, &codes[9]).await.status, 401);
    assert_eq!(send_code(&mut visitor, &authenticator.fresh_code(&app).await).await.status, 303);
}

#[tokio::test]
async fn new_recovery_codes_replace_the_earlier_ones() {
    let app = TestApp::start().await;
    let (mut ann, authenticator, codes) = two_step_customer(&app, ANN).await;
    let page = ann.post("/account/mfa/recovery-codes", &[("password", PASSWORD)]).await;
    assert!(page.is_page(422) && page.text().contains("id=\"codes-code-error\""), "{}", page.text());
    let code = authenticator.fresh_code(&app).await;
    let page = ann.post("/account/mfa/recovery-codes", &[("password", PASSWORD), ("code", &code)]).await;
    assert!(page.is_page(200) && page.header("cache-control") == Some("no-store"), "{}", page.text());
    let new = recovery_codes(&page.text());
    assert!(new.len() == 10 && new.iter().all(|code| !codes.contains(code)));
    mailbox::mail_to(&app, ANN, CODES_REPLACED).await;
    assert!(ann.get("/account/activity").await.text().contains("New recovery codes created"));
    let mut visitor = after_password(&app, ANN, PASSWORD).await;
    assert_eq!(send_code(&mut visitor, &codes[0]).await.status, 401);
    assert_eq!(send_code(&mut visitor, &new[0]).await.redirect(), (303, "/orders"));
}

#[tokio::test]
async fn recovery_codes_need_two_step_login() {
    let app = TestApp::start().await;
    let mut ann = app.verified_customer(ANN).await;
    let response = ann.post("/account/mfa/recovery-codes", &[("password", PASSWORD)]).await;
    assert_eq!(response.redirect(), (303, "/account/mfa"));
    let response = ann.post("/account/mfa/disable", &[("password", PASSWORD)]).await;
    assert_eq!(response.redirect(), (303, "/account/mfa"));
    assert_eq!(app.count("recovery_codes").await, 0);
}
