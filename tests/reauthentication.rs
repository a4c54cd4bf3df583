//! A sensitive change requires the password in the same form: a stolen cookie is not enough.

use crate::app::{ANN, BOB, NEW_PASSWORD, PASSWORD, TestApp, WRONG_PASSWORD};
use crate::http::{Response, Visitor};
use crate::token::Token;

struct SensitiveChange {
    path: &'static str,
    password_field: &'static str,
    other_fields: &'static [(&'static str, &'static str)],
    /// The id of the error message for a wrong password.
    error_id: &'static str,
}

const CHANGES: [SensitiveChange; 4] = [
    SensitiveChange {
        path: "/account/password",
        password_field: "current_password",
        other_fields: &[("new_password", NEW_PASSWORD)],
        error_id: "current-password-error",
    },
    SensitiveChange {
        path: "/account/email",
        password_field: "password",
        other_fields: &[("email", "new@example.com")],
        error_id: "email-password-error",
    },
    SensitiveChange {
        path: "/account/export",
        password_field: "password",
        other_fields: &[],
        error_id: "export-password-error",
    },
    SensitiveChange {
        path: "/account/delete",
        password_field: "password",
        other_fields: &[],
        error_id: "password-error",
    },
];

impl SensitiveChange {
    async fn send(&self, visitor: &mut Visitor, password: &str) -> Response {
        let fields = [self.other_fields, &[(self.password_field, password)]].concat();
        visitor.post(self.path, &fields).await
    }

    async fn send_without_password(&self, visitor: &mut Visitor) -> Response {
        visitor.post(self.path, self.other_fields).await
    }
}

fn is_done(response: &Response) -> bool {
    response.status == 303 || response.status == 200 && response.header("content-disposition").is_some()
}

#[tokio::test]
async fn stolen_cookie_changes_nothing_after_a_recent_login() {
    let app = TestApp::start().await;
    app.customer(ANN).await;
    let mut owner = app.new_session(ANN, PASSWORD).await;
    let mut attacker = app.visitor();
    attacker.set_session_token(&owner.token());
    for change in &CHANGES {
        let none = change.send_without_password(&mut attacker).await;
        assert!([400, 422].contains(&none.status), "{}: {}", change.path, none.status);
        for password in ["", WRONG_PASSWORD] {
            let response = change.send(&mut attacker, password).await;
            assert!(response.is_page(422), "{} {password:?}: {}", change.path, response.status);
            let page = response.text();
            assert!(page.contains(&format!("id=\"{}\"", change.error_id)), "{} {password:?}", change.path);
            let field = change.error_id.trim_end_matches("-error");
            assert!(page.contains(&format!("href=\"#{field}\"")), "{}: no link to the field", change.path);
            let has_password = page.contains(WRONG_PASSWORD) || page.contains(NEW_PASSWORD);
            assert!(!has_password, "{}: the page contains a password", change.path);
            assert_eq!(page.matches("autofocus").count(), 1, "{}", change.path);
        }
    }
    let kept = change_of_address_page(&mut attacker).await;
    assert!(kept.contains("value=\"new@example.com\""), "the input is lost");
    assert_eq!(app.count("mail_queue WHERE recipient = 'new@example.com'").await, 0);
    let done = "audit_events WHERE event IN ('data-downloaded', 'password-changed', 'address-change-asked')";
    assert_eq!(app.count(done).await, 0);
    assert_eq!(app.count("audit_events WHERE event = 'confirm-failed'").await, 5);
    assert!(owner.get("/account").await.is_page(200), "the owner's session has ended");
    assert_eq!(app.log_in(ANN, PASSWORD).await.status, 303);
}

async fn change_of_address_page(visitor: &mut Visitor) -> String {
    CHANGES[1].send(visitor, WRONG_PASSWORD).await.text()
}

