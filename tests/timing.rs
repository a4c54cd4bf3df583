//! How long an answer takes tells nobody whether an address has an account.

use std::time::{Duration, Instant};

use sqlx::AnyPool;

use crate::app::TestApp;
use crate::http;

const PAIRS: usize = 25;
/// Were known and unknown addresses alike, known ones would be the slower of the pair as often as a coin shows heads: fewer than 3 or
/// more than 22 times of 25 in 2 of 100,000 measurements. An answer that leaves out its work is the quicker one in all 25.
const SLOWER_BY_CHANCE: std::ops::RangeInclusive<usize> = 3..=22;
/// Other programs on the computer may disturb one measurement; what can be told apart is told apart in every one.
const MEASUREMENTS: usize = 3;

struct Stopwatch {
    app: TestApp,
    database: AnyPool,
}

impl Stopwatch {
    /// A program whose accounts have the addresses `known0@example.com` and on.
    async fn new() -> Self {
        let app = TestApp::start().await;
        app.customer("first@example.com").await;
        let database = app.database().await;
        for number in 0..PAIRS {
            let copy = "INSERT INTO users (id, email, password_hash, created_at)
                 SELECT CAST($1 AS TEXT), CAST($2 AS TEXT), password_hash, created_at
                 FROM users WHERE email = 'first@example.com'";
            let insert = sqlx::query(copy).bind(format!("known-{number}")).bind(format!("known{number}@example.com"));
            insert.execute(&database).await.unwrap();
        }
        Self { app, database }
    }

    async fn time(&self, path: &str, email: &str, status: u16) -> Duration {
        // Whoever measures has as many addresses of their own as it takes.
        sqlx::query("DELETE FROM throttles").execute(&self.database).await.unwrap();
        let fields = [("email", email), ("password", "not the password at all")];
        let request = self.app.request(reqwest::Method::POST, path).form(&fields);
        let began = Instant::now();
        let answer = http::send(request).await;
        let took = began.elapsed();
        assert_eq!(answer.status, status, "{path} {email}");
        took
    }

    /// Times of known and of unknown addresses, in pairs; each comes first in every other pair.
    async fn measure(&self, path: &str, status: u16) -> Vec<(Duration, Duration)> {
        let mut pairs = Vec::new();
        for number in 0..PAIRS {
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

/// What tells known from unknown, if anything does.
fn difference(pairs: &[(Duration, Duration)]) -> Option<String> {
    let slower = pairs.iter().filter(|(known, unknown)| known > unknown).count();
    let (known, unknown) = (median(pairs.iter().map(|pair| pair.0)), median(pairs.iter().map(|pair| pair.1)));
    let alike = known < unknown * 2 && unknown < known * 2;
    (!alike || !SLOWER_BY_CHANCE.contains(&slower)).then(|| {
        format!("known addresses take {known:?}, unknown ones {unknown:?}; known ones are slower {slower} times")
    })
}

async fn assert_alike(path: &str, status: u16) {
    let stopwatch = Stopwatch::new().await;
    let mut differences = Vec::new();
    for _ in 0..MEASUREMENTS {
        match difference(&stopwatch.measure(path, status).await) {
            None => return,
            Some(difference) => differences.push(difference),
        }
    }
    panic!("{path}: {differences:#?}");
}

#[tokio::test]
async fn logging_in_takes_as_long_for_an_unknown_address_as_for_a_known_one() {
    assert_alike("/login", 401).await;
}

#[tokio::test]
async fn asking_for_a_new_password_takes_as_long_for_an_unknown_address_as_for_a_known_one() {
    assert_alike("/password/forgot", 303).await;
}

#[test]
fn the_measurement_itself_tells_apart_what_differs() {
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
