//! Imports replace no order by another one, and erase nothing that a file does not have.

use serde_json::Value;

use crate::app::TestApp;
use crate::sandbox::CommandOutput;
use crate::shop::{COLUMNS, Row, export, export_of, line, order};

const ANN: &str = "ann@example.com";
const BOB: &str = "bob@example.com";

async fn app_with_customers() -> TestApp {
    let app = TestApp::start().await;
    app.verified_customer(ANN).await;
    app.verified_customer(BOB).await;
    app
}

/// The columns of a Shopify export with the `Id` of orders.
fn export_with_id(rows: &[Row]) -> String {
    export_of(&[&COLUMNS[..], &["Id"]].concat(), rows)
}

/// The first order of a second shop.
fn order_of_bob(number: &str) -> Row {
    order(number, BOB).with("Created at", "2024-05-09 08:00:00 +0000").with("Lineitem name", "Teapot")
}

fn import(app: &TestApp, arguments: &[&str], content: String) -> CommandOutput {
    app.write("orders.csv", content);
    app.run(&[&["import", "orders.csv"], arguments].concat())
}

#[track_caller]
fn import_valid(app: &TestApp, arguments: &[&str], content: String) -> String {
    let ran = import(app, arguments, content);
    assert_eq!(ran.status, 0, "{ran:?}");
    ran.stdout
}

/// The numbers of the customer's orders in the API, sorted.
async fn numbers(app: &TestApp, email: &str) -> Vec<String> {
    let token = app.api_token(email).await;
    let list = app.api_get("/api/userOrders?limit=100", &token).await.json();
    let mut numbers: Vec<String> =
        list["orders"].as_array().unwrap().iter().map(|order| order["number"].as_str().unwrap().to_owned()).collect();
    numbers.sort();
    numbers
}

async fn api_order(app: &TestApp, email: &str, number: &str) -> Value {
    let token = app.api_token(email).await;
    app.api_get(&format!("/api/userOrders/{number}"), &token).await.json()
}

#[tokio::test]
async fn same_number_with_another_id_is_another_order() {
    let app = app_with_customers().await;
    import_valid(&app, &[], export_with_id(&[order("#1001", ANN).with("Id", "5550001")]));
    let other = order_of_bob("#1001").with("Id", "7770001");
    let printed = import_valid(&app, &[], export_with_id(std::slice::from_ref(&other)));
    assert!(printed.starts_with("1 orders with 1 lines: 1 new"), "{printed}");
    assert_eq!(
        (numbers(&app, ANN).await, numbers(&app, BOB).await),
        (vec!["1001".to_owned()], vec!["1001".to_owned()])
    );
    assert_eq!(api_order(&app, ANN, "1001").await["lines"][0]["name"], "Notebook, ruled");
    assert_eq!(api_order(&app, BOB, "1001").await["lines"][0]["name"], "Teapot");
    // Each is updated by its own id.
    let printed = import_valid(&app, &[], export_with_id(&[other.with("Total", "99.00")]));
    assert!(printed.contains("0 new, 1 changed"), "{printed}");
    assert_eq!(api_order(&app, BOB, "1001").await["total"], 9900);
    assert_eq!(api_order(&app, ANN, "1001").await["total"], 2990);
}

#[tokio::test]
async fn one_file_may_have_two_orders_of_one_number() {
    let app = app_with_customers().await;
    let rows = [
        order("#1001", ANN).with("Id", "1"),
        line("#1001", ANN, "Pen"),
        order_of_bob("#1001").with("Id", "2"),
        line("#1001", BOB, "Lid"),
    ];
    let printed = import_valid(&app, &[], export_with_id(&rows));
    assert!(printed.starts_with("2 orders with 4 lines: 2 new"), "{printed}");
    assert_eq!(api_order(&app, BOB, "1001").await["lines"][1]["name"], "Lid");
    let printed = import_valid(&app, &[], export_with_id(&rows));
    assert!(printed.contains("0 new, 0 changed, 2 unchanged"), "{printed}");
}

