//! Files as shops and programs really write them.

use serde_json::{Value, json};

use crate::app::TestApp;
use crate::sandbox::CommandOutput;
use crate::shop::{COLUMNS, Row, export, export_of, line, order};

const ANN: &str = "ann@example.com";

async fn app_with_ann() -> TestApp {
    let app = TestApp::start().await;
    app.verified_customer(ANN).await;
    app
}

fn import(app: &TestApp, arguments: &[&str], content: impl AsRef<[u8]>) -> CommandOutput {
    app.write("orders.csv", content);
    app.run(&[&["import", "orders.csv"], arguments].concat())
}

/// Imports one order and answers it from the API.
async fn imported(app: &TestApp, content: impl AsRef<[u8]>, number: &str) -> Value {
    let ran = import(app, &[], content);
    assert_eq!(ran.status, 0, "{ran:?}");
    let token = app.api_token(ANN).await;
    app.api_get(&format!("/api/userOrders/{number}"), &token).await.json()
}

#[tokio::test]
async fn order_names_are_any_printable_text() {
    let app = TestApp::start().await;
    let mut ann = app.verified_customer(ANN).await;
    let long = "9".repeat(255);
    let names = [
        ("#EU 1001", "EU 1001", "EU%201001"),
        ("1001/A", "1001/A", "1001%2FA"),
        ("n° 7", "n° 7", "n%C2%B0%207"),
        ("#1001#2", "1001#2", "1001%232"),
        ("100%?&=+", "100%?&=+", "100%25%3F%26%3D%2B"),
        ("'#1002", "1002", "1002"),
        ("注文1", "注文1", "%E6%B3%A8%E6%96%871"),
        (&long, &long, &long),
    ];
    let rows: Vec<Row> = names.iter().map(|(name, ..)| order(name, ANN)).collect();
    let ran = import(&app, &[], export(&rows));
    assert_eq!(ran.status, 0, "{ran:?}");
    let token = app.api_token(ANN).await;
    let list = ann.get("/orders").await.text();
    for (name, number, path) in names {
        let page = ann.get(&format!("/orders/{path}")).await;
        assert!(page.is_page(200), "{name}: {}", page.status);
        let shown = name.trim_start_matches('\'').replace('&', "&#38;");
        assert!(page.text().contains(&format!("<h1>Order {shown}</h1>")), "{name}");
        assert!(list.contains(&format!("href=\"/orders/{path}\"")), "{name} is not linked");
        let order = app.api_get(&format!("/api/userOrders/{path}"), &token).await.json();
        assert_eq!(order["number"], number);
        // Each page has its forms under its own address.
        assert!(page.text().contains(&format!("/orders/{path}/again")), "{name}");
    }
    for name in [&"9".repeat(256), "..", "a\u{7}b"] {
        let ran = import(&app, &[], export(&[order(name, ANN)]));
        assert!(ran.status == 1 && ran.stderr.contains("column \"Name\""), "{name}: {ran:?}");
    }
}

#[tokio::test]
async fn exchanges_have_negative_amounts_and_orders_may_have_no_line() {
    let app = app_with_ann().await;
    let exchange = [
        order("#1", ANN).with("Total", "-5.00").with("Subtotal", "-9.90"),
        line("#1", ANN, "Returned pen").with("Lineitem quantity", "-1").with("Lineitem price", "-3.00"),
    ];
    let exchanged = imported(&app, export(&exchange), "1").await;
    assert_eq!((&exchanged["total"], &exchanged["lines"][1]["quantity"]), (&json!(-500), &json!(-1)));
    let empty = order("#2", ANN).with("Lineitem quantity", "").with("Lineitem name", "").with("Lineitem price", "");
    let empty = imported(&app, export(&[empty.with("Lineitem sku", "").with("Lineitem discount", "")]), "2").await;
    assert_eq!((&empty["line_count"], &empty["lines"]), (&json!(0), &json!([])));
    let refunded = order("#3", ANN).with("Refunded Amount", "-5.00").with("Financial Status", "partially_refunded");
    assert_eq!(imported(&app, export(&[refunded]), "3").await["refunded"], 500);
}

