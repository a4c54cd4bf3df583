//! Mail that is not delivered: deferred, failed, retried, dropped, without blocking other mail.

use std::time::{Duration, Instant};

use sqlx::AnyPool;

use crate::app::{PASSWORD, TestApp};
use crate::mail_server::{MailServer, Mood};
use crate::mailbox;
use crate::place::{Place, Ran};
use crate::token::now;

const ANN: &str = "ann@example.com";
const DAY: i64 = 86_400;

async fn app_with(server: &MailServer) -> TestApp {
    TestApp::start_with(&[("MAIL_URL", &server.url())]).await
}

/// The lines of `mail list` for an address.
fn listed(place: &Place, recipient: &str) -> Vec<String> {
    let list = place.done(&["mail", "list"]);
    list.lines().filter(|line| line.contains(recipient)).map(str::to_owned).collect()
}

/// Waits until the only message to that address is in that state; returns its id.
async fn is(place: &Place, recipient: &str, state: &str) -> String {
    let line = mailbox::until(&format!("{state} mail to {recipient}"), || {
        listed(place, recipient).into_iter().find(|line| line.contains(&format!("  {state}")))
    })
    .await;
    assert_eq!(listed(place, recipient).len(), 1);
    line.split_whitespace().next().unwrap().to_owned()
}

/// Queues a message of a newer version.
async fn queue_newer_message(database: &AnyPool, created_at: i64) {
    let insert = "INSERT INTO mail_queue (id, recipient, message, created_at, due_at, attempts)
                  VALUES ('newer', 'ann@example.com', '{\"LoginNotice\":{\"at\":1}}', $1, 0, 0)";
    sqlx::query(insert).bind(created_at).execute(database).await.unwrap();
}

async fn execute(database: &AnyPool, sql: &'static str) {
    sqlx::query(sql).execute(database).await.unwrap();
}

fn is_one_line(ran: &Ran, status: i32) -> bool {
    ran.status == status && ran.stdout.is_empty() && ran.stderr.trim_end().lines().count() == 1
}

#[tokio::test]
async fn message_of_a_newer_version_is_deferred_for_other_nodes() {
    let server = MailServer::start();
    let app = app_with(&server).await;
    let database = app.database().await;
    queue_newer_message(&database, now()).await;
    is(&app, ANN, "deferred: a newer version queued it").await;
    assert!(listed(&app, ANN)[0].contains("LoginNotice"), "{:?}", listed(&app, ANN));
    let (due_at, attempts): (i64, i64) =
        sqlx::query_as("SELECT due_at, attempts FROM mail_queue").fetch_one(&database).await.unwrap();
    assert!((now() + 30..=now() + 60).contains(&due_at), "due in {} s", due_at - now());
    assert_eq!(attempts, 0, "an attempt was counted");
    app.customer("bob@example.com").await;
    assert_eq!(server.has_taken(1).await[0].to, "bob@example.com", "other mail is blocked");
}

#[tokio::test]
async fn message_of_a_newer_version_fails_after_two_days() {
    let server = MailServer::start();
    let app = app_with(&server).await;
    queue_newer_message(&app.database().await, now() - 2 * DAY - 1).await;
    is(&app, ANN, "failed: a newer version queued it").await;
}

#[tokio::test]
async fn rejected_mail_is_kept_with_its_reason_and_its_token_is_revoked() {
    let server = MailServer::start();
    server.is_now(Mood::RefusesContent);
    let app = app_with(&server).await;
    app.customer(ANN).await;
    is(&app, ANN, "failed: refused: the server answered 554 5.7.1").await;
    let mail = server.refused().remove(0);
    let answer = app.visitor().post("/verify", &[("token", mail.token()), ("password", PASSWORD)]).await;
    assert_ne!(answer.status, 303, "the token of a rejected mail is valid");
    tokio::time::sleep(Duration::from_millis(2500)).await;
    assert_eq!(server.refused().len(), 1, "a failed message was delivered again");
    let log = app.logs();
    assert!(log.contains("mail failed") && log.contains("554 5.7.1") && !log.contains(ANN), "{log}");
}

