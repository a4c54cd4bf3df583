//! The time of a response does not reveal whether an address has an account.

use std::time::{Duration, Instant};

use sqlx::AnyPool;

use crate::app::{TestApp, WRONG_PASSWORD};
use crate::http;

/// Hashing takes most of a login's time, so a missing hash is detected with few pairs.
const LOGIN_PAIRS: usize = 25;
/// A missing write is detected only with many pairs.
const MAIL_PAIRS: usize = 100;
/// Other programs may disturb one measurement; a real difference appears in every one.
const MEASUREMENTS: usize = 3;

struct Stopwatch {
    app: TestApp,
    database: AnyPool,
}

impl Stopwatch {
    /// A server with the accounts `known0@example.com`, `known1@example.com`, …
    async fn new(accounts: usize) -> Self {
        let app = TestApp::start().await;
        app.customer("first@example.com").await;
        let database = app.database().await;
        for number in 0..accounts {
            let copy = "INSERT INTO users (id, email, password_hash, created_at)
                 SELECT CAST($1 AS TEXT), CAST($2 AS TEXT), password_hash, created_at
                 FROM users WHERE email = 'first@example.com'";
            let insert = sqlx::query(copy).bind(format!("known-{number}")).bind(format!("known{number}@example.com"));
            insert.execute(&database).await.unwrap();
        }
        Self { app, database }
    }

    async fn time(&self, path: &str, email: &str, status: u16) -> Duration {
        // An attacker has as many client addresses as needed.
        sqlx::query("DELETE FROM rate_limits").execute(&self.database).await.unwrap();
        let fields = [("email", email), ("password", WRONG_PASSWORD)];
        let request = self.app.request(reqwest::Method::POST, path).form(&fields);
        let began = Instant::now();
        let response = http::send(request).await;
        let took = began.elapsed();
        assert_eq!(response.status, status, "{path} {email}");
        took
    }

    /// Pairs of times, of a known and an unknown address. The order alternates.
    async fn measure(&self, path: &str, status: u16, count: usize) -> Vec<(Duration, Duration)> {
        let mut pairs = Vec::new();
        for number in 0..count {
            let (known, unknown) = (format!("known{number}@example.com"), format!("other{number}@example.com"));
            let known_first = number % 2 == 0;
            let (first, second) = if known_first { (&known, &unknown) } else { (&unknown, &known) };
            let first = self.time(path, first, status).await;
            let second = self.time(path, second, status).await;
            pairs.push(if known_first { (first, second) } else { (second, first) });
        }
        pairs
    }
}

fn median(times: impl Iterator<Item = Duration>) -> Duration {
    let mut times: Vec<Duration> = times.collect();
    times.sort_unstable();
    times[times.len() / 2]
}

/// A description of the difference, if there is one.
///
/// Without a difference each address is the slower one in half of the pairs; the count deviates by more than four standard deviations in
/// 6 of 100,000 measurements.
fn difference(pairs: &[(Duration, Duration)]) -> Option<String> {
    let slower = pairs.iter().filter(|(known, unknown)| known > unknown).count();
    let (known, unknown) = (median(pairs.iter().map(|pair| pair.0)), median(pairs.iter().map(|pair| pair.1)));
    let alike = known < unknown * 2 && unknown < known * 2;
    let from_half = (2 * slower).abs_diff(pairs.len());
    let is_chance = from_half * from_half <= 16 * pairs.len();
    (!alike || !is_chance).then(|| {
        format!("known addresses take {known:?}, unknown ones {unknown:?}; known ones are slower {slower} times")
    })
}

async fn assert_alike(path: &str, status: u16, count: usize) {
    let stopwatch = Stopwatch::new(count).await;
    let mut differences = Vec::new();
    for _ in 0..MEASUREMENTS {
        match difference(&stopwatch.measure(path, status, count).await) {
            None => return,
            Some(difference) => differences.push(difference),
        }
    }
    panic!("{path}: {differences:#?}");
}

#[tokio::test]
async fn login_time_is_equal_for_unknown_addresses() {
    assert_alike("/login", 401, LOGIN_PAIRS).await;
}

#[tokio::test]
async fn reset_request_time_is_equal_for_unknown_addresses() {
    assert_alike("/password/forgot", 303, MAIL_PAIRS).await;
}

#[test]
fn timing_measurement_detects_a_difference() {
    let pairs = |known: u64, unknown: u64| {
        let noise = |number: u64| Duration::from_micros(number * 7919 % 2000);
        let pair = |number| {
            let (known, unknown) = (Duration::from_millis(known), Duration::from_millis(unknown));
            (known + noise(number), unknown + noise(number + 11))
        };
        (0..25).map(pair).collect::<Vec<_>>()
    };
    assert_eq!(difference(&pairs(30, 30)), None);
    assert!(difference(&pairs(30, 27)).is_some() && difference(&pairs(27, 30)).is_some());
    assert!(difference(&pairs(30, 1)).is_some() && difference(&pairs(1, 30)).is_some());
}