#[tokio::test]
async fn order_values_may_be_repeated_and_come_after_lines() {
    let app = app_with_ann().await;
    let repeated = [order("#1", ANN), order("#1", ANN).with("Lineitem name", "Pen").with("Lineitem sku", "PEN")];
    assert_eq!(imported(&app, export(&repeated), "1").await["line_count"], 2);
    let sorted = [line("#2", ANN, "Pen"), order("#2", ANN)];
    let lines = imported(&app, export(&sorted), "2").await["lines"].clone();
    assert_eq!((&lines[0]["name"], &lines[1]["name"]), (&json!("Pen"), &json!("Notebook, ruled")));
    let unnamed = [order("#3", ANN), line("", "", "Pen"), order("#4", ANN)];
    assert_eq!(imported(&app, export(&unnamed), "3").await["line_count"], 2);
    // The same row twice is one line, and the operator is told.
    let ran = import(&app, &[], export(&[order("#5", ANN), order("#5", ANN)]));
    assert!(ran.status == 0 && ran.stdout.starts_with("1 orders with 1 lines"), "{ran:?}");
    assert!(ran.stderr.contains("orders.csv, line 3: the row is the same as line 2"), "{ran:?}");
    let ran = import(&app, &[], export(&[order("#6", ANN), order("#6", ANN).with("Total", "1.00")]));
    assert!(ran.status == 1 && ran.stderr.contains("order #6 is in the file twice (line 2)"), "{ran:?}");
}

#[tokio::test]
async fn amounts_finer_than_the_currency_are_rounded_and_reported_once() {
    let app = app_with_ann().await;
    let rows = [
        order("#1", ANN).with("Taxes", "3.992").with("Lineitem discount", "3.3333"),
        order("#2", ANN).with("Currency", "JPY").with("Total", "1200.50"),
    ];
    let ran = import(&app, &[], export(&rows));
    assert_eq!(ran.status, 0, "{ran:?}");
    let said: Vec<&str> = ran.stderr.lines().filter(|line| line.contains("rounded")).collect();
    assert!(said.len() == 1 && said[0].contains("amounts were finer"), "{ran:?}");
    let order = imported(&app, export(&rows), "1").await;
    assert_eq!((&order["taxes"], &order["lines"][0]["discount"]), (&json!(399), &json!(333)));
}

#[tokio::test]
async fn large_amounts_and_withdrawn_currencies_are_accepted() {
    let app = app_with_ann().await;
    for (number, currency, total, minor) in [
        ("1", "IDR", "12000000000.00", json!(1_200_000_000_000_i64)),
        ("2", "LTL", "20.00", json!(2_000)),
        ("3", "byr ", "20", json!(20)),
        ("4", "VEF", "1000000000000", json!(100_000_000_000_000_i64)),
    ] {
        let row = order(&format!("#{number}"), ANN).with("Currency", currency).with("Total", total);
        assert_eq!(imported(&app, export(&[row]), number).await["total"], minor, "{currency}");
    }
    let ran = import(
        &app,
        &[],
        export(&[order("#5", ANN).with("Lineitem price", "900000000000").with("Lineitem quantity", "1000000")]),
    );
    assert!(ran.status == 1 && ran.stderr.contains("larger than can be stored"), "{ran:?}");
}

/// Three orders with accents, as each program would write them.
fn rows() -> Vec<Row> {
    let named = |number: &str| order(number, ANN).with("Shipping Name", "Zoë Müller").with("Shipping City", "Köln");
    vec![named("#1"), line("#1", ANN, "Größe „L“ – blau"), named("#2"), named("#3")]
}

async fn assert_accents(app: &TestApp, content: impl AsRef<[u8]>, assumed: &str) {
    let content = content.as_ref();
    let ran = import(app, &[], content);
    assert!(ran.status == 0 && ran.stdout.starts_with("3 orders with 4 lines"), "{ran:?}");
    assert!(ran.stderr.contains(assumed), "{assumed} is not in {ran:?}");
    let order = imported(app, content, "1").await;
    assert_eq!((&order["shipping_address"]["name"], &order["total"]), (&json!("Zoë Müller"), &json!(2990)));
    assert_eq!(order["lines"][1]["name"], "Größe „L“ – blau");
}