#[tokio::test]
async fn failed_mail_is_delivered_after_a_retry() {
    let server = MailServer::start();
    server.is_now(Mood::Refuses);
    let app = app_with(&server).await;
    app.customer(ANN).await;
    let id = is(&app, ANN, "failed").await;
    server.is_now(Mood::Takes);
    assert!(app.done(&["mail", "retry", &id]).contains(&id));
    let mail = server.has_taken(1).await.remove(0);
    assert_eq!(mail.to, ANN);
    assert_eq!(app.visitor().post("/verify", &[("token", mail.token()), ("password", PASSWORD)]).await.status, 303);
    mailbox::all_gone(&app).await;
    assert!(app.done(&["mail", "list"]).contains("empty"));
}

#[tokio::test]
async fn retry_of_all_failed_changes_no_other_mail() {
    let server = MailServer::start();
    server.is_now(Mood::Refuses);
    let app = app_with(&server).await;
    app.customer(ANN).await;
    app.customer("bob@example.com").await;
    is(&app, ANN, "failed").await;
    is(&app, "bob@example.com", "failed").await;
    server.is_now(Mood::PutsOff);
    app.customer("carol@example.com").await;
    let deferred = is(&app, "carol@example.com", "deferred").await;
    let ran = app.run(&["mail", "retry", &deferred]);
    assert!(is_one_line(&ran, 1) && ran.stderr.contains("has not failed"), "{ran:?}");
    server.is_now(Mood::Takes);
    assert_eq!(app.done(&["mail", "retry", "--all-failed"]), "2 messages are queued again\n");
    let mut recipients: Vec<String> = server.has_taken(2).await.into_iter().map(|mail| mail.to).collect();
    recipients.sort();
    assert_eq!(recipients, [ANN, "bob@example.com"]);
    assert_eq!(app.done(&["mail", "retry", "--all-failed"]), "no message has failed\n");
}

#[tokio::test]
async fn dropped_mail_is_never_delivered() {
    let server = MailServer::start();
    server.is_now(Mood::PutsOff);
    let app = app_with(&server).await;
    app.customer(ANN).await;
    let id = is(&app, ANN, "deferred").await;
    app.done(&["mail", "drop", &id]);
    assert!(listed(&app, ANN).is_empty());
    server.is_now(Mood::Takes);
    app.customer("bob@example.com").await;
    server.has_taken(1).await;
    assert_eq!(server.mails().len(), 1);
    for command in [["mail", "drop", &id], ["mail", "retry", &id]] {
        let ran = app.run(&command);
        assert!(is_one_line(&ran, 1) && ran.stderr.contains(&id), "{ran:?}");
    }
}

#[tokio::test]
async fn mail_commands_reject_wrong_usage() {
    let place = Place::new().await;
    let wrong: [&[&str]; 4] =
        [&["mail"], &["mail", "retry"], &["mail", "retry", "x", "--all-failed"], &["mail", "drop"]];
    for command in wrong {
        assert_eq!(place.run(command).status, 2, "{command:?}");
    }
}

#[tokio::test]
async fn message_fails_after_two_days_and_a_retry_gives_it_two_more() {
    let mut server = MailServer::start();
    server.stop();
    let app = app_with(&server).await;
    let database = app.database().await;
    app.customer(ANN).await;
    is(&app, ANN, "deferred").await;
    execute(&database, "UPDATE mail_queue SET created_at = created_at - 172801, due_at = 0").await;
    let id = is(&app, ANN, "failed").await;
    let live: i64 = sqlx::query_scalar("SELECT COUNT(*) FROM email_tokens").fetch_one(&database).await.unwrap();
    app.done(&["mail", "retry", &id]);
    is(&app, ANN, "deferred").await;
    server.start_again();
    execute(&database, "UPDATE mail_queue SET due_at = 0").await;
    assert_eq!(server.has_taken(1).await[0].to, ANN);
    assert!(live <= 1, "{live} links of a failed message work");
}

#[tokio::test]
async fn deleting_an_account_removes_its_failed_mail() {
    let server = MailServer::start();
    server.is_now(Mood::Refuses);
    let app = app_with(&server).await;
    let mut visitor = app.customer(ANN).await;
    visitor.post("/password/forgot", &[("email", ANN)]).await;
    mailbox::until("two failed messages", || {
        let lines = listed(&app, ANN);
        (lines.len() == 2 && lines.iter().all(|line| line.contains("failed"))).then_some(())
    })
    .await;
    app.done(&["user", "delete", ANN]);
    assert_eq!(listed(&app, ANN), [""; 0]);
}

