//! How many connections are open, in all and for each client network.
//!
//! A connection takes a file descriptor, and so does the static file that it is sent from disk. Without a limit one client takes them
//! all, and then no other client is accepted. No client network gets more than a share, so that there are descriptors left for others.

use std::collections::HashMap;
use std::net::{IpAddr, Ipv6Addr};
use std::sync::{Arc, LazyLock, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use ipnet::IpNet;
use prometheus::{IntCounter, IntGauge};

use crate::metrics::{counter, gauge};

/// Descriptors for everything else: the database's files, the log, mail, metrics, and what each worker waits on.
const RESERVED: u64 = 128;
const RESERVED_PER_WORKER: u64 = 8;
/// More connections would take more memory than a small machine has: a silent one takes 10 KB, one whose client does not read 120 KB.
const MOST: u64 = 16_384;
const MOST_PER_NETWORK: u64 = 2_048;
/// Fewer serve nobody.
const FEWEST: u64 = 32;
/// How often refused connections are logged.
const LOGGED_EVERY: Duration = Duration::from_secs(60);

static OPEN: LazyLock<IntGauge> = LazyLock::new(|| gauge("http_connections_open", "Open connections."));
static LIMIT: LazyLock<IntGauge> = LazyLock::new(|| gauge("http_connections_limit", "Connections that may be open."));
static REFUSED: LazyLock<IntCounter> = LazyLock::new(|| {
    counter("http_connections_refused_total", "Connections that were closed because too many were open.")
});

/// The numbers of connections that may be open.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Limits {
    pub total: usize,
    pub per_network: usize,
}

impl Limits {
    /// What `descriptors` are enough for.
    pub fn for_descriptors(descriptors: u64, workers: usize) -> Self {
        let reserved = RESERVED + RESERVED_PER_WORKER * workers as u64;
        let total = (descriptors.saturating_sub(reserved) / 2).clamp(FEWEST, MOST);
        let per_network = (total / 4).min(MOST_PER_NETWORK);
        Self { total: to_usize(total), per_network: to_usize(per_network) }
    }
}

fn to_usize(number: u64) -> usize {
    usize::try_from(number).unwrap_or(usize::MAX)
}

/// Raises the soft limit on file descriptors to the hard one, and answers the limit that holds then.
#[cfg(unix)]
pub fn raise_descriptor_limit() -> u64 {
    use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};
    let Rlimit { current, maximum } = getrlimit(Resource::Nofile);
    match setrlimit(Resource::Nofile, Rlimit { current: maximum, maximum }) {
        Ok(()) => maximum.unwrap_or(u64::MAX),
        Err(error) => {
            tracing::warn!(%error, "limit on file descriptors not raised");
            current.unwrap_or(u64::MAX)
        }
    }
}

/// Other systems have no such limit.
#[cfg(not(unix))]
pub fn raise_descriptor_limit() -> u64 {
    u64::MAX
}

/// Counts open connections, for all workers.
#[derive(Debug)]
pub struct Connections {
    limits: Limits,
    trusted_proxies: Vec<IpNet>,
    open: Mutex<Open>,
}

#[derive(Debug, Default)]
struct Open {
    total: usize,
    by_network: HashMap<IpAddr, usize>,
    logged_at: Option<Instant>,
}

impl Connections {
    pub fn new(limits: Limits, trusted_proxies: Vec<IpNet>) -> Self {
        LIMIT.set(i64::try_from(limits.total).unwrap_or(i64::MAX));
        OPEN.set(0);
        LazyLock::force(&REFUSED);
        Self { limits, trusted_proxies, open: Mutex::default() }
    }

    /// A permit for a connection from `address`, unless too many are open. A trusted proxy has no share: its connections are those of many
    /// clients.
    pub fn admit(self: &Arc<Self>, address: IpAddr) -> Option<Permit> {
        let is_proxy = self.trusted_proxies.iter().any(|proxies| proxies.contains(&address));
        let network = (!is_proxy).then(|| network(address));
        let mut open = self.lock();
        let of_network = network.map_or(0, |network| open.by_network.get(&network).copied().unwrap_or_default());
        if open.total >= self.limits.total || of_network >= self.limits.per_network {
            REFUSED.inc();
            log_refusal(&mut open, address, of_network);
            return None;
        }
        open.total += 1;
        OPEN.inc();
        if let Some(network) = network {
            open.by_network.insert(network, of_network + 1);
        }
        Some(Permit { connections: Arc::clone(self), network })
    }

