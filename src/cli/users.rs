//! `order-portal user …`: the operator's commands on accounts.

use clap::Subcommand;

use super::{Failure, failed, open, print};
use crate::accounts::{Email, users};
use crate::clock::Clock;
use crate::config::Config;
use crate::database::Database;
use crate::server;

#[derive(Subcommand)]
pub(super) enum UserCommand {
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

pub(super) async fn run(config: &Config, clock: &Clock, command: UserCommand) -> Result<(), Failure> {
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
