//! `order-portal mail …`: the queue of outgoing mail.

use clap::Subcommand;

use super::{Failure, failed, open, print};
use crate::clock::Clock;
use crate::config::Config;
use crate::database::Database;
use crate::mail::operator::{self, QueuedMail, Undelivered};

#[derive(Subcommand)]
#[allow(clippy::doc_markdown)] // These comments are what --help prints.
pub(super) enum MailCommand {
    /// List the messages in the queue, the oldest first
    ///
    /// The columns: the message's id, where it goes, what it is about, when it was queued and when it is tried next (UTC), how often
    /// it was tried, and its state: waiting, deferred or failed, with the reason. A failed message is kept for 30 days and is not
    /// delivered unless you retry it.
    List,
    /// Deliver a failed or deferred message now, or all of them
    ///
    /// A running server delivers it within seconds, and tries for two more days if the mail server does not take it.
    Retry {
        /// The message's id, as list shows it
        #[arg(required_unless_present_any = ["all", "all_failed"], conflicts_with_all = ["all", "all_failed"])]
        id: Option<String>,
        /// Every message that has failed or is deferred
        #[arg(long, conflicts_with = "all_failed")]
        all: bool,
        /// Every message that has failed
        #[arg(long)]
        all_failed: bool,
    },
    /// Remove a message from the queue: it is never delivered
    Drop {
        /// The message's id, as list shows it
        id: String,
    },
}

pub(super) async fn run(config: &Config, clock: &Clock, command: MailCommand) -> Result<(), Failure> {
    let database = open(config).await?;
    let done = match command {
        MailCommand::List => list(&database).await,
        MailCommand::Retry { id: Some(id), .. } => retry(&database, clock, &id).await,
        MailCommand::Retry { all: true, .. } => retry_all(&database, clock).await,
        MailCommand::Retry { .. } => retry_all_failed(&database, clock).await,
        MailCommand::Drop { id } => drop(&database, &id).await,
    };
    database.close().await;
    done
}

async fn list(database: &Database) -> Result<(), Failure> {
    let queue = operator::list(database).await.map_err(failed)?;
    if queue.is_empty() {
        print("the mail queue is empty");
        return Ok(());
    }
    let width = |of: fn(&QueuedMail) -> &str, least: usize| {
        queue.iter().map(|mail| of(mail).chars().count()).max().unwrap_or(0).max(least)
    };
    let (id, recipient, kind) =
        (width(|mail| &mail.id, 2), width(|mail| &mail.recipient, 9), width(|mail| &mail.kind, 4));
    print(format!(
        "{:id$}  {:recipient$}  {:kind$}  {:20}  {:20}  {:>8}  STATE",
        "ID", "RECIPIENT", "KIND", "CREATED", "DUE", "ATTEMPTS"
    ));
    for mail in &queue {
        let due = if mail.has_failed { "-".to_owned() } else { mail.due_at.to_string() };
        print(format!(
            "{:id$}  {:recipient$}  {:kind$}  {:20}  {due:20}  {:>8}  {}",
            mail.id,
            mail.recipient,
            mail.kind,
            mail.created_at.to_string(),
            mail.attempts,
            state(mail)
        ));
    }
    Ok(())
}

fn state(mail: &QueuedMail) -> String {
    match (mail.has_failed, &mail.failure) {
        (true, reason) => format!("failed: {}", reason.as_deref().unwrap_or("unknown reason")),
        (false, Some(reason)) => format!("deferred: {reason}"),
        (false, None) => "waiting".to_owned(),
    }
}

async fn retry(database: &Database, clock: &Clock, id: &str) -> Result<(), Failure> {
    for (which, was) in [(Undelivered::Failed, "had failed"), (Undelivered::Deferred, "was deferred")] {
        if operator::retry(database, which, Some(id), clock.now()).await.map_err(failed)? > 0 {
            print(format!("message {id} {was}; it is due now"));
            return Ok(());
        }
    }
    if !operator::is_queued(database, id).await.map_err(failed)? {
        return Err(unknown(id));
    }
    Err(failed(format!("message {id} has not failed and is not deferred: it is delivered without a retry")))
}

async fn retry_all(database: &Database, clock: &Clock) -> Result<(), Failure> {
    let now = clock.now();
    // First: a failed message that is due again may be deferred soon.
    let deferred = operator::retry(database, Undelivered::Deferred, None, now).await.map_err(failed)?;
    let had_failed = operator::retry(database, Undelivered::Failed, None, now).await.map_err(failed)?;
    match (had_failed, deferred) {
        (0, 0) => print("no message has failed or is deferred"),
        _ => print(format!("{had_failed} failed and {deferred} deferred messages are due now")),
    }
    Ok(())
}

async fn retry_all_failed(database: &Database, clock: &Clock) -> Result<(), Failure> {
    match operator::retry(database, Undelivered::Failed, None, clock.now()).await.map_err(failed)? {
        0 => print("no message has failed"),
        1 => print("1 message is queued again"),
        count => print(format!("{count} messages are queued again")),
    }
    Ok(())
}

async fn drop(database: &Database, id: &str) -> Result<(), Failure> {
    if !operator::drop(database, id).await.map_err(failed)? {
        return Err(unknown(id));
    }
    print(format!("message {id} is dropped"));
    Ok(())
}

fn unknown(id: &str) -> Failure {
    failed(format!("no message has the id \"{}\"; order-portal mail list shows all", id.escape_debug()))
}
