//! `order-portal orders …`: requests of customers that the shop has to process.

use clap::Subcommand;

use super::{Failure, failed, open, print};
use crate::config::Config;
use crate::orders::{self, PendingRequest};

#[derive(Subcommand)]
#[allow(clippy::doc_markdown)] // These comments are what --help prints.
pub(super) enum OrdersCommand {
    /// List pending cancellation requests, the oldest first
    ///
    /// The columns: the order's number, the customer's email, the time of the request (UTC), the order's status and total, and
    /// for a reorder the number of the order that it repeats. An order leaves the list when an import marks it as cancelled or
    /// sent.
    Cancellations,
    /// List pending reorders, the oldest first
    ///
    /// The columns: the order's number, the customer's email, when it was placed (UTC), its status and total, and the number of
    /// the order that it repeats. A reorder leaves the list when an import contains an order of its number.
    Placed,
}

pub(super) async fn run(config: &Config, command: OrdersCommand) -> Result<(), Failure> {
    let database = open(config).await?;
    let (requests, time_column, empty_message) = match command {
        OrdersCommand::Cancellations => {
            (orders::pending_cancellations(&database).await, "ASKED", "no pending cancellation requests")
        }
        OrdersCommand::Placed => (orders::pending_reorders(&database).await, "PLACED", "no pending reorders"),
    };
    database.close().await;
    let requests = requests.map_err(failed)?;
    if requests.is_empty() {
        print(empty_message);
        return Ok(());
    }
    let width = |field: fn(&PendingRequest) -> &str, min: usize| {
        requests.iter().map(|request| field(request).chars().count()).max().unwrap_or(0).max(min)
    };
    let (number, email) = (width(|request| &request.name, 6), width(|request| &request.email, 8));
    print(format!(
        "{:number$}  {:email$}  {time_column:20}  {:10}  {:>14}  REPEATS",
        "ORDER", "CUSTOMER", "STATUS", "TOTAL"
    ));
    for request in &requests {
        let repeats = request.reordered_from.as_ref().map(|number| format!("#{number}")).unwrap_or_default();
        let line = format!(
            "{:number$}  {:email$}  {:20}  {:10}  {:>14}  {repeats}",
            request.name,
            request.email,
            request.requested_at.to_string(),
            request.status,
            request.total.to_string(),
        );
        print(line.trim_end());
    }
    Ok(())
}
