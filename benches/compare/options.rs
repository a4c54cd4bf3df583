//! The command line.

use std::path::PathBuf;

use clap::{Parser, ValueEnum};

use crate::cases::Case;

/// Measure order-portal beside other servers on the same data
#[derive(Parser)]
#[command(name = "cargo bench --bench compare --")]
pub struct Options {
    /// Seconds of each measurement
    #[arg(long, default_value_t = 3.0)]
    pub seconds: f64,
    /// Rounds over all servers
    #[arg(long, default_value_t = 3, value_parser = clap::value_parser!(u32).range(1..))]
    pub rounds: u32,
    /// Cases, separated by commas [default: all]
    #[arg(long, value_delimiter = ',', value_enum)]
    cases: Vec<Case>,
    /// Servers, separated by commas [default: all]
    #[arg(long, value_delimiter = ',', value_enum)]
    servers: Vec<Name>,
    /// Measure this build of order-portal, too
    #[arg(long, value_name = "PATH")]
    pub baseline: Option<PathBuf>,
    /// Where to write the results as JSON [default: target/tmp/compare/compare.json]
    #[arg(long, value_name = "PATH")]
    pub json: Option<PathBuf>,
    /// Where to write the chart [default: target/tmp/compare/compare.svg]
    #[arg(long, value_name = "PATH")]
    pub chart: Option<PathBuf>,
}

impl Options {
    pub fn cases(&self) -> Vec<Case> {
        if self.cases.is_empty() { Case::value_variants().to_vec() } else { self.cases.clone() }
    }

    /// The servers to measure. The baseline is one of them only if there is a build of it.
    pub fn servers(&self) -> Vec<Name> {
        let chosen = if self.servers.is_empty() { Name::value_variants() } else { &self.servers };
        chosen.iter().copied().filter(|name| *name != Name::Baseline || self.baseline.is_some()).collect()
    }
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, ValueEnum)]
pub enum Name {
    OrderPortal,
    Baseline,
    #[value(name = "express-1")]
    Express1,
    #[value(name = "express-2")]
    Express2,
    Axum,
    Bare,
}

impl Name {
    pub fn label(self) -> String {
        self.to_possible_value().unwrap().get_name().to_owned()
    }

    /// Whether it is a build of order-portal.
    pub fn is_program(self) -> bool {
        matches!(self, Self::OrderPortal | Self::Baseline)
    }
}
