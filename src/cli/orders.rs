//! `order-portal orders …`: requests of customers that wait for the shop.

use clap::Subcommand;

use super::{Failure, failed, open, print};
use crate::config::Config;
use crate::orders::{self, ToDo};

#[derive(Subcommand)]
#[allow(clippy::doc_markdown)] // These comments are what --help prints.
pub(super) enum OrdersCommand {
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

pub(super) async fn run(config: &Config, command: OrdersCommand) -> Result<(), Failure> {
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
