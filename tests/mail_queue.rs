//! Mail that is deferred, failed, retried or dropped, without blocking other mail.

use std::time::{Duration, Instant};

use sqlx::AnyPool;

use crate::app::{ANN, BOB, PASSWORD, TestApp};
use crate::mail_server::{MailServer, Mode};
use crate::mailbox;
use crate::sandbox::Sandbox;
use crate::token::now;

const DAY: i64 = 86_400;

async fn app_with(server: &MailServer) -> TestApp {
    TestApp::start_with(&[("MAIL_URL", &server.url())]).await
}

/// The lines of `mail list` for an address.
fn queue_lines(sandbox: &Sandbox, recipient: &str) -> Vec<String> {
    let list = sandbox.run_ok(&["mail", "list"]);
    list.lines().filter(|line| line.contains(recipient)).map(str::to_owned).collect()
}

/// Waits until the only message to an address has this state; returns its id.
async fn wait_for_state(sandbox: &Sandbox, recipient: &str, state: &str) -> String {
    let line = mailbox::wait_for(&format!("{state} mail to {recipient}"), || {
        queue_lines(sandbox, recipient).into_iter().find(|line| line.contains(&format!("  {state}")))
    })
    .await;
    assert_eq!(queue_lines(sandbox, recipient).len(), 1);
    line.split_whitespace().next().unwrap().to_owned()
}

/// Queues a message of a newer version.
async fn queue_newer_message(database: &AnyPool, created_at: i64) {
    let insert = "INSERT INTO mail_queue (id, recipient, message, created_at, due_at, attempts)
                  VALUES ('newer', 'ann@example.com', '{\"LoginNotice\":{\"at\":1}}', $1, 0, 0)";
    sqlx::query(insert).bind(created_at).execute(database).await.unwrap();
}

#[tokio::test]
async fn message_of_a_newer_version_is_deferred_for_other_nodes() {
    let server = MailServer::start();
    let app = app_with(&server).await;
    let database = app.database().await;
    queue_newer_message(&database, now()).await;
    wait_for_state(&app, ANN, "deferred: a newer version queued it").await;
    assert!(queue_lines(&app, ANN)[0].contains("LoginNotice"), "{:?}", queue_lines(&app, ANN));
    let (due_at, attempts): (i64, i64) =
        sqlx::query_as("SELECT due_at, attempts FROM mail_queue").fetch_one(&database).await.unwrap();
    assert!((now() + 30..=now() + 60).contains(&due_at), "due in {} s", due_at - now());
    assert_eq!(attempts, 0, "an attempt was counted");
    app.customer(BOB).await;
    assert_eq!(server.wait_for_mails(1).await[0].to, BOB, "other mail is blocked");
}

#[tokio::test]
async fn message_of_a_newer_version_fails_after_two_days() {
    let server = MailServer::start();
    let app = app_with(&server).await;
    queue_newer_message(&app.database().await, now() - 2 * DAY - 1).await;
    wait_for_state(&app, ANN, "failed: a newer version queued it").await;
}

#[tokio::test]
async fn rejected_mail_is_kept_and_its_token_is_revoked() {
    let server = MailServer::start();
    server.set_mode(Mode::RejectContent);
    let app = app_with(&server).await;
    app.customer(ANN).await;
    wait_for_state(&app, ANN, "failed: refused: the server answered 554 5.7.1").await;
    let mail = server.rejected().remove(0);
    let response = app.confirm_address(mail.token()).await;
    assert_ne!(response.status, 303, "the token of a rejected mail is valid");
    tokio::time::sleep(Duration::from_millis(2500)).await;
    assert_eq!(server.rejected().len(), 1, "a failed message was delivered again");
    let log = app.logs();
    assert!(log.contains("mail failed") && log.contains("554 5.7.1") && !log.contains(ANN), "{log}");
}

