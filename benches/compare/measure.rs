//! Runs the cases on one server.

use std::collections::BTreeMap;
use std::time::Duration;

use serde::Serialize;

use crate::cases::{Case, STORM_CONNECTIONS};
use crate::load::{Load, Outcome};
use crate::options::{Name, Options};
use crate::processes;
use crate::server::{Cache, Server};
use crate::site::Site;

/// The part of a measurement's time that comes before it as a warm-up.
const WARM_UP: f64 = 0.2;
/// How long a started server is left alone before its memory counts as idle.
const SETTLE: Duration = Duration::from_secs(2);

pub struct Results {
    pub seconds: f64,
    pub rounds: u32,
    /// Hashes per second on all cores.
    pub raw_argon2: Vec<f64>,
    pub samples: BTreeMap<(Case, Name), Vec<Sample>>,
    pub memory: BTreeMap<Name, Vec<Memory>>,
}

#[derive(Clone, Serialize)]
pub struct Sample {
    pub requests_per_second: f64,
    pub p50_ms: f64,
    pub p99_ms: f64,
    /// Processor time of the server's processes.
    pub cpu_us_per_request: f64,
    pub memory_mib: f64,
    pub bytes_per_answer: f64,
    pub failures: u64,
    /// Cores that the load generator used.
    pub generator_cores: f64,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub logins: Option<Logins>,
}

/// Beside the measured requests.
#[derive(Clone, Serialize)]
pub struct Logins {
    pub per_second: f64,
    pub failures: u64,
}

#[derive(Clone, Serialize)]
pub struct Memory {
    pub idle_mib: f64,
    /// After all cases with the default cache.
    pub loaded_mib: f64,
}

impl Results {
    pub fn new(options: &Options) -> Self {
        Self {
            seconds: options.seconds,
            rounds: options.rounds,
            raw_argon2: Vec::new(),
            samples: BTreeMap::new(),
            memory: BTreeMap::new(),
        }
    }
}

pub async fn measure(site: &Site, options: &Options, results: &mut Results) {
    let name = site.executable.name;
    let seconds = Duration::from_secs_f64(options.seconds);
    let cases: Vec<Case> = options.cases().into_iter().filter(|case| case.applies_to(name)).collect();
    for cache in [Cache::Small, Cache::Default] {
        let cases: Vec<Case> = cases.iter().copied().filter(|case| case.cache() == cache).collect();
        if cases.is_empty() {
            continue;
        }
        let server = site.start(cache).await;
        tokio::time::sleep(SETTLE).await;
        let idle_mib = processes::memory(&server.processes());
        for case in cases {
            let sample = run(case, site, &server, seconds).await;
            results.samples.entry((case, name)).or_default().push(sample);
        }
        if cache == Cache::Default {
            let loaded_mib = processes::memory(&server.processes());
            results.memory.entry(name).or_default().push(Memory { idle_mib, loaded_mib });
        }
        server.stop().await;
    }
}

async fn run(case: Case, site: &Site, server: &Server, seconds: Duration) -> Sample {
    let load = case.load(site, server.address);
    let mut storm = None;
    let outcome = if case == Case::Storm {
        let logins = Load { connections: STORM_CONNECTIONS, ..Case::Login.load(site, server.address) };
        // The storm is on before the list is measured and until its end.
        let list = async {
            tokio::time::sleep(seconds.mul_f64(WARM_UP)).await;
            timed(&load, server, seconds).await
        };
        let (logins, list) = tokio::join!(logins.run(seconds.mul_f64(1.0 + WARM_UP)), list);
        let per_second = logins.latencies.len() as f64 / logins.elapsed.as_secs_f64();
        storm = Some(Logins { per_second, failures: logins.failures });
        list
    } else {
        load.run(seconds.mul_f64(WARM_UP)).await;
        timed(&load, server, seconds).await
    };
    let (outcome, cpu) = outcome;
    let requests = outcome.latencies.len() as f64;
    Sample {
        requests_per_second: requests / outcome.elapsed.as_secs_f64(),
        p50_ms: f64::from(outcome.percentile(50)) / 1_000.0,
        p99_ms: f64::from(outcome.percentile(99)) / 1_000.0,
        cpu_us_per_request: cpu.as_secs_f64() * 1e6 / requests.max(1.0),
        memory_mib: processes::memory(&server.processes()),
        bytes_per_answer: outcome.bytes as f64 / requests.max(1.0),
        failures: outcome.failures,
        generator_cores: outcome.generator_cpu.as_secs_f64() / outcome.elapsed.as_secs_f64(),
        logins: storm,
    }
}

async fn timed(load: &Load, server: &Server, seconds: Duration) -> (Outcome, Duration) {
    let processes = server.processes();
    let before = processes::cpu(&processes);
    let outcome = load.run(seconds).await;
    (outcome, processes::cpu(&processes).saturating_sub(before))
}