#[tokio::test]
async fn second_order_of_a_number_gets_a_suffix_for_its_customer() {
    let app = TestApp::start().await;
    let mut ann = app.verified_customer(ANN).await;
    let second = order("#1001", ANN).with("Id", "2").with("Total", "50.00");
    import_valid(&app, &[], export_with_id(&[order("#1001", ANN).with("Id", "1"), second.clone()]));
    assert_eq!(numbers(&app, ANN).await, ["1001", "1001-2"]);
    assert_eq!(api_order(&app, ANN, "1001-2").await["total"], 5000);
    let page = ann.get("/orders/1001-2").await;
    assert!(page.is_page(200) && page.text().contains(">Order #1001<"), "{}", page.text());
    // Imported again, the numbers stay.
    import_valid(&app, &[], export_with_id(&[second.with("Total", "51.00")]));
    assert_eq!(api_order(&app, ANN, "1001-2").await["total"], 5100);
}

#[tokio::test]
async fn address_of_an_order_goes_by_placed_time_within_an_import_and_never_moves() {
    let app = app_with_customers().await;
    let at = |id: &str, placed: &str, product: &str| {
        order("#1001", ANN).with("Id", id).with("Created at", placed).with("Lineitem name", product)
    };
    // As Shopify exports them: the newest first.
    let rows = [at("3", "2024-03-09 08:00:00 +0000", "Newer"), at("2", "2024-02-09 08:00:00 +0000", "Older")];
    import_valid(&app, &[], export_with_id(&rows));
    let products = async |numbers: [&str; 3]| {
        let mut products = Vec::new();
        for number in numbers {
            products.push(api_order(&app, ANN, number).await["lines"][0]["name"].clone());
        }
        products
    };
    assert_eq!(products(["1001", "1001-2", "1001-3"]).await, [Value::from("Older"), "Newer".into(), Value::Null]);
    // A later import brings one that was placed before both, and changes the others.
    let [newer, older] = rows.map(|row| row.with("Total", "99.00"));
    let oldest = at("1", "2024-01-09 08:00:00 +0000", "Oldest");
    import_valid(&app, &[], export_with_id(&[newer, older, oldest]));
    assert_eq!(products(["1001", "1001-2", "1001-3"]).await, ["Older", "Newer", "Oldest"]);
}

#[tokio::test]
async fn equal_numbers_get_a_suffix_when_a_verified_customer_claims_them() {
    let app = TestApp::start().await;
    let rows: Vec<Row> = ["1", "2", "3"].map(|id| order("#1001", ANN).with("Id", id)).to_vec();
    import_valid(&app, &[], export_with_id(&[rows, vec![order("#1001-2", ANN)]].concat()));
    app.verified_customer(ANN).await;
    assert_eq!(numbers(&app, ANN).await, ["1001", "1001-2", "1001-3", "1001-4"]);
}

#[tokio::test]
async fn shops_have_numbers_of_their_own() {
    let app = app_with_customers().await;
    import_valid(&app, &["--shop", "Tea Shop"], export(&[order("#1001", ANN)]));
    let printed = import_valid(&app, &["--shop", "Pot Shop"], export(&[order_of_bob("#1001")]));
    assert!(printed.contains("1 new"), "{printed}");
    import_valid(&app, &["--shop", "Pot Shop"], export(&[order("#1002", ANN)]));
    assert_eq!(numbers(&app, ANN).await, ["1001", "1002"]);
    let printed = import_valid(&app, &["--shop", "Tea Shop"], export(&[order("#1001", ANN)]));
    assert!(printed.contains("1 unchanged"), "{printed}");
    let ran = import(&app, &["--shop", " "], String::new());
    assert_eq!(ran.status, 2, "{ran:?}");
}

