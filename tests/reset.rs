//! A forgotten password.

use crate::app::{PASSWORD, TestApp};
use crate::http::{Answer, Visitor};
use crate::post::{self, Letter, NEW_PASSWORD};
use crate::shop::{export, order};

const ANN: &str = "ann@example.com";
const OTHER: &str = "a quiet harbour at dusk";
const CHANGED: &str = "Your password was changed";

async fn ask(app: &TestApp, email: &str) -> Answer {
    app.visitor().post("/password/forgot", &[("email", email)]).await
}

/// Ann, and a letter with a link to a new password for her.
async fn ann_with_letter(app: &TestApp) -> (Visitor, Letter) {
    let visitor = app.customer(ANN).await;
    assert_eq!(ask(app, ANN).await.status, 303);
    (visitor, post::letter_to(app, ANN, NEW_PASSWORD).await)
}

async fn choose(app: &TestApp, token: &str, password: &str) -> Answer {
    app.visitor().post("/password/reset", &[("token", token), ("password", password)]).await
}

async fn log_in(app: &TestApp, password: &str) -> u16 {
    app.visitor().post("/login", &[("email", ANN), ("password", password)]).await.status
}

fn is_dead(answer: &Answer) -> bool {
    answer.is_page(422) && answer.text().contains("That link no longer works")
}

#[tokio::test]
async fn a_known_address_and_an_unknown_one_are_answered_alike() {
    let app = TestApp::start().await;
    app.customer(ANN).await;
    let (known, unknown) = (ask(&app, ANN).await, ask(&app, "bob@example.com").await);
    let names = |answer: &Answer| answer.headers.iter().map(|(name, _)| name.clone()).collect::<Vec<_>>();
    assert_eq!(known.leads_to(), (303, "/password/forgot?sent=1"));
    assert_eq!((known.leads_to(), known.text(), names(&known)), (unknown.leads_to(), unknown.text(), names(&unknown)));
    let page = app.get("/password/forgot?sent=1").await;
    assert!(page.is_page(200) && page.text().contains("Check your inbox"));
    post::all_gone(&app).await;
    assert_eq!(post::letters_to(&app, ANN, NEW_PASSWORD).len(), 1);
    assert!(post::letters(&app).iter().all(|letter| letter.to == ANN), "a stranger got mail");
}

#[tokio::test]
async fn what_is_no_address_is_said_beside_the_field() {
    let app = TestApp::start().await;
    for typed in ["", "ann@", "a@b.example\r\nBcc: c@d.example"] {
        let answer = ask(&app, typed).await;
        assert!(answer.is_page(422) && answer.text().contains("id=\"email-error\""), "{typed:?}: {}", answer.status);
    }
    assert!(ask(&app, "ann@").await.text().contains("value=\"ann@\""), "what was typed is lost");
}

#[tokio::test]
async fn a_link_is_good_once_and_for_half_an_hour() {
    let app = TestApp::start().await;
    let (_, letter) = ann_with_letter(&app).await;
    let token = letter.token();
    assert!(token.len() == 64 && token.bytes().all(|byte| byte.is_ascii_hexdigit()), "{token}");
    let database = app.database().await;
    let lasts = "SELECT expires_at - created_at FROM mailed_tokens WHERE purpose = 'reset'";
    assert_eq!(sqlx::query_scalar::<_, i64>(lasts).fetch_one(&database).await.unwrap(), 1800);
    let end = |at: i64| sqlx::query("UPDATE mailed_tokens SET expires_at = $1").bind(at).execute(&database);
    end(crate::token::now()).await.unwrap();
    assert_eq!(app.get(letter.path()).await.status, 404);
    assert!(is_dead(&choose(&app, token, OTHER).await), "an expired link worked");
    end(crate::token::now() + 60).await.unwrap();
    assert_eq!(choose(&app, token, OTHER).await.leads_to(), (303, "/login"));
    assert_eq!(app.get(letter.path()).await.status, 404);
    assert!(is_dead(&choose(&app, token, OTHER).await), "the link worked twice");
}

