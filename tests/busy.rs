//! Overload: rejected requests get 503 with `Retry-After`, and other pages stay fast.

use std::time::{Duration, Instant};

use futures_util::future::{join, join_all};
use reqwest::Method;
use serde_json::json;

use crate::app::{ANN, PASSWORD, TestApp, WRONG_PASSWORD};
use crate::http::{self, Response};
use crate::sandbox::Sandbox;

/// Concurrent logins with a wrong password, by page and by API. Each has its own account and client address, so that no rate limit
/// applies. Returns the responses of the pages and of the API.
pub async fn log_in_at_once(app: &TestApp, count: usize) -> (Vec<Response>, Vec<Response>) {
    let of = |path: &str, number: usize| {
        let address = format!("203.0.{}.{}", number / 250, number % 250 + 1);
        app.request(Method::POST, path).header("x-forwarded-for", address)
    };
    let email = |number| format!("customer{number}@example.com");
    let page = |number| {
        http::send(of("/login", number).form(&[("email", email(number)), ("password", WRONG_PASSWORD.to_owned())]))
    };
    let api = |number| {
        http::send(of("/api/login", number).json(&json!({ "email": email(number), "password": WRONG_PASSWORD })))
    };
    // Alternating, so that both meet an empty and a full queue.
    join_all((0..count).map(|number| join(page(number), api(count + number)))).await.into_iter().unzip()
}

/// Asserts that each response is 401 or 503; returns the number of 503.
fn count_rejected(responses: &[Response], is_rejection: impl Fn(&Response) -> bool) -> usize {
    for response in responses {
        let seconds = response.header("retry-after").map(|seconds| seconds.parse::<u32>().unwrap());
        match response.status {
            401 => assert_eq!(seconds, None),
            503 => assert!(is_rejection(response) && seconds.is_some_and(|seconds| seconds > 0), "{}", response.text()),
            status => panic!("{status}: {}", response.text()),
        }
    }
    responses.iter().filter(|response| response.status == 503).count()
}

/// On one core the queue has 24 slots. A process inherits the cores of the thread that starts it.
#[cfg(target_os = "linux")]
pub async fn start_on_one_core(sandbox: Sandbox) -> TestApp {
    use rustix::thread::{CpuSet, sched_getaffinity, sched_setaffinity};
    let all = sched_getaffinity(None).unwrap();
    let mut one = CpuSet::new();
    one.set((0..CpuSet::MAX_CPU).find(|core| all.is_set(*core)).unwrap());
    sched_setaffinity(None, &one).unwrap();
    let app = TestApp::start_in(sandbox).await;
    sched_setaffinity(None, &all).unwrap();
    app
}

#[tokio::test]
#[cfg(target_os = "linux")]
async fn full_hash_queue_answers_503_and_other_pages_stay_fast() {
    let mut sandbox = Sandbox::new().await;
    sandbox.set("TRUSTED_PROXIES", "127.0.0.1");
    let app = start_on_one_core(sandbox).await;
    let mut ann = app.customer(ANN).await;
    let logins = async {
        let responses = log_in_at_once(&app, 75).await;
        (responses, Instant::now())
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
    let (((pages, api), last_login), browsed) = join(logins, browsing).await;
    assert!(count_rejected(&pages, |response| response.is_page(503)) > 0, "no page was rejected");
    assert!(count_rejected(&api, |response| response.is_problem(503)) > 0, "no API request was rejected");
    let verified = pages.iter().chain(&api).filter(|response| response.status == 401).count();
    // On PostgreSQL some get no database connection.
    let at_least = if app.is_postgres() { 1 } else { 25 };
    assert!(verified >= at_least, "{verified} passwords were verified; one runs and 24 wait");
    assert!(browsed[0].1 < last_login, "the logins ended before the first page");
    let slowest = browsed.iter().map(|(took, _)| *took).max().unwrap();
    assert!(slowest < Duration::from_secs(3), "a page took {slowest:?}");
    let login = app.log_in(ANN, PASSWORD).await;
    assert_eq!(login.redirect(), (303, "/orders"), "after the overload");
}

/// Another program locks the database for longer than a request waits.
#[tokio::test]
async fn locked_database_answers_503_until_the_lock_is_released() {
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
    assert!(count_rejected(&pages, |response| response.is_page(503)) > 0, "no page was rejected");
    assert!(count_rejected(&api, |response| response.is_problem(503)) > 0, "no API request was rejected");
    let login = app.log_in(ANN, PASSWORD).await;
    assert_eq!(login.redirect(), (303, "/orders"), "after the lock is released");
}