#[tokio::test]
async fn other_encodings_and_separators_are_recognized() {
    let app = app_with_ann().await;
    let text = export(&rows());
    let (windows, ..) = encoding_rs::WINDOWS_1252.encode(&text);
    assert_accents(&app, &windows, "orders.csv was read with its characters as windows-1252").await;
    let utf_16: Vec<u8> = "\u{feff}".encode_utf16().chain(text.encode_utf16()).flat_map(u16::to_le_bytes).collect();
    assert_accents(&app, utf_16, "UTF-16LE").await;
    for (delimiter, prefix, assumed) in
        [(b';', "", "semicolons"), (b'\t', "", "tabs"), (b';', "sep=;\r\n", "semicolons"), (b',', "sep=,\n", "")]
    {
        let mut writer = csv::WriterBuilder::new().delimiter(delimiter).from_writer(Vec::new());
        for record in csv::ReaderBuilder::new().has_headers(false).from_reader(text.as_bytes()).records() {
            let record = record.unwrap();
            let decimal = |cell: &str| {
                if delimiter == b',' { cell.to_owned() } else { cell.replace(".90", ",90").replace(".50", ",50") }
            };
            writer.write_record(record.iter().map(decimal)).unwrap();
        }
        let written = String::from_utf8(writer.into_inner().unwrap()).unwrap();
        assert_accents(&app, format!("{prefix}{written}"), assumed).await;
    }
    // A file that is UTF-8 with damage is not read as something else.
    let damaged = [text.as_bytes(), b"#4,ann@example.com,\xff\n"].concat();
    let ran = import(&app, &[], damaged);
    assert!(ran.status == 1 && ran.stderr.contains("line 6: the row is not UTF-8"), "{ran:?}");
}

#[tokio::test]
async fn lines_are_counted_behind_a_declared_separator() {
    let app = app_with_ann().await;
    let ran = import(&app, &[], format!("sep=,\n{}", export(&[order("#1", ANN), order("#2", ANN).with("Total", "x")])));
    assert!(ran.status == 1 && ran.stderr.contains("orders.csv, line 4, column \"Total\""), "{ran:?}");
}

#[tokio::test]
async fn spreadsheet_programs_may_pad_and_shorten() {
    let app = app_with_ann().await;
    let header = COLUMNS.map(|name| format!("  {} ", name.to_uppercase())).join(",");
    let padded = order("#1", &format!(" {ANN} "))
        .with("Currency", "EUR ")
        .with("Total", " 29.90 ")
        .with("Taxes", ".5")
        .with("Lineitem quantity", "2.0")
        .with("Paid at", " ")
        .with("Created at", "2024-03-01 10:00:00 UTC");
    let text = export(&[padded]);
    let row = text.lines().nth(1).unwrap();
    let empty = ",".repeat(40);
    let text = format!("{header}\n{row},,,\n{empty}\n#1,,,,,,,,,,,,,,,,1,Pen,3.00\n\n");
    let order = imported(&app, text, "1").await;
    assert_eq!((&order["total"], &order["taxes"], &order["line_count"]), (&json!(2990), &json!(50), &json!(2)));
    assert_eq!((&order["paid_at"], &order["placed_at"]), (&Value::Null, &json!("2024-03-01T10:00:00Z")));
}

#[tokio::test]
async fn row_with_an_open_quote_or_surplus_cells_is_rejected() {
    let app = app_with_ann().await;
    let text = export(&[order("#1", ANN), order("#2", ANN), order("#3", ANN)]);
    let lines: Vec<&str> = text.lines().collect();
    for (column, name) in [("Ann Example", "a shipping name"), ("Long Lane 5", "an address")] {
        let open = lines[1].replacen(column, &format!("\"{column}"), 1);
        let ran = import(&app, &[], [lines[0], &open, lines[2], lines[3]].join("\n"));
        assert!(ran.status == 1 && ran.stderr.contains("line 2: ") && ran.stderr.contains("quote"), "{name}: {ran:?}");
    }
    let last = lines[3].replacen("Long Lane 5", "\"Long Lane 5", 1);
    let ran = import(&app, &[], [lines[0], lines[1], lines[2], &last, ""].join("\n"));
    assert!(ran.status == 1 && ran.stderr.contains("line 4: a quote (\") opens"), "{ran:?}");
    let ran = import(&app, &[], format!("{}\n{},surplus\n", lines[0], lines[1]));
    assert!(ran.status == 1 && ran.stderr.contains("line 2: the row has 37 cells where the first has 36"), "{ran:?}");
}

