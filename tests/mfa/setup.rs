//! Turning two-step login on and off.

use super::{Authenticator, OFF, ON, after_password, attributes, recovery_codes, send_code, set_up, two_step_customer};
use crate::app::{ANN, PASSWORD, TestApp, WRONG_PASSWORD};
use crate::mailbox;

#[tokio::test]
async fn setup_shows_the_secret_and_its_code_turns_it_on() {
    let app = TestApp::start().await;
    let mut ann = app.verified_customer(ANN).await;
    let page = ann.get("/account/mfa").await;
    assert!(page.is_page(200) && page.text().contains("action=\"/account/mfa/start\""), "{}", page.text());
    for fields in [vec![], vec![("password", "")], vec![("password", WRONG_PASSWORD)], vec![("code", "123456")]] {
        let response = ann.post("/account/mfa/start", &fields).await;
        let text = response.text();
        assert!(response.is_page(422) && text.contains("id=\"start-password-error\""), "{fields:?}: {text}");
        assert!(!text.contains("data-totp-secret"), "{fields:?}");
    }
    assert_eq!(app.count("totp_factors").await, 0);

    let page = ann.post("/account/mfa/start", &[("password", PASSWORD)]).await;
    assert!(page.is_page(200) && page.header("cache-control") == Some("no-store"));
    let text = page.text();
    let authenticator = Authenticator::of_page(&text);
    assert_eq!(authenticator.secret.len(), 32, "160 bits");
    assert!(text.contains("<svg class=\"qr\"") && text.len() < 15_000, "{} bytes", text.len());
    let link = format!("otpauth://totp/Order%20portal:ann%40example.com?secret={}", authenticator.secret);
    assert!(text.contains(&link), "{text}");
    assert_eq!(app.log_in(ANN, PASSWORD).await.redirect(), (303, "/orders"), "on before its first code");

    for code in ["", &authenticator.wrong_code(), "abcdef", &authenticator.code(-3)] {
        let page = ann.post("/account/mfa/confirm", &[("code", code)]).await;
        assert!(page.is_page(422) && page.text().contains("id=\"code-error\""), "{code:?}: {}", page.status);
        assert_eq!(attributes(&page.text(), "data-totp-secret"), [&*authenticator.secret], "{code:?}");
    }
    let code = authenticator.code(0);
    let spaced = format!(" {} {} ", &code[..3], &code[3..]);
    let page = ann.post("/account/mfa/confirm", &[("code", &spaced)]).await;
    assert!(page.is_page(200) && page.header("cache-control") == Some("no-store"), "{}", page.text());
    let codes = recovery_codes(&page.text());
    assert_eq!(codes.len(), 10);
    assert!(page.text().contains("download=\"recovery-codes.txt\""));
    for code in &codes {
        let in_file = code.replace('-', "%2D");
        assert!(page.text().contains(&in_file), "{code} is not in the download");
    }

    for (path, text) in [("/account/mfa", "10 left"), ("/account", "10 recovery codes left")] {
        let page = ann.get(path).await.text();
        assert!(page.contains(text), "{path}: {page}");
        assert!(codes.iter().all(|code| !page.contains(code)) && !page.contains(&authenticator.secret), "{path}");
    }
    assert!(ann.get("/account/activity").await.text().contains("Two-step login turned on"));
    let mail = mailbox::mail_to(&app, ANN, ON).await;
    assert!(mail.path().starts_with("/not-me?token="), "{}", mail.text);
    after_password(&app, ANN, PASSWORD).await;
}

#[tokio::test]
async fn unconfirmed_account_gets_no_factor() {
    let app = TestApp::start().await;
    let mut ann = app.customer(ANN).await;
    let page = ann.get("/account/mfa").await.text();
    assert!(page.contains("Confirm your email address first") && !page.contains("/account/mfa/start"), "{page}");
    let page = ann.post("/account/mfa/start", &[("password", PASSWORD)]).await;
    assert!(page.is_page(422) && page.text().contains("Confirm your email address first"), "{}", page.text());
    assert!(!page.text().contains("data-totp-secret"));
    assert_eq!(app.count("totp_factors").await, 0);

    app.run_ok(&["user", "verify", ANN]);
    let page = ann.post("/account/mfa/start", &[("password", PASSWORD)]).await.text();
    app.execute("UPDATE users SET verified_at = NULL").await;
    ann.post("/account/mfa/confirm", &[("code", &Authenticator::of_page(&page).code(0))]).await;
    assert_eq!(app.count("totp_factors WHERE confirmed_at IS NOT NULL").await, 0);
}

