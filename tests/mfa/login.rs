//! The second step of a login.

use super::{after_password, send_code, two_step_customer};
use crate::app::{ANN, BOB, NEW_PASSWORD, PASSWORD, TestApp};
use crate::http::{Response, Visitor};
use crate::mailbox;

const NEW_LOGIN: &str = "New login to your account";

fn login_cookie(response: &Response) -> Option<String> {
    let cookies = response.header_values("set-cookie");
    cookies.iter().find_map(|cookie| cookie.strip_prefix("__Host-login=").map(str::to_owned))
}

#[tokio::test]
async fn password_leads_to_the_code_and_the_code_logs_in() {
    let app = TestApp::start().await;
    let (_, authenticator, _) = two_step_customer(&app, ANN).await;
    let mut visitor = app.visitor();
    let fields = [("email", ANN), ("password", PASSWORD), ("remember", "on"), ("next", "/account")];
    let response = visitor.post("/login", &fields).await;
    assert_eq!(response.redirect(), (303, "/login/code"));
    assert!(response.session_cookie().is_none(), "a session starts without a code");
    let cookie = login_cookie(&response).unwrap();
    let (value, attributes) = cookie.split_once(';').unwrap();
    assert!(value.len() == 64 && value.bytes().all(|byte| byte.is_ascii_hexdigit()), "{value}");
    let mut attributes: Vec<&str> = attributes.split(';').map(str::trim).collect();
    attributes.sort_unstable();
    assert_eq!(attributes, ["HttpOnly", "Max-Age=300", "Path=/", "SameSite=Strict", "Secure"]);

    assert_eq!(visitor.get("/orders").await.redirect(), (303, "/login?next=%2Forders"), "the guard accepts the cookie");
    let page = visitor.get("/login/code").await;
    assert!(page.is_page(200) && page.text().contains("autocomplete=\"one-time-code\""), "{}", page.text());
    let response = send_code(&mut visitor, &authenticator.fresh_code(&app).await).await;
    assert_eq!(response.redirect(), (303, "/account"));
    let (_, attributes) = response.session_cookie().unwrap();
    assert!(attributes.iter().any(|attribute| attribute.starts_with("Max-Age=25")), "{attributes:?}");
    assert!(login_cookie(&response).unwrap().contains("Max-Age=0"));
    assert!(visitor.get("/account").await.is_page(200));
    for response in [visitor.get("/login/code").await, send_code(&mut visitor, "123456").await] {
        assert_eq!(response.redirect(), (303, "/orders"));
    }
    assert_eq!(app.count("pending_logins").await, 0);

    let mut short = after_password(&app, ANN, PASSWORD).await;
    let response = send_code(&mut short, &authenticator.fresh_code(&app).await).await;
    assert_eq!(response.redirect(), (303, "/orders"));
    let (_, attributes) = response.session_cookie().unwrap();
    assert!(!attributes.iter().any(|attribute| attribute.starts_with("Max-Age")), "{attributes:?}");
}

#[tokio::test]
async fn code_page_without_a_pending_login_redirects_to_login() {
    let app = TestApp::start().await;
    let (_, authenticator, _) = two_step_customer(&app, ANN).await;
    let code = authenticator.fresh_code(&app).await;
    let unknown = "0".repeat(64);
    for value in ["", "x", &unknown, &"é".repeat(32), &"A".repeat(64)] {
        let cookie = format!("__Host-login={value}");
        assert_eq!(app.get_with_cookie("/login/code", &cookie).await.redirect(), (303, "/login"), "{value:?}");
        let request = app.request(reqwest::Method::POST, "/login/code").header("cookie", cookie.clone());
        let response = crate::http::send(request.form(&[("code", &code)])).await;
        assert_eq!(response.redirect(), (303, "/login"), "{value:?}");
    }
    let mut visitor = app.visitor();
    assert_eq!(visitor.get("/login/code").await.redirect(), (303, "/login"));
    assert_eq!(send_code(&mut visitor, &code).await.redirect(), (303, "/login"));
    assert_eq!(app.count("audit_events WHERE event = 'wrong-code'").await, 0);
}

