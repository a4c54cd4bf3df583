//! The subcommands.

use std::fmt::Display;
use std::io::{IsTerminal, Write};
use std::path::{Path, PathBuf};

use clap::{Parser, Subcommand};
use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};

use crate::accounts::{Email, users};
use crate::clock::Clock;
use crate::config::{self, Config};
use crate::database::Database;
use crate::mail::Transport;
use crate::orders::{self, ImportSource, Mode, Progress, Stage, ToDo, count};
use crate::web::Assets;
use crate::{server, telemetry};

/// Arguments of the program.
#[derive(Parser)]
#[command(
    name = "order-portal",
    version,
    about = "A shop's order pages: customers sign up, log in and see what they ordered.",
    after_help = "Settings are read from the environment and from a file .env; .env.example explains each.\n\
        Exit status: 0 done, 1 failed, 2 wrong usage or configuration."
)]
pub struct Arguments {
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
    /// Load orders from a shop's export (CSV as Shopify writes it)
    ///
    /// The whole file is validated first: an invalid row is named with file, line and column, and nothing is loaded. Then orders are
    /// written in short transactions, so that customers can use the portal meanwhile. An import that is stopped (Ctrl-C, SIGTERM, an
    /// error) says how many orders are loaded, each of them whole; the same command again loads the rest. One import runs at a time.
    ///
    /// Loading the same file again changes nothing; a later export updates. Orders show to the account with their email address once
    /// it is verified.
    #[command(
        after_help = "Examples:\n  order-portal import orders_export.csv\n  zcat orders_export.csv.gz | order-portal import -"
    )]
    Import {
        /// The CSV file, or - for standard input
        file: PathBuf,
        /// Read and compare everything, write nothing, and say what would be new, changed and unchanged
        #[arg(long)]
        dry_run: bool,
    },
    /// List what customers ask of the shop: orders to cancel, orders placed here
    #[command(subcommand)]
    Orders(OrdersCommand),
    /// List, verify, disable or enable accounts
    #[command(subcommand)]
    User(UserCommand),
    /// Apply migrations and say which
    Migrate,
    /// Write a consistent copy of the SQLite database while the server runs
    ///
    /// For PostgreSQL use pg_dump.
    Backup {
        /// The file to write; it must not exist
        file: PathBuf,
    },
    /// Read the configuration, reach the database and the mail server, print what the program would run with
    ///
    /// Looks for the static files and the certificate, too. Secrets are not printed.
    Check,
}

#[derive(Subcommand)]
#[allow(clippy::doc_markdown)] // These comments are what --help prints.
enum OrdersCommand {
    /// List orders whose customers want them cancelled, the oldest request first
    ///
    /// The columns: the order's number, the customer's address, when they asked (UTC), the order's status and total, and the
    /// number of the order that it repeats if it was placed here. An order leaves the list when an import says that it was
    /// cancelled or sent.
    Cancellations,
    /// List orders that customers placed here by ordering again, the oldest first
    ///
    /// The columns: the order's number, the customer's address, when it was placed (UTC), its status and total, and the
    /// number of the order that it repeats. An order leaves the list when an import brings it, under the number that it has
    /// here.
    Placed,
}

