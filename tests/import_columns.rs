//! Columns that the operator maps with `--column`.

use crate::sandbox::{CommandOutput, Sandbox};
use crate::shop::{COLUMNS, export, export_of, order};

const ANN: &str = "ann@example.com";

async fn migrated() -> Sandbox {
    let sandbox = Sandbox::new().await;
    sandbox.run_ok(&["migrate"]);
    sandbox
}

fn import(sandbox: &Sandbox, arguments: &[&str], content: &str) -> CommandOutput {
    sandbox.write("orders.csv", content);
    sandbox.run(&[&["import", "orders.csv"], arguments].concat())
}

/// The currency of the only order.
async fn currency(sandbox: &Sandbox) -> String {
    let database = sandbox.database().await;
    let currency = sqlx::query_scalar("SELECT currency FROM orders").fetch_one(&database).await.unwrap();
    sqlx::query("DELETE FROM orders").execute(&database).await.unwrap();
    database.close().await;
    currency
}

#[tokio::test]
async fn mapped_columns_that_are_absent_are_named_together_with_what_to_do() {
    let sandbox = migrated().await;
    let arguments = ["--column", "Created at=Nowhere", "--column", "Total=Sum", "--column", "Currency=Bitcoin"];
    let ran = import(&sandbox, &arguments, &export(&[order("#1", ANN)]));
    for part in [
        "orders.csv, line 1: there is no column \"Bitcoin\" or \"Sum\" or \"Nowhere\"",
        "the file has Name, Email",
        "name one of these in --column \"Currency=\" and --column \"Total=\" and --column \"Created at=\"",
        "Currency=EUR",
    ] {
        assert!(ran.is_one_line_error(1) && ran.stderr.contains(part), "{part} is not in {ran:?}");
    }
}

#[tokio::test]
async fn mapping_that_cannot_be_meant_is_wrong_usage() {
    let sandbox = migrated().await;
    let content = export(&[order("#1", ANN)]);
    for (arguments, part) in [
        (&["--column", "Total="][..], "name the file's column"),
        (&["--column", "=Sum"], "is no column"),
        (&["--column", "Total=Sum", "--column", "total=Amount"], "given twice"),
    ] {
        let ran = import(&sandbox, arguments, &content);
        assert!(ran.status == 2 && ran.stderr.contains(part), "{ran:?}");
    }
}

#[tokio::test]
async fn currency_of_the_operator_is_that_of_orders_without_one() {
    let sandbox = migrated().await;
    let columns: Vec<&str> = COLUMNS.into_iter().filter(|name| *name != "Currency").collect();
    for (content, expected) in [
        (export_of(&columns, &[order("#1", ANN)]), "USD"),
        (export(&[order("#1", ANN).with("Currency", " ")]), "USD"),
        // Never relabelled.
        (export(&[order("#1", ANN)]), "EUR"),
    ] {
        let ran = import(&sandbox, &["--column", "Currency=usd"], &content);
        assert!(ran.status == 0, "{ran:?}");
        assert_eq!(currency(&sandbox).await, expected, "{content}");
    }
}
