//! The filter of breached passwords: the command that builds it, and what it changes.

use serde_json::json;
use sha1::{Digest, Sha1};

use crate::app::{ANN, BOB, NEW_PASSWORD, OTHER_PASSWORD, PASSWORD, TestApp};
use crate::mailbox;
use crate::sandbox::Sandbox;

const MAIL: &str = "Your password was stolen from another site";
const NOTICE: &str = "<strong>Choose a new password.</strong> Yours is in a list";
const MESSAGE: &str = "That password is in a list of passwords that were stolen from other sites";

/// The lines of a list, as the public one has them.
fn list(passwords: &[(&str, u32)]) -> String {
    let line = |(password, count): &(&str, u32)| {
        let hash: String = Sha1::digest(password.as_bytes()).iter().map(|byte| format!("{byte:02X}")).collect();
        format!("{hash}:{count}\r\n")
    };
    let mut lines: Vec<String> = passwords.iter().map(line).collect();
    lines.sort_unstable();
    lines.concat()
}

/// Writes the filter of these passwords into the sandbox.
fn build(sandbox: &Sandbox, passwords: &[&str]) {
    let counted: Vec<(&str, u32)> = passwords.iter().map(|password| (*password, 10)).collect();
    sandbox.write("hashes.txt", list(&counted));
    sandbox.run_ok(&["breached-passwords", "build", "hashes.txt", "breached.filter"]);
}

/// A server on which Ann has had her password since before the filter was set up.
async fn app_with_filter(breached: &[&str]) -> TestApp {
    let mut app = TestApp::start().await;
    app.customer(ANN).await;
    app.stop_with("TERM");
    build(&app, breached);
    app.set("BREACHED_PASSWORDS", "breached.filter");
    app.restart().await;
    app
}

#[tokio::test]
async fn filter_is_built_without_database_and_settings() {
    let mut sandbox = Sandbox::new().await;
    sandbox.set("DATABASE_URL", "nonsense");
    let hashes = list(&[(PASSWORD, 10), (NEW_PASSWORD, 9), (OTHER_PASSWORD, 4_000_000)]);
    sandbox.write("hashes.txt", format!("{hashes}{}", "\r\n"));
    let built = sandbox.run_ok(&["breached-passwords", "build", "hashes.txt", "filter"]);
    assert!(built.contains("wrote filter with 2 passwords; 1 that were seen fewer than 10 times"), "{built}");
    assert!(built.contains("set BREACHED_PASSWORDS=filter"), "{built}");
    let arguments = ["breached-passwords", "build", "-", "filter", "--at-least", "1"];
    let built = sandbox.run_with_input(&arguments, hashes.as_bytes());
    assert!(built.status == 0 && built.stdout.contains("with 3 passwords; 0 that"), "{built:?}");
    let before = std::fs::read(sandbox.path().join("filter")).unwrap();
    for (content, part) in [
        ("password1\n".to_owned(), "hashes.txt: line 1: it is not a SHA-1 hash and its count"),
        (hashes.lines().rev().collect::<Vec<_>>().join("\n"), "line 2: the hash is smaller than the one before"),
        (hashes.replace(":10", ":3").replace(":9", ":3").replace(":4000000", ":3"), "no hash in it was seen 10 times"),
    ] {
        sandbox.write("hashes.txt", content);
        let failed = sandbox.run(&["breached-passwords", "build", "hashes.txt", "filter"]);
        assert!(failed.is_one_line_error(1) && failed.stderr.contains(part), "{failed:?}");
    }
    let failed = sandbox.run(&["breached-passwords", "build", "missing.txt", "filter"]);
    assert!(failed.is_one_line_error(1) && failed.stderr.contains("cannot read missing.txt"), "{failed:?}");
    assert_eq!(std::fs::read(sandbox.path().join("filter")).unwrap(), before, "a failed build changed the filter");
    assert!(!sandbox.path().join("data").exists(), "the command made a database");
}

#[tokio::test]
async fn filter_that_cannot_be_used_stops_serve_and_check() {
    let mut sandbox = Sandbox::new().await;
    sandbox.run_ok(&["migrate"]);
    build(&sandbox, &[PASSWORD]);
    let filter = std::fs::read(sandbox.path().join("breached.filter")).unwrap();
    sandbox.set("BREACHED_PASSWORDS", "breached.filter");
    let checked = sandbox.run_ok(&["check"]);
    assert!(checked.contains("the filter of breached passwords can be used: 1 passwords"), "{checked}");
    let mut damaged = filter.clone();
    damaged[40] ^= 1;
    for (content, part) in [
        (&filter[..filter.len() - 1], "damaged (it is cut off)"),
        (&damaged[..], "damaged ("),
        (b"Name,Email\n", "no filter of breached passwords"),
        (b"", "no filter of breached passwords"),
    ] {
        sandbox.write("breached.filter", content);
        for command in ["serve", "check"] {
            let output = sandbox.run(&[command]);
            assert!(output.is_one_line_error(2) && output.stderr.contains(part), "{command}: {output:?}");
            assert!(output.stderr.contains("BREACHED_PASSWORDS names breached.filter"), "{command}: {output:?}");
        }
    }
    sandbox.set("BREACHED_PASSWORDS", "missing.filter");
    for command in ["serve", "check"] {
        let output = sandbox.run(&[command]);
        assert!(output.is_one_line_error(2) && output.stderr.contains("cannot be read"), "{command}: {output:?}");
    }
    // Other commands do not need it.
    sandbox.run_ok(&["user", "list"]);
}