#[tokio::test]
async fn of_many_who_press_one_link_at_once_one_sets_the_password() {
    let app = TestApp::start().await;
    let (_, letter) = ann_with_letter(&app).await;
    let passwords: Vec<String> = (0..4).map(|number| format!("{OTHER} number {number}")).collect();
    let presses = passwords.iter().map(|password| choose(&app, letter.token(), password));
    let answers = futures_util::future::join_all(presses).await;
    let won: Vec<usize> = (0..4).filter(|index| answers[*index].status == 303).collect();
    assert!(won.len() == 1 && answers.iter().filter(|answer| is_dead(answer)).count() == 3, "{won:?}");
    assert_eq!(log_in(&app, &passwords[won[0]]).await, 303);
}

#[tokio::test]
async fn a_new_password_voids_every_link_however_it_was_set() {
    let app = TestApp::start().await;
    let mut visitor = app.customer(ANN).await;
    for _ in 0..2 {
        ask(&app, ANN).await;
        // Twelve minutes later.
        sqlx::query("DELETE FROM throttles").execute(&app.database().await).await.unwrap();
    }
    post::all_gone(&app).await;
    let letters = post::letters_to(&app, ANN, NEW_PASSWORD);
    assert_eq!(choose(&app, letters[0].token(), OTHER).await.status, 303);
    assert!(is_dead(&choose(&app, letters[1].token(), PASSWORD).await), "good after another link was used");
    visitor.post("/login", &[("email", ANN), ("password", OTHER)]).await;
    ask(&app, ANN).await;
    post::all_gone(&app).await;
    let third = post::letters_to(&app, ANN, NEW_PASSWORD).remove(2);
    let fields = [("current_password", OTHER), ("new_password", PASSWORD)];
    assert_eq!(visitor.post("/account/password", &fields).await.status, 303);
    assert!(is_dead(&choose(&app, third.token(), OTHER).await), "good after the password was changed");
    ask(&app, ANN).await;
    post::all_gone(&app).await;
    assert_eq!(post::letters_to(&app, ANN, NEW_PASSWORD).len(), 4, "the owner, whose link was revoked, gets none");
    assert_eq!(log_in(&app, PASSWORD).await, 303);
}

#[tokio::test]
async fn a_weak_password_is_refused_with_the_reason_and_the_link_stays_good() {
    let app = TestApp::start().await;
    let (_, letter) = ann_with_letter(&app).await;
    for weak in ["", "sh0rt!q", "qwertyuiop", ANN, &"x".repeat(257)] {
        let answer = choose(&app, letter.token(), weak).await;
        assert!(answer.is_page(422) && answer.text().contains("id=\"password-error\""), "{weak:?}: {}", answer.status);
        assert!(answer.text().contains(letter.token()), "the form cannot be sent again");
        assert_eq!(answer.header("referrer-policy"), Some("strict-origin"));
        assert!(weak.is_empty() || weak == ANN || !answer.text().contains(weak), "the password came back");
    }
    assert_eq!(choose(&app, letter.token(), OTHER).await.leads_to(), (303, "/login"));
}

#[tokio::test]
async fn a_new_password_ends_every_session_and_is_told_by_mail() {
    let app = TestApp::start().await;
    let (mut here, letter) = ann_with_letter(&app).await;
    let mut elsewhere = app.visitor();
    elsewhere.post("/login", &[("email", ANN), ("password", PASSWORD), ("remember", "on")]).await;
    let script = app.api_token(ANN).await;
    let mut bob = app.customer("bob@example.com").await;
    assert_eq!(choose(&app, letter.token(), OTHER).await.leads_to(), (303, "/login"));
    for visitor in [&mut here, &mut elsewhere] {
        assert_eq!(visitor.get("/orders").await.leads_to(), (303, "/login?next=%2Forders"));
    }
    assert_eq!(app.api_get("/api/userOrders", &script).await.status, 403);
    assert!(bob.get("/orders").await.is_page(200), "another customer was logged out");
    assert_eq!((log_in(&app, PASSWORD).await, log_in(&app, OTHER).await), (401, 303));
    let told = post::letter_to(&app, ANN, CHANGED).await;
    assert!(told.path().starts_with("/not-me?token="), "{}", told.text);
}