#[tokio::test]
async fn order_without_id_never_replaces_one_that_differs_in_all() {
    let app = app_with_customers().await;
    import_valid(&app, &[], export(&[order("#1001", ANN)]));
    for arguments in [&[][..], &["--dry-run"]] {
        let ran = import(&app, arguments, export(&[order("#1002", ANN), order_of_bob("#1001")]));
        assert_eq!((ran.status, ran.stdout.as_str()), (1, ""), "{ran:?}");
        for part in ["orders.csv, line 3, column \"Name\"", "#1001", ANN, "2024-03-01", BOB, "2024-05-09", "--shop"] {
            assert!(ran.stderr.contains(part), "{part} is not in {}", ran.stderr);
        }
    }
    assert_eq!((numbers(&app, ANN).await, numbers(&app, BOB).await.len()), (vec!["1001".to_owned()], 0));
    let printed = import_valid(&app, &["--skip-invalid"], export(&[order("#1002", ANN), order_of_bob("#1001")]));
    assert!(printed.starts_with("1 orders") && printed.contains("skipped: 1;"), "{printed}");
    assert_eq!(numbers(&app, ANN).await, ["1001", "1002"]);
}

#[tokio::test]
async fn two_files_of_one_import_do_not_replace_each_others_orders() {
    let app = app_with_customers().await;
    app.write("tea.csv", export(&[order("#1001", ANN)]));
    app.write("pot.csv", export(&[order_of_bob("#1001"), order_of_bob("#1002")]));
    let ran = app.run(&["import", "tea.csv", "pot.csv"]);
    // Without an Id the two are different orders of one number: the first one keeps it.
    assert!(ran.status == 1 && ran.stderr.contains("pot.csv, line 2"), "{ran:?}");
    assert_eq!(numbers(&app, ANN).await.len(), 0);
}

#[tokio::test]
async fn known_order_takes_the_id_of_a_later_file() {
    let app = app_with_customers().await;
    import_valid(&app, &[], export(&[order("#1001", ANN)]));
    let with_id = export_with_id(&[order("#1001", ANN).with("Id", "5550001")]);
    let printed = import_valid(&app, &[], with_id);
    assert!(printed.contains("0 new"), "{printed}");
    let ids: Vec<(String,)> =
        sqlx::query_as("SELECT external_id FROM orders").fetch_all(&app.database().await).await.unwrap();
    assert_eq!(ids, [("5550001".to_owned(),)]);
    // A file without the column leaves it alone.
    import_valid(&app, &[], export(&[order("#1001", ANN).with("Total", "30.00")]));
    let printed = import_valid(&app, &[], export_with_id(&[order_of_bob("#1001").with("Id", "9")]));
    assert!(printed.contains("1 new"), "{printed}");
}

#[tokio::test]
async fn equal_id_does_not_make_two_numbers_one_order() {
    let app = app_with_customers().await;
    let rows = [order("#1", ANN).with("Id", "5"), order("#2", ANN).with("Id", "5")];
    import_valid(&app, &[], export_with_id(&rows));
    assert_eq!(numbers(&app, ANN).await, ["1", "2"]);
}

/// The 13 columns that are enough.
const FEW_COLUMNS: [&str; 13] = [
    "Name",
    "Email",
    "Financial Status",
    "Fulfillment Status",
    "Currency",
    "Subtotal",
    "Shipping",
    "Taxes",
    "Total",
    "Created at",
    "Lineitem quantity",
    "Lineitem name",
    "Lineitem price",
];

#[tokio::test]
async fn absent_column_leaves_the_stored_value_alone() {
    let app = app_with_customers().await;
    let rows = [order("#1", ANN).with("Refunded Amount", "1.00"), line("#1", ANN, "Pen").with("Lineitem sku", "PEN")];
    import_valid(&app, &[], export(&rows));
    let before = api_order(&app, ANN, "1").await;
    let printed = import_valid(&app, &[], export_of(&FEW_COLUMNS, &rows));
    assert!(printed.contains("0 changed, 1 unchanged"), "{printed}");
    assert_eq!(api_order(&app, ANN, "1").await, before);
    let changed = [rows[0].clone().with("Total", "31.00"), rows[1].clone()];
    let dry = import_valid(&app, &["--dry-run"], export_of(&FEW_COLUMNS, &changed));
    assert!(dry.contains("\n#1: Total \"29.90\" becomes \"31.00\"\n"), "{dry}");
    let printed = import_valid(&app, &[], export_of(&FEW_COLUMNS, &changed));
    assert!(printed.contains("1 changed"), "{printed}");
    let after = api_order(&app, ANN, "1").await;
    assert_eq!(
        (&after["total"], &after["lines"], &after["shipping_address"]),
        (&3100.into(), &before["lines"], &before["shipping_address"])
    );
    assert_eq!((&after["paid_at"], &after["fulfilled_at"]), (&before["paid_at"], &before["fulfilled_at"]));
    let search: String =
        sqlx::query_scalar("SELECT search_prefix FROM orders").fetch_one(&app.database().await).await.unwrap();
    assert!(search.contains("nb-1") && search.contains("pen"), "the article number cannot be found any more: {search}");
}

