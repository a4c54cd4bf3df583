//! Rate limits.
//!
//! Counters are rows, so they survive a restart and are shared by all nodes. Each attempt is counted before it is processed, in one
//! statement, so parallel attempts get no more than sequential ones. After a burst each attempt is followed by a wait, twice as long as the
//! one before. An attempt during a wait is rejected without being counted, so an attacker cannot prolong the wait of somebody else.
//!
//! To limit something: define a [`Limit`], build a [`Counter`] from it and what is counted together, and call [`count`].

mod store;

use std::net::IpAddr;
use std::sync::LazyLock;
use std::time::Duration;

use prometheus::IntCounterVec;
use sha2::{Digest, Sha256};

use crate::clock::Clock;
use crate::database::Database;
use crate::hex;
use crate::metrics::counters;
use crate::web::Error;

pub use store::{count_in, count_single, delete_expired, refund, reset, reset_group};

static REJECTIONS: LazyLock<IntCounterVec> = LazyLock::new(|| {
    counters("rate_limit_rejections_total", "Attempts rejected, by the rate limits that required a wait.", &["limit"])
});

/// Registers the metrics, at 0 for each of the limits.
pub fn register_metrics(limits: impl IntoIterator<Item = Limit>) {
    limits.into_iter().for_each(|limit| drop(REJECTIONS.with_label_values(&[limit.name])));
}

#[derive(Clone, Copy, Debug)]
pub struct Limit {
    /// A part of the key in the database, and the label in metrics.
    pub name: &'static str,
    /// Attempts without a wait.
    pub burst: i64,
    /// The wait after the last attempt of the burst; doubled after each further one.
    pub first_wait: Duration,
    pub max_wait: Duration,
    /// The count starts again after this time without an attempt.
    pub resets_after: Duration,
    /// Whether all attempts concern one account. Then a correct password resets the counter; otherwise it refunds one attempt.
    pub per_account: bool,
}

/// A limit and a hash of what is counted together.
#[derive(Clone, Debug)]
pub struct Counter {
    limit: Limit,
    key: String,
    /// Counters of a group can be reset together.
    group: Option<String>,
}

impl Counter {
    pub fn new(limit: Limit, subject: &[&str]) -> Self {
        Self { limit, key: format!("{}:{}", limit.name, digest(subject)), group: None }
    }

    pub fn in_group(self, group: String) -> Self {
        Self { group: Some(group), ..self }
    }
}

/// A hash, so that the table of counters contains no addresses. Each part ends with a NUL, so that parts cannot run together.
pub fn digest(parts: &[&str]) -> String {
    let mut hash = Sha256::new();
    for part in parts {
        hash.update(part.as_bytes());
        hash.update([0]);
    }
    hex::encode(&hash.finalize()[..16])
}

/// The counters of a client's network: `limit` for an IPv4 address or an IPv6 /64, `wide_limit` for an IPv6 /48.
pub fn network_counters(limit: Limit, wide_limit: Limit, address: IpAddr) -> Vec<Counter> {
    let mut counters = vec![Counter::new(limit, &[&network(address)])];
    if address.is_ipv6() {
        counters.push(Counter::new(wide_limit, &[&wide_network(address)]));
    }
    counters
}

/// An IPv4 address, or an IPv6 /64, which usually belongs to one customer.
pub fn network(address: IpAddr) -> String {
    match address {
        IpAddr::V4(address) => address.to_string(),
        IpAddr::V6(address) => {
            let [a, b, c, d, ..] = address.segments();
            format!("{a:x}:{b:x}:{c:x}:{d:x}::/64")
        }
    }
}

/// An IPv4 address, or an IPv6 /48, which some customers have.
pub fn wide_network(address: IpAddr) -> String {
    match address {
        IpAddr::V4(address) => address.to_string(),
        IpAddr::V6(address) => {
            let [a, b, c, ..] = address.segments();
            format!("{a:x}:{b:x}:{c:x}::/48")
        }
    }
}

/// Counts one attempt on each counter, or on none if one of them requires a wait.
///
/// # Errors
/// [`Error::RateLimited`] with the time until the next attempt, or the database's.
pub async fn count(database: &Database, clock: &Clock, counters: &[Counter]) -> Result<(), Error> {
    let now = clock.now();
    if !count_in(database.writer(), database.engine(), counters, now).await? {
        return Err(rejected(database, clock, counters).await?);
    }
    Ok(())
}

/// The error for an attempt that was not counted.
pub async fn rejected(database: &Database, clock: &Clock, counters: &[Counter]) -> Result<Error, Error> {
    let now = clock.now();
    let waits = store::current_waits(database, counters, now).await?;
    let retry_after = waits.iter().map(|(_, until)| until.since(now)).max().unwrap_or(1).max(1);
    waits.iter().for_each(|(limit, _)| count_rejection(*limit));
    let limits: Vec<&str> = waits.iter().map(|(limit, _)| limit.name).collect();
    tracing::info!(limits = limits.join(" "), seconds = retry_after, "rate limited");
    Ok(Error::RateLimited { retry_after })
}

fn count_rejection(limit: Limit) {
    REJECTIONS.with_label_values(&[limit.name]).inc();
}

#[cfg(test)]
mod tests {
    use super::*;

    const LIMIT: Limit = Limit {
        name: "test",
        burst: 1,
        first_wait: Duration::from_secs(1),
        max_wait: Duration::from_secs(1),
        resets_after: Duration::from_secs(1),
        per_account: false,
    };

    #[test]
    fn counter_key_is_a_hash_with_separated_parts() {
        let key = |subject: &[&str]| Counter::new(LIMIT, subject).key;
        assert!(!key(&["ann@example.com"]).contains("ann"));
        assert_ne!(key(&["a", "bc"]), key(&["ab", "c"]));
    }
}
