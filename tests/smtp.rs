//! Delivery by SMTP: to an available, an unavailable and a rejecting server.

use std::time::{Duration, Instant};

use crate::app::{PASSWORD, TestApp};
use crate::mail_server::{MailServer, Mood, Tls};
use crate::mailbox::{self, CONFIRM, NEW_PASSWORD};
use crate::place::{Place, Ran};
use crate::token::now;

const ANN: &str = "ann@example.com";

async fn app_with(server: &MailServer) -> TestApp {
    TestApp::start_with(&[("MAIL_URL", &server.url())]).await
}

/// Waits until that many mails are deferred.
async fn are_deferred(app: &TestApp, count: i64) {
    let database = app.database().await;
    let began = Instant::now();
    loop {
        // While a node delivers a mail, its due time is the end of the lease.
        let query = "SELECT COUNT(*) FROM mail_queue WHERE attempts > 0 AND due_at < $1";
        let found: i64 = sqlx::query_scalar(query).bind(now() + 60).fetch_one(&database).await.unwrap();
        if found == count {
            return;
        }
        assert!(began.elapsed() < Duration::from_secs(30), "{found} mails wait:\n{}", app.logs());
        tokio::time::sleep(Duration::from_millis(25)).await;
    }
}

/// Makes deferred mail due at once.
async fn are_due_now(app: &TestApp) {
    sqlx::query("UPDATE mail_queue SET due_at = 0").execute(&app.database().await).await.unwrap();
}

fn recipients(server: &MailServer) -> Vec<String> {
    let mut all: Vec<String> = server.mails().into_iter().map(|mail| mail.to).collect();
    all.sort();
    all
}

/// The time of the fastest of three sign-ups.
async fn quickest_sign_up(app: &TestApp, name: &str) -> Duration {
    let mut quickest = Duration::MAX;
    for number in 0..3 {
        let began = Instant::now();
        app.customer(&format!("{name}{number}@example.com")).await;
        quickest = quickest.min(began.elapsed());
    }
    quickest
}

fn fails_in_one_line(ran: &Ran) -> bool {
    ran.status == 1 && ran.stderr.trim_end().lines().count() == 1 && ran.stderr.contains("MAIL_URL")
}

#[tokio::test]
async fn mail_is_delivered_once() {
    let server = MailServer::start();
    let app = app_with(&server).await;
    app.customer(ANN).await;
    let mail = server.has_taken(1).await.remove(0);
    assert_eq!((mail.to.as_str(), mail.subject.as_str()), (ANN, CONFIRM));
    assert_eq!(app.visitor().post("/verify", &[("token", mail.token()), ("password", PASSWORD)]).await.status, 303);
    mailbox::all_gone(&app).await;
    assert_eq!(server.mails().len(), 1);
    assert!(app.get("/dev/mail").await.is_page(200), "the inbox of a development server has nothing to show");
}

#[tokio::test]
async fn dots_anywhere_in_the_local_part_are_delivered_quoted() {
    let server = MailServer::start();
    let app = app_with(&server).await;
    for (number, email) in ["taro..yama@docomo.ne.jp", "x.@ezweb.ne.jp", ".hana@docomo.ne.jp"].into_iter().enumerate() {
        let mut visitor = app.customer(email).await;
        let mail = server.has_taken(number + 1).await.remove(number);
        let (local, domain) = email.split_once('@').unwrap();
        let quoted = format!("\"{local}\"@{domain}");
        assert_eq!(mail.to, quoted);
        assert!(mail.raw.contains(&format!("To: <{quoted}>\r\n")), "{}", mail.raw);
        assert!(server.overheard().contains(&format!("RCPT TO:<{quoted}>\r\n")), "{}", server.overheard());
        assert_eq!(visitor.post("/verify", &[("token", mail.token())]).await.status, 303);
        assert_eq!(app.visitor().post("/login", &[("email", email), ("password", PASSWORD)]).await.status, 303);
    }
    app.customer("plain.dots@example.com").await;
    assert_eq!(server.has_taken(4).await[3].to, "plain.dots@example.com");
    assert!(app.done(&["user", "show", "x.@ezweb.ne.jp"]).contains("x.@ezweb.ne.jp"));
}

