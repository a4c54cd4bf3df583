//! What spreadsheet programs and other shops make of an export: lost and rewritten values, titles above the header row, other names of
//! columns, files of another kind. Each is loaded with the right values or listed with what to do.

use sqlx::AssertSqlSafe;

use crate::app::ANN;
use crate::sandbox::{CommandOutput, Sandbox};
use crate::shop::{COLUMNS, Row, export, export_of, line, order};

async fn migrated() -> Sandbox {
    let sandbox = Sandbox::new().await;
    sandbox.run_ok(&["migrate"]);
    sandbox
}

/// A dry run and the load, which must agree.
fn import(sandbox: &Sandbox, content: impl AsRef<[u8]>) -> CommandOutput {
    sandbox.write("orders.csv", content);
    let dry = sandbox.run(&["import", "--dry-run", "orders.csv"]);
    let done = sandbox.run(&["import", "orders.csv"]);
    let first = done.stdout.lines().next().unwrap_or_default();
    assert!(dry.status == done.status && dry.stdout.starts_with(first), "the dry run predicts else: {dry:?}, {done:?}");
    done
}

/// A value of the only order.
async fn stored(sandbox: &Sandbox, column: &str) -> String {
    let sql = format!("SELECT CAST({column} AS TEXT) FROM orders o JOIN order_lines l ON l.order_id = o.id LIMIT 1");
    sqlx::query_scalar(AssertSqlSafe(sql)).fetch_one(&sandbox.database().await).await.unwrap()
}

async fn delete_all(sandbox: &Sandbox) {
    sqlx::query("DELETE FROM orders").execute(&sandbox.database().await).await.unwrap();
}

fn with_id(row: Row, id: &str) -> String {
    export_of(&[&COLUMNS[..], &["Id"]].concat(), &[row.with("Id", id)])
}

#[tokio::test]
async fn values_in_the_form_of_other_programs_are_read() {
    let sandbox = migrated().await;
    for (column, value, stored_column, expected) in [
        ("Total", "1 029.90", "total", "102990"),
        ("Total", "1\u{202f}029.90", "total", "102990"),
        ("Total", "1'029.90", "total", "102990"),
        ("Total", "'29.90", "total", "2990"),
        ("Total", "\u{200b}29.90\u{200f}", "total", "2990"),
        ("Total", "€1,029.90", "total", "102990"),
        ("Total", "29.90 EUR", "total", "2990"),
        ("Total", "(29.90)", "total", "-2990"),
        ("Total", "29.90-", "total", "-2990"),
        ("Name", "\u{feff}#1\u{200e}", "o.name", "#1"),
        ("Name", "1001.0", "o.name", "1001"),
        ("Name", "=\"1001\"", "o.name", "1001"),
        ("Lineitem sku", "=\"00123\"", "sku", "00123"),
        ("Shipping Zip", "=\"01067\"", "ship_zip", "01067"),
        ("Email", "\u{200b}ann@example.com", "email", "ann@example.com"),
        ("Email", "'ann@example.com", "email", "ann@example.com"),
        ("Email", "Ann Example <ann@example.com>", "email", "ann@example.com"),
        ("Email", "mailto:ann@example.com", "email", "ann@example.com"),
        ("Shipping Zip", "51100.0", "ship_zip", "51100"),
        ("Shipping Name", " Ann  Example ", "ship_name", "Ann  Example"),
        ("Lineitem name", " Pen\u{200b}", "l.name", "Pen"),
        ("Created at", "Mar 25, 2024 10:00 AM", "placed_at", "1711360800"),
        ("Created at", "Mon, 25 Mar 2024 10:00:00 +0000", "placed_at", "1711360800"),
        ("Created at", "25-Mar-24 10:00", "placed_at", "1711360800"),
        ("Created at", "25-03-2024 10:00", "placed_at", "1711360800"),
        ("Created at", "2024-3-25 10:00", "placed_at", "1711360800"),
        ("Created at", "2024.03.25 10:00", "placed_at", "1711360800"),
        ("Financial Status", "wc-completed", "payment_status", "paid"),
        ("Fulfillment Status", "wc-on-hold", "o.fulfillment_status", "on_hold"),
        ("Fulfillment Status", "Partially refunded", "o.fulfillment_status", "unfulfilled"),
        ("Financial Status", "NOT_PAID", "payment_status", "pending"),
        ("Id", "5550001112223.00", "external_id", "5550001112223"),
        ("Lineitem quantity", "3.000", "quantity", "3"),
        ("Created at", "3/25/24 10:00", "placed_at", "1711360800"),
        ("Created at", "2024/03/25 10:00:00", "placed_at", "1711360800"),
        ("Created at", "25.03.2024 10:00:00 a.m.", "placed_at", "1711360800"),
        ("Financial Status", "Payment pending", "payment_status", "pending"),
        ("Id", "5,550,001,112,223", "external_id", "5550001112223"),
        ("Id", "gid://shopify/Order/5550001112223", "external_id", "5550001112223"),
    ] {
        let text = match column {
            "Id" => with_id(order("#1", ANN), value),
            _ => export(&[order("#1", ANN).with(column, value)]),
        };
        let ran = import(&sandbox, text);
        assert!(ran.status == 0 && ran.stdout.starts_with("1 orders with 1 lines: 1 new"), "{column} {value}: {ran:?}");
        assert_eq!(stored(&sandbox, stored_column).await, expected, "{column} {value}");
        delete_all(&sandbox).await;
    }
}