#[tokio::test]
async fn exports_may_be_concatenated() {
    let app = app_with_ann().await;
    let text = format!(
        "{}\u{feff}{}",
        export(&[order("#1", ANN), order("#2", ANN)]),
        export(&[order("#2", ANN).with("Total", "5.00")])
    );
    let ran = import(&app, &["--dry-run"], &text);
    assert!(ran.stdout.starts_with("2 orders with 2 lines: 2 new"), "{ran:?}");
    assert_eq!(imported(&app, text, "2").await["total"], 500);
}

#[tokio::test]
async fn file_that_is_no_csv_is_named() {
    let app = app_with_ann().await;
    let files: [(&[u8], &str); 5] = [
        (b"PK\x03\x04\x14\0\0\0[Content_Types].xml", "is an Excel workbook (xlsx)"),
        (b"\x1f\x8b\x08\0\0", "is compressed with gzip"),
        (b"{\"orders\": []}", "is a JSON file"),
        (b"<!doctype html><title>Log in</title>", "is an HTML page"),
        (b"\0\0\0\0", "is a binary file"),
    ];
    for (content, kind) in files {
        let ran = import(&app, &[], content);
        assert_eq!((ran.status, ran.stderr.lines().count()), (1, 1), "{ran:?}");
        assert!(ran.stderr.contains(&format!("orders.csv {kind}")), "{ran:?}");
    }
}

#[tokio::test]
async fn missing_columns_are_listed_together_with_those_found() {
    let app = app_with_ann().await;
    let ran = import(&app, &[], "Name,Email,Amount\n#1,a@example.com,3\n");
    for part in
        ["\"Financial Status\"", "\"Total\"", "\"Lineitem price\"", "the file has Name, Email, Amount", "--column"]
    {
        assert!(ran.stderr.contains(part), "{part} is not in {ran:?}");
    }
    assert_eq!((ran.status, ran.stderr.lines().count()), (1, 1), "{ran:?}");
    let ran = import(&app, &[], "First Name,Last Name,Email,Total Spent,Total Orders\n");
    assert!(
        ran.stderr.contains("Shopify's export of customers") && ran.stderr.contains("Orders and choose Export"),
        "{ran:?}"
    );
    let ran = import(&app, &[], export(&[order("#1", ANN)]).replace("Accepts Marketing", "Total"));
    assert!(ran.stderr.contains("the column \"Total\" is there twice"), "{ran:?}");
}

#[tokio::test]
async fn columns_of_other_shops_are_mapped() {
    let app = app_with_ann().await;
    let names: Vec<String> = COLUMNS
        .iter()
        .map(|name| if *name == "Created at" { "Order day".to_owned() } else { (*name).to_owned() })
        .collect();
    let text = export_of(&COLUMNS, &[order("#1", ANN)]);
    let text = format!("{}\n{}", names.join(","), text.lines().nth(1).unwrap());
    let ran = import(&app, &["--column", "created at=ORDER DAY"], &text);
    assert!(ran.status == 0 && ran.stdout.contains("1 new"), "{ran:?}");
    let ran = import(&app, &["--column", "Created at=Nowhere"], &text);
    assert!(ran.status == 1 && ran.stderr.contains("there is no column \"Nowhere\""), "{ran:?}");
    let without_currency = text.replacen(",EUR,", ",,", 1).replacen("Currency", "Money", 1);
    let ran = import(&app, &["--column", "created at=order day", "--column", "Currency=usd"], without_currency);
    assert!(ran.status == 0 && ran.stdout.contains("1 changed"), "{ran:?}");
    for mapping in ["Colour=Red", "Total"] {
        assert_eq!(import(&app, &["--column", mapping], &text).status, 2, "{mapping}");
    }
}