#[tokio::test]
async fn article_number_stays_only_with_its_product() {
    let app = app_with_customers().await;
    import_valid(&app, &[], export(&[order("#1", ANN)]));
    import_valid(&app, &[], export_of(&FEW_COLUMNS, &[order("#1", ANN).with("Lineitem name", "Teapot")]));
    let lines = api_order(&app, ANN, "1").await["lines"].clone();
    assert_eq!((&lines[0]["name"], &lines[0]["sku"]), (&"Teapot".into(), &"".into()));
}

#[tokio::test]
async fn dry_run_lists_what_orders_lose_and_gain() {
    let app = app_with_customers().await;
    import_valid(&app, &[], export(&[order("#1", ANN), line("#1", ANN, "Pen"), order("#2", ANN), order("#3", ANN)]));
    let rows = [
        order("#1", ANN).with("Shipping Address1", "").with("Shipping Phone", "+49 170"),
        order("#2", ANN).with("Lineitem quantity", "3").with("Financial Status", "refunded"),
        line("#2", ANN, "Ink"),
        order("#3", ANN),
    ];
    let printed = import_valid(&app, &["--dry-run"], export(&rows));
    let lines: Vec<&str> = printed.lines().collect();
    assert_eq!(lines[0], "3 orders with 4 lines: 0 new, 2 changed, 1 unchanged; nothing was written");
    assert_eq!(
        lines[1],
        "#1: loses Shipping Address1 \"Long Lane 5\"; gains Shipping Phone \"+49 170\"; loses line 2: 1 × \"Pen\""
    );
    let second = "#2: Financial Status \"paid\" becomes \"refunded\"; line 1: Lineitem quantity \"2\" becomes \"3\"; gains line 2: 1 × \"Ink\"";
    assert_eq!(lines[2], second);
    assert!(!printed.contains("#3"), "{printed}");
    let done = import_valid(&app, &[], export(&rows));
    assert!(done.starts_with("3 orders with 4 lines: 0 new, 2 changed, 1 unchanged\n"), "{done}");
}

#[tokio::test]
async fn several_files_are_one_import_and_later_ones_count() {
    let app = app_with_customers().await;
    app.write("january.csv", export(&[order("#1", ANN), order("#2", ANN)]));
    app.write("february.csv", export_of(&FEW_COLUMNS, &[order("#2", ANN).with("Total", "31.00"), order("#3", ANN)]));
    for _ in 0..2 {
        let dry = app.first_line(&["import", "--dry-run", "january.csv", "february.csv"]);
        let done = app.run_ok(&["import", "january.csv", "february.csv"]);
        assert_eq!(dry, format!("{}; nothing was written", done.lines().next().unwrap()));
        assert!(done.starts_with("3 orders with 3 lines: "), "{done}");
    }
    let order = api_order(&app, ANN, "2").await;
    // The later file has no address, the earlier one has.
    assert_eq!((&order["total"], &order["shipping_address"]["city"]), (&3100.into(), &"Reims".into()));
}

#[tokio::test]
async fn id_that_an_earlier_version_stored_as_written_is_the_same_id() {
    let app = app_with_customers().await;
    let file = || export_with_id(&[order("#1", ANN).with("Id", "gid://shopify/Order/5550001")]);
    import_valid(&app, &[], file());
    app.execute("UPDATE orders SET external_id = 'gid://shopify/Order/5550001' WHERE source = 'shop'").await;
    let again = import_valid(&app, &[], file());
    assert!(again.contains("0 new"), "{again}");
    assert_eq!(numbers(&app, ANN).await, ["1"]);
}
