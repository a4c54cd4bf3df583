//! The subcommands: arguments and dispatch. A file per group of commands.

mod backup;
mod breached_passwords;
mod check;
mod copy;
mod database;
mod import;
mod init;
mod mail;
mod orders;
mod users;

use std::fmt::Display;
use std::io::Write;
use std::path::PathBuf;

use clap::{Parser, Subcommand};

use crate::clock::Clock;
use crate::config::{self, Config, SecretFile};
use crate::database::Database;
use crate::domain::Email;
use crate::server::ServeError;
use crate::{server, telemetry};
use breached_passwords::BreachedPasswordsCommand;
use mail::MailCommand;
use orders::OrdersCommand;
use users::UserCommand;

/// What `import --help` ends with. The sample is tested.
const IMPORT_HELP: &str = "\
Thirteen columns are enough, in any order; one row per line item, the values of an order in its first row:
  Name, Email, Financial Status, Fulfillment Status, Currency, Subtotal, Shipping, Taxes, Total, Created at, Lineitem quantity,
  Lineitem name, Lineitem price

A file that loads:
  Name,Email,Financial Status,Fulfillment Status,Currency,Subtotal,Shipping,Taxes,Total,Created at,Lineitem quantity,Lineitem name,Lineitem price
  #1001,ann@example.com,paid,fulfilled,EUR,28.00,4.90,0.00,32.90,2024-03-01 10:00:00 +0100,2,Notebook,12.50
  #1001,,,,,,,,,,1,Pen,3.00

Examples:
  order-portal import orders_export.csv
  order-portal import --dry-run january.csv february.csv
  order-portal import --column \"Created at=Order date\" --column Currency=EUR orders.csv
  gzip -dc orders_export.csv.gz | order-portal import -";

const BACKUP_HELP: &str = "\
Examples:
  order-portal backup /var/backups/portal-2026-11-25.db
  order-portal backup --every 6h --keep 28 /var/backups/order-portal";

const COPY_HELP: &str = "\
The URLs are like DATABASE_URL, which this command does not read. Others may see the arguments of a command, so that a password is better in PGPASSWORD or ~/.pgpass.

Examples:
  order-portal copy sqlite://data/portal.db postgres://portal@db.example/shop
  order-portal copy postgres://portal@db.example/shop sqlite:///var/lib/order-portal/portal.db";

/// Arguments of the program.
#[derive(Parser)]
#[command(
    name = "order-portal",
    version,
    about = "A shop's order pages: customers sign up, log in and see what they ordered.",
    after_help = "Settings are read from the environment and from .env in the current directory; .env.example explains each.\n\
        Exit status: 0 done, 1 failed, 2 wrong usage or configuration."
)]
pub struct Arguments {
    /// Use this settings file in place of .env in the current directory
    #[arg(long, global = true, value_name = "PATH")]
    env_file: Option<PathBuf>,
    #[command(subcommand)]
    command: Option<Command>,
}

#[derive(Subcommand)]
#[allow(clippy::doc_markdown)] // These comments are what --help prints.
enum Command {
    #[command(flatten)]
    Configured(Configured),
    /// Print a new TOKEN_SECRET: 64 random bytes in hex
    #[command(after_help = "Example: echo \"TOKEN_SECRET=$(order-portal secret)\" >> .env")]
    Secret,
    /// Write a commented .env with a new TOKEN_SECRET, which only its owner can read
    ///
    /// An existing file is never changed. --env-file names another file.
    Init,
    /// Build the filter of breached passwords, which are then refused
    #[command(subcommand)]
    BreachedPasswords(BreachedPasswordsCommand),
}

