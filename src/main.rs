//! Parses the command line, runs the command, prints an error in one line and sets the exit status.

use std::io::Write;
use std::process::ExitCode;

use clap::Parser;
use order_portal::cli::{self, Arguments};
use order_portal::telemetry;

#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

fn main() -> ExitCode {
    let arguments = Arguments::parse();
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