#[tokio::test]
async fn failed_mail_is_delivered_after_a_retry() {
    let server = MailServer::start();
    server.set_mode(Mode::RejectRecipient);
    let app = app_with(&server).await;
    app.customer(ANN).await;
    let id = wait_for_state(&app, ANN, "failed").await;
    server.set_mode(Mode::Accept);
    assert!(app.run_ok(&["mail", "retry", &id]).contains(&id));
    let mail = server.wait_for_mails(1).await.remove(0);
    assert_eq!(mail.to, ANN);
    assert_eq!(app.confirm_address(mail.token()).await.status, 303);
    mailbox::wait_for_empty_queue(&app).await;
    assert!(app.run_ok(&["mail", "list"]).contains("empty"));
}

#[tokio::test]
async fn retry_of_all_failed_changes_no_other_mail() {
    let server = MailServer::start();
    server.set_mode(Mode::RejectRecipient);
    let app = app_with(&server).await;
    app.customer(ANN).await;
    app.customer(BOB).await;
    wait_for_state(&app, ANN, "failed").await;
    wait_for_state(&app, BOB, "failed").await;
    server.set_mode(Mode::Defer);
    app.customer("carol@example.com").await;
    wait_for_state(&app, "carol@example.com", "deferred").await;
    server.set_mode(Mode::Accept);
    assert_eq!(app.run_ok(&["mail", "retry", "--all-failed"]), "2 messages are queued again\n");
    let mut recipients: Vec<String> = server.wait_for_mails(2).await.into_iter().map(|mail| mail.to).collect();
    recipients.sort();
    assert_eq!(recipients, [ANN, BOB]);
    assert_eq!(app.run_ok(&["mail", "retry", "--all-failed"]), "no message has failed\n");
}

/// Defers the messages of these customers, far ahead.
async fn defer_for(app: &TestApp, server: &MailServer, customers: &[&str]) -> Vec<String> {
    server.set_mode(Mode::Defer);
    let mut ids = Vec::new();
    for customer in customers {
        app.customer(customer).await;
        ids.push(wait_for_state(app, customer, "deferred").await);
    }
    server.set_mode(Mode::Accept);
    // Not further than the longest wait, which only a wrong clock writes.
    app.execute("UPDATE mail_queue SET due_at = due_at + 800 WHERE failure IS NOT NULL").await;
    ids
}

#[tokio::test]
async fn deferred_mail_is_delivered_at_once_by_a_retry() {
    let server = MailServer::start();
    let app = app_with(&server).await;
    let ids = defer_for(&app, &server, &[ANN, BOB]).await;
    let retried = app.run_ok(&["mail", "retry", &ids[0]]);
    assert_eq!(retried, format!("message {} was deferred; it is due now\n", ids[0]));
    assert_eq!(server.wait_for_mails(1).await[0].to, ANN);
    assert_eq!(app.run_ok(&["mail", "retry", "--all-failed"]), "no message has failed\n");
    assert_eq!(app.run_ok(&["mail", "retry", "--all"]), "0 failed and 1 deferred messages are due now\n");
    assert_eq!(server.wait_for_mails(2).await[1].to, BOB);
    assert_eq!(app.run_ok(&["mail", "retry", "--all"]), "no message has failed or is deferred\n");
}

#[tokio::test]
async fn retry_leaves_mail_that_is_being_delivered() {
    let server = MailServer::start();
    server.set_mode(Mode::Defer);
    let app = app_with(&server).await;
    app.customer(ANN).await;
    let id = wait_for_state(&app, ANN, "deferred").await;
    // As a node that has claimed it, which other nodes must not deliver at the same time.
    app.execute("UPDATE mail_queue SET due_at = due_at + 100, failure = NULL").await;
    let output = app.run(&["mail", "retry", &id]);
    assert!(output.is_one_line_error(1) && output.stderr.contains("without a retry"), "{output:?}");
    assert_eq!(app.run_ok(&["mail", "retry", "--all"]), "no message has failed or is deferred\n");
}

