//! `order-portal import`: imports a shop's export and shows a progress bar.

use std::io::IsTerminal;
use std::path::{Path, PathBuf};

use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};

use super::{Failure, failed, open, print};
use crate::clock::Clock;
use crate::config::Config;
use crate::domain::format_count;
use crate::orders::{self, ImportMode, ImportSource, Progress, Stage};

pub(super) async fn run(config: &Config, clock: &Clock, file: PathBuf, mode: ImportMode) -> Result<(), Failure> {
    let source = if file == Path::new("-") { ImportSource::Stdin } else { ImportSource::File(file) };
    let database = open(config).await?;
    let bar = progress_bar();
    let imported = orders::import(&database, clock, source, mode, &mut |progress| {
        show(&bar, progress);
    })
    .await;
    bar.finish_and_clear();
    database.close().await;
    let summary = imported.map_err(failed)?;
    let number = |number: u64| format_count(i64::try_from(number).unwrap_or(i64::MAX));
    print(format!(
        "{} orders with {} lines: {} new, {} changed, {} unchanged{}",
        number(summary.orders),
        number(summary.lines),
        number(summary.new),
        number(summary.changed),
        number(summary.unchanged),
        if mode == ImportMode::DryRun { "; nothing was written" } else { "" }
    ));
    Ok(())
}

fn progress_bar() -> ProgressBar {
    if !std::io::stderr().is_terminal() {
        return ProgressBar::hidden();
    }
    let style = ProgressStyle::with_template("{msg:9} {bar:40} {bytes}/{total_bytes}")
        .unwrap_or_else(|_| ProgressStyle::default_bar());
    ProgressBar::with_draw_target(None, ProgressDrawTarget::stderr()).with_style(style)
}

fn show(bar: &ProgressBar, progress: Progress) {
    bar.set_message(match progress.stage {
        Stage::Checking => "Checking",
        Stage::Loading => "Loading",
    });
    if let Some(total) = progress.bytes_total {
        bar.set_length(total);
    }
    bar.set_position(progress.bytes_read);
}
