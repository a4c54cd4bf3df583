//! The filters of the list: search, status, dates, totals; on the page, in the CSV export and in the API.

use time::OffsetDateTime;

use crate::app::{ANN, BOB, TestApp};
use crate::http::Visitor;
use crate::orders::{link, list, numbers};
use crate::shop::{self, Row, line, order};

/// An escaped query parameter.
pub fn parameter(name: &str, value: &str) -> String {
    let value = percent_encoding::utf8_percent_encode(value, percent_encoding::NON_ALPHANUMERIC);
    format!("{name}={value}")
}

/// The numbers on the first page; the API must return the same.
async fn found(app: &TestApp, ann: &mut Visitor, token: &str, query: &str) -> Vec<String> {
    let shown = numbers(&list(ann, &format!("/orders?{query}")).await);
    let response = app.api_get(&format!("/api/userOrders?{query}"), token).await.json();
    let returned: Vec<String> = response["orders"]
        .as_array()
        .unwrap()
        .iter()
        .map(|order| order["number"].as_str().unwrap().to_owned())
        .collect();
    assert_eq!(shown, returned, "page and API differ for {query}");
    shown
}

fn placed(number: &str, at: &str) -> Row {
    order(number, ANN).with("Created at", at)
}

fn product(number: &str, sku: &str, name: &str) -> Row {
    order(number, ANN).with("Lineitem sku", sku).with("Lineitem name", name)
}

