//! More than can be done at once: the rest is told to come back (503 with `Retry-After`), and what needs none of it stays fast.

use std::time::{Duration, Instant};

use futures_util::future::{join, join_all};
use reqwest::Method;
use serde_json::json;

use crate::app::{PASSWORD, TestApp};
use crate::http::{self, Answer};

const ANN: &str = "ann@example.com";
const WRONG: &str = "not the password at all";

/// Logins with a wrong password, half of them by page and half by API, each for an account and from an address of its own, so that no
/// rate limit meets them; answers those of the pages and those of the API.
async fn log_in_at_once(app: &TestApp, count: usize) -> (Vec<Answer>, Vec<Answer>) {
    let of = |path: &str, number: usize| {
        let address = format!("203.0.{}.{}", number / 250, number % 250 + 1);
        app.request(Method::POST, path).header("x-forwarded-for", address)
    };
    let email = |number| format!("customer{number}@example.com");
    let page =
        |number| http::send(of("/login", number).form(&[("email", email(number)), ("password", WRONG.to_owned())]));
    let api = |number| http::send(of("/api/login", number).json(&json!({ "email": email(number), "password": WRONG })));
    // In turn, so that both meet the queue empty and full.
    join_all((0..count).map(|number| join(page(number), api(count + number)))).await.into_iter().unzip()
}

/// Asserts that each was looked at or told to come back; answers how many were told so.
fn refused(answers: &[Answer], is_refusal: impl Fn(&Answer) -> bool) -> usize {
    for answer in answers {
        let seconds = answer.header("retry-after").map(|seconds| seconds.parse::<u32>().unwrap());
        match answer.status {
            401 => assert_eq!(seconds, None),
            503 => assert!(is_refusal(answer) && seconds.is_some_and(|seconds| seconds > 0), "{}", answer.text()),
            status => panic!("{status}: {}", answer.text()),
        }
    }
    answers.iter().filter(|answer| answer.status == 503).count()
}

/// On one core the queue has 24 places on every computer: a process that is started by a thread stays on that thread's cores.
#[cfg(target_os = "linux")]
async fn app_on_one_core() -> TestApp {
    use rustix::thread::{CpuSet, sched_getaffinity, sched_setaffinity};
    let all = sched_getaffinity(None).unwrap();
    let mut one = CpuSet::new();
    one.set((0..CpuSet::MAX_CPU).find(|core| all.is_set(*core)).unwrap());
    sched_setaffinity(None, &one).unwrap();
    let app = TestApp::start_with(&[("TRUSTED_PROXIES", "127.0.0.1")]).await;
    sched_setaffinity(None, &all).unwrap();
    app
}

#[tokio::test]
#[cfg(target_os = "linux")]
async fn hash_queue_that_is_full_answers_503_and_other_pages_stay_fast() {
    let app = app_on_one_core().await;
    let mut ann = app.customer(ANN).await;
    let crowd = async {
        let answers = log_in_at_once(&app, 75).await;
        (answers, Instant::now())
    };
    let browsing = async {
        let mut pages = Vec::new();
        tokio::time::sleep(Duration::from_millis(100)).await;
        for _ in 0..5 {
            let began = Instant::now();
            assert!(ann.get("/orders").await.is_page(200));
            pages.push((began.elapsed(), Instant::now()));
        }
        pages
    };
    let (((pages, api), last_login), browsed) = join(crowd, browsing).await;
    assert!(refused(&pages, |answer| answer.is_page(503)) > 0, "no page was refused");
    assert!(refused(&api, |answer| answer.is_problem(503)) > 0, "nothing of the API was refused");
    let looked_at = pages.iter().chain(&api).filter(|answer| answer.status == 401).count();
    // On PostgreSQL some find no free connection first.
    let at_least = if app.is_postgres() { 1 } else { 25 };
    assert!(looked_at >= at_least, "{looked_at} were looked at, and the queue holds 24 beside the one at work");
    assert!(browsed[0].1 < last_login, "the crowd was gone before the first page");
    let slowest = browsed.iter().map(|(took, _)| *took).max().unwrap();
    assert!(slowest < Duration::from_secs(3), "a page took {slowest:?}");
    let login = app.visitor().post("/login", &[("email", ANN), ("password", PASSWORD)]).await;
    assert_eq!(login.leads_to(), (303, "/orders"), "once the crowd is gone");
}

/// Another program holds SQLite's only writer, or a lock on PostgreSQL, for longer than a request waits.
#[tokio::test]
async fn database_that_is_locked_answers_503_until_the_lock_is_released() {
    let app = TestApp::start_with(&[("TRUSTED_PROXIES", "127.0.0.1")]).await;
    app.customer(ANN).await;
    let database = app.database().await;
    let mut other = database.acquire().await.unwrap();
    let lock = if app.is_postgres() { "BEGIN; LOCK TABLE rate_limits IN EXCLUSIVE MODE" } else { "BEGIN IMMEDIATE" };
    sqlx::raw_sql(lock).execute(&mut *other).await.unwrap();
    let release = async {
        tokio::time::sleep(Duration::from_secs(13)).await;
        sqlx::raw_sql("ROLLBACK").execute(&mut *other).await.unwrap();
    };
    let ((pages, api), ()) = join(log_in_at_once(&app, 12), release).await;
    assert!(refused(&pages, |answer| answer.is_page(503)) > 0, "no page was refused");
    assert!(refused(&api, |answer| answer.is_problem(503)) > 0, "nothing of the API was refused");
    let login = app.visitor().post("/login", &[("email", ANN), ("password", PASSWORD)]).await;
    assert_eq!(login.leads_to(), (303, "/orders"), "once the lock is released");
}