#[tokio::test]
async fn dropped_mail_is_never_delivered() {
    let server = MailServer::start();
    server.set_mode(Mode::Defer);
    let app = app_with(&server).await;
    app.customer(ANN).await;
    let id = wait_for_state(&app, ANN, "deferred").await;
    app.run_ok(&["mail", "drop", &id]);
    assert!(queue_lines(&app, ANN).is_empty());
    server.set_mode(Mode::Accept);
    app.customer(BOB).await;
    server.wait_for_mails(1).await;
    assert_eq!(server.mails().len(), 1);
    for command in [["mail", "drop", &id], ["mail", "retry", &id]] {
        let output = app.run(&command);
        assert!(output.is_one_line_error(1) && output.stderr.contains(&id), "{output:?}");
    }
}

#[tokio::test]
async fn message_fails_after_two_days_and_two_after_a_retry() {
    let mut server = MailServer::start();
    server.stop();
    let app = app_with(&server).await;
    let database = app.database().await;
    app.customer(ANN).await;
    wait_for_state(&app, ANN, "deferred").await;
    app.execute("UPDATE mail_queue SET created_at = created_at - 172801, due_at = 0").await;
    let id = wait_for_state(&app, ANN, "failed").await;
    let valid: i64 = sqlx::query_scalar("SELECT COUNT(*) FROM email_tokens").fetch_one(&database).await.unwrap();
    app.run_ok(&["mail", "retry", &id]);
    wait_for_state(&app, ANN, "deferred").await;
    server.listen();
    app.execute("UPDATE mail_queue SET due_at = 0").await;
    assert_eq!(server.wait_for_mails(1).await[0].to, ANN);
    assert!(valid <= 1, "{valid} links of a failed message are valid");
}

#[tokio::test]
async fn account_deletion_deletes_its_failed_mail() {
    let server = MailServer::start();
    server.set_mode(Mode::RejectRecipient);
    let app = app_with(&server).await;
    let mut visitor = app.customer(ANN).await;
    visitor.post("/password/forgot", &[("email", ANN)]).await;
    mailbox::wait_for("two failed messages", || {
        let lines = queue_lines(&app, ANN);
        (lines.len() == 2 && lines.iter().all(|line| line.contains("failed"))).then_some(())
    })
    .await;
    app.run_ok(&["user", "delete", ANN]);
    assert_eq!(queue_lines(&app, ANN), [""; 0]);
}

#[tokio::test]
async fn new_password_deletes_failed_mail_with_links() {
    let server = MailServer::start();
    let app = app_with(&server).await;
    app.customer(ANN).await;
    server.wait_for_mails(1).await;
    let forgot = async || app.visitor().post("/password/forgot", &[("email", ANN)]).await;
    forgot().await;
    let mail = server.wait_for_mails(2).await.remove(1);
    server.set_mode(Mode::RejectRecipient);
    // As after twelve minutes.
    app.execute("DELETE FROM rate_limits").await;
    forgot().await;
    wait_for_state(&app, ANN, "failed").await;
    let fields = [("token", mail.token()), ("password", "another calm heron at dusk")];
    assert_eq!(app.visitor().post("/password/reset", &fields).await.status, 303);
    let left = queue_lines(&app, ANN);
    assert!(!left.iter().any(|line| line.contains("reset password")), "{left:?}");
}

#[tokio::test]
async fn failed_messages_are_deleted_after_thirty_days() {
    let sandbox = Sandbox::new().await;
    sandbox.run_ok(&["migrate"]);
    let database = sandbox.database().await;
    for (id, failed_at) in [("old", now() - 30 * DAY - 1), ("recent", now() - 30 * DAY + 600)] {
        let insert = "INSERT INTO mail_queue (id, recipient, message, created_at, due_at, attempts, failed_at, failure)
                      VALUES ($1, 'ann@example.com', '{}', 0, 253402300799, 1, $2, 'refused')";
        sqlx::query(insert).bind(id).bind(failed_at).execute(&database).await.unwrap();
    }
    let app = TestApp::start_in(sandbox).await;
    mailbox::wait_for("one message", || Some(()).filter(|()| queue_lines(&app, ANN).len() == 1)).await;
    assert!(queue_lines(&app, ANN)[0].starts_with("recent"));
}

