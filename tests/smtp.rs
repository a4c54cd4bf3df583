//! Mail that leaves by a server: one that is there, one that is not, and one that says no.

use std::time::{Duration, Instant};

use crate::app::{PASSWORD, TestApp};
use crate::mail_server::{MailServer, Mood, Tls};
use crate::place::{Place, Ran};
use crate::post::{self, CONFIRM, NEW_PASSWORD};
use crate::token::now;

const ANN: &str = "ann@example.com";

async fn app_with(server: &MailServer) -> TestApp {
    TestApp::start_with(&[("MAIL_URL", &server.url())]).await
}

/// Waits until so many letters were tried in vain and wait for their next time.
async fn are_put_off(app: &TestApp, count: i64) {
    let database = app.database().await;
    let began = Instant::now();
    loop {
        // One that a node is at has its time further off.
        let query = "SELECT COUNT(*) FROM mail_queue WHERE attempts > 0 AND due_at < $1";
        let found: i64 = sqlx::query_scalar(query).bind(now() + 60).fetch_one(&database).await.unwrap();
        if found == count {
            return;
        }
        assert!(began.elapsed() < Duration::from_secs(30), "{found} letters wait:\n{}", app.logs());
        tokio::time::sleep(Duration::from_millis(25)).await;
    }
}

/// Spares the test the wait until the next time.
async fn are_due_now(app: &TestApp) {
    sqlx::query("UPDATE mail_queue SET due_at = 0").execute(&app.database().await).await.unwrap();
}

fn recipients(server: &MailServer) -> Vec<String> {
    let mut all: Vec<String> = server.letters().into_iter().map(|letter| letter.to).collect();
    all.sort();
    all
}

/// The quickest of three sign-ups.
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
async fn a_letter_is_handed_over_once() {
    let server = MailServer::start();
    let app = app_with(&server).await;
    app.customer(ANN).await;
    let letter = server.has_taken(1).await.remove(0);
    assert_eq!((letter.to.as_str(), letter.subject.as_str()), (ANN, CONFIRM));
    assert_eq!(app.visitor().post("/verify", &[("token", letter.token()), ("password", PASSWORD)]).await.status, 303);
    post::all_gone(&app).await;
    assert_eq!(server.letters().len(), 1);
    assert!(app.get("/dev/mail").await.is_page(200), "the inbox of a development server has nothing to show");
}

#[tokio::test]
async fn without_a_server_sign_up_takes_its_usual_time_and_each_letter_follows_once() {
    let mut server = MailServer::start();
    let app = app_with(&server).await;
    let usual = quickest_sign_up(&app, "early").await;
    server.has_taken(3).await;
    server.stop();
    let without = quickest_sign_up(&app, "late").await;
    assert!(without < usual * 3 + Duration::from_millis(500), "usual {usual:?}, without {without:?}");
    are_put_off(&app, 3).await;
    server.start_again();
    post::all_gone(&app).await;
    let all = ["early0", "early1", "early2", "late0", "late1", "late2"].map(|name| format!("{name}@example.com"));
    assert_eq!(recipients(&server), all);
}

#[tokio::test]
async fn a_server_that_never_answers_holds_up_no_page() {
    let server = MailServer::start();
    server.is_now(Mood::Silent);
    let mut app = app_with(&server).await;
    app.customer("first@example.com").await;
    post::until("a connection", || server.is_spoken_to().then_some(())).await;
    let took = quickest_sign_up(&app, "ann").await;
    assert!(took < Duration::from_secs(3), "{took:?}");
    app.stop_by("KILL");
}

#[tokio::test]
async fn letters_that_wait_outlive_a_stop_and_a_kill() {
    let mut server = MailServer::start();
    server.stop();
    let mut app = app_with(&server).await;
    app.customer(ANN).await;
    are_put_off(&app, 1).await;
    assert_eq!(app.stop_by("TERM").code(), Some(0));
    app.start_again().await;
    app.customer("bob@example.com").await;
    are_put_off(&app, 2).await;
    app.stop_by("KILL");
    server.start_again();
    are_due_now(&app).await;
    app.start_again().await;
    post::all_gone(&app).await;
    assert_eq!(recipients(&server), [ANN, "bob@example.com"]);
}

