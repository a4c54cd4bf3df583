//! The results as a table and as JSON.

use std::fmt::Write;

use serde_json::{Value, json};

use crate::cases::Case;
use crate::measure::{Memory, Results, Sample};
use crate::options::Name;

pub fn median(values: impl Iterator<Item = f64>) -> f64 {
    let mut values: Vec<f64> = values.collect();
    values.sort_by(f64::total_cmp);
    let middle = values.len() / 2;
    match values.len() {
        0 => 0.0,
        length if length % 2 == 0 => f64::midpoint(values[middle - 1], values[middle]),
        _ => values[middle],
    }
}

impl Results {
    pub fn cases(&self) -> Vec<Case> {
        let mut cases: Vec<Case> = self.samples.keys().map(|(case, _)| *case).collect();
        cases.dedup();
        cases
    }

    pub fn samples_of(&self, case: Case) -> impl Iterator<Item = (Name, &Vec<Sample>)> {
        self.samples.iter().filter(move |((other, _), _)| *other == case).map(|((_, name), samples)| (*name, samples))
    }

    /// The median of a value over the rounds; `None` for what was not measured.
    pub fn value(&self, case: Case, name: Name, value: fn(&Sample) -> f64) -> Option<f64> {
        let samples = self.samples.get(&(case, name))?;
        Some(median(samples.iter().map(value)))
    }

    fn quotient(
        &self,
        value: fn(&Sample) -> f64,
        (case, name): (Case, Name),
        (by_case, by_name): (Case, Name),
    ) -> Option<f64> {
        let divisor = self.value(by_case, by_name, value).filter(|divisor| *divisor > 0.0)?;
        Some(self.value(case, name, value)? / divisor)
    }
}

pub fn requests_per_second(sample: &Sample) -> f64 {
    sample.requests_per_second
}

pub fn p50(sample: &Sample) -> f64 {
    sample.p50_ms
}

pub fn p99(sample: &Sample) -> f64 {
    sample.p99_ms
}

pub fn cpu(sample: &Sample) -> f64 {
    sample.cpu_us_per_request
}

pub fn table(results: &Results) -> String {
    let mut table = String::new();
    for case in results.cases() {
        case_table(&mut table, results, case);
    }
    memory_table(&mut table, results);
    program_table(&mut table, results);
    let Results { seconds, rounds, .. } = results;
    writeln!(
        table,
        "\nMedians of {rounds} rounds of {seconds} s. ratio: requests per second of order-portal divided by the server's.\n\
         CPU: processor time of the server per request. gen: cores that the load generator used; near 1.00 it is the limit.\n\
         failed: answers with another status and lost connections, of all rounds."
    )
    .unwrap();
    table
}

fn case_table(table: &mut String, results: &Results, case: Case) {
    writeln!(
        table,
        "\n{:46} {:>9} {:>6} {:>8} {:>8} {:>8} {:>7} {:>7} {:>5} {:>6}",
        case.title(),
        "req/s",
        "ratio",
        "p50 ms",
        "p99 ms",
        "CPU µs",
        "MiB",
        "bytes",
        "gen",
        "failed"
    )
    .unwrap();
    for (name, samples) in results.samples_of(case) {
        let value = |value: fn(&Sample) -> f64| median(samples.iter().map(value));
        let ratio = results.quotient(requests_per_second, (case, Name::OrderPortal), (case, name));
        let failures: u64 = samples.iter().map(|sample| sample.failures).sum();
        // In a storm the server's time goes into the logins.
        let cpu = if case == Case::Storm { String::new() } else { format!("{:.0}", value(cpu)) };
        write!(
            table,
            "  {:44} {:>9.0} {} {:>8.2} {:>8.2} {cpu:>8} {:>7.0} {:>7.0} {:>5.2} {failures:>6}",
            name.label(),
            value(requests_per_second),
            number(ratio, 6),
            value(p50),
            value(p99),
            value(|sample| sample.memory_mib),
            value(|sample| sample.bytes_per_answer),
            value(|sample| sample.generator_cores),
        )
        .unwrap();
        let logins: Vec<_> = samples.iter().filter_map(|sample| sample.logins.as_ref()).collect();
        if !logins.is_empty() {
            let failures: u64 = logins.iter().map(|logins| logins.failures).sum();
            let per_second = median(logins.iter().map(|logins| logins.per_second));
            write!(table, "  {per_second:.0} logins/s, {failures} failed").unwrap();
        }
        table.push('\n');
    }
    if matches!(case, Case::Login | Case::Storm) {
        let limit = median(results.raw_argon2.iter().copied());
        writeln!(table, "  {:44} {limit:>9.0}", "Argon2id on all cores, without a server").unwrap();
    }
}