#[tokio::test]
async fn fifth_wrong_code_ends_the_login() {
    let app = TestApp::start().await;
    let (_, authenticator, codes) = two_step_customer(&app, ANN).await;
    let mut visitor = after_password(&app, ANN, PASSWORD).await;
    assert!(send_code(&mut visitor, " ").await.is_page(401), "an empty code counts");
    for _ in 0..4 {
        let page = send_code(&mut visitor, &authenticator.wrong_code()).await;
        assert!(page.is_page(401) && page.text().contains("id=\"code-error\""), "{}", page.status);
    }
    assert_eq!(send_code(&mut visitor, &authenticator.wrong_code()).await.redirect(), (303, "/login"));
    assert!(visitor.get("/login").await.text().contains("This login has ended"));
    assert_eq!(app.count("pending_logins").await, 0);
    assert_eq!(send_code(&mut visitor, &codes[0]).await.redirect(), (303, "/login"));
    assert_eq!(app.count("recovery_codes").await, 10);
}

#[tokio::test]
async fn code_works_once() {
    let app = TestApp::start().await;
    let (_, authenticator, _) = two_step_customer(&app, ANN).await;
    // The code that finished the setup is used, too.
    let used = &authenticator.used;
    let mut visitor = after_password(&app, ANN, PASSWORD).await;
    assert_eq!(send_code(&mut visitor, used).await.status, 401);
    let later = authenticator.code(1);
    assert_eq!(send_code(&mut visitor, &later).await.redirect(), (303, "/orders"));
    let mut visitor = after_password(&app, ANN, PASSWORD).await;
    for code in [&later, used] {
        assert_eq!(send_code(&mut visitor, code).await.status, 401, "{code} works again");
    }
}

#[tokio::test]
async fn code_works_once_under_concurrency() {
    let app = TestApp::start().await;
    let (_, authenticator, codes) = two_step_customer(&app, ANN).await;
    for round in 0..3 {
        let mut visitors = Vec::new();
        for _ in 0..6 {
            visitors.push(after_password(&app, ANN, PASSWORD).await);
        }
        // In the second round a recovery code.
        let code = if round == 1 { codes[0].clone() } else { authenticator.fresh_code(&app).await };
        let tasks: Vec<_> = visitors
            .into_iter()
            .map(|mut visitor: Visitor| {
                let code = code.clone();
                tokio::spawn(async move { send_code(&mut visitor, &code).await })
            })
            .collect();
        let mut done = 0;
        for task in tasks {
            let response = task.await.unwrap();
            done += i32::from(response.redirect() == (303, "/orders"));
            assert!([303, 401, 429].contains(&response.status), "{}: {}", response.status, response.text());
        }
        assert_eq!(done, 1, "round {round}");
        app.execute("DELETE FROM rate_limits").await;
    }
    assert_eq!(app.count("sessions").await, 4);
    assert_eq!(app.count("recovery_codes").await, 9);
}

#[tokio::test]
async fn two_codes_for_one_login_use_up_one_of_them() {
    let app = TestApp::start().await;
    let (_, _, codes) = two_step_customer(&app, ANN).await;
    for round in 0..4 {
        let mut first = after_password(&app, ANN, PASSWORD).await;
        let mut second = first.clone();
        let (one, other) = (&codes[2 * round], &codes[2 * round + 1]);
        let answers = tokio::join!(send_code(&mut first, one), send_code(&mut second, other));
        let done = [answers.0, answers.1].iter().filter(|answer| answer.redirect() == (303, "/orders")).count();
        assert_eq!(done, 1);
        assert_eq!(app.count("recovery_codes").await, 9 - i64::try_from(round).unwrap());
    }
    assert_eq!(app.count("audit_events WHERE event = 'wrong-code'").await, 0, "a right code is recorded as wrong");
}