/// What needs the settings.
#[derive(Subcommand)]
#[allow(clippy::doc_markdown)] // These comments are what --help prints.
enum Configured {
    /// Serve the portal (what happens without a subcommand)
    ///
    /// Makes the database if there is none, applies migrations, and serves until Ctrl-C or SIGTERM; what is in flight
    /// is finished first.
    Serve,
    /// Load orders from a shop's exports (CSV of Shopify, Squarespace, WooCommerce; others with --column)
    ///
    /// All files are validated first: each invalid row is listed with file, line and column, and nothing is loaded, except with
    /// --skip-invalid. Then orders are written in short transactions, so that customers can use the portal meanwhile. An import that is
    /// stopped (Ctrl-C, SIGTERM, an error) says how many orders are loaded, each of them whole; the same command again loads the rest.
    /// One import runs at a time.
    ///
    /// Loading the same file again changes nothing; a later export updates, and a column that it does not have leaves the stored values
    /// alone. Orders show to the account with their email address once it is verified.
    // Without wrapping, so that the sample can be copied.
    #[command(after_help = IMPORT_HELP, term_width = 0)]
    Import(import::ImportArguments),
    /// List and answer requests of customers: cancellations, reorders; show an order, past imports
    #[command(subcommand)]
    Orders(OrdersCommand),
    /// List, show, verify, disable, enable, delete accounts, remove their factors, give them orders
    #[command(subcommand)]
    User(UserCommand),
    /// List, retry or drop outgoing mail
    #[command(subcommand)]
    Mail(MailCommand),
    /// Apply migrations and say which
    Migrate,
    /// Write a consistent copy of the SQLite database while the server runs; with --every, again and again
    ///
    /// The copy is verified (integrity, migrations), readable by its owner alone, and complete or not there, also when the command is
    /// killed. restore puts it back. For PostgreSQL use pg_dump.
    ///
    /// With --every the command runs until Ctrl-C or SIGTERM. It writes order-portal-TIME.db into the directory, where TIME is in UTC, deletes the
    /// oldest of these files, and no others, when there are more than --keep, and describes the last backup in backup.prom for
    /// Prometheus. A backup that fails is logged and tried again after five minutes.
    #[command(after_help = BACKUP_HELP)]
    Backup(backup::BackupArguments),
    /// Replace the SQLite database by a copy that backup wrote
    ///
    /// The copy is verified first, and the database that it replaces is kept beside it. Every session ends, mailed links stop
    /// working and queued mail is removed: a copy must not bring back what has been logged out, used or sent since. Stop the
    /// server first. For PostgreSQL use pg_restore.
    Restore {
        /// The copy
        file: PathBuf,
    },
    /// Copy a whole database into an absent or empty one, also between SQLite and PostgreSQL
    ///
    /// The source may be in use: it is read in one snapshot, and what is written later is not copied. The target is created and migrated;
    /// it must have no rows. At the end the target is read again, and the rows and a checksum of each table must be equal. When the
    /// command fails or is stopped, the target has no rows, and the same command can be run again.
    ///
    /// Everything is copied, sessions, mailed links and queued mail included. They stay valid with the same TOKEN_SECRET. To move a
    /// shop, stop the server first: two servers on two copies would both send the queued mail.
    #[command(after_help = COPY_HELP)]
    Copy(copy::CopyArguments),
    /// Read the configuration, reach the database and the mail server, print what the program would run with
    ///
    /// Looks for the static files and the certificate, too. Secrets are not printed.
    Check {
        /// Send a test message to this address, too
        #[arg(long, value_name = "ADDRESS")]
        mail: Option<String>,
    },
}

/// Why a command ended early; each prints as one line, or one a setting.
pub enum Failure {
    /// Exit status 2.
    Usage(String),
    /// Exit status 1.
    Failed(String),
}

impl Failure {
    /// What a shell sees.
    pub fn exit_status(&self) -> u8 {
        match self {
            Self::Usage(_) => 2,
            Self::Failed(_) => 1,
        }
    }

    /// What to print on standard error.
    pub fn message(&self) -> &str {
        match self {
            Self::Usage(message) | Self::Failed(message) => message,
        }
    }
}

fn failed(cause: impl Display) -> Failure {
    Failure::Failed(cause.to_string())
}

/// An address that the operator typed.
fn parse_email(text: &str) -> Result<Email, Failure> {
    Email::parse(text).map_err(|_| {
        Failure::Usage(format!("\"{}\" is not an email address; write it like name@example.com", text.escape_debug()))
    })
}

/// Runs the command.
pub async fn run(arguments: Arguments) -> Result<(), Failure> {
    match arguments.command.unwrap_or(Command::Configured(Configured::Serve)) {
        Command::Secret => {
            print(config::new_secret().map_err(failed)?);
            Ok(())
        }
        Command::Init => init::run(arguments.env_file.as_deref()),
        Command::BreachedPasswords(command) => breached_passwords::run(command),
        Command::Configured(command) => {
            let is_serve = matches!(command, Configured::Serve);
            let secret_file = if is_serve { SecretFile::Create } else { SecretFile::Read };
            let config = Config::load(arguments.env_file.as_deref(), secret_file)
                .map_err(|errors| Failure::Usage(errors.to_string()))?;
            run_configured(command, config).await
        }
    }
}

async fn run_configured(command: Configured, config: Config) -> Result<(), Failure> {
    telemetry::init(config.log_format, &config.log_filter);
    let clock = Clock::system();
    // These two show all warnings.
    if !matches!(command, Configured::Serve | Configured::Check { .. }) {
        config.env_file_warnings.iter().for_each(|warning| warn(warning));
    }
    match command {
        Configured::Serve => server::run(config, clock).await.map_err(serve_failure),
        Configured::Import(arguments) => import::run(&config, &clock, arguments).await,
        Configured::Orders(command) => orders::run(&config, &clock, command).await,
        Configured::User(command) => users::run(&config, &clock, command).await,
        Configured::Mail(command) => mail::run(&config, &clock, command).await,
        Configured::Migrate => database::migrate(&config).await,
        Configured::Backup(arguments) => backup::run(&config, &clock, arguments).await,
        Configured::Restore { file } => database::restore(&config, &clock, &file).await,
        Configured::Copy(arguments) => copy::run(&arguments).await,
        Configured::Check { mail } => check::run(&config, &clock, mail.as_deref()).await,
    }
}

fn serve_failure(error: ServeError) -> Failure {
    match error {
        ServeError::BreachedPasswords(error) => Failure::Usage(error.to_string()),
        error => failed(error),
    }
}

fn warn(warning: &str) {
    writeln!(std::io::stderr(), "order-portal: warning: {warning}").ok();
}

/// A reader that went away is no failure.
fn print(line: impl Display) {
    writeln!(std::io::stdout(), "{line}").ok();
}

async fn open(config: &Config) -> Result<Database, Failure> {
    let database = Database::open_existing(&config.database_url).await.map_err(failed)?;
    database.compare_migrations().await.map_err(failed)?;
    Ok(database)
}
