//! Sensitive changes with two-step login need the password and a code.

use super::{after_password, send_code, two_step_customer};
use crate::app::{ANN, NEW_PASSWORD, PASSWORD, TestApp, WRONG_PASSWORD};
use crate::http::{Response, Visitor};
use crate::mailbox::{self, CONFIRM_NEW};

/// Path, the name of the password, other fields, and the id of the message about the code.
type Change = (&'static str, &'static str, &'static [(&'static str, &'static str)], &'static str);

const CHANGES: [Change; 5] = [
    ("/account/email", "password", &[("email", "new@example.com")], "email-code-error"),
    ("/account/export", "password", &[], "export-code-error"),
    ("/account/mfa/recovery-codes", "password", &[], "codes-code-error"),
    ("/account/password", "current_password", &[("new_password", NEW_PASSWORD)], "password-code-error"),
    ("/account/delete", "password", &[], "code-error"),
];

async fn send(visitor: &mut Visitor, change: &Change, password: &str, code: Option<&str>) -> Response {
    let (path, name, others, _) = *change;
    let code = code.map(|code| ("code", code));
    let fields: Vec<_> = others.iter().copied().chain([(name, password)]).chain(code).collect();
    visitor.post(path, &fields).await
}

#[tokio::test]
async fn password_alone_changes_nothing_with_two_step_login() {
    let app = TestApp::start().await;
    let (mut ann, authenticator, codes) = two_step_customer(&app, ANN).await;
    let (used, wrong) = (&*authenticator.used, authenticator.wrong_code());
    for change in &CHANGES {
        app.execute("DELETE FROM rate_limits").await;
        for code in [None, Some(""), Some(" "), Some(&*wrong), Some(used), Some("x"), Some(&codes[0][..28])] {
            let response = send(&mut ann, change, PASSWORD, code).await;
            let (page, id) = (response.text(), change.3);
            assert!(response.is_page(422), "{} {code:?}: {}", change.0, response.status);
            assert!(page.contains(&format!("id=\"{id}\"")), "{} {code:?}: {page}", change.0);
            assert!(page.contains(&format!("href=\"#{}\"", id.trim_end_matches("-error"))), "{}", change.0);
            assert_eq!(page.matches("autofocus").count(), 1, "{}", change.0);
        }
        // A wrong password uses no code up.
        assert_eq!(send(&mut ann, change, WRONG_PASSWORD, Some(&codes[0])).await.status, 422);
    }
    assert_eq!(app.count("recovery_codes").await, 10);
    assert_eq!(app.count("users WHERE email = 'ann@example.com'").await, 1);
    assert_eq!(app.count("mail_queue WHERE recipient = 'new@example.com'").await, 0);
}

#[tokio::test]
async fn password_and_code_allow_each_change() {
    let app = TestApp::start().await;
    let (mut ann, authenticator, codes) = two_step_customer(&app, ANN).await;
    for (index, change) in CHANGES.iter().enumerate() {
        let password = if change.0 == "/account/delete" { NEW_PASSWORD } else { PASSWORD };
        let code = match index {
            0 => codes[0].clone(),
            _ => authenticator.fresh_code(&app).await,
        };
        let response = send(&mut ann, change, password, Some(&code)).await;
        assert!([200, 303].contains(&response.status), "{}: {}", change.0, response.text());
        if change.0 != "/account/delete" {
            let replayed = send(&mut ann, change, PASSWORD, Some(&code)).await;
            assert_eq!(replayed.status, 422, "{}: the code works twice", change.0);
        }
    }
    for table in ["users", "totp_factors", "recovery_codes", "pending_logins"] {
        assert_eq!(app.count(table).await, 0, "{table}");
    }
}

#[tokio::test]
async fn rejected_new_password_uses_no_code_up() {
    let app = TestApp::start().await;
    let (mut ann, authenticator, codes) = two_step_customer(&app, ANN).await;
    for code in [authenticator.fresh_code(&app).await, codes[0].clone()] {
        for new in ["short", "password1234", PASSWORD] {
            let fields = [("current_password", PASSWORD), ("new_password", new), ("code", &code)];
            let page = ann.post("/account/password", &fields).await;
            assert!(page.is_page(422) && page.text().contains("id=\"new-password-error\""), "{}", page.text());
        }
    }
    let mut visitor = after_password(&app, ANN, PASSWORD).await;
    assert_eq!(send_code(&mut visitor, &codes[0]).await.redirect(), (303, "/orders"));
}

#[tokio::test]
async fn wrong_codes_of_reauthentication_are_limited() {
    let app = TestApp::start().await;
    let (mut ann, authenticator, codes) = two_step_customer(&app, ANN).await;
    for _ in 0..10 {
        let response = send(&mut ann, &CHANGES[1], PASSWORD, Some(&authenticator.wrong_code())).await;
        assert_eq!(response.status, 422);
    }
    let response = send(&mut ann, &CHANGES[1], PASSWORD, Some(&codes[0])).await;
    assert!(response.is_page(429) && response.header("retry-after").is_some(), "{}", response.status);
    let mut visitor = after_password(&app, ANN, PASSWORD).await;
    assert_eq!(send_code(&mut visitor, &codes[0]).await.status, 303, "logins are limited, too");
}

#[tokio::test]
async fn code_fields_are_shown_only_with_two_step_login() {
    let app = TestApp::start().await;
    let mut bob = app.verified_customer(crate::app::BOB).await;
    let (mut ann, _, _) = two_step_customer(&app, ANN).await;
    for (path, fields) in [("/account", 3), ("/account/delete", 1), ("/account/mfa", 2)] {
        let page = ann.get(path).await.text();
        assert_eq!(page.matches(" name=\"code\"").count(), fields, "{path}");
        assert_eq!(page.matches("autocomplete=\"one-time-code\"").count(), fields, "{path}");
        assert_eq!(bob.get(path).await.text().matches(" name=\"code\"").count(), 0, "{path}");
    }
}

#[tokio::test]
async fn confirmation_link_without_session_needs_the_code() {
    let app = TestApp::start().await;
    let (mut ann, authenticator, codes) = two_step_customer(&app, ANN).await;
    let code = authenticator.fresh_code(&app).await;
    let response = send(&mut ann, &CHANGES[0], PASSWORD, Some(&code)).await;
    assert_eq!(response.redirect(), (303, "/account#email"));
    let mail = mailbox::mail_to(&app, "new@example.com", CONFIRM_NEW).await;
    let mut visitor = app.visitor();
    let page = visitor.get(mail.path()).await.text();
    assert!(page.contains(" name=\"code\"") && page.contains(" name=\"password\""), "{page}");
    for code in [None, Some(""), Some(&*code), Some(&*authenticator.wrong_code())] {
        let code = code.map(|code| ("code", code));
        let fields: Vec<_> = [("token", mail.token()), ("password", PASSWORD)].into_iter().chain(code).collect();
        let page = visitor.post("/verify", &fields).await;
        assert!(page.is_page(401) && page.text().contains("id=\"code-error\""), "{code:?}: {}", page.text());
    }
    let fields = [("token", mail.token()), ("password", WRONG_PASSWORD), ("code", &codes[0])];
    let page = visitor.post("/verify", &fields).await;
    assert!(page.is_page(401) && page.text().contains("id=\"password-error\""), "{}", page.text());
    let fields = [("token", mail.token()), ("password", PASSWORD), ("code", &codes[0])];
    assert_eq!(visitor.post("/verify", &fields).await.redirect(), (303, "/login"));
    assert_eq!(app.count("users WHERE email = 'new@example.com'").await, 1);
    assert_eq!(app.count("recovery_codes").await, 9);
}
