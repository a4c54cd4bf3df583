//! Definitions of metrics for Prometheus.
//!
//! Each feature defines its metrics as statics beside its code and registers them in a function `register_metrics`, which the server calls at its
//! start: a metric exists before anything happens. Labels have a fixed set of values, which never name a customer.

use prometheus::core::Collector;
use prometheus::{Histogram, HistogramOpts, HistogramVec, IntCounter, IntCounterVec, IntGauge, IntGaugeVec, Opts};

/// Upper bounds of the buckets of durations, in seconds.
const DURATIONS: [f64; 11] = [0.0001, 0.0003, 0.001, 0.003, 0.01, 0.03, 0.1, 0.3, 1.0, 3.0, 10.0];

/// A counter; its name ends in `_total`.
pub fn counter(name: &str, help: &str) -> IntCounter {
    register(IntCounter::new(name, help))
}

pub fn counters(name: &str, help: &str, labels: &[&str]) -> IntCounterVec {
    register(IntCounterVec::new(Opts::new(name, help), labels))
}

pub fn gauge(name: &str, help: &str) -> IntGauge {
    register(IntGauge::new(name, help))
}

pub fn gauges(name: &str, help: &str, labels: &[&str]) -> IntGaugeVec {
    register(IntGaugeVec::new(Opts::new(name, help), labels))
}

/// A histogram of durations; its name ends in `_seconds`.
pub fn histogram(name: &str, help: &str) -> Histogram {
    register(Histogram::with_opts(durations(name, help)))
}

pub fn histograms(name: &str, help: &str, labels: &[&str]) -> HistogramVec {
    register(HistogramVec::new(durations(name, help), labels))
}

fn durations(name: &str, help: &str) -> HistogramOpts {
    HistogramOpts::new(name, help).buckets(DURATIONS.to_vec())
}

/// Panics if the definition is invalid or its name is taken. All definitions are registered at the start of the server.
#[expect(clippy::expect_used, reason = "definitions are constant, so every start of the server tests them")]
fn register<M: Collector + Clone + 'static>(defined: prometheus::Result<M>) -> M {
    let metric = defined.expect("the metric's definition is valid");
    prometheus::register(Box::new(metric.clone())).expect("the metric's name is unique");
    metric
}
