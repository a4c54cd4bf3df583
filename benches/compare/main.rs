//! Measures the program beside other servers, on the same data and the same machine.
//!
//! ```sh
//! cargo bench --bench compare                                        # builds everything; a table, JSON and an SVG chart
//! cargo bench --bench compare -- --seconds 1 --rounds 1              # a quick check
//! cargo bench --bench compare -- --baseline /path/to/order-portal    # an older build beside this one
//! cargo bench --bench compare -- --help
//! ```
//!
//! The others are in `benches/peers`: the tutorial's stack (Express, jsonwebtoken, ejs, better-sqlite3; one and two processes), Rust's usual
//! choice (axum, axum-login, tower-sessions, sqlx, askama), and a bare actix handler that answers the program's bytes from memory. Building
//! them needs npm, a C++ compiler and the package registries.
//!
//! One server runs at a time. The load generator is one thread of this process; servers may use all cores. Rounds go through the servers
//! forwards and backwards in turn, so that a slow drift of the machine concerns all of them. The table shows medians of the rounds.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

mod argon2id;
mod build;
mod cases;
mod chart;
mod data;
mod load;
mod measure;
mod options;
mod processes;
mod report;
mod server;
mod site;

use std::path::Path;

use clap::Parser;

use crate::measure::Results;
use crate::options::Options;
use crate::site::Site;

fn main() {
    let options = Options::parse_from(std::env::args().filter(|argument| argument != "--bench"));
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    runtime.block_on(compare(&options));
}

async fn compare(options: &Options) {
    let work = Path::new(env!("CARGO_TARGET_TMPDIR")).join("compare");
    let executables = build::build(&work, options);
    eprintln!("generating the data");
    let dataset = data::generate(&work).await;
    // The bare handler and the pages' shells need the program's answers.
    let program = Site::prepare(&work, &dataset, executables[0].clone()).await;
    program.save_answers().await;
    let mut sites = vec![program];
    for executable in &executables[1..] {
        sites.push(Site::prepare(&work, &dataset, executable.clone()).await);
    }
    sites.retain(|site| options.servers().contains(&site.executable.name));
    let mut results = Results::new(options);
    results.raw_argon2.push(argon2id::hashes_per_second());
    for round in 0..options.rounds {
        let order: Vec<&Site> = if round % 2 == 0 { sites.iter().collect() } else { sites.iter().rev().collect() };
        for site in order {
            eprintln!("round {} of {}: {}", round + 1, options.rounds, site.executable.name.label());
            measure::measure(site, options, &mut results).await;
        }
    }
    results.raw_argon2.push(argon2id::hashes_per_second());
    print!("{}", report::table(&results));
    std::fs::create_dir_all(&work).unwrap();
    let json = options.json.clone().unwrap_or_else(|| work.join("compare.json"));
    std::fs::write(&json, report::json(&results)).unwrap();
    let svg = options.chart.clone().unwrap_or_else(|| work.join("compare.svg"));
    std::fs::write(&svg, chart::svg(&results)).unwrap();
    println!("\nwritten: {}, {}", json.display(), svg.display());
}
