//! `order-portal breached-passwords build`: the filter that `BREACHED_PASSWORDS` names.

use std::fs::File;
use std::io::{BufReader, IsTerminal, Read};
use std::path::{Path, PathBuf};

use clap::Subcommand;
use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};

use super::{Failure, failed, print};
use crate::accounts;
use crate::domain::format_count;

const BUFFER_SIZE: usize = 1 << 20;

#[derive(Subcommand)]
#[allow(clippy::doc_markdown)] // These comments are what --help prints.
pub(super) enum BreachedPasswordsCommand {
    /// Build the filter from a sorted list of SHA-1 hashes, HASH:COUNT a line
    ///
    /// The list is Have I Been Pwned's Pwned Passwords, as SHA-1 hashes ordered by hash; docs/operate.md says where to get it. It is read
    /// once. The filter takes 2.3 bytes a password, in the file and in the server's memory; building it takes 0.14 bytes of memory for each
    /// password in it. Duplicates are removed. Of passwords that are not in the list it refuses one in 65,536.
    Build {
        /// The list, or - for standard input
        hashes: PathBuf,
        /// The filter to write; an existing one is replaced when the new one is complete
        file: PathBuf,
        /// Leave out hashes that were seen fewer times
        #[arg(long, value_name = "COUNT", default_value_t = 10)]
        at_least: u64,
    },
}

pub(super) fn run(command: BreachedPasswordsCommand) -> Result<(), Failure> {
    let BreachedPasswordsCommand::Build { hashes, file, at_least } = command;
    let (source, size): (Box<dyn Read>, Option<u64>) = if hashes == Path::new("-") {
        (Box::new(std::io::stdin().lock()), None)
    } else {
        let opened = File::open(&hashes)
            .map_err(|error| failed(format!("cannot read {}: {error}; name the list of hashes", hashes.display())))?;
        let size = opened.metadata().ok().map(|metadata| metadata.len());
        (Box::new(opened), size)
    };
    let bar = progress_bar(size);
    let mut list = BufReader::with_capacity(BUFFER_SIZE, source);
    let built = accounts::build_breached_passwords(&mut list, &file, at_least, &mut |bytes| bar.set_position(bytes));
    bar.finish_and_clear();
    let name = if size.is_some() { hashes.display().to_string() } else { "standard input".to_owned() };
    let built = built.map_err(|error| match error {
        accounts::BuildError::Write(_) | accounts::BuildError::Part(_) => {
            failed(format!("{}: {error}", file.display()))
        }
        _ => failed(format!("{name}: {error}")),
    })?;
    let count = |number: u64| format_count(i64::try_from(number).unwrap_or(i64::MAX));
    print(format!(
        "wrote {} with {} passwords; {} that were seen fewer than {at_least} times are left out",
        file.display(),
        count(built.passwords),
        count(built.left_out)
    ));
    print(format!("next: set BREACHED_PASSWORDS={} and start the server again", file.display()));
    Ok(())
}

fn progress_bar(size: Option<u64>) -> ProgressBar {
    let Some(size) = size.filter(|_| std::io::stderr().is_terminal()) else { return ProgressBar::hidden() };
    let style = ProgressStyle::with_template("{bar:40} {bytes}/{total_bytes}");
    let bar = ProgressBar::with_draw_target(Some(size), ProgressDrawTarget::stderr());
    bar.with_style(style.unwrap_or_else(|_| ProgressStyle::default_bar()))
}