#[derive(Subcommand)]
enum UserCommand {
    /// List all accounts
    ///
    /// The columns: the address, when the account was made (UTC), whether the address is confirmed, whether the account is
    /// disabled, and how many orders it shows.
    List,
    /// Confirm an account's address in its owner's place: orders placed with it show
    Verify {
        /// The account's address
        email: String,
    },
    /// Close an account: every session of it ends at the next request
    Disable {
        /// The account's address
        email: String,
    },
    /// Open a closed account again
    Enable {
        /// The account's address
        email: String,
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

/// Runs the command.
///
/// # Errors
/// [`Failure`], with what to print.
pub async fn run(arguments: Arguments) -> Result<(), Failure> {
    match arguments.command.unwrap_or(Command::Configured(Configured::Serve)) {
        Command::Secret => {
            print(config::new_secret().map_err(failed)?);
            Ok(())
        }
        Command::Configured(command) => {
            let config = Config::load().map_err(|errors| Failure::Usage(errors.to_string()))?;
            run_configured(command, config).await
        }
    }
}

async fn run_configured(command: Configured, config: Config) -> Result<(), Failure> {
    telemetry::init(config.log_format, &config.log_filter);
    let clock = Clock::system();
    match command {
        Configured::Serve => server::run(config, clock).await.map_err(failed),
        Configured::Import { file, dry_run } => {
            import(&config, &clock, file, if dry_run { Mode::DryRun } else { Mode::Load }).await
        }
        Configured::Orders(command) => list_orders(&config, command).await,
        Configured::User(command) => user(&config, &clock, command).await,
        Configured::Migrate => migrate(&config).await,
        Configured::Backup { file } => backup(&config, &file).await,
        Configured::Check => check(&config).await,
    }
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

async fn import(config: &Config, clock: &Clock, file: PathBuf, mode: Mode) -> Result<(), Failure> {
    let source = if file == Path::new("-") { ImportSource::Stdin } else { ImportSource::File(file) };
    let database = open(config).await?;
    let bar = progress_bar();
    let imported = orders::import(&database, clock, source, mode, &mut |progress| {
        show(&bar, progress);
    })
    .await;
    bar.finish_and_clear();
    database.close().await;
    let done = imported.map_err(failed)?;
    let number = |number: u64| count(i64::try_from(number).unwrap_or(i64::MAX));
    print(format!(
        "{} orders with {} lines: {} new, {} changed, {} unchanged{}",
        number(done.orders),
        number(done.lines),
        number(done.new),
        number(done.changed),
        number(done.unchanged),
        if mode == Mode::DryRun { "; nothing was written" } else { "" }
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

async fn list_orders(config: &Config, command: OrdersCommand) -> Result<(), Failure> {
    let database = open(config).await?;
    let (listed, when, none) = match command {
        OrdersCommand::Cancellations => {
            (orders::cancellations(&database).await, "ASKED", "no customer asks to cancel an order")
        }
        OrdersCommand::Placed => {
            (orders::placed_here(&database).await, "PLACED", "no order placed here waits for the shop")
        }
    };
    database.close().await;
    let orders = listed.map_err(failed)?;
    if orders.is_empty() {
        print(none);
        return Ok(());
    }
    let width = |of: fn(&ToDo) -> &str, least: usize| {
        orders.iter().map(|order| of(order).chars().count()).max().unwrap_or(0).max(least)
    };
    let (number, email) = (width(|order| &order.number, 5) + 1, width(|order| &order.email, 8));
    print(format!("{:number$}  {:email$}  {when:20}  {:10}  {:>14}  REPEATS", "ORDER", "CUSTOMER", "STATUS", "TOTAL"));
    for order in &orders {
        let repeats = order.copy_of.as_ref().map(|original| format!("#{original}")).unwrap_or_default();
        let line = format!(
            "{:number$}  {:email$}  {:20}  {:10}  {:>14}  {repeats}",
            format!("#{}", order.number),
            order.email,
            order.asked_at.to_string(),
            order.status,
            order.total.to_string(),
        );
        print(line.trim_end());
    }
    Ok(())
}

async fn user(config: &Config, clock: &Clock, command: UserCommand) -> Result<(), Failure> {
    let database = open(config).await?;
    let done = match command {
        UserCommand::List => list(&database).await,
        UserCommand::Verify { email } => verify(&database, clock, &email).await,
        UserCommand::Disable { email } => {
            let found = users::disable(&database, clock, &parse(&email)?).await.map_err(failed)?;
            answer(found, &email, "is disabled; every session has ended")
        }
        UserCommand::Enable { email } => {
            let found = users::enable(&database, &parse(&email)?).await.map_err(failed)?;
            answer(found, &email, "is enabled; its owner can log in again")
        }
    };
    database.close().await;
    done
}

async fn list(database: &Database) -> Result<(), Failure> {
    let users = users::list(database).await.map_err(failed)?;
    let width = users.iter().map(|user| user.email.chars().count()).max().unwrap_or(0).max(5);
    print(format!("{:width$}  {:20}  {:8}  {:8}  {:>7}", "EMAIL", "SIGNED UP", "VERIFIED", "DISABLED", "ORDERS"));
    for user in users {
        let word = |is: bool| if is { "yes" } else { "no" };
        let signed_up = user.created_at.to_string();
        print(format!(
            "{:width$}  {signed_up:20}  {:8}  {:8}  {:>7}",
            user.email,
            word(user.verified),
            word(user.disabled),
            user.orders
        ));
    }
    Ok(())
}

async fn verify(database: &Database, clock: &Clock, email: &str) -> Result<(), Failure> {
    match users::verify(database, clock, &parse(email)?, server::CLAIM).await.map_err(failed)? {
        Some(1) => answer(true, email, "is verified; 1 order became theirs"),
        Some(claimed) => answer(true, email, &format!("is verified; {claimed} orders became theirs")),
        None => answer(false, email, ""),
    }
}

fn parse(email: &str) -> Result<Email, Failure> {
    Email::parse(email).map_err(|_| {
        Failure::Usage(format!("\"{}\" is not an e-mail address; write it like name@example.com", email.escape_debug()))
    })
}

fn answer(found: bool, email: &str, done: &str) -> Result<(), Failure> {
    if !found {
        return Err(failed(format!("no account has the address {email}; order-portal user list shows all")));
    }
    print(format!("{email} {done}"));
    Ok(())
}

async fn migrate(config: &Config) -> Result<(), Failure> {
    let database = Database::create_or_open(&config.database_url).await.map_err(failed)?;
    let migrated = database.migrate().await.map_err(failed)?;
    for migration in &migrated.here {
        print(format!("applied {:04} {}", migration.version, migration.description));
    }
    for migration in &migrated.elsewhere {
        print(format!("another process applied {:04} {}", migration.version, migration.description));
    }
    if migrated.here.is_empty() && migrated.elsewhere.is_empty() {
        print("nothing to apply: the database is up to date");
    }
    database.close().await;
    Ok(())
}

async fn backup(config: &Config, file: &Path) -> Result<(), Failure> {
    let database = open(config).await?;
    let done = database.backup(file).await.map_err(failed);
    database.close().await;
    done?;
    print(format!("wrote {}", file.display()));
    Ok(())
}

/// Everything that would end the start, without starting.
async fn check(config: &Config) -> Result<(), Failure> {
    for (name, value) in config.summary() {
        print(format!("{name:22} {value}"));
    }
    for warning in config.warnings() {
        writeln!(std::io::stderr(), "order-portal: warning: {warning}").ok();
    }
    Assets::load(&config.static_dir).map_err(failed)?;
    print("the static files are there");
    if let Some(files) = &config.tls {
        server::load_certificate(files).map_err(failed)?;
        print("the certificate and its key can be used");
    }
    let database = open(config).await?;
    let written = database.check_writable().await;
    database.close().await;
    written.map_err(|error| failed(format!("cannot write the database {}: {error}", config.database_url)))?;
    print("the database answers and can be written");
    let transport = Transport::new(config).map_err(failed)?;
    transport.check().await.map_err(|error| failed(format!("mail cannot leave: {error}; check MAIL_URL")))?;
    print("mail can be handed over");
    Ok(())
}