#[tokio::test]
async fn breached_password_is_refused_wherever_a_new_one_is_set() {
    let app = app_with_filter(&[NEW_PASSWORD, "kürbis am dritten montag"]).await;
    let fields = [("email", BOB), ("password", NEW_PASSWORD)];
    let refused = app.visitor().post("/signup", &fields).await;
    assert!(refused.is_page(422) && refused.text().contains(MESSAGE), "{}", refused.text());
    assert!(refused.text().contains("id=\"password-error\"") && !refused.text().contains(NEW_PASSWORD));
    // As typed on a keyboard that composes letters.
    let fields = [("email", BOB), ("password", "ku\u{308}rbis am dritten montag")];
    assert_eq!(app.visitor().post("/signup", &fields).await.status, 422);
    let body = json!({ "email": BOB, "password": NEW_PASSWORD });
    let refused = app.api_post("/api/createNewUser", &body).await;
    assert!(refused.is_problem(422) && refused.text().contains(MESSAGE), "{}", refused.text());
    let mut ann = app.new_session(ANN, PASSWORD).await;
    let refused = ann.change_password(PASSWORD, NEW_PASSWORD).await;
    assert!(refused.is_page(422) && refused.text().contains(MESSAGE), "{}", refused.text());
    assert!(refused.text().contains("id=\"new-password-error\""));
    app.visitor().post("/password/forgot", &[("email", ANN)]).await;
    let mail = mailbox::mail_to(&app, ANN, mailbox::RESET).await;
    let reset = async |password: &str| {
        app.visitor().post("/password/reset", &[("token", mail.token()), ("password", password)]).await
    };
    let refused = reset(NEW_PASSWORD).await;
    assert!(refused.is_page(422) && refused.text().contains(MESSAGE), "{}", refused.text());
    let advice = ann.post("/password/strength", &[("password", NEW_PASSWORD)]).await.json();
    assert!(advice["score"].as_i64().unwrap() <= 1 && advice["words"].as_str().unwrap().contains(MESSAGE), "{advice}");
    // The link still works.
    assert_eq!(reset(OTHER_PASSWORD).await.status, 303);
}

#[tokio::test]
async fn login_with_a_breached_password_asks_for_a_new_one_until_there_is_one() {
    let app = app_with_filter(&[PASSWORD]).await;
    // Mail goes to confirmed addresses alone.
    let mut ann = app.new_session(ANN, PASSWORD).await;
    assert!(ann.get("/account").await.text().contains(NOTICE));
    mailbox::wait_for_empty_queue(&app).await;
    assert!(mailbox::mails_to(&app, ANN, MAIL).is_empty());
    app.run_ok(&["user", "verify", ANN]);
    for _ in 0..2 {
        app.api_token(ANN).await;
        app.new_session(ANN, PASSWORD).await;
    }
    mailbox::wait_for_empty_queue(&app).await;
    let mail = mailbox::mail_to(&app, ANN, MAIL).await;
    assert!(mail.text.contains("/account#password") && !mail.text.contains(PASSWORD), "{}", mail.text);
    assert!(ann.get("/account").await.text().contains(NOTICE));
    let data = ann.post("/account/export", &[("password", PASSWORD)]).await.json();
    assert!(data["account"]["password_breached_at"].is_string(), "{}", data["account"]);
    // A wrong password says nothing.
    assert_eq!(app.log_in(ANN, NEW_PASSWORD).await.status, 401);
    assert_eq!(ann.change_password(PASSWORD, OTHER_PASSWORD).await.status, 303);
    assert!(!ann.get("/account").await.text().contains(NOTICE));
    let mut ann = app.new_session(ANN, OTHER_PASSWORD).await;
    assert!(!ann.get("/account").await.text().contains(NOTICE));
    mailbox::wait_for_empty_queue(&app).await;
    assert_eq!(mailbox::mails_to(&app, ANN, MAIL).len(), 1);
    assert!(!app.logs().contains(PASSWORD));
}

#[tokio::test]
async fn reset_removes_the_request_for_a_new_password() {
    let app = app_with_filter(&[PASSWORD]).await;
    app.new_session(ANN, PASSWORD).await;
    app.visitor().post("/password/forgot", &[("email", ANN)]).await;
    let mail = mailbox::mail_to(&app, ANN, mailbox::RESET).await;
    let fields = [("token", mail.token()), ("password", OTHER_PASSWORD)];
    assert_eq!(app.visitor().post("/password/reset", &fields).await.status, 303);
    let mut ann = app.new_session(ANN, OTHER_PASSWORD).await;
    assert!(!ann.get("/account").await.text().contains(NOTICE));
    assert_eq!(app.count("users WHERE password_breached_at IS NOT NULL").await, 0);
}

#[tokio::test]
async fn renewed_hash_of_a_breached_password_keeps_the_request() {
    let app = app_with_filter(&[PASSWORD]).await;
    // Argon2id with less memory, of the same password.
    let weak = argon2_hash_with_less_memory(PASSWORD);
    app.execute(&format!("UPDATE users SET password_hash = '{weak}'")).await;
    let mut ann = app.new_session(ANN, PASSWORD).await;
    assert_eq!(app.count(&format!("users WHERE password_hash = '{weak}'")).await, 0, "the hash was not renewed");
    assert!(ann.get("/account").await.text().contains(NOTICE));
}

fn argon2_hash_with_less_memory(password: &str) -> String {
    use argon2::password_hash::PasswordHasher as _;
    let parameters = argon2::Params::new(8192, 1, 1, None).unwrap();
    let argon2 = argon2::Argon2::new(argon2::Algorithm::Argon2id, argon2::Version::V0x13, parameters);
    argon2.hash_password(password.as_bytes()).unwrap().to_string()
}