#[tokio::test]
async fn slow_deliveries_do_not_block_the_queue() {
    let server = MailServer::start();
    server.set_mode(Mode::StallSlowRecipients);
    let mut app = app_with(&server).await;
    for number in 0..3 {
        app.customer(&format!("slow{number}@example.com")).await;
    }
    mailbox::wait_for("three connections", || (server.stalled_clients() == 3).then_some(())).await;
    let began = Instant::now();
    for number in 0..5 {
        app.customer(&format!("quick{number}@example.com")).await;
    }
    server.wait_for_mails(5).await;
    assert!(began.elapsed() < Duration::from_secs(9), "{:?}", began.elapsed());
    app.stop_with("KILL");
}

#[tokio::test]
async fn unavailable_server_gets_one_attempt_a_second() {
    let mut server = MailServer::start();
    server.stop();
    let app = app_with(&server).await;
    let database = app.database().await;
    app.customer(ANN).await;
    for number in 0..19 {
        let copy = "INSERT INTO mail_queue (id, recipient, message, created_at, due_at, attempts)
             SELECT CAST($1 AS TEXT), recipient, '{\"PasswordChanged\":{\"at\":1,\"address\":\"\",\"device\":\"\"}}', created_at, 0, 0
             FROM mail_queue WHERE recipient = $2 LIMIT 1";
        sqlx::query(copy).bind(format!("copy-{number}")).bind(ANN).execute(&database).await.unwrap();
    }
    let attempts = async || -> i64 {
        let sum = "SELECT CAST(SUM(attempts) AS BIGINT) FROM mail_queue";
        sqlx::query_scalar(sum).fetch_one(&database).await.unwrap()
    };
    tokio::time::sleep(Duration::from_secs(2)).await;
    let before = attempts().await;
    tokio::time::sleep(Duration::from_secs(4)).await;
    let made = attempts().await - before;
    assert!((1..=6).contains(&made), "{made} attempts in 4 s");
}

#[tokio::test]
async fn due_time_beyond_the_longest_delay_counts_as_due() {
    let mut server = MailServer::start();
    server.stop();
    let app = app_with(&server).await;
    app.customer(ANN).await;
    wait_for_state(&app, ANN, "deferred").await;
    let database = app.database().await;
    // As written while the clock was a day ahead.
    sqlx::query("UPDATE mail_queue SET due_at = $1").bind(now() + DAY).execute(&database).await.unwrap();
    server.listen();
    mailbox::wait_for_empty_queue(&app).await;
    assert_eq!(server.mails().len(), 1);
}

#[tokio::test]
async fn check_sends_a_test_message() {
    let server = MailServer::start();
    let mut sandbox = Sandbox::new().await;
    sandbox.set("MAIL_URL", &server.url());
    sandbox.run_ok(&["migrate"]);
    let output = sandbox.run_ok(&["check", "--mail", ANN]);
    assert!(output.contains(&format!("a test message to {ANN} was handed over")), "{output}");
    let mails = server.mails();
    assert!(mails.len() == 1 && mails[0].to == ANN && mails[0].subject == "Test message", "{mails:?}");
    server.set_mode(Mode::RejectRecipient);
    let output = sandbox.run(&["check", "--mail", ANN]);
    assert!(output.is_one_line_error(1), "{output:?}");
    assert!(output.stderr.contains("550 5.1.1") && output.stderr.contains("MAIL_URL"), "{output:?}");
    let output = sandbox.run(&["check", "--mail", "nobody"]);
    assert!(output.status == 2 && output.stderr.contains("nobody"), "{output:?}");
}

#[tokio::test]
async fn mail_list_contains_no_password() {
    let server = MailServer::start();
    server.set_mode(Mode::RejectRecipient);
    let app = app_with(&server).await;
    app.customer(ANN).await;
    wait_for_state(&app, ANN, "failed").await;
    let output = app.run_ok(&["mail", "list"]);
    assert!(!output.contains(PASSWORD) && output.contains("confirm address"), "{output}");
}
