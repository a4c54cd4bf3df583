//! `order-portal copy`: copies a database, shows progress and prints what was compared.

use std::io::IsTerminal;

use clap::Args;
use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};

use super::{Failure, failed, print, warn};
use crate::database::DatabaseUrl;
use crate::database::copy::{self, Copied, CopyProgress, CopyStage};
use crate::domain::format_count;
use crate::server;

#[derive(Args)]
pub(super) struct CopyArguments {
    /// The database to read
    from_url: String,
    /// The database to write: absent or empty
    to_url: String,
}

pub(super) async fn run(arguments: &CopyArguments) -> Result<(), Failure> {
    let from = parse("FROM_URL", &arguments.from_url)?;
    let to = parse("TO_URL", &arguments.to_url)?;
    let bar = progress_bar();
    let copied = copy::copy(&from, &to, server::signal(), |progress| show(&bar, progress)).await;
    bar.finish_and_clear();
    report(&copied.map_err(failed)?, &to);
    Ok(())
}

/// The error does not repeat the URL, which may hold a password.
fn parse(name: &str, text: &str) -> Result<DatabaseUrl, Failure> {
    DatabaseUrl::parse(text).map_err(|takes| Failure::Usage(format!("{name} must be {takes}")))
}

fn report(copied: &Copied, to: &DatabaseUrl) {
    for (table, checksum) in &copied.tables {
        print(format!("{table:20} {:>12} rows  checksum {:032x}", count(checksum.rows), checksum.sum));
    }
    let rows = copied.tables.iter().map(|(_, checksum)| checksum.rows).sum();
    print(format!("copied {} tables with {} rows to {to}", copied.tables.len(), count(rows)));
    print("the number of rows and the checksum of each table are equal in the source and the target");
    if !copied.left_out.is_empty() {
        warn(&format!("not copied, because they are not order-portal's: {}", copied.left_out.join(", ")));
    }
}

fn count(number: u64) -> String {
    format_count(i64::try_from(number).unwrap_or(i64::MAX))
}

fn progress_bar() -> ProgressBar {
    if !std::io::stderr().is_terminal() {
        return ProgressBar::hidden();
    }
    let style = ProgressStyle::with_template("{msg:30} {bar:40} {human_pos}/{human_len} rows, {eta}")
        .unwrap_or_else(|_| ProgressStyle::default_bar());
    ProgressBar::with_draw_target(None, ProgressDrawTarget::stderr()).with_style(style)
}

fn show(bar: &ProgressBar, progress: CopyProgress<'_>) {
    bar.set_message(match progress.stage {
        CopyStage::Copying => format!("Copying {}", progress.table),
        CopyStage::Indexing => "Building indexes".to_owned(),
        CopyStage::Checking => format!("Checking {}", progress.table),
    });
    bar.set_length(progress.total);
    bar.set_position(progress.done);
}
