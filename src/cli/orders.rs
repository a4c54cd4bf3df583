//! `order-portal orders …`: requests of customers that the shop has to process, single orders, past imports.

use clap::Subcommand;

use super::{Failure, failed, open, print};
use crate::clock::Clock;
use crate::config::Config;
use crate::database::{Database, Error};
use crate::orders::{self, Answered, OperatorOrder, PendingCancellation, PendingReorder, Verdict};

#[derive(Subcommand)]
#[allow(clippy::doc_markdown)] // These comments are what --help prints.
pub(super) enum OrdersCommand {
    /// List pending cancellation requests, the oldest first; or answer one
    ///
    /// The columns: the order's number, the customer's email, the time of the request (UTC), the order's status and total, and the
    /// customer's reason. An order leaves the list when you answer, when the customer withdraws the request, and when an import marks
    /// the order as cancelled or sent.
    Cancellations {
        #[command(subcommand)]
        answer: Option<CancellationAnswer>,
    },
    /// List pending requests to order again, the oldest first; or mark one as done
    ///
    /// The columns: the number of the order whose products the customer wants again, the customer's email, the time of the request
    /// (UTC), the request's id and the products. A request leaves the list when you mark it as done.
    #[command(alias = "placed")]
    Reorders {
        #[command(subcommand)]
        action: Option<ReorderAction>,
    },
    /// Show everything that is known about an order: account, states, times, requests that wait, lines, amounts, addresses
    Show {
        /// The order's number, with or without #, also as in the address of its page (1001-2); or its Id
        number: String,
    },
    /// List past imports, the newest first: their files, how many orders they brought, and how they ended
    Imports {
        /// At most so many
        #[arg(long, default_value_t = 20, value_name = "COUNT")]
        limit: u32,
    },
}

#[derive(Subcommand)]
pub(super) enum CancellationAnswer {
    /// Accept a request: cancel the order in the shop's system, too
    ///
    /// The customer sees the answer on the order's page and gets it by mail at a confirmed address. The status of the order is what the
    /// shop's next export says.
    Done {
        /// The order's number, with or without #; or its Id
        number: String,
    },
    /// Decline a request
    ///
    /// The customer sees the answer on the order's page and gets it by mail at a confirmed address.
    Decline {
        /// The order's number, with or without #; or its Id
        number: String,
    },
}

#[derive(Subcommand)]
pub(super) enum ReorderAction {
    /// Mark a request as done, so that it leaves the list
    Done {
        /// The request's id, as the list shows it
        id: String,
    },
}

pub(super) async fn run(config: &Config, clock: &Clock, command: OrdersCommand) -> Result<(), Failure> {
    let database = open(config).await?;
    let done = match command {
        OrdersCommand::Cancellations { answer: None } => print_cancellations(&database).await,
        OrdersCommand::Cancellations { answer: Some(CancellationAnswer::Done { number }) } => {
            answer(&database, clock, &number, Verdict::Accepted).await
        }
        OrdersCommand::Cancellations { answer: Some(CancellationAnswer::Decline { number }) } => {
            answer(&database, clock, &number, Verdict::Declined).await
        }
        OrdersCommand::Reorders { action: None } => print_reorders(&database).await,
        OrdersCommand::Reorders { action: Some(ReorderAction::Done { id }) } => mark_done(&database, clock, &id).await,
        OrdersCommand::Show { number } => show(&database, &number).await,
        OrdersCommand::Imports { limit } => print_imports(&database, limit).await,
    };
    database.close().await;
    done
}

/// The only order that an operator's NUMBER names.
pub(super) async fn find_one_order(database: &Database, number: &str) -> Result<OperatorOrder, Failure> {
    only_order(orders::find_by_number_or_id(database, number).await, number)
}

fn only_order(found: Result<Vec<OperatorOrder>, Error>, number: &str) -> Result<OperatorOrder, Failure> {
    let mut found = found.map_err(failed)?;
    if found.len() > 1 {
        let orders = found.iter().map(|order| {
            let shop = if order.shop.is_empty() { String::new() } else { format!(" of {}", order.shop) };
            let email = order.account.as_ref().or(order.email.as_ref()).map_or("no email address", String::as_str);
            format!("{} ({}{shop}, {email}, placed {})", order.distinct_id(), order.name, order.placed_at)
        });
        let orders = orders.collect::<Vec<_>>().join(", ");
        return Err(failed(format!("several orders have the number {number}; give one of these ids: {orders}")));
    }
    found.pop().ok_or_else(|| failed(format!("no order has the number {number}; import it first")))
}