#[tokio::test]
async fn search_finds_order_by_number_product_and_sku() {
    let rows = [
        product("#1001", "GT-28", "Rössle Sauerkraut"),
        product("#1002", "PA_62", "Tarte au sucre"),
        product("#1003", "CO-1", "Cola, 100% sugar free"),
        product("#1004", "LB-1", r"Labels for C:\temp"),
        product("#11001", "MP-1", "Stadtplan, jede Straße"),
        product("#EU-7", "TE-1", "Chai"),
        line("#EU-7", ANN, "ΜΈΛΙ ΚΑΙ ΟΔΌΣ"),
    ];
    let (app, mut ann) = TestApp::start_with_orders(&rows).await;
    let token = app.api_token(ANN).await;
    let cases: [(&str, &[&str]); 27] = [
        ("1001", &["1001", "11001"]),
        ("#1001", &["1001"]),
        ("#eu-7", &["EU-7"]),
        ("sauerkraut", &["1001"]),
        ("gt-28", &["1001"]),
        ("rossle", &["1001"]),
        ("RÖSSLE", &["1001"]),
        ("Ro\u{308}ssle", &["1001"]),
        ("ＲＯＳＳＬＥ", &["1001"]),
        ("kraut ross 1001 gt", &["1001"]),
        ("  rossle\t sauerkraut ", &["1001"]),
        ("rossle tarte", &[]),
        ("STRASSE", &["11001"]),
        ("straße", &["11001"]),
        ("STRAẞE", &["11001"]),
        ("οδος", &["EU-7"]),
        ("Οδός chai", &["EU-7"]),
        ("%", &["1003"]),
        ("100%", &["1003"]),
        ("_", &["1002"]),
        ("pa_62", &["1002"]),
        ("pa%62", &[]),
        ("p__62", &[]),
        (r"\", &["1004"]),
        (r"c:\temp", &["1004"]),
        ("' OR '1'='1", &[]),
        ("1001 #1001", &["1001"]),
    ];
    for (words, expected) in cases {
        let mut seen = found(&app, &mut ann, &token, &parameter("q", words)).await;
        seen.sort();
        assert_eq!(seen, expected, "{words:?}");
    }
}

#[tokio::test]
async fn search_does_not_match_across_two_products() {
    let (app, mut ann) = TestApp::start_with_orders(&[product("#1", "A1", "Green"), line("#1", ANN, "house")]).await;
    let token = app.api_token(ANN).await;
    assert_eq!(found(&app, &mut ann, &token, "q=greenhouse").await, Vec::<String>::new());
    assert_eq!(found(&app, &mut ann, &token, "q=house+green").await, ["1"]);
}

#[tokio::test]
async fn search_finds_words_beyond_the_indexed_prefix() {
    // One character shorter than the indexed prefix, as long, and one longer; 11 characters precede the product's name.
    let product_of = |number: &str, length: usize| {
        let name = format!("{}walrus", "x".repeat(length - 11 - "walrus".len()));
        product(number, "", &name).with("Lineitem sku", "ABC12")
    };
    let mut rows = vec![
        product_of("#449", 449),
        product_of("#450", 450),
        product_of("#451", 451),
        product("#7", "NB-1", &format!("{} walrus {}", "w".repeat(470), "x".repeat(9_500))),
        product("#8", "NB-1", &"漢".repeat(10_000)),
    ];
    rows.extend((0..40).map(|index| line("#8", ANN, &format!("Candle number {index}, made of wax"))));
    rows.push(line("#8", ANN, "Walrus made of felt"));
    let (app, mut ann) = TestApp::start_with_orders(&rows).await;
    let token = app.api_token(ANN).await;
    let mut seen = found(&app, &mut ann, &token, "q=walrus").await;
    seen.sort();
    assert_eq!(seen, ["449", "450", "451", "7", "8"]);
    assert_eq!(found(&app, &mut ann, &token, "q=candle+felt+39").await, ["8"]);
}

#[tokio::test]
async fn status_filter_finds_each_status() {
    let blank = |number: &str| {
        let row = order(number, ANN).with("Financial Status", "pending").with("Paid at", "");
        row.with("Fulfillment Status", "unfulfilled").with("Fulfilled at", "")
    };
    let paid = |number: &str| blank(number).with("Financial Status", "paid");
    let rows = [
        ("placed", "Placed", blank("#1")),
        ("processing", "Processing", paid("#2")),
        ("partly_sent", "Partly sent", paid("#3").with("Fulfillment Status", "partial")),
        ("sent", "Sent", paid("#4").with("Fulfillment Status", "fulfilled")),
        ("delivered", "Delivered", paid("#5").with("Fulfillment Status", "delivered")),
        ("cancelled", "Cancelled", paid("#6").with("Cancelled at", "2024-03-02 10:00:00 +0000")),
        ("refunded", "Refunded", blank("#7").with("Financial Status", "refunded")),
    ];
    let (app, mut ann) = TestApp::start_with_orders(&rows.clone().map(|(_, _, row)| row)).await;
    let token = app.api_token(ANN).await;
    for (index, (word, label, _)) in rows.into_iter().enumerate() {
        let query = format!("status={word}");
        assert_eq!(found(&app, &mut ann, &token, &query).await, [(index + 1).to_string()], "{word}");
        let page = list(&mut ann, &format!("/orders?{query}")).await;
        assert!(page.contains(&format!("<option value=\"{word}\" selected>{label}</option>")), "{word}:\n{page}");
        assert!(page.contains(&format!("status-{word}\">{label}<")), "{word}:\n{page}");
    }
    assert_eq!(found(&app, &mut ann, &token, "status=").await.len(), 7);
}

#[tokio::test]
async fn date_filter_includes_its_first_and_last_second() {
    let year = OffsetDateTime::now_utc().year();
    let rows = [
        placed("#1", &format!("{}-12-31 23:59:59 +0000", year - 2)),
        placed("#2", &format!("{}-01-01 00:00:00 +0000", year - 1)),
        placed("#3", &format!("{}-12-31 23:59:59 +0000", year - 1)),
        placed("#4", &format!("{year}-01-01 00:00:00 +0000")),
        placed("#5", "2004-02-28 23:59:59 +0000"),
        placed("#6", "2004-02-29 00:00:00 +0000"),
        placed("#7", "2004-02-29 23:59:59 +0000"),
        placed("#8", "2004-03-01 00:00:00 +0000"),
    ];
    let (app, mut ann) = TestApp::start_with_orders(&rows).await;
    let token = app.api_token(ANN).await;
    let first_day = format!("from={year}-01-01&to={year}-01-01");
    let cases: [(&str, &[&str]); 11] = [
        ("period=this-year", &["4"]),
        ("period=last-year", &["3", "2"]),
        ("period=this-year&from=2004-01-01", &["4"]),
        (&first_day, &["4"]),
        ("from=2004-02-29&to=2004-02-29", &["7", "6"]),
        ("period=range&from=2004-02-29&to=2004-03-01", &["8", "7", "6"]),
        ("to=2004-02-28", &["5"]),
        ("from=2004-03-01", &["4", "3", "2", "1", "8"]),
        ("period=range", &["4", "3", "2", "1", "8", "7", "6", "5"]),
        ("from=2004-03-02&to=2004-12-31", &[]),
        ("from=1970-01-01&to=9999-12-31", &["4", "3", "2", "1", "8", "7", "6", "5"]),
    ];
    for (query, expected) in cases {
        assert_eq!(found(&app, &mut ann, &token, query).await, expected, "{query}");
    }
}

#[tokio::test]
async fn form_pager_and_csv_link_keep_the_filter() {
    let mut rows = shop::orders(45, ANN);
    rows.push(product("#1", "X-1", "Something else"));
    let (_app, mut ann) = TestApp::start_with_orders(&rows).await;
    let parameters =
        ["q=notebook%2C%20nb%2D1", "status=sent", "from=2024%2D01%2D01", "to=2024%2D12%2D31", "sort=lowest"];
    let first = list(&mut ann, &format!("/orders?{}", parameters.join("&"))).await;
    let second = list(&mut ann, &link(&first, "next").unwrap()).await;
    let third = list(&mut ann, &link(&second, "next").unwrap()).await;
    assert_eq!((link(&first, "prev"), link(&third, "next")), (None, None));
    let lowest_first: Vec<String> = (5000..5045).map(|number| number.to_string()).collect();
    assert_eq!([numbers(&first), numbers(&second), numbers(&third)].concat(), lowest_first);
    let back = list(&mut ann, &link(&third, "prev").unwrap()).await;
    assert_eq!(numbers(&back), numbers(&second));
    for page in [&first, &second, &third, &back] {
        assert!(page.contains("45 orders, €"), "{page}");
        for submitted in [
            "value=\"notebook, nb-1\"",
            "<option value=\"sent\" selected>",
            "<option value=\"range\" selected>",
            "value=\"2024-01-01\"",
            "value=\"2024-12-31\"",
            "<option value=\"lowest\" selected>",
        ] {
            assert!(page.contains(submitted), "{submitted} is not on the page:\n{page}");
        }
        let csv_url = page.split("href=\"/orders.csv?").nth(1).unwrap().split('"').next().unwrap();
        let links = [link(page, "prev"), link(page, "next")].into_iter().flatten();
        for url in links.chain([csv_url.replace("&#38;", "&")]) {
            for parameter in parameters {
                assert!(url.contains(parameter), "{parameter} is not in {url}");
            }
        }
    }
}

#[tokio::test]
async fn empty_list_differs_from_an_empty_result() {
    let app = TestApp::start().await;
    let mut ann = app.verified_customer(ANN).await;
    let none = list(&mut ann, "/orders?q=walrus").await;
    assert!(none.contains("No orders yet") && !none.contains("No matching orders"), "{none}");
    app.import(&shop::orders(3, ANN));
    let unmatched = list(&mut ann, "/orders?q=walrus&status=sent").await;
    assert!(unmatched.contains("No matching orders") && !unmatched.contains("No orders yet"), "{unmatched}");
    assert!(unmatched.contains("<a href=\"/orders\">show all orders</a>"), "no link to all orders:\n{unmatched}");
    assert!(unmatched.contains("value=\"walrus\""), "the form does not keep the search");
    let all = list(&mut ann, "/orders").await;
    assert!(!all.contains("No order"), "{all}");
}

#[tokio::test]
async fn totals_are_by_currency_gross_and_net() {
    let costs = |number: &str, currency: &str, total: &str| {
        order(number, ANN).with("Currency", currency).with("Total", total).with("Subtotal", total).with("Shipping", "0")
    };
    let yen = |number: &str| costs(number, "JPY", "1200").with("Lineitem price", "1200");
    let rows = [
        costs("#1", "EUR", "1000.00"),
        costs("#2", "EUR", "234.50").with("Cancelled at", "2024-03-02 10:00:00 +0000"),
        costs("#3", "USD", "50.00").with("Financial Status", "partially_refunded").with("Refunded Amount", "12.34"),
        costs("#4", "USD", "20.00").with("Financial Status", "refunded").with("Refunded Amount", "20.00"),
        yen("#5"),
    ];
    let (_app, mut ann) = TestApp::start_with_orders(&rows).await;
    let all = list(&mut ann, "/orders").await;
    assert!(all.contains(">5 orders, €1,234.50, ¥1,200 and $70.00<"), "{all}");
    assert!(all.contains(">€1,000.00, ¥1,200 and $37.66 after cancellations and refunds<"), "{all}");
    let one = list(&mut ann, "/orders?q=%235").await;
    assert!(one.contains(">1 order, ¥1,200<") && !one.contains("after cancellations"), "{one}");
    let cancelled = list(&mut ann, "/orders?status=cancelled").await;
    assert!(cancelled.contains(">1 order, €234.50<"), "{cancelled}");
    assert!(cancelled.contains(">€0.00 after cancellations and refunds<"), "{cancelled}");
    assert_eq!(all.matches("<svg").count(), 3, "not one chart for each currency");
}

#[tokio::test]
async fn filters_are_folded_and_the_active_ones_counted() {
    let (_app, mut ann) = TestApp::start_with_orders(&shop::orders(3, ANN)).await;
    for (query, summary) in [
        ("", "Filters"),
        ("q=notebook&sort=lowest", "Filters"),
        ("period=range", "Filters"),
        ("status=lost", "Filters"),
        ("status=sent", "Filters (1 active)"),
        ("to=2024-12-31", "Filters (1 active)"),
        ("status=sent&period=this-year", "Filters (2 active)"),
        ("status=sent&period=range&from=2024-01-01&to=2024-12-31", "Filters (2 active)"),
    ] {
        let page = list(&mut ann, &format!("/orders?{query}")).await;
        assert!(page.contains(&format!("<details class=\"more\">\n<summary>{summary}</summary>")), "{query}:\n{page}");
    }
    for (query, is_open) in [("from=x", true), ("to=x", true), (&format!("q={}", "q".repeat(201)), false)] {
        let page = ann.get(&format!("/orders?{query}")).await.text();
        assert_eq!(page.contains("<details class=\"more\" open>"), is_open, "{query}:\n{page}");
    }
}

#[tokio::test]
async fn unknown_parameters_are_ignored() {
    let (_app, mut ann) = TestApp::start_with_orders(&shop::orders(3, ANN)).await;
    for query in ["x=y", "limit=0", "%"] {
        assert_eq!(numbers(&list(&mut ann, &format!("/orders?{query}")).await).len(), 3, "{query}");
    }
}

#[tokio::test]
async fn cursor_of_another_customer_shows_only_own_orders() {
    let app = TestApp::start().await;
    let mut ann = app.verified_customer(ANN).await;
    let mut bob = app.verified_customer(BOB).await;
    app.import(&shop::orders(25, ANN));
    app.import(&[order("#1", BOB).with("Created at", "2023-01-01 10:00:00 +0000")]);
    let next = link(&list(&mut ann, "/orders").await, "next").unwrap();
    assert_eq!(numbers(&list(&mut bob, &next).await), ["1"]);
    assert_eq!(numbers(&list(&mut bob, "/orders?q=notebook").await), ["1"]);
}

#[tokio::test]
async fn openapi_describes_the_parameters_of_the_list() {
    let app = TestApp::start().await;
    let document = app.get("/api/openapi.json").await.json();
    let parameters = document["paths"]["/api/userOrders"]["get"]["parameters"].as_array().unwrap();
    let mut names: Vec<&str> = parameters.iter().map(|parameter| parameter["name"].as_str().unwrap()).collect();
    names.sort_unstable();
    assert_eq!(names, ["after", "from", "limit", "period", "q", "sort", "status", "to"]);
    for parameter in parameters {
        assert_eq!((&parameter["in"], &parameter["required"]), (&"query".into(), &false.into()), "{parameter}");
        assert!(parameter["description"].as_str().is_some_and(|text| !text.is_empty()), "{parameter}");
    }
    let parameter = |name: &str| parameters.iter().find(|parameter| parameter["name"] == name).unwrap().to_string();
    for word in ["placed", "partly_sent", "sent", "refunded", "payment_voided", "cancellation_requested"] {
        assert!(parameter("status").contains(word), "{word} is not described");
    }
    assert!(parameter("sort").contains("highest") && parameter("period").contains("last-year"));
    assert!(parameter("from").contains("date"));
}