#[tokio::test]
async fn unavailable_mail_server_does_not_delay_sign_up() {
    let mut server = MailServer::start();
    let app = app_with(&server).await;
    let usual = quickest_sign_up(&app, "early").await;
    server.has_taken(3).await;
    server.stop();
    let without = quickest_sign_up(&app, "late").await;
    assert!(without < usual * 3 + Duration::from_millis(500), "usual {usual:?}, without {without:?}");
    are_deferred(&app, 3).await;
    server.start_again();
    mailbox::all_gone(&app).await;
    let all = ["early0", "early1", "early2", "late0", "late1", "late2"].map(|name| format!("{name}@example.com"));
    assert_eq!(recipients(&server), all);
}

#[tokio::test]
async fn silent_mail_server_delays_no_page() {
    let server = MailServer::start();
    server.is_now(Mood::Silent);
    let mut app = app_with(&server).await;
    app.customer("first@example.com").await;
    mailbox::until("a connection", || server.is_spoken_to().then_some(())).await;
    let took = quickest_sign_up(&app, "ann").await;
    assert!(took < Duration::from_secs(3), "{took:?}");
    app.stop_by("KILL");
}

#[tokio::test]
async fn queued_mail_survives_a_stop_and_a_kill() {
    let mut server = MailServer::start();
    server.stop();
    let mut app = app_with(&server).await;
    app.customer(ANN).await;
    are_deferred(&app, 1).await;
    assert_eq!(app.stop_by("TERM").code(), Some(0));
    app.start_again().await;
    app.customer("bob@example.com").await;
    are_deferred(&app, 2).await;
    app.stop_by("KILL");
    server.start_again();
    are_due_now(&app).await;
    app.start_again().await;
    mailbox::all_gone(&app).await;
    assert_eq!(recipients(&server), [ANN, "bob@example.com"]);
}

#[tokio::test]
async fn permanently_rejected_mail_is_not_retried_and_not_logged_in_detail() {
    let server = MailServer::start();
    let app = TestApp::start_with(&[("MAIL_URL", &server.url()), ("RUST_LOG", "trace")]).await;
    server.is_now(Mood::Refuses);
    app.customer("ann-of-the-hills@example.com").await;
    mailbox::all_gone(&app).await;
    server.is_now(Mood::RefusesContent);
    app.customer("bob-of-the-dales@example.com").await;
    mailbox::all_gone(&app).await;
    let logs = app.logs();
    assert!(
        logs.contains("550") && logs.contains("554") && logs.contains("5.1.1"),
        "the reasons are not said:\n{logs}"
    );
    let refused = server.refused();
    assert_eq!(refused.len(), 1, "tried again");
    for secret in ["ann-of-the-hills", "bob-of-the-dales", refused[0].token()] {
        let line = logs.lines().find(|line| line.contains(secret));
        assert!(line.is_none(), "{secret} stands in the log: {}", line.unwrap());
    }
    server.is_now(Mood::Takes);
    app.customer("carol@example.com").await;
    mailbox::all_gone(&app).await;
    assert_eq!(recipients(&server), ["carol@example.com"], "others suffer");
}

#[tokio::test]
async fn deferred_mail_is_retried() {
    let server = MailServer::start();
    server.is_now(Mood::PutsOff);
    let app = app_with(&server).await;
    app.customer(ANN).await;
    are_deferred(&app, 1).await;
    assert!(app.logs().contains("451 4.7.1") && !app.logs().contains(ANN), "{}", app.logs());
    server.is_now(Mood::Takes);
    are_due_now(&app).await;
    mailbox::all_gone(&app).await;
    assert_eq!(recipients(&server), [ANN]);
    let token = server.mails()[0].token().to_owned();
    assert_eq!(app.visitor().post("/verify", &[("token", &token), ("password", PASSWORD)]).await.status, 303);
}

#[tokio::test]
async fn rejected_smtp_credentials_lose_no_mail() {
    let server = MailServer::start();
    server.is_now(Mood::DoubtsPassword);
    let url = server.url().replace("://", "://portal:sunflower-sonata@");
    let app = TestApp::start_with(&[("MAIL_URL", &url)]).await;
    app.customer(ANN).await;
    are_deferred(&app, 1).await;
    let ran = app.run(&["check"]);
    assert!(fails_in_one_line(&ran) && ran.stderr.contains("535"), "{ran:?}");
    server.is_now(Mood::Takes);
    are_due_now(&app).await;
    mailbox::all_gone(&app).await;
    assert_eq!(recipients(&server), [ANN]);
    assert!(!app.logs().contains("sunflower-sonata") && !ran.output().contains("sunflower-sonata"));
}