async fn show(database: &Database, number: &str) -> Result<(), Failure> {
    let order = only_order(orders::find_with_samples(database, number).await, number)?;
    let record = orders::find_record(database, order).await.map_err(failed)?;
    for (term, value) in orders::describe(&record) {
        print(format!("{term:14}{value}"));
    }
    Ok(())
}

async fn print_imports(database: &Database, limit: u32) -> Result<(), Failure> {
    let imports = orders::past_imports(database, i64::from(limit)).await.map_err(failed)?;
    if imports.is_empty() {
        print("no imports");
    }
    for import in imports {
        let shop = if import.shop.is_empty() { String::new() } else { format!(" of {}", import.shop) };
        print(format!(
            "{} {}{shop}: {} orders with {} lines: {} new, {} changed, {} unchanged, {} skipped, {} without owner",
            import.finished_at,
            import.outcome,
            import.orders,
            import.lines,
            import.new,
            import.changed,
            import.unchanged,
            import.skipped,
            import.ownerless
        ));
        for file in import.files {
            print(format!("  {} (SHA-256 {})", file.name, file.sha256));
        }
    }
    Ok(())
}

async fn print_cancellations(database: &Database) -> Result<(), Failure> {
    let requests = orders::pending_cancellations(database).await.map_err(failed)?;
    if requests.is_empty() {
        print("no pending cancellation requests");
        return Ok(());
    }
    let width = |field: fn(&PendingCancellation) -> &str, min: usize| {
        requests.iter().map(|request| field(request).chars().count()).max().unwrap_or(0).max(min)
    };
    let (number, email) = (width(|request| &request.name, 5), width(|request| &request.email, 8));
    print(format!(
        "{:number$}  {:email$}  {:20}  {:10}  {:>14}  REASON",
        "ORDER", "CUSTOMER", "REQUESTED", "STATUS", "TOTAL"
    ));
    for request in &requests {
        let line = format!(
            "{:number$}  {:email$}  {:20}  {:10}  {:>14}  {}",
            request.name,
            request.email,
            request.requested_at.to_string(),
            request.status,
            request.total.to_string(),
            request.reason,
        );
        print(line.trim_end());
    }
    Ok(())
}

async fn print_reorders(database: &Database) -> Result<(), Failure> {
    let requests = orders::pending_reorders(database).await.map_err(failed)?;
    if requests.is_empty() {
        print("no pending requests to order again");
        return Ok(());
    }
    let width = |field: fn(&PendingReorder) -> &str, min: usize| {
        requests.iter().map(|request| field(request).chars().count()).max().unwrap_or(0).max(min)
    };
    let (number, email) = (width(|request| &request.name, 5), width(|request| &request.email, 8));
    let id = width(|request| &request.id, 2);
    print(format!("{:number$}  {:email$}  {:20}  {:id$}  PRODUCTS", "ORDER", "CUSTOMER", "REQUESTED", "ID"));
    for request in &requests {
        print(format!(
            "{:number$}  {:email$}  {:20}  {:id$}  {}",
            request.name,
            request.email,
            request.requested_at.to_string(),
            request.id,
            request.lines.join("; ").escape_debug(),
        ));
    }
    Ok(())
}

async fn answer(database: &Database, clock: &Clock, number: &str, verdict: Verdict) -> Result<(), Failure> {
    let order = only_order(orders::find_with_request(database, number).await, number)?;
    let (name, verdict_text) = (&order.name, verdict.as_str());
    let mail = match orders::answer_cancellation(database, clock, &order, verdict).await.map_err(failed)? {
        Answered::Mailed => "a mail to the customer is queued",
        Answered::NotMailed => "no mail is sent: no account with a confirmed address has the order",
        Answered::NoRequest => return Err(no_request(&order)),
    };
    print(format!("the cancellation of order {name} is {verdict_text}; {mail}"));
    Ok(())
}

fn no_request(order: &OperatorOrder) -> Failure {
    let name = &order.name;
    if order.cancellation_asked_at.is_none() {
        return failed(format!(
            "order {name} has no cancellation request; order-portal orders cancellations lists those that wait"
        ));
    }
    match order.cancellation_answer.as_ref().zip(order.cancellation_answered_at) {
        None => failed(format!("the cancellation request for order {name} is settled: its status is {}", order.status)),
        Some((verdict, at)) => {
            failed(format!("the cancellation request for order {name} was answered already: {verdict} {at}"))
        }
    }
}

async fn mark_done(database: &Database, clock: &Clock, id: &str) -> Result<(), Failure> {
    if !orders::mark_done(database, id, clock.now()).await.map_err(failed)? {
        let id = id.escape_debug();
        return Err(failed(format!("no pending request has the id \"{id}\"; order-portal orders reorders lists all")));
    }
    print(format!("the request {id} is done"));
    Ok(())
}