    fn release(&self, network: Option<IpAddr>) {
        let mut open = self.lock();
        open.total -= 1;
        OPEN.dec();
        if let Some(network) = network
            && let Some(count) = open.by_network.get_mut(&network)
        {
            *count -= 1;
            if *count == 0 {
                open.by_network.remove(&network);
            }
        }
    }

    fn lock(&self) -> MutexGuard<'_, Open> {
        self.open.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// An IPv4 address, or the IPv6 /64 that one customer has whole.
fn network(address: IpAddr) -> IpAddr {
    match address {
        IpAddr::V4(_) => address,
        IpAddr::V6(address) => Ipv6Addr::from_bits(address.to_bits() >> 64 << 64).into(),
    }
}

fn log_refusal(open: &mut Open, address: IpAddr, of_network: usize) {
    if open.logged_at.is_none_or(|logged_at| logged_at.elapsed() >= LOGGED_EVERY) {
        open.logged_at = Some(Instant::now());
        tracing::warn!(%address, open = open.total, of_network, "connection refused: too many are open");
    }
}

/// The right to one connection, given back when this is dropped.
#[derive(Debug)]
pub struct Permit {
    connections: Arc<Connections>,
    network: Option<IpAddr>,
}

impl Drop for Permit {
    fn drop(&mut self) {
        self.connections.release(self.network);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn connections(total: usize, per_network: usize) -> Arc<Connections> {
        let proxies = vec!["10.0.0.0/8".parse().unwrap()];
        Arc::new(Connections::new(Limits { total, per_network }, proxies))
    }

    fn admit(connections: &Arc<Connections>, address: &str) -> Option<Permit> {
        connections.admit(address.parse().unwrap())
    }

    #[test]
    fn network_gets_its_share_and_no_more() {
        let connections = connections(10, 2);
        let first = admit(&connections, "192.0.2.1");
        let second = admit(&connections, "192.0.2.1");
        assert!(first.is_some() && second.is_some());
        assert!(admit(&connections, "192.0.2.1").is_none());
        assert!(admit(&connections, "192.0.2.2").is_some());
        drop(first);
        assert!(admit(&connections, "192.0.2.1").is_some());
    }

    #[test]
    fn ipv6_is_counted_by_64() {
        let connections = connections(10, 1);
        let _first = admit(&connections, "2001:db8:0:1::1");
        assert!(admit(&connections, "2001:db8:0:1:ffff::2").is_none());
        assert!(admit(&connections, "2001:db8:0:2::1").is_some());
    }

    #[test]
    fn trusted_proxy_has_no_share_but_counts_in_all() {
        let connections = connections(3, 1);
        let permits: Vec<_> = (0..3).map(|_| admit(&connections, "10.0.0.1")).collect();
        assert!(permits.iter().all(Option::is_some));
        assert!(admit(&connections, "192.0.2.1").is_none() && admit(&connections, "10.0.0.1").is_none());
    }

    #[test]
    fn released_networks_leave_nothing_behind() {
        let connections = connections(10, 2);
        for host in 0..200u8 {
            drop(connections.admit(IpAddr::from([192, 0, 2, host])));
        }
        let open = connections.lock();
        assert_eq!((open.total, open.by_network.len()), (0, 0));
    }

    #[test]
    fn limits_leave_descriptors_for_the_rest() {
        for descriptors in [1_024, 4_096, 20_000, 524_288, u64::MAX] {
            let limits = Limits::for_descriptors(descriptors, 4);
            assert!(2 * limits.total as u64 + RESERVED <= descriptors, "{descriptors}: {limits:?}");
            assert!(4 * limits.per_network <= limits.total, "{descriptors}: {limits:?}");
        }
        assert_eq!(Limits::for_descriptors(1_024, 2), Limits { total: 440, per_network: 110 });
        assert_eq!(Limits::for_descriptors(524_288, 2), Limits { total: 16_384, per_network: 2_048 });
        assert_eq!(Limits::for_descriptors(64, 2), Limits { total: 32, per_network: 8 });
    }
}