#[tokio::test]
async fn two_nodes_deliver_each_mail_once() {
    let server = MailServer::start();
    let first = app_with(&server).await;
    let mut place = Place::new().await;
    for name in ["DATABASE_URL", "PUBLIC_URL", "MAIL_URL"] {
        place.set(name, first.setting(name));
    }
    let second = TestApp::start_in(place).await;
    first.customer(ANN).await;
    let mut expected = vec![ANN.to_owned()];
    let database = first.database().await;
    for number in 10..30 {
        let copy = "INSERT INTO users (id, email, password_hash, created_at)
             SELECT CAST($1 AS TEXT), CAST($2 AS TEXT), password_hash, created_at FROM users WHERE email = $3";
        let email = format!("customer{number}@example.com");
        let insert = sqlx::query(copy).bind(format!("id-{number}")).bind(&email).bind(ANN);
        insert.execute(&database).await.unwrap();
        let node = if number % 2 == 0 { &first } else { &second };
        assert_eq!(node.visitor().post("/password/forgot", &[("email", &email)]).await.status, 303);
        expected.push(email);
    }
    mailbox::all_gone(&first).await;
    assert_eq!(recipients(&server), expected);
    let mails = server.mails();
    assert_eq!(mails.iter().filter(|mail| mail.subject == NEW_PASSWORD).count(), 20);
}

#[tokio::test]
async fn check_connects_to_the_mail_server_and_explains_errors() {
    let mut server = MailServer::start();
    let mut place = Place::new().await;
    place.done(&["migrate"]);
    place.set("MAIL_URL", &server.url());
    place.done(&["migrate"]);
    place.done(&["check"]);
    server.stop();
    let ran = place.run(&["check"]);
    assert!(fails_in_one_line(&ran), "{ran:?}");
    server.start_again();
    place.done(&["check"]);
    assert!(server.mails().is_empty(), "check sent a mail");
}

#[tokio::test]
async fn untrusted_server_certificate_is_rejected() {
    for tls in [Tls::FromTheStart, Tls::Offered] {
        let server = MailServer::start_with(tls);
        let url = if tls == Tls::Offered { format!("{}?tls=required", server.url()) } else { server.url() };
        let mut app = TestApp::start_with(&[("MAIL_URL", &url)]).await;
        let ran = app.run(&["check"]);
        assert!(fails_in_one_line(&ran) && ran.stderr.contains("certificate"), "{tls:?}: {ran:?}");
        app.customer(ANN).await;
        are_deferred(&app, 1).await;
        app.stop_by("TERM");
        let trusted = app.write("mail.pem", &server.certificate);
        let trusted = app.path().join(trusted).display().to_string();
        app.set("SSL_CERT_FILE", &trusted);
        app.done(&["check"]);
        are_due_now(&app).await;
        app.start_again().await;
        mailbox::all_gone(&app).await;
        assert_eq!(recipients(&server), [ANN], "{tls:?}: once it is vouched for, mail leaves");
        let overheard = server.overheard();
        assert!(!overheard.is_empty() && overheard.contains("EHLO") == (tls == Tls::Offered), "{overheard}");
        assert!(!overheard.contains("MAIL FROM") && !overheard.contains(ANN), "{tls:?}: in the clear: {overheard}");
    }
}

#[tokio::test]
async fn required_tls_is_enforced() {
    let server = MailServer::start();
    let url = format!("smtp://portal:{}@127.0.0.1:{}?tls=required", PASSWORD.replace(' ', "-"), server.port);
    let app = TestApp::start_with(&[("MAIL_URL", &url)]).await;
    let ran = app.run(&["check"]);
    assert!(fails_in_one_line(&ran), "{ran:?}");
    app.customer(ANN).await;
    are_deferred(&app, 1).await;
    let overheard = server.overheard();
    assert!(overheard.contains("EHLO") && !overheard.contains("AUTH") && !overheard.contains("MAIL"), "{overheard}");
}