#[tokio::test]
async fn new_password_removes_failed_mail_with_links() {
    let server = MailServer::start();
    let app = app_with(&server).await;
    app.customer(ANN).await;
    server.has_taken(1).await;
    let forgot = async || app.visitor().post("/password/forgot", &[("email", ANN)]).await;
    forgot().await;
    let mail = server.has_taken(2).await.remove(1);
    server.is_now(Mood::Refuses);
    // As if twelve minutes had passed.
    sqlx::query("DELETE FROM rate_limits").execute(&app.database().await).await.unwrap();
    forgot().await;
    is(&app, ANN, "failed").await;
    let fields = [("token", mail.token()), ("password", "another calm heron at dusk")];
    assert_eq!(app.visitor().post("/password/reset", &fields).await.status, 303);
    let left = listed(&app, ANN);
    assert!(!left.iter().any(|line| line.contains("reset password")), "{left:?}");
}

#[tokio::test]
async fn failed_messages_are_deleted_after_thirty_days() {
    let place = Place::new().await;
    place.done(&["migrate"]);
    let database = place.database().await;
    for (id, failed_at) in [("old", now() - 30 * DAY - 1), ("recent", now() - 30 * DAY + 600)] {
        let insert = "INSERT INTO mail_queue (id, recipient, message, created_at, due_at, attempts, failed_at, failure)
                      VALUES ($1, 'ann@example.com', '{}', 0, 253402300799, 1, $2, 'refused')";
        sqlx::query(insert).bind(id).bind(failed_at).execute(&database).await.unwrap();
    }
    let app = TestApp::start_in(place).await;
    mailbox::until("one message", || Some(()).filter(|()| listed(&app, ANN).len() == 1)).await;
    assert!(listed(&app, ANN)[0].starts_with("recent"));
}

#[tokio::test]
async fn slow_deliveries_do_not_block_the_queue() {
    let server = MailServer::start();
    server.is_now(Mood::KeepsSlowOnesWaiting);
    let mut app = app_with(&server).await;
    for number in 0..3 {
        app.customer(&format!("slow{number}@example.com")).await;
    }
    mailbox::until("three connections", || (server.kept_waiting() == 3).then_some(())).await;
    let began = Instant::now();
    for number in 0..5 {
        app.customer(&format!("quick{number}@example.com")).await;
    }
    server.has_taken(5).await;
    assert!(began.elapsed() < Duration::from_secs(9), "{:?}", began.elapsed());
    app.stop_by("KILL");
}

/// 20 messages and an unavailable server: at most one connection a second.
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
async fn due_time_beyond_the_longest_wait_counts_as_due() {
    let mut server = MailServer::start();
    server.stop();
    let app = app_with(&server).await;
    app.customer(ANN).await;
    is(&app, ANN, "deferred").await;
    let database = app.database().await;
    // Written while the clock was a day ahead.
    sqlx::query("UPDATE mail_queue SET due_at = $1").bind(now() + DAY).execute(&database).await.unwrap();
    server.start_again();
    mailbox::all_gone(&app).await;
    assert_eq!(server.mails().len(), 1);
}

#[tokio::test]
async fn check_sends_a_test_message() {
    let server = MailServer::start();
    let mut place = Place::new().await;
    place.set("MAIL_URL", &server.url());
    place.done(&["migrate"]);
    let said = place.done(&["check", "--mail", ANN]);
    assert!(said.contains(&format!("a test message to {ANN} was handed over")), "{said}");
    let mails = server.mails();
    assert!(mails.len() == 1 && mails[0].to == ANN && mails[0].subject == "Test message", "{mails:?}");
    server.is_now(Mood::Refuses);
    let ran = place.run(&["check", "--mail", ANN]);
    assert!(ran.status == 1 && ran.stderr.trim_end().lines().count() == 1, "{ran:?}");
    assert!(ran.stderr.contains("550 5.1.1") && ran.stderr.contains("MAIL_URL"), "{ran:?}");
    let ran = place.run(&["check", "--mail", "nobody"]);
    assert!(ran.status == 2 && ran.stderr.contains("nobody"), "{ran:?}");
}

#[tokio::test]
async fn sign_up_password_is_not_part_of_the_list() {
    let server = MailServer::start();
    server.is_now(Mood::Refuses);
    let app = app_with(&server).await;
    app.customer(ANN).await;
    is(&app, ANN, "failed").await;
    let said = app.done(&["mail", "list"]);
    assert!(!said.contains(PASSWORD) && said.contains("confirm address"), "{said}");
}