#[tokio::test]
async fn value_with_two_readings_or_without_one_is_invalid() {
    let sandbox = migrated().await;
    for (column, value, part) in [
        ("Lineitem quantity", "1,000", "is 1000 or 1"),
        ("Name", "#NAME?", "spreadsheet program"),
        ("Name", "1.00E+15", "spreadsheet program"),
        ("Created at", "45352.4166", "as a spreadsheet program stores it"),
        ("Created at", "3/1/24", "3 January 2024 or 1 March 2024"),
        ("Total", "#REF!", "is not an amount"),
        ("Total", "1 02.00", "is not an amount"),
        ("Total", "$29.90", "is not an amount"),
        ("Total", "29.90 USD", "is not an amount"),
        ("Created at", "25-03-24", "is not a time"),
        ("Created at", "01-03-2024", "1 March 2024 or 3 January 2024"),
    ] {
        let ran = import(&sandbox, export(&[order("#1", ANN).with(column, value)]));
        assert!(ran.status == 1 && ran.stderr.contains(&format!("line 2, column \"{column}\"")), "{ran:?}");
        assert!(ran.stderr.contains(part), "{column} {value}: {ran:?}");
    }
    assert_eq!(sandbox.count("orders").await, 0);
}

#[tokio::test]
async fn value_that_a_spreadsheet_program_lost_is_listed_and_never_erases_the_known_one() {
    let sandbox = migrated().await;
    assert_eq!(import(&sandbox, with_id(order("#1", ANN), "5550001112223")).status, 0);
    let lost = |column: &str, value: &str| match column {
        "Id" => with_id(order("#1", ANN), value),
        _ => export(&[order("#1", ANN).with(column, value)]),
    };
    for (column, value) in [("Id", "5.55E+12"), ("Id", "1.00E+15"), ("Id", "########"), ("Shipping City", "#NAME?")] {
        let text = lost(column, value);
        let ran = import(&sandbox, &text);
        assert!(ran.stdout.starts_with("1 orders with 1 lines: 0 new, 0 changed, 1 unchanged"), "{ran:?}");
        let part = format!("orders.csv, line 2, column \"{column}\": \"{value}\"");
        assert!(ran.stderr.contains(&part) && ran.stderr.contains("as the shop wrote it"), "{ran:?}");
        assert_eq!(stored(&sandbox, "external_id").await, "5550001112223");
        assert_eq!(stored(&sandbox, "ship_city").await, "Reims");
    }
    let json = sandbox.run_ok(&["import", "--json", "orders.csv"]);
    let json: serde_json::Value = serde_json::from_str(&json).unwrap();
    assert_eq!(json["findings"]["damaged"]["count"], 1);
    let ran = import(&sandbox, export(&[order("#2", ANN).with("Lineitem name", "#NAME?")]));
    assert!(ran.status == 0 && ran.stderr.contains("column \"Lineitem name\": \"#NAME?\""), "{ran:?}");
}

