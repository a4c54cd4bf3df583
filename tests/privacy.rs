//! docs/privacy.md names every column that can hold a personal datum, and none that does not exist.

use std::collections::{BTreeMap, BTreeSet};

use crate::app::{ANN, BOB, TestApp};
use crate::sandbox::Sandbox;
use crate::shop::order;

/// Tables and their columns.
type Columns = BTreeMap<String, BTreeSet<String>>;

/// The columns of texts and bytes. Numbers are times, amounts and counts.
async fn columns_of_schema(sandbox: &Sandbox) -> Columns {
    let sql = if sandbox.is_postgres() {
        "SELECT CAST(table_name AS TEXT), CAST(column_name AS TEXT) FROM information_schema.columns
         WHERE table_schema = 'public' AND data_type IN ('text', 'bytea')"
    } else {
        "SELECT t.name, c.name FROM sqlite_master t, pragma_table_info(t.name) c
         WHERE t.type = 'table' AND c.type IN ('TEXT', 'BYTEA')"
    };
    let database = sandbox.database().await;
    let rows: Vec<(String, String)> = sqlx::query_as(sql).fetch_all(&database).await.unwrap();
    database.close().await;
    let mut columns = Columns::new();
    for (table, column) in rows.into_iter().filter(|(table, _)| !table.starts_with("_sqlx")) {
        columns.entry(table).or_default().insert(column);
    }
    columns
}

/// A row of a table in the document begins with the table's name; the second cell has the names of its columns.
fn documented_columns() -> Columns {
    let text = std::fs::read_to_string(concat!(env!("CARGO_MANIFEST_DIR"), "/docs/privacy.md")).unwrap();
    let section = text.split("\n## ").find(|section| section.starts_with("In the database\n")).unwrap();
    let mut columns = Columns::new();
    for row in section.lines().filter_map(|line| line.strip_prefix("| `")) {
        let mut cells = row.split(" | ");
        let table = cells.next().unwrap().trim_end_matches('`');
        let named = cells.next().unwrap().split('`').skip(1).step_by(2).map(str::to_owned);
        columns.entry(table.to_owned()).or_default().extend(named);
    }
    columns
}

#[tokio::test]
async fn privacy_document_names_every_text_column() {
    let sandbox = Sandbox::new().await;
    sandbox.run_ok(&["migrate"]);
    let (schema, documented) = (columns_of_schema(&sandbox).await, documented_columns());
    let pairs = |columns: &Columns| -> BTreeSet<String> {
        columns
            .iter()
            .flat_map(|(table, of_table)| of_table.iter().map(move |column| format!("{table}.{column}")))
            .collect()
    };
    let (schema, documented) = (pairs(&schema), pairs(&documented));
    assert!(schema.len() > 60, "{schema:?}");
    let missing: Vec<&String> = schema.difference(&documented).collect();
    assert!(missing.is_empty(), "docs/privacy.md does not name {missing:?}");
    let unknown: Vec<&String> = documented.difference(&schema).collect();
    assert!(unknown.is_empty(), "docs/privacy.md names columns that do not exist: {unknown:?}");
}

#[tokio::test]
async fn orders_of_a_deleted_account_are_deleted_as_documented() {
    let text = std::fs::read_to_string(concat!(env!("CARGO_MANIFEST_DIR"), "/docs/privacy.md")).unwrap();
    let sql = text.split("```sql\n").nth(1).unwrap().split("```").next().unwrap();
    let app = TestApp::start().await;
    app.verified_customer(ANN).await;
    app.import(&[order("1", ANN), order("2", BOB)]);
    assert_eq!(app.execute(sql).await, 0, "an account has the order");
    app.run_ok(&["user", "delete", ANN]);
    assert_eq!(app.execute(sql).await, 1);
    assert_eq!((app.count("orders").await, app.count("order_lines").await), (1, 1));
    app.verified_customer(BOB).await;
    assert_eq!(app.count("orders WHERE user_id IS NOT NULL").await, 1);
}
