//! `order-portal orders …`: requests of customers that the shop has to process, single orders, past imports.

use clap::Subcommand;

use super::{Failure, failed, open, print};
use crate::config::Config;
use crate::database::{Database, Error};
use crate::domain::UnixSeconds;
use crate::orders::{self, OperatorOrder, PendingRequest};

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
    #[command(alias = "placed")]
    Reorders,
    /// Show an order of the shop: its account, its states and times, its total
    Show {
        /// The order's number, with or without #; or its Id
        number: String,
    },
    /// List past imports, the newest first: their files, how many orders they brought, and how they ended
    Imports {
        /// At most so many
        #[arg(long, default_value_t = 20, value_name = "COUNT")]
        limit: u32,
    },
}

pub(super) async fn run(config: &Config, command: OrdersCommand) -> Result<(), Failure> {
    let database = open(config).await?;
    let done = match command {
        OrdersCommand::Cancellations => {
            let requests = orders::pending_cancellations(&database).await;
            print_requests(requests, "ASKED", "no pending cancellation requests")
        }
        OrdersCommand::Reorders => {
            print_requests(orders::pending_reorders(&database).await, "PLACED", "no pending reorders")
        }
        OrdersCommand::Show { number } => show(&database, &number).await,
        OrdersCommand::Imports { limit } => print_imports(&database, limit).await,
    };
    database.close().await;
    done
}

/// The only order that an operator's NUMBER names.
pub(super) async fn find_one_order(database: &Database, number: &str) -> Result<OperatorOrder, Failure> {
    let mut found = orders::find_by_number_or_id(database, number).await.map_err(failed)?;
    if found.len() > 1 {
        let orders = found.iter().map(|order| {
            let shop = if order.shop.is_empty() { String::new() } else { format!(" of {}", order.shop) };
            format!("{} ({}{shop}, placed {})", order.distinct_id(), order.name, order.placed_at)
        });
        let orders = orders.collect::<Vec<_>>().join(", ");
        return Err(failed(format!("several orders have the number {number}; give one of these ids: {orders}")));
    }
    found.pop().ok_or_else(|| failed(format!("no order has the number {number}; import it first")))
}

async fn show(database: &Database, number: &str) -> Result<(), Failure> {
    let order = find_one_order(database, number).await?;
    for (name, value) in shown_fields(&order).map_err(failed)? {
        if !value.is_empty() {
            print(format!("{name:14}{value}"));
        }
    }
    Ok(())
}

fn shown_fields(order: &OperatorOrder) -> Result<[(&'static str, String); 17], Error> {
    let time = |at: Option<UnixSeconds>| at.map(|at| at.to_string()).unwrap_or_default();
    let refunded = order.refunded()?;
    Ok([
        ("order", order.name.clone()),
        ("shop", order.shop.clone()),
        ("id", order.distinct_id().to_owned()),
        ("page", format!("/orders/{}", order.number)),
        ("email", order.email.clone().unwrap_or_else(|| "none".to_owned())),
        ("account", order.account.clone().unwrap_or_else(|| "none; see order-portal user link --help".to_owned())),
        ("status", order.status.clone()),
        ("payment", order.payment_status.clone()),
        ("fulfilment", order.fulfillment_status.clone()),
        ("placed", order.placed_at.to_string()),
        ("paid", time(order.paid_at)),
        ("fulfilled", time(order.fulfilled_at)),
        ("cancelled", time(order.cancelled_at)),
        ("asked", time(order.cancellation_asked_at)),
        ("total", format!("{} for {} lines", order.total()?, order.line_count)),
        ("refunded", if refunded.is_zero() { String::new() } else { refunded.to_string() }),
        ("repeats", order.reordered_from.clone().unwrap_or_default()),
    ])
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

fn print_requests(
    requests: Result<Vec<PendingRequest>, Error>,
    time_column: &str,
    empty_message: &str,
) -> Result<(), Failure> {
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
        "{:number$}  {:email$}  {time_column:20}  {:14}  {:>14}  REPEATS",
        "ORDER", "CUSTOMER", "STATUS", "TOTAL"
    ));
    for request in &requests {
        let repeats = request.reordered_from.as_ref().map(|number| format!("#{number}")).unwrap_or_default();
        let line = format!(
            "{:number$}  {:email$}  {:20}  {:14}  {:>14}  {repeats}",
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