#[tokio::test]
async fn whoever_sets_a_password_by_mail_has_shown_the_address_to_be_theirs() {
    let app = TestApp::start().await;
    let file = app.write("orders.csv", export(&[order("#7001", ANN)]));
    app.done(&["import", &file]);
    let (_, letter) = ann_with_letter(&app).await;
    choose(&app, letter.token(), OTHER).await;
    let mut visitor = app.visitor();
    visitor.post("/login", &[("email", ANN), ("password", OTHER)]).await;
    assert!(visitor.get("/orders/7001").await.is_page(200));
}

#[tokio::test]
async fn an_account_that_is_closed_gets_no_link_and_one_sent_before_is_dead() {
    let app = TestApp::start().await;
    let (_, letter) = ann_with_letter(&app).await;
    app.done(&["user", "disable", ANN]);
    assert_eq!(ask(&app, ANN).await.leads_to(), (303, "/password/forgot?sent=1"));
    post::all_gone(&app).await;
    assert_eq!(post::letters_to(&app, ANN, NEW_PASSWORD).len(), 1);
    assert_eq!(app.get(letter.path()).await.status, 404);
    assert!(is_dead(&choose(&app, letter.token(), OTHER).await));
    app.done(&["user", "enable", ANN]);
    assert_eq!(log_in(&app, PASSWORD).await, 303);
}

#[tokio::test]
async fn pages_that_hold_a_token_are_kept_by_nobody_and_named_to_nobody() {
    let app = TestApp::start().await;
    let (_, letter) = ann_with_letter(&app).await;
    let verify = post::letter_to(&app, ANN, post::CONFIRM).await;
    for path in [letter.path(), verify.path()] {
        let page = app.get(path).await;
        assert!(page.is_page(200) && page.text().contains("name=\"token\""));
        assert_eq!(page.header("referrer-policy"), Some("strict-origin"));
        assert_eq!(page.header("cache-control"), Some("no-store"));
        let outside = page.text().split('"').any(|part| part.starts_with("http") && !part.contains("localhost"));
        assert!(!outside, "{}", page.text());
    }
}

#[tokio::test]
async fn a_token_stands_in_no_line_of_the_log_however_much_it_says() {
    let app = TestApp::start_with(&[("RUST_LOG", "trace")]).await;
    let (mut visitor, letter) = ann_with_letter(&app).await;
    let verify = post::letter_to(&app, ANN, post::CONFIRM).await;
    for letter in [&letter, &verify] {
        app.get(letter.path()).await;
        crate::http::send(app.request(reqwest::Method::HEAD, letter.path())).await;
        crate::http::send(app.request(reqwest::Method::DELETE, letter.path())).await;
        app.get(&format!("{}x", letter.path())).await;
    }
    choose(&app, letter.token(), "short").await;
    choose(&app, letter.token(), OTHER).await;
    choose(&app, letter.token(), OTHER).await;
    visitor.post("/verify", &[("token", verify.token())]).await;
    visitor.post("/verify", &[("token", verify.token())]).await;
    let logs = app.logs();
    assert!(logs.contains("/password/reset") && logs.contains("/verify"), "the log says nothing");
    for secret in [letter.token(), verify.token(), OTHER] {
        let line = logs.lines().find(|line| line.contains(secret));
        assert!(line.is_none(), "{secret:?} stands in the log: {}", line.unwrap());
    }
}
