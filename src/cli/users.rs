//! `order-portal user …`: the operator's commands on accounts.

use clap::Subcommand;

use super::orders::find_one_order;
use super::{Failure, failed, open, parse_email, print};
use crate::accounts::operator::{self, UserDetail};
use crate::clock::Clock;
use crate::config::Config;
use crate::database::Database;
use crate::domain::UnixSeconds;

#[derive(Subcommand)]
#[allow(clippy::doc_markdown)] // These comments are what --help prints.
pub(super) enum UserCommand {
    /// List all accounts
    ///
    /// The columns: the address, when the account was made (UTC), whether the address is confirmed, whether the account is
    /// disabled, and how many orders it shows.
    List,
    /// Show one account: its address, its state, its sessions, its orders
    Show {
        /// The account's address
        email: String,
    },
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
    /// Remove two-step login and passkeys from an account whose owner has lost every factor
    ///
    /// Its recovery codes stop working and every session ends; the owner is told by mail. Make sure that the request is the owner's:
    /// afterwards the password alone logs in.
    ResetMfa {
        /// The account's address
        email: String,
    },
    /// Give an order to an account, for example one whose email address is invalid in the export
    ///
    /// The order shows to the account from now on, also after later imports, until the shop's export has another address for it.
    Link {
        /// The account's address
        email: String,
        /// The order's number; its Id when several orders have the number
        #[arg(value_name = "NUMBER")]
        number: String,
    },
    /// Delete an account, as its owner can on the account page
    ///
    /// Its sessions, links, mail and activity go with it; the shop keeps the orders. The owner is told by mail if the address was
    /// confirmed.
    Delete {
        /// The account's address
        email: String,
    },
}

pub(super) async fn run(config: &Config, clock: &Clock, command: UserCommand) -> Result<(), Failure> {
    let database = open(config).await?;
    let done = match command {
        UserCommand::List => list(&database).await,
        UserCommand::Show { email } => show(&database, clock, &email).await,
        UserCommand::Verify { email } => verify(&database, clock, &email).await,
        UserCommand::Disable { email } => {
            let found = operator::disable(&database, clock, &parse_email(&email)?).await.map_err(failed)?;
            answer(found, &email, "is disabled; every session has ended")
        }
        UserCommand::Enable { email } => {
            let found = operator::enable(&database, clock, &parse_email(&email)?).await.map_err(failed)?;
            answer(found, &email, "is enabled; its owner can log in again")
        }
        UserCommand::ResetMfa { email } => {
            let found = operator::reset_mfa(&database, clock, &parse_email(&email)?).await.map_err(failed)?;
            answer(found, &email, "has no second factor and no passkey any more; every session has ended")
        }
        UserCommand::Link { email, number } => link(&database, clock, &email, &number).await,
        UserCommand::Delete { email } => {
            let found = operator::delete(&database, clock, &parse_email(&email)?).await.map_err(failed)?;
            answer(found, &email, "is deleted; the shop keeps the orders")
        }
    };
    database.close().await;
    done
}

async fn list(database: &Database) -> Result<(), Failure> {
    let users = operator::list(database).await.map_err(failed)?;
    let width = users.iter().map(|user| user.email.chars().count()).max().unwrap_or(0).max(5);
    print(format!("{:width$}  {:20}  {:8}  {:8}  {:>7}", "EMAIL", "SIGNED UP", "VERIFIED", "DISABLED", "ORDERS"));
    for user in users {
        let yes_no = |at: Option<UnixSeconds>| if at.is_some() { "yes" } else { "no" };
        let signed_up = user.created_at.to_string();
        print(format!(
            "{:width$}  {signed_up:20}  {:8}  {:8}  {:>7}",
            user.email,
            yes_no(user.verified_at),
            yes_no(user.disabled_at),
            user.orders
        ));
    }
    Ok(())
}

async fn show(database: &Database, clock: &Clock, email: &str) -> Result<(), Failure> {
    match operator::show(database, &parse_email(email)?, clock.now()).await.map_err(failed)? {
        Some(user) => {
            print_detail(&user);
            Ok(())
        }
        None => answer(false, email, ""),
    }
}

fn print_detail(user: &UserDetail) {
    let time = |at: Option<UnixSeconds>, none: &str| at.map_or_else(|| none.to_owned(), |at| at.to_string());
    let zone = match (&user.time_zone, user.time_zone_chosen_at.is_some()) {
        (Some(zone), true) => zone.clone(),
        (Some(zone), false) => format!("{zone} (from the browser)"),
        (None, _) => "unknown".to_owned(),
    };
    for (name, value) in [
        ("email", user.email.clone()),
        ("id", user.id.to_string()),
        ("signed up", user.created_at.to_string()),
        ("verified", time(user.verified_at, "no")),
        ("disabled", time(user.disabled_at, "no")),
        ("last login", time(user.last_login_at, "none as far back as KEEP_AUDIT_DAYS")),
        ("sessions", user.sessions.to_string()),
        ("two-step login", two_step_login(user)),
        ("passkeys", user.passkeys.to_string()),
        ("known browsers", user.trusted_browsers.to_string()),
        ("known networks", user.trusted_networks.to_string()),
        ("time zone", zone),
        ("orders", user.orders.to_string()),
    ] {
        print(format!("{name:16}{value}"));
    }
}

fn two_step_login(user: &UserDetail) -> String {
    match user.totp_since {
        Some(since) => format!("authenticator app since {since}, {} recovery codes left", user.recovery_codes_left),
        None => "off".to_owned(),
    }
}

async fn verify(database: &Database, clock: &Clock, email: &str) -> Result<(), Failure> {
    match operator::verify(database, clock, &parse_email(email)?).await.map_err(failed)? {
        Some(1) => answer(true, email, "is verified; 1 order became theirs"),
        Some(claimed) => answer(true, email, &format!("is verified; {claimed} orders became theirs")),
        None => answer(false, email, ""),
    }
}

async fn link(database: &Database, clock: &Clock, email: &str, number: &str) -> Result<(), Failure> {
    let address = parse_email(email)?;
    let order = find_one_order(database, number).await?;
    let found = operator::link_order(database, clock, &address, &order).await.map_err(failed)?;
    answer(found, email, &format!("shows the order {}", order.name))
}

fn answer(found: bool, email: &str, done: &str) -> Result<(), Failure> {
    if !found {
        return Err(failed(format!("no account has the address {email}; order-portal user list shows all")));
    }
    print(format!("{email} {done}"));
    Ok(())
}