#[tokio::test]
async fn setup_ends_after_ten_minutes_and_belongs_to_its_session() {
    let app = TestApp::start().await;
    let mut ann = app.verified_customer(ANN).await;
    let mut other = app.new_session(ANN, PASSWORD).await;
    let page = ann.post("/account/mfa/start", &[("password", PASSWORD)]).await.text();
    let authenticator = Authenticator::of_page(&page);
    for code in [authenticator.wrong_code(), authenticator.code(0)] {
        let response = other.post("/account/mfa/confirm", &[("code", &code)]).await;
        assert_eq!(response.redirect(), (303, "/account/mfa"), "another session reads or finishes the setup");
    }
    app.execute("UPDATE totp_factors SET setup_ends_at = setup_ends_at - 600").await;
    let response = ann.post("/account/mfa/confirm", &[("code", &authenticator.code(0))]).await;
    assert_eq!(response.redirect(), (303, "/account/mfa"));
    assert!(ann.get("/account/mfa").await.text().contains("The setup has expired"));
    assert_eq!(app.count("totp_factors WHERE confirmed_at IS NOT NULL").await, 0);
    // A new setup has a new secret.
    let (again, _) = set_up(&mut ann).await;
    assert_ne!(again.secret, authenticator.secret);
}

#[tokio::test]
async fn setup_attempts_are_limited() {
    let app = TestApp::start().await;
    let mut ann = app.verified_customer(ANN).await;
    let page = ann.post("/account/mfa/start", &[("password", PASSWORD)]).await.text();
    let authenticator = Authenticator::of_page(&page);
    for _ in 0..10 {
        assert_eq!(ann.post("/account/mfa/confirm", &[("code", &authenticator.wrong_code())]).await.status, 422);
    }
    let response = ann.post("/account/mfa/confirm", &[("code", &authenticator.code(0))]).await;
    assert!(response.is_page(429) && response.header("retry-after").is_some(), "{}", response.status);
}

#[tokio::test]
async fn second_setup_does_not_replace_a_factor() {
    let app = TestApp::start().await;
    let (mut ann, authenticator, _) = two_step_customer(&app, ANN).await;
    let code = authenticator.fresh_code(&app).await;
    let response = ann.post("/account/mfa/start", &[("password", PASSWORD), ("code", &code)]).await;
    assert_eq!(response.redirect(), (303, "/account/mfa"));
    let response = ann.post("/account/mfa/confirm", &[("code", &code)]).await;
    assert_eq!(response.redirect(), (303, "/account/mfa"));
    let mut visitor = after_password(&app, ANN, PASSWORD).await;
    assert_eq!(send_code(&mut visitor, &code).await.redirect(), (303, "/orders"));
}

#[tokio::test]
async fn disable_requires_password_and_code() {
    let app = TestApp::start().await;
    let (mut ann, authenticator, codes) = two_step_customer(&app, ANN).await;
    let mut pending = after_password(&app, ANN, PASSWORD).await;
    let wrong = authenticator.wrong_code();
    for (password, code, field) in [
        (PASSWORD, "", "disable-code-error"),
        (PASSWORD, &*wrong, "disable-code-error"),
        (PASSWORD, &*authenticator.used, "disable-code-error"),
        (WRONG_PASSWORD, &*codes[0], "disable-password-error"),
        ("", &*codes[0], "disable-password-error"),
    ] {
        let page = ann.post("/account/mfa/disable", &[("password", password), ("code", code)]).await;
        assert!(page.is_page(422) && page.text().contains(&format!("id=\"{field}\"")), "{field}: {}", page.text());
    }
    let code = authenticator.fresh_code(&app).await;
    let before = ann.token();
    let response = ann.post("/account/mfa/disable", &[("password", PASSWORD), ("code", &code)]).await;
    assert_eq!(response.redirect(), (303, "/account/mfa"));
    assert_ne!(ann.token(), before);
    assert!(ann.get("/account/mfa").await.text().contains("Two-step login is off."));
    for table in ["totp_factors", "recovery_codes", "pending_logins"] {
        assert_eq!(app.count(table).await, 0, "{table}");
    }
    assert_eq!(send_code(&mut pending, &codes[0]).await.redirect(), (303, "/login"), "a pending login goes on");
    assert_eq!(app.log_in(ANN, PASSWORD).await.redirect(), (303, "/orders"));
    mailbox::mail_to(&app, ANN, OFF).await;
    assert!(ann.get("/account/activity").await.text().contains("Two-step login turned off"));
}
