//! What the operator learns of an import and of an order.

use serde_json::{Value, json};

use crate::app::{ANN, BOB, TestApp};
use crate::sandbox::Sandbox;
use crate::shop::{COLUMNS, Row, export, export_of, line, order, unsent};

fn json(text: &str) -> Value {
    serde_json::from_str(text.trim()).unwrap()
}

#[tokio::test]
async fn json_lists_say_how_many_they_leave_out() {
    let sandbox = Sandbox::new().await;
    sandbox.run_ok(&["migrate"]);
    let orders = |email: &str| (0..10_050).map(|index| order(&format!("#{index}"), email)).collect::<Vec<Row>>();
    sandbox.write("orders.csv", export(&orders(ANN)));
    sandbox.run_ok(&["import", "orders.csv"]);
    sandbox.write("orders.csv", export(&orders("not an address")));
    let report = json(&sandbox.run_ok(&["import", "--dry-run", "--json", "orders.csv"]));
    assert_eq!(report["findings"]["emails"]["count"], 10_050);
    assert_eq!(report["findings"]["emails"]["listed"].as_array().unwrap().len(), 100);
    sandbox.write("orders.csv", export(&orders(BOB)));
    let report = &json(&sandbox.run_ok(&["import", "--dry-run", "--json", "orders.csv"]))["report"];
    assert_eq!((&report["changes_listed"], &report["changes_count"]), (&json!(10_000), &json!(10_050)));
    assert_eq!(report["changes"].as_array().unwrap().len(), 10_000);
    assert_eq!(report["summary"]["changed"], 10_050);
}

#[tokio::test]
async fn order_is_shown_to_support_with_everything_that_is_known() {
    let app = TestApp::start().await;
    let mut ann = app.verified_customer(ANN).await;
    let more = [
        ("Id", "5551"),
        ("Billing Name", "Ann at\u{1b}[31m work"),
        ("Billing Province Name", "Bretagne"),
        ("Shipping Method", "Express"),
        ("Payment Method", "Card"),
        ("Discount Code", "SPRING"),
        ("Tax 1 Name", "MwSt 19%"),
        ("Tax 1 Value", "3.99"),
        ("Outstanding Balance", "10.00"),
        ("Tracking Url", "https://post.example/0042"),
        ("Notes", "Ring\ntwice"),
    ];
    let first = more.iter().fold(unsent("#1001", ANN), |row, (column, value)| row.with(column, value));
    let columns: Vec<&str> = COLUMNS.into_iter().chain(more.map(|(column, _)| column)).collect();
    let columns: Vec<&str> =
        columns.iter().enumerate().filter(|(at, name)| !columns[..*at].contains(name)).map(|(_, name)| *name).collect();
    let rows = [first, line("#1001", ANN, "Pen").with("Lineitem discount", "1.00")];
    app.write("orders.csv", export_of(&columns, &rows));
    app.run_ok(&["import", "--shop", "Tea & Co", "orders.csv"]);
    let cancel = [("reason", "Ordered twice"), ("key", "k1")];
    assert_eq!(ann.post("/orders/1001/cancel", &cancel).await.status, 303);
    assert_eq!(ann.post("/orders/1001/again", &[("key", "k2"), ("quantity-1", "1")]).await.status, 303);
    let shown = app.run_ok(&["orders", "show", "1001"]);
    for part in [
        "order         #1001\n",
        "shop          Tea & Co\n",
        "id            5551\n",
        "page          /orders/1001\n",
        "email         ann@example.com\n",
        "account       ann@example.com\n",
        "placed        2024-03-01T10:00:00Z\n",
        "paid          2024-03-01T10:05:00Z\n",
        "reason        Ordered twice\n",
        "again         requested 20",
        "line 1        2 × Notebook, ruled (NB-1) at €12.50: €25.00\n",
        "line 2        1 × Pen at €3.00, discount €1.00: €2.00\n",
        "subtotal      €25.00\n",
        "shipping      €4.90\n",
        "taxes         €0.00 (MwSt 19% €3.99)\n",
        "total         €29.90 for 2 lines\n",
        "outstanding   €10.00\n",
        "payment by    Card\n",
        "discount code SPRING\n",
        "shipping by   Express\n",
        "ship to       Ann Example, Long Lane 5, 51100 Reims, FR\n",
        // Nothing in a file controls the terminal.
        "bill to       Ann at [31m work, Bretagne\n",
        "tracking      https://post.example/0042\n",
        "note          Ring twice\n",
    ] {
        assert!(shown.contains(part), "{part:?} is not in {shown}");
    }
}