#[tokio::test]
async fn pending_login_ends_with_a_new_password_and_a_disabled_account() {
    let app = TestApp::start().await;
    let (mut ann, authenticator, codes) = two_step_customer(&app, ANN).await;
    let mut pending = after_password(&app, ANN, PASSWORD).await;
    app.run_ok(&["user", "disable", ANN]);
    assert_eq!(pending.get("/login/code").await.redirect(), (303, "/login"));
    assert_eq!(send_code(&mut pending, &codes[0]).await.redirect(), (303, "/login"));
    app.run_ok(&["user", "enable", ANN]);

    let mut pending = after_password(&app, ANN, PASSWORD).await;
    assert_eq!(ann.get("/account").await.status, 303);
    ann = after_password(&app, ANN, PASSWORD).await;
    assert_eq!(send_code(&mut ann, &codes[1]).await.status, 303);
    let code = authenticator.fresh_code(&app).await;
    let fields = [("current_password", PASSWORD), ("new_password", NEW_PASSWORD), ("code", &code)];
    assert_eq!(ann.post("/account/password", &fields).await.redirect(), (303, "/account#password"));
    assert_eq!(send_code(&mut pending, &codes[2]).await.redirect(), (303, "/login"), "the old password logs in");

    let mut pending = after_password(&app, ANN, NEW_PASSWORD).await;
    app.execute("UPDATE pending_logins SET expires_at = expires_at - 300").await;
    assert_eq!(send_code(&mut pending, &codes[2]).await.redirect(), (303, "/login"), "after five minutes");
    assert_eq!(app.count("recovery_codes").await, 9);
}

#[tokio::test]
async fn pending_login_ends_with_a_restore_and_the_factor_stays() {
    let mut app = TestApp::start().await;
    if app.is_postgres() {
        return;
    }
    let (_, authenticator, codes) = two_step_customer(&app, ANN).await;
    let mut pending = after_password(&app, ANN, PASSWORD).await;
    app.run_ok(&["backup", "copy.db"]);
    app.stop_with("TERM");
    app.run_ok(&["restore", "copy.db"]);
    app.restart().await;
    assert_eq!(send_code(&mut pending, &codes[0]).await.redirect(), (303, "/login"), "the copy's login goes on");
    let mut visitor = after_password(&app, ANN, PASSWORD).await;
    assert_eq!(send_code(&mut visitor, &authenticator.fresh_code(&app).await).await.redirect(), (303, "/orders"));
}

#[tokio::test]
async fn new_login_mail_follows_the_second_step() {
    let app = TestApp::start().await;
    let (_, authenticator, _) = two_step_customer(&app, ANN).await;
    let mut visitor = after_password(&app, ANN, PASSWORD).await;
    mailbox::wait_for_empty_queue(&app).await;
    assert!(mailbox::mails_to(&app, ANN, NEW_LOGIN).is_empty(), "mail after the password alone");
    assert_eq!(app.count("audit_events WHERE event = 'signed-in'").await, 0);
    assert_eq!(send_code(&mut visitor, &authenticator.fresh_code(&app).await).await.status, 303);
    mailbox::mail_to(&app, ANN, NEW_LOGIN).await;
    assert_eq!(app.count("audit_events WHERE event = 'signed-in'").await, 1);
}

#[tokio::test]
async fn pending_login_gives_no_access_to_another_account() {
    let app = TestApp::start().await;
    let (_, _, _) = two_step_customer(&app, ANN).await;
    let (_, bobs, bobs_codes) = two_step_customer(&app, BOB).await;
    let mut visitor = after_password(&app, ANN, PASSWORD).await;
    for code in [&bobs.fresh_code(&app).await, &bobs_codes[0]] {
        assert_eq!(send_code(&mut visitor, code).await.status, 401);
    }
    assert_eq!(app.count("recovery_codes").await, 20);
}

const TABLES: [&str; 4] = ["pending_logins", "sessions", "rate_limits", "audit_events"];

#[tokio::test]
async fn login_page_writes_nothing() {
    let app = TestApp::start().await;
    two_step_customer(&app, ANN).await;
    let mut visitor = after_password(&app, ANN, PASSWORD).await;
    mailbox::wait_for_empty_queue(&app).await;
    let mut before = Vec::new();
    for table in TABLES {
        before.push(app.count(table).await);
    }
    for path in ["/login", "/login?next=%2Forders", "/login/code"] {
        assert!(visitor.get(path).await.is_page(200), "{path}");
    }
    for (table, before) in TABLES.iter().zip(before) {
        assert_eq!(app.count(table).await, before, "{table}");
    }
}
