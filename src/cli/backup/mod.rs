//! `order-portal backup`: one file, or one after another in a directory.

mod files;
mod interval;
mod metrics;
mod schedule;

use std::num::NonZeroUsize;
use std::path::PathBuf;

use clap::Args;

use super::{Failure, failed, open, print};
use crate::clock::Clock;
use crate::config::Config;
use interval::Interval;
use schedule::Schedule;

#[derive(Args)]
pub(super) struct BackupArguments {
    /// The file to write, which must not exist; with --every, the directory
    #[arg(value_name = "FILE")]
    path: PathBuf,
    /// Write a backup at this interval until stopped: 30m, 6h or 1d
    #[arg(long, value_name = "INTERVAL", value_parser = Interval::parse)]
    every: Option<Interval>,
    /// Keep this many of the newest backups
    #[arg(long, value_name = "COUNT", default_value = "28", requires = "every")]
    keep: NonZeroUsize,
}

pub(super) async fn run(config: &Config, clock: &Clock, arguments: BackupArguments) -> Result<(), Failure> {
    let BackupArguments { path, every, keep } = arguments;
    if let Some(interval) = every {
        return Schedule { config, clock, directory: path, interval, keep }.run().await;
    }
    let database = open(config).await?;
    let done = database.backup(&path).await.map_err(failed);
    database.close().await;
    done?;
    print(format!("wrote {}", path.display()));
    Ok(())
}
