//! How long an answer takes tells nobody whether an address has an account.

use std::time::{Duration, Instant};

use sqlx::AnyPool;

use crate::app::TestApp;
use crate::http;

/// Hashing a password takes most of a login, so leaving it out shows in few pairs.
const LOGIN_PAIRS: usize = 25;
/// One write more or less to the database is told from chance by many pairs alone.
const MAIL_PAIRS: usize = 100;
/// Other programs on the computer may disturb one measurement; what can be told apart is told apart in every one.
const MEASUREMENTS: usize = 3;

struct Stopwatch {
    app: TestApp,
    database: AnyPool,
}

impl Stopwatch {
    /// A program whose accounts have the addresses `known0@example.com` and on.
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

/// What tells known from unknown, if anything does.
///
/// Were they alike, the known address would be the slower of a pair as often as a coin shows heads: by chance alone the count is over
/// four standard deviations from one half in 6 of 100,000 measurements.
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
async fn logging_in_takes_as_long_for_an_unknown_address_as_for_a_known_one() {
    assert_alike("/login", 401, LOGIN_PAIRS).await;
}

#[tokio::test]
async fn asking_for_a_new_password_takes_as_long_for_an_unknown_address_as_for_a_known_one() {
    assert_alike("/password/forgot", 303, MAIL_PAIRS).await;
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
