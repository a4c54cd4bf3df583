//! Delivery by SMTP: to an available, an unavailable and a rejecting server.

use std::time::{Duration, Instant};

use crate::app::{ANN, BOB, PASSWORD, TestApp};
use crate::mail_server::{MailServer, Mode, Tls};
use crate::mailbox::{self, CONFIRM, RESET};
use crate::sandbox::{CommandOutput, Sandbox};
use crate::token::now;

async fn app_with(server: &MailServer) -> TestApp {
    TestApp::start_with(&[("MAIL_URL", &server.url())]).await
}

/// Waits until this number of mails is deferred.
async fn wait_for_deferred(app: &TestApp, count: i64) {
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
async fn make_due(app: &TestApp) {
    app.execute("UPDATE mail_queue SET due_at = 0").await;
}

fn recipients(server: &MailServer) -> Vec<String> {
    let mut all: Vec<String> = server.mails().into_iter().map(|mail| mail.to).collect();
    all.sort();
    all
}

/// The time of the fastest of three sign-ups.
async fn fastest_sign_up(app: &TestApp, name: &str) -> Duration {
    let mut fastest = Duration::MAX;
    for number in 0..3 {
        let began = Instant::now();
        app.customer(&format!("{name}{number}@example.com")).await;
        fastest = fastest.min(began.elapsed());
    }
    fastest
}

fn is_mail_error(output: &CommandOutput) -> bool {
    output.is_one_line_error(1) && output.stderr.contains("MAIL_URL")
}

#[tokio::test]
async fn mail_is_delivered_once() {
    let server = MailServer::start();
    let app = app_with(&server).await;
    app.customer(ANN).await;
    let mail = server.wait_for_mails(1).await.remove(0);
    assert_eq!((mail.to.as_str(), mail.subject.as_str()), (ANN, CONFIRM));
    assert_eq!(app.confirm_address(mail.token()).await.status, 303);
    mailbox::wait_for_empty_queue(&app).await;
    assert_eq!(server.mails().len(), 1);
    assert!(app.get("/dev/mail").await.is_page(200), "the development inbox is unavailable");
}

#[tokio::test]
async fn local_part_with_unusual_dots_is_quoted() {
    let server = MailServer::start();
    let app = app_with(&server).await;
    for (number, email) in ["taro..yama@docomo.ne.jp", "x.@ezweb.ne.jp", ".hana@docomo.ne.jp"].into_iter().enumerate() {
        let mut visitor = app.customer(email).await;
        // Each customer gets a mail about the login, too.
        let mail = server.wait_for_mails(2 * number + 1).await.remove(2 * number);
        let (local, domain) = email.split_once('@').unwrap();
        let quoted = format!("\"{local}\"@{domain}");
        assert_eq!(mail.to, quoted);
        assert!(mail.raw.contains(&format!("To: <{quoted}>\r\n")), "{}", mail.raw);
        assert!(server.received().contains(&format!("RCPT TO:<{quoted}>\r\n")), "{}", server.received());
        assert_eq!(visitor.post("/verify", &[("token", mail.token())]).await.status, 303);
        assert_eq!(app.log_in(email, PASSWORD).await.status, 303);
        server.wait_for_mails(2 * number + 2).await;
    }
    app.customer("plain.dots@example.com").await;
    assert_eq!(server.wait_for_mails(7).await[6].to, "plain.dots@example.com");
    assert!(app.run_ok(&["user", "show", "x.@ezweb.ne.jp"]).contains("x.@ezweb.ne.jp"));
}

#[tokio::test]
async fn unavailable_mail_server_does_not_delay_sign_up() {
    let mut server = MailServer::start();
    let app = app_with(&server).await;
    let usual = fastest_sign_up(&app, "early").await;
    server.wait_for_mails(3).await;
    server.stop();
    let without = fastest_sign_up(&app, "late").await;
    assert!(without < usual * 3 + Duration::from_millis(500), "usual {usual:?}, without {without:?}");
    wait_for_deferred(&app, 3).await;
    server.listen();
    mailbox::wait_for_empty_queue(&app).await;
    let all = ["early0", "early1", "early2", "late0", "late1", "late2"].map(|name| format!("{name}@example.com"));
    assert_eq!(recipients(&server), all);
}

#[tokio::test]
async fn silent_mail_server_delays_no_page() {
    let server = MailServer::start();
    server.set_mode(Mode::Silent);
    let mut app = app_with(&server).await;
    app.customer("first@example.com").await;
    mailbox::wait_for("a connection", || server.has_connections().then_some(())).await;
    let took = fastest_sign_up(&app, "ann").await;
    assert!(took < Duration::from_secs(3), "{took:?}");
    app.stop_with("KILL");
}

#[tokio::test]
async fn queued_mail_survives_a_stop_and_a_kill() {
    let mut server = MailServer::start();
    server.stop();
    let mut app = app_with(&server).await;
    app.customer(ANN).await;
    wait_for_deferred(&app, 1).await;
    assert_eq!(app.stop_with("TERM").code(), Some(0));
    app.restart().await;
    app.customer(BOB).await;
    wait_for_deferred(&app, 2).await;
    app.stop_with("KILL");
    server.listen();
    make_due(&app).await;
    app.restart().await;
    mailbox::wait_for_empty_queue(&app).await;
    assert_eq!(recipients(&server), [ANN, BOB]);
}

#[tokio::test]
async fn rejected_mail_is_not_retried_and_logged_without_addresses() {
    let server = MailServer::start();
    let app = TestApp::start_with(&[("MAIL_URL", &server.url()), ("RUST_LOG", "trace")]).await;
    server.set_mode(Mode::RejectRecipient);
    app.customer("ann-secret-address@example.com").await;
    mailbox::wait_for_empty_queue(&app).await;
    server.set_mode(Mode::RejectContent);
    app.customer("bob-secret-address@example.com").await;
    mailbox::wait_for_empty_queue(&app).await;
    let logs = app.logs();
    assert!(logs.contains("550") && logs.contains("554") && logs.contains("5.1.1"), "the log has no reasons:\n{logs}");
    let rejected = server.rejected();
    assert_eq!(rejected.len(), 1, "a rejected mail was retried");
    for secret in ["ann-secret-address", "bob-secret-address", rejected[0].token()] {
        let line = logs.lines().find(|line| line.contains(secret));
        assert!(line.is_none(), "the log contains {secret}: {}", line.unwrap());
    }
    server.set_mode(Mode::Accept);
    app.customer("carol@example.com").await;
    mailbox::wait_for_empty_queue(&app).await;
    assert_eq!(recipients(&server), ["carol@example.com"], "other mail is blocked");
}

#[tokio::test]
async fn deferred_mail_is_retried() {
    let server = MailServer::start();
    server.set_mode(Mode::Defer);
    let app = app_with(&server).await;
    app.customer(ANN).await;
    wait_for_deferred(&app, 1).await;
    assert!(app.logs().contains("451 4.7.1") && !app.logs().contains(ANN), "{}", app.logs());
    server.set_mode(Mode::Accept);
    make_due(&app).await;
    mailbox::wait_for_empty_queue(&app).await;
    assert_eq!(recipients(&server), [ANN]);
    let token = server.mails()[0].token().to_owned();
    assert_eq!(app.confirm_address(&token).await.status, 303);
}

#[tokio::test]
async fn rejected_smtp_credentials_defer_mail() {
    let server = MailServer::start();
    server.set_mode(Mode::RejectCredentials);
    let url = server.url().replace("://", "://portal:sunflower-sonata@");
    let app = TestApp::start_with(&[("MAIL_URL", &url)]).await;
    app.customer(ANN).await;
    wait_for_deferred(&app, 1).await;
    let output = app.run(&["check"]);
    assert!(is_mail_error(&output) && output.stderr.contains("535"), "{output:?}");
    server.set_mode(Mode::Accept);
    make_due(&app).await;
    mailbox::wait_for_empty_queue(&app).await;
    assert_eq!(recipients(&server), [ANN]);
    assert!(!app.logs().contains("sunflower-sonata") && !output.text().contains("sunflower-sonata"));
}

#[tokio::test]
async fn two_nodes_deliver_each_mail_once() {
    let server = MailServer::start();
    let first = app_with(&server).await;
    let mut sandbox = Sandbox::new().await;
    for name in ["DATABASE_URL", "PUBLIC_URL", "MAIL_URL"] {
        sandbox.set(name, first.setting(name));
    }
    let second = TestApp::start_in(sandbox).await;
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
    mailbox::wait_for_empty_queue(&first).await;
    assert_eq!(recipients(&server), expected);
    let mails = server.mails();
    assert_eq!(mails.iter().filter(|mail| mail.subject == RESET).count(), 20);
}

#[tokio::test]
async fn check_connects_to_the_mail_server_and_explains_errors() {
    let mut server = MailServer::start();
    let mut sandbox = Sandbox::new().await;
    sandbox.run_ok(&["migrate"]);
    sandbox.set("MAIL_URL", &server.url());
    sandbox.run_ok(&["check"]);
    server.stop();
    let output = sandbox.run(&["check"]);
    assert!(is_mail_error(&output), "{output:?}");
    server.listen();
    sandbox.run_ok(&["check"]);
    assert!(server.mails().is_empty(), "check sent a mail");
}

#[tokio::test]
async fn untrusted_server_certificate_is_rejected() {
    for tls in [Tls::Implicit, Tls::Upgrade] {
        let server = MailServer::start_with(tls);
        let url = if tls == Tls::Upgrade { format!("{}?tls=required", server.url()) } else { server.url() };
        let mut app = TestApp::start_with(&[("MAIL_URL", &url)]).await;
        let output = app.run(&["check"]);
        assert!(is_mail_error(&output) && output.stderr.contains("certificate"), "{tls:?}: {output:?}");
        app.customer(ANN).await;
        wait_for_deferred(&app, 1).await;
        app.stop_with("TERM");
        let trusted = app.write("mail.pem", &server.certificate);
        let trusted = app.path().join(trusted).display().to_string();
        app.set("SSL_CERT_FILE", &trusted);
        app.run_ok(&["check"]);
        make_due(&app).await;
        app.restart().await;
        mailbox::wait_for_empty_queue(&app).await;
        assert_eq!(recipients(&server), [ANN], "{tls:?}: with a trusted certificate");
        let received = server.received();
        assert!(!received.is_empty() && received.contains("EHLO") == (tls == Tls::Upgrade), "{received}");
        assert!(!received.contains("MAIL FROM") && !received.contains(ANN), "{tls:?}: unencrypted: {received}");
    }
}

#[tokio::test]
async fn required_tls_is_enforced() {
    let server = MailServer::start();
    let url = format!("smtp://portal:{}@127.0.0.1:{}?tls=required", PASSWORD.replace(' ', "-"), server.port);
    let app = TestApp::start_with(&[("MAIL_URL", &url)]).await;
    let output = app.run(&["check"]);
    assert!(is_mail_error(&output), "{output:?}");
    app.customer(ANN).await;
    wait_for_deferred(&app, 1).await;
    let received = server.received();
    assert!(received.contains("EHLO") && !received.contains("AUTH") && !received.contains("MAIL"), "{received}");
}