#[tokio::test]
async fn sample_of_the_help_loads() {
    let app = app_with_ann().await;
    let help = app.run_ok(&["import", "--help"]);
    let sample = help.lines().skip_while(|line| !line.starts_with("  Name,Email,")).take(3).map(str::trim);
    let sample: Vec<&str> = sample.collect();
    let order = imported(&app, sample.join("\n"), "1001").await;
    assert_eq!(
        (&order["line_count"], &order["total"], &order["placed_at"]),
        (&json!(2), &json!(3290), &json!("2024-03-01T09:00:00Z"))
    );
}

#[tokio::test]
async fn page_and_api_show_what_the_export_says_besides() {
    let app = TestApp::start().await;
    let mut ann = app.verified_customer(ANN).await;
    let more = [
        ("Billing Name", "Ann at work"),
        ("Shipping Method", "Express"),
        ("Payment Method", "Gift Card + Card"),
        ("Discount Code", "SPRING"),
        ("Tax 1 Name", "DE MwSt 19%"),
        ("Tax 1 Value", "3.99"),
        ("Duties", "6.00"),
        ("Outstanding Balance", "10.00"),
        ("Shipping Province", "GES"),
        ("Shipping Province Name", "Grand Est"),
        ("Billing Province", "BRE"),
        ("Billing Province Name", "Bretagne"),
        ("Tracking Company", "Post"),
        ("Tracking Number", "'0042"),
        ("Tracking Url", "https://post.example/0042"),
    ];
    let first = order("#1", ANN)
        .with("Fulfillment Status", "partial")
        .with("Financial Status", "partially_paid")
        .with("Lineitem fulfillment status", "fulfilled")
        .with("Total", "35.90");
    let first = more.iter().fold(first, |row, (column, value)| row.with(column, value));
    let rows = [first, line("#1", ANN, "Pen").with("Lineitem fulfillment status", "unfulfilled")];
    let columns: Vec<&str> = COLUMNS.into_iter().chain(more.map(|(column, _)| column)).collect();
    let columns: Vec<&str> =
        columns.iter().enumerate().filter(|(at, name)| !columns[..*at].contains(name)).map(|(_, name)| *name).collect();
    let order = imported(&app, export_of(&columns, &rows), "1").await;
    assert_eq!(order["tax_lines"], json!([{ "name": "DE MwSt 19%", "amount": 399 }]));
    assert_eq!((&order["duties"], &order["outstanding"], &order["tip"]), (&json!(600), &json!(1000), &Value::Null));
    assert_eq!(order["tracking"], json!({ "company": "Post", "number": "0042", "url": "https://post.example/0042" }));
    assert_eq!((&order["billing_address"]["name"], &order["discount_code"]), (&json!("Ann at work"), &json!("SPRING")));
    assert_eq!(
        (&order["billing_province_name"], &order["shipping_province_name"]),
        (&json!("Bretagne"), &json!("Grand Est"))
    );
    assert!(ann.get("/orders.csv").await.text().contains("Bretagne"));
    let page = ann.get("/orders/1").await.text();
    for part in [
        "1 of 2 sent",
        "Express",
        "Gift Card + Card",
        "SPRING",
        "DE MwSt 19% €3.99",
        "Duties",
        "Amount due",
        "Grand Est",
        "Bretagne",
        "Ann at work",
        "<a href=\"https://post.example/0042\" rel=\"noreferrer\">Post 0042</a>",
    ] {
        assert!(page.contains(part), "{part} is not on {page}");
    }
    // The shop never reported a delivery.
    assert!(!page.contains("Delivered"), "{page}");
    imported(&app, export(&[self::order("#2", ANN).with("Fulfillment Status", "delivered")]), "2").await;
    assert!(ann.get("/orders/1").await.text().contains("Delivered"));
}

#[tokio::test]
async fn time_without_offset_is_in_the_zone_of_the_shop() {
    let app = TestApp::start_with(&[("SHOP_TIME_ZONE", "Europe/Berlin")]).await;
    let mut ann = app.verified_customer(ANN).await;
    let order = imported(&app, export(&[order("#1", ANN).with("Created at", "2024-05-01 00:30:00")]), "1").await;
    assert_eq!(order["placed_at"], "2024-04-30T22:30:00Z");
    assert!(ann.get("/orders/1").await.text().contains("1 May 2024"), "the day is not that of the shop");
}