#[tokio::test]
async fn reauthentication_limit_is_shared_by_all_forms() {
    let app = TestApp::start().await;
    let mut visitor = app.customer(ANN).await;
    for _ in 0..3 {
        for change in &CHANGES {
            change.send(&mut visitor, WRONG_PASSWORD).await;
        }
    }
    for change in &CHANGES {
        let response = change.send(&mut visitor, PASSWORD).await;
        assert!(
            response.is_page(429) && response.header("retry-after").is_some(),
            "{}: {}",
            change.path,
            response.status
        );
    }
    let mut other = app.customer(BOB).await;
    assert_eq!(CHANGES[3].send(&mut other, WRONG_PASSWORD).await.status, 422, "another account is limited");
}

#[tokio::test]
async fn reauthentication_allows_the_change_and_rotates_the_token() {
    let app = TestApp::start().await;
    for change in &CHANGES {
        let mut visitor = app.customer(ANN).await;
        let before = visitor.token();
        let response = change.send(&mut visitor, PASSWORD).await;
        assert!(is_done(&response), "{}: {}", change.path, response.status);
        let old = app.get_with_token("/account", &before).await;
        assert_eq!(old.status, 303, "{}: the former token is valid", change.path);
        if change.path == "/account/delete" {
            continue;
        }
        let session = |token: &str| Token::read(token).claims["sid"].clone();
        assert_ne!(session(&visitor.token()), session(&before), "{}: the session kept its id", change.path);
        assert!(visitor.get("/account").await.is_page(200), "{}: the customer is logged out", change.path);
        let again = change.send_without_password(&mut visitor).await;
        assert!(!is_done(&again), "{}: a second change requires no password", change.path);
        let password = if change.path == "/account/password" { NEW_PASSWORD } else { PASSWORD };
        assert!(is_done(&CHANGES[3].send(&mut visitor, password).await));
    }
}

#[tokio::test]
async fn remembered_session_stays_remembered_after_reauthentication() {
    let app = TestApp::start().await;
    app.customer(ANN).await;
    let mut visitor = app.visitor();
    visitor.post("/login", &[("email", ANN), ("password", PASSWORD), ("remember", "on")]).await;
    let end = Token::read(&visitor.token()).time("exp");
    let response = visitor.post("/account/export", &[("password", PASSWORD)]).await;
    let (token, attributes) = response.session_cookie().unwrap();
    assert_eq!(Token::read(&token).time("exp"), end);
    assert!(attributes.iter().any(|attribute| attribute.starts_with("Max-Age=25")), "{attributes:?}");
}

#[tokio::test]
async fn reauthentication_does_not_restore_an_ended_session() {
    let app = TestApp::start().await;
    let mut visitor = app.customer(ANN).await;
    let mut other = app.new_session(ANN, PASSWORD).await;
    other.post("/account/sessions/end-others", &[]).await;
    let response = visitor.post("/account/export", &[("password", PASSWORD)]).await;
    assert_eq!(response.redirect(), (303, "/login?next=%2Faccount%2Fexport"));
    assert!(other.get("/account").await.is_page(200));
}

#[tokio::test]
async fn account_deletion_fails_if_its_session_ends_meanwhile() {
    let app = TestApp::start().await;
    let database = app.database().await;
    let count = async |sql: &'static str| sqlx::query_scalar::<_, i64>(sql).fetch_one(&database).await.unwrap();
    for _ in 0..20 {
        let mut visitor = app.customer(ANN).await;
        let deletion =
            tokio::spawn(async move { visitor.post("/account/delete", &[("password", PASSWORD)]).await.status });
        // The attempt is counted before the password is verified.
        while !deletion.is_finished() && count("SELECT COUNT(*) FROM rate_limits WHERE key LIKE 'confirm:%'").await == 0
        {
        }
        let end = sqlx::query("UPDATE sessions SET revoked_at = 1, expires_at = 1").execute(&database).await.unwrap();
        deletion.await.unwrap();
        // Otherwise the deletion was faster.
        if end.rows_affected() == 1 {
            assert_eq!(count("SELECT COUNT(*) FROM users").await, 1, "the account was deleted by an ended session");
            return;
        }
    }
    panic!("no session ended in time");
}
