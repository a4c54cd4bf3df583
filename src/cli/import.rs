//! `order-portal import`: imports exports of a shop, shows a progress bar and reports what was found.

use std::io::{IsTerminal, Write};
use std::path::{Path, PathBuf};

use clap::Args;
use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};

use super::{Failure, failed, open, print};
use crate::clock::Clock;
use crate::config::Config;
use crate::domain::format_count;
use crate::orders::{
    self, ColumnMapping, Event, FindingList, Findings, ImportMode, ImportOptions, ImportReport, ImportSource, Progress,
    ShopName, Stage,
};

#[derive(Args)]
pub(super) struct ImportArguments {
    /// The CSV files, or - for standard input
    #[arg(required = true, value_name = "FILE")]
    files: Vec<PathBuf>,
    /// Read and compare everything, write nothing, and list what each changed order would lose or gain
    #[arg(long)]
    dry_run: bool,
    /// Load the valid orders of a file with invalid rows
    #[arg(long)]
    skip_invalid: bool,
    /// The name of the shop, when customers have orders of several: order numbers of different shops are different orders
    #[arg(long, value_name = "NAME", value_parser = parse_shop)]
    shop: Option<ShopName>,
    /// Read our column from another one of the file, such as "Created at=Order date"; repeatable. Currency=EUR is the currency of orders without one
    #[arg(long = "column", value_name = "OURS=THEIRS", value_parser = ColumnMapping::parse)]
    columns: Vec<ColumnMapping>,
    /// Print the report as JSON
    #[arg(long)]
    json: bool,
}

fn parse_shop(text: &str) -> Result<ShopName, String> {
    ShopName::parse(text).ok_or_else(|| "use 1 to 100 printable characters".to_owned())
}

pub(super) async fn run(config: &Config, clock: &Clock, arguments: ImportArguments) -> Result<(), Failure> {
    let sources: Vec<ImportSource> = arguments.files.into_iter().map(source).collect();
    if sources.iter().filter(|source| **source == ImportSource::Stdin).count() > 1 {
        return Err(Failure::Usage("- (standard input) can be given once".to_owned()));
    }
    if let Some(column) = ColumnMapping::repeated(&arguments.columns) {
        return Err(Failure::Usage(format!("--column {column}=… is given twice; name one column of the file")));
    }
    let options = ImportOptions {
        mode: if arguments.dry_run { ImportMode::DryRun } else { ImportMode::Load },
        skip_invalid: arguments.skip_invalid,
        shop: arguments.shop.unwrap_or_default(),
        columns: arguments.columns,
        zone: config.shop_time_zone.clone(),
        order_mails: config.shop.order_mails,
    };
    let database = open(config).await?;
    let bar = progress_bar();
    let mut found = Findings::default();
    let imported = orders::import(&database, clock, &sources, &options, &mut |event| match event {
        Event::Progress(progress) => show(&bar, progress),
        Event::Validated(findings) => {
            bar.suspend(|| report_findings(findings, options.skip_invalid));
            found = findings.clone();
        }
    })
    .await;
    bar.finish_and_clear();
    database.close().await;
    let report = match (imported, arguments.json) {
        (Ok(report), false) => {
            print_report(&report, &found, options.mode);
            return Ok(());
        }
        (Ok(report), true) => {
            serde_json::json!({ "done": true, "report": json(&report, options.mode), "findings": found })
        }
        (Err(error), false) => return Err(failed(error)),
        (Err(error), true) => {
            print(serde_json::json!({ "done": false, "error": error.to_string(), "findings": found }));
            return Err(failed(error));
        }
    };
    print(report);
    Ok(())
}

fn source(file: PathBuf) -> ImportSource {
    if file == Path::new("-") { ImportSource::Stdin } else { ImportSource::File(file) }
}

/// What the first pass found goes to standard error, one line each.
fn report_findings(findings: &Findings, skips_invalid: bool) {
    let warn = |line: String| {
        writeln!(std::io::stderr(), "{line}").ok();
    };
    findings.assumptions.iter().for_each(|line| warn(line.clone()));
    list(&findings.doubled, "", "more rows are in the files twice", warn);
    let loads = skips_invalid || findings.invalid_orders == 0;
    let suffix = |text| if loads { text } else { "" };
    list(&findings.emails, suffix("; the order is loaded without an owner"), "more email addresses are invalid", warn);
    list(&findings.damaged, suffix("; the order is loaded without the value"), "more values are damaged", warn);
    if findings.rounded_amounts > 0 {
        let amounts = if findings.rounded_amounts == 1 { "amount was" } else { "amounts were" };
        warn(format!("{} {amounts} finer than the currency and rounded", count(findings.rounded_amounts)));
    }
    let skipped = if skips_invalid { "; the order is skipped" } else { "" };
    list(&findings.invalid, skipped, "more cells or rows are invalid", warn);
}

fn list(findings: &FindingList, suffix: &str, more: &str, warn: impl Fn(String)) {
    findings.listed.iter().for_each(|finding| warn(format!("{finding}{suffix}")));
    let others = findings.count - findings.listed.len() as u64;
    if others > 0 {
        warn(format!("{} {more}", count(others)));
    }
}

fn print_report(report: &ImportReport, findings: &Findings, mode: ImportMode) {
    let summary = report.summary;
    let is_dry_run = mode == ImportMode::DryRun;
    print(format!(
        "{} orders with {} lines: {} new, {} changed, {} unchanged{}",
        count(summary.orders),
        count(summary.lines),
        count(summary.new),
        count(summary.changed),
        count(summary.unchanged),
        if is_dry_run { "; nothing was written" } else { "" }
    ));
    for change in &report.changes.listed {
        print(format!("{}: {}", change.name, change.differences.join("; ")));
    }
    let others = report.changes.count - report.changes.listed.len() as u64;
    if others > 0 {
        print(format!("{} more orders would change", count(others)));
    }
    for file in &report.files {
        print(format!("file: {} (SHA-256 {})", file.name, file.sha256));
    }
    print(format!(
        "skipped: {}; without owner: {}; invalid email addresses: {}; time: {:.1} s",
        count(summary.skipped),
        count(summary.ownerless),
        count(findings.emails.count),
        report.duration.as_secs_f64()
    ));
    if summary.orders == 0 {
        writeln!(std::io::stderr(), "order-portal: warning: the files have no orders").ok();
    }
}

fn json(report: &ImportReport, mode: ImportMode) -> serde_json::Value {
    serde_json::json!({
        "dry_run": mode == ImportMode::DryRun,
        "summary": report.summary,
        "files": report.files,
        "seconds": report.duration.as_secs_f64(),
        "changes": report.changes.listed,
        "changes_listed": report.changes.listed.len(),
        "changes_count": report.changes.count,
    })
}

fn count(number: u64) -> String {
    format_count(i64::try_from(number).unwrap_or(i64::MAX))
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