#[tokio::test]
async fn a_letter_that_is_refused_for_good_is_not_sent_again_and_the_log_names_neither_address_nor_token() {
    let server = MailServer::start();
    let app = TestApp::start_with(&[("MAIL_URL", &server.url()), ("RUST_LOG", "trace")]).await;
    server.is_now(Mood::Refuses);
    app.customer("ann-of-the-hills@example.com").await;
    post::all_gone(&app).await;
    server.is_now(Mood::RefusesContent);
    app.customer("bob-of-the-dales@example.com").await;
    post::all_gone(&app).await;
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
    post::all_gone(&app).await;
    assert_eq!(recipients(&server), ["carol@example.com"], "others suffer");
}

#[tokio::test]
async fn a_letter_that_is_put_off_is_tried_again() {
    let server = MailServer::start();
    server.is_now(Mood::PutsOff);
    let app = app_with(&server).await;
    app.customer(ANN).await;
    are_put_off(&app, 1).await;
    assert!(app.logs().contains("451 4.7.1") && !app.logs().contains(ANN), "{}", app.logs());
    server.is_now(Mood::Takes);
    are_due_now(&app).await;
    post::all_gone(&app).await;
    assert_eq!(recipients(&server), [ANN]);
    let token = server.letters()[0].token().to_owned();
    assert_eq!(app.visitor().post("/verify", &[("token", &token), ("password", PASSWORD)]).await.status, 303);
}

#[tokio::test]
async fn a_password_that_the_server_doubts_costs_no_letter() {
    let server = MailServer::start();
    server.is_now(Mood::DoubtsPassword);
    let url = server.url().replace("://", "://portal:sunflower-sonata@");
    let app = TestApp::start_with(&[("MAIL_URL", &url)]).await;
    app.customer(ANN).await;
    are_put_off(&app, 1).await;
    let ran = app.run(&["check"]);
    assert!(fails_in_one_line(&ran) && ran.stderr.contains("535"), "{ran:?}");
    server.is_now(Mood::Takes);
    are_due_now(&app).await;
    post::all_gone(&app).await;
    assert_eq!(recipients(&server), [ANN]);
    assert!(!app.logs().contains("sunflower-sonata") && !ran.output().contains("sunflower-sonata"));
}

#[tokio::test]
async fn two_nodes_on_one_database_deliver_each_letter_once() {
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
    post::all_gone(&first).await;
    assert_eq!(recipients(&server), expected);
    let letters = server.letters();
    assert_eq!(letters.iter().filter(|letter| letter.subject == NEW_PASSWORD).count(), 20);
}

#[tokio::test]
async fn check_reaches_the_server_and_says_what_to_mend_when_it_cannot() {
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
    assert!(server.letters().is_empty(), "checking sent a letter");
}

#[tokio::test]
async fn nothing_is_said_to_a_server_whose_certificate_nobody_vouches_for() {
    for tls in [Tls::FromTheStart, Tls::Offered] {
        let server = MailServer::start_with(tls);
        let url = if tls == Tls::Offered { format!("{}?tls=required", server.url()) } else { server.url() };
        let mut app = TestApp::start_with(&[("MAIL_URL", &url)]).await;
        let ran = app.run(&["check"]);
        assert!(fails_in_one_line(&ran) && ran.stderr.contains("certificate"), "{tls:?}: {ran:?}");
        app.customer(ANN).await;
        are_put_off(&app, 1).await;
        app.stop_by("TERM");
        let trusted = app.write("mail.pem", &server.certificate);
        let trusted = app.path().join(trusted).display().to_string();
        app.set("SSL_CERT_FILE", &trusted);
        app.done(&["check"]);
        are_due_now(&app).await;
        app.start_again().await;
        post::all_gone(&app).await;
        assert_eq!(recipients(&server), [ANN], "{tls:?}: once it is vouched for, mail leaves");
        let overheard = server.overheard();
        assert!(!overheard.is_empty() && overheard.contains("EHLO") == (tls == Tls::Offered), "{overheard}");
        assert!(!overheard.contains("MAIL FROM") && !overheard.contains(ANN), "{tls:?}: in the clear: {overheard}");
    }
}

#[tokio::test]
async fn where_tls_is_required_a_server_without_it_gets_no_letter() {
    let server = MailServer::start();
    let url = format!("smtp://portal:{}@127.0.0.1:{}?tls=required", PASSWORD.replace(' ', "-"), server.port);
    let app = TestApp::start_with(&[("MAIL_URL", &url)]).await;
    let ran = app.run(&["check"]);
    assert!(fails_in_one_line(&ran), "{ran:?}");
    app.customer(ANN).await;
    are_put_off(&app, 1).await;
    let overheard = server.overheard();
    assert!(overheard.contains("EHLO") && !overheard.contains("AUTH") && !overheard.contains("MAIL"), "{overheard}");
}
