//! Parses the command line, runs the command, prints an error in one line and sets the exit status.

use std::io::Write;
use std::process::ExitCode;

use clap::Parser;
use clap::error::ErrorKind;
use order_portal::cli::{self, Arguments};
use order_portal::telemetry;

#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

fn main() -> ExitCode {
    let arguments = match Arguments::try_parse() {
        Ok(arguments) => arguments,
        Err(error) => return explain(&error),
    };
    let ended = actix_web::rt::System::new().block_on(cli::run(arguments));
    let is_log_read = telemetry::flush();
    match ended {
        Ok(()) => ExitCode::SUCCESS,
        Err(failure) if !is_log_read => ExitCode::from(failure.exit_status()),
        Err(failure) => {
            for line in failure.message().lines() {
                writeln!(std::io::stderr(), "order-portal: {line}").ok();
            }
            ExitCode::from(failure.exit_status())
        }
    }
}

/// Prints help or the version, or why the arguments are wrong, in one line.
fn explain(error: &clap::Error) -> ExitCode {
    if !error.use_stderr() {
        error.print().ok();
        return ExitCode::SUCCESS;
    }
    let text = error.render().to_string();
    let cause: Vec<&str> = match error.kind() {
        ErrorKind::DisplayHelpOnMissingArgumentOrSubcommand => vec!["the command needs a subcommand"],
        _ => text.lines().map(str::trim).take_while(|line| !line.is_empty()).collect(),
    };
    let tips: String =
        text.lines().filter_map(|line| line.trim().strip_prefix("tip: ")).map(|tip| format!("; {tip}")).collect();
    let cause = cause.join(" ");
    let cause = cause.strip_prefix("error: ").unwrap_or(&cause);
    writeln!(std::io::stderr(), "order-portal: {cause}{tips}; --help lists what the command takes").ok();
    ExitCode::from(2)
}