#[tokio::test]
async fn header_row_is_found_below_marks_titles_and_wrong_separators() {
    let sandbox = migrated().await;
    let text = export(&[order("#1", ANN), line("#1", ANN, "Pen")]);
    let quoted = text.replacen("Name,Email", "\"Name\",\"Email\"", 1);
    let (header, rows) = text.split_once('\n').unwrap();
    let utf_16: Vec<u8> = text.encode_utf16().flat_map(u16::to_le_bytes).collect();
    for (name, content) in [
        ("two byte-order marks", format!("\u{feff}\u{feff}{quoted}").into_bytes()),
        ("a title", format!("Orders of May\r\n\r\n{text}").into_bytes()),
        ("a wrong separator", format!("sep=;\n{text}").into_bytes()),
        ("a spaced separator", format!("Sep = ,\n{text}").into_bytes()),
        ("underscores", format!("{}\n{rows}", header.replace(' ', "_").to_lowercase()).into_bytes()),
        ("no spaces", format!("{}\n{rows}", header.replace(' ', "")).into_bytes()),
        ("Ctrl-Z at the end", format!("{text}\u{1a}").into_bytes()),
        ("UTF-16 without a mark", utf_16),
        ("an appended export with quotes", format!("{text}\u{feff}{quoted}").into_bytes()),
    ] {
        let ran = import(&sandbox, content);
        assert!(ran.status == 0 && ran.stdout.starts_with("1 orders with 2 lines: 1 new"), "{name}: {ran:?}");
        delete_all(&sandbox).await;
    }
    let ran = import(&sandbox, format!("Orders of May\n\n{text}").replace("29.90", "x"));
    assert!(ran.stderr.contains("line 3 as its header row") && ran.stderr.contains("line 4, column"), "{ran:?}");
    let ran = import(&sandbox, format!("{text}{}", "\0".repeat(500)));
    assert!(ran.status == 1 && ran.stderr.contains("line 4: the file has only NUL characters"), "{ran:?}");
}

#[tokio::test]
async fn wrong_file_is_named_with_what_to_do() {
    let sandbox = migrated().await;
    let drafts =
        export(&[order("#D1", ANN)]).replacen("Financial Status", "F", 1).replacen("Fulfillment Status", "G", 1);
    let whole_rows: String =
        export(&[order("#1", ANN)]).lines().map(|row| format!("\"{}\"\n", row.replace('"', "\"\""))).collect();
    for (content, parts) in [
        ("Title,URL handle,Description,Status,SKU,Price\n", ["Shopify's export of products", "choose Export"]),
        ("Handle,Title,SKU,Location,Available,On hand\n", ["Shopify's export of the inventory", "choose Export"]),
        ("Payout Date,Status,Charges,Refunds,Fees,Total,Currency\n", ["Shopify's export of payouts", "choose Export"]),
        ("Id,Last Characters,Customer Email,Initial Balance\n", ["Shopify's export of gift cards", "choose Export"]),
        ("Day,Gross sales,Discounts,Returns,Net sales,Taxes\n", ["a report of Shopify", "choose Export"]),
        (&drafts, ["Shopify's export of draft orders", "choose Export"]),
        (&drafts.replacen("Shipping Name", "Recovery Status", 1), ["of abandoned checkouts", "choose Export"]),
        ("Sale Date,Order ID,Full Name,Currency,Order Value,Order Net\n", ["an Etsy export", "--column OURS=THEIRS"]),
        ("order-id\torder-item-id\tpurchase-date\tbuyer-email\n", ["an Amazon export", "--column OURS=THEIRS"]),
        ("Order #,Purchased On,Bill to Name,Status\n", ["a Magento export", "--column OURS=THEIRS"]),
        ("ID;Reference;New client;Delivery;Customer;Total;Payment\n", ["a PrestaShop export", "--column OURS=THEIRS"]),
        ("orderNumber;orderDateTime;amountTotal\n", ["a Shopware export", "--column OURS=THEIRS"]),
        ("Date,Name,Gross,Fee,Net,Transaction ID\n", ["a PayPal report", "export the orders of the shop"]),
        (&whole_rows, ["each row is one quoted cell", "export the orders again"]),
        ("{\\rtf1\\ansi Name,Email}", ["a rich text document", "as CSV"]),
        ("<table><tr><td>Name</td></tr></table>", ["a table that is named as an Excel workbook", "save it as CSV"]),
        ("<!-- shop --><html></html>", ["an HTML page", "log in"]),
        ("PK\x05\x06\0\0\0\0", ["an empty zip archive", "download the export again"]),
    ] {
        let ran = import(&sandbox, content);
        assert_eq!((ran.status, ran.stderr.lines().count()), (1, 1), "{ran:?}");
        assert!(parts.iter().all(|part| ran.stderr.contains(part)), "{parts:?} is not in {ran:?}");
    }
    // A wrong file of Shopify needs no currency.
    let ran = import(&sandbox, "Title,URL handle,Description,Status,SKU,Price\n");
    assert!(!ran.stderr.contains("Currency=EUR"), "{ran:?}");
}