fn memory_table(table: &mut String, results: &Results) {
    if results.memory.is_empty() {
        return;
    }
    writeln!(table, "\n{:46} {:>9} {:>9}", "memory (PSS of all processes), MiB", "idle", "loaded").unwrap();
    for (name, memory) in &results.memory {
        let value = |value: fn(&Memory) -> f64| median(memory.iter().map(value));
        let (idle, loaded) = (value(|memory| memory.idle_mib), value(|memory| memory.loaded_mib));
        writeln!(table, "  {:44} {idle:>9.1} {loaded:>9.1}", name.label()).unwrap();
    }
}

/// The program beside its own `/api/session`, which is a guarded request without orders, and beside its baseline.
fn program_table(table: &mut String, results: &Results) {
    let of = |value: fn(&Sample) -> f64, case, by_case, by_name| {
        results.quotient(value, (case, Name::OrderPortal), (by_case, by_name))
    };
    let rows: Vec<_> = results
        .cases()
        .into_iter()
        .map(|case| {
            // A login costs what its hash costs, and beside other clients a page costs more.
            let is_comparable = !matches!(case, Case::Login | Case::Storm | Case::ListAlone | Case::StaticAlone);
            let session = of(requests_per_second, case, Case::Session, Name::OrderPortal).filter(|_| is_comparable);
            let baseline = [requests_per_second, cpu, p99].map(|value| of(value, case, case, Name::Baseline));
            (case, session, baseline)
        })
        .filter(|(_, session, baseline)| session.is_some() || baseline[0].is_some())
        .collect();
    if rows.is_empty() {
        return;
    }
    writeln!(
        table,
        "\n{:46} {:>13} {:>15} {:>13} {:>13}",
        "order-portal", "req/s/session", "req/s/baseline", "CPU/baseline", "p99/baseline"
    )
    .unwrap();
    for (case, session, [requests, cpu, p99]) in rows {
        let (session, requests) = (number(session, 13), number(requests, 15));
        writeln!(table, "  {:44} {session} {requests} {} {}", case.title(), number(cpu, 13), number(p99, 13)).unwrap();
    }
}

fn number(value: Option<f64>, width: usize) -> String {
    value.map_or_else(|| " ".repeat(width), |value| format!("{value:>width$.2}"))
}

pub fn json(results: &Results) -> String {
    let cases: Vec<Value> = results
        .cases()
        .into_iter()
        .map(|case| {
            let servers: serde_json::Map<String, Value> = results
                .samples_of(case)
                .map(|(name, samples)| {
                    let medians = json!({
                        "requests_per_second": results.value(case, name, requests_per_second),
                        "p50_ms": results.value(case, name, p50),
                        "p99_ms": results.value(case, name, p99),
                        "cpu_us_per_request": results.value(case, name, cpu),
                        "memory_mib": results.value(case, name, |sample| sample.memory_mib),
                    });
                    let ratio = results.quotient(requests_per_second, (case, Name::OrderPortal), (case, name));
                    (name.label(), json!({ "median": medians, "ratio": ratio, "rounds": samples }))
                })
                .collect();
            json!({ "case": case.label(), "title": case.title(), "servers": servers })
        })
        .collect();
    let memory: serde_json::Map<String, Value> =
        results.memory.iter().map(|(name, memory)| (name.label(), json!(memory))).collect();
    let all = json!({
        "seconds": results.seconds,
        "rounds": results.rounds,
        "cores": std::thread::available_parallelism().map_or(1, usize::from),
        "argon2id_hashes_per_second": results.raw_argon2,
        "cases": cases,
        "memory": memory,
    });
    serde_json::to_string_pretty(&all).unwrap() + "\n"
}