#[tokio::test]
async fn order_is_found_by_the_address_of_its_page() {
    let app = TestApp::start_with(&[("DEMO_ORDERS", "true")]).await;
    app.verified_customer(BOB).await;
    let sample = app.run_ok(&["orders", "show", "S1096"]);
    assert!(sample.contains("(a sample)") && sample.contains(&format!("account       {BOB}")), "{sample}");
    app.verified_customer(ANN).await;
    let rows = [
        order("#2001", ANN).with("Id", "1"),
        order("#2001", ANN).with("Id", "2").with("Created at", "2024-05-09 08:00:00 +0000"),
        order("##2003", ANN).with("Id", "3"),
        order("#2005-2", ANN).with("Id", "5"),
    ];
    app.write("orders.csv", export_of(&[&COLUMNS[..], &["Id"]].concat(), &rows));
    app.run_ok(&["import", "orders.csv"]);
    for (number, id) in
        [("2001-2", "2"), ("#2001-2", "2"), ("##2003", "3"), ("#2003", "3"), ("2005-2", "5"), ("5", "5")]
    {
        let shown = app.run_ok(&["orders", "show", number]);
        assert!(shown.contains(&format!("id            {id}\n")), "{number}: {shown}");
    }
    let several = app.run(&["orders", "show", "2001"]);
    assert!(several.is_one_line_error(1) && several.stderr.contains("give one of these ids: 1 ("), "{several:?}");
    assert!(app.run(&["orders", "show", "2001-3"]).is_one_line_error(1));
}

#[tokio::test]
async fn order_names_that_a_url_cannot_hold_are_refused_and_others_work() {
    let app = TestApp::start().await;
    let mut ann = app.verified_customer(ANN).await;
    for name in [".", "..", "#.", "#.."] {
        app.write("orders.csv", export(&[order(name, ANN)]));
        let ran = app.run(&["import", "orders.csv"]);
        let reason = "column \"Name\": \"".to_owned() + name + "\" cannot be an order name: browsers remove it";
        assert!(ran.status == 1 && ran.stderr.contains(&reason) && ran.stderr.contains("such as"), "{ran:?}");
    }
    let names = [
        ".x", "...", "..-2", "a/b", "a/../b", "/", "//x", "50%", "%2e%2e", "%2F", "a?b=c", "a#b", "a\\b", "a;b", "a b",
        "a+b", "a&b=c", "~a", "é°", "注文1", "a:b", "@x", "'a'", "<b>", "cancel", "a,b", "a|b", "[a]", "{a}", "^a`",
    ];
    app.write("orders.csv", export(&names.map(|name| order(&format!("#{name}"), ANN))));
    app.run_ok(&["import", "orders.csv"]);
    let token = app.api_token(ANN).await;
    let mut linked = Vec::new();
    let mut page = ann.get("/orders").await.text();
    loop {
        let urls =
            page.split("<th scope=\"row\"><a href=\"").skip(1).map(|part| part.split('"').next().unwrap().to_owned());
        linked.extend(urls);
        let next = page.split("href=\"").find(|part| part.starts_with("/orders?") && part.contains("after="));
        let Some(next) = next.map(|part| part.split('"').next().unwrap().replace("&#38;", "&")) else { break };
        page = ann.get(&next).await.text();
    }
    assert_eq!(linked.len(), names.len());
    let mut shown = Vec::new();
    for url in linked {
        let response = ann.get(&url).await;
        assert_eq!(response.status, 200, "{url}");
        let api = app.api_get(&url.replace("/orders/", "/api/userOrders/"), &token).await;
        assert_eq!(api.status, 200, "{url}");
        let number = api.json()["number"].as_str().unwrap().to_owned();
        let (path, _) = (format!("{url}/cancel"), ());
        assert_ne!(ann.get(&path).await.status, 404, "{path}");
        shown.push(number);
    }
    shown.sort();
    let mut expected = names.map(str::to_owned).to_vec();
    expected.sort();
    assert_eq!(shown, expected);
}

#[tokio::test]
async fn operator_sees_past_imports_and_single_orders() {
    let app = TestApp::start().await;
    app.verified_customer(ANN).await;
    app.write("orders.csv", export(&[order("#1", ANN), order("#2", "x@y")]));
    app.run_ok(&["import", "orders.csv"]);
    let imports = app.run_ok(&["orders", "imports"]);
    assert!(
        imports.contains("done: 2 orders with 2 lines: 2 new, 0 changed, 0 unchanged, 0 skipped, 1 without owner"),
        "{imports}"
    );
    assert!(imports.contains("  orders.csv (SHA-256 "), "{imports}");
    for number in ["1", "#1"] {
        let shown = app.run_ok(&["orders", "show", number]);
        assert!(shown.contains(&format!("account       {ANN}")) && shown.contains("€29.90 for 1 line"), "{shown}");
    }
    assert_eq!(app.run(&["orders", "show", "7"]).status, 1);
    let json: Value = serde_json::from_str(&app.run_ok(&["import", "--json", "orders.csv"])).unwrap();
    assert_eq!((&json["done"], &json["report"]["summary"]["unchanged"]), (&json!(true), &json!(2)));
    assert_eq!(json["findings"]["emails"]["count"], 1);
    app.write("bad.csv", export(&[order("#1", ANN).with("Total", "x")]));
    let failed = app.run(&["import", "--json", "bad.csv"]);
    let json: Value = serde_json::from_str(failed.stdout.trim()).unwrap();
    assert_eq!((failed.status, &json["done"], &json["findings"]["invalid"]["count"]), (1, &json!(false), &json!(1)));
}
